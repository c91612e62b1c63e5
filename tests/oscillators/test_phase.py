"""Phase oscillators against closed forms: pairs, populations, twisted states, pulses and swings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from analysis import order_parameter, phase_energy, theory
from oscillators import Delayed, Dense, InertialKuramoto, Kuramoto, Stencil, Winfree, simulate
from tests.problems import (
    SMOOTH,
    drifting_pair,
    gaussian_order,
    lorentzian_frequencies,
    lorentzian_order,
    ott_antonsen_order,
    poisson_phases,
    swing_network,
    twisted_rate,
    velocity,
)

EXACT = 1e-10  # error of the tight runs below: some 1e2 steps of 1e-12 each, or dt⁴ = 1e-12 times the time scales
TIGHT = [
    {"method": "dopri5", "rtol": 1e-12, "atol": 1e-13},
    {"method": "tsit5", "rtol": 1e-12, "atol": 1e-13},
    {"method": "rk4", "dt": 1e-3},
]
rng = np.random.default_rng(1)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("options", TIGHT, ids=lambda o: o["method"])
def test_the_closed_form_is_met(name, options):
    assert SMOOTH[name]().error(**options) < EXACT


# --- pairs ------------------------------------------------------------------------------------------------------------


def test_the_tangent_of_half_the_difference_of_a_mutual_pair_falls_exponentially():
    K, t = 0.7, np.linspace(0, 4, 9)
    theta = simulate(Kuramoto(1.0), Dense(K * (1 - np.eye(2))), np.array([1.2, -1.4]), t, **TIGHT[0]).theta.values
    tangent = np.tan((theta[:, 0] - theta[:, 1]) / 2)
    np.testing.assert_allclose(tangent / tangent[0], np.exp(-2 * K * t), atol=EXACT)


@pytest.mark.parametrize("share", [-0.999, 0.6, 0.999])
def test_a_detuned_pair_locks_within_the_sum_of_its_couplings(share):
    K12, K21 = 0.3, 0.7
    omega = np.array([0.5, -0.5]) * share * (K12 + K21)
    # relaxes with the rate S √(1 − share²) >= 0.044: e^{−0.044·700} = 4e-14
    result = simulate(Kuramoto(omega), np.array([[0, K12], [K21, 0]]), np.array([0.1, 0.0]), [0, 700], **TIGHT[0])
    phi = result.theta.values[-1] @ [1, -1]
    assert np.sin(phi) == pytest.approx(share, abs=EXACT)
    assert np.cos(phi) > 0


@pytest.mark.parametrize("beyond", [1.001, 1.3, 5.0])
def test_a_pair_beyond_the_locking_range_drifts_with_the_known_period(beyond):
    # An error made where the pair is slowest grows with its speed, at most (Δω + 2K)/(Δω − 2K)-fold.
    assert drifting_pair(beyond).error(**TIGHT[2]) < EXACT * (beyond + 1) / (beyond - 1)


def test_receivers_are_rows():
    theta = simulate(Kuramoto(0.0), np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([0.0, 1.0]), [0, 1], **TIGHT[0]).theta
    assert theta[-1, 1] == 1.0  # nobody acts on node 1
    assert theta[-1, 0] == pytest.approx(1 - 2 * np.arctan(np.tan(0.5) * np.exp(-1)), abs=EXACT)


# --- what identical or symmetric oscillators conserve -----------------------------------------------------------------


def cross_ratios(theta):
    """(z_1 − z_3)(z_2 − z_4) / ((z_1 − z_4)(z_2 − z_3)) of consecutive four, z = exp(iθ): invariant under Möbius maps."""
    z = np.exp(1j * theta)
    a, b, c, d = (np.roll(z, -k, axis=-1) for k in range(4))
    return (a - c) * (b - d) / ((a - d) * (b - c))


@pytest.mark.parametrize("case", ["mean field", "lag and common drive", "delayed mean field"])
def test_cross_ratios_of_identical_oscillators_are_constant(case):
    # Watanabe and Strogatz 1994: identical phases in one common field move by Möbius maps of the circle.
    theta, t = np.linspace(0, 5, 8) + 0.1 * rng.normal(size=8), np.linspace(0, 2, 5)
    force = lambda s: np.array([0.5 * np.cos(2 * s), -0.3])  # noqa: E731
    cases = {
        "mean field": (Kuramoto(0.4), 1.2, {}),
        "lag and common drive": (Kuramoto(0.4, 0.9), 1.2, {"drive": force}),
        "delayed mean field": (Kuramoto(0.4), Delayed(1.2, 0.3), {"history": theta}),
    }
    system, coupling, options = cases[case]
    moved = simulate(system, coupling, theta, t, method="rk4", dt=0.002, **options).theta.values
    assert np.ptp(moved[-1] - theta) > 0.1  # they did move against each other
    np.testing.assert_allclose(cross_ratios(moved), cross_ratios(theta)[None] + 0j * t[:, None], rtol=EXACT)


def test_different_oscillators_do_not_keep_their_cross_ratios():
    theta = np.linspace(0, 5, 8)
    moved = simulate(Kuramoto(np.linspace(0, 1, 8)), 1.2, theta, [0, 2], method="rk4", dt=0.01).theta.values
    assert np.abs(cross_ratios(moved[-1]) / cross_ratios(theta) - 1).max() > 0.1


def test_symmetric_coupling_leaves_the_mean_frequency_alone():
    N = 9
    K, omega, theta = rng.normal(size=(N, N)), rng.normal(size=N), 3 * rng.normal(size=N)
    moved = simulate(Kuramoto(omega), K + K.T, theta, [0, 1, 5], method="rk4", dt=0.05).theta.values
    # sums of sines cancel pairwise in every stage: what is left is round-off
    np.testing.assert_allclose(moved.mean(-1), theta.mean() + omega.mean() * np.array([0, 1, 5]), atol=1e-12)


def test_identical_oscillators_move_against_the_gradient_of_their_energy():
    N, e = 7, 1e-5
    K, theta = rng.normal(size=(N, N)), 3 * rng.normal(size=N)
    K = K + K.T
    gradient = (phase_energy(theta + e * np.eye(N), K) - phase_energy(theta - e * np.eye(N), K)) / (2 * e)
    written_out = -0.5 * np.sum(K * np.cos(theta[None, :] - theta[:, None]))
    assert phase_energy(theta, K) == pytest.approx(written_out)
    np.testing.assert_allclose(velocity(Kuramoto(0.0), K, theta), -gradient, atol=1e-8)  # e² and 1e-16/e, times |K|


def test_energy_never_rises_for_symmetric_coupling():
    N = 10
    K, theta = rng.normal(size=(N, N)), 3 * rng.normal(size=(4, N))
    observe = {"energy": lambda theta: phase_energy(theta, K + K.T)}
    t = np.linspace(0, 10, 201)
    energy = simulate(Kuramoto(0.0), K + K.T, theta, t, method="rk4", dt=0.01, observe=observe).energy.values
    assert np.diff(energy, axis=1).max() < 1e-12  # round-off, once a minimum is reached
    assert (energy[:, 0] - energy[:, -1] > 1).all()


# --- populations ------------------------------------------------------------------------------------------------------


def late_order(K, omega, theta, t_end=60.0):
    """Order parameter averaged over the last third of a run."""
    result = simulate(
        Kuramoto(omega), K, theta, np.linspace(0, t_end, 121), method="rk4", dt=0.05, observe={"r": order_parameter}
    )
    return float(result.r[80:].mean())


@pytest.mark.parametrize("K", [1.5, 2.0, 4.0])
def test_lorentzian_frequencies_reach_the_known_order(K):
    N, half_width = 10_000, 0.5
    omega = lorentzian_frequencies(N, half_width)
    r = late_order(K, omega, np.zeros(N))
    # Quantiles carry no sampling error; what drifts adds a vector of length below 1/√N, of which the average over 20
    # units of time, ten times the locking time, leaves a fifth.
    assert r == pytest.approx(lorentzian_order(K, half_width), abs=0.2 / np.sqrt(N))
    assert theory.lorentzian_order(K, half_width) == pytest.approx(lorentzian_order(K, half_width))


def test_lorentzian_frequencies_below_the_threshold_stay_incoherent():
    N = 10_000
    r = late_order(0.7, lorentzian_frequencies(N, 0.5), np.zeros(N))
    assert r < 2 / np.sqrt(N)  # 0.89/√N of independent phases, amplified by at most 1/√(1 − K/K_c) = 1.8


def test_gaussian_frequencies_order_beyond_two_over_pi_g():
    N = 10_000
    scale = np.sqrt(2)  # deviation of the frequencies; gaussian_order is in units of it
    omega = scale * ndtri((np.arange(N) + 0.5) / N)
    threshold = 2 / (np.pi * (1 / np.sqrt(2 * np.pi * scale**2)))
    assert theory.critical_coupling(theory.gaussian(scale)) == pytest.approx(threshold)
    assert late_order(0.85 * threshold, omega, 2 * np.pi * rng.random(N)) < 4 / np.sqrt(N)  # 0.89/√N/√(1 − 0.85), twice
    for share in (1.1, 1.5):
        r = late_order(share * threshold, omega, np.zeros(N), 120.0)
        expected = gaussian_order(share * threshold / scale)
        assert r == pytest.approx(expected, abs=0.2 / np.sqrt(N))  # as for Lorentzian ones
        assert theory.stationary_order(share * threshold, theory.gaussian(scale)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("r0", [0.1, 0.95])
def test_order_grows_and_falls_as_ott_and_antonsen_say(r0):
    N, K, half_width, t = 100_000, 2.0, 0.5, np.linspace(0, 8, 17)
    theta = np.random.default_rng(8).permutation(poisson_phases(N, r0))  # independent of the frequencies
    omega = lorentzian_frequencies(N, half_width)
    result = simulate(Kuramoto(omega), K, theta, t, method="rk4", dt=0.05, observe={"r": order_parameter})
    expected = ott_antonsen_order(t, K, half_width, r0)
    np.testing.assert_allclose(result.r, expected, atol=5 / np.sqrt(N))  # sampling, grown at most (R/r0)(1/2)-fold
    np.testing.assert_allclose(theory.ott_antonsen_order(t, K, half_width, r0), expected, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.8, -0.5])
def test_a_lag_slows_a_population_that_has_synchronised(alpha):
    omega, K, N = 0.6, 1.5, 20
    theta = simulate(Kuramoto(omega, alpha), K, rng.random(N), [0, 40, 41], method="rk4", dt=0.02).theta.values
    assert np.ptp(theta[-1]) < EXACT  # the spread falls as exp(−K cos α t) = 1e-18
    np.testing.assert_allclose(theta[2] - theta[1], omega - K * np.sin(alpha), atol=EXACT)
    assert theory.sakaguchi_frequency(omega, K, alpha) == pytest.approx(omega - K * np.sin(alpha))


# --- rings ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0, 1, 3, 4, 7])
def test_modes_about_a_twisted_state_grow_with_their_eigenvalues(q):
    N, K, e, t = 16, 1.0, 1e-6, 0.5
    ring = Stencil(K * np.array([1.0, 0.0, 1.0]))
    twisted, mode = 2 * np.pi * q * np.arange(N) / N, np.cos(2 * np.pi * 3 * np.arange(N) / N)
    moved = simulate(Kuramoto(0.3), ring, twisted + e * mode, [0, t], **TIGHT[0]).theta.values[-1]
    growth = (moved - twisted - 0.3 * t) @ mode / (e * mode @ mode)
    rate = twisted_rate(3, q, N, K)
    assert growth == pytest.approx(np.exp(rate * t), abs=1e-5)  # second order: e² / e = 1e-6, times e^{1.1}
    assert theory.twisted_eigenvalues(np.eye(N)[1] + np.eye(N)[-1], q)[3] == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize("q", [1, 5])
def test_the_jacobian_about_a_twisted_state_has_the_circulant_eigenvalues(q):
    N, e = 16, 1e-5
    ring, twisted = Stencil(np.array([0.7, 0.0, 0.7])), 2 * np.pi * q * np.arange(N) / N
    system = Kuramoto(0.0)
    ahead, behind = (velocity(system, ring, twisted + s * e * np.eye(N)) for s in (1, -1))
    found = np.sort(np.linalg.eigvals((ahead - behind).T / (2 * e)).real)
    expected = np.sort([twisted_rate(m, q, N, 0.7) for m in range(N)])
    np.testing.assert_allclose(found, expected, atol=1e-8)  # e² and 1e-16/e


@pytest.mark.parametrize(("q", "stays"), [(1, True), (3, True), (5, False), (8, False)])
def test_twisted_states_hold_for_less_than_a_quarter_turn_between_neighbours(q, stays):
    N = 16
    twisted = 2 * np.pi * q * np.arange(N) / N
    start = twisted + 1e-3 * rng.normal(size=N)
    end = simulate(Kuramoto(0.0), Stencil(np.array([1.0, 0.0, 1.0])), start, [0, 400], method="rk4", dt=0.1).theta[-1]
    off = np.abs(np.exp(1j * (end - twisted)) - np.exp(1j * (end - twisted)).mean()).max()
    assert (off < 1e-6) if stays else (off > 0.5)  # slowest rate 0.058 for q = 3: e^{−23}; unstable ones leave e^{+23}


# --- pulses -----------------------------------------------------------------------------------------------------------


def test_uncoupled_pulses_turn_evenly():
    omega, theta, t = np.array([0.5, -1.0]), np.array([0.2, 1.0]), np.linspace(0, 3, 4)
    turned = simulate(Winfree(omega), 0.0, theta, t, method="rk4", dt=0.1).theta
    np.testing.assert_allclose(turned, theta + omega * t[:, None], atol=1e-14)  # round-off of 30 additions


def test_identical_pulses_die_at_the_stable_root():
    K, root, N = 1.0, 0.5, 10
    omega = K * np.sin(root) * (1 + np.cos(root))
    theta = simulate(Winfree(omega), K, 0.4 * rng.random(N), [0, 60], method="rk4", dt=0.05).theta.values[-1]
    np.testing.assert_allclose(theta, root, atol=EXACT)  # slowest rate K (cos θ + cos 2θ) = 1.4: e^{−84}


def test_strongly_driven_pulses_in_step_keep_turning_with_the_known_period():
    # Beyond ω = K max sin θ (1 + cos θ) = K 3√3/4 nothing holds them: period ∫ dθ / (ω − K sin θ (1 + cos θ)).
    K, omega = 1.0, 1.7
    theta = 2 * np.pi * np.arange(400) / 400  # the mean over a period of a smooth function: converges like e^{−400·0.3}
    period = 2 * np.pi * np.mean(1 / (omega - K * np.sin(theta) * (1 + np.cos(theta))))
    turned = simulate(Winfree(omega), K, np.zeros(3), [0, period, 2 * period], **TIGHT[0]).theta.values
    np.testing.assert_allclose(turned, 2 * np.pi * np.arange(3)[:, None] + np.zeros(3), atol=EXACT)


# --- inertia ----------------------------------------------------------------------------------------------------------


def test_swings_conserve_power():
    problem = swing_network()
    theta, v = problem.exact[..., 0], problem.exact[..., 1]
    for options in TIGHT:
        found = problem.run(**options)
        np.testing.assert_allclose(found.v.mean("node"), v, atol=EXACT)
        np.testing.assert_allclose(found.theta.mean("node"), theta, atol=EXACT)


@pytest.mark.parametrize("power", [0.3, 0.95])
def test_two_machines_settle_where_the_line_carries_their_power(power):
    K, close = 1.0, np.array([[0.4, 0.0], [-0.4, 0.0]])  # a start at rest; a fast one could turn for ever
    system = InertialKuramoto(np.array([power, -power]), 1.0, 0.7)
    end = simulate(system, K * (1 - np.eye(2)), close, [0, 150], method="rk4", dt=0.05)
    assert np.sin(end.theta.values[-1] @ [1, -1]) == pytest.approx(power / K, abs=EXACT)  # decays as e^{−0.35·150}
    np.testing.assert_allclose(end.v[-1], 0.0, atol=EXACT)


def test_more_power_than_the_line_carries_pulls_machines_apart():
    system = InertialKuramoto(np.array([1.2, -1.2]), 1.0, 0.7)
    end = simulate(system, 1 - np.eye(2), np.zeros((2, 2)), [0, 150], method="rk4", dt=0.05)
    assert end.theta.values[-1] @ [1, -1] > 10 * np.pi


def test_light_machines_move_like_phases():
    # m θ'' + d θ' = ω + ...: the error of dropping the first term is of order m, from a start on the slow motion.
    N, d, t = 6, 2.0, np.linspace(0, 2, 5)
    omega, K, theta = rng.normal(size=N), rng.random((N, N)), rng.normal(size=N)
    slow = simulate(Kuramoto(omega / d), K / d, theta, t, method="rk4", dt=0.001).theta.values
    v = velocity(Kuramoto(omega / d), K / d, theta)
    masses, errors = np.array([0.04, 0.02, 0.01]), []
    for m in masses:
        heavy = simulate(InertialKuramoto(omega, m, d), K, np.stack([theta, v], -1), t, method="rk4", dt=0.001)
        errors.append(np.abs(heavy.theta.values - slow).max())
    assert np.polyfit(np.log(masses), np.log(errors), 1)[0] == pytest.approx(1, abs=0.15)  # terms of order m²
