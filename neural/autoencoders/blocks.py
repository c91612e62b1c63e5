"""Layers of complex-valued and rotating networks: a real map, the gate of magnitudes, norm and ReLU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor, nn

from neural.autoencoders.maps import Kind, convolution

EPSILON = 1e-8  # imaginary parts below it count as +1e-8, so that the angle of 0 is π/2 and that of -1 is π


class Block(nn.Module, ABC):
    """A layer that treats magnitudes as an ordinary one does, and hands on directions.

        ψ = f(components), χ = f(magnitude);  m = ½‖ψ‖ + ½χ;  r = ReLU(norm(m));  z' = r e(ψ), ‖e‖ = 1

    Inputs of one direction have ‖ψ‖ = |χ|: an ordinary unit. Inputs out of step count down to half. Subclasses say where
    biases enter m and e. Weights and biases are uniform in ±1/√fan_in unless said otherwise.

    Args:
        f: linear map with real `weight`, (B, ...) -> (B, *shape).
        norm: of the magnitudes.
        shape: of one activation, for biases: (C, 1, 1) or (D,).
        generator: source of the weights.
    """

    map: Any

    def __init__(
        self, f: nn.Module, norm: nn.Module, shape: tuple[int, ...], *, generator: torch.Generator | None = None
    ):
        super().__init__()
        self.map, self.norm = f, norm
        with torch.no_grad():
            self.map.weight.copy_(self.uniform(self.map.weight.shape, generator))

    def uniform(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """Numbers in ±1/√fan_in."""
        bound = self.map.weight[0].numel() ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)

    @classmethod
    def convolution(cls, kind: Kind, c_in: int, c_out: int, kernel: int = 3, stride: int = 1, **options: Any) -> Self:
        """Of maps, with batch normalisation; see `neural.autoencoders.maps.convolution`."""
        return cls(convolution(kind, c_in, c_out, kernel, stride), nn.BatchNorm2d(c_out), (c_out, 1, 1), **options)

    @classmethod
    def dense(cls, d_in: int, d_out: int, **options: Any) -> Self:
        """Of vectors, with layer normalisation."""
        return cls(nn.Linear(d_in, d_out, bias=False), nn.LayerNorm(d_out), (d_out,), **options)

    def response(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """ψ (n, B, ...) and χ (B, ...), in single precision at least."""
        y = self.map(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        y = y.float() if y.dtype.itemsize < 4 else y
        return y[:-1], y[-1]

    @abstractmethod
    def gate(self, psi: Tensor, chi: Tensor) -> Tensor:
        """m, (B, ...)."""

    @abstractmethod
    def directed(self, r: Tensor, psi: Tensor) -> Tensor:
        """r e(ψ) and its length, (n + 1, B, ...)."""

    def forward(self, z: Tensor) -> Tensor:
        """Activations z' of activations z: (n + 1, B, ...) both, as `neural.autoencoders.activations` has them."""
        psi, chi = self.response(z)
        return self.directed(torch.relu(self.norm(self.gate(psi, chi))), psi)


class ComplexBlock(Block):
    """Complex numbers, n = 2, with a bias of the magnitude and one of the phase.

        m = ½|ψ| + ½χ + b_m;  φ = arg ψ + b_φ;  z' = ReLU(norm(m)) exp(iφ)

    arg is `stable_angle`; it is never computed, only its cosine and sine. b_φ starts at 0.

    Source: Löwe et al. 2022 (CAE); Stanić et al. 2023 (CAE++, CtCAE).
    """

    def __init__(
        self, f: nn.Module, norm: nn.Module, shape: tuple[int, ...], *, generator: torch.Generator | None = None
    ):
        super().__init__(f, norm, shape, generator=generator)
        self.magnitude_bias = nn.Parameter(self.uniform((1, *shape), generator))
        self.phase_bias = nn.Parameter(torch.zeros(1, *shape))

    def gate(self, psi: Tensor, chi: Tensor) -> Tensor:
        return 0.5 * (length(psi) + chi) + self.magnitude_bias

    def directed(self, r: Tensor, psi: Tensor) -> Tensor:
        x, y = stabilised(psi)
        c, s = self.phase_bias.cos(), self.phase_bias.sin()
        scale = r * torch.rsqrt(x * x + y * y)
        return torch.stack([scale * (x * c - y * s), scale * (x * s + y * c), r])


class RotatingBlock(Block):
    """Vectors of n components, with a bias of the direction.

        m = ½‖ψ‖ + ½χ;  v = ψ + b;  z' = ReLU(norm(m)) v / ‖v‖

    With n = 2 this is not a `ComplexBlock`: the bias is Cartesian, there it is polar.

    Args:
        n: components.
        biased: whether m has ‖v‖ for ‖ψ‖, as the text of the publication has it and its code has not.

    Source: Löwe et al. 2023 (Rotating Features).
    """

    def __init__(
        self,
        f: nn.Module,
        norm: nn.Module,
        shape: tuple[int, ...],
        *,
        n: int,
        biased: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__(f, norm, shape, generator=generator)
        self.rotation_bias, self.biased = nn.Parameter(self.uniform((1, n, *shape), generator)), biased

    def gate(self, psi: Tensor, chi: Tensor) -> Tensor:
        return 0.5 * (length(self.turned(psi) if self.biased else psi) + chi)

    def turned(self, psi: Tensor) -> Tensor:
        """v, (n, B, ...)."""
        return psi + self.rotation_bias.movedim(1, 0)

    def directed(self, r: Tensor, psi: Tensor) -> Tensor:
        v = self.turned(psi)
        long = length(v)
        scale = r / long.clamp_min(1e-12)
        return torch.cat([scale * v, (scale * long)[None]])


def length(v: Tensor) -> Tensor:
    """‖v‖, (n, ...) -> (...), with gradient 0 at v = 0."""
    return v.square().sum(0).clamp_min(torch.finfo(v.dtype).tiny).sqrt()


def stable_angle(psi: Tensor) -> Tensor:
    """arg ψ in (-π, π], with imaginary parts in ±1e-8 replaced by 1e-8: (2, ...) -> (...)."""
    x, y = stabilised(psi)
    return torch.atan2(y, x)


def stabilised(psi: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of what has the stable angle."""
    x, y = psi
    return x, torch.where(y.abs() < EPSILON, EPSILON, y)
