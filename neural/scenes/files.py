"""Scenes of published files: arrays in .npz, the .h5 files of the autoencoders, and the folders of CLEVRTex."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import torch
from PIL import Image

from neural.scenes.scene import BLOCK, Scenes, joined
from oscillators import checks

Change = Callable[[Scenes], Scenes]
SPLITS = {"test": (0.0, 0.1), "validation": (0.1, 0.2), "train": (0.2, 1.0), "all": (0.0, 1.0)}
KABRA = "convert the multi-object data sets of Kabra et al. 2019, or draw scenes with `tetrominoes` or `multi_dsprites`"
EMAMI = "take the .h5 files that Emami et al. 2021 (EfficientMORL) released, or draw scenes with `tetrominoes`"
KARAZIJA = "unpack the archives of Karazija et al. 2021 (CLEVRTex: full, outd, camo) there"


def read_npz(path: str | PathLike) -> Scenes:
    """Scenes of arrays as they are derived from the TFRecords of Tetrominoes, multi-dSprites and CLEVR.

    Args:
        path: .npz with `images`, channels first or last or absent, uint8 or floats in [0, 1] or [-1, 1]; and `labels`, (B,
            height, width), or `masks`, one map for each object with the background first, (B, object, height, width[, 1]).

    Note: where all are in one file, 64 to look at, 320 to test and 10,000 to validate come before those to train.
    Raises: FileNotFoundError, ValueError: what is missing, where it was looked for, how to get it; ValueError: images of
        other numbers.
    """
    with np.load(_existing(path, "file", KABRA)) as file:
        found = {name: file[name] for name in ("images", "labels", "masks") if name in file.files}
        if "images" not in found or len(found) == 1:
            raise _lacks(path, "`images` and `labels` or `masks`", file.files, KABRA)
    masks = found["labels"] if "labels" in found else _labels(found["masks"])
    return Scenes(torch.from_numpy(_images(found["images"])), torch.from_numpy(masks.astype(np.int8)))


def read_hdf5(
    path: str | PathLike,
    group: Literal["train", "test"] = "train",
    limit: int | None = None,
    change: Change | None = None,
) -> Scenes:
    """Scenes of the files with which complex-valued autoencoders are trained.

    Args:
        path: .h5 with `imgs` (B, height, width, 3) and `masks` (B, object, height, width, 1), background first, in a group.
        group: "train" or "test".
        limit: number of scenes, if not all.
        change: what is done to each block of scenes as it is read, so that the file need not fit into memory; for CLEVR
            `lambda block: block.cropped(29, 64, 192).resized(96, masks="nearest")`.

    Raises: FileNotFoundError, ValueError: what is missing, where it was looked for, how to get it; ValueError: images of
        other numbers.
    """
    with h5py.File(_existing(path, "file", EMAMI)) as file:
        held = file.get(group, {})
        if not {"imgs", "masks"} <= set(held):
            raise _lacks(
                path, f"`{group}/imgs` and `{group}/masks`", [*file, *(f"{group}/{name}" for name in held)], EMAMI
            )
        count = len(held["imgs"]) if limit is None else min(limit, len(held["imgs"]))
        parts = []
        for start in range(0, count, BLOCK):
            block = slice(start, min(start + BLOCK, count))
            masks = _labels(held["masks"][block])
            part = Scenes(torch.from_numpy(_images(held["imgs"][block])), torch.from_numpy(masks))
            parts.append(part if change is None else change(part))
    return joined(parts)


def read_clevrtex(
    folder: str | PathLike, split: Literal["train", "validation", "test", "all"] = "train", size: int = 128
) -> Scenes:
    """Scenes of a folder of CLEVRTex (full, outd or camo): the middle, four fifths of the shorter side, resized.

    Args:
        folder: with images `*.png` and labels `*_flat.png` at any depth.
        split: of the images by their names: the first tenth "test", the second "validation", the rest "train".
        size: pixels along a side of what is returned: images bilinear, labels nearest.

    Raises: FileNotFoundError: what is missing, where it was looked for, how to get it.
    """
    checks.one_of("split", split, tuple(SPLITS))
    files = sorted(p for p in _existing(folder, "folder", KARAZIJA).rglob("*.png") if not p.stem.endswith("_flat"))
    first, last = (round(part * len(files)) for part in SPLITS[split])
    files = files[first:last]
    if not files:
        raise FileNotFoundError(
            f"`folder` must hold images *.png for the split {split!r}, but none are in {folder}; {KARAZIJA}."
        )
    with ThreadPoolExecutor() as pool:  # Pillow decodes outside Python's lock
        return joined(list(pool.map(lambda file: _clevrtex(file, size), files)))


def _clevrtex(file: Path, size: int) -> Scenes:
    labels = _existing(file.with_name(f"{file.stem}_flat.png"), "file", KARAZIJA)
    with Image.open(file) as image, Image.open(labels) as mask:
        images, masks = np.asarray(image.convert("RGB")), np.asarray(mask).astype(np.int8)
    height, width = masks.shape
    side = int(0.8 * min(height, width))
    whole = Scenes(torch.from_numpy(_images(images[None])), torch.from_numpy(masks[None]))
    middle = whole.cropped((height - side) // 2, (width - side) // 2, side)
    return middle.resized(size, images="bilinear", masks="nearest")


def _existing(path: str | PathLike, kind: Literal["file", "folder"], source: str) -> Path:
    path = Path(path)
    if not (path.is_file() if kind == "file" else path.is_dir()):
        raise FileNotFoundError(f"`path` must be a {kind}, but there is none at {path.absolute()}; {source}.")
    return path


def _lacks(path: str | PathLike, wanted: str, found: Any, source: str) -> ValueError:
    return ValueError(f"`path` must hold {wanted}, but {path} holds {checks.shown(sorted(found))}; {source}.")


def _labels(masks: np.ndarray) -> np.ndarray:
    """The object with the largest mask at each pixel, (B, object, height, width[, 1]) -> (B, height, width)."""
    masks = masks[..., 0] if masks.ndim == 5 else masks
    return masks.argmax(1).astype(np.int8)


def _images(images: np.ndarray) -> np.ndarray:
    """Images, uint8 or floats in [0, 1] or [-1, 1], as uint8 with the channels first."""
    if images.dtype.kind == "f":
        if not (np.abs(images) <= 1).all():
            raise ValueError(
                f"`images` must lie in [0, 1] or [-1, 1], but reach from {images.min():g} to {images.max():g}; divide by the "
                "largest value there is, such as 255."
            )
        images = np.round(255 * ((images + 1) / 2 if images.min() < 0 else images)).astype(np.uint8)
    if images.dtype != np.uint8:
        raise ValueError(
            f"`images` must be uint8 or floats, but have dtype {images.dtype}; write images.astype('uint8')."
        )
    images = images[:, None] if images.ndim == 3 else images
    return np.ascontiguousarray(np.moveaxis(images, -1, 1) if images.shape[-1] <= 4 else images)
