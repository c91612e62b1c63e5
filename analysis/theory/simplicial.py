"""The abrupt transition of phases coupled in pairs, triangles and tetrahedra, all to all.

    dr/dt = −Δ r + (K1/2) r (1 − r²) + (λ/2) r³ (1 − r²),    λ = K2 + K3,    frequencies Lorentzian of half-width Δ

Triangles act by sin(2θ_j − θ_l − θ_i), tetrahedra by sin(θ_j + θ_l − θ_m − θ_i); only their sum λ enters.
Source: Skardal and Arenas 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.checks import require_positive


def simplicial_branches(K1: Any, strength: Any, half_width: float = 1.0) -> tuple[Any, Any]:
    """Synchronised branches r(K1, λ), roots of λ r⁴ + (K1 − λ) r² + 2Δ − K1 = 0.

    Args:
        K1: pair coupling(s), rad / time.
        strength: λ = K2 + K3, coupling of higher order, rad / time; broadcasts with K1.
        half_width: Δ, rad / time.

    Returns:
        (stable, unstable) r, each NaN where it does not exist. Incoherence, r = 0, is stable for K1 < 2Δ; where both
        hold, the system is bistable and the unstable branch parts the basins. λ = 0: r = √(1 − 2Δ/K1).
    """
    require_positive(half_width=half_width)
    K1, A = np.broadcast_arrays(np.asarray(K1, dtype=float), np.asarray(strength, dtype=float))
    B, C = K1 - A, 2 * half_width - K1
    with np.errstate(divide="ignore", invalid="ignore"):  # absent roots become infinite or NaN, and are masked below
        root = np.sqrt(B**2 - 4 * A * C)
        stable = np.where(B >= 0, -2 * C / (B + root), (root - B) / (2 * A))  # the spelling that does not cancel
        unstable = np.where(B >= 0, np.nan, 2 * C / (root - B))  # for K1 >= λ this root is outside (0, 1]
    return tuple(np.sqrt(np.where((s > 0) & (s <= 1), s, np.nan)) for s in (stable, unstable))  # type: ignore[return-value]


def simplicial_fold(strength: Any, half_width: float = 1.0) -> tuple[Any, Any]:
    """Saddle-node of the two branches, K1 = 2 √(2Δλ) − λ at r² = (λ − K1)/(2λ).

    Args:
        strength: λ = K2 + K3, rad / time.
        half_width: Δ, rad / time.

    Returns:
        (K1, r) of the fold; NaN for λ <= 2Δ, where the transition is continuous. Between this K1 and 2Δ the system is
        bistable.
    """
    require_positive(half_width=half_width)
    strength = np.asarray(strength, dtype=float)
    strength = np.where(strength > 2 * half_width, strength, np.nan)
    K1 = 2 * np.sqrt(2 * half_width * strength) - strength
    return K1, np.sqrt((strength - K1) / (2 * strength))
