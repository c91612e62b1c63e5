"""Every method shows its order: the error falls by the power of the step that the method promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import iv

from oscillators import Kuramoto, Stencil, simulate
from tests.problems import (
    SMOOTH,
    Carried,
    Problem,
    delayed_cosine,
    delayed_steps,
    driven_oscillator,
    half_angle,
    lone_amplitudes,
    pair_of_phases,
    pendulum,
    phase_in_turning_force,
    prescribed_path,
    timed_law,
)

MARGIN = 0.15  # of a measured slope: terms of the next order, at the steps used here
ORDER = {"euler": 1, "heun": 2, "rk4": 4}
ADAPTIVE = ["dopri5", "tsit5"]


def slope(sizes, errors) -> float:
    """The power p in error = C size^p, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])


# Steps at which the leading term rules and round-off, about 1e-15, is far away.
STEPS = {"euler": [1 / 200, 1 / 400, 1 / 800], "heun": [1 / 40, 1 / 80, 1 / 160], "rk4": [1 / 20, 1 / 40, 1 / 80]}
CURVED = {  # non-linear, non-linear with shear, and non-autonomous: by the drive, and in the law
    "pair of phases": pair_of_phases,
    "lone amplitudes": lone_amplitudes,
    "turning force": phase_in_turning_force,
    "law of time": timed_law,
    "pendulum": pendulum,
    "driven oscillator": driven_oscillator,
}


@pytest.mark.parametrize("problem", CURVED.values(), ids=CURVED)
@pytest.mark.parametrize("method", ORDER)
def test_the_error_falls_with_the_order_of_the_method(method, problem):
    problem = problem()
    errors = [problem.error(method=method, dt=dt) for dt in STEPS[method]]
    assert slope(STEPS[method], errors) == pytest.approx(ORDER[method], abs=MARGIN)


@pytest.mark.parametrize("problem", [pendulum, driven_oscillator])
def test_semi_implicit_euler_has_order_one(problem):
    problem, steps = problem(), [1 / 200, 1 / 400, 1 / 800]
    errors = [problem.error(method="semi_implicit_euler", dt=dt) for dt in steps]
    assert slope(steps, errors) == pytest.approx(1, abs=MARGIN)


@pytest.mark.parametrize(
    ("problem", "span"),
    [(delayed_cosine(np.pi * np.arange(3)), np.pi), (prescribed_path(1.1 * np.arange(4)), 1.1)],
    ids=["linear", "driven phase"],
)
@pytest.mark.parametrize("method", ORDER)
def test_delays_between_two_steps_keep_the_order_when_the_past_is_smooth(method, problem, span):
    # The delay is half of the span between saves; an odd number of steps puts it midway between two of them each time,
    # so that the error of the interpolation does not jump about.
    count = np.array([9, 15, 27, 45]) * (7 if method == "euler" else 1)
    errors = [problem.error(method=method, dt=span / n) for n in count]
    assert slope(1 / count, errors) == pytest.approx(ORDER[method], abs=MARGIN)


@pytest.mark.parametrize("method", ORDER)
def test_a_kinked_past_keeps_the_order_when_the_delay_is_a_whole_number_of_steps(method):
    problem, steps = delayed_steps(), [1 / 8, 1 / 16, 1 / 32]  # τ = 1
    errors = [problem.error(method=method, dt=dt) for dt in steps]
    assert slope(steps, errors) == pytest.approx(ORDER[method], abs=MARGIN)


def test_a_kink_that_falls_inside_a_step_costs_order_but_not_convergence():
    # The stages on both sides of a jump of the velocity, by dt/2 from a step's end, err by O(dt²) once.
    problem = delayed_steps(0.5)
    problem = Problem(
        problem.system, problem.coupling, problem.x0, problem.t[::2], problem.exact[::2], history=problem.history
    )
    count = np.array([9, 17, 33])
    errors = [problem.error(method="rk4", dt=1 / n) for n in count]
    assert slope(1 / count, errors) == pytest.approx(2, abs=MARGIN)


def test_uneven_saves_keep_the_order_of_a_delayed_run():
    t = np.array([0.0, 0.3, 0.37, 1.0, 2.9, 3.0])  # steps of three sizes at once; the place of the delay in them varies
    problem, steps = delayed_cosine(t), [0.1, 0.05, 0.025, 0.0125, 0.00625]
    errors = [problem.error(method="rk4", dt=dt) for dt in steps]
    assert slope(steps, errors) == pytest.approx(4, abs=0.4)  # two per halving of jitter from those places


# --- adaptive methods -------------------------------------------------------------------------------------------------


def chased_force(h: float) -> Problem:
    """Phases in a force that turns with them, over a single step of length h, saved at four places inside it.

    Non-linear and non-autonomous; tan(φ/2) falls as exp(−t), see `problems.phase_in_turning_force`.
    """
    omega, phi0, t = 1.3, np.array([0.5, 1.0, 2.0, 2.8, -1.5]), h * np.array([0.0, 0.15, 0.4, 0.6, 0.85, 1.0])
    force = lambda s: np.array([np.cos(omega * s), np.sin(omega * s)])  # noqa: E731
    exact = omega * t[:, None] + half_angle(phi0, np.exp(-t)[:, None])
    return Problem(Kuramoto(omega), 0.0, phi0, t, exact, drive=force)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_single_adaptive_step_has_order_five_and_its_inside_order_four(method):
    sizes, ends, insides = np.array([0.2, 0.15, 0.1, 0.07]), [], []
    for h in sizes:
        problem = chased_force(h)
        result = problem.run(method=method, rtol=1e3, atol=1e3)  # so loose that nothing limits the step but the end
        assert result.steps == 1
        error = np.abs(result.theta.values - problem.exact).max(axis=1)
        ends.append(error[-1])
        insides.append(error[1:-1].max())
    # The error of one step falls with order + 1. The leading term of the end is small by design (in tsit5 more so), so
    # that the next one still shows and makes the slope steeper: a bound from below.
    assert slope(sizes, ends) > 6 - MARGIN
    assert slope(sizes, insides) == pytest.approx(5, abs=MARGIN)


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_of_an_adaptive_run_follows_its_tolerance(name, method):
    # The estimate bounds the error of one step; some tens of steps, and the growth of errors on diverging problems
    # (tan(sin t) steepens them 3-fold, a drifting pair passes close to its ghost), stay below a factor of 200.
    problem = SMOOTH[name]()
    for tol in (1e-5, 1e-7, 1e-9):
        assert problem.error(method=method, rtol=tol, atol=tol) < 200 * tol


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("name", ["pair of phases", "turning force", "pendulum", "lone amplitudes"])
def test_the_error_is_proportional_to_the_tolerance(name, method):
    tols = np.array([1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10])
    problem = SMOOTH[name]()
    errors = [problem.error(method=method, rtol=tol, atol=tol) for tol in tols]
    assert slope(tols, errors) == pytest.approx(1, abs=0.25)  # 4/5 to 6/5: the step follows the estimate, not the error


@pytest.mark.parametrize("method", ADAPTIVE)
def test_work_buys_precision_at_the_fifth_power(method):
    problem, tols, steps, errors = SMOOTH["pendulum"](), [1e-7, 1e-8, 1e-9, 1e-10, 1e-11], [], []
    for tol in tols:
        steps.append(float(problem.run(method=method, rtol=tol, atol=tol).steps))
        errors.append(problem.error(method=method, rtol=tol, atol=tol))
    assert slope(1 / np.array(steps), errors) > 4.75  # a bound from below, as above; with order 4 it would be 4


# --- noise ------------------------------------------------------------------------------------------------------------

DECAY, SIGMA = 1.5, 0.7
OU = Stencil(np.array([-DECAY]))  # with `Carried`: dx = −k x dt + σ dW, one path per node
STOCHASTIC = ["euler_maruyama", "stochastic_heun"]


def ornstein_uhlenbeck(N, t, dt, method, coupling=OU, x0=0.0, seed=11):
    result = simulate(Carried(), coupling, np.full(N, x0), t, method=method, dt=dt, noise=SIGMA, rng=seed)
    return result.x.values


@pytest.mark.parametrize("method", STOCHASTIC)
def test_noise_that_decays_has_the_variance_of_its_recursion(method):
    # x' = a x + σ b √dt ξ: a = 1 − k dt, b = 1 (Euler); a = 1 − k dt + (k dt)²/2, b = 1 − k dt/2 (Heun).
    # From 0 the variance after n steps is σ² b² dt (1 − a^{2n}) / (1 − a²); dt → 0: σ²/2k (1 − e^{−2kt}).
    N, dt, n = 40_000, 0.2, np.array([1, 3, 20])
    kdt = DECAY * dt
    a, b = (1 - kdt, 1.0) if method == "euler_maruyama" else (1 - kdt + kdt**2 / 2, 1 - kdt / 2)
    expected = SIGMA**2 * b**2 * dt * (1 - a ** (2 * n)) / (1 - a**2)
    x = ornstein_uhlenbeck(N, np.concatenate([[0], n * dt]), dt, method)[1:]
    np.testing.assert_allclose(x.var(axis=1), expected, rtol=4 * np.sqrt(2 / N))  # four standard errors of a variance
    np.testing.assert_allclose(x.mean(axis=1), 0.0, atol=4 * np.sqrt(expected.max() / N))


@pytest.mark.parametrize("method", STOCHASTIC)
def test_the_stationary_variance_of_decaying_noise_is_half_sigma_squared_over_k(method):
    N, dt = 40_000, 0.02
    x = ornstein_uhlenbeck(N, [0.0, 3.0], dt, method)[-1]
    bias = DECAY * dt / 2 + np.exp(-6 * DECAY)  # of the step (Euler: 1/(1 − k dt/2)) and of the start
    assert x.var() == pytest.approx(SIGMA**2 / (2 * DECAY), rel=4 * np.sqrt(2 / N) + bias)


@pytest.mark.parametrize(("method", "power"), [("euler_maruyama", 1), ("stochastic_heun", 2)])
def test_additive_noise_is_followed_path_by_path(method, power):
    # The same seed without drift shows the increments ΔW_n. Given them, the exact path has the mean
    # e^{−kT} x0 + Σ_n σ ΔW_n e^{−k(T − t_{n+1})} (1 − e^{−k dt})/(k dt); what they leave open is of order dt anyway.
    T, steps, errors = 1.0, np.array([1 / 16, 1 / 32, 1 / 64]), []
    for dt in steps:
        t = np.linspace(0.0, T, round(T / dt) + 1)
        x = ornstein_uhlenbeck(500, t, dt, method, x0=1.0)[-1]
        W = np.diff(ornstein_uhlenbeck(500, t, dt, method, coupling=0.0), axis=0)  # σ ΔW
        weight = np.exp(-DECAY * (T - t[1:])) * -np.expm1(-DECAY * dt) / (DECAY * dt)
        errors.append(np.sqrt(np.mean((x - np.exp(-DECAY * T) - weight @ W) ** 2)))
    assert slope(steps, errors) == pytest.approx(power, abs=MARGIN)


@pytest.mark.parametrize("method", STOCHASTIC)
def test_a_noisy_phase_in_a_force_settles_to_von_mises(method):
    # dθ = −F sin θ dt + σ dW: density ∝ exp(κ cos θ), κ = 2F/σ², mean of cos mθ = I_m(κ)/I_0(κ).
    N, F, sigma, dt = 20_000, 0.8, 0.9, 0.02
    theta = simulate(
        Kuramoto(0.0), 0.0, np.zeros(N), [0.0, 10.0], method=method, dt=dt, drive=np.array([F, 0.0]), noise=sigma, rng=7
    ).theta.values[-1]
    kappa = 2 * F / sigma**2
    for m in (1, 2):
        # four standard errors of a mean of N numbers between −1 and 1, plus the weak error of the step, F dt/2
        assert np.cos(m * theta).mean() == pytest.approx(
            iv(m, kappa) / iv(0, kappa), abs=4 / np.sqrt(2 * N) + F * dt / 2
        )
    assert np.sin(theta).mean() == pytest.approx(0.0, abs=4 / np.sqrt(2 * N))
