"""Corruptions: what each kind does to images where that is known, and where it grows."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from neural.robustness import CORRUPTIONS, FIFTEEN, corrupt
from neural.robustness.blurs import defocus, enlarged, glass, streak
from neural.robustness.blurs import gaussian as gaussian_blur
from neural.robustness.digital import elastic, sampled
from neural.robustness.weather import equalized, plasma

rng = np.random.default_rng(0)
MANY = 64 * 3 * 32 * 32  # values: a share is known to 0.001


def smooth(count=4):
    """Images between dark and bright that vary over some pixels, as photographs do."""
    x = ndimage.gaussian_filter(rng.normal(size=(count, 3, 32, 32)), (0, 0, 3, 3), mode="wrap")
    return torch.from_numpy(np.clip(128 + 60 * x / x.std(), 20, 235).astype(np.uint8))


def flat(value, count=64):
    return torch.full((count, 3, 32, 32), value, dtype=torch.uint8)


def error(corrupted, images):
    return (corrupted.double() - images.double()).abs().mean().item()


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_every_kind_changes_images_repeatably(kind):
    x = smooth()
    before = x.clone()
    for severity in range(1, 6):
        y = corrupt(x, kind, severity, 7)
        assert y.shape == x.shape
        assert y.dtype == torch.uint8
        assert torch.equal(y, corrupt(x, kind, severity, 7))
        assert error(y, x) > 0.2 or kind == "spatter"  # its first severity has a drop in every other image only
    assert torch.equal(x, before)


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if "noise" in kind or kind in (
    "snow", "frost", "fog", "motion_blur", "glass_blur", "elastic_transform", "spatter")])  # fmt: skip
def test_random_kinds_differ_from_image_to_image_and_from_seed_to_seed(kind):
    x = smooth(1).expand(40, -1, -1, -1)
    y = corrupt(x, kind, 5, 0)
    assert not torch.equal(y[0], y[1])
    assert not torch.equal(y, corrupt(x, kind, 5, 1))


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind not in (
    "glass_blur", "elastic_transform", "saturate", "spatter")])  # fmt: skip
def test_severity_grows(kind):
    x = smooth(16)
    errors = [error(corrupt(x, kind, severity), x) for severity in range(1, 6)]
    slack = 0.85 if kind == "frost" else 0.98  # published strengths of frost darken more as they cover more
    assert all(strong > slack * weak for weak, strong in pairwise(errors)), errors
    assert errors[-1] > 1.2 * errors[0]


def test_fifteen_kinds_count():
    assert len(FIFTEEN) == 15
    assert set(CORRUPTIONS) - set(FIFTEEN) == {"speckle_noise", "gaussian_blur", "spatter", "saturate"}


def test_noises_have_their_spread():
    x = flat(128)
    spread = {
        kind: corrupt(x, kind, 3).double().std().item() / 255
        for kind in ("gaussian_noise", "speckle_noise", "shot_noise")
    }
    assert spread["gaussian_noise"] == pytest.approx(0.08, rel=0.01)  # sampling of 200,000 values: 0.002
    assert spread["speckle_noise"] == pytest.approx(0.12 * 128 / 255, rel=0.01)
    assert spread["shot_noise"] == pytest.approx((128 / 255 / 100) ** 0.5, rel=0.01)


def test_impulses_are_black_and_white_in_equal_parts():
    y = corrupt(flat(100), "impulse_noise", 5)
    shares = [(y == value).double().mean().item() for value in (0, 255, 100)]
    assert shares == pytest.approx([0.035, 0.035, 0.93], abs=0.003)  # 0.0005 of sampling, six times


def test_blurs_keep_a_flat_image():
    for kind in ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur", "elastic_transform",
                 "pixelate"):  # fmt: skip
        for severity in range(1, 6):
            assert error(corrupt(flat(77, 2), kind, severity), flat(77, 2)) == 0


def point(row=16, column=16):
    x = np.zeros((1, 32, 32, 1))
    x[0, row, column] = 1
    return x


def test_a_point_out_of_focus_is_a_disk():
    x = defocus(point(), 1.5, 1e-3, rng)[0, :, :, 0]
    expected = np.zeros((32, 32))
    expected[15:18, 15:18] = 1 / 9
    np.testing.assert_allclose(x, expected, atol=1e-12)
    soft = defocus(point(), 0.3, 0.4, rng)[0, :, :, 0]
    side = np.exp(-1 / (2 * 0.4**2))
    assert soft[16, 17] / soft[16, 16] == pytest.approx(side)
    assert soft[17, 17] / soft[16, 16] == pytest.approx(side**2)
    assert soft.sum() == pytest.approx(1)


def test_a_blurred_point_has_the_width_of_the_gaussian():
    x = gaussian_blur(point(), 2.0)[0, :, :, 0]
    assert np.average((np.arange(32) - 16) ** 2, weights=x.sum(0)) == pytest.approx(4, rel=0.02)  # cut at 4 σ, sampled


@pytest.mark.parametrize(("degrees", "down", "right"), [(0, 0, 1), (90, 1, 0), (45, 1, 1), (-135, -1, -1)])
def test_a_streak_looks_ahead_in_its_direction(degrees, down, right):
    """The value at a pixel is that of pixels ahead, so a point is drawn out backwards, by half a Gaussian."""
    x = streak(point(), 6, 2.0, np.array([degrees]))[0, :, :, 0]
    length = np.hypot(down, right)
    k = np.arange(13)
    weights = np.exp(-(k**2) / 8) / np.exp(-(k**2) / 8).sum()
    expected = np.zeros((32, 32))
    steps = np.ceil(k / length - 0.5).astype(int)
    np.add.at(expected, (16 - down * steps, 16 - right * steps), weights)
    np.testing.assert_allclose(x, expected, atol=1e-12)


def test_each_image_has_a_direction_of_its_own():
    both = streak(np.concatenate([point(), point()]), 6, 2.0, np.array([0.0, 90.0]))
    np.testing.assert_allclose(both[0, :, :, 0], both[1, :, :, 0].T, atol=1e-12)


def test_glass_moves_pixels_by_at_most_one_up_and_left():
    """Every value comes from the pixel itself or from one above, left, or both; the first two rows and columns stay."""
    x = np.arange(32 * 32).reshape(1, 32, 32, 1) / 1024
    y = glass(x, 1e-3, 1, np.random.default_rng(0))
    source = np.rint(y[0, :, :, 0] * 255).astype(int)
    levels = np.floor(x[0, :, :, 0] * 255 + 1e-6).astype(int)
    assert (source[:2] == levels[:2]).all()
    assert (source[:, :2] == levels[:, :2]).all()
    moved = [np.roll(levels, shift, (0, 1))[2:, 2:] for shift in [(0, 0), (1, 0), (0, 1), (1, 1)]]
    assert np.any([source[2:, 2:] == each for each in moved], axis=0).all()
    assert 0.6 < np.mean(source[2:, 2:] != levels[2:, 2:]) < 0.9  # 3/4 move, some to an equal level


@pytest.mark.parametrize("factor", [1.0, 1.03, 1.25, 1.75, 2.25])
def test_enlargement_is_that_of_scipy(factor):
    x = rng.uniform(size=(2, 32, 32, 3))
    inner = int(np.ceil(32 / factor))
    top = (32 - inner) // 2
    large = ndimage.zoom(x[:, top : top + inner, top : top + inner], (1, factor, factor, 1), order=1)
    trim = (large.shape[1] - 32) // 2
    np.testing.assert_allclose(enlarged(x, factor), large[:, trim : trim + 32, trim : trim + 32], atol=1e-12)


def test_zoom_takes_the_mean_over_its_factors():
    x = smooth(1)
    pixels = x.movedim(1, -1).numpy() / 255
    factors = np.arange(1, 1.11, 0.01)  # as published: rounding errors make twelve
    mean = (pixels + sum(enlarged(pixels, factor) for factor in factors)) / (len(factors) + 1)
    expected = torch.from_numpy((mean * 255 + 1e-6).astype(np.uint8)).movedim(-1, 1)
    assert (corrupt(x, "zoom_blur", 2).int() - expected.int()).abs().max() <= 1  # rounding of the factors
    assert (corrupt(x, "zoom_blur", 2) == expected).double().mean() > 0.99


@pytest.mark.parametrize(("edge_twice", "mode"), [(True, "reflect"), (False, "mirror")])
def test_sampling_is_that_of_scipy(edge_twice, mode):
    x = rng.uniform(size=(2, 9, 12, 3))
    rows, columns = rng.uniform(-6, 14, (2, 2, 9, 12))
    found = sampled(x, rows, columns, edge_twice)
    for b in range(2):
        for k in range(3):
            expected = ndimage.map_coordinates(x[b, ..., k], [rows[b], columns[b]], order=1, mode=mode)
            np.testing.assert_allclose(found[b, ..., k], expected, atol=1e-10)


def test_elastic_change_without_randomness_is_none():
    x = rng.uniform(size=(2, 32, 32, 3))
    np.testing.assert_allclose(elastic(x, 0, 0, 0, rng), x, atol=1e-10)


def test_three_points_fix_the_shear():
    """On an image of its own coordinates, the shifted points show where the three points were."""
    row, column = np.mgrid[:32, :32] / 32
    x = np.stack([row, column, row], -1)[None].repeat(5, 0)
    sheared = elastic(x, 0, 0, 1.5, np.random.default_rng(3))
    points = np.array([[26, 26], [26, 6], [6, 6]])
    column, row = np.moveaxis(points + np.random.default_rng(3).uniform(-1.5, 1.5, (5, 3, 2)), -1, 0)
    found = sampled(sheared, row[:, None], column[:, None], edge_twice=False)[:, 0, :, :2] * 32
    np.testing.assert_allclose(found, np.broadcast_to(points[:, ::-1], found.shape), atol=1e-9)


def test_colours_change_by_their_amounts():
    x = smooth()
    values = x.double() / 255
    bright = corrupt(x, "brightness", 2).double() / 255
    assert (bright.amax(1) - (values.amax(1) + 0.1).clamp(max=1)).abs().max() < 1 / 255  # rounded down
    ratio = bright / values  # hue and saturation stay: all channels grow by one factor
    assert ((ratio.amax(1) - ratio.amin(1)) * values.amin(1)).max() < 2.1 / 255
    grey = corrupt(x, "saturate", 2).double() / 255
    assert ((grey.amax(1) - grey.amin(1)) - 0.1 * (values.amax(1) - values.amin(1))).abs().max() < 1.1 / 255
    dull = corrupt(x, "contrast", 5).double() / 255
    mean = values.mean((2, 3), keepdim=True)
    assert (dull - (mean + 0.15 * (values - mean))).abs().max() < 1.1 / 255


def test_pixels_become_areas():
    x = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    x[..., 16:] = 200
    y = corrupt(x, "pixelate", 5)  # 20 of 32 areas
    assert len(y[0, 0].unique(dim=0)) == 1
    assert y[0, 0, 0].diff().ne(0).sum() <= 3


def test_fog_keeps_the_brightest_value_possible():
    x = smooth()
    foggy = corrupt(x, "fog", 3)
    assert (foggy.amax((1, 2, 3)).int() <= x.amax((1, 2, 3)).int()).all()
    assert (foggy.double().std((2, 3)) < x.double().std((2, 3))).all()


def test_plasma_fills_the_unit_interval_and_is_rougher_for_slow_decay():
    clouds = [plasma((20, 32, 32), decay, rng) for decay in (1.75, 3.0)]
    for cloud in clouds:
        assert cloud.min((1, 2)).tolist() == [0] * 20
        assert cloud.max((1, 2)).tolist() == [1] * 20
    rough, fine = (np.abs(np.diff(cloud, axis=2)).mean() for cloud in clouds)
    assert rough > 1.3 * fine
    assert np.isfinite(plasma((1, 20, 30), 2.0, rng)).all()


def test_plasma_is_smooth_across_its_borders():
    cloud = plasma((20, 32, 32), 3.0, rng)
    inside = np.abs(np.diff(cloud, axis=1)).mean()
    assert np.abs(cloud[:, 0] - cloud[:, -1]).mean() < 2 * inside


def test_snow_whitens_and_falls_both_ways():
    x = flat(60, 40)
    layer = corrupt(x, "snow", 3).double()
    assert (layer.amin((1, 2, 3)) >= 60).all()  # nothing is darkened
    turned = layer.flip((2, 3))
    assert (layer - turned).abs().max() <= 1  # the second layer is the first one turned by half a circle; rounding


def test_mud_is_brown_and_water_pale():
    x = flat(128, 100)
    mud, water = corrupt(x, "spatter", 5), corrupt(x, "spatter", 3)
    assert (mud.int() <= 128).all()
    assert mud.amin((0, 2, 3)).tolist() == pytest.approx([63, 42, 20], abs=25)  # covered by 80 % at least
    assert (water.int() >= 128).all()
    wet = water[:, 0] > 128
    assert wet.any()
    added = (water.double() - 128).movedim(1, -1)[wet].mean(0)
    assert added[0] < added[1]
    assert added[1] == added[2]


def test_equalised_levels_reach_from_black_to_white():
    levels = rng.integers(0, 5, (3, 8, 8))
    spread = equalized(levels)
    for b in range(3):
        assert spread[b].min() == 0
        assert spread[b].max() == 255
        assert (np.argsort(spread[b].ravel(), kind="stable") == np.argsort(levels[b].ravel(), kind="stable")).all()
    assert (equalized(np.full((1, 4, 4), 3)) == 0).all()


def test_chunks_make_no_seam(monkeypatch):
    from neural.robustness import corruptions

    x = smooth(7)
    whole = corrupt(x, "contrast", 3)
    monkeypatch.setattr(corruptions, "CHUNK", 3)
    assert torch.equal(corrupt(x, "contrast", 3), whole)
    y = corrupt(smooth(1).expand(6, -1, -1, -1), "gaussian_noise", 3)
    assert not torch.equal(y[:3], y[3:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "rain"}, "`kind` must be one of 'gaussian_noise', .* but is 'rain'"),
        ({"severity": 6}, "`severity` must be 1, 2, 3, 4 or 5, but is 6"),
        ({"images": smooth().float()}, r"`images` must be bytes \(uint8\) of shape .* but are torch.float32"),
        ({"images": smooth()[0]}, r"`images` must be bytes .* of shape \(3, 32, 32\)"),
    ],
)
def test_what_cannot_be_corrupted_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        corrupt(**({"images": smooth(), "kind": "fog", "severity": 1} | change))
