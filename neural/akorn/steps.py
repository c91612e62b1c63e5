"""One step on the sphere: the core's law, normalised, and for CPU tensors the same in one compiled loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neural.akorn import kernels
from neural.akorn.frequency import PlaneRotation, Rotation
from oscillators import SphereKuramoto
from oscillators.tensors import memory

Step = Callable[[Tensor, Tensor, Tensor, Rotation | None, Tensor | float], Tensor]
SPHERE = SphereKuramoto()


def euler(x: Tensor, y: Tensor, c: Tensor, omega: Rotation | None, gamma: Tensor | float) -> Tensor:
    """x' = Π(x + γ (h - ⟨x, h⟩ x)), h = y + c + Ω x, of oscillators (..., n). Ω x is tangent: the law leaves it as it is.

    An oscillator at zero goes to its field; without a field it stays, and no gradient passes.
    """
    gamma = torch.as_tensor(gamma, dtype=x.dtype, device=x.device)
    if not kernels.usable(x, y, c, gamma):
        return unit(x + gamma * SPHERE.law(0.0, x, local_field(x, y, c, omega)))
    if isinstance(omega, PlaneRotation):
        return _Euler.apply(x, y, c, omega.rates, gamma)
    still = x.new_zeros(x.shape[-2], x.shape[-1] // 2)
    return _Euler.apply(x, y if omega is None else y + omega(x), c, still, gamma)


class _Euler(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, c: Tensor, rates: Tensor, gamma: Tensor) -> Tensor:
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        maps, new = [_cells(value) for value in (x, y, c)], _cells(out)
        constants = *_constants(rates, gamma), (0,) * x.shape[-1]
        kernels.in_parts(lambda i: kernels.euler_step(*(m[i] for m in maps), *constants, new[i]), len(new), new.size)
        ctx.save_for_backward(x, y, c, rates, gamma, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor, ...]:
        x, y, c, rates, gamma, out = ctx.saved_tensors
        x_bar, h_bar = torch.empty_like(out), torch.empty_like(out)
        maps, others = [_cells(value) for value in (x, y, c)], [_cells(value) for value in (out, bar, x_bar, h_bar)]
        constants = *_constants(rates, gamma), (0,) * x.shape[-1]

        def part(i: slice) -> tuple[float, Tensor]:
            rates_bar = torch.zeros(rates.shape, dtype=rates.dtype)
            results = *(m[i] for m in others), rates_bar.flatten().numpy()
            return kernels.euler_step_bar(*(m[i] for m in maps), *constants, *results), rates_bar

        gammas, rates_bars = zip(*kernels.in_parts(part, len(maps[0]), maps[0].size), strict=True)
        return x_bar, h_bar, h_bar, sum(rates_bars), gamma.new_full(gamma.shape, sum(gammas))


def _constants(rates: Tensor, gamma: Tensor) -> tuple[Any, ...]:
    return memory(rates)[0].reshape(-1), gamma.detach().numpy().reshape(-1)[0]


def _cells(x: Tensor) -> Any:
    """(..., oscillator, n) as (cell, oscillator · n)."""
    return memory(x)[0].reshape(-1, x.shape[-2] * x.shape[-1])


def untangent(x: Tensor, y: Tensor, c: Tensor, omega: Rotation | None, gamma: Tensor | float) -> Tensor:
    """Π(x + γ h), without the law's projection of the field."""
    return unit(x + gamma * local_field(x, y, c, omega))


def exponential(x: Tensor, y: Tensor, c: Tensor, omega: Rotation | None, gamma: Tensor | float) -> Tensor:
    """The exponential map, x cos γ‖d‖ + d/‖d‖ sin γ‖d‖ with d = h - ⟨x, h⟩ x: along the great circle of d.

    Its length is 1 but for rounding, which would grow step by step where ⟨x, h⟩ < 0.
    """
    d = SPHERE.law(0.0, x, local_field(x, y, c, omega))
    angle = gamma * torch.linalg.vector_norm(d, dim=-1, keepdim=True)
    return unit(torch.cos(angle) * x + gamma * torch.sinc(angle / math.pi) * d)


def unit(x: Tensor) -> Tensor:
    """Π(x) = x/‖x‖ of oscillators (..., n); a zero stays zero, with the gradient zero."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.where(length > 0, length, math.inf)


def local_field(x: Tensor, y: Tensor, c: Tensor, omega: Rotation | None) -> Tensor:
    """h = y + c + Ω x."""
    return y + c if omega is None else y + c + omega(x)
