"""Torch modules as couplings: differentiated like any other, and simulated as they are."""

import numpy as np
import pytest
import torch

from oscillators import Delayed, Dense, Kuramoto, StuartLandau, as_coupling, integrate, simulate
from oscillators.learned import Learned
from tests.contracts.members import FAMILIES, N, names
from tests.derivatives import (
    DT,
    Network,
    T,
    assert_equal_gradients,
    assert_three_ways,
    gradients,
    loss,
    weights,
)

THETA, OMEGA, K = np.linspace(0.2, 2.0, N), np.linspace(-1.0, 1.0, N), weights(N)


class Linear(torch.nn.Module):
    """h = W g with W as the parameter."""

    def __init__(self, W):
        super().__init__()
        self.W = torch.nn.Parameter(torch.as_tensor(W))

    def forward(self, g):
        return self.W @ g


class Saturating(torch.nn.Module):
    """h = tanh(W g A) + b g: nonlinear, with components mixed, and a buffer."""

    def __init__(self, W, A):
        super().__init__()
        self.W, self.A = torch.nn.Parameter(torch.as_tensor(W)), torch.nn.Parameter(torch.as_tensor(A))
        self.register_buffer("b", torch.linspace(0.1, 0.5, N, dtype=torch.float64)[:, None])

    def forward(self, g):
        return torch.tanh(self.W @ g @ self.A) + self.b * g


def learned(build, **weights):
    """A run whose weights are those of the module: set before `simulate`, read from `weights` by `integrate`."""

    def make(theta, omega, c, **own):
        tensors = any(isinstance(p, torch.Tensor) for p in own.values())
        coupling = Learned(build(**weights), own) if tensors else build(**own)
        return {"system": Kuramoto(omega), "coupling": coupling, "x0": theta, "drive": c}

    rng = np.random.default_rng(1)
    return Network(make, {"theta": THETA, "omega": OMEGA, "c": rng.normal(size=(N, 2))} | weights)


NETWORKS = {
    "linear": learned(Linear, W=K),
    "nonlinear": learned(Saturating, W=K, A=np.array([[0.5, -1.0], [0.8, 0.3]])),
}
each = pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)


@each
@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_three_ways_agree_for_a_module(net, method):
    assert_three_ways(net, method=method, dt=DT)


@each
@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
def test_a_module_is_differentiated_along_adaptive_steps(net, method):
    exact = gradients(net, method="rk4", dt=2e-3)  # steps of order 4: (2e-3)⁴ = 2e-11 times a derivative
    assert_equal_gradients(gradients(net, method=method, rtol=1e-12, atol=1e-12), exact, 1e-9)


@each
def test_a_module_has_an_adjoint(net):
    exact = gradients(net, method="rk4", dt=5e-3)
    assert_equal_gradients(gradients(net, method="dopri5", gradient="adjoint"), exact, 1e-6)  # its tolerance


@each
def test_a_module_is_simulated_as_it_is_integrated(net):
    arguments = net.make(**net.at) | {"t": T, "method": "rk4", "dt": DT}
    want = simulate(**arguments).theta.values
    with torch.no_grad():
        np.testing.assert_allclose(integrate(**arguments).numpy(), want, rtol=0, atol=1e-12)


def test_a_linear_module_is_its_matrix():
    def gradient(wrap):
        W = torch.tensor(K, requires_grad=True)
        loss(integrate(Kuramoto(OMEGA), wrap(W), THETA, T, dt=DT)).backward()
        return W.grad

    module = Linear(K)
    have = gradient(lambda W: Learned(module, {"W": W}))
    torch.testing.assert_close(have, gradient(Dense), rtol=0, atol=1e-11)


def test_the_gradient_lands_in_the_parameters_of_the_module():
    module = Saturating(K, np.eye(2))
    loss(integrate(Kuramoto(OMEGA), module, THETA, T, dt=DT)).backward()
    graph = Saturating(K, np.eye(2))
    loss(integrate(Kuramoto(OMEGA), graph, THETA, T, dt=DT, gradient="backprop")).backward()
    for (name, p), q in zip(module.named_parameters(), graph.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, rtol=0, atol=1e-11, msg=name)
        assert p.grad.abs().max() > 1e-3


def test_a_parameter_that_is_frozen_stays_so():
    module = Saturating(K, np.eye(2))
    module.A.requires_grad_(False)
    loss(integrate(Kuramoto(OMEGA), module, THETA, T, dt=DT)).backward()
    assert module.A.grad is None
    assert module.W.grad.abs().max() > 1e-3


def test_training_a_module_brings_phases_together():
    module = Linear(0.1 * np.eye(N))
    steps = torch.optim.Adam(module.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        steps.zero_grad()
        theta = integrate(Kuramoto(OMEGA), module, THETA, [0.0, 2.0], dt=DT)[-1]
        spread = 1.0 - torch.hypot(theta.cos().mean(), theta.sin().mean())
        spread.backward()
        steps.step()
        losses.append(spread.item())
    assert losses[-1] < 0.1 * losses[0]
    assert sorted(losses, reverse=True)[:5] == losses[:5]


@pytest.mark.parametrize("tau", [0.23, 0.02 * np.arange(N) + 0.21], ids=["one delay", "per sender"])
def test_a_linear_module_is_delayed_like_a_matrix(tau):
    def gradient(coupling):
        theta, W = torch.tensor(THETA, requires_grad=True), torch.tensor(K, requires_grad=True)
        x = integrate(Kuramoto(OMEGA), Delayed(coupling(W), tau), theta, [0.0, 0.4, 1.0], dt=DT, history=theta)
        loss(x).backward()
        return theta.grad, W.grad

    module = Linear(K)
    for a, b in zip(gradient(lambda W: Learned(module, {"W": W})), gradient(Dense), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_every_family_takes_a_module(member):
    def gradient(coupling, **options):
        x0 = torch.tensor(member.x0, requires_grad=True)
        x = integrate(member.system, coupling, x0, T, dt=DT, **options)
        loss(x).backward()
        return x.detach(), x0.grad

    for a, b in zip(gradient(Linear(K)), gradient(K), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_a_batch_goes_through_a_module_at_once():
    net = NETWORKS["nonlinear"]
    batch = Network(net.make, net.at | {"theta": np.stack([THETA, THETA[::-1], 2 * THETA])})
    assert_equal_gradients(gradients(batch, dt=DT), gradients(batch, dt=DT, gradient="backprop"))


def test_single_precision_modules_run_in_single_precision():
    module = Saturating(K, np.eye(2)).float()
    x = integrate(Kuramoto(OMEGA), module, torch.tensor(THETA, dtype=torch.float32), T, dt=DT)
    loss(x).backward()
    assert x.dtype == module.W.grad.dtype == torch.float32
    wide = simulate(Kuramoto(OMEGA), Saturating(K, np.eye(2)), THETA, T, method="rk4", dt=DT).theta.values
    np.testing.assert_allclose(x.detach().numpy(), wide, rtol=0, atol=1e-5)
    # `simulate` calls it in its own precision and steps in double
    narrow = simulate(Kuramoto(OMEGA), module, THETA, T, method="rk4", dt=DT).theta.values
    np.testing.assert_allclose(narrow, wide, rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{"method": "rk4", "dt": DT}, {"method": "tsit5"}], ids=["rk4", "tsit5"])
def test_modules_are_simulated_for_ensembles_and_delays(options):
    module, past = Saturating(K, np.eye(2)), np.stack([THETA, OMEGA])
    couplings = [module, Delayed(module, 0.23)] if "dt" in options else [module]
    for coupling in couplings:
        want = simulate(Kuramoto(OMEGA), coupling, past, T, history=past, **options).theta.values
        have = integrate(Kuramoto(OMEGA), coupling, past, T, history=past, **options).detach().numpy()
        # adaptive steps belong to a member in `simulate`, and to the whole batch here
        np.testing.assert_allclose(have.swapaxes(0, 1), want, rtol=0, atol=1e-11 if "dt" in options else 1e-5)


def test_amplitudes_take_a_module():
    z = np.exp(1j * THETA)
    module = Saturating(K, np.eye(2))
    want = simulate(StuartLandau(1.0, OMEGA), module, z, T, method="rk4", dt=DT).z.values
    have = integrate(StuartLandau(1.0, OMEGA), module, z, T, dt=DT).detach().numpy()
    np.testing.assert_allclose(have, want, rtol=0, atol=1e-11)


def test_wrapping_a_module_twice_is_wrapping_it_once():
    module = Linear(K)
    assert as_coupling(as_coupling(module)).module is module
    assert dict(as_coupling(module).weights)["W"] is module.W


def test_a_run_does_not_change_its_module():
    module = Saturating(K, np.eye(2))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    loss(integrate(Kuramoto(OMEGA), module, THETA, T, dt=DT)).backward()
    simulate(Kuramoto(OMEGA), module, THETA, T, method="rk4", dt=DT)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.training


def test_a_module_that_answers_differently_is_refused():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5)).double()
    theta = integrate(Kuramoto(0.3), module, torch.linspace(0.0, 2.0, 5).double(), [0.0, 1.0], dt=0.1)
    with pytest.raises(RuntimeError, match=r"must return the same for the same arguments.*dropout"):
        theta[-1].sum().backward()
