"""Multi-dSprites: coloured squares, ellipses and hearts that cover each other, on grey."""

from __future__ import annotations

from math import pi

import numpy as np

from neural.scenes.scene import Scenes, Seed, coloured, pixels, scenes

CANVAS, PATCH, MOST = 64, 30, 5
LEAST_VISIBLE = 10  # pixels


def multi_dsprites(count: int, seed: Seed) -> Scenes:
    """Scenes (64 × 64) of two to five sprites; a later one covers the earlier ones.

    The shape, scale (0.5 to 1), orientation and place of a sprite are those of dSprites; hue, saturation in [0.4, 0.85] and
    value in [0.5, 1] uniform, and so is the grey of the ground. No sprite has less than 10 visible pixels.

    Args:
        count: number of scenes.
        seed: seed or generator; the scenes are the first of those of any larger count.

    Note: ranges of colours and the least visible area are chosen here, after published scenes; the forms are fitted to
    published sprites, of which at most 4 pixels of a frame differ.
    Source: Kabra et al. 2019, multi-object data sets; Matthey et al. 2017, dSprites.
    """
    return scenes(_draw, count, seed)


def square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether (u, v), in pixels right and down from the centre of a sprite of scale 1, is inside."""
    return (np.abs(u) < 9.6) & (np.abs(v) < 9.6)


def ellipse(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u / 12.8) ** 2 + (v / 7.2) ** 2 < 1


def heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Inside u = 9.6 sin³t, v = -0.6624 (13 cos t - 5 cos 2t - 2 cos 3t - cos 4t) - 1.4374.

    The curve has two points above each other for every u, with c = ±cos t; v lies between them.
    """
    square = 1 - np.cbrt(u / 9.6) ** 2  # c²
    half = np.sqrt(np.maximum(square, 0)) * (19 - 8 * square)
    return np.abs(v + 1.4374 + 0.6624 * (4 - 2 * square - 8 * square**2)) < 0.6624 * half


FORMS = (square, ellipse, heart)


def inside(form: np.ndarray, scale: np.ndarray, turn: np.ndarray, centre: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Pixels of a patch that a sprite covers: those whose centre is inside.

    Args:
        form, scale, turn: of each sprite, (m,): index in FORMS, size, counter-clockwise angle in radians.
        centre, corner: (m, 2), row and column of the sprite's centre and of the patch's first pixel.

    Returns:
        (m, 30, 30)
    """
    down, right = (corner - centre + 0.5).astype(np.float32).T[:, :, None, None]
    down, right = down + np.arange(PATCH, dtype=np.float32)[:, None], right + np.arange(PATCH, dtype=np.float32)
    cos, sin = ((part(turn) / scale).astype(np.float32)[:, None, None] for part in (np.cos, np.sin))
    u, v = cos * right - sin * down, sin * right + cos * down
    covered = np.empty(u.shape, bool)
    for index, contains in enumerate(FORMS):
        own = form == index
        covered[own] = contains(u[own], v[own])
    return covered


def _draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number = rng.integers(2, MOST + 1, count)
    form, size, turn, row, column = (rng.integers(high, size=(count, MOST)) for high in (3, 6, 40, 32, 32))
    centre = 16 + 32 / 31 * np.stack([row, column], -1)
    corner = centre.astype(int) - PATCH // 2
    masks = np.zeros((count, CANVAS, CANVAS), np.int8)
    for k in range(MOST):
        scene = np.flatnonzero(number > k)
        own = scene, k
        covered = inside(form[own], 0.5 + 0.1 * size[own], 2 * pi / 39 * turn[own], centre[own], corner[own])
        masks.reshape(-1)[pixels(masks.shape, scene, corner[own], PATCH, PATCH)[covered]] = k + 1
    return coloured(masks, _palette(count, rng)), masks, _visible(masks, number)


def _palette(count: int, rng: np.random.Generator) -> np.ndarray:
    """Colours (scene, label, RGB): grey, then what hue, saturation s and value w make of sprites."""
    hue, s, w = (rng.uniform(low, high, (count, MOST, 1)) for low, high in ((0.0, 6.0), (0.4, 0.85), (0.5, 1.0)))
    sector = (hue + np.array([5, 3, 1])) % 6
    colours = w - w * s * np.clip(np.minimum(sector, 4 - sector), 0, 1)
    grey = np.broadcast_to(rng.uniform(size=(count, 1, 1)), (count, 1, 3))
    return np.round(255 * np.concatenate([grey, colours], 1)).astype(np.uint8)


def _visible(masks: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Whether every sprite of a scene shows enough of itself."""
    labels = masks.reshape(len(masks), -1) + (MOST + 1) * np.arange(len(masks))[:, None]
    areas = np.bincount(labels.ravel(), minlength=(MOST + 1) * len(masks)).reshape(-1, MOST + 1)[:, 1:]
    return np.all((areas >= LEAST_VISIBLE) | (np.arange(MOST) >= number[:, None]), axis=1)
