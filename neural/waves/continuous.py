"""The cell in continuous time: its oscillators as a system of the core, with the same parameters and no step size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neural.waves.cell import OscillatorCell
from oscillators import TopographicOscillators
from oscillators.kernels import copy_lift, copy_lift_vjp, copy_tangent, copy_tangent_vjp


@dataclass(frozen=True)
class MovingOscillators(TopographicOscillators):
    """Topographic oscillators that show each other their velocities, too: h = W x + 𝒲 v is the first component of the field."""

    lift_kernel: ClassVar[Any] = staticmethod(copy_lift)
    tangent_kernel: ClassVar[Any] = staticmethod(copy_tangent)
    lift_vjp: ClassVar[Any] = staticmethod(copy_lift_vjp)
    tangent_vjp: ClassVar[Any] = staticmethod(copy_tangent_vjp)
    law_vjp: ClassVar[Any] = None  # that of the base knows one component of the field

    def lift(self, x):
        return x

    def tangent(self, x, dx):
        return dx


class CellField(nn.Module):
    """W x + 𝒲 v of a cell as a coupling of the core: (..., node, 1 or 2) -> the same, the field first."""

    def __init__(self, cell: OscillatorCell):
        super().__init__()
        self.position, self.velocity = cell.position, cell.velocity

    def forward(self, g: Tensor) -> Tensor:
        h = torch.zeros_like(g)
        for component, act in enumerate((self.position, self.velocity)):
            if act is not None:
                h = h + nn.functional.pad(act(g[..., component])[..., None], (0, g.shape[-1] - 1))
        return h


def continuous(cell: OscillatorCell) -> tuple[TopographicOscillators, CellField]:
    """(system, coupling) of which the cell is a discretisation of first order, for `simulate` and `integrate`.

    States are (..., node, 2), y and z on the last axis; a drive g is (..., node, 1), or (..., node, 2) with zeros behind it if
    velocities act. The biases of the maps belong to the drive.

    Raises:
        ValueError: for a cell that is linear or has a norm: the core's law has tanh and nothing else.
    """
    if cell.linear or cell.norm is not None:
        raise ValueError(
            f"`cell` must have tanh and no norm, but has linear={cell.linear} and norm={cell.norm}; such is the core's law."
        )
    _, gamma, epsilon = cell.constants()
    kind = TopographicOscillators if cell.velocity is None else MovingOscillators
    return kind(gamma, epsilon), CellField(cell)
