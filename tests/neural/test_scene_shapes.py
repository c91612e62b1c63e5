"""Flat shapes and outlines: each has its form, its depth and its label, and what two cover does not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural.scenes import hollow_shapes, shapes
from neural.scenes.shapes import HOLLOW, outlines, stamps


def test_shapes_are_each_there_once_and_overlaps_do_not_count():
    scenes = shapes(300, 0)
    forms = torch.from_numpy(stamps(("square", "up", "down", "circle"), 11)).flatten(1).sum(1)
    areas = torch.stack([(scenes.masks == label).flatten(1).sum(1) for label in (1, 2, 3, 4)], 1)
    whole = (scenes.masks != -1).flatten(1).all(1)
    assert 5 < whole.sum() < 295
    assert (areas[whole] == forms).all()
    assert (areas <= forms).all()
    assert torch.equal(scenes.images[:, 0] == 255, scenes.masks != 0)
    assert shapes(10, 0, ("square", "circle")).masks.max() == 2


def test_every_form_has_its_area_and_its_orientation():
    square, up, down, circle, diamond = stamps(("square", "up", "down", "circle", "diamond"), 101)
    areas = [form.mean() for form in (square, up, down, circle, diamond)]
    np.testing.assert_allclose(areas, [1, 0.5, 0.5, np.pi / 4, 0.5], atol=0.02)  # an edge of 101 pixels
    assert up[:20].sum() < up[-20:].sum()
    assert (down == up[::-1]).all()


def test_coloured_shapes_have_five_colours_and_distinct_depths():
    scenes = shapes(200, 1, rgbd=True)
    assert scenes.images.shape[1] == 4
    seen, depths = set(), []
    for image, mask in zip(scenes.images, scenes.masks, strict=True):
        shown = {int(k): image[:, mask == k] for k in mask.unique() if k > 0}
        assert all((pixels == pixels[:, :1]).all() for pixels in shown.values())
        seen |= {tuple(pixels[:3, 0].tolist()) for pixels in shown.values()}
        depths.append(sorted(int(pixels[3, 0]) for pixels in shown.values()))
    assert len(seen) == 5
    assert all(set(depth) <= {0, 85, 170, 255} and len(set(depth)) == len(depth) for depth in depths)
    assert (scenes.images[:, :3] > 0).any(1).sum() > 0


def test_every_shape_can_be_at_every_depth():
    scenes = shapes(200, 1, rgbd=True)
    depth = scenes.images[:, 3]
    for label in (1, 2, 3, 4):
        assert set(depth[scenes.masks == label].tolist()) == {0, 85, 170, 255}


def test_a_later_shape_covers_the_earlier():
    """Of two shapes at depths 0 and 255, all pixels that both cover show the second."""
    scenes = shapes(200, 0, ("square", "circle"), rgbd=True)
    overlaps = 0
    for image, mask in zip(scenes.images, scenes.masks, strict=True):
        second, both = image[:, mask == 2], image[:, mask == -1]
        overlaps += both.shape[1] > 0
        assert (both == second[:, :1]).all()
    assert overlaps > 10


def test_outlines_are_of_all_four_kinds():
    """Those of which every pixel counts, moved to the corner."""

    def cornered(form):
        at = np.argwhere(form)
        return frozenset(map(tuple, (at - at.min(0)).tolist()))

    masks = hollow_shapes(1000, 0).masks.numpy()
    found = [cornered(mask == label) for mask in masks for label in range(1, mask.max() + 1) if (mask == label).any()]
    counts = [found.count(cornered(form)) for form in outlines(stamps(HOLLOW, 18), 2)]
    assert min(counts) > 30


def test_outlines_are_hollow():
    scenes = hollow_shapes(300, 0)
    counts = scenes.objects
    assert set(counts.tolist()) == {2, 3, 4}
    white = scenes.images == 255
    assert torch.equal(white.all(1), scenes.masks != 0)
    grey = scenes.images[:, 0][scenes.masks == 0]
    assert grey.min() / 255 + 0.5 / 255 >= 0.1
    assert grey.max() / 255 <= 0.6 + 0.5 / 255
    (ring,) = outlines(np.ones((1, 18, 18), bool), 2)
    assert not ring[2:-2, 2:-2].any()
    assert ring.sum() == 18**2 - 14**2


def test_a_kind_that_is_not_drawn_is_named():
    with pytest.raises(ValueError, match=r"`kinds` must be one of 'square', .* but is 'star'"):
        shapes(1, 0, ("square", "star"))
