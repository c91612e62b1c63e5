"""torchdiffeq's solvers and its continuous adjoint, guarded.

The continuous adjoint runs the network backward in time. Where the flow contracts, as in every network that synchronises,
running backward expands, and the state it comes back with is wrong: so is the gradient, without a sign of it. Therefore
forward states are kept so densely that running back from each to the one before meets it again.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torchdiffeq
from torch import Tensor
from torchdiffeq._impl.fixed_grid import FixedGridODESolver
from torchdiffeq._impl.odeint import SOLVERS

from oscillators.checks import shown
from oscillators.flow import moved
from oscillators.methods import FIXED, Tableau
from oscillators.task import Task
from oscillators.tensors import tensors

TIGHT = 1e-2  # of the tolerance: backward solves are asked for this
MET = 1e3  # times the tolerance: how far a fixed step may be from its reconstruction
SHORTEST = 2.0**-20  # of an interval between two saves: no denser grid of forward states is tried


def _classical(name: str, tableau: Tableau) -> str:
    """A method of ours under a name of its own among torchdiffeq's, which knows other methods by "rk4" and "heun"."""

    class Solver(FixedGridODESolver):
        order = len(tableau.b)

        def _step_func(self, func, t0, dt, t1, y0):
            stages: list[Tensor] = []
            for a, c in zip(tableau.a, tableau.c, strict=True):
                stages.append(func(t0 + c * dt, moved(y0, dt, a, stages)))
            return moved(torch.zeros_like(y0), dt, tableau.b, stages), stages[0]

    SOLVERS[f"oscillators.{name}"] = Solver
    return f"oscillators.{name}"


OURS = {name: _classical(name, FIXED[name]) for name in ("euler", "heun", "rk4")}
# In torchdiffeq 0.2.5 the error of explicit_adams grows as its step shrinks, and scipy_solver loses every gradient.
_LEFT_OUT = ("rk4", "euler", "explicit_adams", "scipy_solver", *OURS.values())
THEIRS = {name: name for name in SOLVERS if name not in _LEFT_OUT} | {"rk4_38": "rk4"}


FIXED_STEPS = tuple(name for name in THEIRS if issubclass(SOLVERS[THEIRS[name]], FixedGridODESolver))


def checked_options(method: str, options: Any) -> dict[str, Any]:
    """Options that torchdiffeq's solver knows."""
    solver = SOLVERS[(OURS | THEIRS)[method]]
    known = {p for base in solver.__mro__ for p in inspect.signature(base.__init__).parameters}
    known -= {"self", "args", "kwargs", "unused_kwargs", "func", "y0", "rtol", "atol", "step_size", "grid_constructor"}
    if not isinstance(options or {}, dict) or set(options or {}) - known:
        raise ValueError(
            f"`options` must be a dict with some of {', '.join(sorted(known))} for {method!r}, but is {shown(options)}; the "
            "step is the argument `dt`."
        )
    return dict(options or {})


def solve(task: Task, dense: bool, options: dict[str, Any]) -> Tensor:
    """States at t[1:], with the gradient of torchdiffeq's graph, or (dense) of its continuous adjoint."""
    flow, x, dt = task.flow, task.x, task.dt
    t = x.new_tensor(task.t) if task.times is None else task.times

    def velocity(at: Tensor, state: Tensor) -> Tensor:
        return flow.velocity(at, state, 0, None, flow.coupling.field)

    if dt is not None:
        options = options | {"grid_constructor": _steps_of(dt)}
    arguments: dict[str, Any] = {"method": (OURS | THEIRS)[task.method], "options": options}
    arguments |= {"rtol": task.rtol, "atol": task.atol}
    if not dense:
        return flow.system.project(_solve(velocity, x, t, arguments)[1:])
    back = arguments | {"rtol": TIGHT * task.rtol, "atol": TIGHT * task.atol}
    times, rows = _dense_times(velocity, x, t, dt, back)
    states = torchdiffeq.odeint_adjoint(velocity, x, times, adjoint_params=tuple(tensors(flow)), **back)
    return flow.system.project(states[rows][1:])


def _solve(velocity: Callable, x: Tensor, t: Tensor, arguments: dict) -> Tensor:
    """States at the times t, in either direction of time."""
    try:
        return torchdiffeq.odeint(velocity, x, t, **arguments)
    except AssertionError as error:  # how torchdiffeq says that its steps become too small
        raise FloatingPointError(
            f"`x0` must lead to a run whose steps can be represented, but between t = {float(t[0]):.6g} and {float(t[-1]):.6g} "
            "they cannot; loosen `rtol` and `atol`, or bound the law."
        ) from error


def _apart(velocity: Callable, x: Tensor, new: Tensor, span: Tensor, arguments: dict) -> float:
    """How many tolerances the run back from the state `new` misses the state x by; infinitely many if it fails."""
    try:
        again = _solve(velocity, new, span.flip(0), arguments)[1]
    except FloatingPointError:
        return math.inf
    scale = (arguments["atol"] + arguments["rtol"] * x.abs()) / TIGHT
    return float(((again - x).abs() / scale).max())


def _steps_of(dt: float) -> Callable:
    def grid(func: Callable, x: Tensor, t: Tensor) -> Tensor:
        parts = [t[:1]]
        for a, b in pairwise(t):
            steps = max(1, math.ceil(abs(float(b - a)) / dt - 1e-9))
            parts.append(a + (b - a) * torch.arange(1, steps + 1, dtype=t.dtype, device=t.device) / steps)
            parts[-1][-1] = b
        return torch.cat(parts)

    return grid


@torch.no_grad()
def _dense_times(
    velocity: Callable, x: Tensor, t: Tensor, dt: float | None, arguments: dict
) -> tuple[Tensor, list[int]]:
    """Times of forward states from each of which the one before is met again, and the places of t among them."""
    times, rows = [float(t[0])], [0]
    length = float(t[-1] - t[0]) if dt is None else dt
    for end in t[1:].tolist():
        if dt is not None:
            length = (end - times[-1]) / max(1, math.ceil((end - times[-1]) / dt - 1e-9))
        while times[-1] < end:
            x, stop, length = _next_state(velocity, x, times[-1], end, length, dt is not None, arguments)
            times.append(stop)
        rows.append(len(times) - 1)
    return t.new_tensor(times), rows


def _next_state(
    velocity: Callable, x: Tensor, start: float, end: float, length: float, fixed: bool, arguments: dict
) -> tuple[Tensor, float, float]:
    """The next forward state to keep, its time, and the length to try after it."""
    shortest = SHORTEST * (end - start)
    while True:
        stop = end if length >= (end - start) * (1 - 1e-9) else start + length
        span = x.new_tensor([start, stop])
        new = _solve(velocity, x, span, arguments)[1]
        apart = _apart(velocity, x, new, span, arguments)
        if apart <= (MET if fixed else 1.0):
            return new, stop, length if fixed else 2.0 * length
        length /= 2.0
        if fixed or not length > shortest:
            raise FloatingPointError(
                f"`gradient` must not be 'adjoint' for this run, but is: run backward from t = {stop:.6g}, it misses the "
                f"state at t = {start:.6g} by {apart:.3g} tolerances, which would falsify the gradient; use "
                "gradient='discrete', which is exact."
            )
