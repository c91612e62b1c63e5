"""A recorded past: a run that it continues, and the same past as a function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from oscillators import Delayed, Dense, Kuramoto, Recorded, SphereKuramoto, StuartLandau, integrate, simulate

N, DT, HALF = 6, 0.1, 20
rng = np.random.default_rng(0)
OMEGA, START = rng.normal(size=N), rng.normal(size=(3, N))
COUPLING = Delayed(Dense(rng.uniform(0, 1, (N, N))), 0.1 * rng.integers(1, 9, N))
TIMES = 2 * DT * np.arange(-6, 1)


def halves(dt, method):
    """Phases of a run in one go, and of its second half, which continues the first."""
    t = dt * np.arange(round(4 / dt) + 1)
    whole = simulate(Kuramoto(OMEGA), COUPLING, START, t, method=method, dt=dt, history=START).theta
    first, rest = whole.isel(time=t <= 2), t[t >= 2]
    path = Recorded(first.time, first)
    again = simulate(Kuramoto(OMEGA), COUPLING, first[:, -1], rest, method=method, dt=dt, history=path).theta
    return whole.sel(time=again.time), again


@pytest.mark.parametrize("method", ["euler", "heun"])
def test_a_run_whose_stages_look_at_recorded_times_goes_on_as_if_never_stopped(method):
    whole, again = halves(DT, method)
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-14)


def test_between_recorded_times_the_lines_cost_an_error_of_order_two():
    errors = [float(abs(np.subtract(*halves(dt, "rk4"))).max()) for dt in (DT, DT / 2, DT / 4)]
    assert errors[0] > 4 * errors[1] > 16 * errors[2]


def test_a_past_as_long_as_the_longest_delay_keeps_the_order_of_the_method():
    net, path = Delayed(Dense([[0.0, 1.0], [1.0, 0.0]]), 1.0), lambda t: 0.5 * np.multiply.outer(t, [1.0, 2.0])
    times = np.linspace(-1.0, 0.0, 11)

    def run(history):
        return simulate(Kuramoto(1.0), net, path(0.0), [0.0, 0.9], method="rk4", dt=0.3, history=history).theta

    # the path is straight, so that both see the same past, and a step of 0.3 looks up to 0.2 beyond the first time
    np.testing.assert_allclose(run(Recorded(times, path(times))), run(path), rtol=0, atol=1e-9)


@pytest.mark.parametrize("longest", [1, 2, 3, 4, 6, 8, 9, 11])
def test_delays_in_single_precision_are_as_long_as_their_record(longest):
    tau, x = torch.full((2,), float(longest)) * 0.1, torch.zeros(2)
    past = Recorded(0.1 * np.arange(-longest, 1), torch.zeros(longest + 1, 2))
    end = integrate(
        Kuramoto(0.0), Delayed(Dense(torch.ones(2, 2)), tau), x, [0.0, 0.1], method="euler", dt=0.1, history=past
    )
    assert end.dtype == torch.float32


SYSTEMS = {
    "phases": (Kuramoto(OMEGA), rng.normal(size=(7, N))),
    "an ensemble": (Kuramoto(OMEGA), rng.normal(size=(7, 3, N))),
    "amplitudes": (StuartLandau(1.0, OMEGA), rng.normal(size=(7, N)) + 1j * rng.normal(size=(7, N))),
    "vectors": (SphereKuramoto(), rng.normal(size=(7, N, 3))),
}


def with_gradient(*network, **options):
    return integrate(*network, **options)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("run", [simulate, integrate, with_gradient])
def test_it_is_the_same_past_as_its_function_of_time(name, run):
    system, states = SYSTEMS[name]
    unit = name == "vectors"
    if unit:
        states = states / np.linalg.norm(states, axis=-1, keepdims=True)

    def path(t):
        k = min(max(int(np.floor((t - TIMES[0]) / (2 * DT))), 0), len(TIMES) - 2)
        share = min((t - TIMES[k]) / (2 * DT), 1.0)
        x = (1 - share) * states[k] + share * states[k + 1]
        return x / np.linalg.norm(x, axis=-1, keepdims=True) if unit else x

    start = states[-1] if run is simulate else torch.tensor(states[-1], requires_grad=run is with_gradient)
    found, want = (
        run(system, COUPLING, start, [0.0, 0.7, 1.3], method="rk4", dt=DT, history=history)
        for history in (Recorded(TIMES, states), path)
    )
    variable = system.variables[0]
    if run is simulate:
        found, want = found[variable].values, want[variable].values
    elif run is with_gradient:
        found, want = found.detach(), want.detach()
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-9)  # places in time round; differences divide by 1e-4


@pytest.mark.parametrize("gradient", ["discrete", "backprop"])
def test_recorded_states_and_later_delays_have_their_gradient(gradient):
    states = torch.tensor(rng.normal(size=(7, N)), requires_grad=True)
    K = torch.tensor(COUPLING.coupling.K, requires_grad=True)

    def end(states, K):
        net, past = Delayed(Dense(K), COUPLING.tau), Recorded(TIMES, states)
        x0 = torch.tensor(START[0])
        return integrate(Kuramoto(OMEGA), net, x0, [0.0, 0.9], method="heun", dt=DT, history=past, gradient=gradient)[
            -1
        ]

    assert torch.autograd.gradcheck(end, (states, K))
    (found,) = torch.autograd.grad(end(states, K.detach()).sum(), states)
    assert found.abs().max() > 0.01


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Recorded([0.0], np.zeros((1, N))), ValueError, "at least two increasing"),
        (lambda: Recorded([0.0, 0.0], np.zeros((2, N))), ValueError, "at least two increasing"),
        (lambda: Recorded([0.0, 1.0], np.zeros((3, N))), ValueError, r"one state for each of the 2 times.*\(3, 6\)"),
        (lambda: Recorded([0.0, np.nan], np.zeros((2, N))), ValueError, "`times` must be finite"),
        (lambda: Recorded([0.0, 1.0], xr.Dataset()), TypeError, "is a Dataset; pass a variable"),
        (
            lambda: go(np.zeros((2, N)), [-1.0, 1.0]),
            ValueError,
            "must end where the run starts, at t = 0, but end at 1",
        ),
        (
            lambda: go(np.zeros((2, N)), [-0.5, 0.0]),
            ValueError,
            "reach back by the longest tau, 0.8, but covers 0.5 only",
        ),
        (lambda: go(np.zeros((2, N + 1))), ValueError, r"`history.states\[0\]` must broadcast"),
        (lambda: go(np.full((2, N), np.nan)), ValueError, "`history.states` must be finite"),
        (lambda: go(torch.zeros(2, N, requires_grad=True)), TypeError, "`history.states` must not require gradients"),
    ],
)
def test_bad_records_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def go(states, times=(-1.0, 0.0)):
    simulate(Kuramoto(OMEGA), COUPLING, START, [0.0, 1.0], method="heun", dt=DT, history=Recorded(times, states))
