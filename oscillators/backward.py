"""The compiled discrete adjoint as an autograd function: blocks of members, segments of steps, and what autograd is told."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oscillators.coupling import Compiled, Coupling, Dense, Diffusive
from oscillators.engine import BLOCK, BLOCK_STATE, cores
from oscillators.flow import Grid
from oscillators.history import History
from oscillators.loops import Network, Work, ready
from oscillators.reverse import (
    DELAYED_RECORD,
    DELAYED_REVERSE,
    RECORD,
    REVERSE,
    Bars,
    Saves,
    Tape,
    Transposed,
    record,
    reverse,
)
from oscillators.reverse_history import PastBars
from oscillators.tensors import with_tensors

TAPE_BYTES = 1 << 27  # that may wait for the run backward; a longer run is recorded again, segment by segment
SEGMENT_WORK = 3e8  # multiplications in a segment at most: an interrupt waits for its end


@dataclass(frozen=True)
class Job:
    """A network and its steps as the compiled loops take them; all members take the same steps."""

    kernels: tuple[Any, ...]
    vjps: tuple[Any, ...]
    network: Network  # without parameters and drive
    back: Compiled  # Kᵀ
    operator: Coupling  # on tensors, whose gradient the tape gives
    diffusive: bool
    nodes: tuple[int, ...]
    width: int
    grid: Grid
    rings: Rings | None = None  # of a delayed network

    @property
    def by_link(self) -> bool:
        """Whether links with delays of their own take the place of the operator."""
        return self.rings is not None and len(self.rings.starts) > 0

    def blocks(self, x: np.ndarray) -> list[slice]:
        """Members that are stepped together."""
        size = 1 if self.rings else int(np.clip(BLOCK_STATE // x[0].size, 1, BLOCK))
        return [slice(lo, min(lo + size, len(x))) for lo in range(0, len(x), size)]

    def segments(self, x: np.ndarray) -> list[slice]:
        """Steps that are recorded at a time; a single segment if the tape of the whole run may wait."""
        steps, stages, n = self.grid.steps, len(self.grid.tableau.b), x.shape[2]
        if self.rings is not None:  # they hold every knot of the run
            return [slice(0, steps)]
        per_step = 8 * (stages * (x.size + 2 * len(x) * self.width * n) + x.size)
        multiplications = stages * len(x) * (40 * x[0].size + self.width * self.network.weight.shape[1])
        length = max(math.isqrt(steps) + 1, TAPE_BYTES // per_step)
        length = max(1, min(length, int(SEGMENT_WORK / multiplications)))
        return [slice(max(0, hi - length), hi) for hi in range(steps, 0, -length)][::-1]


@dataclass(frozen=True)
class Rings:
    """Where the knots of a whole delayed run are kept, for one member: see `oscillators.history`."""

    starts: np.ndarray  # int32 CSR rows of the links; empty: delays are per sender
    source: np.ndarray  # int32
    times: np.ndarray  # of all knots
    first: int  # knots that come from the history

    def history(self, past: PastInputs, member: int) -> History:
        m, n = past.g.shape[-2:]
        slots = 1 << int(np.ceil(np.log2(len(self.times) + 1)))
        values = np.zeros((n, slots, 2, m))
        values[:, : self.first, 0] = past.g[:, member].transpose(2, 0, 1)
        values[:, : self.first, 1] = past.dg[:, member].transpose(2, 0, 1)
        knots = np.zeros(slots)
        knots[: self.first] = self.times[: self.first]
        return History(
            past.tau, np.zeros(len(past.tau), np.int64), self.starts, self.source,
            past.weight[min(member, len(past.weight) - 1)], np.arange(n) * (slots * 2 * m), np.full(n, slots - 1),
            values.reshape(-1), knots, np.array([self.first - 1]),
        )  # fmt: skip


class PastInputs(NamedTuple):
    """What a delayed run depends on besides its state: arrays, tensors, or their cotangents."""

    tau: Any  # (N,) per sender, or (E,) per link
    weight: Any  # (1 or members, E)
    g: Any  # (knots, members, m, N) of the history
    dg: Any


class Pass:
    """One run of one block of members, forward and backward."""

    def __init__(
        self, job: Job, network: Network, x: np.ndarray, block: slice, segments: list[slice], past: PastInputs | None
    ):
        self.job, self.network, self.block, self.segments, self.past = job, network, block, segments, past
        self.shape = x[block].shape
        self.starts, self.sizes, self.saves = _laid_out(job.grid)
        self.checkpoints: list[np.ndarray] = []
        self.tape: Tape | None = None
        self.history: History | None = None
        self.none = np.empty((0, 0))  # the tape has the room that other loops find in their scratch

    def forward(self, x: np.ndarray, out: np.ndarray) -> None:
        """Fill out (saves, members, d, N)."""
        state = x[self.block].copy()
        for segment in self.segments:
            self.checkpoints.append(state.copy())
            rows, found = self._record(segment, state)
            out[rows, self.block] = found

    def _record(self, segment: slice, state: np.ndarray) -> tuple[slice, np.ndarray]:
        rows, saves = self._saves(segment)
        steps = segment.stop - segment.start
        if self.tape is None or len(self.tape.y) < steps:
            self.tape = self._new_tape(steps, len(self.saves.step))
        out = np.empty((len(saves.step), *self.shape))
        job, stages = self.job, len(self.job.grid.tableau.b)
        m, n = job.width * self.shape[0], self.shape[2]
        work = Work(np.empty(self.shape), self.none, self.none, self.none, np.empty((stages, *self.shape)))
        if self.past is not None:
            assert job.rings is not None
            self.history = job.rings.history(self.past, self.block.start)
            work = work._replace(h=np.empty((m, n)))
        ready(record, RECORD if self.past is None else DELAYED_RECORD)(
            *job.kernels, job.grid.semi_implicit, job.grid.tableau, self.network, self.history, self.block.start, state, work,
            self.starts[segment], self.sizes[segment], segment.start, saves, self.tape, out,
        )  # fmt: skip
        return rows, out

    def backward(self, outbar: np.ndarray, collect: Callable[[Tape, slice], None]) -> tuple[Bars, PastBars | None]:
        """Cotangents of the initial state, the parameters and the past; `collect` sees the tape of each segment."""
        job, stages = self.job, len(self.job.grid.tableau.b)
        m, n = job.width * self.shape[0], self.shape[2]
        count = self.network.params.shape[1]
        bars = Bars(
            np.zeros(self.shape), np.empty(self.shape), np.empty((stages, *self.shape)), np.empty((m, n)),
            np.empty((m, n)), np.zeros((self.shape[0], count, n)),
        )  # fmt: skip
        before: PastBars | None = None
        for segment, state in zip(reversed(self.segments), reversed(self.checkpoints), strict=True):
            if self.tape is None or segment is not self.segments[-1]:  # the forward pass left the tape of the last one
                self._record(segment, state.copy())
            assert self.tape is not None
            rows, saves = self._saves(segment)
            if self.history is not None:
                before = PastBars(*map(np.zeros_like, (self.history.values, self.history.tau, self.history.weight)))
            transposed = Transposed(job.back.meta, job.back.where, job.back.weight)
            ready(reverse, REVERSE if self.past is None else DELAYED_REVERSE)(
                *job.vjps, job.grid.semi_implicit, job.grid.tableau, self.network, transposed, self.history, before,
                self.block.start, self.starts[segment], self.sizes[segment], segment.start, saves,
                self.tape, np.array(outbar[rows, self.block]), bars,
            )  # fmt: skip
            collect(self.tape, segment)
        self.tape = None  # its fields are spent
        return bars, before

    def _saves(self, segment: slice) -> tuple[slice, Saves]:
        lo, hi = np.searchsorted(self.saves.step, [segment.start, segment.stop])
        return slice(lo, hi), Saves(*(part[lo:hi] for part in self.saves))

    def _new_tape(self, steps: int, saves: int) -> Tape:
        members, _, n = self.shape
        stages, m = len(self.job.grid.tableau.b), self.job.width
        inside = saves if self.saves.inside.any() else 0
        return Tape(
            np.empty((steps, stages, *self.shape)), np.empty((steps, stages, members * m, n)),
            np.empty((steps, stages, members * m, n)), np.empty((steps, *self.shape)), np.empty((inside, *self.shape)),
            np.empty((steps, stages, m, n) if self.past else (0, 0, 0, 0)),
        )  # fmt: skip


def _laid_out(grid: Grid) -> tuple[np.ndarray, np.ndarray, Saves]:
    """Starts and sizes of the steps, and the saves in them."""
    step = np.array([k for k, found in grid.saves.items() for _ in found], np.int64)
    weights = [w for found in grid.saves.values() for w in found]
    inside = np.array([w is not None for w in weights], np.int64)
    b = grid.tableau.b
    stacked = np.array([b if w is None else w for w in weights], np.float64).reshape(len(step), len(b))
    return np.array(grid.starts), np.array(grid.sizes), Saves(step, inside, stacked)


class CompiledRun(torch.autograd.Function):
    """Saved states (saves, members, d, N) from x (members, d, N), params (1 or members, P, N), drive (rows, 1 or members,
    m, N), what a delayed run depends on (or four times None), and the tensors of the coupling."""

    @staticmethod
    def forward(ctx: Any, job: Job, x: Tensor, params: Tensor, drive: Tensor, *inputs: Any) -> Tensor:
        network = job.network._replace(params=_numbers(params), drive=_numbers(drive))
        past = None if job.rings is None else PastInputs(*map(_numbers, inputs[:4]))
        start = _numbers(x)
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
        job, outbar = ctx.job, _numbers(grads[0])
        bars: list[Any] = [None if value is None else torch.zeros_like(value) for value in ctx.saved_tensors]
        xbar, paramsbar, drivebar, *pastbars = bars[:7]
        weights = ctx.saved_tensors[7:]
        lock = threading.Lock()

        def one(run: Pass) -> None:
            def collect(tape: Tape, segment: slice) -> None:
                steps = segment.stop - segment.start
                found = _weight_bars(job, weights, tape, steps) if weights else []
                with lock:
                    for bar, part in zip(bars[7:], found, strict=True):
                        bar += part
                    _add_drive(drivebar, torch.from_numpy(tape.h[:steps]), run.block, segment)

            here, before = run.backward(outbar, collect)
            xbar[run.block] = torch.from_numpy(here.x)
            with lock:
                _add(paramsbar, torch.from_numpy(here.params), run.block)
                if before is not None:
                    _add_past(PastInputs(*pastbars), before, run.block.start)

        _share(ctx.passes, one)
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


def _add_drive(bar: Tensor, h: Tensor, block: slice, segment: slice) -> None:
    """∂L/∂c from the cotangents of the fields, h (steps, stages, B m, N)."""
    rows, members, m, n = bar.shape
    if not rows:
        return
    steps, stages = h.shape[:2]
    h = h.reshape(steps, stages, -1, m, n)
    if members == 1:
        h = h.sum(dim=2, keepdim=True)
    where = slice(None) if members == 1 else block
    if rows == 1:
        bar[0, where] += h.sum(dim=(0, 1))
    else:  # one row for each stage of each step
        bar[segment.start * stages : segment.stop * stages, where] += h.reshape(-1, *h.shape[2:])


def _weight_bars(job: Job, weights: tuple[Tensor, ...], tape: Tape, steps: int) -> list[Tensor]:
    """∂L/∂K from what was shown and the cotangent of what was felt; stages and members count as components."""
    n = tape.h.shape[-1]
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
    found = torch.autograd.grad(field, leaves, h, allow_unused=True)
    return [torch.zeros_like(w) if part is None else part.to(w.dtype) for w, part in zip(weights, found, strict=True)]


def _share(passes: list[Pass], work: Callable[[Pass], None]) -> None:
    workers = min(len(passes), cores(), torch.get_num_threads())
    if workers == 1:
        for one in passes:
            work(one)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, passes))


def _numbers(tensor: Tensor) -> np.ndarray:
    return np.require(tensor.detach().numpy(), requirements=["C", "W"])
