"""The compiled road of `integrate`: on the CPU, for systems and couplings that have kernels and their derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oscillators import adaptive
from oscillators.adaptive import ADAPTIVE_STEPS, adaptive_steps
from oscillators.backward import CompiledRun
from oscillators.checks import plain
from oscillators.coupling import Compiled, Diffusive
from oscillators.delayed import Delayed
from oscillators.engine import Run
from oscillators.flow import Grid, StageDrive
from oscillators.grid import adaptive_grid, fixed_grid, saves_of
from oscillators.kernels import FIELD, LAW, LAW_VJP, LIFT_VJP, PROJECT_VJP, TANGENT_VJP, compiled
from oscillators.lookback import look_back
from oscillators.loops import OK, Fate, Work, ready
from oscillators.methods import ADAPTIVE, FIXED
from oscillators.passes import Job, PastInputs, Rings
from oscillators.problem import Problem, is_pointwise, kernel_is_current, prepare
from oscillators.recorded import Recorded
from oscillators.system import components, projects
from oscillators.task import Task
from oscillators.tensors import numbers, tensors

KEPT_BYTES = 1 << 27  # a moving drive at every stage, or the past at every step, is kept up to this size


@dataclass(frozen=True)
class Laid:
    """A network laid out for the compiled loops and their derivatives."""

    task: Task
    problem: Problem
    back: Compiled  # Kᵀ
    vjps: tuple[Any, ...]


def forward(task: Task) -> Tensor | None:
    """Saved states without gradients; None if something has no kernel."""
    problem = _problem(task)
    if problem is None:
        return None
    out = np.full((len(task.t) - 1, *problem.x0.shape), np.nan)

    def put(members: slice, first: int, states: np.ndarray) -> None:
        out[first - 1 : first - 1 + len(states), members] = states

    tableau, semi_implicit = (FIXED | ADAPTIVE)[task.method], task.method == "semi_implicit_euler"
    if not Run(problem, task.t, put, tableau, task.dt, semi_implicit, task.rtol, task.atol).go():
        raise KeyboardInterrupt
    return _public(torch.from_numpy(out), task)


def discrete(task: Task) -> Tensor | None:
    """Saved states with the exact derivative of the steps; None if something has no compiled derivative."""
    laid = _laid(task)
    if laid is None:
        return None
    if task.dt is not None:
        grid = fixed_grid(task.t, task.method, task.dt)
    elif laid.problem.members == 1 and not callable(task.flow.drive):
        grid = _adaptive_grid(laid)
    else:
        grid = adaptive_grid(task.flow, task.x.detach(), task.t, task.method, task.rtol, task.atol)
    return _differentiable(laid, grid) if _fits(laid, grid) else None


def _problem(task: Task) -> Problem | None:
    """The network in the layout of the loops, without gradients."""
    names = {"kernel": "law", "lift_kernel": "lift", "project_kernel": "project"}
    if task.x.device.type != "cpu" or not all(kernel_is_current(type(task.flow.system), *n) for n in names.items()):
        return None
    system, coupling = numbers(task.given)
    drive, history = (_on_numbers(value) for value in (task.flow.drive, task.history))
    problem = prepare(system, coupling, numbers(task.x), drive, history, None)
    return problem if problem.callbacks is None else None


def _on_numbers(value: Any) -> Any:
    return (lambda t: plain(value(t))) if callable(value) and not isinstance(value, Recorded) else numbers(value)


def _laid(task: Task) -> Laid | None:
    """The network with its derivatives; None if one is missing."""
    system = type(task.flow.system)
    names = {"law_vjp": "law", "lift_vjp": "lift", "tangent_vjp": "tangent", "project_vjp": "project"}
    if not all(kernel_is_current(system, *n) for n in names.items()):
        return None
    problem = _problem(task)
    if problem is None or len(problem.network.weight) > 1:
        return None
    inner = numbers(task.given[1])
    while isinstance(inner, Diffusive | Delayed):
        inner = inner.coupling
    back = inner.transposed(problem.nodes)
    if back is None:
        return None
    kernels = (system.kernel, system.lift_vjp, system.tangent_vjp, system.law_vjp, system.project_vjp, back.kernel)
    signatures = (LAW, LIFT_VJP, TANGENT_VJP, LAW_VJP, PROJECT_VJP, FIELD)
    return Laid(task, problem, back, tuple(map(compiled, kernels, signatures)))


def _differentiable(laid: Laid, grid: Grid) -> Tensor:
    p, task = laid.problem, laid.task
    operator, diffusive = task.flow.coupling, isinstance(task.coupling, Diffusive)
    rings, past = (None, (None,) * 4) if task.delayed is None else _past(laid, grid)
    beside = is_pointwise(type(p.system))
    job = Job(p.kernels, laid.vjps, p.network, laid.back, operator, diffusive, p.nodes, p.width, beside, grid, rings)
    rows = _rows(task.x, p.nodes, components(p.system))
    return _public(CompiledRun.apply(job, rows, _params(laid), _drive(laid, grid), *past, *tensors(operator)), task)


def _past(laid: Laid, grid: Grid) -> tuple[Rings, PastInputs]:
    """The delays of a run and the knots before it, as the compiled rings take them."""
    task, p = laid.task, laid.problem
    assert task.delayed is not None
    look, knots = look_back(p.system, task.delayed, task.x, grid, task.history)
    g, dg = (k.double().reshape(len(k), p.members, *k.shape[-2:]).mT.contiguous() for k in knots)
    tau, none = look.tau.double(), np.empty(0, np.int32)
    if look.target is None or look.weight is None:
        return Rings(none, none, look.times, look.first), PastInputs(tau, torch.zeros(1, 0).double(), g, dg)
    source, target = numbers(look.source), numbers(look.target)
    order = np.lexsort((source, target))
    starts = np.searchsorted(target[order], np.arange(g.shape[-1] + 1)).astype(np.int32)
    weight = look.weight.double().reshape(-1, len(order))[:, order]
    rings = Rings(starts, source[order].astype(np.int32), look.times, look.first)
    return rings, PastInputs(tau[order].contiguous(), weight.contiguous(), g, dg)


def _public(out: Tensor, task: Task) -> Tensor:
    """(saves, members, d, N) -> (saves, ...) in the law's shape and the caller's precision."""
    out = out[..., 0, :] if components(task.flow.system) == 0 else out.mT
    return out.reshape(len(out), *task.x.shape).to(task.x.dtype)


def _fits(laid: Laid, grid: Grid) -> bool:
    """Whether what a run must keep of every step, its moving drive or its past, may be kept."""
    p, task = laid.problem, laid.task
    stages, d, m = len(grid.tableau.b), p.x0.shape[1], p.width
    drive = stages * m if callable(task.flow.drive) else 0
    past = stages * (d + 3 * m) + d + 4 * m if task.delayed is not None else 0  # a tape of all steps, and the rings
    return 8 * grid.steps * (drive + past) * p.members * p.x0.shape[2] <= KEPT_BYTES


def _rows(x: Tensor, nodes: tuple[int, ...], axes: int) -> Tensor:
    """(..., *nodes[, d]) -> (members, d, N) in double precision."""
    n = int(np.prod(nodes))
    x = x.double()
    return x.reshape(-1, 1, n) if axes == 0 else x.reshape(-1, n, x.shape[-1]).mT.contiguous()


def _params(laid: Laid) -> Tensor:
    """Parameters as the kernel reads them, (1 or members, P, N)."""
    p = laid.problem
    n, rows = int(np.prod(p.nodes)), []
    for value in laid.task.flow.system.params():
        row = torch.as_tensor(value, dtype=torch.float64)
        shape = p.nodes if row.ndim <= len(p.nodes) else (*p.lead, *p.nodes)
        rows.append(row.expand(shape).reshape(-1, n))
    count = max((len(row) for row in rows), default=1)
    return torch.stack([row.expand(count, n) for row in rows], dim=1) if rows else torch.zeros(1, 0, n).double()


def _drive(laid: Laid, grid: Grid) -> Tensor:
    """The drive as the loops read it, (rows, 1 or members, m, N)."""
    p, drive = laid.problem, laid.task.flow.drive
    n = int(np.prod(p.nodes))
    if drive is None:
        return torch.zeros(0, 1, p.width, n, dtype=torch.float64)
    values = StageDrive.of(drive, grid).values if callable(drive) else drive[None]
    shape = (*p.lead, *p.nodes, p.width) if values.ndim - 1 > len(p.nodes) + 1 else (*p.nodes, p.width)
    missing = (1,) * (len(shape) + 1 - values.ndim)  # a drive may be the same for all nodes
    whole = values.reshape(len(values), *missing, *values.shape[1:]).expand(len(values), *shape).double()
    return whole.reshape(len(values), -1, n, p.width).mT.contiguous()


def _adaptive_grid(laid: Laid) -> Grid:
    """The steps that adaptive control of a single member accepts."""
    p, task = laid.problem, laid.task
    t, tableau = task.t, ADAPTIVE[task.method]
    x = p.x0.copy()
    d, n = x.shape[1:]
    g, h, past = (np.empty((p.width, n)) for _ in range(3))
    work = Work(np.empty_like(x), g, h, past, np.zeros((len(tableau.b), 1, d, n)))
    fate = Fate(np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.int64), np.zeros((1, 2), np.int64))
    clock, out, trial = np.array([t[0], 0.0, 1e-4, 1.0]), np.empty((len(t), *x.shape)), np.empty_like(x)
    network = p.network._replace(drive=_drive(laid, Grid(tableau, [], [], {})).detach().numpy())
    loop, attempts, knots = ready(adaptive_steps, ADAPTIVE_STEPS), 0, [float(t[0])]
    while True:
        end = loop(
            *p.kernels, projects(p.system), tableau, network, 0, x, work, trial, t, clock, task.rtol, task.atol,
            attempts, out, 1, fate, 0,
        )  # fmt: skip
        attempts = 1  # the first call finds the first step
        if clock[adaptive.TIME] > knots[-1]:
            knots.append(float(clock[adaptive.TIME]))
        if end == adaptive.FINISHED:
            break
    if fate.status[0] != OK:
        raise FloatingPointError(
            f"`x0` must lead to a run that stays finite with steps that can be represented, but it ends at t = "
            f"{fate.time[0]:.6g}; loosen `rtol` and `atol`, or bound the law."
        )
    return Grid(tableau, knots[:-1], np.diff(knots).tolist(), saves_of(tableau, t, np.array(knots)))
