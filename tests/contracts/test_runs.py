"""What every run promises, for every system and coupling: the same numbers however the work is cut up."""

import copy
import dataclasses
import gc
import os
import signal
import time
import tracemalloc

import networkx as nx
import numba.core.event
import numpy as np
import pytest
import scipy.sparse
import xarray as xr
from numba.core.runtime import _nrt_python, rtsys

from analysis import order_parameter
from oscillators import (
    Coupling,
    Delayed,
    Dense,
    Diffusive,
    Edges,
    InertialKuramoto,
    Kuramoto,
    MeanField,
    SphereKuramoto,
    Stencil,
    StuartLandau,
    System,
    TopographicOscillators,
    engine,
    simulate,
)
from oscillators.label import STATUS
from tests.contracts.members import FAMILIES, SYSTEMS, N, SystemMember, matrix, names, sparse_matrix

T = np.array([0.0, 0.1, 0.25, 0.7])
FIXED = {"method": "rk4", "dt": 0.03}
ADAPTIVE = {"method": "tsit5", "rtol": 1e-6, "atol": 1e-8}
METHODS = {
    "rk4": FIXED,
    "heun": FIXED | {"method": "heun"},
    "dopri5": ADAPTIVE | {"method": "dopri5"},
    "tsit5": ADAPTIVE,
}
NOISE = {"method": "stochastic_heun", "dt": 0.03, "noise": 0.3, "rng": 4}

_K, _S = matrix(), sparse_matrix()
COUPLINGS = {
    "mean field": MeanField(1.5),
    "dense": Dense(_K),
    "edges": scipy.sparse.csr_array(_S),
    "stencil": Stencil(np.array([0.3, -0.8, 0.5, 0.1])),
    "diffusive": Diffusive(Dense(_K)),
}
DELAYS = {
    "delayed": Delayed(Dense(_K), 0.13),
    "delay per sender": Delayed(Dense(_K), np.linspace(0.0, 0.6, N)),
    "delay per link": Delayed(scipy.sparse.csr_array(_S), np.linspace(0.05, 0.4, np.count_nonzero(_S))),
    "delayed diffusive": Diffusive(Delayed(Dense(_K), 0.2)),
}


KINDS = {"fixed": FIXED, "adaptive": ADAPTIVE, "noise": NOISE}
# Every coupling with every kind of method that takes it: delays need fixed steps.
WORK = [
    pytest.param(name, KINDS[kind], id=f"{name}-{kind}")
    for name in COUPLINGS | DELAYS
    for kind in KINDS
    if not (name in DELAYS and kind == "adaptive")
]


def run(system, coupling, x0, t=T, **options):
    return simulate(system, coupling, x0, t, **(FIXED | options if "method" not in options else options))


def states(system: System, result) -> np.ndarray:
    """All variables of a result side by side."""
    return np.stack([result[name].values for name in system.variables])


def assert_same_run(system, a, b):
    """Bit for bit, with the same fate."""
    np.testing.assert_array_equal(states(system, a), states(system, b))
    for name in ("status", "steps", "rejected"):
        np.testing.assert_array_equal(a[name], b[name])


def ensemble(member: SystemMember, runs: int) -> np.ndarray:
    """Initial states of several runs."""
    x = np.stack([np.roll(member.x0, shift, axis=0) for shift in range(runs)])
    return x.astype(complex) if member.system.kind == "complex" else x


def per_member(system: System, runs: int) -> System:
    """A parameter of its own for every member, where the system has one."""
    changed = {}
    for f in dataclasses.fields(system):
        value = getattr(system, f.name)
        if value is None or f.name == "triangles":
            continue
        own = 1.0 + 0.1 * np.arange(runs).reshape(-1, *(1,) * max(np.ndim(value), 1))
        value = np.atleast_1d(value)
        changed[f.name] = own[..., None] * value if f.name == "rotation" and value.ndim == 2 else own * value
    return dataclasses.replace(system, **changed)


def alone(system: System, member: int) -> System:
    own = {f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    own = {k: v[member] if v is not None and k != "triangles" else v for k, v in own.items()}
    return dataclasses.replace(system, **own)


# Ensembles


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS)
@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_a_member_of_an_ensemble_equals_its_run_alone(member, coupling, options):
    x0 = ensemble(member, 5)
    together = run(member.system, coupling, x0, **options)
    assert together.sizes["run"] == 5
    for r in (0, 1, 4):
        assert_same_run(member.system, together.isel(run=r), run(member.system, coupling, x0[r], **options))


@pytest.mark.parametrize("member", SYSTEMS, ids=names(SYSTEMS))
@pytest.mark.parametrize("options", [FIXED, ADAPTIVE, NOISE], ids=["fixed", "adaptive", "noise"])
def test_members_with_their_own_parameters_equal_their_runs_alone(member, options):
    x0, system = ensemble(member, 4), per_member(member.system, 4)
    together = run(system, Dense(_K), x0, **options)
    first = run(alone(system, 0), Dense(_K), x0[0], **options)
    assert_same_run(system, together.isel(run=0), first)  # member 0 has the first stream of noise
    if options is not NOISE:
        last = run(alone(system, 3), Dense(_K), x0[3], **options)
        assert_same_run(system, together.isel(run=3), last)


K_OF_MEMBERS = np.stack([_K, -0.5 * _K, np.eye(N)])
_target, _source = np.nonzero(_S)


@pytest.mark.parametrize(
    "build",
    [
        lambda r: Dense(K_OF_MEMBERS[r]),
        lambda r: MeanField(np.array([[0.5], [1.0], [-2.0]])[r]),
        lambda r: MeanField(np.linspace(-1, 1, 3 * N).reshape(3, N)[r]),
        lambda r: Edges(_source, _target, K_OF_MEMBERS[r][..., _target, _source], N),
        lambda r: Diffusive(Dense(K_OF_MEMBERS[r])),
        lambda r: Delayed(Dense(K_OF_MEMBERS[r]), 0.2),
        lambda r: Delayed(Dense(K_OF_MEMBERS[r]), np.full((N, N), 0.2)),
    ],
    ids=["dense", "strength", "strength per node", "edges", "diffusive", "delayed", "delayed links"],
)
@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_members_with_their_own_coupling_equal_their_runs_alone(build, options):
    coupling = build(slice(None))
    delayed = isinstance(coupling, Delayed)
    options = FIXED if delayed else options  # delays need fixed steps
    member = FAMILIES[0]
    x0 = ensemble(member, 3)
    together = run(member.system, coupling, x0, history=x0 if delayed else None, **options)
    for r in range(3):
        single = run(member.system, build(r), x0[r], history=x0[r] if delayed else None, **options)
        assert_same_run(member.system, together.isel(run=r), single)
    assert not np.array_equal(together.theta[1], together.theta[2])


def test_two_leading_axes_are_two_ensemble_dimensions():
    member = FAMILIES[0]
    x0 = ensemble(member, 6).reshape(2, 3, N)
    drive = np.random.default_rng(0).normal(size=(2, 1, N, 2))
    together = run(member.system, Dense(_K), x0, drive=drive)
    assert together.theta.dims == ("run_0", "run_1", "time", "node")
    single = run(member.system, Dense(_K), x0[1, 2], drive=drive[1, 0])
    assert_same_run(member.system, together.isel(run_0=1, run_1=2), single)


def test_a_large_ensemble_in_blocks_equals_its_members_alone():
    member = FAMILIES[0]
    x0 = np.random.default_rng(0).uniform(-3, 3, (150, N))  # more than two blocks of 64
    together = run(member.system, Dense(_K), x0)
    for r in (0, 63, 64, 127, 128, 149):
        assert_same_run(member.system, together.isel(run=r), run(member.system, Dense(_K), x0[r]))


def test_a_member_that_fails_leaves_the_others_as_they_are():
    member = next(m for m in FAMILIES if isinstance(m.system, StuartLandau))
    x0 = ensemble(member, 4)
    good = run(member.system, 0.5, x0)
    x0[2] *= 1e8  # |z|² z dt overflows within a few steps
    with pytest.warns(RuntimeWarning, match="1 of 4 runs stopped"):
        mixed = run(member.system, 0.5, x0)
    assert mixed.status.values.tolist() == [0, 0, STATUS.index("not_finite"), 0]
    for r in (0, 1, 3):
        assert_same_run(member.system, mixed.isel(run=r), good.isel(run=r))


# Chunks, threads, buffers


def cut_into_single_steps(monkeypatch):
    monkeypatch.setattr(engine, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(engine.Run, "_first_chunk", lambda self, members: 1)


@pytest.mark.parametrize(("name", "options"), WORK)
@pytest.mark.parametrize("drive", [None, lambda t: np.array([np.sin(t), 0.2])], ids=["", "drive"])
def test_chunks_change_no_number(name, options, drive, monkeypatch):
    member = FAMILIES[0]
    x0 = ensemble(member, 3)
    delayed = name in DELAYS

    def go():
        history = (lambda t: x0 + t) if delayed else None
        return run(member.system, (COUPLINGS | DELAYS)[name], x0, drive=drive, history=history, **options)

    whole = go()
    cut_into_single_steps(monkeypatch)
    assert_same_run(member.system, go(), whole)
    monkeypatch.setattr(engine, "BUFFER_BYTES", 1)  # one saved state, one step's drive at a time
    assert_same_run(member.system, go(), whole)


@pytest.mark.parametrize("options", [FIXED, ADAPTIVE, NOISE], ids=["fixed", "adaptive", "noise"])
@pytest.mark.parametrize("cores", [1, 2, 5])
def test_threads_change_no_number(options, cores, monkeypatch):
    member = FAMILIES[0]
    x0 = np.random.default_rng(0).uniform(-3, 3, (11, N))
    whole = run(member.system, Dense(_K), x0, **options)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert_same_run(member.system, run(member.system, Dense(_K), x0, **options), whole)


@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_saving_often_does_not_change_an_adaptive_run(member, method, monkeypatch):
    few = run(member.system, Dense(_K), member.x0, [0.0, 2.0], **METHODS[method])
    many = run(member.system, Dense(_K), member.x0, np.linspace(0, 2, 1001), **METHODS[method])
    np.testing.assert_array_equal(states(member.system, few)[:, -1], states(member.system, many)[:, -1])
    assert few.steps == many.steps
    monkeypatch.setattr(engine, "BUFFER_BYTES", 3 * 8 * member.state.size)  # three saves at a time: pauses inside steps
    assert_same_run(
        member.system,
        run(member.system, Dense(_K), member.x0, np.linspace(0, 2, 1001), **METHODS[method]),
        many,
    )


@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
def test_dense_output_is_as_good_as_the_steps(method):
    member = FAMILIES[0]
    t = np.linspace(0, 2, 33)
    options = METHODS[method] | {"rtol": 1e-9, "atol": 1e-9}
    dense = run(member.system, Dense(_K), member.x0, t, **options)
    exact = run(member.system, Dense(_K), member.x0, t, method="rk4", dt=5e-4)  # error (5e-4)⁴ < 1e-12
    # The interpolant has order 4, one less than the steps: at a tolerance of 1e-9 about 1e-9^(4/5) = 6e-8.
    np.testing.assert_allclose(dense.theta, exact.theta, rtol=0, atol=6e-8)


# Python and compiled spellings


def bare(system: System) -> System:
    """The same system as a user writes it: the law, no kernels."""
    cls = type(system)
    none = dict.fromkeys(("kernel", "lift_kernel", "tangent_kernel", "project_kernel"))
    return type(f"Bare{cls.__name__}", (cls,), none)(
        **{f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    )


def assert_close(system, a, b):
    # 24 steps of some hundred operations, each right to 1e-16, on a law that expands by less than e^5.
    np.testing.assert_allclose(states(system, a), states(system, b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("member", SYSTEMS, ids=names(SYSTEMS))
def test_a_system_with_only_a_law_moves_like_the_compiled_one(member):
    for options in (FIXED, {"method": "tsit5"}):
        a = run(member.system, Dense(_K), member.x0, **options)
        b = run(bare(member.system), Dense(_K), member.x0, **options)
        assert_close(member.system, a, b)


@pytest.mark.parametrize("member", SYSTEMS, ids=names(SYSTEMS))
def test_an_ensemble_with_only_a_law_moves_like_the_compiled_one(member):
    x0 = ensemble(member, 3)
    for system in (member.system, per_member(member.system, 3)):
        assert_close(system, run(system, Dense(_K), x0), run(bare(system), Dense(_K), x0))


@pytest.mark.parametrize("name", [*COUPLINGS, *DELAYS])
def test_a_system_with_only_a_law_takes_every_coupling(name):
    member = next(m for m in FAMILIES if isinstance(m.system, InertialKuramoto))
    coupling, history = (COUPLINGS | DELAYS)[name], member.x0 if name in DELAYS else None
    a = run(member.system, coupling, member.x0, history=history)
    assert_close(member.system, a, run(bare(member.system), coupling, member.x0, history=history))


@pytest.mark.parametrize("coupling", DELAYS.values(), ids=DELAYS)
def test_a_lift_without_tangent_is_differentiated(coupling):
    member = next(m for m in FAMILIES if isinstance(m.system, InertialKuramoto))
    system = type("NoTangent", (InertialKuramoto,), {"tangent": System.tangent, "tangent_kernel": None})(
        member.system.omega
    )
    a = run(member.system, coupling, member.x0, history=member.x0)
    b = run(system, coupling, member.x0, history=member.x0)
    # Differences over 6e-6 are right to 1e-16 / 6e-6 + (6e-6)² = 5e-11; they count with weight dt in the field.
    np.testing.assert_allclose(states(system, a), states(system, b), rtol=0, atol=5e-11)


class Doubled(Coupling):
    """A user's coupling: `field` only."""

    def field(self, g):
        return 2.0 * g[..., ::-1, :]


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_a_coupling_with_only_a_field_runs_like_the_matrix(member):
    K = 2.0 * np.eye(N)[::-1]
    for wrap, options in (
        (lambda c: c, {}),
        (Diffusive, ADAPTIVE),
        (lambda c: Delayed(c, 0.2), {"history": member.x0}),
    ):
        a, b = (run(member.system, wrap(c), member.x0, **options) for c in (Doubled(), Dense(K)))
        assert_close(member.system, a, b)


# Limits that must equal the simpler model


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("tau", [0.0, np.zeros(N), np.zeros((N, N))], ids=["one", "per sender", "per link"])
def test_no_delay_is_bit_equal_to_the_undelayed_run(member, tau):
    for wrap in (lambda c: c, Diffusive):
        want = run(member.system, wrap(Dense(_K)), member.x0)
        assert_same_run(member.system, run(member.system, wrap(Delayed(Dense(_K), tau)), member.x0), want)


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_no_coupling_is_bit_equal_however_it_is_written(member):
    want = run(member.system, 0.0, member.x0)
    for coupling in (Dense(np.zeros((N, N))), scipy.sparse.csr_array((N, N)), Stencil(np.zeros(3)), Diffusive(0.0)):
        assert_same_run(member.system, run(member.system, coupling, member.x0), want)
    if member.reads_field_only:
        lonely = [run(one_node(member.system, i), 0.0, member.x0[[i]]) for i in range(N)]
        lonely = np.concatenate([states(member.system, one) for one in lonely], axis=2)
        np.testing.assert_array_equal(states(member.system, want), lonely)


def one_node(system: System, i: int) -> System:
    own = {f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    own = {k: v[[i]] if np.shape(v)[:1] == (N,) else v for k, v in own.items()}
    return dataclasses.replace(system, **own)


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_no_drive_is_bit_equal_however_it_is_written(member, options):
    shape = member.system.lift(member.state).shape
    want = run(member.system, Dense(_K), member.x0, **options)
    for drive in (np.zeros(shape), 0.0, lambda t: np.zeros(shape)):
        assert_same_run(member.system, run(member.system, Dense(_K), member.x0, drive=drive, **options), want)


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
@pytest.mark.parametrize("options", [FIXED, ADAPTIVE, NOISE], ids=["fixed", "adaptive", "noise"])
def test_a_constant_drive_equals_a_function_that_returns_it(member, options):
    c = member.field(8)
    want = run(member.system, Dense(_K), member.x0, drive=c, **options)
    assert_same_run(member.system, run(member.system, Dense(_K), member.x0, drive=lambda t: c, **options), want)
    assert not np.array_equal(
        states(member.system, want), states(member.system, run(member.system, Dense(_K), member.x0, **options))
    )


@pytest.mark.parametrize("options", [FIXED, ADAPTIVE, NOISE], ids=["fixed", "adaptive", "noise"])
def test_a_drive_per_member_belongs_to_its_member(options):
    member = FAMILIES[0]
    x0, c = ensemble(member, 3), np.random.default_rng(2).normal(size=(3, N, 2))
    together = run(member.system, Dense(_K), x0, drive=lambda t: c * np.cos(t), **options)
    single = run(member.system, Dense(_K), x0[0], drive=lambda t: c[0] * np.cos(t), **options)
    assert_same_run(member.system, together.isel(run=0), single)
    assert_same_run(
        member.system,
        run(member.system, Dense(_K), x0, drive=c, **options),
        run(member.system, Dense(_K), x0, drive=lambda t: c, **options),
    )


@pytest.mark.parametrize("coupling", DELAYS.values(), ids=DELAYS)
@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_a_constant_history_equals_a_function_that_returns_it(member, coupling):
    a = run(member.system, coupling, member.x0, history=member.x0)
    b = run(member.system, coupling, member.x0, history=lambda t: member.x0)
    # The velocity of a function is a difference over 1e-3 dt: 1e-16 / 3e-5, weighed by the step once more.
    np.testing.assert_allclose(states(member.system, a), states(member.system, b), rtol=0, atol=1e-11)


def test_a_network_of_noise_strength_zero_moves_like_its_quiet_self():
    member = FAMILIES[0]
    for noisy, quiet in (("euler_maruyama", "euler"), ("stochastic_heun", "heun")):
        a = run(member.system, Dense(_K), member.x0, method=noisy, dt=0.03, noise=0.0, rng=1)
        assert_same_run(member.system, a, run(member.system, Dense(_K), member.x0, method=quiet, dt=0.03))


# Randomness


@pytest.mark.parametrize("method", ["euler_maruyama", "stochastic_heun"])
@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_the_same_seed_gives_the_same_numbers(member, method):
    options = {"method": method, "dt": 0.03, "noise": 0.3}
    a, b, c = (run(member.system, 1.0, member.x0, **options, rng=seed) for seed in (1, 1, 2))
    assert_same_run(member.system, a, b)
    assert not np.array_equal(states(member.system, a), states(member.system, c))
    again = run(member.system, 1.0, member.x0, **options, rng=int(a.attrs["seed"]))
    assert_same_run(member.system, a, again)


def test_a_generator_is_a_seed_and_a_run_without_one_can_be_repeated():
    member = FAMILIES[0]
    options = {"method": "euler_maruyama", "dt": 0.03, "noise": 0.3}
    a, b = (run(member.system, 1.0, member.x0, **options, rng=np.random.default_rng(3)) for _ in range(2))
    assert_same_run(member.system, a, b)
    c = run(member.system, 1.0, member.x0, **options)
    assert_same_run(member.system, c, run(member.system, 1.0, member.x0, **options, rng=int(c.attrs["seed"])))


def test_noise_of_a_member_does_not_depend_on_how_many_there_are():
    member = FAMILIES[0]
    x0 = np.random.default_rng(0).uniform(-3, 3, (70, N))
    many = run(member.system, Dense(_K), x0, **NOISE)
    few = run(member.system, Dense(_K), x0[:3], **NOISE)
    assert_same_run(member.system, many.isel(run=slice(3)), few)
    assert len(np.unique(many.theta[:, -1, 0])) == 70  # every member has a stream of its own


def test_noise_does_not_depend_on_what_is_saved():
    member = FAMILIES[0]
    all_steps = run(member.system, Dense(_K), member.x0, 0.25 * np.arange(9), **NOISE | {"dt": 0.25})
    ends = run(member.system, Dense(_K), member.x0, [0.0, 2.0], **NOISE | {"dt": 0.25})
    np.testing.assert_array_equal(all_steps.theta[-1], ends.theta[-1])


# Times


@pytest.mark.parametrize(
    "options",
    [{"method": m, "dt": 0.1} for m in ("euler", "heun", "rk4")]
    + [{"method": m, "dt": 0.1, "noise": 0.0} for m in ("euler_maruyama", "stochastic_heun")]
    + [{"method": m} for m in ("dopri5", "tsit5")],
    ids=lambda o: o["method"],
)
@pytest.mark.parametrize("start", [0.0, -3.7, 1e5])
def test_a_run_lands_on_every_time(options, start):
    t = start + np.array([0.0, 0.05, 0.1, 0.35, np.pi / 3, 2.0, 7.77])
    result = run(Kuramoto(np.ones(2)), 0.0, np.zeros(2), t, **options)
    np.testing.assert_array_equal(result.time, t)
    # θ = t - t0 is exact for every method; one rounding per step of numbers below 8, and t itself has 1 ulp.
    np.testing.assert_allclose(result.theta[:, 0], t - t[0], rtol=0, atol=1e-13 + 4 * np.spacing(abs(start)))


def test_semi_implicit_steps_land_on_every_time():
    t = np.array([0.0, 0.05, 0.1, 0.35, np.pi / 3, 2.0])
    system = InertialKuramoto(np.zeros(1), damping=0.0)
    result = run(system, 0.0, np.array([[0.0, 1.0]]), t, method="semi_implicit_euler", dt=0.1)
    np.testing.assert_allclose(result.theta[:, 0], t, rtol=0, atol=1e-14)


def test_steps_are_at_most_dt_long_and_no_more_than_needed():
    steps, sizes = engine.schedule(np.array([0.0, 0.1, 0.4, 1.0, 1.05]), 0.1)
    assert steps.tolist() == [1, 3, 6, 1]
    assert (sizes <= 0.1 * (1 + 1e-9)).all()
    result = run(Kuramoto(np.ones(2)), 0.0, np.zeros(2), np.linspace(0, 1, 11), method="euler", dt=0.05)
    assert result.steps == 20


# Inputs


@pytest.mark.parametrize(("name", "options"), WORK)
def test_a_run_changes_none_of_its_inputs(name, options):
    member = FAMILIES[0]
    x0, t, drive, history = ensemble(member, 2), T.copy(), member.field(8), member.x0.copy()
    inputs = (member.system, (COUPLINGS | DELAYS)[name], x0, t, drive, history)
    before = copy.deepcopy(inputs)
    for array in (x0, t, drive, history):
        array.setflags(write=False)
    run(*inputs[:3], t, drive=drive, history=history if name in DELAYS else None, **options)
    for a, b in zip(inputs, before, strict=True):
        assert_same_tree(a, b)


def assert_same_tree(a, b):
    if dataclasses.is_dataclass(a):
        for f in dataclasses.fields(a):
            assert_same_tree(getattr(a, f.name), getattr(b, f.name))
    elif scipy.sparse.issparse(a):
        assert (a != b).nnz == 0
    else:
        np.testing.assert_equal(a, b)


@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_times_of_other_layouts_and_types_are_the_same_times(options):
    member = FAMILIES[0]
    want = run(member.system, Dense(_K), member.x0, np.arange(3.0), **options)
    for t in (
        [0, 1, 2],
        np.arange(6.0).repeat(2)[:6:2],
        np.arange(-2.0, 1.0)[::-1] * -1.0,
        np.arange(3, dtype="f4"),
        want.time,
    ):
        assert_same_run(member.system, run(member.system, Dense(_K), member.x0, t, **options), want)


def test_states_of_other_layouts_and_types_run_like_plain_ones():
    member = next(m for m in FAMILIES if m.system.kind == "vector")
    want = run(member.system, Dense(_K), member.x0)
    assert_same_run(member.system, run(member.system, Dense(np.asfortranarray(_K)), np.asfortranarray(member.x0)), want)
    x0 = np.zeros((2 * N, 2 * member.x0.shape[1]))[::2, ::2]
    x0[:] = member.x0
    assert_same_run(member.system, run(member.system, Dense(_K), x0), want)
    half = FAMILIES[0].x0.astype(np.float32)
    a = run(FAMILIES[0].system, Dense(_K), half)
    assert a.theta.dtype == np.float64
    assert_same_run(FAMILIES[0].system, a, run(FAMILIES[0].system, Dense(_K), half.astype(float)))


# Observables inside the loop


def observers(member: SystemMember) -> dict:
    if member.system.kind == "pair":
        return {"both": lambda x, v: (x * v).sum(-1), "first": lambda x: x.max(-1), "nodes": lambda x, v: x + v}
    if member.system.kind == "vector":
        return {"mean": lambda x: x.mean(-2), "nodes": lambda x: (x**2).sum(-1)}
    if member.system.kind == "complex":
        return {"mean": lambda z: z.mean(-1), "nodes": np.abs, "count": lambda z: (z.real > 0).sum(-1)}
    return {"r": order_parameter, "nodes": np.sin, "count": lambda theta: (theta > 0).sum(-1)}


@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_observing_inside_the_loop_equals_analysing_afterwards(member, options, monkeypatch):
    x0 = ensemble(member, 3)
    whole = run(member.system, Dense(_K), x0, **options)
    monkeypatch.setattr(engine, "BUFFER_BYTES", 1)  # many small chunks
    seen = run(member.system, Dense(_K), x0, observe=observers(member), **options)
    stored = [whole[name].values for name in member.system.variables]
    for name, function in observers(member).items():
        arguments = stored[
            : 2 if getattr(function, "__code__", None) and function.__code__.co_varnames[:2] == ("x", "v") else 1
        ]
        np.testing.assert_array_equal(seen[name].values, function(*arguments))
        assert seen[name].dims[:2] == ("run", "time")
    assert seen.nodes.dims[-1] == "node"
    assert not set(member.system.variables) & set(seen.data_vars)


# Files


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_a_result_survives_a_file(member, tmp_path):
    result = run(member.system, Dense(_K), ensemble(member, 2))
    result.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as again:
        xr.testing.assert_identical(again.load(), result)


def test_graph_coordinates_and_seeds_survive_a_file(tmp_path):
    graph = nx_graph()
    result = run(Kuramoto(0.3), graph, np.zeros(3), history=np.zeros(3), **NOISE | {"rng": 2**63 - 1})
    assert result.node.values.tolist() == ["left", "right", "top"]
    assert result.mass.values.tolist() == [1.5, 2.5, 3.5]
    result.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as again:
        again.load()
    xr.testing.assert_equal(again, result)
    assert again.attrs == result.attrs
    assert int(again.attrs["seed"]) == 2**63 - 1
    assert again.theta.sel(node="top").shape == (len(T),)
    assert again.theta.attrs["units"] == "rad"


def nx_graph():
    graph = nx.DiGraph()
    for label, mass in (("left", 1.5), ("right", 2.5), ("top", 3.5)):
        graph.add_node(label, mass=mass, side="ab"[mass > 2])
    graph.add_edge("left", "right", weight=0.5, delay=0.2)
    graph.add_edge("right", "top", weight=1.5, delay=0.3)
    return graph


def test_a_failed_and_an_observed_run_survive_a_file(tmp_path):
    with pytest.warns(RuntimeWarning, match="stopped"):
        failed = run(
            StuartLandau(1.0, np.zeros(2)), 0.0, np.array([1e9, 0.1]) + 0j, observe={"r": lambda z: abs(z).max(-1)}
        )
    failed.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as again:
        xr.testing.assert_equal(again.load(), failed)


# Manifold


@pytest.mark.parametrize(
    "options",
    [{"method": m, "dt": 0.05} for m in ("euler", "heun", "rk4")]
    + [{"method": m, "dt": 0.05, "noise": 0.5, "rng": 1} for m in ("euler_maruyama", "stochastic_heun")]
    + [{"method": m} for m in ("dopri5", "tsit5")],
    ids=lambda o: o["method"],
)
def test_sphere_states_stay_on_the_sphere(options):
    rng = np.random.default_rng(0)
    R = rng.normal(size=(3, 4, 4))
    x0 = rng.normal(size=(3, 4))
    x0 /= np.linalg.norm(x0, axis=-1, keepdims=True)
    system, K = SphereKuramoto(R - R.swapaxes(-1, -2)), rng.normal(size=(3, 3))
    end = 5000.0 if "dt" in options else 2000.0  # 10⁵ steps
    result = run(system, K, x0, np.linspace(0, end, 101), **options)
    assert int(result.steps) >= (100_000 if "dt" in options else 10_000)
    norm = np.linalg.norm(result.x.values, axis=-1)
    assert np.abs(norm - 1.0).max() <= 1e-12


# Memory and compilation


def allocations() -> int:
    return rtsys.get_allocation_stats().alloc


@pytest.fixture
def counted():
    _nrt_python.memsys_enable_stats()
    yield
    _nrt_python.memsys_disable_stats()


@pytest.mark.parametrize(("name", "options"), WORK)
def test_no_step_allocates(name, options, counted, monkeypatch):
    monkeypatch.setattr(engine.Run, "_first_chunk", lambda self, members: 10**9)  # one call of the loop
    member = FAMILIES[0]

    def count(end):
        before = allocations()
        history = member.x0 if name in DELAYS else None
        result = run(member.system, (COUPLINGS | DELAYS)[name], member.x0, [0.0, end], history=history, **options)
        return allocations() - before, int(result.steps)

    count(1.0)  # compiles
    (few, short), (many, long) = count(1.0), count(50.0)
    assert long > 5 * short
    assert few == many


@pytest.mark.parametrize("member", FAMILIES, ids=names(FAMILIES))
def test_no_law_allocates(member, counted, monkeypatch):
    monkeypatch.setattr(engine.Run, "_first_chunk", lambda self, members: 10**9)

    def count(end):
        before = allocations()
        run(member.system, 0.5, member.x0, [0.0, end])
        return allocations() - before

    count(1.0)
    assert count(1.0) == count(20.0)


def test_memory_does_not_grow_with_the_number_of_steps(monkeypatch):
    monkeypatch.setattr(engine, "BUFFER_BYTES", 56 * 5000)  # 5000 steps in a chunk, whose clock takes some numbers each
    member = FAMILIES[0]

    def peak(steps):
        gc.collect()
        tracemalloc.start()
        end = 0.01 * steps
        run(member.system, 1.0, member.x0, [0.0, end], method="euler", dt=0.01, observe={"r": order_parameter})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(10)
    # A state of this network takes 56 bytes: half a million of them would be 28 MB.
    assert peak(500_000) < peak(20_000) + 1e6


def test_nothing_is_compiled_when_numbers_sizes_or_methods_change():
    member = FAMILIES[0]
    couplings = {"dense": lambda n, k: Dense(k * np.ones((n, n))), "mean": lambda n, k: MeanField(k)}

    def vary(n, k, tau, options):
        x0, history = np.linspace(0, 1, n), np.linspace(0, 1, n)
        for build in couplings.values():
            run(Kuramoto(k * np.ones(n), 0.1), build(n, k), x0, **options)
            if "dt" in options:
                run(Kuramoto(k * np.ones(n), 0.1), Delayed(build(n, k), tau), x0, history=history, **options)

    for options in (FIXED, ADAPTIVE, NOISE):
        vary(3, 1.0, 0.5, options)
    with numba.core.event.install_recorder("numba:compile") as recorder:
        for n, k, tau in ((3, 1.0, 0.5), (8, 2.0, 0.1), (1, -1.0, 3.0), (300, 0.1, 0.7)):
            for options in (FIXED, FIXED | {"dt": 0.01}, METHODS["heun"], ADAPTIVE, METHODS["dopri5"], NOISE):
                vary(n, k, tau, options)
        run(member.system, Dense(_K), ensemble(member, 5), drive=lambda t: member.field())
        run(member.system, Dense(_K), member.x0, method="euler", dt=0.1)
    assert recorder.buffer == []
    assert len(engine.fixed_steps.signatures) == 2  # without and with a past
    assert len(engine.adaptive_steps.signatures) == 1


# Interruption


@pytest.fixture
def interrupt():
    """Ctrl-C after a time, as a timer that raises KeyboardInterrupt in the main thread."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("runs", [1, 4])
@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_ctrl_c_returns_what_was_computed_within_a_second(options, runs, interrupt):
    member = FAMILIES[0]
    x0 = ensemble(member, runs)
    t = np.linspace(0, 1e7, 3001)  # minutes of work, 3000 saves
    t[1] = 1e-3
    run(member.system, Dense(_K), x0, **options)
    interrupt(0.4)
    start = time.perf_counter()
    with pytest.warns(RuntimeWarning, match="interrupted"):
        result = run(member.system, Dense(_K), x0, t, **options)
    assert 0.3 < time.perf_counter() - start < 1.4
    interrupted = result.status.values == STATUS.index("interrupted")
    assert interrupted.any()
    np.testing.assert_array_equal(result.theta.isel(run=slice(None), time=0), x0)
    last = result.theta.values[interrupted]
    assert np.isnan(last[:, -1]).all()
    assert np.isfinite(last[0, 1]).all()  # the first to start has reached the first save


def test_ctrl_c_stops_a_law_in_python(interrupt):
    member = FAMILIES[0]
    system = bare(member.system)
    run(system, Dense(_K), member.x0)
    interrupt(0.4)
    start = time.perf_counter()
    with pytest.warns(RuntimeWarning, match="interrupted"):
        result = run(system, Dense(_K), member.x0, np.linspace(0, 1e5, 1001))
    assert time.perf_counter() - start < 1.4
    assert int(result.status) == STATUS.index("interrupted")


# Lattices


@pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])
def test_a_lattice_runs_like_the_same_nodes_in_a_row(options):
    rng = np.random.default_rng(0)
    kernel, x0 = rng.normal(size=(3, 3)), rng.normal(size=(2, 4, 5, 2))
    gamma, epsilon = rng.uniform(0.5, 1.5, (4, 5)), rng.uniform(size=(2, 4, 5))
    lattice = run(TopographicOscillators(gamma, epsilon), Stencil(kernel), x0, **options)
    assert lattice.x.dims == ("run", "time", "height", "width")
    K = Stencil(kernel).field(np.eye(20).reshape(20, 4, 5, 1)).reshape(20, 20).T
    row = run(TopographicOscillators(gamma.ravel(), epsilon.reshape(2, 20)), K, x0.reshape(2, 20, 2), **options)
    for name in ("x", "v"):
        # The sums over neighbours run in another order: some roundings per step; the size of an adaptive step feels them
        # as errors of the error estimate, 1e-16 / 1e-6 of it, and so the state by 1e-10 of a tolerance of 1e-6.
        np.testing.assert_allclose(lattice[name].values.reshape(2, len(T), 20), row[name], rtol=0, atol=1e-12)


def test_channels_are_nodes_with_an_axis_of_their_own():
    rng = np.random.default_rng(0)
    x0 = rng.uniform(-3, 3, (2, 6))
    result = run(Kuramoto(rng.normal(size=(2, 6))), Stencil(rng.normal(size=(2, 2, 3))), x0)
    assert result.theta.dims == ("time", "channel", "node")
    np.testing.assert_array_equal(result.theta[0], x0)
