"""The transition to synchrony on a network, where every node has an order of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ive

from analysis.checks import require_positive


def locked_order(K: Any, sigma: float) -> np.ndarray:
    """Stationary order of each node for Gaussian frequencies, r_i = f(h_i/σ) in the field h_i = |Σ_j K_ij r_j|.

        f(s) = √(π/8) s (I_0(s²/4) + I_1(s²/4)) e^{−s²/4}

    f is the mean of √(1 − (ω/h)²) over the frequencies |ω| < h that lock to the field; the drifting ones cancel. Fields
    are taken to be in phase, and their fluctuations small: many neighbours.

    Args:
        K: coupling, K[i, j] from j to i, shape (N, N); array or scipy.sparse, in rad / time.
        sigma: standard deviation of the frequencies, rad / time.

    Returns:
        r in [0, 1), shape (N,). 0 below the onset √(8/π) σ = largest eigenvalue of K; within 1e-3 of it, where the
        iteration is slow, up to about 0.01.

    Source: Restrepo, Ott and Hunt 2005 (time-averaged theory); its mean field is `stationary_order`.
    """
    require_positive(sigma=sigma)
    K = csr_array(K)
    h = abs(K).sum(axis=1)  # the field at perfect order
    for _ in range(10_000):
        before, h = h, abs(K @ order_in_field(h / sigma))
        if abs(h - before).max() <= 1e-12 * sigma:
            break
    return order_in_field(h / sigma)


def order_in_field(s: Any) -> Any:
    """Order of phases with Gaussian frequencies in a field of s standard deviations."""
    return np.sqrt(np.pi / 8) * s * (ive(0, s**2 / 4) + ive(1, s**2 / 4))
