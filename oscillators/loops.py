"""What the compiled time loops share. They know no system, coupling or method: kernels and tables are arguments.

Because every kernel argument has one fixed type, each loop is compiled once and then loaded from disk, for all systems,
the user's included. Arrays are (member, component, node). Nothing is allocated inside a loop.
"""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from oscillators.history import links, senders
from oscillators.kernels import _OPTIONS, F1, F2, F3, F4, FIELD, I1, I2, L1, LAW, LIFT, PROJECT, TANGENT

LOCAL: dict[str, Any] = _OPTIONS | {"inline": "never"}  # for functions called from one place in a loop


class Network(NamedTuple):
    """System and coupling as arrays. A leading length of 1 means: the same for every member."""

    params: np.ndarray  # (1 or members, P, N)
    table: np.ndarray  # int32
    meta: np.ndarray  # int64
    where: np.ndarray  # int32: the index of a coupling's kernel
    weight: np.ndarray  # (1 or members, W)
    degree: np.ndarray  # (0, 1 or members, N); 0: coupling is not diffusive
    drive: np.ndarray  # (rows, 1 or members, m, N); rows 0: no drive, 1: constant, else one per stage of each step
    noise: np.ndarray  # (0, 1 or members, d, N): sigma; 0: none
    nodes: int  # of the coupling; N is a multiple of it where members lie side by side


class Work(NamedTuple):
    """Scratch of one block."""

    y: np.ndarray  # (B, d, N) state of a stage
    g: np.ndarray  # (B m, N) lifted
    h: np.ndarray  # (B m, N) field
    past: np.ndarray  # (m, N) lifted states as they were
    k: np.ndarray  # (stages, B, d, N)


class Fate(NamedTuple):
    """What became of each member of a block."""

    status: np.ndarray  # int64: OK, NOT_FINITE or STEP_UNDERFLOW
    time: np.ndarray  # float64: where it stopped
    node: np.ndarray  # int64: the node at fault
    counts: np.ndarray  # int64 (members, 2): steps accepted, steps rejected


OK, NOT_FINITE, STEP_UNDERFLOW = 0, 1, 2

NETWORK = types.NamedTuple([F3, I2, L1, I1, F2, F2, F4, F3, types.int64], Network)
WORK = types.NamedTuple([F3, F2, F2, F2, F4], Work)
FATE = types.NamedTuple([L1, F1, L1, types.int64[:, ::1]], Fate)
KERNELS = tuple(types.FunctionType(s) for s in (LIFT, TANGENT, LAW, PROJECT, FIELD))


def _borrow(typing_context, value):
    """The same arrays (or tuple of them) without reference counts: the caller owns them while the loop runs.

    Counting costs an atomic operation per view, and a loop takes some twenty views per stage: more time than the
    arithmetic of a small network.
    """

    def strip(context, builder, kind: Any, item):
        if isinstance(kind, types.BaseTuple):
            parts: Any = kind
            for i, part in enumerate(parts):
                item = builder.insert_value(item, strip(context, builder, part, builder.extract_value(item, i)), i)
            return item
        if not isinstance(kind, types.Array):
            return item
        array = context.make_array(kind)(context, builder, item)
        array.meminfo = array.meminfo.type(None)
        array.parent = array.parent.type(None)
        return array._getvalue()

    return value(value), lambda context, builder, signature, args: strip(context, builder, value, args[0])


borrow: Any = intrinsic(_borrow)


@njit(**LOCAL)
def derivative(lift, law, field, network, history, member, t, drive_row, x, work, k):
    """k = law(t, x, h) with h = K[lift(x)] + c(t), for every member of a block. Without delays history is None."""
    members, _, n = x.shape
    g, h = work.g, work.h
    m = g.shape[0] // members
    weight = network.weight[min(member, network.weight.shape[0] - 1)]
    rows_g, rows_h = g.reshape(-1, network.nodes), h.reshape(-1, network.nodes)
    for b in range(members):
        lift(x[b], g[b * m : (b + 1) * m])
    if history is None:  # the branches below are not even compiled
        field(network.meta, network.where, weight, rows_g, rows_h)
    elif len(history.starts) > 0:
        links(history, t, g, h)
    else:
        senders(history, t, g, work.past)
        field(network.meta, network.where, weight, work.past, h)
    for b in range(members):
        if network.degree.shape[0] > 0:
            degree = network.degree[min(member + b, network.degree.shape[0] - 1)]
            for q in range(b * m, (b + 1) * m):
                gq, hq = g[q], h[q]
                for i in range(n):
                    hq[i] -= degree[i] * gq[i]
        if network.drive.shape[0] > 0:
            c = network.drive[drive_row, min(member + b, network.drive.shape[1] - 1)]
            for q in range(m):
                cq, hq = c[q], h[b * m + q]
                for i in range(n):
                    hq[i] += cq[i]
        params = network.params[min(member + b, network.params.shape[0] - 1)]
        law(t, x[b], g[b * m : (b + 1) * m], h[b * m : (b + 1) * m], params, network.table, k[b])


@njit(**LOCAL)
def copy(target, source):
    """target[:] = source for flat arrays (spelled out, it compiles in a tenth of the time)."""
    for i in range(len(source)):
        target[i] = source[i]


@njit(**LOCAL)
def combine(y, x, k, weights, stages, dt):
    """y = x + dt Σ_s weights_s k_s, for flat arrays; y may be x."""
    first = True
    for s in range(stages):
        if weights[s] != 0.0:
            w, ks = dt * weights[s], k[s]
            if first:
                for i in range(len(y)):
                    y[i] = x[i] + w * ks[i]
                first = False
            else:
                for i in range(len(y)):
                    y[i] = y[i] + w * ks[i]
    if first:
        copy(y, x)


@njit(**(_OPTIONS | {"fastmath": {"contract", "reassoc"}}))
def all_finite(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i] * 0.0
    return total == 0.0


@njit(**LOCAL)
def stop(x, velocity, fate, b, status, t):
    """Record the end of member b and void its state.

    At fault is the fastest node at the last good moment, of those that are not finite now (a coupling spreads what is not
    a number to all of them within a step).
    """
    d, n = x.shape
    fate.status[b] = status
    fate.time[b] = t
    spread = not all_finite(x.reshape(-1))
    worst = -1.0
    for i in range(n):
        speed, lost = 0.0, not spread
        for a in range(d):
            lost = lost or not math.isfinite(x[a, i])
            speed = max(speed, abs(velocity[a, i])) if math.isfinite(velocity[a, i]) else math.inf
        if lost and speed > worst:
            worst, fate.node[b] = speed, i
    for a in range(d):
        for i in range(n):
            x[a, i] = np.nan


_compiling = threading.Lock()  # threads that share a fresh loop wait for one of them to compile it
_compiled: dict[tuple[int, int], tuple] = {}  # by identity: numba hashes a signature type by type


def ready(loop: Any, signature: Any) -> Any:
    """The loop, compiled (or loaded from disk) for a signature on first use, and for no other."""
    key = id(loop), id(signature)
    with _compiling:
        if key not in _compiled:
            loop.disable_compile(False)
            loop.compile(signature)
            loop.disable_compile()
            _compiled[key] = loop, signature  # kept, so that nothing else bears their identity
    return loop
