"""Stuart–Landau oscillators, dz/dt = (λ + iω − (1 + iβ) |z|²) z + field."""

from __future__ import annotations

from typing import Any

import numpy as np


def limit_cycle_radius(growth: Any) -> Any:
    """Radius |z| = √λ of the limit cycle; 0 for growth λ <= 0, where the origin attracts."""
    return np.sqrt(np.maximum(growth, 0.0))


def limit_cycle_frequency(growth: Any, omega: Any, shear: Any = 0.0) -> Any:
    """Frequency ω − β λ on the limit cycle (λ > 0) of shear β, rad / time; ω about the origin for λ <= 0."""
    return omega - shear * np.maximum(growth, 0.0)


def amplitude_death_range(growth: float, detuning: float) -> tuple[float, float]:
    """Couplings between which two diffusively coupled oscillators silence each other, λ < K < λ/2 + Δ²/(8λ).

    dz_1/dt = (λ + iω_1 − |z_1|²) z_1 + K (z_2 − z_1) and its mirror, Δ = ω_1 − ω_2. The origin has the growth rates
    Re(λ − K ± √(K² − Δ²/4)); both are negative in this range.

    Args:
        growth: λ, 1 / time.
        detuning: Δ, rad / time.

    Returns:
        (lowest, highest) K; (nan, nan) for |Δ| <= 2λ: no death. For λ <= 0 (0, inf): the origin attracts without help.

    Source: Aronson, Ermentrout and Kopell 1990 (there λ = 1).
    """
    if growth <= 0:
        return 0.0, np.inf
    if abs(detuning) <= 2 * growth:
        return np.nan, np.nan
    return float(growth), float(growth / 2 + detuning**2 / (8 * growth))
