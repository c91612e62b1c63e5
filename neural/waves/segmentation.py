"""Segmentation of images by travelling waves: two linear layers of the solvable network, without training.

Every pixel is a node, its brightness its frequency ω. Layer 1 couples far and finds the background by its phase; layer 2 acts
between neighbouring pixels of the foreground, and objects become groups of pixels that turn together.

    x <- (iω + K) x,    K_ij = α exp(-d_ij² / (2σ²))

d is counted in image sides. The Gaussian is a product over rows and columns, so a step costs O(side³), and no matrix of
all pairs of pixels exists. Each state is divided by its largest modulus, which changes no phase.

Source: Liboni et al. 2025 (segmentation in a complex-valued network).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import KMeans

from oscillators import checks
from oscillators.arrays import Array


class Layer(NamedTuple):
    """Strength α and width σ of a coupling, in image sides."""

    alpha: float
    sigma: float


FAR, NEAR = Layer(0.5, 0.9), Layer(0.5, 0.0313)
SAMPLES, WINDOW = 60, 41  # stored states of layer 1 (the start included); states of layer 2 that are compared


class Waves(NamedTuple):
    """States of a layer, (T, ..., height, width), each of largest modulus 1, and the logarithm of what was divided away."""

    x: Array
    log_scale: Array


def gaussian(side: int, sigma: float, unit: int) -> Array:
    """exp(-d²/(2σ²)) between the pixels of a row of so many, with d in `unit` pixels."""
    d = np.subtract.outer(np.arange(side), np.arange(side)) / unit
    return np.exp(-(d**2) / (2 * sigma**2))


def propagate(x0: Array, image: Array, layer: Layer, steps: int, mask: Array | None = None) -> Waves:
    """The waves x <- (iω + K) x of a layer, after 1, ..., `steps` steps.

    Args:
        x0: complex, (..., height, width).
        image: ω, (height, width).
        mask: the pixels that take part; all others are and stay 0.
    """
    open_ = np.ones(image.shape) if mask is None else np.asarray(mask, float)
    rows, columns = (gaussian(side, layer.sigma, max(image.shape)) for side in image.shape)
    x, total, states, scales = x0 * open_, np.zeros(x0.shape[:-2]), [], []
    for _ in range(steps):
        x = open_ * (1j * image * x + layer.alpha * (rows @ x @ columns))
        scale = np.abs(x).max((-2, -1), keepdims=True)
        x = x / np.where(scale > 0, scale, 1)
        total = total + np.log(np.where(scale > 0, scale, 1))[..., 0, 0]
        states.append(x)
        scales.append(total)
    return Waves(np.stack(states), np.stack(scales))


def matrix(shape: tuple[int, int], layer: Layer) -> Array:
    """K of all pairs of pixels in row-major order: what `propagate` applies without making it."""
    rows, columns = (gaussian(side, layer.sigma, max(shape)) for side in shape)
    return layer.alpha * np.kron(rows, columns)


def foreground(x: Array) -> Array:
    """The pixels of the smaller side, when phases (height, width) are cut at their mean."""
    above = np.angle(x) > np.angle(x).mean()
    return above if 2 * above.sum() <= above.size else ~above


def similarity(x: Array) -> Array:
    """ρ_ij = mean over the first axes of exp(i(θ_i - θ_j)): (..., node) -> (node, node), Hermitian."""
    u = np.exp(1j * np.angle(x)).reshape(-1, x.shape[-1])
    return u.T @ u.conj() / len(u)


def projection(rho: Array, dimensions: int = 3) -> Array:
    """Pixels in the space of the leading eigenvectors: Re ρ · Re v, each v turned so that its largest entry is positive."""
    values, vectors = np.linalg.eigh(rho)
    v = vectors[:, np.argsort(-np.abs(values))[:dimensions]]
    largest = np.take_along_axis(v, np.abs(v).argmax(0)[None], 0)
    return rho.real @ (v * (largest.conj() / np.abs(largest))).real


def segment(
    image: Any,
    objects: int,
    *,
    n_restarts: int = 16,
    rng: Any = None,
    far: Layer = FAR,
    near: Layer = NEAR,
    steps: int = 120,
) -> Array:
    """Label of each pixel: 0 for the background, 1, ..., `objects` for the groups of pixels that turn together.

    Args:
        image: brightness, (height, width); shapes of ±1, or a natural image with mean 0 and variance 1.
        n_restarts: independent random starts of layer 2, whose similarities are averaged: in a single one, two objects may
            begin with nearly equal phases and stay together by chance.
        rng: seed or Generator.
        steps: of layer 2; the last 40 are compared.

    Note: the published program takes one start. With 16, objects that do not touch come apart.
    """
    image = checks.real_numbers("image", image)
    if image.ndim != 2 or n_restarts < 1 or objects < 1:
        raise ValueError(
            "`image` must have shape (height, width) and `objects` and `n_restarts` be at least 1, but they are "
            f"{image.shape}, {objects} and {n_restarts}; take one channel."
        )
    rng = np.random.default_rng(rng)
    x0 = np.exp(2j * np.pi * rng.random((n_restarts, *image.shape)))
    mask = foreground(propagate(x0[0], image, far, SAMPLES - 1).x[-1])
    if mask.sum() < objects:
        raise ValueError(
            f"`image` must show {objects} objects, but only {mask.sum()} pixels are no background; look for fewer."
        )
    waves = propagate(x0, image, near, steps, mask).x[-WINDOW:, :, mask]
    groups = KMeans(objects, n_init=10, random_state=int(rng.integers(2**31))).fit_predict(
        projection(similarity(waves))
    )
    labels = np.zeros(image.shape, int)
    labels[mask] = 1 + groups
    return labels
