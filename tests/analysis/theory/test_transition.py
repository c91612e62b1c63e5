"""The transition of the Kuramoto model against closed forms, its own equation, and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ive

from analysis import order_parameter
from analysis.theory import (
    critical_coupling,
    gaussian,
    lorentzian,
    lorentzian_order,
    ott_antonsen_order,
    stationary_order,
)


def test_critical_couplings_of_known_densities():
    assert critical_coupling(lorentzian(0.5)) == pytest.approx(1.0)
    assert critical_coupling(gaussian(2.0)) == pytest.approx(2.0 * np.sqrt(8 / np.pi))
    assert critical_coupling(1 / (2 * 3.0)) == pytest.approx(4 * 3.0 / np.pi)  # uniform on [−3, 3]


@pytest.mark.parametrize("density", [lorentzian(0.7), gaussian(0.7)])
def test_densities_are_normalised(density):
    x = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 100_002)[1:-1])  # grid of constant step in arctan ω
    total = np.sum(density(x) * (1 + x**2)) * np.pi / 100_001
    assert total == pytest.approx(1, abs=1e-4)  # the two end points left out weigh 2e-5


def test_the_self_consistent_order_is_the_closed_form_of_lorentzian_frequencies():
    K = np.array([0.0, 0.9, 1.0, 1.001, 1.5, 3.0, 50.0])
    # the root of a quadrature with absolute error 1.5e-8, divided by the slope at the smallest r (0.03)
    np.testing.assert_allclose(stationary_order(K, lorentzian(0.5)), lorentzian_order(K, 0.5), atol=1e-6)


def test_the_self_consistent_order_solves_the_bessel_form_of_gaussian_frequencies():
    K, sigma = 2.5, 1.2
    r = stationary_order(K, gaussian(sigma))
    a = (K * r / (2 * sigma)) ** 2
    assert np.isscalar(r)
    assert K / sigma * np.sqrt(np.pi / 8) * (ive(0, a) + ive(1, a)) == pytest.approx(1, abs=1e-8)  # quadrature


def test_order_sets_in_at_the_critical_coupling():
    assert lorentzian_order([-1.0, 0.5, 1.0], 0.5).tolist() == [0, 0, 0]
    assert lorentzian_order(2.0, 0.5) == pytest.approx(np.sqrt(0.5))
    assert stationary_order(critical_coupling(gaussian(1.0)) * 0.999, gaussian(1.0)) == 0


@pytest.mark.parametrize("K", [0.0, 0.6, 2.0, 5.0, -3.0])
def test_the_relaxation_of_order_solves_its_equation(K):
    half_width, r0, t = 1.0, 0.2, np.linspace(0, 8, 9)
    law = lambda t, r: -half_width * r + K / 2 * r * (1 - r**2)  # noqa: E731
    solved = solve_ivp(law, (0, 8), [r0], t_eval=t, rtol=1e-11, atol=1e-13).y[0]
    np.testing.assert_allclose(ott_antonsen_order(t, K, half_width, r0), solved, atol=1e-10)  # tolerance of the solver


def test_the_relaxation_of_order_ends_in_the_stationary_order():
    assert ott_antonsen_order(1e5, 3.0, 1.0, 1e-6) == pytest.approx(lorentzian_order(3.0, 1.0))
    assert ott_antonsen_order(1e5, 1.0, 1.0, 0.9) == 0
    assert ott_antonsen_order(5.0, 3.0, 1.0, 0.0) == 0


def test_a_finite_population_follows_the_relaxation_of_order():
    N, K, half_width, dt, steps = 4000, 4.0, 1.0, 0.02, 200
    rng = np.random.default_rng(8)
    omega = half_width * np.tan(np.pi * (rng.random(N) - 0.5))
    theta = 2 * np.arctan((1 - 0.3) / (1 + 0.3) * np.tan(np.pi * (rng.random(N) - 0.5)))  # Z_m = 0.3^m
    predicted = ott_antonsen_order(dt * np.arange(steps + 1), K, half_width, 0.3)
    for step in range(steps + 1):
        assert order_parameter(theta) == pytest.approx(predicted[step], abs=5 / np.sqrt(N))  # sampling error
        z = np.mean(np.exp(1j * theta))
        half = theta + dt / 2 * (omega + K * np.imag(z * np.exp(-1j * theta)))
        z = np.mean(np.exp(1j * half))
        theta = theta + dt * (omega + K * np.imag(z * np.exp(-1j * half)))


@pytest.mark.parametrize("make", [lorentzian, gaussian, lambda w: lorentzian_order(1.0, w)])
def test_a_width_must_be_positive(make):
    with pytest.raises(ValueError, match="must be positive"):
        make(-1.0)
