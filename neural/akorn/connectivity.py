"""How oscillators act on each other: the map J of all their states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from neural.akorn import kernels, spectral
from neural.akorn.channels import Map


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
    """

    def __init__(self, ch: int, ksize: int = 3, dims: int = 2):
        super().__init__()
        if ksize < 1 or ksize % 2 == 0:
            raise ValueError(f"`ksize` must be odd, but is {ksize}; a kernel has a middle.")
        if dims not in (1, 2):
            raise ValueError(f"`dims` must be 1 or 2, but is {dims}; join the axes of the grid.")
        layer = (nn.Conv1d if dims == 1 else nn.Conv2d)(ch, ch, ksize)
        self.weight = layer.weight
        self.bias: Any = layer.bias

    def prepare(self, grid: tuple[int, ...], batch: int = 1) -> tuple[Map, Tensor]:
        dims = self.weight.ndim - 2
        if len(grid) != dims:
            raise ValueError(
                f"`x` must have {dims} axes between batch and channels, but has the grid {grid}; reshape it."
            )
        if kernels.usable(self.weight) and dims == 2 and spectral.pays(self.weight, grid, batch):
            return spectral.convolution(self.weight, grid), self.bias
        return self._direct, self.bias

    def _direct(self, x: Tensor) -> Tensor:
        maps = x.movedim(-1, 1)
        maps = maps.contiguous() if maps.device.type == "cpu" else maps
        convolve = functional.conv1d if maps.ndim == 3 else functional.conv2d
        return convolve(maps, self.weight, padding=self.weight.shape[-1] // 2).movedim(1, -1)
