"""Locked states against the equations they solve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from analysis.theory import (
    beat_frequency,
    delayed_locked_states,
    locked_phase_difference,
    locking_range,
    sakaguchi_frequency,
    two_phase_difference,
)


@pytest.mark.parametrize(
    ("detuning", "strength"),
    [
        (0.5, 1.0),
        (-0.5, 1.0),
        (0.5, -1.0),
        (1.0, 1.0),
        (-1.0, 1.0),
        (1.2, 1.0),
        (-1.2, 1.0),
        (3.0, -0.2),
        (1.0, 0.0),
        (0, 2),
    ],
)
@pytest.mark.parametrize("phi0", [0.3, -2.5, 7.0])
def test_the_phase_difference_of_a_pair_solves_its_equation(detuning, strength, phi0):
    t = np.linspace(0, 25, 101)
    law = lambda t, phi: detuning - strength * np.sin(phi)  # noqa: E731
    solved = solve_ivp(law, (0, 25), [phi0], t_eval=t, rtol=1e-11, atol=1e-12).y[0]
    found = two_phase_difference(t, phi0, detuning, strength)
    np.testing.assert_allclose(found, solved, atol=1e-7)  # repelled fixed points amplify the solver's 1e-12 by e^10


def test_without_detuning_the_tangent_of_the_half_angle_falls_exponentially():
    t, K = np.linspace(0, 5, 11), 0.7
    phi = two_phase_difference(t, 2.0, 0.0, 2 * K)
    np.testing.assert_allclose(np.tan(phi / 2), np.tan(1.0) * np.exp(-2 * K * t), rtol=1e-12)


def test_a_pair_locks_up_to_the_sum_of_its_couplings_and_beats_beyond():
    edge = locking_range(0.3, 0.5)
    assert edge == pytest.approx(0.8)
    assert two_phase_difference(1e3, 0.0, 0.99 * edge, 0.8) == pytest.approx(locked_phase_difference(0.99 * edge, 0.8))
    assert np.isnan(locked_phase_difference(1.01 * edge, 0.8))
    gain = two_phase_difference([1e3, 2e3], 0.0, -1.01 * edge, 0.8)
    rate = beat_frequency(-1.01 * edge, 0.8)
    assert np.diff(gain)[0] / 1e3 == pytest.approx(rate, abs=2 * np.pi / 1e3)  # less than one beat in 1000 is cut
    assert rate < 0
    assert beat_frequency(0.99 * edge, 0.8) == 0


@given(share=st.floats(-0.999, 0.999), strength=st.floats(0.1, 10), sign=st.sampled_from([-1, 1]))
def test_a_locked_difference_is_a_stable_fixed_point(share, strength, sign):
    phi = locked_phase_difference(share * strength, sign * strength)
    assert sign * strength * np.sin(phi) == pytest.approx(share * strength, abs=1e-13 * strength)
    assert sign * np.cos(phi) > 0


def test_uncoupled_phases_do_not_lock():
    assert np.isnan(locked_phase_difference(0.0, 0.0))


def test_a_phase_lag_slows_a_population_in_step():
    theta, alpha, K = np.full(5, 0.7), 0.4, np.full((5, 5), 0.3)
    velocity = 2.0 + (K * np.sin(theta[None, :] - theta[:, None] - alpha)).sum(axis=1)
    np.testing.assert_allclose(velocity, sakaguchi_frequency(2.0, 1.5, alpha))


@settings(deadline=None)
@given(omega=st.floats(-10, 10), strength=st.floats(-5, 5), tau=st.floats(0, 8))
def test_delayed_states_solve_their_equation_and_none_is_missed(omega, strength, tau):
    found = delayed_locked_states(omega, strength, tau)
    excess = found.frequency - omega + strength * np.sin(found.frequency * tau)
    np.testing.assert_allclose(excess, 0, atol=1e-10)  # slope up to 1 + 40 times the root's 1e-13
    grid = np.linspace(omega - abs(strength) - 0.1, omega + abs(strength) + 0.1, 20_011)
    below = grid - omega + strength * np.sin(grid * tau) < 0
    assert len(found.frequency) >= np.count_nonzero(below[1:] != below[:-1]) >= 1
    assert (np.diff(found.frequency) > 0).all()


def test_long_delays_are_multistable_and_stability_alternates():
    found = delayed_locked_states(2.0, 1.0, 10.0)
    assert len(found.frequency) == 7
    assert found.stable.tolist() == [True, False, True, False, True, False, True]
    np.testing.assert_array_equal(found.stable, np.cos(found.frequency * 10.0) > 0)


def test_without_delay_only_the_natural_frequency_is_left():
    found = delayed_locked_states(3.0, 1.5, 0.0)
    np.testing.assert_allclose(found.frequency, [3.0], rtol=1e-13)
    assert found.stable.all()
    assert not delayed_locked_states(3.0, -1.5, 0.0).stable.any()


def test_a_negative_delay_is_refused():
    with pytest.raises(ValueError, match="`tau` must be at least 0"):
        delayed_locked_states(1.0, 1.0, -0.1)
