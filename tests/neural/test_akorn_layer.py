"""The Kuramoto layer is the core's flow on spheres, in steps."""

import math
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import analysis
from benchmarks.living import most_memory
from neural.akorn import Antisymmetric, Attention, Convolution, DenseMap, KuramotoLayer, PairFrequency, kuramoto_layer
from neural.akorn.layer import NodeField
from neural.akorn.parts import initialize
from oscillators import Dense, Kuramoto, SphereKuramoto, simulate
from oscillators.arrays import unit_vector

GRID, OSCILLATORS = (3, 4), 2
COMPILER = shutil.which("g++")
NODES = math.prod(GRID) * OSCILLATORS


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def normal(rng, *shape):
    return torch.randn(shape, generator=rng)


def convolution_layer(rng, n, *, omega=None, **options):
    """A layer on a grid of cells with two oscillators each."""
    ch = OSCILLATORS * n
    layer = KuramotoLayer(Convolution(ch), ch, n, omega=omega and omega(ch, n), **options)
    for parameter in layer.parameters():
        parameter.data = 0.3 * normal(rng, *parameter.shape)
    return layer


def attention_layer(rng, *, n=4, ch=16, grid=GRID, **options):
    layer = KuramotoLayer(Attention(ch, 2, "gta", grid), ch, n, **options)
    initialize(layer, rng)
    for parameter in layer.parameters():
        parameter.data += 0.2 * normal(rng, *parameter.shape)
    return layer


def scalar_layer(rng, symmetric=False, **options):
    """A layer of n = 2 in which oscillators act by numbers K_ij, no matrices, and those numbers (node, node)."""
    layer = convolution_layer(rng, 2, **options)
    k = 0.3 * normal(rng, OSCILLATORS, OSCILLATORS, 3, 3)
    k = (k + k.transpose(0, 1).flip(2, 3)) / 2 if symmetric else k
    layer.connectivity.weight.data = torch.einsum("ijhw,ab->iajbhw", k, torch.eye(2)).reshape(4, 4, 3, 3)
    act, _ = layer.connectivity.prepare(GRID)
    J = act(torch.eye(2 * NODES).view(-1, *GRID, 4)).reshape(2 * NODES, -1).T.detach()
    return layer, J[::2, ::2]


def pair(rng, layer, batch=1):
    """A state and a stimulus."""
    return normal(rng, batch, *GRID, layer.ch), normal(rng, batch, *GRID, layer.ch)


@pytest.mark.parametrize("step", ["euler", "exponential"])
@pytest.mark.parametrize("omega", [None, PairFrequency, Antisymmetric])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_states_have_length_one(rng, n, omega, step):
    layer = convolution_layer(rng, n, omega=omega, step=step)
    states = layer.run(*pair(rng, layer, 2), 5, 0.8, states=True).states
    assert states.shape == (6, 2, *GRID, OSCILLATORS, n)
    torch.testing.assert_close(states.norm(dim=-1), torch.ones(states.shape[:-1]))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_steps_are_those_of_simulate(rng, n):
    layer = convolution_layer(rng, n, omega=Antisymmetric)
    x, c = pair(rng, layer)
    states = layer.run(x, c, 4, 0.3, states=True).states[:, 0].detach().flatten(1, 3)
    system = SphereKuramoto(layer.omg.rotation.detach().repeat(math.prod(GRID), 1, 1))
    layer.omg = None
    run = simulate(
        system, NodeField(layer, GRID), states[0], 0.3 * np.arange(5), method="euler", dt=0.3, drive=c.view(NODES, n)
    )
    np.testing.assert_allclose(states.numpy(), run.x.values, atol=1e-12)


def test_a_step_in_the_plane_follows_the_phases_to_second_order(rng):
    layer, K = scalar_layer(rng, omega=PairFrequency)
    x, c = pair(rng, layer)
    omega = -layer.omg.prepare(OSCILLATORS).rates.detach().flatten().repeat(math.prod(GRID))  # clockwise
    theta = torch.atan2(x[..., 1::2], x[..., ::2]).flatten()
    drive = (c + layer.connectivity.bias).view(NODES, 2).detach()
    errors = []
    for gamma in (0.01, 0.005, 0.0025):
        states = layer.run(x, c, 1, gamma, states=True).states[1].detach().view(NODES, 2)
        phases = simulate(Kuramoto(omega), Dense(K), theta, [0.0, gamma], method="dopri5", rtol=1e-10, drive=drive)
        errors.append(float(np.abs(states.numpy() - unit_vector(phases.theta.values[-1])).max()))
    slopes = np.diff(np.log(errors)) / np.log(0.5)
    np.testing.assert_allclose(slopes, 2.0, atol=0.15)


@pytest.mark.parametrize("step", ["euler", "exponential"])
def test_the_lyapunov_function_falls_for_symmetric_connections(rng, step):
    layer, K = scalar_layer(rng, symmetric=True, step=step)
    x, c = pair(rng, layer)
    states = layer.run(x, c, 200, 0.05, states=True).states[:, 0].detach().flatten(1, 3)
    drive = (c[0] + layer.connectivity.bias).detach().view(NODES, 2)
    V = analysis.lyapunov_function(states, K, drive)
    assert (torch.diff(V) < 0).all()
    assert V[0] - V[-1] > 1.0


@pytest.mark.parametrize(
    ("build", "grid"),
    [
        (lambda symmetric: Convolution(6, 3, 2, symmetric), GRID),
        (lambda symmetric: Convolution(6, 3, 1, symmetric), (6,)),
        (lambda symmetric: DenseMap(6, GRID, symmetric), GRID),
    ],
    ids=["plane", "line", "dense"],
)
def test_the_lyapunov_function_falls_for_symmetric_matrices(rng, build, grid):
    """V = -Σ_i ⟨x_i, J[x]_i / 2 + c_i⟩ with full matrices J_ij; as drawn they are not symmetric, and it rises at times."""
    x, c = normal(rng, 2, 1, *grid, 6)
    for symmetric in (True, False):
        layer = KuramotoLayer(build(symmetric), 6, 3)
        initialize(layer, rng)
        layer.connectivity.weight.data *= 6  # so that J matters beside c
        states = layer.run(x, c, 300, 0.01, states=True).states.flatten(-2)
        act, bias = layer.connectivity.prepare(grid)
        V = torch.stack([-(one * (act(one) / 2 + c + bias)).sum() for one in states])
        assert bool((torch.diff(V) < 0).all()) == symmetric


def test_dense_connections_are_one_matrix(rng):
    connectivity, x = DenseMap(4, (2, 3)), normal(rng, 5, 2, 3, 4)
    connectivity.bias.data = normal(rng, 4)
    expected = x.flatten(1) @ connectivity.weight.T + connectivity.bias.repeat(6)
    torch.testing.assert_close(connectivity(x).flatten(1), expected)


def test_energies_are_those_of_the_states_and_the_last_is_there(rng):
    layer, K = scalar_layer(rng, omega=PairFrequency)
    x, c = pair(rng, layer, 3)
    run = layer.run(x, c, 4, 0.7, states=True, energies=True)
    drive = (c + layer.connectivity.bias).view(3, NODES, 2)
    E = analysis.sphere_energy(run.states.flatten(2, 4), K, drive)
    assert run.energies.shape == (5, 3)
    torch.testing.assert_close(run.energies, E)


@pytest.mark.parametrize("gamma", [1.0, 0.3])
def test_identity_for_a_missing_rotation_is_a_slower_step(rng, gamma):
    published = convolution_layer(rng, 4, omega_off="identity")
    ours = KuramotoLayer(published.connectivity, 8, 4)
    x, c = pair(rng, ours)
    torch.testing.assert_close(published(x, c, 5, gamma), ours(x, c, 5, gamma / (1 + gamma)))
    raw = torch.nn.functional.normalize(x.view(1, *GRID, OSCILLATORS, 4), dim=-1)  # as the published code spells it
    y = (published.connectivity(raw.flatten(-2)) + c).view_as(raw)
    moved = raw + gamma * (raw + y - (raw * y).sum(-1, keepdim=True) * raw)
    torch.testing.assert_close(published(x, c, 1, gamma), (moved / moved.norm(dim=-1, keepdim=True)).flatten(-2))


@pytest.mark.parametrize("step", ["euler", "exponential"])
def test_oscillators_at_zero_have_finite_states_and_gradients(rng, step):
    """Half of them; with a field of others, and with none at all."""
    for strength in (1.0, 0.0):
        layer = convolution_layer(rng, 2, step=step)
        for parameter in layer.parameters():
            parameter.data *= strength
        x, c = pair(rng, layer)
        x[..., :2] = 0
        leaves = [x.requires_grad_(), *layer.parameters()]
        run = layer.run(x, strength * c, 3, 0.5, states=True, energies=True)
        lengths = run.states.norm(dim=-1)
        torch.testing.assert_close(lengths[1:, ..., 0], torch.full_like(lengths[1:, ..., 0], strength))
        gradients = torch.autograd.grad(run.x.sum() + run.energies.sum(), leaves)
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_an_exponential_step_follows_the_great_circle(rng):
    layer = KuramotoLayer(NoAction(), 3, 3, step="exponential")
    x, c = normal(rng, 1, 5, 3), normal(rng, 1, 5, 3)
    start, end = layer.run(x, c, 1, 0.4, states=True).states[:, 0, :, 0]
    d = c[0] - (c[0] * start).sum(-1, keepdim=True) * start
    torch.testing.assert_close(torch.acos((start * end).sum(-1)), 0.4 * d.norm(dim=-1))
    assert ((end * d).sum(-1) > 0).all()


class NoAction(nn.Module):
    """J = 0."""

    def forward(self, x):
        return torch.zeros_like(x)


@pytest.mark.parametrize("build", [convolution_layer, attention_layer])
def test_checkpoints_change_no_number(rng, build):
    layer = build(rng, n=4)
    x, c = pair(rng, layer, 2)
    gamma = torch.tensor([0.6], requires_grad=True)

    def found(**options):
        run = layer.run(x, c, 7, gamma, states=True, energies=True, **options)
        loss = (run.x * c).sum() + run.energies.square().sum() + run.states[3].pow(3).sum()
        return run.states, run.energies, *torch.autograd.grad(loss, [gamma, *layer.parameters()])

    for have, want in zip(found(checkpoint=True), found(), strict=True):
        torch.testing.assert_close(have, want, rtol=1e-12, atol=1e-12)


def test_checkpoints_draw_the_same_random_numbers_again(rng):
    layer = KuramotoLayer(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), 4, 4)
    x, c = normal(rng, 2, 5, 4), normal(rng, 2, 5, 4)
    found = []
    for checkpoint in (False, True):
        torch.manual_seed(0)
        loss = layer(x, c, 5, 0.5, checkpoint=checkpoint).pow(3).sum()
        found.append(torch.autograd.grad(loss, list(layer.parameters())))
    torch.testing.assert_close(*found)


def training_memory(layer, x, c, T, checkpoint):
    return most_memory(lambda: layer(x, c, T, checkpoint=checkpoint).sum().backward())


def test_checkpoints_need_a_quarter_of_the_memory(rng):
    layer = attention_layer(rng)
    x, c = pair(rng, layer)
    assert training_memory(layer, x, c, 64, True) < training_memory(layer, x, c, 64, False) / 4


def test_checkpoints_train_long_runs_in_the_memory_of_short_ones(rng):
    layer = convolution_layer(rng, 4)
    x, c = pair(rng, layer)
    assert training_memory(layer, x, c, 1024, True) < training_memory(layer, x, c, 64, False)


def test_a_run_in_continuous_time_is_the_limit_of_small_steps(rng):
    layer = attention_layer(rng, omega=PairFrequency(16, 4))
    x, c = pair(rng, layer, 2)
    with torch.no_grad():
        exact = layer.solve(x, c, [0.0, 1.0], method="dopri5", rtol=1e-9, atol=1e-11)[-1]
        errors = [float((layer(x, c, T, 1 / T) - exact.flatten(-2)).abs().max()) for T in (20, 40, 80)]
    np.testing.assert_allclose(np.diff(np.log(errors)) / np.log(0.5), 1.0, atol=0.15)


def test_the_core_differentiates_the_same_steps(rng):
    layer = attention_layer(rng, omega=PairFrequency(16, 4))
    x, c = (value.requires_grad_() for value in pair(rng, layer, 2))
    gamma = torch.tensor(0.3, requires_grad=True)
    inputs = [x, c, gamma, *layer.parameters()]
    states = layer.solve(x, c, gamma * torch.arange(6), method="euler", dt=1.0)
    have = torch.autograd.grad(states[-1].pow(3).sum(), inputs)
    want = torch.autograd.grad(layer(x, c, 5, gamma).pow(3).sum(), inputs)
    for one, other in zip(have, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a")  # of array-api-compat, at the first trace
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method")  # of inductor itself
@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param("inductor", marks=[pytest.mark.slow, pytest.mark.skipif(not COMPILER, reason="no g++")]),
    ],
)
@pytest.mark.parametrize("build", [convolution_layer, attention_layer])
def test_a_layer_compiles_as_one_graph(rng, build, backend):
    layer = build(rng, n=4, c_norm="gn")
    parameters = list(layer.parameters())
    x, c = pair(rng, layer, 2)

    def found(layer):
        new = layer(x, c, 2, 0.5)
        return new.detach(), *torch.autograd.grad(new.pow(3).sum(), parameters)

    torch._dynamo.reset()
    for have, want in zip(found(torch.compile(layer, fullgraph=True, backend=backend)), found(layer), strict=True):
        torch.testing.assert_close(have, want)


def test_any_module_connects(rng):
    layer = KuramotoLayer(nn.Linear(6, 6), 6, 3)
    x, c = normal(rng, 2, 5, 6), normal(rng, 2, 5, 6)
    assert layer(x, c, 3).shape == x.shape
    with torch.no_grad():
        layer.connectivity.weight.zero_()
        layer.connectivity.bias.zero_()
    torch.testing.assert_close(layer(x, c, 3), KuramotoLayer(NoAction(), 6, 3)(x, c, 3))


@pytest.mark.parametrize("omega", [PairFrequency, Antisymmetric])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_rotation_is_at_right_angles_to_the_state(rng, n, shared, omega):
    x = normal(rng, 5, OSCILLATORS, n)
    rotation = omega(OSCILLATORS * n, n, shared)
    for parameter in rotation.parameters():
        parameter.data = normal(rng, *parameter.shape)
    turned = rotation(x)
    torch.testing.assert_close((turned * x).sum(-1), torch.zeros(5, OSCILLATORS))
    assert turned.abs().max() > 0.1


def test_frequencies_are_lengths(rng):
    omega = PairFrequency(4, 2, init=0.7)
    x = normal(rng, 3, 2, 2)
    torch.testing.assert_close(omega(x), 0.7 * torch.stack([x[..., 1], -x[..., 0]], -1))
    omega.omg_param.data.zero_()
    omega(x).sum().backward()
    assert omega.omg_param.grad.eq(0).all()


def test_the_stimulus_is_normalised_by_oscillator(rng):
    layer = convolution_layer(rng, 4, c_norm="gn")
    layer.c_norm.weight.data.fill_(1.0)
    layer.c_norm.bias.data.zero_()
    c = layer.c_norm(3.0 + 2.0 * normal(rng, 2, *GRID, 8)).unflatten(-1, (2, 4))
    torch.testing.assert_close(c.mean((1, 2, 4)), torch.zeros(2, 2), atol=1e-12, rtol=0)
    torch.testing.assert_close(c.var((1, 2, 4), unbiased=False), torch.ones(2, 2), atol=1e-5, rtol=0)


def test_without_projection_the_whole_field_moves_the_state(rng):
    layer = KuramotoLayer(NoAction(), 4, 4, tangent=False)
    x, c = normal(rng, 1, 3, 4), normal(rng, 1, 3, 4)
    moved = torch.nn.functional.normalize(x, dim=-1) + 0.5 * c
    torch.testing.assert_close(layer(x, c, 1, 0.5), moved / moved.norm(dim=-1, keepdim=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer, x, c: layer(x[..., :5], c, 1), r"`x` must have shape \(B, \*grid, 8\)"),
        (lambda layer, x, c: layer(x, c[:, :2], 1), "`c` must have the shape of `x`"),
        (lambda layer, x, c: layer(x, c, 0), "`T` must be an integer and at least 1, but is 0"),
        (lambda layer, x, c: layer(x, c, 2.5), "`T` must be an integer and at least 1, but is 2.5"),
        (lambda layer, x, c: layer(x.long(), c, 1), "`x` must be floating point, but has dtype torch.int64"),
        (lambda layer, x, c: layer(x[:, 0], c[:, 0], 1), "2 axes between batch and channels"),
        (lambda layer, x, c: KuramotoLayer(NoAction(), 8, 3), "`ch` must be a multiple of n >= 2, but is 8 with n = 3"),
        (lambda layer, x, c: KuramotoLayer(NoAction(), 8, 4, omega_off="none"), "`omega_off` must be one of"),
        (lambda layer, x, c: KuramotoLayer(NoAction(), 8, 4, c_norm="bn"), "`c_norm` must be one of"),
        (
            lambda layer, x, c: KuramotoLayer(NoAction(), 8, 4, tangent=False, step="exponential"),
            "`step` must be 'euler'",
        ),
        (
            lambda layer, x, c: KuramotoLayer(NoAction(), 8, 4, tangent=False).solve(x, c, [0, 1]),
            "`tangent` must be True",
        ),
        (lambda layer, x, c: Convolution(8, 4), "`ksize` must be odd, but is 4"),
        (lambda layer, x, c: Convolution(8, 3, 3), "`dims` must be 1 or 2, but is 3"),
        (
            lambda layer, x, c: DenseMap(8, (2, 2))(x),
            r"`x` must have the grid of the layer, \(2, 2\), but has \(3, 4\)",
        ),
        (
            lambda layer, x, c: kuramoto_layer("dense", 8, 4),
            "`at` must be the size of the grid for J='dense', but is None",
        ),
        (lambda layer, x, c: kuramoto_layer("attn", 8, 4, symmetric=True), "`symmetric` must be False for J='attn'"),
        (lambda layer, x, c: PairFrequency(7, 2), "`ch` must be a multiple of n >= 2, but is 7"),
        (lambda layer, x, c: Antisymmetric(7, 2), "`ch` must be a multiple of n >= 2, but is 7"),
        (lambda layer, x, c: layer(x, c, 1, torch.ones(2)), r"`gamma` must be one number, but has shape \(2,\)"),
    ],
)
def test_mistakes_are_named(rng, call, message):
    layer = convolution_layer(rng, 4)
    with pytest.raises((ValueError, TypeError), match=message):
        call(layer, *pair(rng, layer))
