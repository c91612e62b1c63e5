"""Noise of images x, (B, height, width, 3) in [0, 1]."""

from __future__ import annotations

import numpy as np


def gaussian(x: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """x + scale N(0, 1)."""
    return x + scale * rng.normal(size=x.shape)


def shot(x: np.ndarray, photons: float, rng: np.random.Generator) -> np.ndarray:
    """Poisson(photons x)/photons."""
    return rng.poisson(photons * x) / photons


def impulse(x: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Channels of pixels become 0 or 1, each with probability amount/2."""
    u = rng.uniform(size=x.shape)
    return np.where(u < amount, (u < amount / 2).astype(float), x)


def speckle(x: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """x (1 + scale N(0, 1))."""
    return x * (1 + scale * rng.normal(size=x.shape))
