"""Stuart–Landau closed forms against the eigenvalues and the law."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.theory import amplitude_death_range, limit_cycle_frequency, limit_cycle_radius


def test_the_limit_cycle_is_carried_into_itself():
    growth, omega, shear = 0.8, 2.0, 0.3
    z = limit_cycle_radius(growth) * np.exp(0.4j)
    velocity = (growth + 1j * omega - (1 + 1j * shear) * abs(z) ** 2) * z
    assert velocity == pytest.approx(1j * limit_cycle_frequency(growth, omega, shear) * z)
    assert limit_cycle_radius(-1.0) == 0
    assert limit_cycle_frequency(-1.0, omega, shear) == omega


@pytest.mark.parametrize(("growth", "detuning"), [(1.0, 5.0), (0.3, -2.0)])
def test_the_origin_attracts_exactly_within_the_death_range(growth, detuning):
    low, high = amplitude_death_range(growth, detuning)

    def growth_rate(K):
        jacobian = np.array([[growth - K + 0.5j * detuning, K], [K, growth - K - 0.5j * detuning]])
        return np.linalg.eigvals(jacobian).real.max()

    margin = 1e-6
    assert growth_rate(low - margin) > 0 > growth_rate(low + margin)
    assert growth_rate(high + margin) > 0 > growth_rate(high - margin)


def test_death_needs_detuning_or_no_growth():
    assert np.isnan(amplitude_death_range(1.0, 2.0)).all()
    assert amplitude_death_range(-0.5, 0.1) == (0.0, np.inf)
