"""torchdiffeq's solvers and its continuous adjoint: right where they answer, refused where they would be wrong."""

import numpy as np
import pytest
import torch
import torchdiffeq

from oscillators import Dense, InertialKuramoto, Kuramoto, MeanField, StuartLandau, integrate
from tests.contracts.members import FAMILIES, names
from tests.contracts.members import N as NODES
from tests.derivatives import (
    SAME,
    Network,
    T,
    along,
    assert_equal_gradients,
    finite_difference,
    gradients,
    loss,
    network,
    tensors,
    weights,
)

N = 5
THETA, OMEGA, K = np.linspace(0.2, 2.0, N), np.linspace(-1.0, 1.0, N), weights(N)
NET = network(Kuramoto(OMEGA, 0.3), Dense(K), THETA, np.full((N, 2), 0.4))

UNPROJECTED = [m for m in FAMILIES if m.system.kind != "vector"]  # torchdiffeq does not project after each step
STEPPING = ["midpoint", "heun2", "heun3", "rk4_38", "implicit_adams", "fixed_adams"]
CONTROLLED = ["bosh3", "fehlberg2", "adaptive_heun", "dopri8"]


# Synchronised networks, where a continuous adjoint that runs back from the end is wrong without a sign of it


def synchronising(spread: float, strength: float, nodes: int, T: float) -> Network:
    """R²(T) of a network that synchronises, as a function of its coupling: only the end is saved."""
    rng = np.random.default_rng(0)
    omega, K = spread * rng.normal(size=nodes), strength / nodes * (1 + 0.2 * rng.normal(size=(nodes, nodes)))
    theta = rng.uniform(-np.pi, np.pi, nodes)
    return Network(lambda K: {"system": Kuramoto(omega), "coupling": K, "x0": theta, "t": np.array([0.0, T])}, {"K": K})


def coherence_gradient(net: Network, **options) -> torch.Tensor:
    """dR²(T)/dK."""
    at = tensors(net.at)
    theta = integrate(**net.make(**at), **options)[-1]
    (theta.cos().mean() ** 2 + theta.sin().mean() ** 2).backward()
    return at["K"].grad


def relative_error(have: torch.Tensor, want: torch.Tensor) -> float:
    return float((have - want).norm() / want.norm())


def assert_right_in_every_way(net: Network, dt: float):
    exact = coherence_gradient(net, dt=dt / 10)  # steps of order 4: an error 1e-4 times as large
    assert exact.norm() > 1e-5
    assert relative_error(coherence_gradient(net, dt=dt), exact) < 1e-6
    assert relative_error(coherence_gradient(net, dt=dt, gradient="adjoint"), exact) < 1e-6
    assert relative_error(coherence_gradient(net, method="dopri5", gradient="adjoint"), exact) < 1e-6
    tight = {"rtol": 1e-9, "atol": 1e-11}
    assert relative_error(coherence_gradient(net, method="dopri5", **tight), exact) < 1e-6


@pytest.mark.parametrize(("spread", "strength", "T"), [(0.5, 3.0, 2.0), (0.5, 3.0, 5.0), (1.0, 6.0, 3.0)])
def test_gradients_of_a_small_synchronised_network_are_right(spread, strength, T):
    assert_right_in_every_way(synchronising(spread, strength, 8, T), dt=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("spread", "strength", "T"), [(0.5, 3.0, 5.0), (0.5, 3.0, 20.0), (1.0, 6.0, 20.0)])
def test_gradients_of_a_synchronised_network_are_right(spread, strength, T):
    assert_right_in_every_way(synchronising(spread, strength, 64, T), dt=0.05)


def test_the_plain_adjoint_of_a_synchronised_network_is_wrong():
    """Why there is a guard: the same adjoint without it, from the end back to the start in one solve."""
    net = synchronising(0.5, 3.0, 6, 12.0)
    arguments = net.make(**net.at)
    omega, theta = torch.tensor(arguments["system"].omega), torch.tensor(arguments["x0"])
    K = torch.tensor(net.at["K"], requires_grad=True)

    def velocity(t, x):
        return omega + (K * (x - x[:, None]).sin()).sum(-1)

    x = torchdiffeq.odeint_adjoint(
        velocity, theta, torch.tensor(arguments["t"]), rtol=1e-6, atol=1e-9, adjoint_params=(K,)
    )
    (x[-1].cos().mean() ** 2 + x[-1].sin().mean() ** 2).backward()
    exact = coherence_gradient(net, dt=0.01)
    assert relative_error(K.grad, exact) > 1.0
    assert relative_error(coherence_gradient(net, method="dopri5", gradient="adjoint"), exact) < 1e-6


@pytest.mark.parametrize("strength", [60.0, 600.0])
def test_an_adjoint_that_would_be_wrong_is_refused(strength):
    theta = torch.tensor(THETA, requires_grad=True)
    with pytest.raises(
        FloatingPointError, match=r"`gradient` must not be 'adjoint' .* misses .* use gradient='discrete'"
    ):
        integrate(Kuramoto(OMEGA), MeanField(strength), theta, [0.0, 1.0], dt=0.04, gradient="adjoint")


def test_an_adjoint_whose_way_back_leads_to_infinity_is_taken_in_shorter_pieces():
    """Amplitudes contract at the rate 2λ; run backward for long, a tiny excess leaves for infinity in finite time."""
    z = torch.tensor(np.exp(1j * THETA), requires_grad=True)

    def gradient(**options):
        x = integrate(StuartLandau(50.0, OMEGA), 0.5, z, [0.0, 0.5], **options)
        return torch.autograd.grad(x.real.sum(), z)[0]

    exact = gradient(dt=1e-4)
    have = gradient(method="dopri5", gradient="adjoint")
    torch.testing.assert_close(have, exact, rtol=0, atol=1e-5 * float(exact.abs().max()))  # its tolerance, over the run


# The adjoint of every family


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_the_adjoint_of_every_family_has_the_gradient_of_the_flow(member):
    net = network(member.system, Dense(weights(NODES)), member.state, member.field())
    t = [0.0, 0.2, 0.5]
    exact = gradients(net, t=t, method="rk4", dt=2e-3)
    assert_equal_gradients(gradients(net, t=t, method="dopri5", gradient="adjoint"), exact, 1e-6)  # its tolerance


@pytest.mark.parametrize("member", UNPROJECTED, ids=names(UNPROJECTED))
@pytest.mark.parametrize(("method", "dt"), [("euler", 1e-4), ("heun", 0.01), ("rk4", 0.05)])
def test_our_methods_take_their_own_steps_under_torchdiffeq(member, method, dt):
    net = network(member.system, Dense(weights(NODES) / 4), member.state)
    arguments = net.make(**tensors(net.at)) | {"t": [0.0, 5 * dt, 9 * dt], "method": method, "dt": dt}
    ours = integrate(**arguments)
    torch.testing.assert_close(integrate(**arguments, gradient="adjoint"), ours, rtol=0, atol=SAME)


def test_the_adjoint_takes_members_with_their_own_coupling():
    K_of = np.stack([K, -K])
    net = network(Kuramoto(OMEGA), Dense(K_of), np.stack([THETA, THETA[::-1]]))
    exact = gradients(net, method="rk4", dt=2e-3)
    assert_equal_gradients(gradients(net, method="dopri5", gradient="adjoint"), exact, 1e-6)


def test_the_adjoint_takes_a_drive_that_moves_without_parameters():
    def make(theta, K):
        force = lambda t: torch.stack([torch.cos(torch.as_tensor(2.0 * t)), torch.zeros(())]).double()  # noqa: E731
        return {"system": Kuramoto(OMEGA), "coupling": K, "x0": theta, "drive": force}

    net = Network(make, {"theta": THETA, "K": K})
    exact = gradients(net, method="rk4", dt=2e-3)
    assert_equal_gradients(gradients(net, method="dopri5", gradient="adjoint"), exact, 1e-6)


def test_single_precision_has_an_adjoint():
    theta = torch.tensor(THETA, dtype=torch.float32, requires_grad=True)
    loose = {"method": "dopri5", "rtol": 1e-3, "atol": 1e-4}
    x = integrate(Kuramoto(OMEGA), K, theta, T, gradient="adjoint", **loose)
    loss(x).backward()
    wide = gradients(network(Kuramoto(OMEGA), Dense(K), THETA), method="rk4", dt=0.01)
    assert x.dtype == theta.grad.dtype == torch.float32
    np.testing.assert_allclose(theta.grad.numpy(), wide["state"], rtol=0, atol=2e-3 * np.abs(wide["state"]).max())


# torchdiffeq's own methods


@pytest.mark.parametrize("gradient", ["adjoint", "backprop"])
@pytest.mark.parametrize("method", STEPPING + CONTROLLED)
def test_methods_of_torchdiffeq_have_the_gradient_of_the_flow(method, gradient):
    rtol = 1e-3 if gradient == "adjoint" else 1e-5  # the adjoint asks its solver for a hundredth
    options = {"dt": 0.01} if method in STEPPING else {"rtol": rtol, "atol": rtol / 100}
    exact = gradients(NET, method="rk4", dt=2e-3)
    found = gradients(NET, method=method, gradient=gradient, **options)
    assert_equal_gradients(found, exact, 1e-2)  # a few times the tolerance, or dt² = 1e-4 times a derivative


def test_backpropagation_through_its_steps_meets_finite_differences():
    found = along(NET, gradients(NET, method="dopri5", gradient="backprop", rtol=1e-11, atol=1e-11))
    assert found == pytest.approx(finite_difference(NET, method="rk4", dt=1e-3), rel=1e-8, abs=1e-8)


def test_its_rk4_is_the_three_eighths_rule_and_ours_the_classical_one():
    f = lambda t, x: torch.tensor(OMEGA) + torch.sin(x.roll(1) - x)  # noqa: E731
    t = torch.tensor([0.0, 0.3], dtype=torch.float64)
    x0 = torch.tensor(THETA)
    want = torchdiffeq.odeint(f, x0, t, method="rk4")[-1]
    ring = np.roll(np.eye(N), -1, axis=1)
    have = integrate(Kuramoto(OMEGA), ring, x0, t, method="rk4_38", dt=0.3, gradient="backprop")[-1]
    torch.testing.assert_close(have, want, rtol=0, atol=SAME)
    h, k1 = 0.3, f(0, x0)
    k2 = f(0, x0 + h / 2 * k1)
    k3 = f(0, x0 + h / 2 * k2)
    k4 = f(0, x0 + h * k3)
    classical = x0 + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    assert (classical - want).abs().max() > 1e-6
    for gradient in ("discrete", "adjoint", "backprop"):
        have = integrate(Kuramoto(OMEGA), ring, x0, t, dt=0.3, gradient=gradient)[-1]
        torch.testing.assert_close(have, classical, rtol=0, atol=SAME)


class Counted(torch.nn.Module):
    """No coupling, and how often it was asked."""

    calls = 0

    def forward(self, g):
        self.calls += 1
        return 0.0 * g


def test_its_options_reach_its_solvers():
    def calls(**options):
        module = Counted()
        with torch.no_grad():
            integrate(Kuramoto(OMEGA), module, THETA, [0.0, 1.0], method="bosh3", gradient="backprop", options=options)
        return module.calls

    assert calls(max_step=0.01) >= 300  # three stages for each of a hundred steps
    assert calls() < 100


def test_a_second_order_system_is_run_by_torchdiffeq():
    net = network(InertialKuramoto(OMEGA), Dense(K), np.stack([THETA, OMEGA], -1))
    exact = gradients(net, method="rk4", dt=2e-3)
    found = gradients(net, method="dopri8", gradient="backprop", rtol=1e-9)
    assert_equal_gradients(found, exact, 1e-5)  # between its long steps it interpolates with order 4
