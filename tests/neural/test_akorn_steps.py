"""The compiled loops of a layer are the core's law and projection, and their derivatives; zeros have none."""

import pytest
import torch

from neural.akorn import kernels
from neural.akorn.frequency import PlaneRotation
from neural.akorn.steps import SPHERE, euler, exponential, local_field, unit, untangent
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


@pytest.mark.parametrize("usable", [True, False])
@pytest.mark.parametrize("step", [euler, exponential, untangent])
def test_an_oscillator_at_zero_goes_to_its_field_or_stays(step, usable, monkeypatch):
    """The first has a field, the second has none, the third is no zero and has none."""
    monkeypatch.setattr(kernels, "usable", lambda *tensors: usable)
    x, y = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
    leaves = [value.requires_grad_() for value in (x, y, torch.zeros(3, 2))]
    moved = step(*leaves, None, 0.5)
    torch.testing.assert_close(moved, torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.6, 0.8]]))
    for gradient in torch.autograd.grad(moved.sum(), leaves):
        assert gradient.isfinite().all()
        assert (gradient[1] == 0).all()


def test_zero_is_the_only_vector_without_a_direction():
    x = torch.tensor([[0.0, 0.0], [3e-15, 4e-15], [3.0, 4.0]])
    direction = unit(x.requires_grad_())
    torch.testing.assert_close(direction, torch.tensor([[0.0, 0.0], [0.6, 0.8], [0.6, 0.8]]))
    (gradient,) = torch.autograd.grad(direction.sum(), x)
    assert (gradient[0] == 0).all()
    assert gradient.isfinite().all()


def test_views_of_other_layouts_step_alike():
    x, y, c = (normal(torch.float64, 4, 3, 6).transpose(0, 2) for _ in range(3))
    torch.testing.assert_close(euler(x, y, c, None, 0.3), euler(*(v.contiguous() for v in (x, y, c)), None, 0.3))


def test_a_great_circle_is_not_left_by_rounding():
    """Against the field: there an error of the length is multiplied by (1 + 2 γ |h|) in every step."""
    x = torch.tensor([[[1.0, 0.0]]])
    y, c = -2 * x, torch.zeros_like(x)
    x = x * (1 + 1e-6)
    for _ in range(50):
        x = exponential(x, y, c, None, 0.2)
    torch.testing.assert_close(x.norm(dim=-1), torch.ones(1, 1))


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


def test_threads_share_the_work(monkeypatch):
    u, blocks = normal(torch.float64, 5, 3, 3, 2, 2, 5), normal(torch.float64, 3, 3, 2, 2, 5)
    x, y, c = (normal(torch.float64, 7, 3, 4) for _ in range(3))
    rates, gamma = normal(torch.float64, 3, 2), torch.tensor(0.4, dtype=torch.float64)

    def found():
        step = with_gradients(lambda *v: euler(*v[:3], PlaneRotation(v[3]), v[4]), x, y, c, rates, gamma)
        return *with_gradients(turn, u, blocks), *step

    alone = found()
    monkeypatch.setattr(kernels, "SHARE", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    for have, want in zip(found(), alone, strict=True):
        torch.testing.assert_close(have, want)


def test_parts_cover_an_axis_once(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    parts = kernels.in_parts(lambda part: list(range(8))[part], 8, 3 * kernels.SHARE)
    assert parts == [[0, 1], [2, 3, 4], [5, 6, 7]]
    assert kernels.in_parts(lambda part: part, 8, 2 * kernels.SHARE - 1) == [slice(0, 8)]


def test_mixed_precision_keeps_to_the_operations_of_torch():
    x = normal(torch.float32, 5, 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert not kernels.usable(x)
    assert kernels.usable(x)
