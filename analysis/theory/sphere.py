"""The transition of unit vectors in D dimensions, each turned by its own random rotation.

    dx_i/dt = W_i x_i + K (ρ − ⟨x_i, ρ⟩ x_i),    ρ = mean of x,    entries of the antisymmetric W_i normal, deviation σ

In odd D every rotation has an axis along which a weak field collects the vector, so that order jumps up at K = 0+.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import brentq

from analysis.checks import require_positive


def sphere_onset(D: int) -> float:
    """Order |ρ| just above K = 0, the mean of |⟨axis, ρ̂⟩| over random axes: Γ(D/2) / (√π Γ((D+1)/2)); 1/2 for D = 3.

    Args:
        D: dimension of the space, at least 2.

    Returns:
        The jump for odd D; 0 for even D, whose transition is continuous at a positive K.

    Source: Chandra, Girvan and Ott 2019.
    """
    if D < 2:
        raise ValueError(f"`D` must be at least 2, but is {D}; D = 2 is the Kuramoto model.")
    return 0.0 if D % 2 == 0 else math.gamma(D / 2) / (math.sqrt(math.pi) * math.gamma((D + 1) / 2))


def sphere_order(K: Any, sigma: float = 1.0) -> Any:
    """Stationary order |ρ| in D = 3, the root r of r = mean of s over all nodes, s = ⟨x, ρ̂⟩ at the fixed point of each.

    With the field R = K r, the angular speed w and the cosine c between axis and ρ, the fixed point solves
    c² R²/μ² + (1 − c²) R²/(μ² + w²) = 1 with μ = R s > 0; w follows Maxwell's density of scale σ, c is uniform.

    Args:
        K: coupling strength(s), rad / time.
        sigma: standard deviation σ of the entries of W, rad / time.

    Returns:
        r in the shape of K, to 1e-5: rises from 1/2 at K = 0+ towards 1; 0 for K <= 0, where nothing attracts.

    Source: Chandra, Girvan and Ott 2019, section on D = 3; quadrature chosen here.
    """
    require_positive(sigma=sigma)
    return np.vectorize(lambda k: aligned_share(k / sigma) if k > 0 else 0.0, otypes=[float])(K)[()]


def aligned_share(K: float) -> float:
    """The root r for one coupling in units of σ."""
    node, weight = np.polynomial.legendre.leggauss(200)
    node, weight = (1 + node) / 2, weight / 2  # on [0, 1]
    w, c = 9 * node[:, None] ** 2, node**2  # squares crowd the nodes at 0, where the integrand bends; speeds end at 9σ
    share = np.sqrt(2 / np.pi) * w**2 * np.exp(-(w**2) / 2) * (18 * node * weight)[:, None] * (2 * node * weight)

    def excess(r: float) -> float:
        R = K * r
        gap, cross = R**2 - w**2, 2 * R * w * c  # μ² = (gap + √(gap² + cross²))/2
        root = np.hypot(gap, cross)
        mu = np.where(gap > 0, np.sqrt((root + np.abs(gap)) / 2), cross / np.sqrt(2 * (root + np.abs(gap))))
        return float(np.sum(share * mu) / R - r)  # two spellings of μ, so that neither cancels

    return float(brentq(excess, 1e-3, 1.0, xtol=1e-12))
