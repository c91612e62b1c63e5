"""Changes of colour, and what devices do, to images x, (B, height, width, 3) in [0, 1]."""

from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from PIL import Image
from scipy import ndimage
from torch.nn import functional


def brightness(x: np.ndarray, more: float, rng: np.random.Generator) -> np.ndarray:
    """Value + more, in hue, saturation and value."""
    hue, saturation, value = np.moveaxis(rgb_to_hsv(x), -1, 0)
    return hsv_to_rgb(np.stack([hue, saturation, np.clip(value + more, 0, 1)], -1))


def saturate(x: np.ndarray, factor: float, more: float, rng: np.random.Generator) -> np.ndarray:
    """Saturation factor + more, in hue, saturation and value; grey counts as red."""
    hue, saturation, value = np.moveaxis(rgb_to_hsv(x), -1, 0)
    return hsv_to_rgb(np.stack([hue, np.clip(saturation * factor + more, 0, 1), value], -1))


def contrast(x: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Distances to the mean colour of an image, times a factor."""
    mean = x.mean((1, 2), keepdims=True)
    return mean + factor * (x - mean)


def jpeg(x: np.ndarray, quality: int, rng: np.random.Generator) -> np.ndarray:
    """Compressed and read again."""
    return _each(x, lambda picture: _reread(picture, quality))


def pixelate(x: np.ndarray, factor: float, rng: np.random.Generator) -> np.ndarray:
    """Shrunk by a factor and enlarged again, by areas."""
    small = int(x.shape[2] * factor), int(x.shape[1] * factor)
    size, box = (x.shape[2], x.shape[1]), Image.Resampling.BOX
    return _each(x, lambda picture: picture.resize(small, box).resize(size, box))


def elastic(x: np.ndarray, amount: float, sigma: float, corners: float, rng: np.random.Generator) -> np.ndarray:
    """Sheared at random, then bent: every pixel is looked up at a random distance, which varies smoothly.

    Args:
        amount, sigma: largest distance before smoothing, and width of the Gaussian that smoothes.
        corners: largest shift, in each direction, of the three points that fix the shear.
    """
    batch, height, width, _ = x.shape
    i, j = np.mgrid[:height, :width].astype(float)
    middle, reach = np.array([width, height]) // 2, min(height, width) // 3
    before = middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])  # (column, row)
    after = before + rng.uniform(-corners, corners, (batch, 3, 2))
    back = np.linalg.solve(np.concatenate([after, np.ones((batch, 3, 1))], -1), np.broadcast_to(before, after.shape))
    columns, rows = np.moveaxis(np.stack([j, i, np.ones_like(i)], -1) @ back[:, None], -1, 0)
    x = sampled(x, rows, columns, edge_twice=False)
    bend = rng.uniform(-1, 1, (2, batch, height, width))
    down, right = amount * ndimage.gaussian_filter(bend, (0, 0, sigma, sigma), mode="reflect", truncate=3)
    return sampled(x, i + down, j + right, edge_twice=True)


def sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, edge_twice: bool) -> np.ndarray:
    """Images at fractional places (B, height, width), linear between pixels, mirrored outside: about the middle of the
    pixels of the edge, or about their outer side (`edge_twice`)."""
    scale = [length - (0 if edge_twice else 1) for length in (x.shape[2], x.shape[1])]
    shift = 1 if edge_twice else 0
    places = (2 * np.stack([columns, rows], -1) + shift) / scale - 1
    images, grid = torch.from_numpy(x).movedim(-1, 1), torch.from_numpy(places)
    found = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=not edge_twice)
    return found.movedim(1, -1).numpy()


def _each(x: np.ndarray, change) -> np.ndarray:
    """Every image, changed as a picture of bytes."""
    pictures = (Image.fromarray(image) for image in np.rint(x * 255).astype(np.uint8))
    return np.stack([np.asarray(change(picture)) for picture in pictures]) / 255


def _reread(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)
