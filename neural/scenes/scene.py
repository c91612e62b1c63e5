"""What all scenes have in common: images, labels, and how they are drawn in blocks from one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Seed = int | np.random.Generator
Mode = Literal["bicubic", "bilinear", "nearest"]
Draw = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]

BLOCK = 500  # scenes drawn at once: arrays stay in the cache, and a set is the beginning of a larger one of its seed


@dataclass(frozen=True)
class Scenes:
    """Images, and the object that each pixel shows.

    Args:
        images: (B, channel, height, width), uint8; `images / 255` is what networks see.
        masks: (B, height, width), int8: 0 background, 1, 2, ... the objects, -1 pixels that do not count.
    """

    images: Tensor
    masks: Tensor

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.masks.shape != (len(self.images), *self.images.shape[2:]):
            raise ValueError(
                f"`masks` must have the shape (B, height, width) of `images` (B, channel, height, width), but is "
                f"{tuple(self.masks.shape)} for images {tuple(self.images.shape)}; give every pixel one label."
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Scenes:
        """Some of the scenes: a slice, or an array of numbers."""
        return Scenes(self.images[index], self.masks[index])

    def cropped(self, top: int, left: int, size: int) -> Scenes:
        """The square of `size` rows and columns that starts at row `top` and column `left`."""
        height, width = self.masks.shape[1:]
        if min(top, left, size - 1) < 0 or max(top + size - height, left + size - width) > 0:
            raise ValueError(
                f"`size` must leave the crop inside the scenes, {height} x {width}, but is {size} from row {top}, "
                f"column {left}; crop less."
            )
        rows, columns = slice(top, top + size), slice(left, left + size)
        return Scenes(self.images[..., rows, columns], self.masks[..., rows, columns])

    @property
    def objects(self) -> Tensor:
        """Number of objects of each scene, (B,)."""
        present = [(self.masks == label).flatten(1).any(1) for label in self.masks.unique() if label > 0]
        return torch.stack(present).sum(0) if present else torch.zeros(len(self), dtype=torch.int64)

    def resized(self, size: int, images: Mode = "bicubic", masks: Mode = "bicubic") -> Scenes:
        """Square scenes of another size, by antialiased interpolation of images and of the indicators of labels.

        A pixel gets the label whose indicator is largest there. Bicubic is how Tetrominoes and multi-dSprites were published
        for autoencoders, nearest masks how CLEVR was.
        """
        labels = self.masks.unique()
        return joined([part._resized(size, images, masks, labels) for part in self._blocks()])

    def _resized(self, size: int, images: Mode, masks: Mode, labels: Tensor) -> Scenes:
        indicators = (self.masks[:, None] == labels[:, None, None]).float()
        return Scenes(
            _interpolated(self.images, size, images), labels[_interpolated(indicators, size, masks).argmax(1)]
        )

    def _blocks(self) -> list[Scenes]:
        return [self[start : start + BLOCK] for start in range(0, len(self), BLOCK)]


def _interpolated(maps: Tensor, size: int, mode: Mode) -> Tensor:
    return functional.interpolate(maps, (size, size), mode=mode, antialias=mode != "nearest")


def joined(parts: Sequence[Scenes]) -> Scenes:
    """All scenes of some sets, one after another."""
    return Scenes(torch.cat([part.images for part in parts]), torch.cat([part.masks for part in parts]))


def scenes(draw: Draw, count: int, seed: Seed) -> Scenes:
    """The first `count` good scenes of those that `draw` makes, block after block.

    Args:
        draw: makes so many scenes with a generator: images, masks, and whether each is good.
    """
    if count < 1:
        raise ValueError(f"`count` must be at least 1, but is {count}; say how many scenes are wanted.")
    rng = np.random.default_rng(seed)
    images: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    while sum(map(len, masks)) < count:
        image, mask, good = draw(BLOCK, rng)
        images.append(image[good])
        masks.append(mask[good])
    return Scenes(*(torch.from_numpy(np.concatenate(parts)[:count]) for parts in (images, masks)))


def pixels(shape: tuple[int, ...], scene: np.ndarray, corner: np.ndarray, height: int, width: int) -> np.ndarray:
    """Flat numbers, in an array (B, rows, columns), of rectangles in scenes with this corner: (m,), (m, 2) -> (m, h, w)."""
    rows = corner[:, 0, None, None] + np.arange(height)[:, None]
    columns = corner[:, 1, None, None] + np.arange(width)
    return (scene[:, None, None] * shape[1] + rows) * shape[2] + columns


def coloured(masks: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Images (B, channel, height, width) from labels and the palette (B, label, channel) of each scene."""
    return np.moveaxis(palette[np.arange(len(masks))[:, None, None], masks], -1, 1)
