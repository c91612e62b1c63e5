"""The compiled loops of a layer are the core's law and projection, and their derivatives."""

import pytest
import torch

from neural.akorn import kernels
from neural.akorn.frequency import PlaneRotation
from neural.akorn.steps import SPHERE, euler, local_field
from neural.akorn.turning import turn

KINDS = [torch.float32, torch.float64]
ATOL = {torch.float32: 2e-5, torch.float64: 1e-12}  # sums of some ten terms of size 1


def normal(dtype, *shape):
    rng = torch.Generator().manual_seed(len(shape) + shape[-1])
    return torch.randn(shape, generator=rng, dtype=dtype)


def with_gradients(function, *inputs):
    leaves = [value.clone().requires_grad_() for value in inputs]
    result = function(*leaves)
    return result, *torch.autograd.grad(result.pow(3).sum(), leaves)


def assert_same(function, spelled, *inputs):
    for have, want in zip(with_gradients(function, *inputs), with_gradients(spelled, *inputs), strict=True):
        assert have.dtype == inputs[0].dtype
        torch.testing.assert_close(have, want, rtol=ATOL[have.dtype], atol=ATOL[have.dtype])


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_a_step_is_the_law_and_the_projection(n, dtype):
    x = SPHERE.project(normal(dtype, 2, 3, 4, n))
    y, c, rates = normal(dtype, 2, 3, 4, n), normal(dtype, 2, 3, 4, n), normal(dtype, 4, n // 2)

    def law_and_projection(x, y, c, rates, gamma):
        return SPHERE.project(x + gamma * SPHERE.law(0.0, x, local_field(x, y, c, PlaneRotation(rates))))

    def step(x, y, c, rates, gamma):
        return euler(x, y, c, PlaneRotation(rates), gamma)

    assert kernels.usable(x, y, c)
    assert_same(step, law_and_projection, x, y, c, rates, torch.tensor([0.7], dtype=dtype))


@pytest.mark.parametrize("rotation", [None, torch.nn.Linear(4, 4, bias=False)])
def test_a_step_without_planes_is_the_law_and_the_projection(rotation):
    x, y, c = (normal(torch.float32, 5, 3, 4) for _ in range(3))

    def law_and_projection(x, y, c):
        return SPHERE.project(x + 0.5 * SPHERE.law(0.0, x, local_field(x, y, c, rotation)))

    if rotation is not None:
        rotation.weight.data -= rotation.weight.data.mT.clone()
        x = SPHERE.project(x)
    assert_same(lambda x, y, c: euler(x, y, c, rotation, 0.5), law_and_projection, x, y, c)


def test_views_of_other_layouts_step_alike():
    x, y, c = (normal(torch.float64, 4, 3, 6).transpose(0, 2) for _ in range(3))
    torch.testing.assert_close(euler(x, y, c, None, 0.3), euler(*(v.contiguous() for v in (x, y, c)), None, 0.3))


@pytest.mark.parametrize("dtype", KINDS)
def test_blocks_turn_feature_pairs(dtype):
    u, blocks = normal(dtype, 2, 3, 3, 2, 2, 5), normal(dtype, 3, 3, 2, 2, 5)
    assert_same(turn, lambda u, M: torch.einsum("tsabp,ntshbp->ntshap", M, u), u, blocks)


def test_other_devices_compute_the_same(monkeypatch):
    u, blocks = normal(torch.float64, 2, 3, 3, 2, 2, 5), normal(torch.float64, 3, 3, 2, 2, 5)
    x, y, c = (normal(torch.float64, 5, 3, 4) for _ in range(3))
    rotation = PlaneRotation(normal(torch.float64, 3, 2))
    x = SPHERE.project(x)
    want = turn(u, blocks), euler(x, y, c, rotation, 0.4)
    monkeypatch.setattr(kernels, "usable", lambda *tensors: False)
    torch.testing.assert_close((turn(u, blocks), euler(x, y, c, rotation, 0.4)), want)
