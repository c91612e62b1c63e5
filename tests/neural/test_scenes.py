"""Scenes: what is drawn is what was published, every pixel has its label, and a seed says everything."""

from __future__ import annotations

import itertools
import os
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from neural.scenes import Scenes, hollow_shapes, multi_dsprites, shapes, sprites, tetrominoes
from neural.scenes.tetrominoes import BEVEL, COLOURS, PIECES

DATA = Path(os.environ.get("OSCILLATORS_DATA", Path(__file__).parents[3] / "shared" / "data"))
GENERATORS = {
    "tetrominoes": tetrominoes,
    "multi-dSprites": multi_dsprites,
    "4Shapes": shapes,
    "4Shapes RGB-D": lambda count, seed: shapes(count, seed, rgbd=True),
    "outlines": hollow_shapes,
}
each = pytest.mark.parametrize("draw", GENERATORS.values(), ids=GENERATORS.keys())


@each
def test_a_seed_says_everything(draw):
    first, again, longer, other = draw(20, 3), draw(20, 3), draw(700, 3), draw(20, 4)
    for name in ("images", "masks"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert torch.equal(getattr(first, name), getattr(longer[:20], name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    assert len(longer) == 700
    assert len(torch.unique(longer.images.flatten(1), dim=0)) == 700


@each
def test_images_are_bytes_and_labels_small_integers(draw):
    scenes = draw(10, 0)
    assert scenes.images.dtype == torch.uint8
    assert scenes.masks.dtype == torch.int8
    assert scenes.images.shape[2:] == scenes.masks.shape[1:]


@each
def test_a_count_below_one_is_named(draw):
    with pytest.raises(ValueError, match="`count` must be at least 1, but is 0"):
        draw(0, 0)


def test_there_are_nineteen_pieces_of_four_joined_cells():
    assert PIECES.shape == (19, 4, 2)
    assert len({tuple(map(tuple, piece)) for piece in PIECES}) == 19
    for piece in PIECES:
        assert (piece.min(0) == 0).all()
        touching = [np.abs(a - b).sum() == 1 for a, b in itertools.combinations(piece, 2)]
        assert sum(touching) >= 3


def test_tetrominoes_have_the_pixels_of_the_published_ones():
    """Means and errors of the best constant and of the mean image, of published scenes; 2000 scenes: within 1 %."""
    scenes = tetrominoes(2000, 0, 35)
    x = scenes.images.double() / 255
    assert x.mean() == pytest.approx(0.0763, rel=0.01)
    assert (x**2).mean() == pytest.approx(0.0530, rel=0.01)
    assert x.var((0, 2, 3)).mean() == pytest.approx(4.71e-2, rel=0.01)
    assert ((x - x.mean(0)) ** 2).mean() == pytest.approx(4.55e-2, rel=0.01)
    x = scenes.resized(32).images.double() / 255
    assert (x**2).mean() == pytest.approx(0.049, rel=0.01)
    assert x.var((0, 2, 3)).mean() == pytest.approx(4.30e-2, rel=0.01)


def test_tetrominoes_are_whole_and_apart():
    scenes = tetrominoes(500, 0, 35)
    for label in (1, 2, 3):
        assert ((scenes.masks == label).flatten(1).sum(1) == 100).all()
    assert ((scenes.images > 0).any(1) == (scenes.masks > 0)).all()


def test_scenes_without_room_for_a_piece_are_given_up(monkeypatch):
    monkeypatch.setattr(import_module("neural.scenes.tetrominoes"), "TRIES", 1)
    test_tetrominoes_are_whole_and_apart()


def test_all_pieces_have_the_same_chance():
    masks = tetrominoes(600, 0, 35).masks
    drawn = [(mask == label).nonzero() for mask in masks for label in (1, 2, 3)]
    cells = [tuple(map(tuple, ((at - at.amin(0)) // 5).unique(dim=0).tolist())) for at in drawn]
    counts = [cells.count(tuple(map(tuple, piece.tolist()))) for piece in PIECES]
    assert sum(counts) == 1800
    assert np.abs(np.array(counts) - 1800 / 19).max() < 40  # four standard deviations


def test_pieces_may_touch():
    masks = tetrominoes(500, 0, 35).masks
    above, below = masks[:, :-1], masks[:, 1:]
    assert ((above > 0) & (below > 0) & (above != below)).any()


def test_every_cell_is_the_bevel_in_one_of_six_colours():
    scenes = tetrominoes(300, 0, 35)
    found = set()
    for image, mask in zip(scenes.images, scenes.masks, strict=True):
        for label in (1, 2, 3):
            shown = image[:, mask == label]
            colour = (shown > 0).all(1)
            assert ((shown > 0).any(1) == colour).all()
            found.add(tuple(colour.int().tolist()))
            for channel in shown[colour]:
                assert (
                    channel.bincount(minlength=256) == torch.from_numpy(4 * np.bincount(BEVEL.flat, minlength=256))
                ).all()
    assert found == set(map(tuple, COLOURS.tolist()))


def test_pieces_reach_every_edge_and_colours_repeat():
    scenes = tetrominoes(2000, 0, 35)
    foreground = (scenes.masks > 0).any(0)
    assert foreground.all()
    colours = [
        [tuple(s.images[0, :, s.masks[0] == k].amax(1).tolist()) for k in (1, 2, 3)]
        for s in (scenes[i : i + 1] for i in range(600))
    ]
    different = np.mean([len(set(three)) == 3 for three in colours])
    assert different == pytest.approx(5 / 6 * 4 / 6, abs=0.06)  # three standard deviations of 600 scenes


def test_the_crop_is_rows_and_columns_1_to_32():
    whole, crop = tetrominoes(5, 0, 35), tetrominoes(5, 0)
    assert torch.equal(whole.images[:, :, 1:33, 1:33], crop.images)
    assert torch.equal(whole.masks[:, 1:33, 1:33], crop.masks)
    with pytest.raises(ValueError, match="`size` must be 32 or 35, but is 64; other sizes are made by"):
        tetrominoes(1, 0, 64)


def test_sprites_are_those_of_dsprites():
    """Real frames; the fitted forms have at most 4 wrong pixels in any, 8, 80 and 48 in all of a shape."""
    if not (DATA / "dsprites_sprites.npz").is_file():
        pytest.skip(f"no dsprites_sprites.npz in {DATA}; set OSCILLATORS_DATA")
    with np.load(DATA / "dsprites_sprites.npz") as file:
        frames, latents = np.unpackbits(file["preview_packed"], axis=-1).astype(bool), file["preview_latents"]
    form, scale, turn, x, y = latents.T
    centre = 16 + 32 * np.stack([y, x], 1)
    corner = centre.astype(int) - 15
    patches = sprites.inside(form.astype(int), scale, turn, centre, corner)
    drawn = np.zeros_like(frames)
    for frame, patch, (row, column) in zip(drawn, patches, corner, strict=True):
        frame[row : row + 30, column : column + 30] = patch
    wrong = (drawn != frames).sum((1, 2))
    assert wrong.max() <= 4
    assert [wrong[form == k].sum() for k in range(3)] == [8, 80, 48]


def test_scenes_of_sprites_show_two_to_five_flat_colours_on_grey():
    scenes = multi_dsprites(400, 0)
    counts = scenes.objects
    assert set(counts.tolist()) == {2, 3, 4, 5}
    assert (scenes.masks.amax((1, 2)) == counts).all()
    for image, mask in zip(scenes.images, scenes.masks, strict=True):
        grey = image[:, mask == 0]
        assert (grey == grey[0, 0]).all()
        for label in range(1, int(mask.max()) + 1):
            shown = image[:, mask == label].float()
            assert shown.shape[1] >= 10
            assert (shown == shown[:, :1]).all()
            low, high = shown[:, 0].min(), shown[:, 0].max()
            assert 127 <= high <= 255
            assert 0.39 < 1 - low / high < 0.86  # saturation, rounded to bytes


def test_grounds_are_of_every_grey():
    scenes = multi_dsprites(500, 0)
    grey = np.array([image[0, mask == 0][0] for image, mask in zip(scenes.images, scenes.masks, strict=True)])
    assert grey.min() < 5
    assert grey.max() > 250
    assert grey.mean() == pytest.approx(127.5, abs=13)  # four standard errors


def test_sprites_are_turned_to_every_side():
    """The long axes of the ellipses, of which the square of the ratio is 3.16, that nothing covers: 40 directions."""
    scenes = multi_dsprites(1500, 0)
    last = (scenes.masks == scenes.objects[:, None, None]).double().numpy()
    at = np.arange(64.0)
    area = last.sum((1, 2))
    right, down = ((last.sum(axis) @ at / area)[:, None] for axis in (1, 2))
    xx, yy = ((last.sum(axis) * (at - mean) ** 2).sum(1) for axis, mean in ((1, right), (2, down)))
    xy = np.einsum("bij,bi,bj->b", last, at - down, at - right)
    long = np.hypot(xx - yy, 2 * xy) > 0.4 * (xx + yy)  # 0.52 for ellipses, less than 0.2 for the others
    assert long.mean() == pytest.approx(1 / 3, abs=0.05)  # four standard deviations
    angle = np.arctan2(2 * xy, xx - yy)[long] / 2
    sectors = np.histogram(angle, 6, (-np.pi / 2, np.pi / 2))[0] / long.sum()
    np.testing.assert_allclose(sectors, 1 / 6, atol=0.07)  # four standard deviations of 500 ellipses


def test_later_sprites_cover_earlier_ones():
    """The last of a scene is whole: its area is that of its form alone, on average 174 pixels."""
    scenes = multi_dsprites(2000, 0)
    last = (scenes.masks == scenes.objects[:, None, None]).flatten(1).sum(1).double()
    assert last.mean() == pytest.approx(174, rel=0.05)  # areas spread by 85: standard error 2
    assert (scenes.masks == 1).flatten(1).sum(1).double().mean() < 0.9 * last.mean()


def test_resizing_keeps_labels_in_place():
    """Halves of a scene stay halves, with the labels that were there, -1 too."""
    masks = torch.tensor([-1, 2], dtype=torch.int8).repeat_interleave(8).expand(2, 16, 16)
    small = Scenes(torch.full((2, 3, 16, 16), 7, dtype=torch.uint8), masks).resized(8)
    assert torch.equal(small.masks, masks[:, ::2, ::2])
    assert (small.images == 7).all()
    assert small.images.dtype == torch.uint8
    assert small.masks.dtype == torch.int8


@pytest.mark.parametrize(("top", "left", "size"), [(4, 0, 32), (0, 4, 32), (-1, 0, 8), (0, -1, 8), (0, 0, 0)])
def test_a_crop_that_leaves_the_scene_is_refused(top, left, size):
    with pytest.raises(
        ValueError, match=f"`size` must leave the crop inside the scenes, 35 x 35, but is {size} from row"
    ):
        tetrominoes(1, 0, 35).cropped(top, left, size)


def test_labels_of_another_size_are_refused():
    with pytest.raises(
        ValueError, match=r"`masks` must have the shape .* but is \(2, 8, 8\) for images \(2, 3, 16, 16\)"
    ):
        Scenes(torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.zeros(2, 8, 8, dtype=torch.int8))
