"""Views: in range, of the size asked for, random image by image, and repeated by a seed."""

from __future__ import annotations

import pytest
import torch

from neural.scenes import tetrominoes

pytest.importorskip("kornia", reason="views need the extra `train`")
from neural.akorn.augment import Views

IMAGES = tetrominoes(40, 0).images


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_views_are_images_of_the_size_asked_for():
    for images in (IMAGES, IMAGES / 255, IMAGES.double() / 255):
        for view in Views(24)(images, generator(0)):
            assert view.shape == (40, 3, 24, 24)
            assert view.dtype == (torch.float64 if images.dtype == torch.float64 else torch.float32)
            assert view.min() >= 0
            assert view.max() <= 1


def test_a_seed_repeats_the_views_and_leaves_the_other_random_numbers_alone():
    views = Views(32)
    torch.manual_seed(5)
    free = torch.rand(3)
    torch.manual_seed(5)
    first, second = views(IMAGES, generator(1))
    assert torch.equal(torch.rand(3), free)
    again = views(IMAGES, generator(1))
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    assert not torch.equal(first, second)
    assert not torch.equal(first, views(IMAGES, generator(2))[0])


def test_a_generator_moves_on():
    source, views = generator(1), Views(32)
    assert not torch.equal(views(IMAGES, source)[0], views(IMAGES, source)[0])


def test_without_a_generator_torch_is_the_source():
    views = Views(32)
    torch.manual_seed(3)
    first = views(IMAGES)
    torch.manual_seed(3)
    assert torch.equal(first[1], views(IMAGES)[1])


def test_every_image_has_its_own_view():
    one = IMAGES[:1].expand(40, -1, -1, -1)
    view, _ = Views(32)(one, generator(0))
    assert len(torch.unique(view.flatten(1), dim=0)) == 40


def test_a_fifth_of_the_views_is_grey():
    colours = torch.rand(3000, 3, 1, 1, generator=generator(0)).expand(-1, -1, 8, 8)
    view, _ = Views(8)(colours, generator(0))
    grey = (view - view.mean(1, keepdim=True)).abs().amax((1, 2, 3)) < 1e-6
    assert grey.double().mean() == pytest.approx(0.2, abs=0.025)  # three standard deviations


def test_crops_keep_the_part_of_the_area_that_is_asked_for():
    """A ramp of brightness from left to right spans at least as much of itself as the width of the crop."""
    ramp = torch.linspace(0.3, 0.7, 32).expand(400, 3, 32, 32)
    for least in (0.08, 0.5):
        views = Views(32, scale=(least, 1.0))
        crops = views.augment[0](ramp)
        width = (crops.amax((1, 2, 3)) - crops.amin((1, 2, 3))) / 0.4
        assert width.min() > (3 / 4 * least) ** 0.5 - 0.07  # the narrowest crop, less two pixels
        assert width.max() > 0.9


def test_photographs_may_be_mirrored():
    ramp = torch.linspace(0.3, 0.7, 16).expand(200, 3, 16, 16)
    torch.manual_seed(0)
    rising = [Views(16, flip=flip)(ramp)[0].mean((1, 2)).diff().mean(1) > 0 for flip in (0.0, 0.5)]
    assert rising[0].all()
    assert rising[1].double().mean() == pytest.approx(0.5, abs=0.11)  # three standard deviations
