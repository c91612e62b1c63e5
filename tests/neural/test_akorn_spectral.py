"""A product of spectra is the convolution."""

import pytest
import torch
from torch.nn import functional

from neural.akorn import Convolution, KuramotoLayer, PairFrequency, spectral

CASES = [((5, 7), 3), ((8, 8), 9), ((11, 4), 5), ((3, 13), 7), ((1, 1), 3)]


def normal(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def with_gradients(act, x, weight):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    steps = act(act(x, weight).sin(), weight)  # two steps with the same weight
    return steps.detach(), *torch.autograd.grad(steps.pow(3).sum(), (x, weight))


def direct(x, weight):
    return functional.conv2d(x.movedim(-1, 1), weight, padding=weight.shape[-1] // 2).movedim(1, -1)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)]
)  # of the largest entry
@pytest.mark.parametrize(("grid", "ksize"), CASES)
def test_spectra_multiply_to_the_convolution_and_its_derivatives(grid, ksize, dtype, tolerance):
    x, weight = normal(2, *grid, 3, dtype=dtype), normal(3, 3, ksize, ksize, dtype=dtype) / ksize**2
    have = with_gradients(lambda x, weight: spectral.convolution(weight, grid)(x), x, weight)
    for one, other in zip(have, with_gradients(direct, x, weight), strict=True):
        assert one.dtype == dtype
        assert float((one - other).abs().max()) <= tolerance * float(other.abs().max())


@pytest.mark.parametrize(("grid", "ksize"), CASES)
def test_padded_maps_are_wide_enough_and_easy_to_transform(grid, ksize):
    for side, padded in zip(grid, spectral.padded(grid, ksize), strict=True):
        assert padded >= side + ksize // 2
        assert padded % 2 == 0
        while padded > 1:
            divisor = next(prime for prime in (2, 3, 5, padded) if padded % prime == 0)
            assert divisor <= 5
            padded //= divisor


def test_large_kernels_and_batches_take_spectra():
    wide, narrow = torch.empty(64, 64, 9, 9), torch.empty(64, 64, 3, 3)
    assert spectral.pays(wide, (32, 32), 32)
    assert not spectral.pays(wide, (32, 32), 1)
    assert not spectral.pays(narrow, (32, 32), 32)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_layer_is_the_same_by_spectra(monkeypatch, checkpoint):
    layer = KuramotoLayer(Convolution(6, 5), 6, 2, omega=PairFrequency(6, 2)).double()
    x, c = normal(2, 4, 6, 6), normal(2, 4, 6, 6) + 1
    taken = []

    def found(pays):
        monkeypatch.setattr(spectral, "pays", lambda *given: pays)
        run = layer.run(x, c, 4, 0.5, energies=True, checkpoint=checkpoint)
        taken.append(run.x)
        return run.x, *torch.autograd.grad(run.x.pow(3).sum() + run.energies.sum(), list(layer.parameters()))

    for have, want in zip(found(True), found(False), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-10, atol=1e-12)  # float64, sums of some hundred terms
    assert not torch.equal(*taken)  # two ways were taken
