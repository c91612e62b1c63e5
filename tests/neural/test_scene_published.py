"""Published sets of scenes are found by their names, and cut as published."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from neural.scenes import has_published, read_published
from neural.scenes.published import PLACES

RNG = np.random.default_rng(0)


def write(folder, name, part, height, width, count=3):
    """Random scenes of two objects in a published file, and their images with the channels first."""
    images = RNG.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    masks = np.zeros((count, 2, height, width, 1), dtype=np.uint8)
    masks[:, 1, : height // 2] = 255
    with h5py.File(folder / PLACES[name][part == "test"], "w") as file:
        file[f"{part}/imgs"], file[f"{part}/masks"] = images, masks
    return torch.from_numpy(images).movedim(-1, 1)


@pytest.mark.parametrize(
    ("name", "height", "width", "rows", "columns"),
    [
        ("tetrominoes", 35, 35, slice(1, 33), slice(1, 33)),
        ("dsprites", 64, 64, slice(0, 64), slice(0, 64)),
        ("clevr", 240, 320, slice(29, 221), slice(64, 256)),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_scenes_are_cut_as_published(name, part, height, width, rows, columns, tmp_path):
    images = write(tmp_path, name, part, height, width)[..., rows, columns]
    found = read_published(name, tmp_path, part)
    assert torch.equal(found.images, images)
    middle = height // 2 - rows.start
    assert (found.masks[:, :middle] == 1).all()
    assert (found.masks[:, middle:] == 0).all()
    some = read_published(name, tmp_path, part, limit=2, change=lambda scenes: scenes.cropped(0, 0, 5))
    assert torch.equal(some.images, images[:2, :, :5, :5])


def test_textured_scenes_are_a_folder(tmp_path):
    (tmp_path / "clevrtex_full").mkdir()
    for i in range(20):
        for ending in ("", "_flat"):
            Image.fromarray(np.full((10, 10), i, dtype=np.uint8)).save(
                tmp_path / "clevrtex_full" / f"{i:02}{ending}.png"
            )
    assert has_published("clevrtex", tmp_path)
    found = read_published("clevrtex", tmp_path, "test", limit=1)
    assert found.images.shape == (1, 3, 128, 128)
    assert (read_published("clevrtex", tmp_path).masks.amin((1, 2)) == torch.arange(4, 20)).all()


def test_a_set_is_there_if_its_file_to_train_with_is(tmp_path):
    assert not has_published("tetrominoes", tmp_path)
    write(tmp_path, "tetrominoes", "train", 35, 35)
    assert has_published("tetrominoes", tmp_path)
    assert not has_published("dsprites", tmp_path)
    assert not has_published("scenes of my own", tmp_path)


def test_what_is_not_published_or_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`name` must be .*'tetrominoes'.*but is 'movi'"):
        read_published("movi", tmp_path)
    with pytest.raises(ValueError, match=r"`part` must be .*but is 'validation'"):
        read_published("clevr", tmp_path, "validation")
    with pytest.raises(FileNotFoundError, match=r"there is none at .*clevr6_with_masks_train\.h5"):
        read_published("clevr", tmp_path)
