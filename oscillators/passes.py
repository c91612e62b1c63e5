"""One run of one block of members through the compiled loops, forward and backward, on a tape."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from oscillators.coupling import Compiled, Coupling
from oscillators.engine import BLOCK
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

BLOCK_STATE = 1 << 11  # most numbers in the states of a block: its products are large, and it is one of several
TAPE_BYTES = 1 << 27  # that may wait for the run backward; a longer run is recorded again, segment by segment
CACHED_BYTES = 1 << 21  # of a tape that is recorded again: it stays in the second cache
SEGMENT_WORK = 2e9  # multiplications in a segment at most: an interrupt waits for its end


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
    pointwise: bool  # whether members may lie side by side, as one network of so many times the nodes
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

    def tape_bytes(self, x: np.ndarray) -> int:
        """Of the tape of one step of these members."""
        shown = 2 * len(x) * self.width * x.shape[2]
        return 8 * (len(self.grid.tableau.b) * (x.size + shown) + x.size)

    def keeps(self, x: np.ndarray) -> bool:
        """Whether the tapes of all members may wait for the run backward."""
        return self.rings is not None or self.grid.steps * self.tape_bytes(x) <= TAPE_BYTES

    def segments(self, x: np.ndarray) -> list[slice]:
        """Steps that are recorded at a time."""
        steps, block = self.grid.steps, x[self.blocks(x)[0]]
        if self.rings is not None:  # they hold every knot of the run
            return [slice(0, steps)]
        again = max(math.isqrt(steps) + 1, CACHED_BYTES // self.tape_bytes(block))
        per_member = 40 * x[0].size + self.width * self.network.weight.shape[1]
        most = int(SEGMENT_WORK / (len(self.grid.tableau.b) * len(block) * per_member))
        length = max(1, min(steps if self.keeps(x) else again, most))
        return [slice(lo, min(lo + length, steps)) for lo in range(0, steps, length)]


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
        members, beside = block.stop - block.start, job.pointwise and past is None and len(network.drive) <= 1
        self.job, self.block, self.segments, self.past = job, block, segments, past
        self.side = members if beside else 1  # members that lie side by side
        self.network = self._beside(network) if beside else network
        self.shape = _joined(x[block], self.side).shape
        self.record = ready(record, RECORD if past is None else DELAYED_RECORD)
        self.reverse = ready(reverse, REVERSE if past is None else DELAYED_REVERSE)
        self.starts, self.sizes, self.saves = _laid_out(job.grid)
        self.keeps = job.keeps(x)
        self.checkpoints: list[np.ndarray] = []
        self.tapes: dict[int, Tape] = {}  # of the segments last recorded, all of them or one, by their first step
        self.history: History | None = None
        self.none = np.empty((0, 0))  # the tape has the room that other loops find in their scratch

    def forward(self, x: np.ndarray, out: np.ndarray) -> None:
        """Fill out (saves, members, d, N)."""
        state = np.array(_joined(x[self.block], self.side))
        for segment in self.segments:
            self.checkpoints.append(state.copy())
            spent = self.tapes.popitem()[1] if self.tapes and not self.keeps else None
            rows, found = self._record(segment, state, spent)
            out[rows, self.block] = self.apart(found)

    def _record(self, segment: slice, state: np.ndarray, spent: Tape | None) -> tuple[slice, np.ndarray]:
        """Record a segment, on the memory of a spent tape if there is one."""
        rows, saves = self._saves(segment)
        tape = spent or self._new_tape(self.segments[0].stop, len(self.saves.step))  # the first is the longest
        self.tapes[segment.start] = tape
        out = np.empty((len(saves.step), *self.shape))
        job, stages = self.job, len(self.job.grid.tableau.b)
        m, n = job.width * self.shape[0], self.shape[2]
        work = Work(np.empty(self.shape), self.none, self.none, self.none, np.empty((stages, *self.shape)))
        if self.past is not None:
            assert job.rings is not None
            self.history = job.rings.history(self.past, self.block.start)
            work = work._replace(h=np.empty((m, n)))
        self.record(
            *job.kernels, job.grid.semi_implicit, job.grid.tableau, self.network, self.history, self.block.start, state, work,
            self.starts[segment], self.sizes[segment], segment.start, saves, tape, out,
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
        tape: Tape | None = None
        for segment, state in zip(reversed(self.segments), reversed(self.checkpoints), strict=True):
            if segment.start not in self.tapes:  # not kept, or spent by an earlier run backward
                self._record(segment, state.copy(), tape)
            tape = self.tapes.pop(segment.start)
            rows, saves = self._saves(segment)
            if self.history is not None:
                before = PastBars(*map(np.zeros_like, (self.history.values, self.history.tau, self.history.weight)))
            transposed = Transposed(job.back.meta, job.back.where, job.back.weight)
            self.reverse(
                *job.vjps, job.grid.semi_implicit, job.grid.tableau, self.network, transposed, self.history, before,
                self.block.start, self.starts[segment], self.sizes[segment], segment.start, saves,
                tape, np.array(_joined(outbar[rows, self.block], self.side)), bars,
            )  # fmt: skip
            collect(tape, segment)
        return bars._replace(x=self.apart(bars.x), params=self.apart(bars.params)), before

    def _beside(self, network: Network) -> Network:
        """The network of all members of the block."""
        params, drive, degree = network.params, network.drive, network.degree[:, None]
        params, drive, degree = (self._own(a) for a in (params, drive, degree))
        return network._replace(params=params, drive=drive, degree=degree[:, 0])

    def _own(self, a: np.ndarray) -> np.ndarray:
        """Arrays (..., 0, 1 or members, c, N) of the members of the block, side by side."""
        if a.shape[-3] == 0:
            return np.empty((*a.shape[:-1], a.shape[-1] * self.side))
        here = a[..., self.block, :, :] if a.shape[-3] > 1 else np.repeat(a, self.side, axis=-3)
        return np.ascontiguousarray(_joined(here, self.side))

    def apart(self, a: np.ndarray) -> np.ndarray:
        """Arrays (..., members, c, N) of members that lie side by side."""
        *lead, blocks, c, n = a.shape
        n //= self.side
        parts = a.reshape(*lead, blocks, c, self.side, n).swapaxes(-3, -2)
        return parts.reshape(*lead, blocks * self.side, c, n)

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


def _joined(a: np.ndarray, side: int) -> np.ndarray:
    """Arrays (..., members, c, N) with so many members side by side, (..., members / side, c, side N)."""
    *lead, members, c, n = a.shape
    return a.reshape(*lead, members // side, side, c, n).swapaxes(-3, -2).reshape(*lead, members // side, c, side * n)


def _laid_out(grid: Grid) -> tuple[np.ndarray, np.ndarray, Saves]:
    """Starts and sizes of the steps, and the saves in them."""
    step = np.array([k for k, found in grid.saves.items() for _ in found], np.int64)
    weights = [w for found in grid.saves.values() for w in found]
    inside = np.array([w is not None for w in weights], np.int64)
    b = grid.tableau.b
    stacked = np.array([b if w is None else w for w in weights], np.float64).reshape(len(step), len(b))
    return np.array(grid.starts), np.array(grid.sizes), Saves(step, inside, stacked)
