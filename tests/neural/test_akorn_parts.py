"""What networks refuse to see and to start from, and what they let through."""

from __future__ import annotations

import pytest
import torch

from neural.akorn import (
    ClassifierAKOrN,
    ImageTransformer,
    ItrConv,
    ObjectAKOrN,
    ResNet18,
    SudokuAKOrN,
    features,
)
from neural.akorn.parts import check_images

NETWORKS = {
    "objects": lambda: ObjectAKOrN(8, 4, T=1, imsize=16, heads=2),
    "classifier": lambda: ClassifierAKOrN(4, 2, T=1, ksizes=1),
    "transformer": lambda: ImageTransformer(8, 2, T=1, imsize=16),
    "convolutions": lambda: ItrConv(8, T=1, imsize=16),
    "ResNet": lambda: ResNet18(10, 4),
}
each = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)


def images(dtype=torch.float32):
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=dtype)


@each
def test_bytes_are_to_be_divided_by_255_whatever_their_dtype(build):
    network, loud = build().eval(), 255 * images()
    with pytest.raises(TypeError, match=r"`images` must be floating point in \[0, 1\], .* torch.uint8; divide by 255"):
        network(loud.byte())
    with pytest.raises(
        ValueError, match=r"`images` must lie in \[0, 1\], but reach from .* to 25.*; divide bytes by 255"
    ):
        network(loud)
    assert network(images()).isfinite().all()


def test_other_numbers_that_are_no_images_are_named():
    with pytest.raises(TypeError, match=r"`images` must be real, but has dtype torch\.complex64"):
        check_images(images().to(torch.complex64))
    with pytest.raises(ValueError, match="`images` must be finite"):
        check_images(images() / 0)


def test_what_interpolation_adds_is_let_through():
    """A black image with single white pixels, enlarged for up-tiling, leaves [0, 1] on both sides."""
    board = torch.zeros(1, 3, 16, 16)
    board[..., ::3, ::3] = board[..., 1::3, 1::3] = 1
    large = torch.nn.functional.interpolate(board, (19, 19), mode="bicubic", align_corners=False)
    assert large.min() < -0.1
    assert large.max() > 1.1
    check_images(large)
    assert features(NETWORKS["objects"](), board, tiles=4).shape == (1, 16, 16, 8)


def test_images_may_require_gradients():
    check_images(images().requires_grad_())
    with pytest.raises(ValueError, match="`images` must lie in"):
        check_images((255 * images()).requires_grad_())


def sudoku(x0):
    boards = torch.zeros(1, 4, 4, dtype=torch.long)
    return SudokuAKOrN(8, 4, T=1, heads=2, box=(2, 2)).run(boards, x0)


def objects(x0):
    return NETWORKS["objects"]().run(images()[:1], x0)


@pytest.mark.parametrize("run", [sudoku, objects])
def test_a_start_of_another_precision_or_without_values_is_named(run):
    x0 = torch.ones(1, 4, 4, 8)
    assert run(x0).x.isfinite().all()
    with pytest.raises(
        TypeError, match=r"`x0` must have the network's dtype torch.float32, but has torch.float64; pass"
    ):
        run(x0.double())
    with pytest.raises(TypeError, match=r"`x0` must be floating point, but has dtype torch\.int64"):
        run(x0.long())
    x0[0, 1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match="`x0` must be finite, but entry 0, 1, 2, 3 is nan"):
        run(x0)


def test_a_start_in_full_precision_is_taken_under_autocast():
    """There c is of half precision."""
    with torch.autocast("cpu", torch.bfloat16):
        assert objects(torch.ones(1, 4, 4, 8)).x.isfinite().all()
