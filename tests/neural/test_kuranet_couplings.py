"""What the normalisations of the couplings keep, and what they refuse."""

import pytest
import torch

from neural.kuranet import normalize_couplings

ROUND_OFF = 1e-14  # of a sum of fifty numbers of order one
KINDS = ["softmax", "l2", "l1", "none"]


def logits(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("symmetric", [True, False])
def test_softmax_shares_out_the_average_degree(symmetric):
    K = normalize_couplings(logits(3, 7, 7), "softmax", 2.5, symmetric)
    assert bool((K > 0).all())
    assert K.sum((-2, -1)) / 7 == pytest.approx(torch.full((3,), 2.5), abs=ROUND_OFF)


@pytest.mark.parametrize(("kind", "p"), [("l2", 2), ("l1", 1)])
def test_rows_have_norm_one_and_the_signs_of_their_logits(kind, p):
    Z = logits(7, 7)
    K = normalize_couplings(Z, kind, symmetric=False)
    assert torch.linalg.vector_norm(K, ord=p, dim=-1) == pytest.approx(torch.ones(7), abs=ROUND_OFF)
    assert torch.equal(K.sign(), Z.sign())


@pytest.mark.parametrize("kind", KINDS)
def test_symmetric_couplings_are_the_mean_with_their_transpose(kind):
    N = normalize_couplings(logits(5, 5), kind, symmetric=False)
    assert torch.equal(normalize_couplings(logits(5, 5), kind), (N + N.T) / 2)


def test_the_degree_scales_softmax_only():
    for kind in KINDS:
        ratio = normalize_couplings(logits(5, 5), kind, 3.0) / normalize_couplings(logits(5, 5), kind, 1.0)
        assert ratio.flatten() == pytest.approx(3.0 if kind == "softmax" else 1.0, abs=ROUND_OFF)


def test_each_network_is_normalised_by_itself():
    for kind in KINDS:
        together = normalize_couplings(logits(3, 4, 4), kind)
        alone = torch.stack([normalize_couplings(Z, kind) for Z in logits(3, 4, 4)])
        torch.testing.assert_close(together, alone, rtol=0, atol=ROUND_OFF)


def test_the_derivative_is_the_closed_one():
    """∂Z = d n P ∘ (G − Σ P G) of softmax; (G − N Σ_j N G)/ρ of l2; (G − sign(Z) Σ_j N G)/ρ of l1; G = sym ∂K."""
    Z, bar, d = logits(6, 6).requires_grad_(), logits(2, 6, 6)[1], 1.5
    G = (bar + bar.T) / 2
    P = torch.softmax(Z.flatten(), 0).view(6, 6)
    rho2, rho1 = Z.norm(dim=1, keepdim=True), Z.abs().sum(1, keepdim=True)
    closed = {
        "softmax": d * 6 * P * (G - (P * G).sum()),
        "l2": (G - Z / rho2 * (Z / rho2 * G).sum(1, keepdim=True)) / rho2,
        "l1": (G - Z.sign() * (Z / rho1 * G).sum(1, keepdim=True)) / rho1,
        "none": G,
    }
    for kind, expected in closed.items():
        (found,) = torch.autograd.grad((normalize_couplings(Z, kind, d) * bar).sum(), Z)
        torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-13)


def test_large_logits_do_not_overflow():
    K = normalize_couplings(torch.tensor([[900.0, -900.0], [0.0, 900.0]]), "softmax")
    assert K.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_a_row_of_zeros_stays_zero_with_a_finite_gradient(kind):
    Z = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    K = normalize_couplings(Z, kind, symmetric=False)
    assert K[0].tolist() == [0.0, 0.0]
    K[1].sum().backward()
    assert bool(Z.grad.isfinite().all())


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="`kind` must be one of 'softmax', 'l2', 'l1', 'none', but is 'node'"):
        normalize_couplings(logits(3, 3), "node")
