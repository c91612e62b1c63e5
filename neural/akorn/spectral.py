"""Large convolutions on a plane as products of spectra, for CPU tensors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neural.akorn.channels import Map
from neural.akorn.totals import Total, collected, wanted

Sides = tuple[int, ...]  # height and width


def pays(weight: Tensor, grid: Sides, batch: int) -> bool:
    """Whether spectra are faster: products per value of a map, those that a transform could have made in its time included.

    The constants were fitted to times of one core (AVX-512) for kernels of 3 to 9 cells and 64 to 256 channels.
    """
    ch, ksize = weight.shape[0], weight.shape[-1]
    height, width = padded(grid, ksize)
    frequencies = height * (width // 2 + 1) / math.prod(grid)
    return 1400 + frequencies * ch * (8 + 200 / batch) < ksize**2 * ch


def padded(grid: Sides, ksize: int) -> Sides:
    """The next even sides without prime factors above 5 that keep a kernel from reaching around the edge."""
    height, width = (_smooth(side + ksize // 2) for side in grid)
    return height, width


def _smooth(side: int) -> int:
    return side if side % 2 == 0 and 30**10 % side == 0 else _smooth(side + 1)


def convolution(weight: Tensor, grid: Sides) -> Map:
    """The map h_r = Σ_s J_s x_(r + s) of maps (B, *grid, ch), 0 beyond the edge; J is given as (out, in, ksize, ksize).

    With Ĵ(f) = Σ_s J_s exp(2πi f·s) it is ĥ(f) = Ĵ(f) x̂(f). The spectrum Ĵ is made once and holds about as many
    numbers per pair of channels as 1.4 maps of the grid.
    """
    sides = padded(grid, weight.shape[-1])
    spectrum, total = collected(_spectrum(weight, sides))
    return lambda x: _Convolution.apply(x, spectrum, total, sides)


def _spectrum(weight: Tensor, sides: Sides) -> Tensor:
    """Real and imaginary part of Ĵ, (2, frequency, out, in)."""
    ksize = weight.shape[-1]
    reach = torch.arange(ksize, dtype=torch.float64) - ksize // 2
    height, width = sides
    rows = torch.outer(torch.arange(height), reach / height)[:, None, :, None]
    columns = torch.outer(torch.arange(width // 2 + 1), reach / width)[None, :, None, :]
    waves = torch.polar(torch.ones(()).double(), 2 * math.pi * (rows + columns)).reshape(-1, ksize**2)
    parts = torch.stack([waves.real, waves.imag]).to(weight.dtype)
    return (parts.flatten(0, 1) @ weight.flatten(2).flatten(0, 1).T).view(2, len(waves), *weight.shape[:2])


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, spectrum: Tensor, total: Total, sides: Sides) -> Tensor:
        ctx.save_for_backward(x, spectrum)
        ctx.total, ctx.sides = total, sides
        return _inverse(_times(_transform(x, sides), *spectrum), sides, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor | None, None, None, None]:
        x, spectrum = ctx.saved_tensors
        bar_hat, (real, imaginary) = _transform(bar, ctx.sides), spectrum.mT
        x_bar = _inverse(_times(bar_hat, real, imaginary, -1), ctx.sides, x) if ctx.needs_input_grad[0] else None
        if wanted(spectrum):
            _add_outer(ctx.total.room(spectrum), _transform(x, ctx.sides), _counted(bar_hat, ctx.sides))
        return x_bar, None, None, None


def _transform(x: Tensor, sides: Sides) -> Tensor:
    """x̂ of maps (B, *grid, ch), the members' real parts below their imaginary parts: (frequency, 2 B, ch)."""
    parts = torch.view_as_real(torch.fft.rfft2(x, s=sides, dim=(1, 2)))
    return parts.permute(1, 2, 4, 0, 3).reshape(-1, 2 * len(x), x.shape[-1])


def _inverse(x_hat: Tensor, sides: Sides, like: Tensor) -> Tensor:
    """The maps of such a spectrum, on the grid of others."""
    height, width = sides
    spectrum = torch.complex(*x_hat.chunk(2, dim=1)).unflatten(0, (height, width // 2 + 1)).movedim(2, 0)
    return torch.fft.irfft2(spectrum, s=sides, dim=(1, 2))[:, : like.shape[1], : like.shape[2]].contiguous()


def _times(x_hat: Tensor, a: Tensor, b: Tensor, sign: int = 1) -> Tensor:
    """(a + i sign b) x̂ at every frequency, for matrices (frequency, out, in)."""
    (ua, va), (ub, vb) = (torch.bmm(x_hat, part.mT).chunk(2, dim=1) for part in (a, b))
    return torch.cat([torch.sub(ua, vb, alpha=sign), torch.add(va, ub, alpha=sign)], dim=1)


def _counted(h_hat: Tensor, sides: Sides) -> Tensor:
    """∂/∂ĥ from the spectrum of ∂/∂h: a frequency stands for its conjugate too, unless it is its own."""
    height, width = sides
    twice = torch.full((width // 2 + 1,), 2.0 / (height * width), dtype=h_hat.dtype)
    twice[[0, -1]] /= 2
    return h_hat * twice.repeat(height)[:, None, None]


def _add_outer(total: Tensor, x_hat: Tensor, h_bar: Tensor) -> None:
    """Add the derivative of ĥ = (a + i b) x̂ by (a, b)."""
    real, imaginary = h_bar.chunk(2, dim=1)
    total[0].baddbmm_(h_bar.mT, x_hat)
    total[1].baddbmm_(torch.cat([imaginary, -real], dim=1).mT, x_hat)
