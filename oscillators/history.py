"""The past of a delayed network: lifted states and their velocities on the grid of steps, one ring per sender.

Between two grid points the lifted state is the cubic Hermite polynomial through both values and velocities, so a delay
need not be a whole number of steps and a Runge-Kutta method keeps its order (up to 4) while the past is smooth.
A ring holds what its own sender's longest delay needs. Knot k of sender j lies at slot k & mask_j, as g then dg/dt.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from oscillators.kernels import _OPTIONS, F1, I1, L1


class History(NamedTuple):
    """Arrays of one member's past, and the delays that look into it."""

    tau: np.ndarray  # (N,) per sender, or (E,) per link
    pointer: np.ndarray  # int64, last knot before the time each delay looks at
    starts: np.ndarray  # int32 CSR rows of the links; empty: delays are per sender
    source: np.ndarray  # int32 sender of each link
    weight: np.ndarray  # (E,) weight of each link
    offset: np.ndarray  # int64 (N,), first value of each ring
    mask: np.ndarray  # int64 (N,), slots of each ring - 1 (a power of two)
    values: np.ndarray  # rings: slot by slot m values of g, then m of dg/dt
    knots: np.ndarray  # ring of knot times, as long as the longest ring
    newest: np.ndarray  # int64 (1,), number of the newest knot


HISTORY = types.NamedTuple([F1, L1, I1, I1, F1, L1, L1, F1, F1, L1], History)

_LOCAL: dict[str, Any] = _OPTIONS | {"inline": "never"}


@njit(**_LOCAL)
def push(history, t, g):
    """Append a knot at time t with lifted state g; its velocity is set by `set_velocity` once the law was evaluated."""
    m, n = g.shape
    k = history.newest[0] + 1
    history.newest[0] = k
    history.knots[k & (len(history.knots) - 1)] = t
    for j in range(n):
        o = history.offset[j] + (k & history.mask[j]) * 2 * m
        for q in range(m):
            history.values[o + q] = g[q, j]
            history.values[o + m + q] = 0.0


@njit(**_LOCAL)
def set_velocity(history, dg):
    m, n = dg.shape
    k = history.newest[0]
    for j in range(n):
        o = history.offset[j] + (k & history.mask[j]) * 2 * m + m
        for q in range(m):
            history.values[o + q] = dg[q, j]


@njit(**(_OPTIONS | {"inline": "always"}))
def _locate(history, d, t):
    """Knot before the time that delay d looks at from t, the length of its interval, and the position in it.

    The past may jump where the run starts, and a knot is stored twice there. A stage at the start of a step sees what
    follows the jump, one inside or at the end of a step what precedes it; `edge` makes up for rounding.
    """
    last = len(history.knots) - 1
    k, newest = history.pointer[d], history.newest[0]
    s = t - history.tau[d]
    edge = 1e-9 * history.tau[d] if t == history.knots[newest & last] else -1e-9 * history.tau[d]
    while k + 1 < newest and history.knots[(k + 1) & last] < s + edge:
        k += 1
    history.pointer[d] = k
    before = history.knots[k & last]
    span = history.knots[(k + 1) & last] - before
    return k, span, min((s - before) / span, 1.0) if span > 0.0 else 1.0


@njit(**_LOCAL)
def senders(history, t, g, past):
    """past[:, j] = g_j(t - tau_j)."""
    m, n = g.shape
    for j in range(n):
        if history.tau[j] == 0.0:
            for q in range(m):
                past[q, j] = g[q, j]
            continue
        k, span, p = _locate(history, j, t)
        o0 = history.offset[j] + (k & history.mask[j]) * 2 * m
        o1 = history.offset[j] + ((k + 1) & history.mask[j]) * 2 * m
        for q in range(m):
            past[q, j] = _hermite(history.values, o0 + q, o1 + q, m, span, p)


@njit(**_LOCAL)
def links(history, t, g, h):
    """h_i = Σ over links e that end at i of weight_e g_source(e)(t - tau_e)."""
    m, n = g.shape
    for i in range(n):
        for q in range(m):
            h[q, i] = 0.0
        for e in range(history.starts[i], history.starts[i + 1]):
            j, w = history.source[e], history.weight[e]
            if history.tau[e] == 0.0:
                for q in range(m):
                    h[q, i] += w * g[q, j]
                continue
            k, span, p = _locate(history, e, t)
            o0 = history.offset[j] + (k & history.mask[j]) * 2 * m
            o1 = history.offset[j] + ((k + 1) & history.mask[j]) * 2 * m
            for q in range(m):
                h[q, i] += w * _hermite(history.values, o0 + q, o1 + q, m, span, p)


@njit(**(_OPTIONS | {"inline": "always"}))
def _hermite(values, o0, o1, m, span, p):
    """Cubic through (value, velocity) at both ends of an interval, at the fraction p of it."""
    rest = 1.0 - p
    old = (1.0 + 2.0 * p) * values[o0] + span * p * values[o0 + m]
    new = (3.0 - 2.0 * p) * values[o1] - span * rest * values[o1 + m]
    return rest * rest * old + p * p * new
