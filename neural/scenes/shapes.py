"""Flat shapes that may overlap: white ones on black, coloured ones with a depth, and outlines on grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from neural.scenes.scene import Scenes, Seed, coloured, pixels, scenes
from oscillators import checks

Kind = Literal["square", "up", "down", "circle", "diamond"]
FORMS: dict[str, Any] = {  # whether (x, y), right and down from the centre in units of half the size, is inside
    "square": lambda x, y: np.maximum(abs(x), abs(y)) <= 1,
    "up": lambda x, y: abs(x) <= (y + 1) / 2,
    "down": lambda x, y: abs(x) <= (1 - y) / 2,
    "circle": lambda x, y: x**2 + y**2 <= 1,
    "diamond": lambda x, y: abs(x) + abs(y) <= 1,
}
HOLLOW = ("up", "square", "circle", "diamond")


def shapes(
    count: int,
    seed: Seed,
    kinds: Sequence[Kind] = ("square", "up", "down", "circle"),
    *,
    rgbd: bool = False,
) -> Scenes:
    """Scenes (32 × 32) that show each of some shapes once, at random places: 4Shapes, and 2Shapes or 3Shapes by `kinds`.

    Pixels of two shapes are labelled -1.

    Args:
        count: number of scenes.
        seed: seed or generator.
        kinds: the shapes, "square", "up", "down" (triangles), "circle", "diamond"; label k is the k-th of them.
        rgbd: coloured shapes instead of white ones, each in one of five colours that are drawn once for all scenes, and a
            fourth channel: their depth, equally spaced from 0 to 1 in random order. A later shape covers the earlier ones.

    Note: sizes (11 pixels), and what is in front, are chosen here.
    Source: Reichert and Serre 2014; Löwe et al. 2022 and 2023 (complex autoencoders, rotating features).
    """
    for kind in kinds:
        checks.one_of("kinds", kind, tuple(FORMS))
    rng = np.random.default_rng(seed)
    forms = stamps(kinds, 11)
    white = np.full((5, 1 if not rgbd else 3), 255, np.uint8)
    colours = rng.integers(256, size=(5, 3)).astype(np.uint8) if rgbd else white
    order = np.arange(len(kinds))
    depths = np.round(255 * order / max(len(kinds) - 1, 1)).astype(np.uint8)

    def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        top, masks = _painted(np.broadcast_to(order, (count, len(kinds))), forms, 32, rng)
        palette = colours[rng.integers(len(colours), size=(count, len(kinds)))]
        if rgbd:
            depth = rng.permuted(np.broadcast_to(depths, palette.shape[:2]), axis=1)
            palette = np.concatenate([palette, depth[..., None]], -1)
        ground = np.zeros_like(palette[:, :1])
        return coloured(top, np.concatenate([ground, palette], 1)), masks, np.ones(count, bool)

    return scenes(draw, count, rng)


def hollow_shapes(count: int, seed: Seed) -> Scenes:
    """Scenes (40 × 40) of two to four white outlines, 18 pixels wide, on a grey from 0.1 to 0.6, in three equal channels.

    Triangles, squares, circles and diamonds; pixels of two outlines are labelled -1.

    Args:
        count: number of scenes.
        seed: seed or generator.

    Note: outlines are 2 pixels thick, chosen here. Source: "Shapes" of the published AKOrN code.
    """
    forms = np.concatenate([outlines(stamps(HOLLOW, 18), 2), np.zeros((1, 18, 18), bool)])

    def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kind = rng.integers(len(HOLLOW), size=(count, 4))
        kind[np.arange(4) >= rng.integers(2, 5, (count, 1))] = len(HOLLOW)  # the empty one
        top, masks = _painted(kind, forms, 40, rng)
        palette = np.full((count, 5, 3), 255, np.uint8)
        palette[:, 0] = np.round(255 * rng.uniform(0.1, 0.6, (count, 1)))
        return coloured(top, palette), masks, np.ones(count, bool)

    return scenes(draw, count, seed)


def stamps(kinds: Sequence[str], size: int) -> np.ndarray:
    """Shapes in squares of so many pixels, (kind, size, size): those whose centre is inside."""
    at = (2 * np.arange(size) + 1) / size - 1
    return np.stack([FORMS[kind](at, at[:, None]) for kind in kinds])


def outlines(forms: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels of shapes from which the outside is at most `thickness` pixels away, along rows or columns."""
    inner = forms
    for _ in range(thickness):
        wide = np.pad(inner, ((0, 0), (1, 1), (1, 1)))
        inner = inner & wide[:, 2:, 1:-1] & wide[:, :-2, 1:-1] & wide[:, 1:-1, 2:] & wide[:, 1:-1, :-2]
    return forms & ~inner


def _painted(
    kind: np.ndarray, forms: np.ndarray, canvas: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The last shape on every pixel, and the same as labels with -1 where there are several.

    Args:
        kind: (scene, shape), indices of `forms` (kind, size, size).
    """
    size = forms.shape[-1]
    top, layers = (np.zeros((len(kind), canvas, canvas), np.int8) for _ in range(2))
    for k in range(kind.shape[1]):
        corner = rng.integers(canvas - size + 1, size=(len(kind), 2))
        flat = pixels(top.shape, np.arange(len(kind)), corner, size, size)[forms[kind[:, k]]]
        top.reshape(-1)[flat] = k + 1
        layers.reshape(-1)[flat] += 1
    return top, np.where(layers > 1, np.int8(-1), top)
