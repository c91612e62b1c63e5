"""Common corruptions of images of 32 x 32: fifteen kinds, and four more, in five severities, made as CIFAR-10-C was.

The strengths are those published with CIFAR-10-C, the random draws our own. Of its kinds

- all noises, gaussian, glass, defocus and zoom blur, fog, brightness, contrast, saturate, pixelate, elastic, and spatter of
  severities 4 and 5 follow the same formulas, to the rounding of the libraries used there;
- motion blur and snow use ImageMagick's kernel, written anew and rounded once instead of twice; jpeg depends on the encoder;
- frost differs: its photographs of frost are not here, and random crystals stand in for them; so does spatter of severities
  1 to 3, where drops are bounded by their outermost pixels and not by an edge detector.

Numbers on these images are therefore not those on CIFAR-10-C itself, but near.

Source: Hendrycks & Dietterich 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neural.robustness import blurs, digital, noises, weather
from oscillators import checks

CHUNK = 500  # images at a time; part of what a seed means

CORRUPTIONS: dict[str, tuple[Callable[..., np.ndarray], Sequence[tuple[Any, ...]]]] = {
    "gaussian_noise": (noises.gaussian, [(0.04,), (0.06,), (0.08,), (0.09,), (0.1,)]),
    "shot_noise": (noises.shot, [(500,), (250,), (100,), (75,), (50,)]),
    "impulse_noise": (noises.impulse, [(0.01,), (0.02,), (0.03,), (0.05,), (0.07,)]),
    "defocus_blur": (blurs.defocus, [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)]),
    "glass_blur": (blurs.glass, [(0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)]),
    "motion_blur": (blurs.motion, [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)]),
    "zoom_blur": (blurs.zoom, [(7,), (12,), (16,), (21,), (26,)]),
    "snow": (
        weather.snow,
        [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
    ),
    "frost": (weather.frost, [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)]),
    "fog": (weather.fog, [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)]),
    "brightness": (digital.brightness, [(0.05,), (0.1,), (0.15,), (0.2,), (0.3,)]),
    "contrast": (digital.contrast, [(0.75,), (0.5,), (0.4,), (0.3,), (0.15,)]),
    "elastic_transform": (
        digital.elastic,
        [(0, 0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)],
    ),
    "pixelate": (digital.pixelate, [(0.95,), (0.9,), (0.85,), (0.75,), (0.65,)]),
    "jpeg_compression": (digital.jpeg, [(80,), (65,), (58,), (50,), (40,)]),
    "speckle_noise": (noises.speckle, [(0.06,), (0.1,), (0.12,), (0.16,), (0.2,)]),
    "gaussian_blur": (blurs.gaussian, [(0.4,), (0.6,), (0.7,), (0.8,), (1,)]),
    "spatter": (
        weather.spatter,
        [
            (0.62, 0.1, 0.7, 0.7, 0.5, False),
            (0.65, 0.1, 0.8, 0.7, 0.5, False),
            (0.65, 0.3, 1, 0.69, 0.5, False),
            (0.65, 0.1, 0.7, 0.69, 0.6, True),
            (0.65, 0.1, 0.5, 0.68, 0.6, True),
        ],
    ),
    "saturate": (digital.saturate, [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)]),
}
FIFTEEN = tuple(CORRUPTIONS)[:15]  # over which results are averaged; the other four were published for validation


def corrupt(images: Tensor, kind: str, severity: int = 5, seed: int | np.random.Generator = 0) -> Tensor:
    """Corrupted images.

    Args:
        images: bytes (B, 3, height, width).
        kind: one of `CORRUPTIONS`.
        severity: 1 to 5.
        seed: of what is random.

    Returns:
        Bytes (B, 3, height, width), rounded down as published.
    """
    checks.one_of("kind", kind, CORRUPTIONS)
    if severity not in range(1, 6):
        raise ValueError(f"`severity` must be 1, 2, 3, 4 or 5, but is {checks.shown(severity)}; 5 is the strongest.")
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"`images` must be bytes (uint8) of shape (B, 3, height, width), but are {images.dtype} of shape "
            f"{tuple(images.shape)}; multiply numbers in [0, 1] by 255."
        )
    function, strengths = CORRUPTIONS[kind]
    rng = np.random.default_rng(seed)
    pixels = images.cpu().movedim(1, -1).numpy() / 255.0
    parts = [
        _bytes(function(pixels[k : k + CHUNK], *strengths[severity - 1], rng)) for k in range(0, len(pixels), CHUNK)
    ]
    return torch.from_numpy(np.concatenate(parts)).movedim(-1, 1).contiguous().to(images.device)


def _bytes(x: np.ndarray) -> np.ndarray:
    return (np.clip(x, 0, 1) * 255 + 1e-6).astype(np.uint8)  # 1e-6: whole numbers stay whole despite rounding errors
