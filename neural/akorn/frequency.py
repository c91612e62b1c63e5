"""Natural frequencies: how every oscillator turns on its own, Ω x with Ω antisymmetric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from neural.akorn.channels import oscillator_count
from oscillators import checks

Rotation = Callable[[Tensor], Tensor]  # Ω x of oscillators x, (..., oscillator, n)


@dataclass(frozen=True)
class PlaneRotation:
    """(Ω x)_2p = ω_p x_2p+1 and (Ω x)_2p+1 = -ω_p x_2p; the last axis of an odd n does not turn.

    Args:
        rates: ω, (oscillator, n // 2).
    """

    rates: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        even = 2 * self.rates.shape[-1]
        u, v = x[..., 0:even:2], x[..., 1:even:2]
        turned = torch.stack([self.rates * v, -self.rates * u], dim=-1).flatten(-2)
        return turned if even == x.shape[-1] else torch.cat([turned, torch.zeros_like(x[..., -1:])], dim=-1)


class PairFrequency(nn.Module):
    """Rotations in the coordinate planes (0, 1), (2, 3), ... of every oscillator.

        (Ω x)_2p = ω_p x_2p+1,    (Ω x)_2p+1 = -ω_p x_2p,    ω_p = ‖omg_param_p‖ >= 0

    For n = 2 and x = (cos θ, sin θ) this is dθ/dt = -ω.

    Args:
        ch, n: channels, and components of an oscillator.
        shared: one ω for the whole layer, or one for each plane of each oscillator.
        init: ω at the start, rad / time.
        learned: whether ω is trained.

    Note: parameters are stored as published, a pair for each ω. The gradient of the norm at 0 is 0.
    """

    def __init__(self, ch: int, n: int, shared: bool = False, init: float = 1.0, learned: bool = True):
        super().__init__()
        self.n, planes = n, oscillator_count(ch, n) * (n // 2)
        shape = (2,) if shared else (planes, 2)
        self.omg_param = nn.Parameter(torch.full(shape, init / 2**0.5), requires_grad=learned)

    def prepare(self, oscillators: int) -> PlaneRotation:
        """Ω of so many oscillators."""
        omega, shape = self.omg_param.norm(dim=-1), (oscillators, self.n // 2)
        return PlaneRotation(omega.expand(shape) if omega.ndim == 0 else omega.view(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Ω x of oscillators x, (..., oscillator, n)."""
        return self.prepare(x.shape[-2])(x)


class Antisymmetric(nn.Module):
    """Any rotation of n dimensions: Ω = (A - Aᵀ)/2, one for the layer or one for each oscillator.

    Args:
        ch, n: channels, and components of an oscillator.
        shared: one Ω for the whole layer.
        init: size of the rates at the start, rad / time: entries of A are normal with variance init².
        generator: source of A.
    """

    def __init__(
        self,
        ch: int,
        n: int,
        shared: bool = False,
        init: float = 1.0,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        checks.positive("init", init, "a layer without rotation has no frequency at all")
        count = oscillator_count(ch, n)
        shape = (n, n) if shared else (count, n, n)
        self.A = nn.Parameter(init * torch.randn(shape, generator=generator))

    @property
    def rotation(self) -> Tensor:
        """Ω, (n, n) or (oscillator, n, n)."""
        return (self.A - self.A.mT) / 2

    def prepare(self, oscillators: int) -> Rotation:
        """Ω of so many oscillators."""
        rotation = self.rotation
        if rotation.ndim == 2:
            return lambda x: x @ rotation.mT
        return lambda x: torch.einsum("cij,...cj->...ci", rotation, x)

    def forward(self, x: Tensor) -> Tensor:
        """Ω x of oscillators x, (..., oscillator, n)."""
        return self.prepare(x.shape[-2])(x)


Kind = Literal["global", "pair", "antisymmetric"]


def natural_frequency(
    kind: Kind | None, ch: int, n: int, init: float, learned: bool, generator: torch.Generator | None
) -> nn.Module | None:
    """The frequencies of a layer: one ω for all ("global"), one per plane ("pair"), any rotations; None: none."""
    if kind is None:
        return None
    checks.one_of("omega", kind, ("global", "pair", "antisymmetric"))
    if kind == "antisymmetric":
        return Antisymmetric(ch, n, init=init, generator=generator).requires_grad_(learned)
    return PairFrequency(ch, n, kind == "global", init, learned)
