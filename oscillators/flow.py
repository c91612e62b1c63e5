"""The equation on tensors: the velocity of a network, and the steps of the methods, differentiable by autograd.

    dx/dt = law(t, x, h),    h = K[lift(x)] + c(t),    x <- project(x) after each step

Every step equals that of the compiled loops in `oscillators.fixed` up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from oscillators.coupling import Coupling
from oscillators.lookback import Knots, Lookback
from oscillators.methods import Tableau
from oscillators.system import System

Rows = list[Tensor]


class Grid(NamedTuple):
    """The steps of a run: when they start, how long they are, and where inside them states are saved."""

    tableau: Tableau
    starts: Any  # (steps,) numbers, or a tensor where the save times carry a gradient
    sizes: Any
    saves: dict[int, list[np.ndarray | None]]  # step -> weights of its stages for each save in it; None: its end
    semi_implicit: bool = False

    @property
    def steps(self) -> int:
        return len(self.starts)

    def stage_times(self) -> list[float]:
        return [t + c * dt for t, dt in zip(self.starts, self.sizes, strict=True) for c in self.tableau.c]


@dataclass(frozen=True)
class Flow:
    """A network on tensors. Whatever carries a gradient is a field here, so that `tensors.tensors` finds it."""

    system: System
    coupling: Coupling  # acts at once, without the parts below
    degree: Tensor | None  # (..., node, 1) if differences couple: the field loses degree * g
    drive: Any  # None, a constant, a function of t, or (stage of the run, ..., node, m)
    lookback: Lookback | None
    starts: Tensor | None = None  # of the steps, if the save times carry a gradient
    sizes: Tensor | None = None

    def velocity(self, t: Any, x: Tensor, stage: int, past: Callable | None, field: Callable) -> Tensor:
        """dx/dt. stage: its number in the whole run; past: lifted states as they were; field: what applies K."""
        g = self.system.lift(x)
        if self.lookback is not None and self.lookback.per_link:
            assert past is not None
            h = self.lookback.sum_links(past(g))
        else:
            h = field(g if past is None else past(g))
        if self.degree is not None:
            h = h - self.degree * g
        if self.drive is not None:
            h = h + self._drive(t, stage)
        return self.system.law(t, x, h)

    def _drive(self, t: Any, stage: int) -> Tensor:
        if callable(self.drive):
            return self.drive(t)
        return self.drive.values[stage] if isinstance(self.drive, StageDrive) else self.drive


@dataclass(frozen=True)
class StageDrive:
    """A moving drive that carries a gradient, at every stage of the run."""

    values: Tensor  # (steps * stages, ..., node, m)

    @staticmethod
    def of(drive: Callable, grid: Grid) -> StageDrive:
        return StageDrive(torch.stack([drive(t) for t in grid.stage_times()]))


def run(
    flow: Flow, grid: Grid, carry: tuple[Tensor, ...], lo: int, hi: int, field: Callable
) -> tuple[tuple[Tensor, ...], Rows]:
    """Take the steps lo to hi. carry: the state, then the knots of the past; returns the next carry, and saved states."""
    x, rows = carry[0], []
    starts = grid.starts if flow.starts is None else flow.starts
    sizes = grid.sizes if flow.sizes is None else flow.sizes
    knots = flow.lookback.knots(lo, *carry[1:]) if flow.lookback else None
    for k in range(lo, hi):
        t, dt = starts[k], sizes[k]
        stages = _stages(flow, grid.tableau, t, dt, x, k, knots, field)
        old, x = x, _end(flow, grid, x, dt, stages)
        for weights in grid.saves.get(k, ()):
            rows.append(x if weights is None else flow.system.project(moved(old, dt, weights, stages)))
    return ((x,) if knots is None else (x, *knots.window())), rows


def _stages(
    flow: Flow, tableau: Tableau, t: Any, dt: Any, x: Tensor, k: int, knots: Knots | None, field: Callable
) -> list[Tensor]:
    """Velocities at the stages of step k."""
    stages: list[Tensor] = []
    count = len(tableau.b)
    if knots is not None:
        knots.push(flow.system.lift(x))
    for s in range(count):
        y = moved(x, dt, tableau.a[s], stages)
        at = t + tableau.c[s] * dt
        past = knots.past(at, s == 0) if knots is not None else None
        stages.append(flow.velocity(at, y, k * count + s, past, field))
        if knots is not None and s == 0:
            knots.set_velocity(flow.system.tangent(x, stages[0]))
    return stages


def _end(flow: Flow, grid: Grid, x: Tensor, dt: Any, stages: list[Tensor]) -> Tensor:
    if grid.semi_implicit:  # v first, then the position with the new v
        kick = dt * stages[0][..., 1]
        return flow.system.project(x + torch.stack([dt * (stages[0][..., 0] + kick), kick], dim=-1))
    return flow.system.project(moved(x, dt, grid.tableau.b, stages))


def moved(x: Tensor, dt: Any, weights: Any, stages: list[Tensor]) -> Tensor:
    """x + dt Σ_s weights_s k_s."""
    for w, k in zip(weights, stages, strict=False):
        if w != 0.0:
            x = x + (float(w) * dt) * k
    return x
