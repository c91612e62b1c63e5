"""The linear maps f_w of the layers: real weights, no bias."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from oscillators import checks

Kind = Literal["same", "symmetric", "transposed", "nearest"]


class SameConv2d(nn.Conv2d):
    """Convolution that leaves ⌈n/s⌉ of n pixels at stride s. Of an odd number of zeros the larger part is below and right."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = (
            same_padding(n, k, s) for n, k, s in zip(x.shape[-2:], self.kernel_size, self.stride, strict=True)
        )
        if top == bottom and left == right:
            return functional.conv2d(x, self.weight, stride=self.stride, padding=(top, left))
        return functional.conv2d(functional.pad(x, (left, right, top, bottom)), self.weight, stride=self.stride)


def same_padding(n: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind n pixels."""
    total = max(0, (-(-n // stride) - 1) * stride + kernel - n)
    return total // 2, total - total // 2


class UpsampledConv2d(nn.Conv2d):
    """Every pixel repeated s × s times, then a "same" convolution.

    As a transposed convolution of the small map, whose kernel is the flipped one summed over the s × s repetitions: for
    s = 2 and 3 × 3 weights 16 products per small pixel instead of 36, and no large copies.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int, repeats: int):
        super().__init__(c_in, c_out, kernel, bias=False)
        self.repeats = repeats

    def forward(self, x: Tensor) -> Tensor:
        k, s = self.kernel_size[0], self.repeats
        weight = widened(widened(self.weight.flip(-2, -1).transpose(0, 1), s, -1), s, -2)
        return functional.conv_transpose2d(x, weight, stride=s, padding=k // 2, output_padding=1 - k % 2)


def widened(weight: Tensor, repeats: int, dim: int) -> Tensor:
    """Sum of a kernel shifted by 0 ... s - 1 along an axis, which becomes k + s - 1 long."""
    shape = list(weight.shape)
    shape[dim] = repeats - 1
    gap = weight.new_zeros(shape)
    return sum(
        torch.cat([gap.narrow(dim, 0, j), weight, gap.narrow(dim, 0, repeats - 1 - j)], dim) for j in range(repeats)
    )  # type: ignore[return-value]


def convolution(kind: Kind, c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    """The map of that name, (B, c_in, H, W) -> (B, c_out, H', W').

    Args:
        kind: "same": `SameConv2d`; "symmetric": the same number of zeros on all sides, which at stride 2 is another map;
            "transposed": H' = stride · H by a transposed convolution; "nearest": H' = stride · H by `UpsampledConv2d`.
    """
    checks.one_of("kind", kind, ("same", "symmetric", "transposed", "nearest"))
    if kind == "nearest" and stride > 1:
        return UpsampledConv2d(c_in, c_out, kernel, stride)
    options: dict[str, Any] = {"stride": stride, "bias": False}
    if kind in ("same", "nearest"):
        return SameConv2d(c_in, c_out, kernel, **options)
    if kind == "symmetric" or stride == 1:
        return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, **options)
    return nn.ConvTranspose2d(c_in, c_out, kernel, padding=kernel // 2, output_padding=stride - 1, **options)
