"""Runs the compiled loops over all members: chunks, threads, saved states.

Loops run in chunks of about a tenth of a second, so that an interrupt or a progress bar never waits longer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context
from dataclasses import dataclass

import numpy as np

from oscillators import adaptive
from oscillators.adaptive import ADAPTIVE_STEPS, adaptive_steps
from oscillators.fixed import DELAYED_STEPS, FIXED_STEPS, fixed_steps
from oscillators.loops import OK, Fate, Network, Work, ready
from oscillators.methods import Tableau
from oscillators.problem import Problem
from oscillators.system import projects

CHUNK_SECONDS = 0.1
BLOCK = 64  # most members that take fixed steps together
BLOCK_STATE = 1 << 12  # most numbers in the states of a block
BUFFER_BYTES = 1 << 24  # of saved states, or of stage drives, that a chunk may hold
STOP: ContextVar[threading.Event | None] = ContextVar("STOP", default=None)  # ends all runs of a thread


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def schedule(t: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps in each interval between saves, at most dt long and of equal length, so that every save is a step's end."""
    steps = np.maximum(1, np.ceil(np.diff(t) / dt - 1e-9)).astype(np.int64)
    return steps, np.diff(t) / steps


Sink = Callable[[slice, int, np.ndarray], None]  # (members, index of the first save, states (saves, members, d, N))


@dataclass
class Run:
    """One integration under way: what to do, where results go, what became of each member."""

    problem: Problem
    t: np.ndarray
    sink: Sink
    tableau: Tableau
    dt: float | None = None  # None: adaptive
    semi_implicit: bool = False
    rtol: float = 0.0
    atol: float = 0.0
    seed: int | None = None
    tick: Callable[[float], None] | None = None  # called with the work done since the last call, 0 ... 1 per member

    def __post_init__(self):
        members = self.problem.members
        self.status = np.zeros(members, np.int64)
        self.stopped_at = np.full(members, np.nan)
        self.node = np.full(members, -1, np.int64)
        self.counts = np.zeros((members, 2), np.int64)
        self.done = np.zeros(members, bool)
        self.outer = STOP.get()
        self.stop = self.outer or threading.Event()

    def go(self) -> bool:
        """Integrate all members; False if interrupted, CancelledError if the sweep that it belongs to ends."""
        blocks = self._blocks()
        work = self._adaptive if self.dt is None else self._fixed
        python = self.problem.callbacks is not None
        workers = 1 if python else min(len(blocks), cores())
        try:
            if workers == 1 and not python:
                for block in blocks:
                    work(block)
            else:  # Python kernels too run beside the main thread: an interrupt must not fall into a compiled loop
                self._share(work, blocks, workers)
        except KeyboardInterrupt:
            return False
        if self.outer is not None and self.outer.is_set():
            raise CancelledError
        return True

    def _share(self, work: Callable[[slice], None], blocks: list[slice], workers: int) -> None:
        with ThreadPoolExecutor(workers) as pool:
            # with the caller's context: NumPy keeps there how it treats overflow, which a law in Python may meet
            pending = {pool.submit(copy_context().run, work, block) for block in blocks}
            try:
                while pending:
                    finished, pending = wait(pending, timeout=CHUNK_SECONDS)
                    for future in finished:
                        future.result()
            except BaseException:
                self.stop.set()
                raise

    def _blocks(self) -> list[slice]:
        p = self.problem
        alone = self.dt is None or p.past or p.callbacks or len(p.network.weight) > 1
        size = 1 if alone else int(np.clip(BLOCK_STATE // p.x0[0].size, 1, BLOCK))
        size = min(size, -(-p.members // cores()))
        return [slice(lo, min(lo + size, p.members)) for lo in range(0, p.members, size)]

    def _work(self, members: int) -> Work:
        p, stages = self.problem, len(self.tableau.b)
        d, n = p.x0.shape[1:]
        return Work(
            np.empty((members, d, n)), np.empty((members * p.width, n)), np.empty((members * p.width, n)),
            np.empty((p.width, n)), np.zeros((stages, members, d, n)),
        )  # fmt: skip

    def _fate(self, block: slice) -> Fate:
        return Fate(self.status[block], self.stopped_at[block], self.node[block], self.counts[block])

    def _network(self, times: np.ndarray | None) -> Network:
        """The network with its drive at the given stage times, if the drive moves."""
        p = self.problem
        if p.drive is None or times is None:
            return p.network
        return p.network._replace(drive=np.stack([p.drive(float(t)) for t in times]))

    def _first_chunk(self, members: int) -> int:
        p = self.problem
        work = members * p.x0[0].size * 20 + p.network.weight.shape[1] + (100_000 if p.callbacks else 0)
        return max(1, int(2e7 / (work * len(self.tableau.b))))

    def _fixed(self, block: slice) -> None:
        p, t = self.problem, self.t
        assert self.dt is not None
        x = p.x0[block].copy()
        members, d, n = x.shape
        counts, sizes = schedule(t, self.dt)
        ends = np.concatenate([[0], np.cumsum(counts)])
        history = p.past.start(block.start, t[0], sizes.min(), sizes.max()) if p.past else None
        if p.callbacks:
            p.callbacks.activate(block.start)
        work, fate = self._work(members), self._fate(block)
        streams = self._streams(block) if len(p.network.noise) else []
        row_bytes = members * d * n * 8
        per_step = max(1, len(streams) and 1, len(self.tableau.b) if p.drive else 0)
        limit = max(1, BUFFER_BYTES // (row_bytes * per_step))
        out = np.empty((0, members, d, n))
        k, total, chunk = 0, int(ends[-1]), self._first_chunk(members)
        while k < total and not self.stop.is_set() and not (self.status[block] != OK).all():
            chunk = min(chunk, limit, total - k)
            start, size, rows, first = _steps(t, sizes, ends, k, k + chunk)
            count = int(rows.max()) + 1  # saves in this chunk
            if count > len(out):
                out = np.empty((count, members, d, n))
            kicks = _kicks(streams, size, d, n)
            times = (start[:, None] + size[:, None] * self.tableau.c).ravel() if p.drive else None
            network = self._network(times)
            begin = time.perf_counter()
            ready(fixed_steps, DELAYED_STEPS if p.past else FIXED_STEPS)(
                *p.kernels, self.semi_implicit, self.tableau, network, history, block.start, x, work,
                start, size, rows, kicks, out, fate,
            )  # fmt: skip
            spent = time.perf_counter() - begin
            self.sink(block, first, out[:count])
            if self.tick:
                self.tick(chunk / total * members)
            k, chunk = k + chunk, _next_chunk(chunk, spent)
        self.done[block] = (self.status[block] != OK) | (k == total)

    def _streams(self, block: slice) -> list[np.random.Generator]:
        """A stream of normal numbers per member, whatever block, chunk or thread it runs in."""
        keys = (np.random.SeedSequence(self.seed, spawn_key=(m,)) for m in range(block.start, block.stop))
        return [np.random.Generator(np.random.Philox(key)) for key in keys]

    def _adaptive(self, block: slice) -> None:
        p, t, member = self.problem, self.t, block.start
        x = p.x0[block].copy()
        work, trial, fate = self._work(1), np.empty_like(x), self._fate(block)
        if p.callbacks:
            p.callbacks.activate(member)
        rows = max(1, min(len(t) - 1, BUFFER_BYTES // x.nbytes))
        out = np.empty((rows, *x.shape))
        clock = np.array([t[0], 0.0, 1e-4, 1.0])
        first, given = 1, 0  # index of the save in out[0]; rows of out that the sink has
        attempts = 0 if p.drive else self._first_chunk(1)  # 0: find the first step only, then ask for the drive
        before = t[0]
        while not self.stop.is_set():
            step = min(clock[adaptive.STEP], t[-1] - clock[adaptive.TIME])
            times = clock[adaptive.TIME] + step * self.tableau.c if p.drive else None
            begin = time.perf_counter()
            end = ready(adaptive_steps, ADAPTIVE_STEPS)(
                *p.kernels, projects(p.system), self.tableau, self._network(times), member, x, work, trial, t,
                clock, self.rtol, self.atol, attempts, out, first, fate, 0,
            )  # fmt: skip
            spent = time.perf_counter() - begin
            attempts = 1 if p.drive else _next_chunk(attempts, spent)
            last = int(clock[adaptive.SAVE])
            self.sink(block, first + given, out[given : last - first])
            given = last - first
            if end == adaptive.FULL:
                first, given = last, 0
            if self.tick:
                self.tick((clock[adaptive.TIME] - before) / (t[-1] - t[0]))
                before = clock[adaptive.TIME]
            if end == adaptive.FINISHED:
                self.done[block] = True
                return


def _steps(t: np.ndarray, sizes: np.ndarray, ends: np.ndarray, lo: int, hi: int) -> tuple:
    """Steps lo to hi of a schedule: start, size, row of the save it ends with (-1: none), and the first of these saves."""
    k = np.arange(lo, hi)
    interval = np.searchsorted(ends, k, side="right") - 1
    first = int(interval[0]) + 1
    rows = np.where(k + 1 == ends[interval + 1], interval + 1 - first, -1)
    return t[interval] + (k - ends[interval]) * sizes[interval], sizes[interval], rows, first


def _next_chunk(chunk: int, spent: float) -> int:
    """As many steps as should take CHUNK_SECONDS, after `chunk` of them took `spent`; at most four times as many."""
    return int(np.clip(chunk * CHUNK_SECONDS / max(spent, 1e-9), 1, min(4 * chunk, 1 << 40)))


def _kicks(streams: list[np.random.Generator], size: np.ndarray, d: int, n: int) -> np.ndarray:
    if not streams:
        return np.empty((0, 0, d, n))
    normal = np.stack([stream.standard_normal((len(size), d, n)) for stream in streams], axis=1)
    return normal * np.sqrt(size)[:, None, None, None]
