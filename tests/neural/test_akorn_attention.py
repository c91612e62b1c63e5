"""Attention between tokens that are somewhere, or nowhere."""

import pytest
import torch

from neural.akorn import Attention, KuramotoLayer
from neural.akorn.positions import grid_coordinates, resized, rotations, waves


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(3)


def spelled_out(layer, x):
    """The equation of the class, token by token: x (token, ch)."""
    width = layer.ch // layer.heads
    q, k, v = (x @ layer.W_qkv.weight.flatten(1).T + layer.W_qkv.bias).chunk(3, dim=-1)
    heads = []
    for g in range(layer.heads):
        parts = [part[:, g :: layer.heads].unflatten(-1, (-1, 2)) for part in (q, k, v)]
        for i, name in enumerate(layer.names[:3]):
            parts[i] = torch.einsum("tpab,tpb->tpa", getattr(layer, name), parts[i])
        Q, K, V = (part.flatten(1) for part in parts)
        o = torch.softmax(Q @ K.T / width**0.5, dim=-1) @ V
        if len(layer.names) == 4:
            o = torch.einsum("tpab,tpb->tpa", layer.mat_o, o.unflatten(-1, (-1, 2))).flatten(1)
        heads.append(o)
    merged = torch.stack(heads, dim=-1).flatten(1)  # channel i · heads + g
    return merged @ layer.W_o.weight.flatten(1).T + layer.W_o.bias


@pytest.mark.parametrize("stored_as", ["conv", "fc"])
@pytest.mark.parametrize("positions", [None, "rope", "gta"])
@pytest.mark.parametrize("grid", [(7,), (2, 3)])
def test_attention_is_its_equation(rng, grid, positions, stored_as):
    layer = Attention(24, 2, positions, grid, stored_as)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng)
    x = torch.randn(2, *grid, 24, generator=rng)
    y = layer(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y[1].flatten(0, -2), spelled_out(layer, x[1].flatten(0, -2)))


def test_without_positions_tokens_are_a_set(rng):
    layer = Attention(12, 3)
    x, order = torch.randn(1, 8, 12, generator=rng), torch.randperm(8, generator=rng)
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])


@pytest.mark.parametrize("D", [1, 2, 3])
def test_tokens_at_any_coordinates_are_told_by_their_distance(rng, D):
    at, x = torch.randn(9, D, generator=rng), torch.randn(1, 9, 24, generator=rng)
    here, there = Attention(24, 2, "gta", at), Attention(24, 2, "gta", at + torch.arange(1.0, D + 1))
    there.load_state_dict({k: v for k, v in here.state_dict().items() if k.startswith("W")}, strict=False)
    torch.testing.assert_close(here(x), there(x), atol=1e-6, rtol=0)  # rotations in single precision
    order = torch.randperm(9, generator=rng)
    moved = Attention(24, 2, "gta", at[order])
    moved.load_state_dict({k: v for k, v in here.state_dict().items() if k.startswith("W")}, strict=False)
    torch.testing.assert_close(moved(x[:, order]), here(x)[:, order])


def test_a_grid_is_its_coordinates(rng):
    grid, points = Attention(24, 2, "gta", (2, 3)), Attention(24, 2, "gta", grid_coordinates((2, 3)))
    points.load_state_dict(grid.state_dict())
    x = torch.randn(1, 2, 3, 24, generator=rng)
    torch.testing.assert_close(points(x.flatten(1, 2)).view_as(x), grid(x))


@pytest.mark.parametrize(("D", "width"), [(1, 6), (2, 4), (2, 6), (2, 10), (3, 8)])
def test_angles_are_coordinates_times_frequencies(D, width):
    at = torch.tensor([[3.0, 5.0, 7.0][:D]])
    M = rotations(at, width)
    count = -(-width // (2 * D))
    angles = [float(at[0, a]) * 10000.0 ** (-j / count) for j in range(count) for a in range(D)][: width // 2]
    want = torch.tensor(angles).float()
    torch.testing.assert_close(M[0, :, 0], torch.stack([want.cos(), -want.sin()], -1))
    torch.testing.assert_close(M[0, :, 1], torch.stack([want.sin(), want.cos()], -1))


def test_waves_of_a_line():
    table = waves(grid_coordinates((5,)), 4)
    t = torch.arange(5.0).float()
    torch.testing.assert_close(table, torch.stack([t.sin(), t.cos(), (t / 100).sin(), (t / 100).cos()], -1))


def test_blocks_are_trained_apart():
    layer = Attention(8, 2, "gta", (2, 2))
    mats = [layer.mat_q, layer.mat_k, layer.mat_v, layer.mat_o]
    assert len({m.untyped_storage().data_ptr() for m in mats}) == 4
    assert all(m.is_contiguous() and m.requires_grad for m in mats)


@pytest.mark.parametrize("grid", [(6,), (3, 2)])
def test_a_line_or_plane_is_resized_entry_by_entry(grid):
    values = grid_coordinates(grid).double()
    finer = resized(values, grid, [2 * size for size in grid])
    inner = finer.view(*(2 * size for size in grid), -1)[(slice(1, -1),) * len(grid)]
    want = torch.stack(torch.meshgrid(*(torch.arange(1, 2 * s - 1) / 2 - 0.25 for s in grid), indexing="ij"), -1)
    torch.testing.assert_close(inner, want)


def test_a_layer_runs_on_tokens_anywhere(rng):
    layer = KuramotoLayer(Attention(16, 2, "gta", torch.randn(11, 3, generator=rng)), 16, 4)
    x, c = torch.randn(2, 3, 11, 16, generator=rng)
    assert layer.run(x, c, 3, states=True).states.shape == (4, 3, 11, 4, 4)


@pytest.mark.parametrize("at", [9, (4.5, 2), [[0.0, 1.0]]])
def test_a_grid_that_is_none_is_named(at):
    with pytest.raises(TypeError, match="`at` must be the size of a grid"):
        Attention(8, 2, "gta", at)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Attention(8, 2, "gta", torch.arange(9.0)), r"`at` must have shape \(token, D\), but is \(9,\)"),
        (lambda: Attention(8, 2, "gta", torch.full((9, 2), torch.nan)), "`at` must be finite, but entry 0, 0 is nan"),
        (lambda: Attention(10, 4), "`ch` must be a multiple of `heads`, but is 10 with heads = 4"),
        (lambda: Attention(6, 2, "gta", (2, 2)), "`ch` must give every head an even number of channels, but gives 3"),
        (lambda: Attention(8, 2, "gta"), "`at` must say where the tokens are"),
        (lambda: Attention(8, 2, "absolute", (2, 2)), "`positions` must be one of"),
        (lambda: Attention(8, 2, stored_as="dense"), "`stored_as` must be one of"),
        (
            lambda: Attention(8, 2, "rope", (2, 2))(torch.zeros(1, 2, 3, 8)),
            "the grid \\(2, 2\\), but has the grid \\(2, 3\\)",
        ),
        (
            lambda: Attention(8, 2, "gta", torch.zeros(5, 2))(torch.zeros(1, 4, 8)),
            "5 coordinates, but has the grid \\(4,\\)",
        ),
        (
            lambda: Attention(8, 2, "gta", (2, 2))(torch.zeros(1, 4, 8)),
            "the grid \\(2, 2\\), but has the grid \\(4,\\)",
        ),
        (lambda: waves(grid_coordinates((2, 2)), 6), "`ch` must be a multiple of 4"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
