"""Stuart-Landau oscillators against their closed form and the border of amplitude death."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import theory
from oscillators import Diffusive, StuartLandau, simulate
from tests.problems import lone_amplitudes

TIGHT = {"method": "dopri5", "rtol": 1e-12, "atol": 1e-14}
EXACT = 1e-10  # some 1e2 steps of 1e-12
MUTUAL = 1 - np.eye(2)


def test_a_small_amplitude_grows_and_turns_by_the_closed_form():
    growth, omega, shear, r0, t = 0.8, 2.0, 0.5, 0.1, np.linspace(0, 6, 13)
    z = simulate(StuartLandau(growth, omega, shear), 0.0, np.array([r0 + 0j]), t, **TIGHT).z.values[:, 0]
    square = growth / (1 + (growth / r0**2 - 1) * np.exp(-2 * growth * t))
    np.testing.assert_allclose(np.abs(z) ** 2, square, rtol=0, atol=EXACT)
    # dφ/dt = ω − β r² and ∫ r² = ln(1 + r0² (e^{2λt} − 1)/λ) / 2
    angle = omega * t - shear / 2 * np.log1p(r0**2 * np.expm1(2 * growth * t) / growth)
    np.testing.assert_allclose(z / np.abs(z), np.exp(1j * angle), rtol=0, atol=EXACT)


def test_without_shear_the_angle_turns_with_omega():
    t = np.linspace(0, 2, 5)
    z = simulate(StuartLandau(1.0, 1.3), 0.0, np.array([0.2j]), t, **TIGHT).z.values[:, 0]
    np.testing.assert_allclose(np.unwrap(np.angle(z)), np.pi / 2 + 1.3 * t, rtol=0, atol=EXACT)


def test_the_limit_cycle_has_the_radius_and_frequency_of_theory():
    problem = lone_amplitudes()
    growth, omega, shear = problem.system.growth, problem.system.omega, problem.system.shear
    z = simulate(problem.system, 0.0, problem.x0, [0, 60, 60.1], **TIGHT).z.values
    np.testing.assert_allclose(
        np.abs(z[2]), theory.limit_cycle_radius(growth), rtol=0, atol=1e-9
    )  # e^{−0.5·60} = 1e-13
    turned = np.angle(z[2] / z[1])[growth > 0] / 0.1
    np.testing.assert_allclose(turned, theory.limit_cycle_frequency(growth, omega, shear)[growth > 0], atol=1e-8)


def late_radius(K, detuning, t=80.0):
    """|z| of both oscillators after a long time."""
    system = StuartLandau(1.0, detuning * np.array([0.5, -0.5]))
    z = simulate(system, Diffusive(K * MUTUAL), np.array([0.5, 0.3j]), [0, t], method="rk4", dt=0.01).z.values[-1]
    return np.abs(z)


@pytest.mark.parametrize("detuning", [3.0, 5.0])
def test_amplitudes_die_exactly_within_the_known_range(detuning):
    low, high = 1.0, 0.5 + detuning**2 / 8  # λ < K < λ/2 + Δ²/8λ (Aronson, Ermentrout and Kopell 1990), λ = 1
    assert theory.amplitude_death_range(1.0, detuning) == pytest.approx((low, high))
    for K, dies in ((low - 0.2, False), (low + 0.2, True), (high - 0.2, True), (high + 0.2, False)):
        radius = late_radius(K, detuning)
        # inside, the slower of the rates K − λ and K − λ − √(K² − Δ²/4) is at least 0.08: e^{−0.08·80} = 2e-3
        assert (radius < 5e-3).all() if dies else (radius > 0.1).all()


def test_dying_amplitudes_fall_with_the_rate_of_the_origin():
    K, detuning = 2.0, 5.0  # K < Δ/2: both modes decay with K − λ and beat with √(Δ²/4 − K²)
    assert theory.amplitude_death_range(1.0, detuning)[0] < K
    system, beat = StuartLandau(1.0, detuning * np.array([0.5, -0.5])), 2 * np.pi / np.sqrt(detuning**2 / 4 - K**2)
    start = 1e-5 * np.array([1.0, 0.3j])  # cubes are 1e-10 of it
    z = simulate(system, Diffusive(K * MUTUAL), start, [0, beat], **TIGHT | {"atol": 1e-20}).z.values
    np.testing.assert_allclose(z[1] / z[0], np.exp((1 - K) * beat), rtol=0, atol=1e-9)


def test_without_detuning_a_diffusive_pair_keeps_its_full_amplitude():
    np.testing.assert_allclose(late_radius(3.0, 0.0), 1.0, rtol=0, atol=EXACT)


def test_direct_coupling_is_diffusive_coupling_with_less_growth():
    K, z0, t = np.random.default_rng(2).random((4, 4)), np.array([0.1, 0.5j, -1, 0.3]), [0.0, 1.0, 2.0]
    rows = K.sum(axis=1)
    direct = simulate(StuartLandau(1.0, 0.7, 0.2), K, z0, t, method="rk4", dt=0.01).z
    pulled = simulate(StuartLandau(1.0 + rows, 0.7, 0.2), Diffusive(K), z0, t, method="rk4", dt=0.01).z
    np.testing.assert_allclose(pulled, direct, rtol=0, atol=1e-13)  # round-off of the two spellings
