"""AugMix: each change against Pillow or its formula, and the mixture."""

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from neural.robustness import augmix
from neural.robustness.augmix import CHANGES, Draw, chain, changed

ONE = torch.ones(1)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def bytes_image():
    """An image whose values are whole bytes, smooth enough to have repeated ones."""
    x = torch.rand(1, 3, 8, 8, generator=draw())
    return (40 + 170 * torch.nn.functional.interpolate(x, 32, mode="bilinear")).round() / 255


def picture(x):
    return Image.fromarray((255 * x[0]).round().byte().movedim(0, -1).numpy())


def tensor(picture):
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(32, 32, 3).movedim(-1, 0)[None] / 255


def apply(name, x, level=1.0, sign=1):
    number = [change.__name__ for change in CHANGES].index(name)
    return changed(x, torch.tensor([number]), level * ONE, torch.tensor([sign]))


PILLOW = {
    "autocontrast": (ImageOps.autocontrast, 1),
    "equalize": (ImageOps.equalize, 1),
    "solarize": (lambda image: ImageOps.solarize(image, 90), 1),
    "posterize": (lambda image: ImageOps.posterize(image, 2), 1),
    "brightness": (lambda image: ImageEnhance.Brightness(image).enhance(1.6), 2),
    "contrast": (lambda image: ImageEnhance.Contrast(image).enhance(1.6), 2),
    "colour": (lambda image: ImageEnhance.Color(image).enhance(1.6), 2),
    "sharpness": (lambda image: ImageEnhance.Sharpness(image).enhance(1.6), 2),
}


@pytest.mark.parametrize("name", PILLOW)
def test_colours_change_as_in_pillow(name):
    """Strengths: a threshold of 255 · 0.35 = 89.25, two bits of eight, a factor 1 + 0.9 · 2/3."""
    change, slack = PILLOW[name]
    level = {"posterize": 0.5, "solarize": 0.65}.get(name, 2 / 3)
    found, expected = apply(name, bytes_image(), level), tensor(change(picture(bytes_image())))
    assert (found - expected).abs().max() <= slack / 255 + 1e-6  # Pillow rounds to bytes, and grey once more


def test_equalised_channels_are_flat_and_constant_ones_stay():
    x = torch.cat([bytes_image(), torch.full((1, 3, 32, 32), 100 / 255)])
    numbers = torch.full((2,), [change.__name__ for change in CHANGES].index("equalize"))
    y = changed(x, numbers, torch.ones(2), torch.ones(2))
    assert y[0].mean().item() == pytest.approx(0.5, abs=0.02)
    torch.testing.assert_close(y[1], x[1])


def test_constant_channels_are_not_stretched():
    x = torch.full((1, 3, 32, 32), 0.3)
    assert torch.equal(apply("autocontrast", x), x)


@pytest.mark.parametrize("sign", [1, -1])
def test_shifts_move_whole_pixels(sign):
    x = bytes_image()
    moved = apply("shift_x", x, 2 / 9, sign)  # floor(32/3 · 2/9) = 2
    torch.testing.assert_close(moved, _shifted(x, 2 * sign), atol=1e-5, rtol=0)
    torch.testing.assert_close(apply("shift_y", x, 2 / 9, sign), _shifted(x.mT, 2 * sign).mT, atol=1e-5, rtol=0)


def _shifted(x, pixels):
    """y[column] = x[column + pixels], black outside."""
    y = torch.zeros_like(x)
    if pixels > 0:
        y[..., :-pixels] = x[..., pixels:]
    else:
        y[..., -pixels:] = x[..., :pixels]
    return y


@pytest.mark.parametrize("sign", [1, -1])
def test_rotation_and_shear_are_those_of_pillow(sign):
    x = bytes_image()
    bilinear = Image.Resampling.BILINEAR
    turned = tensor(picture(x).rotate(20 * sign, bilinear))  # counter-clockwise as seen
    sheared = tensor(picture(x).transform((32, 32), Image.Transform.AFFINE, (1, 0.2 * sign, 0, 0, 1, 0), bilinear))
    for found, expected in ((apply("rotate", x, 2 / 3, sign), turned), (apply("shear_x", x, 2 / 3, sign), sheared)):
        inside = expected.amin(1, keepdim=True) > 0
        inner = -torch.nn.functional.max_pool2d(-inside.float(), 3, 1, 1) > 0  # borders are blended with black
        assert inner.double().mean() > 0.6
        error = (found - expected).abs() * inner
        assert error[..., 1:-1, 1:-1].max() <= 1.5 / 255  # Pillow rounds to bytes
    torch.testing.assert_close(apply("shear_y", x.mT, 2 / 3, sign), apply("shear_x", x, 2 / 3, sign).mT)


def test_every_image_gets_its_own_change():
    x = bytes_image().expand(14, -1, -1, -1)
    y = changed(x, torch.arange(-1, 13), torch.full((14,), 2 / 3), torch.ones(14))
    assert torch.equal(y[0], x[0])
    for number in range(13):
        assert torch.equal(y[number + 1 : number + 2], changed(x[:1], torch.tensor([number]), 2 / 3 * ONE, ONE))
        assert not torch.allclose(y[number + 1], x[0], atol=1 / 255)


def test_a_chain_makes_one_to_three_changes():
    x = bytes_image().expand(400, -1, -1, -1)
    y = chain(x, Draw(x, draw()))
    same = (y - x).abs().amax((1, 2, 3)) < 1e-6
    p = 9 / 13 / 3 + 1 / 13 * 2 / 3  # nine changes have no effect at the lowest of three strengths, solarize at two
    assert same.double().mean().item() == pytest.approx((p + p**2 + p**3) / 3, abs=0.06)  # four deviations of 400


def test_mixtures_lie_between_the_image_and_its_changes():
    x = bytes_image().expand(300, -1, -1, -1)
    y = augmix(x, draw())
    assert 0 <= y.min() <= y.max() <= 1
    assert torch.equal(y, augmix(x, draw()))
    assert not torch.equal(y, augmix(x, draw(1)))
    shares = (y.mean((2, 3)) - x.mean((2, 3))).abs().mean()
    assert 0.001 < shares < 0.1


def test_a_flat_grey_image_keeps_its_place_in_the_mixture():
    """Colour and sharpness leave it, and so m x + (1 - m) Σ w x = x: weights sum to one."""
    x = torch.full((64, 3, 8, 8), 0.25)
    y = augmix(x, draw())
    assert ((y - x).abs().amax((1, 2, 3)) < 1e-6).any()


def test_images_are_checked():
    with pytest.raises(ValueError, match=r"`images` must have shape \(B, 3, height, width\)"):
        augmix(torch.zeros(2, 1, 8, 8))
    with pytest.raises(TypeError, match="`images` must be floating point"):
        augmix(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
