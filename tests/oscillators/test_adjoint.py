"""How the discrete adjoint works inside: checkpoints, memory, what it keeps alive, and what it refuses."""

import gc
import subprocess
import sys
import tracemalloc
import weakref
from itertools import pairwise

import numpy as np
import pytest
import torch

from oscillators import (
    Delayed,
    Dense,
    Diffusive,
    Kuramoto,
    SimplicialKuramoto,
    SphereKuramoto,
    StuartLandau,
    backward,
    compiled,
    integrate,
    passes,
    problem,
)
from oscillators.problem import is_pointwise
from tests.contracts.members import FAMILIES, names
from tests.contracts.members import N as NODES
from tests.derivatives import (
    DT,
    SAME,
    Network,
    assert_equal_gradients,
    gradients,
    loss,
    network,
    weights,
    without_kernels,
)

N = 5
THETA, OMEGA, K = np.linspace(0.2, 2.0, N), np.linspace(-1.0, 1.0, N), weights(N)
PHASES = Kuramoto(OMEGA)


def delayed(system) -> Network:
    return Network(
        lambda theta, K, tau: {"system": system, "coupling": Delayed(K, tau), "x0": theta, "history": theta},
        {"theta": THETA, "K": K, "tau": 0.23 + 0.02 * np.arange(N)},
    )


# Compiled steps or steps on tensors; with or without the knots of a delayed past.
ROADS = {
    "compiled": network(PHASES, Dense(K), THETA),
    "tensors": network(without_kernels(PHASES), Dense(K), THETA),
    "compiled, delayed": delayed(PHASES),
    "tensors, delayed": delayed(without_kernels(PHASES)),
}
UNDELAYED = {name: net for name, net in ROADS.items() if "delayed" not in name}
road = pytest.mark.parametrize("net", ROADS.values(), ids=ROADS)


def leaf(value) -> torch.Tensor:
    return torch.tensor(value, requires_grad=True)


# Checkpoints


@road
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9, 16, 17, 26])
def test_every_number_of_steps_is_cut_into_whole_segments(net, steps):
    options = {"t": [0.0, DT * steps], "dt": DT}
    assert_equal_gradients(gradients(net, **options), gradients(net, **options, gradient="backprop"))


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("options", [{"method": "rk4", "dt": 0.02}, {"method": "tsit5"}], ids=["rk4", "tsit5"])
def test_a_run_recorded_in_segments_equals_one_on_a_single_tape(member, options, monkeypatch):
    net = network(member.system, Dense(weights(NODES)), member.state, member.field())
    t = np.linspace(0.0, 1.0, 8)
    whole = gradients(net, t=t, **options)
    with monkeypatch.context() as kept:
        kept.setattr(passes, "SEGMENT_WORK", 0)  # one step at a time
        assert_equal_gradients(gradients(net, t=t, **options), whole)
    monkeypatch.setattr(passes, "TAPE_BYTES", 0)
    monkeypatch.setattr(passes, "CACHED_BYTES", 0)
    assert_equal_gradients(gradients(net, t=t, **options), whole)


@pytest.mark.parametrize("kept", [1 << 27, 0], ids=["kept", "recorded again"])
def test_a_graph_may_be_run_backward_twice(kept, monkeypatch):
    monkeypatch.setattr(passes, "TAPE_BYTES", kept)
    monkeypatch.setattr(passes, "CACHED_BYTES", 0)
    monkeypatch.setattr(passes, "SEGMENT_WORK", 1e4)
    weights = torch.tensor(K, requires_grad=True)
    end = integrate(PHASES, Dense(weights), torch.tensor(THETA), [0.0, 26 * DT], dt=DT)[-1]
    once, again = (torch.autograd.grad(end.sum(), weights, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again)


def test_a_gradient_that_was_interrupted_is_right_the_next_time(monkeypatch):
    monkeypatch.setattr(passes, "SEGMENT_WORK", 1e4)  # several segments, each on a tape of its own
    weights, calls, found = torch.tensor(K, requires_grad=True), [], backward._weight_bars
    end = integrate(PHASES, Dense(weights), torch.tensor(THETA), [0.0, 26 * DT], dt=DT)[-1].sum()

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return found(*arguments)

    monkeypatch.setattr(backward, "_weight_bars", interrupted)
    with pytest.raises(KeyboardInterrupt):
        torch.autograd.grad(end, weights, retain_graph=True)
    again, once_more = (torch.autograd.grad(end, weights, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(again, once_more)


def driven(theta, c):
    return {"system": PHASES, "coupling": K, "x0": theta, "drive": lambda t: c * (1 + t)}


@pytest.mark.parametrize(
    "net",
    [Network(driven, {"theta": THETA, "c": np.full((N, 2), 0.3)}), delayed(PHASES)],
    ids=["moving drive", "delays"],
)
def test_what_is_too_long_to_keep_is_differentiated_on_tensors(net, monkeypatch):
    kept = gradients(net, dt=DT)
    monkeypatch.setattr(compiled, "KEPT_BYTES", 0)
    assert_equal_gradients(gradients(net, dt=DT), kept)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "per member"])
def test_blocks_of_members_and_threads_change_no_gradient(workers, shared, monkeypatch):
    monkeypatch.setattr(backward, "cores", lambda: workers)
    monkeypatch.setattr(torch, "get_num_threads", lambda: workers)
    monkeypatch.setattr(passes, "BLOCK", 3)
    rng = np.random.default_rng(1)
    state, own = rng.uniform(-2, 2, (11, N)), rng.normal(size=(11, N))
    net = network(
        Kuramoto(OMEGA if shared else own), Dense(K), state, rng.normal(size=(N, 2) if shared else (11, N, 2))
    )
    assert_equal_gradients(gradients(net, dt=DT), gradients(net, dt=DT, gradient="backprop"))


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("wrap", [Dense, lambda K: Diffusive(Dense(K))], ids=["direct", "diffusive"])
@pytest.mark.parametrize("options", [{"method": "rk4", "dt": 0.02}, {"method": "tsit5"}], ids=["rk4", "tsit5"])
def test_members_side_by_side_have_the_bits_of_members_one_by_one(member, wrap, options, monkeypatch):
    state = np.stack([np.roll(member.state, r, axis=0) for r in range(5)])
    drive = np.stack([member.field(seed) for seed in range(5)])  # one per member
    net = network(member.system, wrap(weights(NODES)), state, drive)
    found = []
    for beside in (True, False):
        monkeypatch.setattr(compiled, "is_pointwise", lambda cls, beside=beside: beside and problem.is_pointwise(cls))
        at = {name: leaf(v) for name, v in net.at.items()}
        x = integrate(**net.make(**at), t=np.linspace(0.0, 1.0, 6), **options)
        loss(x).backward()
        found.append((x.detach(), {name: p.grad.numpy() for name, p in at.items()}))
    assert torch.equal(found[0][0], found[1][0])
    assert_equal_gradients(found[0][1], found[1][1])


def test_parameters_and_drives_of_members_side_by_side_stay_their_own():
    rng = np.random.default_rng(1)
    state, omega = rng.uniform(-2, 2, (4, N)), rng.normal(size=(4, N))
    net = network(Kuramoto(omega), Diffusive(Dense(K)), state, rng.normal(size=(4, N, 2)))
    assert_equal_gradients(gradients(net, dt=DT), gradients(net, dt=DT, gradient="backprop"))


def test_only_systems_whose_own_kernel_is_pointwise_lie_side_by_side():
    assert is_pointwise(Kuramoto)
    assert is_pointwise(SphereKuramoto)
    assert not is_pointwise(SimplicialKuramoto)  # its kernel reads triangles of nodes
    assert not is_pointwise(type("Other", (Kuramoto,), {"kernel": Kuramoto.kernel}))


@road
def test_only_some_saves_in_the_loss(net):
    found = []
    for gradient in ("discrete", "backprop"):
        at = {name: leaf(v) for name, v in net.at.items()}
        x = integrate(**net.make(**at), t=np.linspace(0.0, 1.0, 6), dt=DT, gradient=gradient)
        loss(x[[2, 5]]).backward()
        found.append({name: p.grad.numpy() for name, p in at.items()})
    assert_equal_gradients(*found)


# As a part of a graph


@pytest.mark.parametrize("net", UNDELAYED.values(), ids=UNDELAYED)
def test_a_run_that_starts_where_another_ends_is_differentiated_through(net):
    def gradient(*cuts):
        at = {name: leaf(v) for name, v in net.at.items()}
        arguments = net.make(**at)
        for a, b in pairwise(cuts):
            x = integrate(**arguments, t=[a, b], dt=DT)[-1]
            arguments |= {"x0": x}
        loss(x).backward()
        return {name: p.grad.numpy() for name, p in at.items()}

    assert_equal_gradients(gradient(0.0, 0.4, 1.0), gradient(0.0, 1.0))


@road
def test_a_graph_that_is_kept_gives_its_gradient_again(net):
    at = {name: leaf(v) for name, v in net.at.items()}
    value = loss(integrate(**net.make(**at), t=[0.0, 0.5, 1.0], dt=DT))
    once = torch.autograd.grad(value, list(at.values()), retain_graph=True)
    again = torch.autograd.grad(value, list(at.values()), retain_graph=True)
    for a, b in zip(once, again, strict=True):
        assert torch.equal(a, b)


@road
def test_gradients_of_two_runs_add_up(net):
    at = {name: leaf(v) for name, v in net.at.items()}
    runs = [integrate(**net.make(**at), t=[0.0, 0.5, end], dt=DT) for end in (0.8, 1.0)]
    (loss(runs[0]) + loss(runs[1])).backward()
    apart = [gradients(net, t=[0.0, 0.5, end], dt=DT) for end in (0.8, 1.0)]
    assert_equal_gradients(
        {name: p.grad.numpy() for name, p in at.items()}, {name: apart[0][name] + apart[1][name] for name in at}
    )


@road
def test_a_second_derivative_is_refused_and_not_wrong(net):
    at = {name: leaf(v) for name, v in net.at.items()}
    value = loss(integrate(**net.make(**at), t=[0.0, 1.0], dt=DT))
    first = torch.autograd.grad(value, list(at.values()), create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        sum(g.square().sum() for g in first).backward()


def test_the_graph_of_all_steps_has_a_second_derivative():
    theta = leaf(THETA)
    value = loss(integrate(PHASES, K, theta, [0.0, 0.5], dt=DT, gradient="backprop"))
    (first,) = torch.autograd.grad(value, theta, create_graph=True)
    (second,) = torch.autograd.grad(first[0], theta)
    e = 1e-5
    shift = [gradients(network(PHASES, Dense(K), THETA + s * e * np.eye(N)[0]), t=[0.0, 0.5], dt=DT) for s in (1, -1)]
    difference = (shift[0]["state"] - shift[1]["state"]) / (2 * e)  # right to e² and 1e-16 / e
    np.testing.assert_allclose(second.numpy(), difference, rtol=0, atol=1e-8)


# Memory


class Kept:
    """A tensor that waits for a run backward, and how many bytes do so at a time."""

    now = most = 0

    def __init__(self, tensor):
        self.tensor = tensor
        Kept.now += tensor.nbytes
        Kept.most = max(Kept.most, Kept.now)

    def __del__(self):
        Kept.now -= self.tensor.nbytes


def most_kept(net: Network, steps: int) -> int:
    """Bytes that wait at most, in checkpoints and in the graph of a segment that is run again."""
    Kept.now = Kept.most = 0
    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        gradients(net, t=[0.0, steps * DT], dt=DT)
    return Kept.most


@pytest.mark.parametrize("name", ["tensors", "tensors, delayed"])
def test_what_is_kept_grows_like_the_root_of_the_steps(name):
    few, many = most_kept(ROADS[name], 25), most_kept(ROADS[name], 400)  # 5 and 20 segments of 5 and 20 steps
    assert 2 * few < many < 8 * few


def test_the_tape_of_a_long_run_does_not_grow_with_it(monkeypatch):
    monkeypatch.setattr(passes, "TAPE_BYTES", 1 << 18)
    monkeypatch.setattr(passes, "CACHED_BYTES", 1 << 16)

    def peak(steps):
        gradients(network(PHASES, Dense(K), THETA), t=[0.0, 0.1], dt=DT)  # what is loaded once
        tracemalloc.start()
        gradients(network(PHASES, Dense(K), THETA), t=[0.0, steps * DT], dt=DT)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    per_step = 8 * 4 * 5 * N  # four stages of state, lifted state and field: 80 kB in 100 steps, 8 MB in 10000
    assert peak(10_000) - peak(100) < 10_000 * per_step / 4


CODE = """
import resource, sys, numpy as np, torch
from oscillators import Kuramoto, integrate
steps, own = int(sys.argv[1]), sys.argv[2] == "tensors"
rng = np.random.default_rng(0)
K = torch.tensor(rng.normal(size=(100, 100)) / 100, requires_grad=True)
system = Kuramoto(torch.tensor(rng.normal(size=100)))
system = type("LawOnly", (Kuramoto,), {"kernel": None})(system.omega) if own else system
for n in (10, steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    integrate(system, K, torch.tensor(rng.normal(size=100)), [0.0, n * 0.01], dt=0.01)[-1].sin().sum().backward()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("compiled", 100_000), ("tensors", 5_000)])
def test_long_runs_of_a_hundred_nodes_stay_below_200_megabytes(name, steps):
    found = subprocess.run([sys.executable, "-c", CODE, str(steps), name], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 200


@pytest.mark.parametrize(
    ("name", "gradient"),
    [(name, g) for name in ROADS for g in ("discrete", "adjoint", "backprop") if name in UNDELAYED or g != "adjoint"],
)
def test_nothing_outlives_a_run(name, gradient):
    net = ROADS[name]

    def watched():
        at = {name: leaf(v) for name, v in net.at.items()}
        x = integrate(**net.make(**at), t=[0.0, 0.5, 1.0], dt=DT, gradient=gradient)
        loss(x).backward()
        return [weakref.ref(tensor) for tensor in (x, *at.values(), *(p.grad for p in at.values()))]

    gc.collect()
    gc.disable()
    try:
        assert [ref() for ref in watched()] == [None] * (1 + 2 * len(net.at))  # without the collector's help
    finally:
        gc.enable()


def test_a_run_that_is_dropped_before_its_gradient_leaves_nothing():
    theta = leaf(THETA)
    x = weakref.ref(integrate(PHASES, K, theta, [0.0, 1.0], dt=DT))
    assert x() is None


# What the kernels' derivatives must not do


def test_the_gradient_is_not_written_into_what_came_in():
    theta = leaf(THETA)
    x = integrate(SphereKuramoto(), K, torch.stack([theta.cos(), theta.sin()], -1), [0.0, 0.33, 1.0], method="tsit5")
    bar = torch.ones_like(x)
    before = bar.clone()
    x.backward(bar)
    assert torch.equal(bar, before)


def test_cotangents_of_any_layout_are_taken():
    z = torch.tensor(np.exp(1j * THETA), requires_grad=True)
    x = integrate(StuartLandau(1.0, OMEGA), K, z, [0.0, 0.3, 0.6], dt=DT)
    bar = torch.tensor([1.0 + 2.0j], dtype=torch.complex128).expand_as(x)
    (a,) = torch.autograd.grad(x, z, bar, retain_graph=True)
    (b,) = torch.autograd.grad(x, z, bar.clone())
    torch.testing.assert_close(a, b, rtol=0, atol=SAME)
