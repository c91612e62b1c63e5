"""From oscillators to the next stimulus: what a block reads of its state."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from neural.akorn.channels import on_last
from oscillators import checks

Norm = Literal["bn", "gn"]


class Readout(nn.Module):
    """Lengths of learned sums of all oscillators of a cell (or its neighbourhood): m_k = ‖Σ_i U_ki x_i + u_k‖ + bias_k.

    Args:
        inputs, outputs: channels.
        n: components of the sums.
        ksize, padding: cells along a side of the neighbourhood, and beyond the edge; None: the map keeps its size.
        stride: cells from one neighbourhood to the next.

    Note: the gradient of the length is 0 at 0.
    """

    def __init__(self, inputs: int, outputs: int, n: int, ksize: int = 1, padding: int | None = None, stride: int = 1):
        super().__init__()
        self.n = n
        self.invconv = nn.Conv2d(inputs, n * outputs, ksize, stride, ksize // 2 if padding is None else padding)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return on_last(self.invconv, x).unflatten(-1, (-1, self.n)).norm(dim=-1) + self.bias


class NormActConv(nn.Module):
    """conv(ReLU(norm(x)))."""

    def __init__(self, inputs: int, outputs: int, ksize: int = 1, norm: Norm | None = None):
        super().__init__()
        if norm is not None:
            checks.one_of("norm", norm, ("bn", "gn"))
        first = nn.BatchNorm2d(inputs) if norm == "bn" else nn.GroupNorm(8, inputs) if norm == "gn" else nn.Identity()
        self.fn = nn.Sequential(first, nn.ReLU(), nn.Conv2d(inputs, outputs, ksize, padding=ksize // 2))

    def forward(self, x: Tensor) -> Tensor:
        norm, relu, conv = self.fn
        return on_last(conv, relu(x if isinstance(norm, nn.Identity) else on_last(norm, x)))


class FeedForward(nn.Module):
    """Two `NormActConv` one after the other."""

    def __init__(self, ch: int, ksize: int = 1, norm: Norm | None = None):
        super().__init__()
        self.fn = nn.Sequential(NormActConv(ch, ch, ksize, norm), NormActConv(ch, ch, ksize, norm))

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x)


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, fn: nn.Module):
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fn(x)


def full_readout(ch: int, n: int, ksize: int = 1, norm: Norm | None = None) -> nn.Sequential:
    """m of a `Readout`, r = m + f(m), and conv(ReLU(norm(r))), each with its own weights."""
    return nn.Sequential(
        Readout(ch, ch, n, ksize), Residual(FeedForward(ch, ksize, norm)), NormActConv(ch, ch, ksize, norm)
    )
