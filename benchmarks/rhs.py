"""Right-hand sides alone, beside what the machine can do: bandwidths and multiply-adds measured in the same run.

dense: bytes of K per second beside a plain sum over K. Mean field: beside the stream of its arrays at copy bandwidth.
Lattice: 9 x 9 periodic kernel; its bounds are 2 x 81 multiply-adds per site at the measured rate of a loop that stays
in registers, and 4 reads or writes per site (both lifted components in, both field components out) at copy bandwidth.
sincos: both values of 2048 phases in the first cache, error against 80-bit values. Topographic law: tanh per site.
Every result is compared with the NumPy law: errors are the largest differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit, types

from benchmarks.timing import Row, interleaved
from oscillators import Dense, Kuramoto, MeanField, Stencil, TopographicOscillators
from oscillators.coupling import Coupling
from oscillators.kernels import unit_vector_lift
from oscillators.loops import F3, KERNELS, NETWORK, WORK, Work, borrow, derivative
from oscillators.problem import from_rows, prepare
from oscillators.system import System, components

F1, F2 = types.float64[::1], types.float64[:, ::1]


@njit(types.void(*KERNELS, NETWORK, F3, WORK, types.int64), cache=True, nogil=True, error_model="numpy")
def evaluate(lift, tangent, law, project, field, network, x, work, repeats):
    """The right-hand side of one network, several times, as the time loops call it."""
    network, x, work = borrow((network, x, work))
    for _ in range(repeats):
        derivative(lift, law, field, network, None, np.int64(0), 0.0, np.int64(0), x, work, work.k[0])


class RightHandSide:
    """dx/dt of one network, as the time loops evaluate it."""

    def __init__(self, system: System, coupling: Coupling, x0: np.ndarray, repeats: int = 1):
        self.system, self.coupling, self.x0, self.repeats = system, coupling, x0, repeats
        self.problem = p = prepare(system, coupling, x0, None, None, None)
        d, n = p.x0.shape[1:]
        self.work = Work(
            np.empty((1, d, n)), np.empty((p.width, n)), np.empty((p.width, n)), np.empty((p.width, n)),
            np.zeros((1, 1, d, n)),
        )  # fmt: skip

    def __call__(self) -> None:
        p = self.problem
        evaluate(*p.kernels, p.network, p.x0, self.work, self.repeats)

    def by_numpy(self) -> np.ndarray:
        """The NumPy law and field."""
        return self.system.law(0.0, self.x0, self.coupling.field(self.system.lift(self.x0)))

    def error(self) -> float:
        """Largest difference from the NumPy law."""
        self()
        found = from_rows(self.work.k[0, 0], self.problem.nodes, components(self.system))
        return float(np.abs(found - self.by_numpy()).max())


@njit(types.float64(F1), cache=True, fastmath=True)
def read(values):
    """A sum as fast as values can be read."""
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


@njit(types.void(F1, F1), cache=True)
def copy(target, source):
    for i in range(len(source)):
        target[i] = source[i]


@njit(types.void(F1, F1, types.float64, types.float64), cache=True, fastmath={"contract"})
def multiply_add(target, source, a, b):
    """32 dependent multiply-adds per number, many numbers in flight: registers only, but for one read and one write."""
    for i in range(len(source)):
        x = source[i]
        for _ in range(32):
            x = a * x + b
        target[i] = x


def run(
    dense: Sequence[int] = (100, 1000, 4000), mean_field: int = 1_000_000, lattice: int = 1024, seconds: float = 1.0
) -> list[Row]:
    """All rows; seconds: time spent on each."""
    rng = np.random.default_rng(0)
    rows = [_dense(N, rng, seconds) for N in dense]
    rows += [_mean_field(mean_field, rng, seconds)]
    rows += _lattice(lattice, rng, seconds)
    rows += [_sincos(rng, seconds), *_topographic(lattice, rng, seconds)]
    return rows


def _dense(N: int, rng: Any, seconds: float) -> Row:
    K = rng.normal(size=(N, N)) / N
    rhs = RightHandSide(Kuramoto(rng.normal(size=N)), Dense(K), rng.uniform(-3, 3, N), max(1, 1_000_000 // N**2))
    flat = K.reshape(-1)
    ours, sweep = interleaved(rhs, _repeated(lambda: read(flat), rhs.repeats), seconds=seconds)
    gigabytes = 8e-9 * N * N * rhs.repeats
    note = f"{1e6 * ours / rhs.repeats:.3g} us per right-hand side"
    error = rhs.error()
    return Row(
        "dense, reading K", f"N = {N}", gigabytes / ours, "GB/s", "sum of K", gigabytes / sweep, error, note=note
    )


def _repeated(call: Callable, repeats: int) -> Callable:
    def several():
        for _ in range(repeats):
            call()

    return several


def _mean_field(N: int, rng: Any, seconds: float) -> Row:
    rhs = RightHandSide(Kuramoto(rng.normal(size=N)), MeanField(1.0), rng.uniform(-3, 3, N))
    source, target = rng.normal(size=N), np.empty(N)
    ours, stream, theirs = interleaved(rhs, lambda: copy(target, source), rhs.by_numpy, seconds=seconds)
    note = f"copying one array of N: {1e9 * stream / N:.2g} ns per number"
    scale = 1e9 / N
    return Row(
        "mean field", f"N = {N:.0e}", scale * ours, "ns/node", "NumPy law", scale * theirs, rhs.error(), note=note
    )


def _lattice(side: int, rng: Any, seconds: float) -> list[Row]:
    kernel = rng.normal(size=(9, 9)) / 81
    shape, sites = (side, side), side * side
    rhs = RightHandSide(Kuramoto(rng.normal(size=shape)), Stencil(kernel), rng.uniform(-3, 3, shape))
    source, target = rng.normal(size=2 * sites), np.empty(2 * sites)
    few, out = rng.normal(size=1024), np.empty(1024)
    rounds = 1000
    ours, stream, arithmetic = interleaved(
        rhs, lambda: copy(target, source), _repeated(lambda: multiply_add(out, few, 0.5, 0.1), rounds), seconds=seconds
    )
    rate = 1e-9 * 32 * 1024 * rounds / arithmetic
    adds = 1e-9 * 2 * 81 * sites
    size, error = f"{side} x {side}, 9 x 9", rhs.error()
    return [
        Row("lattice", size, 1e3 * ours, "ms", "FMA bound", 1e3 * adds / rate, error, note=f"{rate:.3g} GFMA/s measured"),
        Row(
            "lattice", size, 1e3 * ours, "ms", "copy bound", 1e3 * stream, error,
            note=f"{32e-9 * sites / stream:.3g} GB/s copied",
        ),
    ]  # fmt: skip


def _sincos(rng: Any, seconds: float) -> Row:
    N, repeats = 2048, 200
    x = rng.uniform(-100.0, 100.0, (1, N))
    g = np.empty((2, N))
    ours, theirs = interleaved(
        _repeated(lambda: unit_vector_lift(x, g), repeats),
        _repeated(lambda: (np.sin(x), np.cos(x)), repeats),
        seconds=seconds,
    )
    ulp, error = sincos_error(rng.uniform(-1e5, 1e5, 200_000))
    near, _ = sincos_error(rng.uniform(-np.pi, np.pi, 200_000))
    scale = 1e9 / (N * repeats)
    note = f"largest error {near:.2f} ulp of the value for |x| <= pi, {ulp:.2f} for |x| <= 1e5"
    return Row("sincos, both values", f"{N} numbers", scale * ours, "ns", "NumPy", scale * theirs, error, note=note)


def sincos_error(x: np.ndarray) -> tuple[float, float]:
    """Largest error of sine and cosine in units in the last place, and absolutely, against extended precision."""
    g = np.empty((2, len(x)))
    unit_vector_lift(x[None], g)
    exact = np.stack([np.cos(x.astype(np.longdouble)), np.sin(x.astype(np.longdouble))])
    off = np.abs(g - exact)
    return float((off / np.spacing(np.abs(exact.astype(np.float64)))).max()), float(off.max())


def _topographic(side: int, rng: Any, seconds: float) -> list[Row]:
    shape, sites = (side, side), side * side
    system = TopographicOscillators(rng.uniform(0.5, 1.5, shape), 0.1)
    rhs = RightHandSide(system, Stencil(rng.normal(size=(3, 3))), rng.normal(size=(*shape, 2)))
    p, h = rhs.problem, rng.normal(size=(1, sites))
    field = h.reshape(*shape, 1)

    def law():
        system.kernel(0.0, p.x0[0], rhs.work.g, h, p.network.params[0], p.network.table, rhs.work.k[0, 0])

    whole, alone, numpy_whole, numpy_alone = interleaved(
        rhs, law, rhs.by_numpy, lambda: system.law(0.0, rhs.x0, field), seconds=seconds
    )
    scale, size, error = 1e9 / sites, f"{side} x {side}, 3 x 3", rhs.error()
    return [
        Row("topographic, right-hand side", size, scale * whole, "ns/site", "NumPy law", scale * numpy_whole, error),
        Row("topographic, law alone (tanh)", size, scale * alone, "ns/site", "NumPy law", scale * numpy_alone),
    ]
