"""Labelled images from files: CIFAR-10, MNIST, and folders of pictures; nothing is downloaded.

A set is looked for in one folder, in its original format first and then in the compact one (`cifar10_jpeg.npz`,
`mnist.npz`). Images stay bytes, (B, channel, height, width): a batch becomes numbers in [0, 1] by `Labelled.batch`.
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")  # of CIFAR-10
ROWS = 10_000  # images in a file of CIFAR-10
SUFFIXES = (".jpg", ".jpeg", ".png")


class Labelled(NamedTuple):
    """Images and what they show.

    Args:
        images: bytes (B, channel, height, width).
        labels: whole numbers (B,).
    """

    images: Tensor
    labels: Tensor

    def take(self, index: Tensor | slice) -> Labelled:
        """Some of the images."""
        return Labelled(self.images[index], self.labels[index])

    def batch(self, index: Tensor | slice, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Some of the images as single-precision numbers in [0, 1], and their labels, on a device."""
        return self.images[index].to(device).float() / 255, self.labels[index].to(device)


def cifar10(folder: str | os.PathLike, train: bool = True, count: int | None = None) -> Labelled:
    """CIFAR-10: images (B, 3, 32, 32) in ten `CLASSES`, 50,000 to train with and 10,000 to test.

    Args:
        folder: holds the binary version (`data_batch_1.bin`, ..., `test_batch.bin`, or the folder `cifar-10-batches-bin`
            of them), or `cifar10_jpeg.npz` (JPEG streams end to end, which have lost fine detail).
        count: how many, from the first (None: all).

    Note: the two formats have the images in different orders. Python pickles are not read: loading one runs its code.
    """
    folder = Path(folder)
    names = [f"data_batch_{k}.bin" for k in range(1, 6)] if train else ["test_batch.bin"]
    for place in (folder, folder / "cifar-10-batches-bin"):
        if (place / names[0]).is_file():
            return _cifar_binary([place / name for name in names], count)
    if (folder / "cifar10_jpeg.npz").is_file():
        return _cifar_jpeg(folder / "cifar10_jpeg.npz", slice(0, 50_000) if train else slice(50_000, 60_000), count)
    raise _missing(folder, f"{names[0]} or cifar10_jpeg.npz", "the binary version, cifar-10-binary.tar.gz, of CIFAR-10")


def mnist(folder: str | os.PathLike, train: bool = True, count: int | None = None) -> Labelled:
    """MNIST: images (B, 1, 28, 28) of digits, 60,000 to train with and 10,000 to test.

    Args:
        folder: holds the original `train-images-idx3-ubyte`, ... (or the same with .gz), or `mnist.npz`.
        count: how many, from the first (None: all).
    """
    folder, part = Path(folder), "train" if train else "t10k"
    files = [_plain_or_packed(folder / f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
    if all(file.is_file() for file in files):
        images, labels = (read_idx(file) for file in files)
    elif (folder / "mnist.npz").is_file():
        with np.load(folder / "mnist.npz") as file:
            images, labels = (file[f"{name}_{'train' if train else 'test'}"] for name in "xy")
    else:
        raise _missing(folder, f"{part}-images-idx3-ubyte(.gz) or mnist.npz", "the four idx files of MNIST")
    return Labelled(torch.from_numpy(images[:count][:, None].copy()), _whole(labels[:count]))


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The bytes of an idx file, packed (.gz) or not: 0, 0, 8, number of axes; their lengths; the values."""
    path = Path(path)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read()
    if content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        raise ValueError(
            f"`path` must be an idx file of bytes, but {path} begins with {content[:4]!r}; fetch it again."
        )
    shape = np.frombuffer(content, ">i4", content[3], 4)
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
    if values.size != shape.prod():
        raise ValueError(
            f"`path` must hold {shape.prod()} values, of shape {tuple(map(int, shape))}, but {path} has {values.size}; it is "
            "cut off: fetch it again."
        )
    return values.reshape(shape)


def picture_folder(folder: str | os.PathLike, size: int, count: int | None = None) -> Labelled:
    """Pictures in folders named by their class, each resized to a square; Tiny-ImageNet's `train` is one.

    Args:
        folder: folders of .jpg, .jpeg or .png files, at any depth; the class is the first folder, in alphabetical order.
        size: height and width.
        count: how many, spread over the whole set (None: all).
    """
    folder = Path(folder)
    files = sorted(path for path in folder.glob("*/**/*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise _missing(folder, "CLASS/.../PICTURE.jpg", "a set of pictures by class, such as tiny-imagenet-200/train")
    names = sorted({path.relative_to(folder).parts[0] for path in files})
    chosen = files[:: max(1, len(files) // count)][:count] if count else files
    images = np.stack([_picture(path, size) for path in chosen])
    labels = [names.index(path.relative_to(folder).parts[0]) for path in chosen]
    return Labelled(torch.from_numpy(images).movedim(-1, 1).contiguous(), torch.tensor(labels))


def _cifar_binary(files: list[Path], count: int | None) -> Labelled:
    """Rows of a label and 3 x 32 x 32 colours."""
    rows = np.concatenate([_rows(file) for file in files])[:count]
    return Labelled(torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()), _whole(rows[:, 0]))


def _rows(file: Path) -> np.ndarray:
    if not file.is_file():
        raise _missing(file.parent, file.name, "all files of the binary version of CIFAR-10")
    values = np.fromfile(file, np.uint8)
    if values.size != ROWS * 3073:
        raise ValueError(
            f"`folder` must hold {file.name} with {ROWS * 3073} bytes, but {file} has {values.size}; fetch it again."
        )
    return values.reshape(ROWS, 3073)


def _cifar_jpeg(path: Path, part: slice, count: int | None) -> Labelled:
    with np.load(path) as file:
        streams, offset, labels = file["jpeg"], file["offset"], file["label"][part][:count]
    first = part.start
    decoded = [_decode(streams[offset[i] : offset[i + 1]]) for i in range(first, first + len(labels))]
    return Labelled(torch.from_numpy(np.stack(decoded)).movedim(-1, 1).contiguous(), _whole(labels))


def _decode(stream: np.ndarray) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(stream.tobytes())))


def _picture(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def _plain_or_packed(path: Path) -> Path:
    return path if path.is_file() else path.with_name(path.name + ".gz")


def _whole(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.astype(np.int64))


def _missing(folder: Path, names: str, what: str) -> FileNotFoundError:
    return FileNotFoundError(f"`folder` must hold {names}, but {folder.absolute()} does not; put {what} there.")
