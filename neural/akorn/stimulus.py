"""How a layer scales the conditional stimulus c before it acts."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from oscillators import checks

StimulusNorm = Literal["gn", "sandb"]


class ScaleAndBias(nn.Module):
    """c -> scale · c + bias, per channel."""

    def __init__(self, ch: int):
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.ones(ch)), nn.Parameter(torch.zeros(ch))

    def forward(self, c: Tensor) -> Tensor:
        return torch.addcmul(self.bias, c, self.scale)


class OscillatorNorm(nn.GroupNorm):
    """Group normalisation in which each oscillator is a group: mean and variance over its components and the grid."""

    def __init__(self, ch: int, n: int):
        super().__init__(ch // n, ch)

    def forward(self, c: Tensor) -> Tensor:
        maps = c.movedim(-1, 1).contiguous()  # torch's compiled derivative (2.13, CPU) crashes on the permuted view
        return super().forward(maps).movedim(1, -1)


def stimulus_norm(name: StimulusNorm | None, ch: int, n: int) -> nn.Module | None:
    """The normalisation of that published name; None: c acts as it is."""
    if name is None:
        return None
    checks.one_of("c_norm", name, ("gn", "sandb"))
    return OscillatorNorm(ch, n) if name == "gn" else ScaleAndBias(ch)
