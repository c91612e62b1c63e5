"""The compiled discrete adjoint as an autograd function: blocks of members, segments of steps, and what autograd is told."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oscillators.coupling import Compiled, Coupling, Dense
from oscillators.engine import BLOCK, BLOCK_STATE, cores
from oscillators.flow import Grid
from oscillators.loops import Network, Work, ready
from oscillators.reverse import RECORD, REVERSE, Bars, Saves, Tape, record, reverse
from oscillators.tensors import with_tensors

TAPE_BYTES = 1 << 26  # that may wait for the run backward; a longer run is recorded again, segment by segment
SEGMENT_WORK = 3e8  # multiplications in a segment at most: an interrupt waits for its end


@dataclass(frozen=True)
class Job:
    """A network and its steps as the compiled loops take them; all members take the same steps."""

    kernels: tuple[Any, ...]
    vjps: tuple[Any, ...]
    network: Network  # without parameters and drive
    back: Compiled  # Kᵀ
    coupling: Coupling  # the tensors whose gradient the tape gives
    nodes: tuple[int, ...]
    width: int
    grid: Grid

    def blocks(self, x: np.ndarray) -> list[slice]:
        """Members that are stepped together."""
        size = int(np.clip(BLOCK_STATE // x[0].size, 1, BLOCK))
        return [slice(lo, min(lo + size, len(x))) for lo in range(0, len(x), size)]

    def segments(self, x: np.ndarray) -> list[slice]:
        """Steps that are recorded at a time; a single segment if the tape of the whole run may wait."""
        steps, stages, n = self.grid.steps, len(self.grid.tableau.b), x.shape[2]
        per_step = 8 * (stages * (x.size + 2 * len(x) * self.width * n) + x.size)
        multiplications = stages * len(x) * (40 * x[0].size + self.width * self.network.weight.shape[1])
        length = max(math.isqrt(steps) + 1, TAPE_BYTES // per_step)
        length = max(1, min(length, int(SEGMENT_WORK / multiplications)))
        return [slice(lo, min(lo + length, steps)) for lo in range(0, steps, length)]


class Pass:
    """One run of one block of members, forward and backward."""

    def __init__(self, job: Job, network: Network, x: np.ndarray, block: slice, segments: list[slice]):
        self.job, self.network, self.block, self.segments = job, network, block, segments
        self.shape = x[block].shape
        self.starts, self.sizes, self.saves = _laid_out(job.grid)
        self.checkpoints: list[np.ndarray] = []
        self.tape: Tape | None = None
        self.none = np.empty((0, 0))  # the tape has the room that other loops find in their scratch

    def forward(self, x: np.ndarray, out: np.ndarray) -> None:
        """Fill out (saves, members, d, N)."""
        state = x[self.block].copy()
        for segment in self.segments:
            self.checkpoints.append(state.copy())
            rows, found = self._record(segment, state)
            out[rows, self.block] = found
        if len(self.segments) > 1:
            self.tape = None  # what is left of it would only wait

    def _record(self, segment: slice, state: np.ndarray) -> tuple[slice, np.ndarray]:
        rows, saves = self._saves(segment)
        steps = segment.stop - segment.start
        if self.tape is None or len(self.tape.y) < steps:
            self.tape = self._new_tape(steps, len(self.saves.step))
        out = np.empty((len(saves.step), *self.shape))
        job, stages = self.job, len(self.job.grid.tableau.b)
        work = Work(np.empty(self.shape), self.none, self.none, self.none, np.empty((stages, *self.shape)))
        ready(record, RECORD)(
            *job.kernels, job.grid.semi_implicit, job.grid.tableau, self.network, self.block.start, state, work,
            self.starts[segment], self.sizes[segment], segment.start, saves, self.tape, out,
        )  # fmt: skip
        return rows, out

    def backward(self, outbar: np.ndarray, collect: Callable[[Tape, slice], None]) -> Bars:
        """Cotangents of the initial state and the parameters; `collect` sees the tape of each segment."""
        job, stages = self.job, len(self.job.grid.tableau.b)
        m, n = job.width * self.shape[0], self.shape[2]
        count = self.network.params.shape[1]
        bars = Bars(
            np.zeros(self.shape), np.empty(self.shape), np.empty((stages, *self.shape)), np.empty((m, n)),
            np.empty((m, n)), np.zeros((self.shape[0], count, n)),
        )  # fmt: skip
        for segment, state in zip(reversed(self.segments), reversed(self.checkpoints), strict=True):
            if self.tape is None or len(self.segments) > 1:
                self._record(segment, state.copy())
            assert self.tape is not None
            rows, saves = self._saves(segment)
            ready(reverse, REVERSE)(
                *job.vjps, job.grid.semi_implicit, job.grid.tableau, self.network, job.back.meta, job.back.where,
                job.back.weight, self.block.start, self.starts[segment], self.sizes[segment], segment.start, saves,
                self.tape, np.array(outbar[rows, self.block]), bars,
            )  # fmt: skip
            collect(self.tape, segment)
        self.tape = None  # its fields are spent
        return bars

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
    """x (members, d, N), params (1 or members, P, N), drive (rows, 1 or members, m, N) and tensors of the coupling ->
    saved states (saves, members, d, N)."""

    @staticmethod
    def forward(ctx: Any, job: Job, x: Tensor, params: Tensor, drive: Tensor, *weights: Tensor) -> Tensor:
        network = job.network._replace(params=_numbers(params), drive=_numbers(drive))
        start = _numbers(x)
        segments = job.segments(start)
        passes = [Pass(job, network, start, block, segments) for block in job.blocks(start)]
        out = np.empty((sum(map(len, job.grid.saves.values())), *start.shape))
        _share(passes, lambda one: one.forward(start, out))
        ctx.job, ctx.passes, ctx.shapes = job, passes, (x.shape, params.shape, drive.shape)
        ctx.save_for_backward(*weights)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        job, weights, outbar = ctx.job, ctx.saved_tensors, _numbers(grads[0])
        shape, params_shape, drive_shape = ctx.shapes
        xbar, paramsbar = torch.zeros(shape, dtype=torch.float64), torch.zeros(params_shape, dtype=torch.float64)
        drivebar = torch.zeros(drive_shape, dtype=torch.float64)
        weightbars = [torch.zeros_like(w) for w in weights]
        lock = threading.Lock()

        def one(run: Pass) -> None:
            def collect(tape: Tape, segment: slice) -> None:
                g, h = (torch.from_numpy(a[: segment.stop - segment.start]) for a in (tape.g, tape.h))
                found = _weight_bars(job, weights, g, h) if weights else []
                with lock:
                    for bar, part in zip(weightbars, found, strict=True):
                        bar += part
                    _add_drive(drivebar, h, run.block, segment)

            bars = run.backward(outbar, collect)
            xbar[run.block] = torch.from_numpy(bars.x)
            here = torch.from_numpy(bars.params)
            with lock:
                if len(paramsbar) > 1:
                    paramsbar[run.block] += here
                else:
                    paramsbar.add_(here.sum(dim=0, keepdim=True))

        _share(ctx.passes, one)
        return None, xbar, paramsbar, drivebar, *weightbars


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


def _weight_bars(job: Job, weights: tuple[Tensor, ...], g: Tensor, h: Tensor) -> list[Tensor]:
    """∂L/∂K from what was shown, g, and the cotangent of what was felt, h: stages and members count as components."""
    g, h = g.reshape(-1, g.shape[-1]), h.reshape(-1, h.shape[-1])
    if isinstance(job.coupling, Dense):
        return [(h.mT @ g).to(weights[0].dtype)]
    leaves = [w.detach().double().requires_grad_() for w in weights]
    g, h = (a.mT.reshape(*job.nodes, -1) for a in (g, h))
    with torch.enable_grad():
        field = with_tensors(job.coupling, iter(leaves)).field(g)
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
