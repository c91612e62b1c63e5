"""Ensembles of 64 members: two threads beside one, and a member beside a run of its own.

Dense coupling shared by all members, T = 10; dopri5 at tolerance 1e-6, rk4 at dt = 0.05. Error: largest difference of a
member from its run alone, which must be 0.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.network import Last, dense_network
from benchmarks.timing import Row, interleaved
from oscillators import Dense, Kuramoto
from oscillators.engine import Run
from oscillators.methods import ADAPTIVE, FIXED
from oscillators.problem import prepare

MEMBERS = 64


def run(sizes: Sequence[int] = (10, 100, 1000), T: float = 10.0, members: int = MEMBERS) -> list[Row]:
    """Rows for every size, fixed and adaptive."""
    return [row for N in sizes for kind in ("adaptive", "fixed") for row in _rows(kind, N, T, members)]


def _rows(kind: str, N: int, T: float, members: int) -> list[Row]:
    network = dense_network(N, T)
    starts = np.random.default_rng(1).uniform(-np.pi, np.pi, (members, N))
    together, alone = _solve(kind, network, starts, T), _solve(kind, network, starts[:1], T)
    states = {}

    def store(block: slice, first: int, found: np.ndarray) -> None:
        if len(found):
            states.update({block.start + b: found[-1, b].copy() for b in range(found.shape[1])})

    _solve(kind, network, starts, T, store)()
    first_alone = Last()
    _solve(kind, network, starts[:1], T, first_alone)()
    error = float(np.abs(states[0] - first_alone.state[0]).max())
    single, several, lone = interleaved(on_one_core(together), together, on_one_core(alone), rounds=(3, 51))
    cores = len(os.sched_getaffinity(0))
    size, each = f"N = {N}, {members} members", 1e6 / members
    return [
        Row(f"{kind}, {cores} threads", size, 1e3 * several, "ms", "1 thread", 1e3 * single, error),
        Row(f"{kind}, per member, 1 thread", size, each * single, "us", "alone", 1e6 * lone, error),
    ]


def _solve(kind: str, network, starts: np.ndarray, T: float, sink: Callable | None = None) -> Callable[[], None]:
    problem = prepare(Kuramoto(network.omega), Dense(network.K), starts, None, None, None)
    t, sink = np.array([0.0, T]), sink or Last()
    if kind == "adaptive":
        return lambda: Run(problem, t, sink, ADAPTIVE["dopri5"], rtol=1e-6, atol=1e-6).go()
    return lambda: Run(problem, t, sink, FIXED["rk4"], 0.05).go()


def on_one_core(call: Callable) -> Callable[[], None]:
    """The call with one core allowed to this process, so that the engine starts no second thread."""

    def pinned():
        with _one_core():
            call()

    return pinned


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
