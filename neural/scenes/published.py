"""The published sets of scenes by name: which files they lie in, and what networks see of them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal

from neural.scenes.files import Change, read_clevrtex, read_hdf5
from neural.scenes.scene import Scenes
from oscillators import checks

Part = Literal["train", "test"]

PLACES = {  # in the folder of the data, to train and to test
    "tetrominoes": ("tetrominoes.h5", "tetrominoes_test.h5"),
    "dsprites": ("multi_dsprites_colored_on_grayscale.h5", "multi_dsprites_colored_on_grayscale_test.h5"),
    "clevr": ("clevr6_with_masks_train.h5", "clevr6_with_masks_and_factors_test.h5"),
    "clevrtex": ("clevrtex_full", "clevrtex_full"),
}
CROPS = {"tetrominoes": (1, 1, 32), "clevr": (29, 64, 192)}  # first row, first column, rows and columns


def has_published(name: str, folder: str | PathLike) -> bool:
    """Whether the folder has that set to train with; no folder has one of another name."""
    return name in PLACES and _place(name, folder, "train").exists()


def read_published(
    name: str, folder: str | PathLike, part: Part = "train", *, limit: int | None = None, change: Change | None = None
) -> Scenes:
    """Scenes of a published set, cut as published.

    Args:
        name: "tetrominoes" (32 pixels along a side), "dsprites" (64), "clevr" (192), "clevrtex" (128).
        folder: where its files lie, under their published names.
        part: to train or to test with.
        limit: number of scenes, if not all.
        change: what is done to each block of scenes once it is cut, for CLEVR a resize.

    Raises: FileNotFoundError, ValueError: what is missing, where it was looked for, how to get it.
    """
    checks.one_of("name", name, tuple(PLACES))
    checks.one_of("part", part, ("train", "test"))

    def seen(block: Scenes) -> Scenes:
        block = block.cropped(*CROPS[name]) if name in CROPS else block
        return block if change is None else change(block)

    place = _place(name, folder, part)
    return seen(read_clevrtex(place, part)[:limit]) if name == "clevrtex" else read_hdf5(place, part, limit, seen)


def _place(name: str, folder: str | PathLike, part: Part) -> Path:
    return Path(folder) / PLACES[name][part == "test"]
