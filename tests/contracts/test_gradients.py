"""What every differentiable run promises: the values of `simulate`, and a gradient on which three ways agree."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from oscillators import (
    Coupling,
    Delayed,
    Dense,
    Diffusive,
    Edges,
    Kuramoto,
    MeanField,
    Stencil,
    System,
    TopographicOscillators,
)
from oscillators.arrays import namespace
from tests.contracts.members import (
    COUPLINGS,
    FAMILIES,
    SYSTEMS,
    CouplingMember,
    N,
    SystemMember,
    names,
)
from tests.derivatives import (
    CLOSE,
    DT,
    SAME,
    Network,
    T,
    along,
    assert_equal_gradients,
    assert_three_ways,
    finite_difference,
    gradients,
    integrated,
    loss,
    network,
    simulated,
    tensors,
    weights,
    without_kernels,
)

SAME_STEPS = 1e-11  # values of the same steps: rounding of both, and its growth in the run
_K = Dense(weights(N))
_S = np.where(np.random.default_rng(1).uniform(size=(N, N)) < 0.5, weights(N), 0.0)

STEPPED = [
    pytest.param(member, {"method": method, "dt": DT}, id=f"{member.name}-{method}")
    for member in SYSTEMS
    for method in ("euler", "heun", "rk4", "semi_implicit_euler")
    if method != "semi_implicit_euler" or member.system.kind == "pair"
]
ADAPTIVE = [
    pytest.param(member, {"method": method, "rtol": 1e-5, "atol": 1e-7}, id=f"{member.name}-{method}")
    for member in SYSTEMS
    for method in ("dopri5", "tsit5")
]


def dense_network(member: SystemMember) -> Network:
    return network(member.system, _K, member.state, member.field())


def by_norm(member: CouplingMember, system: System = Kuramoto(0.3)) -> tuple[Network, dict]:  # noqa: B008
    """A network with the coupling, and a run as long as it takes the coupling to act."""
    theta = np.random.default_rng(4).uniform(-2, 2, member.nodes)
    scale = max(1.0, np.linalg.norm(member.K, 2))
    return network(system, member.coupling, theta), {"method": "heun", "t": T / scale, "dt": DT / scale}


def assert_values_of_simulate(net: Network, **options):
    with torch.no_grad():
        have = integrated(net, tensors(net.at), **options).numpy()
    np.testing.assert_allclose(have, simulated(net, net.at, **options), rtol=0, atol=SAME_STEPS)


# Systems


@pytest.mark.parametrize(("member", "options"), STEPPED)
def test_three_ways_agree_for_every_system(member, options):
    assert_three_ways(dense_network(member), **options)


@pytest.mark.parametrize(("member", "options"), STEPPED + ADAPTIVE)
def test_steps_of_every_system_are_those_of_simulate(member, options):
    assert_values_of_simulate(dense_network(member), **options)


@pytest.mark.parametrize("member", SYSTEMS, ids=names(SYSTEMS))
def test_adaptive_methods_have_the_gradient_of_the_flow(member):
    net = dense_network(member)
    flow = finite_difference(net, method="rk4", dt=1e-3)  # an error of 1e-12 times a derivative
    for method in ("dopri5", "tsit5"):
        found = along(net, gradients(net, method=method, rtol=1e-12, atol=1e-12))
        assert found == pytest.approx(flow, rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("member", SYSTEMS, ids=names(SYSTEMS))
def test_adaptive_steps_are_differentiated_as_they_were_taken(member):
    loose = {"method": "tsit5", "rtol": 1e-3, "atol": 1e-4}
    net = dense_network(member)
    assert_equal_gradients(gradients(net, **loose), gradients(net, **loose, gradient="backprop"))


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("build", [lambda system: system, without_kernels], ids=["compiled", "tensors"])
@pytest.mark.parametrize("method", ["rk4", "dopri5", "tsit5"])
def test_single_precision_stays_single(member, build, method):
    net = network(build(member.system), _K, member.state, member.field())
    options = {"method": method} | ({"dt": DT} if method == "rk4" else {"rtol": 1e-4, "atol": 1e-4})
    at = tensors(net.at, torch.float32)
    x = integrated(net, at, **options)
    loss(x).backward()
    assert x.dtype == (torch.complex64 if member.system.kind == "complex" else torch.float32)
    assert {p.grad.dtype for p in at.values()} == {torch.float32}
    have = {name: p.grad.double().numpy() for name, p in at.items()}
    # numbers rounded at 1e-7, which moves adaptive steps within their tolerance
    assert_equal_gradients(have, gradients(net, **options), 1e-5 if method == "rk4" else 2e-3)


@pytest.mark.parametrize(("member", "options"), STEPPED + ADAPTIVE)
def test_systems_without_kernels_have_the_same_gradient(member, options):
    bare = network(without_kernels(member.system), _K, member.state, member.field())
    rtol = 1e-10 if "rtol" in options else SAME  # adaptive steps differ as error estimates round
    assert_equal_gradients(gradients(bare, **options), gradients(dense_network(member), **options), rtol)


# Couplings


@pytest.mark.parametrize("member", COUPLINGS, ids=names(COUPLINGS))
def test_three_ways_agree_for_every_coupling(member):
    net, options = by_norm(member)
    assert_three_ways(net, **options)


@pytest.mark.parametrize("member", COUPLINGS, ids=names(COUPLINGS))
def test_couplings_on_tensors_have_the_same_gradient(member):
    net, options = by_norm(member)
    bare, _ = by_norm(member, without_kernels(Kuramoto(0.3)))
    assert_equal_gradients(gradients(bare, **options), gradients(net, **options))


@pytest.mark.parametrize("member", COUPLINGS, ids=names(COUPLINGS))
def test_steps_with_every_coupling_are_those_of_simulate(member):
    net, options = by_norm(member)
    assert_values_of_simulate(net, **options)


OF_MEMBERS = np.stack([_K.K, -0.5 * _K.K, np.eye(N)])
_target, _source = np.nonzero(_S)


@pytest.mark.parametrize(
    "coupling",
    [
        Dense(OF_MEMBERS),
        Diffusive(Dense(OF_MEMBERS)),
        MeanField(np.array([[0.5], [1.0], [-2.0]])),
        MeanField(np.linspace(-1, 1, 3 * N).reshape(3, N)),
        Edges(_source, _target, OF_MEMBERS[:, _target, _source], N),
    ],
    ids=["dense", "diffusive", "strength", "strength per node", "edges"],
)
@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_three_ways_agree_for_a_coupling_per_member(coupling, method):
    theta = np.random.default_rng(4).uniform(-2, 2, (3, N))
    net = network(Kuramoto(np.linspace(-1, 1, N)), coupling, theta)
    assert_three_ways(net, method=method, dt=DT)
    assert_values_of_simulate(net, method=method, dt=DT)


@dataclass(frozen=True)
class Reversed(Coupling):
    """A user's coupling, `field` only: everyone sees the node on the other side."""

    weight: Any

    def field(self, g):
        xp = namespace(g)
        return self.weight[:, None] * xp.flip(g, axis=-2)


@pytest.mark.parametrize("wrap", [lambda c: c, Diffusive], ids=["plain", "diffusive"])
@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_three_ways_agree_for_a_coupling_with_only_a_field(wrap, method):
    net = network(Kuramoto(OMEGA), wrap(Reversed(EACH)), EACH * 5)
    assert_three_ways(net, method=method, dt=DT)


# Delays. The cubics of two steps meet with one slope and two curvatures: on steps of 0.1 the delays below look at least
# 0.01 beside every meeting point, farther than finite differences move them.

EVEN = np.array([0.0, 0.2, 0.6, 1.0])
ONE, EACH = 0.23, 0.1 * np.array([2.3, 3.7, 1.2, 4.8, 2.2, 1.7, 3.3])
LINKS = 0.1 * (
    np.random.default_rng(3).integers(1, 4, (N, N)) + np.random.default_rng(4).choice([0.2, 0.3, 0.7, 0.8], (N, N))
)
OMEGA = np.linspace(-1, 1, N)


def delayed(coupling: Coupling, system: System = Kuramoto(OMEGA, 0.2), state: np.ndarray = EACH * 5) -> Network:  # noqa: B008
    """A network whose past is where it starts."""
    net = network(system, coupling, state)

    def make(**at):
        arguments = net.make(**at)
        return arguments | {"history": arguments["x0"], "t": EVEN}

    return Network(make, net.at)


DELAYS = {
    "one": Delayed(_K, ONE),
    "per sender": Delayed(_K, EACH),
    "per link": Delayed(_K, LINKS),
    "mean field": Delayed(MeanField(1.7), EACH),
    "edges": Delayed(Edges(_source, _target, _S[_target, _source], N), ONE),
    "edges, per sender": Delayed(Edges(_source, _target, _S[_target, _source], N), EACH),
    "edges, per link": Delayed(Edges(_source, _target, _S[_target, _source], N), LINKS[_target, _source]),
    "stencil": Delayed(Stencil(np.array([0.3, -0.8, 0.5])), EACH),
    "diffusive": Diffusive(Delayed(_K, EACH)),
    "diffusive, per link": Diffusive(Delayed(_K, LINKS)),
    "diffusive, edges": Diffusive(Delayed(Edges(_source, _target, _S[_target, _source], N), LINKS[_target, _source])),
}


@pytest.mark.parametrize("coupling", DELAYS.values(), ids=DELAYS)
@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_three_ways_agree_for_every_delay(coupling, method):
    assert_three_ways(delayed(coupling), method=method, dt=DT)


@pytest.mark.parametrize("coupling", DELAYS.values(), ids=DELAYS)
@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_delays_on_tensors_have_the_same_gradient(coupling, method):
    bare = delayed(coupling, without_kernels(Kuramoto(OMEGA, 0.2)))
    assert_equal_gradients(gradients(bare, method=method, dt=DT), gradients(delayed(coupling), method=method, dt=DT))


@pytest.mark.parametrize("coupling", DELAYS.values(), ids=DELAYS)
def test_delayed_steps_are_those_of_simulate(coupling):
    assert_values_of_simulate(delayed(coupling), method="rk4", dt=DT)


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("coupling", [Delayed(_K, EACH), Delayed(_K, LINKS)], ids=["per sender", "per link"])
def test_three_ways_agree_for_every_delayed_system(member, coupling):
    assert_three_ways(delayed(coupling, member.system, member.state), method="rk4", dt=DT)
    assert_values_of_simulate(delayed(coupling, member.system, member.state), method="rk4", dt=DT)


@pytest.mark.parametrize("tau", [ONE, EACH, LINKS], ids=["one", "per sender", "per link"])
@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_three_ways_agree_for_a_moving_past(tau, method):
    def make(theta, omega, tau, bend):
        past = lambda t: theta + omega * t + bend * t**2  # noqa: E731
        return {"system": Kuramoto(omega), "coupling": Delayed(_K.K, tau), "x0": theta, "history": past, "t": EVEN}

    net = Network(make, {"theta": EACH * 5, "omega": OMEGA, "tau": np.asarray(tau), "bend": EACH})
    assert_three_ways(net, method=method, dt=DT)


@pytest.mark.parametrize("tau", [EACH, LINKS], ids=["per sender", "per link"])
def test_three_ways_agree_for_a_batch_of_delayed_networks(tau):
    state = np.random.default_rng(5).uniform(-2, 2, (2, N))
    net = network(Kuramoto(OMEGA), Delayed(Dense(OF_MEMBERS[:2]), tau), state)
    past = Network(lambda **at: net.make(**at) | {"history": 0.5 * at["state"], "t": EVEN}, net.at)
    assert_three_ways(past, method="rk4", dt=DT)


@pytest.mark.parametrize("system", [Kuramoto(OMEGA), without_kernels(Kuramoto(OMEGA))], ids=["compiled", "tensors"])
def test_three_ways_agree_for_delays_over_steps_of_three_lengths(system):
    # of the sizes 0.065, 0.08 and 0.0875; these delays look 0.007 beside the ends of all of them
    tau = np.array([0.1125, 0.1925, 0.2325, 0.313, 0.4, 0.1925, 0.2325])
    net = delayed(Delayed(_K, tau), system)
    assert_three_ways(Network(lambda **at: net.make(**at) | {"t": T}, net.at), method="rk4", dt=DT)


def test_three_ways_agree_for_a_lattice_of_delays():
    kernel = np.array([[0.2, 0.4, -0.1], [0.5, 0.0, 0.3], [0.1, -0.6, 0.2]])
    tau = 0.1 * np.array([[2.3], [3.7], [1.2], [2.8]])
    state = np.random.default_rng(6).normal(size=(4, 5, 2))
    net = network(TopographicOscillators(0.8, 0.2), Delayed(Stencil(kernel), tau), state)
    past = Network(lambda **at: net.make(**at) | {"history": at["state"], "t": EVEN}, net.at)
    assert_three_ways(past, method="rk4", dt=DT)
    assert_values_of_simulate(past, method="rk4", dt=DT)


# Batches


def member_and_alone(single: Network, **options) -> tuple[tuple, tuple]:
    """States and gradients of one member of a batch of eleven, and of its run alone."""
    state = np.stack([np.roll(single.at["state"], r, axis=0) for r in range(11)])
    batch, alone = tensors(single.at | {"state": state}), tensors(single.at | {"state": state[3]})
    rows, row = integrated(single, batch, **options)[:, 3], integrated(single, alone, **options)
    found = []
    for x, at in ((rows, batch), (row, alone)):
        loss(x).backward()
        found.append((x.detach(), {name: p.grad for name, p in at.items()}))
    others = found[0][1]["state"][[0, 1, 2, *range(4, 11)]]
    assert not others.any()
    found[0][1]["state"] = found[0][1]["state"][3]
    return found[0], found[1]


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_a_member_of_a_batch_equals_its_run_alone_bit_for_bit(member, method):
    (x, at), (y, want) = member_and_alone(dense_network(member), method=method, dt=DT)
    assert torch.equal(x, y)
    assert torch.equal(at["state"], want["state"])
    for name in want:  # a sum over more members, though all others give zero, rounds elsewhere
        torch.testing.assert_close(at[name], want[name], rtol=0, atol=SAME * max(1.0, float(want[name].abs().max())))


SMALL = [member for member in COUPLINGS if member.nodes == (N,)]


@pytest.mark.parametrize("member", SMALL, ids=names(SMALL))
def test_a_member_of_a_batch_with_every_coupling_equals_its_run_alone_bit_for_bit(member):
    net = network(Kuramoto(OMEGA, 0.2), member.coupling, EACH * 5)
    (x, at), (y, want) = member_and_alone(net, method="rk4", dt=DT)
    assert torch.equal(x, y)
    assert torch.equal(at["state"], want["state"])


@pytest.mark.parametrize("coupling", DELAYS.values(), ids=DELAYS)
def test_a_member_of_a_delayed_batch_equals_its_run_alone_bit_for_bit(coupling):
    (x, at), (y, want) = member_and_alone(delayed(coupling), method="rk4", dt=DT)
    assert torch.equal(x, y)
    assert torch.equal(at["state"], want["state"])


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_a_member_of_a_batch_on_tensors_equals_its_run_alone(member):
    """Up to rounding: a matrix product sums in an order that depends on its width."""
    bare = network(without_kernels(member.system), _K, member.state, member.field())
    (x, at), (y, want) = member_and_alone(bare, method="rk4", dt=DT)
    torch.testing.assert_close(x, y, rtol=0, atol=SAME_STEPS)
    for name in want:
        torch.testing.assert_close(at[name], want[name], rtol=0, atol=SAME * max(1.0, float(want[name].abs().max())))


# Purity


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_a_run_and_its_gradient_change_none_of_their_inputs(member):
    net = dense_network(member)
    at = tensors(net.at)
    before = copy.deepcopy(at)
    arguments = net.make(**at)
    inputs = copy.copy(vars(arguments["system"]))
    first = integrated(Network(lambda **_: arguments, net.at), at, method="rk4", dt=DT)
    loss(first).backward()
    for name, p in at.items():
        assert torch.equal(p, before[name])
        assert p.grad is not None
    assert all(vars(arguments["system"])[name] is value for name, value in inputs.items())
    assert torch.equal(first, integrated(net, at, method="rk4", dt=DT))
