"""Readers of images, on small files in the original formats and on the real ones where they are."""

import gzip
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neural import images
from neural.images import Labelled, cifar10, mnist, picture_folder, read_idx

DATA = Path(os.environ.get("OSCILLATORS_DATA", Path(__file__).parents[3] / "shared" / "data"))
rng = np.random.default_rng(0)


def real(name):
    if not (DATA / name).is_file():
        pytest.skip(f"no {name} in {DATA}; set OSCILLATORS_DATA")
    return DATA


@pytest.fixture
def binary(tmp_path, monkeypatch):
    """CIFAR-10's six files, with five images each."""
    monkeypatch.setattr(images, "ROWS", 5)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rows = rng.integers(0, 256, (30, 3073)).astype(np.uint8)
    rows[:, 0] = np.arange(30) % 10
    for k in range(5):
        rows[5 * k : 5 * k + 5].tofile(folder / f"data_batch_{k + 1}.bin")
    rows[25:].tofile(folder / "test_batch.bin")
    return folder, rows


def test_binary_files_hold_a_label_and_three_colours(binary):
    folder, rows = binary
    for place in (folder, folder.parent):
        train, test = cifar10(place), cifar10(place, train=False)
        assert train.images.shape == (25, 3, 32, 32)
        assert train.labels.tolist() == rows[:25, 0].tolist()
        assert test.images[2, 1, 3, 4] == rows[27, 1 + 1024 + 3 * 32 + 4]  # green, row 3, column 4
    assert len(cifar10(folder, count=7).images) == 7


def test_a_cut_or_missing_file_is_named(binary):
    folder, _ = binary
    (folder / "data_batch_3.bin").write_bytes(b"\0" * 100)
    with pytest.raises(
        ValueError, match=r"must hold data_batch_3.bin with 15365 bytes, but .* has 100; fetch it again"
    ):
        cifar10(folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"`folder` must hold data_batch_3.bin, but .*cifar-10-batches-bin"):
        cifar10(folder)


def jpeg(value):
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (value, 0, 255 - value)).save(file, "JPEG", quality=95)
    return np.frombuffer(file.getvalue(), np.uint8)


@pytest.mark.parametrize(("train", "before"), [(True, 0), (False, 50_000)])
def test_streams_are_decoded_in_order(tmp_path, train, before):
    """Streams before the test images are empty here: none of them is looked at."""
    streams = [jpeg(value) for value in (0, 100, 200)]
    offset = np.cumsum([0] * (before + 1) + [len(stream) for stream in streams])
    label = np.uint8([9] * before + [4, 7, 1])
    np.savez(tmp_path / "cifar10_jpeg.npz", jpeg=np.concatenate(streams), offset=offset, label=label)
    data = cifar10(tmp_path, train, count=2)
    assert data.labels.tolist() == [4, 7]
    assert data.images.dtype == torch.uint8
    assert data.images[:, :, 5, 5].int().sub(torch.tensor([[0, 0, 255], [100, 0, 155]])).abs().max() <= 3  # JPEG


def test_missing_sets_say_where_they_were_looked_for(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"must hold data_batch_1.bin or cifar10_jpeg.npz, but .*; put .*tar.gz"
    ):
        cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"must hold t10k-images-idx3-ubyte\(.gz\) or mnist.npz, but "):
        mnist(tmp_path, train=False)
    with pytest.raises(FileNotFoundError, match=r"must hold CLASS/.../PICTURE.jpg, but .*tiny-imagenet-200/train"):
        picture_folder(tmp_path, 32)


def write_idx(path, values, packed=False):
    content = struct.pack(f">HBB{values.ndim}i", 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if packed else content)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read(tmp_path, packed):
    digits, end = rng.integers(0, 256, (4, 28, 28)).astype(np.uint8), ".gz" if packed else ""
    write_idx(tmp_path / f"train-images-idx3-ubyte{end}", digits, packed)
    write_idx(tmp_path / f"train-labels-idx1-ubyte{end}", np.uint8([3, 1, 4, 1]), packed)
    data = mnist(tmp_path, count=3)
    assert data.images.shape == (3, 1, 28, 28)
    assert np.array_equal(data.images[:, 0], digits[:3])
    assert data.labels.tolist() == [3, 1, 4]


def test_broken_idx_files_are_refused(tmp_path):
    path = tmp_path / "x"
    write_idx(path, np.zeros((4, 5), np.uint8))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"`path` must hold 20 values, of shape \(4, 5\), but .* has 19; it is cut"):
        read_idx(path)
    path.write_bytes(b"<html>not a digit</html>")
    with pytest.raises(ValueError, match=r"`path` must be an idx file of bytes, but .* begins with b'<htm'"):
        read_idx(path)


def test_pictures_lie_in_folders_of_their_class(tmp_path):
    for name, colour in (("n2", (255, 0, 0)), ("n1", (0, 255, 0))):
        for k in range(3):
            folder = tmp_path / name / "images"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("L" if k == 2 else "RGB", (64, 48), 90 if k == 2 else colour).save(folder / f"{k}.png")
    data = picture_folder(tmp_path, 32)
    assert data.images.shape == (6, 3, 32, 32)
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.images[:, :, 0, 0].tolist() == [[0, 255, 0], [0, 255, 0], [90] * 3, [255, 0, 0], [255, 0, 0], [90] * 3]
    assert picture_folder(tmp_path, 32, count=2).labels.tolist() == [0, 1]


def test_batches_are_numbers_between_zero_and_one():
    data = Labelled(torch.tensor([[0], [51], [255]], dtype=torch.uint8), torch.tensor([5, 6, 7]))
    x, y = data.batch(torch.tensor([2, 1]))
    torch.testing.assert_close(x, torch.tensor([[1.0], [0.2]]))
    assert y.tolist() == [7, 6]
    assert data.take(slice(1, 2)).labels.tolist() == [6]


def test_real_digits_are_those_of_the_archive():
    data = mnist(real("mnist.npz"), train=False)
    assert len(data.images) == 10_000
    assert data.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_real_photographs_are_decoded():
    data = cifar10(real("cifar10_jpeg.npz"), train=False, count=1000)
    assert data.images.shape == (1000, 3, 32, 32)
    assert data.labels.bincount().tolist() == [100] * 10
    means = (data.images.double() / 255).mean((0, 2, 3)).tolist()
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.03)  # of the training set; 1000 images vary
