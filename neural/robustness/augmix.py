"""AugMix: images mixed with three randomly changed versions of themselves.

Thirteen changes, their strengths and the way they are drawn are those that the published code uses, the defaults of
torchvision (severity 3, width 3, depth 1 to 3, α = 1, all changes); here every image of a batch draws its own.

Source: Hendrycks et al. 2020, AugMix.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from neural.akorn.parts import check_images

SEVERITY, WIDTH, DEPTH = 3, 3, 3
GREY = (0.299, 0.587, 0.114)  # brightness of red, green and blue


def augmix(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """m x + (1 - m) Σ_k w_k x_k, with x_k the image after one to three random changes.

    Args:
        images: (B, 3, height, width) in [0, 1].
        generator: source of the draws, on the device of the images; m is uniform in [0, 1], w uniform on the simplex.
    """
    check_images(images)
    draw = Draw(images, generator)
    waiting = -draw.uniform(WIDTH).log()
    weights = waiting / waiting.sum(1, keepdim=True)
    mixed = sum(_along(weights[:, k], images) * chain(images, draw) for k in range(WIDTH))
    m = _along(draw.uniform(1)[:, 0], images)
    return m * images + (1 - m) * mixed


class Draw:
    """Random numbers for each image of a batch."""

    def __init__(self, images: Tensor, generator: torch.Generator | None):
        self.images, self.generator = images, generator

    def uniform(self, count: int) -> Tensor:
        """(B, count), above 0."""
        shape, like = (len(self.images), count), self.images
        return 1 - torch.rand(shape, generator=self.generator, device=like.device, dtype=like.dtype)

    def whole(self, below: int) -> Tensor:
        """(B,), from 0."""
        shape = (len(self.images),)
        return torch.randint(below, shape, generator=self.generator, device=self.images.device)


def chain(images: Tensor, draw: Draw) -> Tensor:
    """Images after one to three random changes."""
    depth = 1 + draw.whole(DEPTH)
    for k in range(DEPTH):
        which, level, sign = draw.whole(len(CHANGES)), draw.whole(SEVERITY), 1 - 2 * draw.whole(2)
        images = changed(images, torch.where(k < depth, which, -1), level / 9, sign)
    return images


def changed(images: Tensor, which: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Images after the change of this number (-1: none), with strengths in [0, 1] and signs, all (B,)."""
    result = images.clone()
    for number, change in enumerate(CHANGES):
        rows = (which == number).nonzero()[:, 0]
        if len(rows):
            result[rows] = change(images[rows], level[rows].to(images), sign[rows].to(images))
    return result


def _along(values: Tensor, images: Tensor) -> Tensor:
    return values.view(-1, *[1] * (images.ndim - 1))


def moved(x: Tensor, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """Images looked up at changed places (column, row), in pixels from their middle; black outside."""
    height, width = x.shape[-2:]
    row, column = (torch.arange(n, device=x.device, dtype=x.dtype) - (n - 1) / 2 for n in (height, width))
    places = torch.broadcast_tensors(*change(column[None, None, :], row[None, :, None]))
    grid = torch.stack([2 * places[0] / width, 2 * places[1] / height], -1).expand(len(x), height, width, 2)
    return functional.grid_sample(x, grid, align_corners=False)


def shear_x(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """By at most 0.3, about the upper left corner."""
    tilt = (0.3 * level * sign)[:, None, None]
    return moved(x, lambda column, row: (column + tilt * (row + x.shape[-2] / 2), row))


def shear_y(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return shear_x(x.mT, level, sign).mT


def shift_x(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """By at most a third of the width, whole pixels."""
    pixels = ((x.shape[-1] / 3 * level).floor() * sign)[:, None, None]
    return moved(x, lambda column, row: (column + pixels, row))


def shift_y(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    return shift_x(x.mT, level, sign).mT


def rotate(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """By at most 30°."""
    angle = torch.deg2rad(30 * level * sign)[:, None, None]
    cos, sin = angle.cos(), angle.sin()
    return moved(x, lambda column, row: (cos * column - sin * row, sin * column + cos * row))


def brightness(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Away from black, or towards it."""
    return _blended(torch.zeros_like(x), x, level, sign)


def colour(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Away from grey, or towards it."""
    return _blended(_grey(x), x, level, sign)


def contrast(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Away from the mean brightness, or towards it."""
    return _blended(_grey(x).mean((1, 2, 3), keepdim=True), x, level, sign)


def sharpness(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Away from a smoothed image, or towards it; the border pixels stay."""
    kernel = x.new_ones(3, 3)
    kernel[1, 1] = 5
    smooth = x.clone()
    smooth[..., 1:-1, 1:-1] = functional.conv2d(x, (kernel / 13).expand(3, 1, 3, 3), groups=3)
    return _blended(smooth, x, level, sign)


def posterize(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """The upper 4 bits of each byte, or fewer."""
    unit = _along(2 ** (4 + (4 * level).round()), x)
    return (x * 255 / unit).floor() * unit / 255


def solarize(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Values from a threshold on are inverted."""
    return torch.where(x >= 1 - _along(level, x), 1 - x, x)


def autocontrast(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Each channel stretched to [0, 1], unless it is constant."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    return torch.where(high > low, (x - low) / (high - low).clamp(min=1e-12), x)


def equalize(x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Each channel, as bytes, with a nearly uniform histogram."""
    values = (x * 255).round().long().flatten(2)
    count = torch.zeros(*x.shape[:2], 256, device=x.device, dtype=torch.long)
    count.scatter_add_(2, values, torch.ones_like(values))
    step = (values.shape[2] - count.gather(2, values.amax(2, keepdim=True))) // 255  # without the brightest
    below = count.cumsum(2) - count
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    return torch.where(step > 0, table.gather(2, values), values).view_as(x).to(x) / 255


def _blended(other: Tensor, x: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    factor = 1 + _along(0.9 * level * sign, x)
    return (factor * x + (1 - factor) * other).clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    return (x * x.new_tensor(GREY).view(3, 1, 1)).sum(1, keepdim=True)


CHANGES = (
    shear_x,
    shear_y,
    shift_x,
    shift_y,
    rotate,
    brightness,
    colour,
    contrast,
    sharpness,
    posterize,
    solarize,
    autocontrast,
    equalize,
)
