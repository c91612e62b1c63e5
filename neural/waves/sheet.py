"""A driven sheet: oscillators on a lattice that a signal on the same lattice pushes through a local map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.waves.cell import Orbit, OscillatorCell, check_sequence
from neural.waves.connectivity import Connectivity
from neural.waves.constants import Constants, Map
from neural.waves.norm import SheetNorm

PUBLISHED = {"dt": 1 / (1 + math.exp(1.95)), "gamma": 1.0, "epsilon": 0.5}  # of all wave machines for images


class DrivenSheet(nn.Module):
    """Oscillators driven by g_t = C[s_t] + b, each signal s_t held for some steps.

    Args:
        lattice: (C, *space).
        position, velocity, driving: the three maps to its nodes, usually `Local`.
        bias_channels: 1: b is shared by all channels; C: each has its own.
        steps_per_input: how long a signal is held.
        norm: layer norm of the positions after each step.
        dt, gamma, epsilon, learned: see `Constants`.

    Source: Keller and Welling 2023.
    """

    def __init__(
        self,
        lattice: Sequence[int],
        position: Connectivity,
        velocity: Connectivity,
        driving: Connectivity,
        *,
        bias_channels: int = 1,
        steps_per_input: int = 1,
        norm: bool = False,
        dt: float = PUBLISHED["dt"],
        gamma: float = PUBLISHED["gamma"],
        epsilon: float = PUBLISHED["epsilon"],
        learned: Map | None = "relu",
    ):
        super().__init__()
        if steps_per_input < 1:
            raise ValueError(
                f"`steps_per_input` must be at least 1, but is {steps_per_input}; a signal acts for a step."
            )
        self.lattice, self.steps_per_input = tuple(lattice), steps_per_input
        constants = Constants(dt, gamma, epsilon, learned=learned)
        self.cell = OscillatorCell(constants, position, velocity, norm=SheetNorm(self.lattice) if norm else None)
        self.driving = driving
        self.b_bar = nn.Parameter(torch.zeros(bias_channels, *self.lattice[1:]))

    @property
    def nodes(self) -> int:
        return math.prod(self.lattice)

    def run(self, signal: Tensor, start: Orbit | None = None) -> Orbit:
        """The orbit after each signal, (T, B, N), of signals (T, B, senders of `driving`)."""
        check_sequence("signal", signal)
        if signal.shape[-1] != self.driving.senders:
            raise ValueError(
                f"`signal` must have {self.driving.senders} entries for this lattice, but has shape {tuple(signal.shape)}; "
                "reshape it to (T, B, channels · sites)."
            )
        # T·B signals at once: as a matrix even a local map is faster than as a convolution of few channels
        drive = functional.linear(signal, self.driving.matrix(), self.b_bar.expand(self.lattice).flatten())
        orbit = self.cell.run(drive.repeat_interleave(self.steps_per_input, 0), start)
        return Orbit(*(part[self.steps_per_input - 1 :: self.steps_per_input] for part in orbit))


def interleaved(orbit: Orbit, lattice: Sequence[int]) -> Tensor:
    """(..., N) each -> (..., 2N), counted (*space, channel, component): as the physical-dynamics model stores states."""
    pair = torch.stack(list(orbit), -1).unflatten(-2, tuple(lattice))  # (..., C, *space, 2)
    return pair.movedim(-1 - len(lattice), -2).flatten(-1 - len(lattice))


def separate(state: Tensor, lattice: Sequence[int]) -> Orbit:
    """The inverse of `interleaved`."""
    C, *space = lattice
    check_nodes("state", state, (2, *lattice))
    pair = state.unflatten(-1, (*space, C, 2)).movedim(-2, -2 - len(space))
    y, z = pair.flatten(-1 - len(lattice), -2).unbind(-1)
    return Orbit(y, z)


def check_nodes(name: str, value: Tensor, lattice: Sequence[int]) -> None:
    """Raise unless the last axis counts what the lattice has."""
    if value.shape[-1] != math.prod(lattice):
        raise ValueError(
            f"`{name}` must have {math.prod(lattice)} entries for {tuple(lattice)}, but has shape {tuple(value.shape)}; give "
            "the lattice that it was made with."
        )
