"""How oscillators act on each other: the map J of all their states."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn import kernels, spectral
from neural.akorn.channels import Map
from neural.akorn.totals import product


class Connectivity(nn.Module, ABC):
    """Base of all connectivities: a map of states with the channels last, (B, *grid, ch) -> (B, *grid, ch).

    One of your own needs `forward` only, and no base. `prepare` does once what all steps of a layer share.
    """

    @abstractmethod
    def prepare(self, grid: tuple[int, ...], batch: int = 1) -> tuple[Map, Tensor]:
        """For so many members with a grid of this size: the map without its bias, and the bias (ch,)."""

    def forward(self, x: Tensor) -> Tensor:
        act, bias = self.prepare(tuple(x.shape[1:-1]), len(x))
        return act(x) + bias


class Convolution(Connectivity):
    """J as a convolution: every oscillator acts on its neighbours by the same weights everywhere, beyond the edge is 0.

        h_r = Σ_s J_s x_(r + s) + b,    |s| <= ksize // 2

    Args:
        ch: channels.
        ksize: cells along a side of the kernel, odd.
        dims: axes of the grid, 1 or 2.
        symmetric: whether (J_s + J_-sᵀ)/2 acts in the place of J_s: then the Lyapunov function of a layer without Ω falls,
            in steps that are small enough.
    """

    def __init__(self, ch: int, ksize: int = 3, dims: int = 2, symmetric: bool = False):
        super().__init__()
        if ksize < 1 or ksize % 2 == 0:
            raise ValueError(f"`ksize` must be odd, but is {ksize}; a kernel has a middle.")
        if dims not in (1, 2):
            raise ValueError(f"`dims` must be 1 or 2, but is {dims}; join the axes of the grid.")
        layer = (nn.Conv1d if dims == 1 else nn.Conv2d)(ch, ch, ksize)
        self.weight = layer.weight
        self.bias: Any = layer.bias
        self.symmetric = symmetric

    @property
    def kernel(self) -> Tensor:
        """J as it acts, (out, in, ksize[, ksize])."""
        J: Tensor = self.weight
        return (J + J.transpose(0, 1).flip(*range(2, J.ndim))) / 2 if self.symmetric else J

    def prepare(self, grid: tuple[int, ...], batch: int = 1) -> tuple[Map, Tensor]:
        dims = self.weight.ndim - 2
        if len(grid) != dims:
            raise ValueError(
                f"`x` must have {dims} axes between batch and channels, but has the grid {grid}; reshape it."
            )
        J = self.kernel
        if kernels.usable(J) and dims == 2 and spectral.pays(J, grid, batch):
            return spectral.convolution(J, grid), self.bias
        return partial(_direct, J=J), self.bias


def _direct(x: Tensor, J: Tensor) -> Tensor:
    """The map of maps (B, *grid, ch) by torch's own convolution."""
    maps = x.movedim(-1, 1)
    maps = maps.contiguous() if maps.device.type == "cpu" else maps
    convolve = functional.conv1d if maps.ndim == 3 else functional.conv2d
    return convolve(maps, J, padding=J.shape[-1] // 2).movedim(1, -1)


class DenseMap(Connectivity):
    """J as one matrix between all channels of all cells, for a grid of one size.

        h_i = Σ_j J_ij x_j + b,    of all oscillators i, j of the grid; b is the same in every cell

    Args:
        ch: channels.
        at: size of the grid.
        symmetric: whether (J + Jᵀ)/2 acts in the place of J: then the Lyapunov function of a layer without Ω falls, in steps
            that are small enough.
    """

    def __init__(self, ch: int, at: Sequence[int], symmetric: bool = False):
        super().__init__()
        layer = nn.Linear(ch * math.prod(at), ch * math.prod(at))
        self.weight, self.bias = layer.weight, nn.Parameter(torch.zeros(ch))
        self.grid, self.symmetric = tuple(at), symmetric

    def prepare(self, grid: tuple[int, ...], batch: int = 1) -> tuple[Map, Tensor]:
        if grid != self.grid:
            raise ValueError(f"`x` must have the grid of the layer, {self.grid}, but has {grid}; build it for that.")
        act = product((self.weight + self.weight.T) / 2 if self.symmetric else self.weight)
        return lambda x: act(x.flatten(1)).view_as(x), self.bias
