"""Energies against sums written out, and against the flow they belong to."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch

from analysis import lyapunov_function, order_parameter, phase_energy, sphere_energy
from analysis.graphs import local_field

ROUND_OFF = 1e-12  # sums of some hundred terms of order one
N = 7
rng = np.random.default_rng(5)
THETA = rng.normal(size=N)
K = rng.normal(size=(N, N)) * (rng.random((N, N)) < 0.6)
X = rng.normal(size=(N, 3))
C = rng.normal(size=(N, 3))


class Field:
    """A coupling that only shows its field."""

    def field(self, g):
        return torch.tensor(K) @ g if isinstance(g, torch.Tensor) else K @ g


def graph() -> nx.DiGraph:
    made = nx.DiGraph()
    made.add_nodes_from(range(N))
    made.add_weighted_edges_from((j, i, K[i, j]) for i in range(N) for j in range(N) if K[i, j])
    return made


FORMS = {"array": K, "list": K.tolist(), "sparse": sp.csr_array(K), "graph": graph(), "object": Field()}


def test_phase_energy_is_half_the_sum_over_ordered_pairs():
    pairs = [K[i, j] * np.cos(THETA[j] - THETA[i]) for i in range(N) for j in range(N)]
    assert phase_energy(THETA, K) == pytest.approx(-0.5 * sum(pairs), rel=ROUND_OFF)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_every_form_of_a_coupling_has_the_same_field_and_energy(form, kind):
    x = np.stack([X, 2 * X + 1])
    expected = np.einsum("ij,bjm->bim", K, x)
    np.testing.assert_allclose(np.asarray(local_field(form, kind(x))), expected, rtol=ROUND_OFF, atol=ROUND_OFF)
    energy = -np.sum(x * expected, axis=(1, 2))
    np.testing.assert_allclose(np.asarray(sphere_energy(kind(x), form)), energy, rtol=ROUND_OFF)


def test_the_energy_of_the_mean_field_is_that_of_its_order_parameter():
    expected = -0.5 * 3.0 * N * order_parameter(THETA) ** 2
    assert phase_energy(THETA, 3.0) == pytest.approx(expected, rel=ROUND_OFF)
    assert phase_energy(THETA, np.full((N, N), 3.0 / N)) == pytest.approx(expected, rel=ROUND_OFF)
    assert phase_energy(torch.tensor(THETA), torch.tensor(3.0)).item() == pytest.approx(expected, rel=ROUND_OFF)


@pytest.mark.parametrize("form", [torch.tensor(K + K.T), sp.csr_array(K + K.T)], ids=["dense", "sparse"])
def test_the_phase_flow_descends_the_energy(form):
    theta = torch.tensor(THETA, requires_grad=True)
    phase_energy(theta, form).backward()
    flow = ((K + K.T) * np.sin(THETA[None, :] - THETA[:, None])).sum(axis=1)
    np.testing.assert_allclose(-theta.grad, flow, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_gradients_reach_a_tensor_coupling_even_from_numpy_phases():
    coupling = torch.tensor(K, requires_grad=True)
    phase_energy(THETA, coupling).backward()
    expected = -0.5 * np.cos(THETA[None, :] - THETA[:, None])
    np.testing.assert_allclose(coupling.grad, expected, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_the_flow_on_the_sphere_descends_the_lyapunov_function_with_drive():
    x = torch.tensor(X, requires_grad=True)
    lyapunov_function(x, K + K.T, C).backward()
    np.testing.assert_allclose(-x.grad, (K + K.T) @ X + C, rtol=ROUND_OFF, atol=ROUND_OFF)


def test_the_published_energy_counts_pairs_twice_and_the_drive_once():
    expected = -sum(X[i] @ (sum(K[i, j] * X[j] for j in range(N)) + C[i]) for i in range(N))
    assert sphere_energy(X, K, C) == pytest.approx(expected, rel=ROUND_OFF)
    assert sphere_energy(X, K) == pytest.approx(2 * lyapunov_function(X, K), rel=ROUND_OFF)
    drive_only = sphere_energy(X, 0.0, C)
    assert drive_only == pytest.approx(lyapunov_function(X, 0.0, C), rel=ROUND_OFF)
    assert drive_only == pytest.approx(-np.sum(X * C), rel=ROUND_OFF)


def test_a_drive_common_to_all_nodes_is_broadcast():
    common = np.array([0.5, -1.0, 2.0])
    expected = sphere_energy(X, K, np.tile(common, (N, 1)))
    assert sphere_energy(X, K, common) == pytest.approx(expected, rel=ROUND_OFF)
    assert sphere_energy(torch.tensor(X), K, common.tolist()).item() == pytest.approx(expected, rel=ROUND_OFF)


def test_another_convention_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="call `lyapunov_function`"):
        sphere_energy(X, K, convention="half")


def test_batched_couplings_meet_their_own_states():
    stack = np.stack([K, 2 * K])
    expected = [phase_energy(THETA, K), phase_energy(3 * THETA, 2 * K)]
    np.testing.assert_allclose(phase_energy(np.stack([THETA, 3 * THETA]), stack), expected, rtol=ROUND_OFF)
