"""Second-order oscillators against matrix exponentials and their conserved energy."""

from __future__ import annotations

import numpy as np
import pytest

from oscillators import InertialKuramoto, TopographicOscillators, simulate
from tests.problems import damped_oscillators, driven_oscillator, harmonic_chain, velocity


@pytest.mark.parametrize("boundary", ["zero", "periodic"])
def test_a_harmonic_chain_is_its_matrix_exponential(boundary):
    amplitude = 1e-6  # tanh h − h = h³/3 = 1e-12 of h
    problem = harmonic_chain(boundary, amplitude)
    assert problem.error(method="rk4", dt=2e-3) < 1e-10 * amplitude  # dt⁴ = 2e-11, times T
    assert problem.error(method="dopri5", rtol=1e-11, atol=1e-18) < 1e-9 * amplitude  # some 1e2 steps


def test_a_large_field_saturates():
    for h in (-40.0, 0.3, 40.0):
        found = velocity(TopographicOscillators(0.5, 0.2), 0.0, np.array([[2.0, 3.0]]), drive=np.array([h]))
        np.testing.assert_allclose(found, [[3.0, np.tanh(h) - 0.5 * 2.0 - 0.2 * 3.0]], atol=1e-15)


@pytest.mark.parametrize("problem", [damped_oscillators, driven_oscillator])
def test_damped_oscillators_follow_their_closed_form(problem):
    assert problem().error(method="rk4", dt=1e-3) < 1e-11  # dt⁴ = 1e-12, times γ² T


@pytest.mark.parametrize("dt", [0.01, 0.3])
def test_semi_implicit_euler_does_not_let_an_undamped_oscillator_drift(dt):
    # v' = v − γ x dt, x' = x + v' dt keeps Q = v² + γ x² − γ dt x v exactly: Q(x', v') = Q(x, v) by substitution.
    gamma, steps = 2.0, 100_000
    t = np.linspace(0, steps * dt, 1001)
    start = np.array([[1.0, 0.0], [0.3, -0.8]])
    found = simulate(TopographicOscillators(gamma, 0.0), 0.0, start, t, method="semi_implicit_euler", dt=dt)
    assert found.steps == steps
    x, v = found.x.values, found.v.values
    Q = v**2 + gamma * x**2 - gamma * dt * x * v
    np.testing.assert_allclose(Q, np.broadcast_to(Q[0], Q.shape), rtol=1e-11)  # round-off of 1e5 steps, 1e-16 each
    energy = v**2 + gamma * x**2
    bound = np.sqrt(gamma) * dt / 2  # |γ dt x v| <= bound (v² + γ x²)
    assert (energy <= energy[0] * (1 + bound) / (1 - bound)).all()
    assert (energy >= energy[0] * (1 - bound) / (1 + bound)).all()


def test_plain_euler_does_let_it_drift():
    t, start = [0.0, 10.0], np.array([[1.0, 0.0]])
    found = simulate(TopographicOscillators(2.0, 0.0), 0.0, start, t, method="euler", dt=0.01)
    # each step multiplies the energy v² + γ x² by 1 + γ dt²
    energy = float(found.v[-1, 0] ** 2 + 2 * found.x[-1, 0] ** 2)
    assert energy == pytest.approx(2 * (1 + 2 * 0.01**2) ** 1000, rel=1e-10)


def test_semi_implicit_euler_keeps_the_energy_of_a_pendulum_bounded():
    start, t = np.array([[2.0, 0.0]]), np.linspace(0, 5000, 2001)
    system, dt, force = InertialKuramoto(0.0, 1.0, 0.0), 0.05, np.array([1.0, 0.0])
    found = simulate(system, 0.0, start, t, method="semi_implicit_euler", dt=dt, drive=force)
    energy = found.v.values**2 / 2 - np.cos(found.theta.values)
    assert found.steps == 100_000
    off = np.abs(energy - energy[0])
    assert off.max() < dt  # the kept quantity is the energy − dt v sin(θ)/2 + O(dt²), with |v sin θ| < 2
    assert off[-200:].max() == pytest.approx(off[:200].max(), rel=0.05)  # as far off late as early: no drift


def test_undamped_runs_of_rk4_lose_energy_at_the_rate_of_its_order():
    # The factor of one rk4 step on x'' = −γx, squared, is 1 − (w dt)⁶/72 + (w dt)⁸/576 (w² = γ).
    dt, steps, gamma = 0.1, 1000, 1.0
    found = simulate(
        TopographicOscillators(gamma, 0.0), 0.0, np.array([[1.0, 0.0]]), [0, steps * dt], method="rk4", dt=dt
    )
    energy = float(found.v[-1, 0] ** 2 + gamma * found.x[-1, 0] ** 2)
    assert energy == pytest.approx((1 - dt**6 / 72 + dt**8 / 576) ** steps, rel=1e-11)  # round-off of 1000 steps
