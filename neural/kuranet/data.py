"""What KuraNet is trained on: oscillators with frequencies, fields and delays (Cases I to III), clusters, and images.

Every set is drawn from an explicit seed; the published generators have the seeds 0 (uniform in ±1), 1 (uniform in [2, 4]),
2 (delays), 3 (Gaussians), 4 (moons), 5 (circles) and 6 (spirals), the training nodes drawn first and then the test nodes.
"""

from __future__ import annotations

from math import pi
from os import PathLike
from typing import Literal

import numpy as np
import torch

from neural.kuranet.nodes import Oscillators, Points
from oscillators import checks

Seed = int | np.random.Generator
LONGEST_DELAY = 40  # steps, in Case III


def oscillators(case: Literal["I", "II", "III"], size: int, seed: Seed) -> Oscillators:
    """Oscillators of Cases I, II and III.

        I      ω uniform in [-1, 1], b = 0, τ = 0
        II     ω and b uniform in [-1, 1], τ = 0
        III    ω uniform in [2, 4], b = 0, τ negative binomial (mean 15, variance 30) and at most 40 steps

    Note: in the published code ω and b of Case II are the same numbers in networks that are not shuffled. Here they are
    independent.
    """
    checks.one_of("case", case, ("I", "II", "III"))
    rng = np.random.default_rng(seed)
    omega = rng.uniform(2, 4, size) if case == "III" else rng.uniform(-1, 1, size)
    b = rng.uniform(-1, 1, size) if case == "II" else np.zeros(size)
    tau = np.minimum(rng.negative_binomial(15, 0.5, size), LONGEST_DELAY) if case == "III" else np.zeros(size, int)
    return Oscillators(_single(omega), _single(b), torch.from_numpy(tau))


def gaussians(k: int, size: int, seed: Seed) -> Points:
    """GMMk: k Gaussian clusters of unit variance on a circle of radius 10."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, k, size)
    return _points(10 * _circle(2 * pi * label / k) + rng.normal(size=(size, 2)), label, k)


def moons(size: int, seed: Seed, noise: float = 0.05) -> Points:
    """Two half circles that reach into each other."""
    from sklearn.datasets import make_moons

    x, label = make_moons(size, noise=noise, random_state=_state(seed))
    return _points(x, label, 2)


def circles(size: int, seed: Seed, noise: float = 0.05) -> Points:
    """A circle in a circle of twice its radius."""
    from sklearn.datasets import make_circles

    x, label = make_circles(size, noise=noise, factor=0.5, random_state=_state(seed))
    return _points(x, label, 2)


def spirals(size: int, seed: Seed, noise: float = 0.5) -> Points:
    """Two spirals: angle φ = 2π√u with u uniform in [0, 1], radius ±(2φ + π)."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, size)
    phi = 2 * pi * np.sqrt(rng.uniform(size=size))
    radius = np.where(label == 0, 1, -1) * (2 * phi + pi)
    return _points(radius[:, None] * _circle(phi) + noise * rng.normal(size=(size, 2)), label, 2)


def image(path: str | PathLike, name: str) -> Points:
    """Pixels of an image, row by row: features (R, G, B, x, y) in [0, 1], labels its segments (0: background).

    Args:
        path: npz file with `image/<name>` (height, width, 3) and `group/<name>` (height, width).
    """
    with np.load(path) as file:
        if f"image/{name}" not in file:
            names = sorted(key.removeprefix("image/") for key in file.files if key.startswith("image/"))
            raise ValueError(f"`name` must be an image of {path}, but is {name!r}; choose one of {', '.join(names)}.")
        colour, label = file[f"image/{name}"] / 255, file[f"group/{name}"].astype(np.int64)
    y, x = np.meshgrid(*(np.linspace(0, 1, length) for length in label.shape), indexing="ij")
    return _points(np.dstack([colour, x, y]).reshape(-1, 5), label.ravel(), int(label.max()) + 1)


def halves(nodes: Points, seed: Seed) -> tuple[Points, Points]:
    """A random half of the nodes to train with, and the other to test."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(nodes)))
    return nodes[order[: len(nodes) // 2]], nodes[order[len(nodes) // 2 :]]


def _points(x: np.ndarray, label: np.ndarray, k: int) -> Points:
    return Points(_single(x), torch.from_numpy(label), k)


def _circle(phi: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(phi), np.sin(phi)], axis=-1)


def _single(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).float()


def _state(seed: Seed) -> int:
    """A seed as scikit-learn takes it; a generator moves on."""
    return seed if isinstance(seed, int) else int(seed.integers(2**31))
