"""The compiled discrete adjoint as an autograd function: what autograd is told of the passes of all blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oscillators.coupling import Dense, Diffusive
from oscillators.engine import cores
from oscillators.passes import Job, Pass, PastInputs
from oscillators.reverse import Bars, Tape
from oscillators.reverse_history import PastBars
from oscillators.tensors import memory, with_tensors


class CompiledRun(torch.autograd.Function):
    """Saved states (saves, members, d, N) from x (members, d, N), params (1 or members, P, N), drive (rows, 1 or members,
    m, N), what a delayed run depends on (or four times None), and the tensors of the coupling."""

    @staticmethod
    def forward(ctx: Any, job: Job, x: Tensor, params: Tensor, drive: Tensor, *inputs: Any) -> Tensor:
        start, own, driven = memory(x, params, drive)
        network = job.network._replace(params=own, drive=driven)
        past = None if job.rings is None else PastInputs(*memory(*inputs[:4]))
        segments = job.segments(start)
        passes = [Pass(job, network, start, block, segments, past) for block in job.blocks(start)]
        out = np.empty((sum(map(len, job.grid.saves.values())), *start.shape))
        _share(passes, lambda one: one.forward(start, out))
        ctx.job, ctx.passes = job, passes
        ctx.save_for_backward(x, params, drive, *inputs)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        job, (outbar,) = ctx.job, memory(grads[0])
        bars: list[Any] = [None if value is None else torch.zeros_like(value) for value in ctx.saved_tensors]
        xbar, paramsbar, drivebar, *pastbars = bars[:7]
        weights = ctx.saved_tensors[7:]
        together = drivebar.shape[1] == 1  # one drive for all members

        def one(run: Pass) -> tuple[list[Tensor], Tensor, Bars, PastBars | None]:
            found = [torch.zeros_like(weight) for weight in weights]
            drive = torch.zeros_like(drivebar) if together else drivebar

            def collect(tape: Tape, segment: slice) -> None:
                steps = segment.stop - segment.start
                for bar, part in zip(found, _weight_bars(job, weights, tape, steps) if weights else [], strict=True):
                    bar += part
                _add_drive(drive, run, tape.h[:steps], segment)

            return found, drive, *run.backward(outbar, collect)

        # Added in the order of the members, whichever thread came first: the same bits every time.
        for run, (found, drive, here, before) in zip(ctx.passes, _share(ctx.passes, one), strict=True):
            for bar, part in zip(bars[7:], found, strict=True):
                bar += part
            if together:
                drivebar += drive
            xbar[run.block] = torch.from_numpy(here.x)
            _add(paramsbar, torch.from_numpy(here.params), run.block)
            if before is not None:
                _add_past(PastInputs(*pastbars), before, run.block.start)
        return None, *bars


def _add(bar: Tensor, part: Tensor, block: slice) -> None:
    """Add the cotangents of a block of members to those of each member, or of all."""
    if len(bar) > 1:
        bar[block] += part
    else:
        bar += part.sum(dim=0, keepdim=True)


def _add_past(bars: PastInputs, part: PastBars, member: int) -> None:
    bars.tau.add_(torch.from_numpy(part.tau))
    _add(bars.weight, torch.from_numpy(part.weight)[None], slice(member, member + 1))
    knots, _, m, n = bars.g.shape
    rings = torch.from_numpy(part.values).reshape(n, -1, 2, m)[:, :knots].movedim(0, -1)  # (knots, 2, m, N)
    bars.g[:, member] += rings[:, 0]
    bars.dg[:, member] += rings[:, 1]


def _add_drive(bar: Tensor, run: Pass, fields: np.ndarray, segment: slice) -> None:
    """∂L/∂c from the cotangents of the fields, (steps, stages, members m, N) with members as they lie."""
    rows, members, m, _ = bar.shape
    if not rows:
        return
    stages, n = fields.shape[1], fields.shape[-1]
    h = torch.from_numpy(run.apart(fields.reshape(len(fields), stages, -1, m, n)))
    if members == 1:
        h = h.sum(dim=2, keepdim=True)
    where = slice(None) if members == 1 else run.block
    if rows == 1:
        bar[0, where] += h.sum(dim=(0, 1))
    else:  # one row for each stage of each step
        bar[segment.start * stages : segment.stop * stages, where] += h.reshape(-1, *h.shape[2:])


def _weight_bars(job: Job, weights: tuple[Tensor, ...], tape: Tape, steps: int) -> list[Tensor]:
    """∂L/∂K from what was shown and the cotangent of what was felt; stages and members count as components."""
    n = math.prod(job.nodes)
    shown = tape.g if job.rings is None else tape.past
    g, seen, h = (torch.from_numpy(a[:steps]).reshape(-1, n) for a in (tape.g, shown, tape.h))
    if isinstance(job.operator, Dense) and not job.diffusive and not job.by_link:
        return [(h.mT @ seen).to(weights[0].dtype)]
    leaves = [w.detach().double().requires_grad_() for w in weights]
    g, seen, h = (a.mT.reshape(*job.nodes, -1) for a in (g, seen, h))
    with torch.enable_grad():
        operator = with_tensors(job.operator, iter(leaves))
        field = torch.zeros_like(h) if job.by_link else operator.field(seen)
        if job.diffusive:
            field = field - Diffusive(operator).degree(g) * g
    if not field.requires_grad:
        return [torch.zeros_like(w) for w in weights]
    found = torch.autograd.grad(field, leaves, h.expand_as(field), allow_unused=True)
    return [torch.zeros_like(w) if part is None else part.to(w.dtype) for w, part in zip(weights, found, strict=True)]


def _share(passes: list[Pass], work: Callable[[Pass], Any]) -> list[Any]:
    """What `work` returns for each pass, in order."""
    workers = min(len(passes), cores(), torch.get_num_threads())
    if workers == 1:
        return [work(one) for one in passes]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, passes))
