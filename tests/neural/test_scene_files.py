"""Published files of scenes are read as they are laid out; a file that is not there is named, with a way to get it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from neural.scenes import read_clevrtex, read_hdf5, read_npz, tetrominoes

SCENES = tetrominoes(12, 0, 35)
LABELS = SCENES.masks.numpy()
ENTITIES = (255 * (LABELS[:, None] == np.arange(4)[:, None, None])).astype(np.uint8)
LAST = SCENES.images.movedim(1, -1).numpy()


def same(found, images=SCENES.images, masks=SCENES.masks):
    assert torch.equal(found.images, images)
    assert torch.equal(found.masks, masks)


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": LAST, "labels": LABELS},
        {"images": SCENES.images.numpy(), "labels": LABELS.astype(np.int64)},
        {"images": LAST / np.float32(255), "masks": ENTITIES[..., None]},
        {"images": LAST / 127.5 - 1, "masks": ENTITIES},
    ],
    ids=["channels last", "channels first", "from 0 to 1", "from -1 to 1"],
)
def test_arrays_are_read_in_every_layout(arrays, tmp_path):
    np.savez(tmp_path / "scenes.npz", **arrays)
    same(read_npz(tmp_path / "scenes.npz"))


def test_grey_images_get_a_channel(tmp_path):
    np.savez(tmp_path / "grey.npz", images=LAST[..., 0] / 255, labels=LABELS)
    same(read_npz(tmp_path / "grey.npz"), SCENES.images[:, :1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (LAST.astype(np.float32), r"`images` must lie in \[0, 1\] or \[-1, 1\], but reach from 0 to 255; divide by"),
        (LAST / 255 - 1.5, r"`images` must lie in .*, but reach from -1\.5 to -0\.5"),
        (LAST * np.nan, r"`images` must lie in .*, but reach from nan to nan"),
        (LAST.astype(np.int64), "`images` must be uint8 or floats, but have dtype int64; write images"),
        (LAST > 0, "`images` must be uint8 or floats, but have dtype bool"),
    ],
    ids=["bytes as floats", "below -1", "nan", "int64", "bool"],
)
def test_images_of_other_numbers_are_named(images, message, tmp_path):
    np.savez(tmp_path / "scenes.npz", images=images, labels=LABELS)
    with pytest.raises(ValueError, match=message):
        read_npz(tmp_path / "scenes.npz")


@pytest.fixture
def h5(tmp_path):
    path = tmp_path / "tetrominoes.h5"
    with h5py.File(path, "w") as file:
        file["train/imgs"], file["train/masks"] = LAST, ENTITIES[..., None]
        file["test/imgs"] = LAST
    return path


def test_files_of_autoencoders_are_read_block_by_block(h5, monkeypatch):
    monkeypatch.setattr("neural.scenes.files.BLOCK", 5)
    same(read_hdf5(h5))
    same(read_hdf5(h5, limit=7), SCENES.images[:7], SCENES.masks[:7])
    crop = SCENES.cropped(3, 2, 20)
    same(read_hdf5(h5, change=lambda block: block.cropped(3, 2, 20)), crop.images, crop.masks)


@pytest.fixture
def clevrtex(tmp_path):
    """Ten scenes, 30 × 40, in two folders; scene i is grey i + 1, with label i in the lower right quarter."""
    for i in range(10):
        folder = tmp_path / str(i // 5)
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), (i + 1,) * 3).save(folder / f"CLEVRTEX_full_{i:06d}.png")
        mask = np.zeros((30, 40), np.uint8)
        mask[15:, 20:] = i
        Image.fromarray(mask).save(folder / f"CLEVRTEX_full_{i:06d}_flat.png")
    return tmp_path


def test_folders_are_split_cropped_and_resized(clevrtex):
    parts = {split: read_clevrtex(clevrtex, split, size=12) for split in ("test", "validation", "train", "all")}
    assert [len(parts[split]) for split in parts] == [1, 1, 8, 10]
    assert parts["train"].images.shape == (8, 3, 12, 12)
    assert parts["all"].images[:, 0, 0, 0].tolist() == list(range(1, 11))
    assert parts["train"].images[0, 0, 0, 0] == 3
    assert parts["test"].images[0, 0, 0, 0] == 1
    assert parts["validation"].images[0, 0, 0, 0] == 2
    expected = torch.zeros(12, 12, dtype=torch.int8)
    expected[6:, 6:] = 9
    assert torch.equal(parts["train"].masks[-1], expected)


def test_photographs_are_smoothed_and_labels_are_not(tmp_path):
    """Columns alternately black and white, of which every second one stays: grey, as both are averaged."""
    columns = np.arange(40) % 2 * np.ones((30, 1))
    Image.fromarray((255 * columns).astype(np.uint8)).save(tmp_path / "scene.png")
    Image.fromarray(columns.astype(np.uint8)).save(tmp_path / "scene_flat.png")
    scene = read_clevrtex(tmp_path, "all", size=12)
    assert (scene.images[..., 1:-1] - 127.0).abs().max() < 2  # rounded to bytes; the weights at the edges are others
    assert len(scene.masks.unique()) == 1


@pytest.mark.parametrize("reader", [read_npz, read_hdf5, read_clevrtex])
def test_what_is_not_there_is_named_with_a_way_to_get_it(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`path` must be a .*, but there is none at .*nothing; .* et al\."):
        reader(tmp_path / "nothing")


def test_arrays_under_other_names_are_named(tmp_path):
    np.savez(tmp_path / "other.npz", images=LAST, x=LABELS)
    with pytest.raises(ValueError, match=r"`path` must hold `images` and `labels` or `masks`, but .*other\.npz holds"):
        read_npz(tmp_path / "other.npz")


@pytest.mark.parametrize("group", ["test", "validation"])
def test_groups_that_lack_something_are_named(h5, group):
    with pytest.raises(ValueError, match=f"`path` must hold `{group}/imgs` and `{group}/masks`, but .*h5 holds"):
        read_hdf5(h5, group)


def test_folders_without_their_labels_are_named(clevrtex):
    (clevrtex / "0" / "CLEVRTEX_full_000000_flat.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is none at .*CLEVRTEX_full_000000_flat\.png"):
        read_clevrtex(clevrtex, "test")


def test_folders_without_images_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`folder` must hold images \*\.png for the split 'train', but none"):
        read_clevrtex(tmp_path)
