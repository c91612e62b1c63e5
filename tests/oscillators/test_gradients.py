"""What `integrate` differentiates besides states and parameters, and what it takes and gives."""

from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch

from oscillators import (
    Coupling,
    Delayed,
    Dense,
    Edges,
    InertialKuramoto,
    Kuramoto,
    MeanField,
    StuartLandau,
    System,
    integrate,
    simulate,
)
from tests.contracts.members import FAMILIES, names
from tests.contracts.members import N as NODES
from tests.contracts.members import tensors as on_tensors
from tests.derivatives import (
    DT,
    SAME,
    Network,
    T,
    assert_equal_gradients,
    assert_three_ways,
    gradients,
    integrated,
    loss,
    network,
    tensors,
    weights,
)

N = 5
THETA, OMEGA = np.linspace(0.2, 2.0, N), np.linspace(-1.0, 1.0, N)
K = weights(N)
rng = np.random.default_rng(0)


def phases(**more) -> dict:
    """Parameters of a small network."""
    return {"theta": THETA, "omega": OMEGA, "K": K} | more


def moving(drive, **more) -> Network:
    """A network with a moving drive that is a function of t and of its own parameters."""

    def make(theta, omega, K, **own):
        return {
            "system": Kuramoto(omega, 0.3),
            "coupling": K,
            "x0": theta,
            "drive": lambda t: drive(t, **own),
        }

    return Network(make, phases(**more))


# Times


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_times_are_differentiated(method):
    def make(theta, omega, K, t, c):
        return {"system": Kuramoto(omega), "coupling": K, "x0": theta, "t": t, "drive": c}

    assert_three_ways(Network(make, phases(t=T, c=rng.normal(size=(N, 2)))), method=method, dt=DT)


def test_the_times_of_a_second_order_system_are_differentiated():
    def make(x, omega, K, t):
        return {"system": InertialKuramoto(omega), "coupling": K, "x0": x, "t": t}

    net = Network(make, {"x": rng.normal(size=(N, 2)), "omega": OMEGA, "K": K, "t": T})
    for method in ("semi_implicit_euler", "rk4"):
        assert_three_ways(net, method=method, dt=DT)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_learned_step_is_differentiated(method):
    """Steps of length h, as the networks have them that learn γ in x <- x + γ f(x)."""

    def make(theta, omega, K, h):
        return {"system": Kuramoto(omega), "coupling": K, "x0": theta, "t": h * like(h, np.arange(6.0))}

    assert_three_ways(Network(make, phases(h=np.array(0.21))), method=method, dt=0.3)


def like(p, values):
    """Constants beside a parameter: NumPy or torch."""
    return torch.tensor(values) if isinstance(p, torch.Tensor) else values


# Drives


def turning(t, strength, rate):
    """A force per node that turns."""
    xp = torch if isinstance(strength, torch.Tensor) else np
    return strength[:, None] * xp.stack([xp.cos(rate * t), xp.sin(rate * t)])


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_a_moving_drive_is_differentiated(method):
    net = moving(turning, strength=rng.normal(size=N), rate=np.array(2.1))
    assert_three_ways(net, method=method, dt=DT)


@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
def test_a_moving_drive_is_differentiated_along_adaptive_steps(method):
    net = moving(turning, strength=rng.normal(size=N), rate=np.array(2.1))
    tight = gradients(net, method=method, rtol=1e-12, atol=1e-12)
    assert_equal_gradients(tight, gradients(net, method="rk4", dt=2e-3), 1e-9)  # steps of order 4: (2e-3)⁴ = 2e-11


def test_a_drive_that_sets_in_late_is_differentiated():
    net = moving(lambda t, a: a * (t > 0.5), a=rng.normal(size=(N, 2)))
    assert_three_ways(net, method="rk4", dt=DT)


def test_a_moving_drive_without_parameters_leaves_the_others_their_gradients():
    def pulse(t):
        return np.full((N, 2), np.cos(3.0 * t))

    assert_three_ways(moving(pulse), method="rk4", dt=DT)


@pytest.mark.parametrize("shape", [(2,), (N, 2), (1, 2), (3, 1, 2), (3, N, 2)], ids=str)
@pytest.mark.parametrize("constant", [True, False], ids=["constant", "moving"])
def test_drives_of_every_shape_are_differentiated(shape, constant):
    def make(theta, c):
        return {"system": Kuramoto(0.4), "coupling": K, "x0": theta, "drive": c if constant else lambda t: c * (1 + t)}

    net = Network(make, {"theta": rng.uniform(-1, 1, (3, N)), "c": rng.normal(size=shape)})
    if len(shape) < 3:
        assert_three_ways(net, method="rk4", dt=DT)
    assert_equal_gradients(
        gradients(net, method="rk4", dt=DT), gradients(net, method="rk4", dt=DT, gradient="backprop")
    )


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "moving"])
def test_a_complex_drive_is_differentiated(constant):
    def make(re, im, a, b):
        c = a + 1j * b
        drive = c if constant else lambda t: c * (1 + t)
        return {"system": StuartLandau(1.0, 0.5), "coupling": K, "x0": re + 1j * im, "drive": drive}

    assert_three_ways(Network(make, dict(zip(("re", "im", "a", "b"), rng.normal(size=(4, N)), strict=True))), dt=DT)


# Histories


def test_a_complex_history_is_differentiated():
    def make(re, im, a, b, tau):
        past = lambda t: (a + t * b) + 1j * (b - t * a)  # noqa: E731
        return {
            "system": StuartLandau(1.0, 0.5), "coupling": Delayed(K, tau), "x0": re + 1j * im, "history": past,
            "t": np.array([0.0, 0.2, 0.6]),
        }  # fmt: skip

    at = dict(zip(("re", "im", "a", "b"), rng.normal(size=(4, N)), strict=True))
    assert_three_ways(Network(make, at | {"tau": np.array(0.23)}), dt=DT)


def test_a_constant_history_equals_a_function_that_returns_it():
    def run(history):
        c = torch.tensor(OMEGA, requires_grad=True)
        x = integrate(Kuramoto(0.2), Delayed(K, 0.23), THETA, T, dt=DT, history=history(c))
        loss(x).backward()
        return x, c.grad

    for a, b in zip(run(lambda c: c), run(lambda c: lambda t: c), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=SAME)


def test_the_slope_in_a_delay_of_whole_steps_lies_between_those_of_its_two_sides():
    """A stage then looks at the very start of the run, where the past has a kink."""

    def slope(tau):
        p = torch.tensor(tau, dtype=torch.float64, requires_grad=True)
        past = lambda t: THETA + t * OMEGA  # noqa: E731
        loss(integrate(Kuramoto(OMEGA), Delayed(K, p), THETA, [0.0, 0.4, 1.0], dt=DT, history=past)).backward()
        return float(p.grad)

    left, right = slope(0.2 - 1e-7), slope(0.2 + 1e-7)
    assert abs(right - left) > 1e-4
    assert min(left, right) - 1e-6 <= slope(0.2) <= max(left, right) + 1e-6


class OwnPast(InertialKuramoto):
    """A user's system that does not say how its lift moves."""

    tangent = System.tangent


def test_a_lift_without_tangent_is_differentiated_through_delays():
    def make(x, omega, K, tau):
        return {
            "system": OwnPast(omega), "coupling": Delayed(K, tau), "x0": x, "history": x, "t": np.array([0.0, 0.2, 0.6]),
        }  # fmt: skip

    net = Network(make, {"x": rng.normal(size=(N, 2)), "omega": OMEGA, "K": K, "tau": np.array(0.23)})
    exact, graph = gradients(net, dt=DT), gradients(net, dt=DT, gradient="backprop")
    assert_equal_gradients(exact, graph)
    known = Network(lambda **at: make(**at) | {"system": InertialKuramoto(at["omega"])}, net.at)
    # Differences over 6e-6 are right to 1e-16 / 6e-6 + (6e-6)² = 5e-11; their derivatives to that over the step.
    assert_equal_gradients(exact, gradients(known, dt=DT), 1e-8)


# What goes in


def test_arrays_become_tensors_beside_the_state():
    for dtype in (torch.float32, torch.float64):
        theta = torch.tensor(THETA, dtype=dtype, requires_grad=True)
        x = integrate(Kuramoto(OMEGA, 0.1), K, theta, T, dt=DT, drive=np.ones((N, 2)))
        loss(x).backward()
        assert x.dtype == theta.grad.dtype == dtype


def test_arrays_alone_give_a_tensor_without_gradient():
    x = integrate(Kuramoto(OMEGA), K, THETA, T, dt=DT)
    assert x.dtype == torch.float64
    assert not x.requires_grad
    want = simulate(Kuramoto(OMEGA), K, THETA, T, method="rk4", dt=DT).theta.values
    np.testing.assert_array_equal(x.numpy(), want)  # the same compiled loop


def graph_of(K):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(N))
    graph.add_weighted_edges_from((j, i, K[i, j]) for i, j in np.ndindex(N, N))
    return graph


@pytest.mark.parametrize("spelling", [lambda K: K, Dense, scipy.sparse.csr_array, graph_of, torch.tensor])
def test_every_spelling_of_a_coupling_is_taken(spelling):
    def theta_grad(coupling):
        theta = torch.tensor(THETA, requires_grad=True)
        loss(integrate(Kuramoto(OMEGA), coupling, theta, T, dt=DT)).backward()
        return theta.grad

    torch.testing.assert_close(theta_grad(spelling(K)), theta_grad(K), rtol=0, atol=SAME)


def test_states_of_other_layouts_run_like_plain_ones():
    z = torch.randn(N, 3, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    system = StuartLandau(1.0, 0.5)
    want = integrate(system, K, z.mT.conj().resolve_conj().contiguous(), T, dt=DT)
    assert torch.equal(integrate(system, K, z.mT.conj(), T, dt=DT), want)
    theta = torch.tensor(THETA)
    want = integrate(Kuramoto(OMEGA), K, theta.repeat(3, 1), T, dt=DT)
    assert torch.equal(integrate(Kuramoto(OMEGA), K, theta.expand(3, N), T, dt=DT), want)
    wide = torch.tensor(np.repeat(THETA, 2))
    assert torch.equal(integrate(Kuramoto(OMEGA), K, wide[::2], T, dt=DT), want[:, 0])


def test_one_node_is_a_network():
    theta = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    omega = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    x = integrate(Kuramoto(omega), 0.0, theta, T, dt=DT)
    x.sum().backward()
    assert theta.grad.item() == pytest.approx(len(T))  # θ = θ0 + ωt
    assert omega.grad.item() == pytest.approx(T.sum())


# A user's system and coupling


@dataclass(frozen=True)
class Cubic(System):
    """dx/dt = a x - x³ + h: a law, and nothing else."""

    a: Any

    def law(self, t, x, h):
        return self.a * x - x**3 + h[..., 0]


@dataclass(frozen=True)
class Fading(System):
    """dx/dt = (a - t²) x + h: a law that changes with time."""

    a: Any

    def law(self, t, x, h):
        return (self.a - t**2) * x + h[..., 0]


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_the_times_of_a_law_that_changes_with_time_are_differentiated(method):
    def make(x, a, K, t):
        return {"system": Fading(a), "coupling": K, "x0": x, "t": t}

    assert_three_ways(Network(make, {"x": THETA, "a": OMEGA, "K": K, "t": T}), method=method, dt=DT)


@dataclass(frozen=True)
class Powers(Coupling):
    """A coupling that is linear in g and not in its parameter."""

    base: Any

    def field(self, g):
        return self.base[:, None] ** 2 * (g - g[..., :1, :])


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_three_ways_agree_for_what_a_user_writes(method):
    for system, coupling in ((Cubic(OMEGA), Dense(K)), (Kuramoto(OMEGA), Powers(THETA)), (Cubic(OMEGA), Powers(THETA))):
        assert_three_ways(network(system, coupling, THETA), method=method, dt=DT)


# What comes out


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_the_first_row_is_the_start(member):
    x0 = torch.tensor(member.x0, requires_grad=True)
    x = integrate(on_tensors(member.system), 0.3, x0, T, method="rk4", dt=DT)
    assert x.shape == (len(T), *x0.shape)
    assert torch.equal(x[0], x0)
    (bar,) = torch.autograd.grad(x[0].abs().square().sum(), x0)
    torch.testing.assert_close(bar, 2 * x0.detach(), rtol=0, atol=SAME)


def test_only_what_asks_for_a_gradient_gets_one():
    theta, omega = torch.tensor(THETA), torch.tensor(OMEGA, requires_grad=True)
    x = integrate(Kuramoto(omega), torch.tensor(K), theta, T, dt=DT)
    loss(x).backward()
    assert omega.grad is not None
    assert theta.grad is None


@pytest.mark.parametrize("gradient", ["discrete", "adjoint", "backprop"])
@pytest.mark.parametrize("options", [{"method": "rk4", "dt": DT}, {"method": "dopri5"}], ids=["rk4", "dopri5"])
def test_a_run_without_gradients_gives_the_same_numbers(gradient, options):
    at = tensors(network(Kuramoto(OMEGA), Dense(K), THETA).at)
    net = network(Kuramoto(OMEGA), Dense(K), THETA)
    with torch.no_grad():
        quiet = integrated(net, at, gradient=gradient, **options)
    x = integrated(net, at, gradient=gradient, **options)
    assert not quiet.requires_grad
    assert x.requires_grad
    torch.testing.assert_close(quiet, x.detach(), rtol=0, atol=1e-9 if "rtol" in options else SAME)


def test_the_three_ways_of_a_gradient_have_one_shape_and_value():
    net = network(Kuramoto(OMEGA), Dense(K), THETA)
    runs = [integrated(net, tensors(net.at), dt=DT, gradient=g) for g in ("discrete", "adjoint", "backprop")]
    for x in runs[1:]:
        torch.testing.assert_close(x, runs[0], rtol=0, atol=SAME)


# Devices


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize(
    "coupling",
    [
        Dense(weights(NODES)),
        MeanField(1.5),
        Edges([0, 2, 6], [1, 1, 0], [0.3, -1.0, 2.0], 7),
        Delayed(Dense(weights(NODES)), 0.23),
    ],
    ids=["dense", "mean field", "edges", "delayed"],
)
@pytest.mark.parametrize("method", ["rk4", "tsit5"])
def test_another_device_gives_the_gradient_of_the_processor(member, coupling, method, elsewhere):
    if method == "tsit5" and isinstance(coupling, Delayed):
        pytest.skip("delays need fixed steps")
    net = network(member.system, coupling, member.state)
    options = {"method": method, "dt": DT} if method == "rk4" else {"method": method}
    options |= {"history": member.x0} if isinstance(coupling, Delayed) else {}
    found = []
    for device in (torch.device("cpu"), torch.device(elsewhere)):
        at = tensors(net.at, device=device)
        x = integrated(net, at, **options)
        assert x.device == device
        loss(x).backward()
        found.append({name: p.grad.cpu().numpy() for name, p in at.items()})
    assert_equal_gradients(found[1], found[0], 1e-9)  # adaptive steps may part in their last bits
