"""A run that leaves the finite numbers, or needs a step too small to represent, stops that member only."""

import signal
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from oscillators import Delayed, Diffusive, Edges, StuartLandau, System, simulate

T = np.linspace(0.0, 1.0, 11)
BLOW_UP = 0.5  # of member 1, at node 1
X0 = np.array([[0.1, 0.2], [0.3, 1.0 / BLOW_UP], [0.25, -0.1], [0.4, 0.0]])
BENIGN = np.where(X0 > 1.0, 0.2, X0)  # the same ensemble without the failing node
FIXED = [{"method": m, "dt": 0.01} for m in ("euler", "heun", "rk4")]
ADAPTIVE = [{"method": m} for m in ("dopri5", "tsit5")]


@dataclass(frozen=True)
class Burst(System):
    """dx/dt = x²: x(t) = x0/(1 - x0 t) leaves every bound at t = 1/x0."""

    def law(self, t, x, h):
        return x * x


def quietly(*arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return simulate(*arguments, **named)


def names(parameters):
    return parameters["method"]


def amplitudes(z, method):
    """Members of a compiled system: |z|² z overflows at once where z is huge."""
    return quietly(StuartLandau(1.0, 0.5), ring(), z + 0j, T, method=method, dt=0.01)


def ring():
    return Edges([0, 1, 2], [1, 2, 0], [0.1, 0.1, 0.1], 3)


@pytest.mark.parametrize("how", FIXED, ids=names)
def test_leaving_the_finite_numbers_is_recorded_with_status_time_and_node(how):
    result = quietly(Burst(), 0.0, X0, T, **how)
    assert result.status.values.tolist() == [0, 1, 0, 0]
    assert result.status.attrs["flag_meanings"].split()[1] == "not_finite"
    # A method of fixed steps passes the singularity; then x grows like x^2 (or faster) per step: overflow in 11 or less.
    assert BLOW_UP <= result.stop_time[1] <= BLOW_UP + 0.5 * 0.5
    assert result.stop_node.values.tolist() == [-1, 1, -1, -1]
    assert np.isnan(result.stop_time.values[[0, 2, 3]]).all()


@pytest.mark.parametrize("how", ADAPTIVE, ids=names)
def test_a_step_too_small_to_represent_is_recorded_with_status_and_time(how):
    result = quietly(Burst(), 0.0, X0, T, **how)
    assert result.status.values.tolist() == [0, 2, 0, 0]
    assert result.status.attrs["flag_meanings"].split()[2] == "step_underflow"
    assert abs(result.stop_time[1] - BLOW_UP) < 1e-4  # relative tolerance 1e-6 of x, 1/x being the time left
    assert result.rejected[1] > 0


@pytest.mark.parametrize("how", FIXED + ADAPTIVE, ids=names)
def test_what_was_computed_is_kept_and_the_rest_is_nan(how):
    result = quietly(Burst(), 0.0, X0, T, **how)
    x = result.x.values
    stop = float(result.stop_time[1])
    before, after = stop > T + 1e-12, stop <= T
    assert np.isfinite(x[1, before]).all()
    assert np.isnan(x[1, after]).all()
    assert np.isfinite(x[[0, 2, 3]]).all()
    early = T < BLOW_UP - 0.05
    shorter = simulate(Burst(), 0.0, X0[1], T[early], **how).x.values
    # Fixed steps are the same steps; adaptive ones end where the shorter run ends.
    assert np.allclose(x[1, early], shorter, rtol=0 if how in FIXED else 1e-5, atol=0)


@pytest.mark.parametrize("how", FIXED + ADAPTIVE, ids=names)
def test_the_other_members_are_bit_equal_to_runs_without_the_failing_one(how):
    x = quietly(Burst(), 0.0, X0, T, **how).x.values
    without = simulate(Burst(), 0.0, np.delete(X0, 1, axis=0), T, **how).x.values
    assert np.array_equal(np.delete(x, 1, axis=0), without)
    for member in (0, 2, 3):
        assert np.array_equal(x[member], simulate(Burst(), 0.0, X0[member], T, **how).x.values)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_members_of_one_compiled_block_are_bit_equal_to_runs_without_the_failing_one(method):
    z = np.random.default_rng(0).normal(size=(40, 3))
    bad = [3, 17, 39]
    huge = z.copy()
    huge[bad, 2] = 1e160
    result = amplitudes(huge, method)
    assert np.flatnonzero(result.status).tolist() == bad
    good = np.delete(np.arange(40), bad)
    assert np.array_equal(result.z.values[good], amplitudes(z, method).z.values[good])
    assert np.isnan(result.z.values[bad, 1:]).all()
    assert np.array_equal(result.z.values[bad, 0], huge[bad] + 0j)
    assert (result.steps.values[bad] == 0).all()
    assert (result.steps.values[good] == 100).all()


def test_the_node_at_fault_is_named_while_the_others_are_still_finite():
    z = np.zeros((2, 3))
    z[1, 2] = 1e160
    result = amplitudes(z, "euler")  # one evaluation per step: the neighbours have not heard of it yet
    assert result.stop_node.values.tolist() == [-1, 2]
    assert result.stop_time[1] == pytest.approx(0.01, rel=1e-12)  # the first step; round-off of its end


def test_a_failing_member_does_not_disturb_the_noise_of_the_others():
    how = {"method": "euler_maruyama", "dt": 0.01, "noise": 0.1, "rng": 3}
    bad, good = quietly(Burst(), 0.0, X0, T, **how), simulate(Burst(), 0.0, BENIGN, T, **how)
    assert bad.status.values.tolist() == [0, 1, 0, 0]
    assert np.array_equal(np.delete(bad.x.values, 1, axis=0), np.delete(good.x.values, 1, axis=0))


@pytest.mark.parametrize("wrap", [lambda c: c, Diffusive], ids=["delayed", "delayed differences"])
@pytest.mark.parametrize("tau", [0.05, np.full((3, 3), 0.05)], ids=["one delay", "per link"])
def test_a_failing_member_does_not_disturb_the_past_of_the_others(wrap, tau):
    coupling = wrap(Delayed(np.full((3, 3), 0.1), tau))
    z = np.random.default_rng(1).normal(size=(3, 3)) + 0j
    huge = z.copy()
    huge[1, 0] = 1e160

    def go(x0):
        return quietly(StuartLandau(1.0, 0.5), coupling, x0, T, dt=0.01, history=z)

    bad = go(huge)
    assert bad.status.values.tolist() == [0, 1, 0]
    assert np.array_equal(bad.z.values[[0, 2]], go(z).z.values[[0, 2]])
    assert np.array_equal(bad.z.values[1, 0], huge[1])
    assert np.isnan(bad.z.values[1, 1:]).all()


@pytest.mark.parametrize("how", [FIXED[2], ADAPTIVE[1]], ids=names)
def test_observations_of_a_failing_member_end_with_it(how):
    result = quietly(Burst(), 0.0, X0, T, observe={"largest": lambda x: x.max(axis=-1)}, **how)
    largest = result.largest.values
    assert np.isfinite(largest[[0, 2, 3]]).all()
    assert np.isfinite(largest[1, T < BLOW_UP]).all()
    assert np.isnan(largest[1, float(result.stop_time[1]) <= T]).all()


@pytest.mark.parametrize("how", [FIXED[2], ADAPTIVE[1]], ids=names)
def test_a_single_run_stops_like_a_member(how):
    alone = quietly(Burst(), 0.0, X0[1], T, **how)
    member = quietly(Burst(), 0.0, X0, T, **how)
    assert np.array_equal(alone.x.values, member.x.values[1], equal_nan=True)
    for name in ("status", "stop_time", "stop_node", "steps", "rejected"):
        assert alone[name].values == member[name].values[1]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (FIXED[2], r"left the finite numbers at t = 0\.\d+ at node 1; try a smaller `dt`"),
        (ADAPTIVE[1], r"needed a step too small to represent at t = 0\.5.*; try looser tolerances or a bounded law"),
    ],
    ids=["fixed", "adaptive"],
)
@pytest.mark.parametrize("kind", ["warn", "raise"])
def test_the_message_counts_the_members_and_names_the_first_one(how, text, kind):
    x0 = np.concatenate([X0, X0])
    pattern = rf"^2 of 8 runs stopped; run 1 {text} \(status, stop_time and stop_node are in the result\)\.$"
    if kind == "warn":
        with pytest.warns(RuntimeWarning, match=pattern):
            simulate(Burst(), 0.0, x0, T, **how)
    else:
        with pytest.raises(FloatingPointError, match=pattern):
            simulate(Burst(), 0.0, x0, T, on_failure="raise", **how)


@pytest.mark.parametrize("how", FIXED + ADAPTIVE, ids=names)
def test_a_run_without_failure_neither_warns_nor_raises(how):
    result = simulate(Burst(), 0.0, BENIGN, T, on_failure="raise", **how)  # warnings are errors in this suite
    assert (result.status == 0).all()
    assert (result.stop_node == -1).all()
    assert np.isnan(result.stop_time).all()


def sick(x0, method):
    """A run whose law is not a number where x > 1; an alarm ends it, should the step control wait for ever."""

    @dataclass(frozen=True)
    class Sick(System):
        def law(self, t, x, h):
            return np.where(x > 1.0, np.nan, -x)

    def alarm(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(20)
    try:
        return quietly(Sick(), 0.0, x0, T, method=method)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
def test_a_law_that_is_not_a_number_at_the_start_stops_its_member_at_once(method):
    result = sick(X0, method)
    assert result.status.values.tolist() == [0, 1, 0, 0]
    assert result.stop_time[1] == 0.0
    assert result.stop_node.values.tolist() == [-1, 1, -1, -1]
    assert np.array_equal(result.x.values[1, 0], X0[1])
    assert np.isnan(result.x.values[1, 1:]).all()
    assert np.array_equal(result.x.values[2], sick(X0[2], method).x.values)
