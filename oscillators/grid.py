"""Which steps a differentiable run takes. They are constants: gradients pass through the steps, not through their choice."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from oscillators.adaptive import BETA, GROW, SAFETY, SHRINK
from oscillators.engine import schedule
from oscillators.flow import Flow, Grid, moved
from oscillators.methods import ADAPTIVE, FIXED, Tableau
from oscillators.system import components


def fixed_grid(t: np.ndarray, method: str, dt: float) -> Grid:
    """Steps of at most dt, of equal length between two save times, so that every save is a step's end."""
    counts, sizes = schedule(t, dt)
    within = np.concatenate([np.arange(count) for count in counts])
    starts = np.repeat(t[:-1], counts) + within * np.repeat(sizes, counts)
    saves: dict[int, list[np.ndarray | None]] = {int(end) - 1: [None] for end in np.cumsum(counts)}
    return Grid(
        FIXED[method], starts.tolist(), np.repeat(sizes, counts).tolist(), saves, method == "semi_implicit_euler"
    )


def stretched(grid: Grid, t: Tensor) -> tuple[Tensor, Tensor]:
    """Starts and sizes of the same steps as functions of the save times."""
    ends = np.array(list(grid.saves)) + 1
    counts = np.diff(ends, prepend=0)
    each = torch.as_tensor(counts, device=t.device)
    sizes = (torch.diff(t) / each).repeat_interleave(each)
    within = np.concatenate([np.arange(count) for count in counts])
    starts = t[:-1].repeat_interleave(each) + torch.as_tensor(within, dtype=t.dtype, device=t.device) * sizes
    return starts, sizes


@torch.no_grad()
def adaptive_grid(flow: Flow, x: Tensor, t: np.ndarray, method: str, rtol: float, atol: float) -> Grid:
    """The steps that PI control accepts, one sequence for the whole batch: the member with the largest error decides."""
    tableau, end = ADAPTIVE[method], float(t[-1])
    starts: list[float] = []
    sizes: list[float] = []
    at, last = float(t[0]), 1e-4
    first = flow.velocity(at, x, 0, None, flow.coupling.field)
    step = _first_step(flow, at, x, first, rtol, atol)
    while at < end:
        dt = min(step, end - at)
        if not (dt >= 16.0 * np.spacing(max(abs(at), abs(end))) or dt == end - at):
            raise FloatingPointError(
                f"`x0` must lead to a run with steps that can be represented, but the step at t = {at:.6g} is {dt:.2g}; loosen "
                "`rtol` and `atol`, or bound the law."
            )
        stages = _velocities(flow, tableau, at, dt, x)
        new = moved(x, dt, tableau.b, stages)
        error = _norm(flow, moved(torch.zeros_like(x), dt, tableau.e, stages), x, new, rtol, atol)
        if not error <= 1.0:
            shrink = max(SHRINK, SAFETY * error ** (BETA - 0.2)) if math.isfinite(error) else SHRINK
            step = dt * min(shrink, 1.0)
            continue
        after = end if dt == end - at else at + dt
        starts.append(at)
        sizes.append(dt)
        grow = GROW if error == 0.0 else SAFETY * error ** (0.75 * BETA - 0.2) * max(last, 1e-4) ** BETA
        step, last = max(dt, step if after == end else dt) * min(GROW, max(SHRINK, grow)), error
        x, at = flow.system.project(new), after
    return Grid(tableau, starts, sizes, saves_of(tableau, t, np.array([*starts, end])))


def saves_of(tableau: Tableau, t: np.ndarray, knots: np.ndarray) -> dict[int, list[np.ndarray | None]]:
    """Where the times t[1:] lie among steps from knot to knot: step -> weights of its stages, None at its end."""
    saves: dict[int, list[np.ndarray | None]] = {}
    for time in t[1:]:
        k = int(np.searchsorted(knots, time)) - 1
        p = (time - knots[k]) / (knots[k + 1] - knots[k])
        inside = None if time == knots[k + 1] else tableau.d @ p ** np.arange(1, tableau.d.shape[1] + 1)
        saves.setdefault(k, []).append(inside)
    return saves


def _velocities(flow: Flow, tableau: Tableau, t: float, dt: float, x: Tensor) -> list[Tensor]:
    stages: list[Tensor] = []
    for a, c in zip(tableau.a, tableau.c, strict=True):
        stages.append(flow.velocity(t + c * dt, moved(x, dt, a, stages), 0, None, flow.coupling.field))
    return stages


def _first_step(flow: Flow, t: float, x: Tensor, k0: Tensor, rtol: float, atol: float) -> float:
    """From the sizes of x, dx/dt and its change (Hairer, Norsett and Wanner 1993, II.4)."""
    speed, size = _norm(flow, k0, x, x, rtol, atol), _norm(flow, x, x, x, rtol, atol)
    step = 1e-6 if size < 1e-5 or speed < 1e-5 else 0.01 * size / speed
    k1 = flow.velocity(t + step, x + step * k0, 0, None, flow.coupling.field)
    fastest = max(speed, _norm(flow, k1 - k0, x, x, rtol, atol) / step)
    return min(100.0 * step, max(1e-6, step * 1e-3) if fastest <= 1e-15 else (0.01 / fastest) ** 0.2)


def _norm(flow: Flow, v: Tensor, x: Tensor, y: Tensor, rtol: float, atol: float) -> float:
    """Root mean square of v in units of the tolerance, of the worst member of the batch."""
    scaled = v / (atol + rtol * torch.maximum(x.abs(), y.abs()))
    member = len(flow.coupling.node_dims) + components(flow.system)  # axes of one member's state
    return float(scaled.square().flatten(-member).mean(dim=-1).sqrt().max())
