"""Weather on images x, (B, height, width, 3) in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from neural.robustness.blurs import enlarged, gaussian, streak

GREY = np.array([0.299, 0.587, 0.114])  # brightness of red, green and blue
WATER, MUD = np.array([175, 238, 238]) / 255, np.array([63, 42, 20]) / 255
ICE = np.array([0.8, 0.9, 1.0])  # chosen here


def fog(x: np.ndarray, density: float, decay: float, rng: np.random.Generator) -> np.ndarray:
    """x + density plasma, darkened so that the brightest value of each image stays where it was."""
    brightest = x.max((1, 2, 3), keepdims=True)
    cloud = plasma(x.shape[:3], decay, rng)[..., None]
    return (x + density * cloud) * brightest / (brightest + density)


def frost(x: np.ndarray, image: float, ice: float, rng: np.random.Generator) -> np.ndarray:
    """image x + ice times crystals: ridges of plasma, sharp and bright.

    Note: published with photographs of frosted windows in place of the crystals, which are chosen here.
    """
    ridges = 1 - np.abs(2 * plasma(x.shape[:3], 1.8, rng) - 1)
    return image * x + ice * ridges[..., None] ** 2 * ICE


def snow(
    x: np.ndarray,
    mean: float,
    spread: float,
    size: float,
    threshold: float,
    radius: int,
    sigma: float,
    share: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """A whitened image and falling flakes: Gaussian noise above a threshold, enlarged and streaked, twice over.

    Args:
        mean, spread: of the noise. size: its enlargement. threshold: below which there is no flake.
        radius, sigma: of the streaks. share: of the image that is not whitened.
    """
    flakes = enlarged(rng.normal(mean, spread, (*x.shape[:3], 1)), size)
    flakes = np.where(flakes < threshold, 0, np.clip(flakes, 0, 1))
    flakes = streak(flakes, radius, sigma, rng.uniform(-135, -45, len(x)))
    white = np.maximum(x, 1.5 * (x @ GREY)[..., None] + 0.5)
    return share * x + (1 - share) * white + flakes + np.rot90(flakes, 2, axes=(1, 2))


def spatter(
    x: np.ndarray,
    mean: float,
    spread: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Splashes where blurred Gaussian noise is above a threshold: opaque mud, or drops of water that catch light.

    Args:
        mean, spread, sigma: of the noise and its blur.
        strength: of water; width of the blur of mud.
    """
    liquid = gaussian(rng.normal(mean, spread, (*x.shape[:3], 1)), sigma)
    if mud:
        cover = gaussian((liquid > threshold).astype(float), strength)
        cover = np.where(cover < 0.8, 0, cover)
        return x * (1 - cover) + cover * MUD
    liquid = np.where(liquid < threshold, 0, liquid)
    light = liquid * glints(liquid[..., 0] > 0)[..., None]
    brightest = light.max((1, 2, 3), keepdims=True)
    return x + strength * light / np.where(brightest > 0, brightest, 1) * WATER


def glints(drops: np.ndarray) -> np.ndarray:
    """Light on drops, (B, height, width): slopes of the equalised distance to their outlines, lit from the lower right.

    Note: published with Canny's edges for the outlines.
    """
    inner = ndimage.binary_erosion(drops, np.ones((1, 3, 3)), border_value=1)
    far = ndimage.distance_transform_edt(~(drops & ~inner), sampling=(1e6, 1, 1))  # images do not touch
    height = equalized(np.floor(_mean(np.minimum(far, 20.0))).astype(int))
    slope = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    return _mean(np.clip(ndimage.correlate(height, slope[None], mode="mirror"), 0, 255))


def equalized(levels: np.ndarray) -> np.ndarray:
    """Small whole numbers (B, height, width) as 0 to 255, by the share of pixels of their image that are not larger."""
    share = np.stack([(levels <= level).mean((1, 2)) for level in range(levels.max() + 1)], axis=1)
    lowest = np.take_along_axis(share, levels.min((1, 2))[:, None], 1)
    scaled = (share - lowest) / np.where(lowest < 1, 1 - lowest, 1)
    return np.take_along_axis(scaled, levels.reshape(len(levels), -1), 1).reshape(levels.shape) * 255


def plasma(shape: tuple[int, ...], decay: float, rng: np.random.Generator) -> np.ndarray:
    """Clouds (B, height, width) from 0 to 1, by the diamond-square algorithm on a torus.

    The middle of each square, and then of each of its sides, is the mean of its four neighbours and a random number, whose
    width falls by decay² as the squares are halved.
    """
    size = 1 << (max(shape[1:]) - 1).bit_length()
    height, step, width = np.zeros((shape[0], size, size)), size, 100.0
    while step >= 2:
        half = step // 2
        corners = height[:, ::step, ::step]
        rows = corners + np.roll(corners, -1, 1)
        middles = _wobbled(rows + np.roll(rows, -1, 2), width, rng)
        height[:, half::step, half::step] = middles
        sides = middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 2)
        height[:, ::step, half::step] = _wobbled(sides, width, rng)
        sides = middles + np.roll(middles, 1, 2) + rows
        height[:, half::step, ::step] = _wobbled(sides, width, rng)
        step, width = half, width / decay
    low, high = height.min((1, 2), keepdims=True), height.max((1, 2), keepdims=True)
    return ((height - low) / (high - low))[:, : shape[1], : shape[2]]


def _wobbled(total: np.ndarray, width: float, rng: np.random.Generator) -> np.ndarray:
    return total / 4 + width * rng.uniform(-width, width, total.shape)


def _mean(x: np.ndarray) -> np.ndarray:
    """Over 3 x 3 pixels; mirrored outside."""
    return ndimage.uniform_filter(x, (1, 3, 3), mode="mirror")
