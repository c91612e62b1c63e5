"""Pictures of segments show each label in one colour over the image."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from analysis import plot

LABELS = np.array([[-1, 0, 1], [1, 2, 2]])
IMAGE = np.random.default_rng(0).random((3, 2, 3))


@pytest.mark.parametrize("image", [IMAGE, torch.tensor(IMAGE), IMAGE.mean(axis=0)], ids=["array", "tensor", "grey"])
def test_segments_cover_their_image_and_the_background_shows_it(image):
    below, above = plot.segment_map(image, LABELS, alpha=0.5).images
    np.testing.assert_allclose(below.get_array(), IMAGE.mean(axis=0))
    cover = above.get_array()
    np.testing.assert_array_equal(cover[..., 3], 0.5 * (LABELS > 0))
    np.testing.assert_array_equal(cover[0, 2], cover[1, 0])
    np.testing.assert_array_equal(cover[1, 1], cover[1, 2])
    assert (cover[0, 2] != cover[1, 1]).any()


def test_nineteen_segments_have_different_colours():
    labels = np.arange(1, 20)[None]
    cover = plot.segment_map(np.ones((1, 19)), labels).images[1].get_array()
    assert len(np.unique(cover[0], axis=0)) == 19


def test_a_table_of_maps_has_a_row_for_each_image_and_a_column_for_each_map():
    images = torch.tensor(np.stack([IMAGE, 1 - IMAGE]))
    axes = plot.segment_maps(images, truth=np.stack([LABELS, LABELS]), found=torch.tensor([LABELS.tolist()] * 2))
    assert axes.shape == (2, 3)
    assert [ax.get_title() for ax in axes[0]] == ["image", "truth", "found"]
    np.testing.assert_allclose(axes[1, 0].images[0].get_array(), np.moveaxis(1 - IMAGE, 0, -1))
    np.testing.assert_allclose(axes[1, 2].images[0].get_array(), (1 - IMAGE).mean(axis=0))


def test_pictures_refuse_what_is_no_image_and_what_does_not_fit_it():
    ax = plt.subplots()[1]
    with pytest.raises(ValueError, match=r"`image` must have shape \(3, height, width\)"):
        plot.segment_map(np.zeros((2, 3, 4)), LABELS, ax=ax)
    with pytest.raises(ValueError, match=r"`labels` must have the size of the image, \(2, 3\), but is \(3, 2\)"):
        plot.segment_map(IMAGE, LABELS.T, ax=ax)
    with pytest.raises(TypeError, match="`labels` must hold integers"):
        plot.segment_map(IMAGE, LABELS * 1.0, ax=ax)
