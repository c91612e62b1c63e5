"""Blurs of images x, (B, height, width, channel) in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional


def gaussian(x: np.ndarray, sigma: float, rng: np.random.Generator | None = None) -> np.ndarray:
    """Mean with weights exp(-d²/2σ²) over pixels at distance d ≤ 4σ; the border pixel goes on outside."""
    return ndimage.gaussian_filter(x, (0, sigma, sigma, 0), mode="nearest", truncate=4)


def defocus(x: np.ndarray, radius: float, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Mean over a disk, whose edge is softened by a Gaussian of 3 x 3 pixels; mirrored outside."""
    reach = int(radius) + 1
    i, j = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    soft = np.exp(-(np.arange(-1, 2) ** 2) / (2 * sigma**2))
    kernel = ndimage.correlate((i**2 + j**2 <= radius**2).astype(float), np.outer(soft, soft), mode="constant")
    return ndimage.correlate(x, kernel[None, :, :, None] / kernel.sum(), mode="mirror")


def glass(x: np.ndarray, sigma: float, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Each pixel takes the place of itself or of its neighbour above, left, or both, between two Gaussian blurs.

    The first two rows and columns stay. The published program means to exchange neighbours; as it is written, it copies.
    """
    x = np.floor(gaussian(x, sigma) * 255 + 1e-6) / 255
    batch, height, width, _ = x.shape
    b, i, j = np.ogrid[:batch, 2:height, 2:width]
    for _ in range(rounds):
        up, left = rng.integers(0, 2, (2, batch, height - 2, width - 2))
        x[:, 2:, 2:] = x[b, i - up, j - left]
    return gaussian(x, sigma)


def motion(x: np.ndarray, radius: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """A streak of half a Gaussian, in a direction within 45° of the horizontal."""
    return streak(x, radius, sigma, rng.uniform(-45, 45, len(x)))


def streak(x: np.ndarray, radius: int, sigma: float, degrees: np.ndarray) -> np.ndarray:
    """Mean of the 2 radius + 1 pixels ahead in a direction, with weights exp(-k²/2σ²); border pixels go on outside.

    Args:
        degrees: direction of each image, (B,), from right to down.

    Source: MotionBlurImage of ImageMagick.
    """
    k = np.arange(2 * radius + 1)
    weights = np.exp(-(k**2) / (2 * sigma**2))
    angle = np.deg2rad(degrees)[:, None]
    down, right = (np.ceil(k * f(angle) - 0.5).astype(int) for f in (np.sin, np.cos))  # (B, k)
    b, i, j = np.ogrid[: x.shape[0], : x.shape[1], : x.shape[2]]
    total = np.zeros_like(x)
    for weight, di, dj in zip(weights / weights.sum(), down.T, right.T, strict=True):
        rows = np.clip(i + di[:, None, None], 0, x.shape[1] - 1)
        columns = np.clip(j + dj[:, None, None], 0, x.shape[2] - 1)
        total += weight * x[b, rows, columns]
    return total


def zoom(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Mean of the image and of its enlargements by 1, 1.01, 1.02, ..., so many of them."""
    return (x + sum(enlarged(x, 1 + k / 100) for k in range(count))) / (count + 1)


def enlarged(x: np.ndarray, factor: float) -> np.ndarray:
    """The middle of square images, enlarged to their size by linear interpolation between corners."""
    size = x.shape[1]
    inner = int(np.ceil(size / factor))
    top = (size - inner) // 2
    middle = torch.from_numpy(x[:, top : top + inner, top : top + inner]).movedim(-1, 1)
    large = round(inner * factor)
    found = functional.interpolate(middle, (large, large), mode="bilinear", align_corners=True).movedim(1, -1).numpy()
    trim = (large - size) // 2
    return found[:, trim : trim + size, trim : trim + size]
