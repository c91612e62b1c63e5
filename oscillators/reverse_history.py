"""The past of a delayed network run backward: vector-Jacobian products of the interpolation in `oscillators.history`.

g(t - τ) = H(p) = q² ((1 + 2p) g_0 + span p ġ_0) + p² ((3 - 2p) g_1 - span q ġ_1),    q = 1 - p,    ∂H/∂τ = -H'(p)/span
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types

from oscillators.kernels import _OPTIONS, F1
from oscillators.loops import LOCAL


class PastBars(NamedTuple):
    """Cotangents of one member's past."""

    values: np.ndarray  # rings as in History: slot by slot g, then dg/dt
    tau: np.ndarray  # (N,) per sender, or (E,) per link
    weight: np.ndarray  # (E,)


PAST_BARS = types.NamedUniTuple(F1, 3, PastBars)


@njit(**LOCAL)
def newest_bars(history, bars, gbar, dgbar):
    """The cotangents of the newest knot, once nothing later looks at it."""
    m, n = gbar.shape
    k = history.newest[0]
    for j in range(n):
        o = history.offset[j] + (k & history.mask[j]) * 2 * m
        for q in range(m):
            gbar[q, j] = bars.values[o + q]
            dgbar[q, j] = bars.values[o + m + q]


@njit(**LOCAL)
def senders_vjp(history, bars, t, pastbar, gbar):
    m, n = gbar.shape
    for j in range(n):
        if history.tau[j] == 0.0:
            for q in range(m):
                gbar[q, j] += pastbar[q, j]
            continue
        k, span, p = _locate(history, j, t)
        o0 = history.offset[j] + (k & history.mask[j]) * 2 * m
        o1 = history.offset[j] + ((k + 1) & history.mask[j]) * 2 * m
        for q in range(m):
            _, slope = _hermite_vjp(history.values, bars.values, o0 + q, o1 + q, m, span, p, pastbar[q, j])
            bars.tau[j] -= slope


@njit(**LOCAL)
def links_vjp(history, bars, t, g, hbar, gbar):
    m, n = g.shape
    for i in range(n):
        for e in range(history.starts[i], history.starts[i + 1]):
            j, w = history.source[e], history.weight[e]
            if history.tau[e] == 0.0:
                for q in range(m):
                    gbar[q, j] += w * hbar[q, i]
                    bars.weight[e] += g[q, j] * hbar[q, i]
                continue
            k, span, p = _locate(history, e, t)
            o0 = history.offset[j] + (k & history.mask[j]) * 2 * m
            o1 = history.offset[j] + ((k + 1) & history.mask[j]) * 2 * m
            for q in range(m):
                bar = w * hbar[q, i]
                seen, slope = _hermite_vjp(history.values, bars.values, o0 + q, o1 + q, m, span, p, bar)
                bars.tau[e] -= slope
                bars.weight[e] += seen * hbar[q, i]


@njit(**(_OPTIONS | {"inline": "always"}))
def _locate(history, d, t):
    """As in `oscillators.history`, for times that go down."""
    last = len(history.knots) - 1
    k, newest = history.pointer[d], history.newest[0]
    s = t - history.tau[d]
    edge = 1e-9 * history.tau[d] if t == history.knots[newest & last] else -1e-9 * history.tau[d]
    while k + 1 < newest and history.knots[(k + 1) & last] < s + edge:
        k += 1
    while k > 0 and (k >= newest or not history.knots[k & last] < s + edge):
        k -= 1
    history.pointer[d] = k
    before = history.knots[k & last]
    span = history.knots[(k + 1) & last] - before
    return k, span, min((s - before) / span, 1.0) if span > 0.0 else 1.0


@njit(**(_OPTIONS | {"inline": "always"}))
def _hermite_vjp(values, bars, o0, o1, m, span, p, bar):
    """Add to the cotangents of both knots; the value there, and bar times its derivative in time."""
    rest = 1.0 - p
    old = (1.0 + 2.0 * p) * values[o0] + span * p * values[o0 + m]
    new = (3.0 - 2.0 * p) * values[o1] - span * rest * values[o1 + m]
    bars[o0] += bar * rest * rest * (1.0 + 2.0 * p)
    bars[o0 + m] += bar * rest * rest * span * p
    bars[o1] += bar * p * p * (3.0 - 2.0 * p)
    bars[o1 + m] -= bar * p * p * span * rest
    falls = rest * (2.0 * values[o0] + span * values[o0 + m]) - 2.0 * old
    rises = p * (span * values[o1 + m] - 2.0 * values[o1]) + 2.0 * new
    slope = (rest * falls + p * rises) / span if span > 0.0 else 0.0
    return rest * rest * old + p * p * new, bar * slope
