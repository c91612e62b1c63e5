"""The transition to synchrony of infinitely many phase oscillators in their mean field.

    dθ_i/dt = ω_i + K r sin(ψ − θ_i),    ω_i drawn from a density g symmetric about its centre, decreasing on both sides

Frequencies are counted from the centre of g. Every K here is the strength of the mean field (K/N per pair).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from analysis.checks import require_positive

Density = Callable[[Any], Any]


def lorentzian(half_width: float) -> Density:
    """Lorentzian (Cauchy) density g(ω) = (Δ/π) / (ω² + Δ²) of half-width Δ at half maximum, in rad / time."""
    require_positive(half_width=half_width)
    return lambda omega: half_width / np.pi / (np.square(omega) + half_width**2)


def gaussian(sigma: float) -> Density:
    """Normal density of standard deviation σ, in rad / time."""
    require_positive(sigma=sigma)
    return lambda omega: np.exp(-0.5 * np.square(omega / sigma)) / (sigma * np.sqrt(2 * np.pi))


def critical_coupling(density: Density | float) -> float:
    """Coupling at which incoherence loses stability, K_c = 2 / (π g(0)).

    Args:
        density: g as a function, such as `lorentzian(0.5)` (K_c = 2Δ) or `gaussian(1.0)` (K_c = σ √(8/π)), or the
            number g(0) in time / rad.

    Returns:
        K_c in rad / time.

    Source: Kuramoto 1975; Strogatz 2000.
    """
    peak = density(0.0) if callable(density) else density
    require_positive(density=peak)
    return float(2 / (np.pi * peak))


def stationary_order(K: Any, density: Density) -> Any:
    """Stationary order parameter r(K), the root of 1 = K ∫_{−π/2}^{π/2} cos²φ g(K r sin φ) dφ.

    Args:
        K: coupling strength(s), rad / time.
        density: g as a function, symmetric about 0 and decreasing in |ω|.

    Returns:
        r in [0, 1), in the shape of K; 0 up to `critical_coupling(density)`.

    Source: Kuramoto 1975.
    """
    onset = critical_coupling(density)
    return np.vectorize(lambda k: locked_share(k, density) if k > onset else 0.0, otypes=[float])(K)[()]


def locked_share(K: float, density: Density) -> float:
    """The positive root r of the self-consistency at one coupling above the critical one."""

    def excess(r: float) -> float:
        return 2 * K * quad(lambda p: np.cos(p) ** 2 * density(K * r * np.sin(p)), 0, np.pi / 2, limit=200)[0] - 1

    return float(brentq(excess, 0.0, 1.0, xtol=1e-14))


def lorentzian_order(K: Any, half_width: float) -> Any:
    """Stationary order parameter for Lorentzian frequencies, r = √(1 − 2Δ/K) above K_c = 2Δ, else 0.

    Args:
        K: coupling strength(s), rad / time.
        half_width: Δ, half-width at half maximum, rad / time.

    Returns:
        r in [0, 1), in the shape of K.
    """
    require_positive(half_width=half_width)
    return np.sqrt(1 - 2 * half_width / np.maximum(K, 2 * half_width))


def ott_antonsen_order(t: Any, K: float, half_width: float, r0: float) -> Any:
    """Order parameter r(t) for Lorentzian frequencies on the Ott–Antonsen manifold.

        dr/dt = −Δ r + (K/2) r (1 − r²),    r² = r0² e^{2at} / (1 + (K/2) r0² (e^{2at} − 1)/a),    a = K/2 − Δ

    Args:
        t: times, t >= 0.
        K: coupling strength, rad / time.
        half_width: Δ, rad / time.
        r0: order parameter at t = 0, in [0, 1]; phases start independently of the frequencies, wrapped Lorentzian,
            whose higher moments are Z_m = Z_1^m.

    Returns:
        r(t) in the shape of t.

    Source: Ott and Antonsen 2008.
    """
    require_positive(half_width=half_width)
    a, t = K / 2 - half_width, np.asarray(t, dtype=float)
    growth = 2 * t if a == 0 else -np.expm1(-2 * abs(a) * t) / abs(a)  # ∫ exp(−2|a|s) 2 ds: no overflow
    decay = np.exp(-2 * abs(a) * t)
    if a >= 0:
        return r0 / np.sqrt(decay + K / 2 * r0**2 * growth)
    return r0 * np.sqrt(decay / (1 + K / 2 * r0**2 * growth))
