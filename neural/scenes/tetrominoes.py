"""Tetrominoes: three pieces of four bevelled cells on black."""

from __future__ import annotations

from typing import Literal

import numpy as np

from neural.scenes.scene import Scenes, Seed, coloured, pixels, scenes

CANVAS, CELL, COUNT = 35, 5, 3
TRIES = 100  # places tried for a piece before its scene is given up
BASES = ("## ##", "####", ".## ##.", "##. .##", "### .#.", "### #..", "### ..#")  # O, I, S, Z, T, L, J
BEVEL = np.array(
    [
        [191, 255, 255, 255, 223],
        [127, 159, 159, 159, 191],
        [127, 159, 159, 159, 191],
        [127, 159, 159, 159, 191],
        [95, 63, 63, 63, 127],
    ],
    np.uint8,
)
COLOURS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.uint8)


def tetrominoes(count: int, seed: Seed, size: Literal[32, 35] = 32) -> Scenes:
    """Scenes of three pieces that do not overlap, in red, green, blue, yellow, magenta or cyan.

    Args:
        count: number of scenes.
        seed: seed or generator; the scenes are the first of those of any larger count.
        size: 35, the whole canvas; 32, its rows and columns 1 to 32, as AKOrN sees it. `tetrominoes(..., 35).resized(32)`
            is what autoencoders see.

    Note: 19 pieces (7, turned) with equal chance, their places and colours too; the published set was drawn in this way.
    Source: Kabra et al. 2019, multi-object data sets.
    """
    if size not in (32, CANVAS):
        raise ValueError(f"`size` must be 32 or 35, but is {size}; other sizes are made by `.resized(size)`.")
    whole = scenes(_draw, count, seed)
    return whole if size == CANVAS else whole.cropped(1, 1, size)


def _pieces() -> np.ndarray:
    """Row and column of the cells of all turned pieces, (19, 4, 2)."""
    found = set()
    for base in BASES:
        form = np.array([[cell == "#" for cell in row] for row in base.split()])
        found |= {tuple(map(tuple, np.argwhere(np.rot90(form, turns)).tolist())) for turns in range(4)}
    return np.array(sorted(found))


PIECES = _pieces()
PLACES = CANVAS + 1 - CELL * (PIECES.max(1) + 1)  # of the corner of a piece: rows, columns


def _draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kind = rng.integers(len(PIECES), size=(count, COUNT))
    corners, free = _placed(kind, rng)  # (scene, piece, cell, 2)
    masks, shade = (np.zeros((count, CANVAS, CANVAS), np.uint8) for _ in range(2))
    for label in range(COUNT):
        flat = pixels(masks.shape, np.arange(count).repeat(4), corners[:, label].reshape(-1, 2), CELL, CELL)
        masks.reshape(-1)[flat] = label + 1
        shade.reshape(-1)[flat] = BEVEL
    palette = np.zeros((count, COUNT + 1, 3), np.uint8)
    palette[:, 1:] = COLOURS[rng.integers(len(COLOURS), size=(count, COUNT))]
    return coloured(masks, palette) * shade[:, None], masks.astype(np.int8), free


def _placed(kind: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the cells of pieces, one after another in a free place, and whether one was found for all."""
    corners, free = CELL * PIECES[kind], np.ones(len(kind), bool)
    for piece in range(COUNT):
        todo = np.arange(len(kind))
        for _ in range(TRIES):
            at = rng.integers(PLACES[kind[todo, piece]])
            corners[todo, piece] = CELL * PIECES[kind[todo, piece]] + at[:, None]
            todo = todo[_overlap(corners[todo, piece], corners[todo, :piece])]
        free[todo] = False
    return corners, free


def _overlap(cells: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether a pixel belongs to two cells: corners (m, 4, 2) against (m, piece, 4, 2) -> (m,)."""
    distance = np.abs(cells[:, None, :, None] - others[:, :, None])
    return (distance < CELL).all(-1).any((1, 2, 3))
