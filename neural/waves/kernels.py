"""Compiled loops of a cell on CPU tensors: T steps forward, and their derivative backward.

A block of members is worked on at a time, with the members as vector lanes: x (2N, L) holds positions, then velocities. A
step is c (6, N), see `neural.waves.constants.Step`, around the squashed field s (N, L):

    s = σ(K x + g),    y' = yy y + yz z + ys s,    z' = zy y + zz z + zs s

K is a list of links with shared weights (`Links`), or, if `links` is None, a matrix (N, 2N).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from oscillators.kernels import function_kernel, tanh

LANES = 64  # members per block: a sheet of 16 x 16 then stays in the second cache
MOST = 60  # iterations that undo a step

summing: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@function_kernel
def add_field(links, weight, x, a):
    """a += K x; with the links and the matrix the other way around, a += Kᵀ x."""
    if links is None:
        a += np.dot(weight, x)
    else:
        start, sender, which = links
        for i in range(len(a)):
            ai, first = a[i], start[i]
            fours = (start[i + 1] - first) // 4
            for k in range(first, first + 4 * fours, 4):
                w0, w1, w2, w3 = weight[which[k]], weight[which[k + 1]], weight[which[k + 2]], weight[which[k + 3]]
                x0, x1, x2, x3 = x[sender[k]], x[sender[k + 1]], x[sender[k + 2]], x[sender[k + 3]]
                for b in range(len(ai)):
                    ai[b] = (ai[b] + w0 * x0[b]) + w1 * x1[b] + (w2 * x2[b] + w3 * x3[b])
            for k in range(first + 4 * fours, start[i + 1]):
                w0, x0 = weight[which[k]], x[sender[k]]
                for b in range(len(ai)):
                    ai[b] += w0 * x0[b]


@function_kernel
def squash(links, weight, linear, x, a):
    """a <- σ(K x + a)."""
    add_field(links, weight, x, a)
    if not linear:
        for i in range(len(a)):
            ai = a[i]
            for b in range(len(ai)):
                ai[b] = tanh(ai[b])


@function_kernel
def advance(c, s, x):
    """x <- one step."""
    N = len(s)
    for i in range(N):
        y, z, si = x[i], x[N + i], s[i]
        yy, yz, ys, zy, zz, zs = c[0, i], c[1, i], c[2, i], c[3, i], c[4, i], c[5, i]
        for b in range(len(si)):
            old = y[b]
            y[b] = yy * old + yz * z[b] + ys * si[b]
            z[b] = zy * old + zz * z[b] + zs * si[b]


@summing
def dot(u, v):
    total = u.dtype.type(0)
    for b in range(len(u)):
        total += u[b] * v[b]
    return total


@summing
def four_dots(u, v0, v1, v2, v3):
    t0 = t1 = t2 = t3 = u.dtype.type(0)
    for b in range(len(u)):
        t0 += u[b] * v0[b]
        t1 += u[b] * v1[b]
        t2 += u[b] * v2[b]
        t3 += u[b] * v3[b]
    return t0, t1, t2, t3


@function_kernel
def weights_bar(links, x, h, bar):
    """bar += h xᵀ at the weights of the links, or, if not empty, at all entries of the matrix."""
    if links is None:
        if len(bar):
            bar += np.dot(h, x.T)
    else:
        start, sender, which = links
        for i in range(len(h)):
            hi, first = h[i], start[i]
            fours = (start[i + 1] - first) // 4
            for k in range(first, first + 4 * fours, 4):
                t = four_dots(hi, x[sender[k]], x[sender[k + 1]], x[sender[k + 2]], x[sender[k + 3]])
                bar[which[k]] += t[0]
                bar[which[k + 1]] += t[1]
                bar[which[k + 2]] += t[2]
                bar[which[k + 3]] += t[3]
            for k in range(first + 4 * fours, start[i + 1]):
                bar[which[k]] += dot(hi, x[sender[k]])


@function_kernel
def advance_bar(c, linear, s, x, xbar, c_bar):
    """xbar <- the cotangent before the step, but for the field's part; s <- that of the field; c_bar += (if not empty)."""
    N = len(s)
    for i in range(N):
        y, z, si, p, q = x[i], x[N + i], s[i], xbar[i], xbar[N + i]
        yy, yz, ys, zy, zz, zs = c[0, i], c[1, i], c[2, i], c[3, i], c[4, i], c[5, i]
        if len(c_bar):
            c_bar[0, i] += dot(p, y)
            c_bar[1, i] += dot(p, z)
            c_bar[2, i] += dot(p, si)
            c_bar[3, i] += dot(q, y)
            c_bar[4, i] += dot(q, z)
            c_bar[5, i] += dot(q, si)
        for b in range(len(si)):
            pb, qb, slope = p[b], q[b], 1.0 if linear else 1.0 - si[b] * si[b]
            si[b] = (ys * pb + zs * qb) * slope
            p[b] = yy * pb + zy * qb
            q[b] = yz * pb + zz * qb


@function_kernel
def undo(links, weight, c, linear, g, s, x, old):
    """x <- the state before a step with drive g that led to x, and s its squashed field, by iteration from x itself."""
    N = len(s)
    old[:] = x
    last = np.inf
    for _ in range(MOST):
        s[:] = g
        squash(links, weight, linear, old, s)
        change = 0.0
        for i in range(N):
            yy, yz, ys, zy, zz, zs = c[0, i], c[1, i], c[2, i], c[3, i], c[4, i], c[5, i]
            det = yy * zz - yz * zy
            for b in range(s.shape[1]):
                p, q = x[i, b] - ys * s[i, b], x[N + i, b] - zs * s[i, b]
                y, z = (zz * p - yz * q) / det, (yy * q - zy * p) / det
                change = max(change, abs(y - old[i, b]), abs(z - old[N + i, b]))
                old[i, b], old[N + i, b] = y, z
        if not change < last:  # rounding is reached, or there is no convergence
            break
        last = change
    x[:] = old


@function_kernel
def load(source, first, into):
    """Members first, ... of source (B, N) as lanes: into (N, L)."""
    for b in range(into.shape[1]):
        row = source[first + b]
        for i in range(len(row)):
            into[i, b] = row[i]


@function_kernel
def store(lanes, first, into):
    for b in range(lanes.shape[1]):
        row = into[first + b]
        for i in range(len(row)):
            row[i] = lanes[i, b]


@function_kernel
def add(source, first, into):
    for b in range(into.shape[1]):
        row = source[first + b]
        for i in range(len(row)):
            into[i, b] += row[i]


@function_kernel
def forward(links, weight, c, linear, drive, start, orbit):
    """The orbit (y, z) of T steps from start (y, z); if it has room for one moment only, the last."""
    T, B, N = drive.shape
    width = B if links is None else LANES
    for first in range(0, B, width):
        L = min(width, B - first)
        x, s = np.empty((2 * N, L), drive.dtype), np.empty((N, L), drive.dtype)
        load(start[0], first, x[:N])
        load(start[1], first, x[N:])
        for t in range(T):
            load(drive[t], first, s)
            squash(links, weight, linear, x, s)
            advance(c, s, x)
            if len(orbit[0]) == T or t == T - 1:
                at = min(t, len(orbit[0]) - 1)
                store(x[:N], first, orbit[0][at])
                store(x[N:], first, orbit[1][at])


@function_kernel
def backward(links, back, weight, c, linear, drive, start, orbit, orbit_bar, last_bar, drive_bar, weight_bar, c_bar):
    """The derivative of `forward`. `back`: the links from receiver to sender.

    last_bar (y, z): cotangent of the last moment, becomes that of the start.

    If the orbit holds the last moment only, the steps are undone one after the other; orbit_bar is then empty. Returns how
    far this ends from the start, relative to the largest entry.
    """
    T, B, N = drive.shape
    width = B if links is None else LANES
    kept, off, size = len(orbit[0]) == T, 0.0, 0.0
    for first in range(0, B, width):
        L = min(width, B - first)
        x, xbar, old = (
            np.empty((2 * N, L), drive.dtype),
            np.empty((2 * N, L), drive.dtype),
            np.empty((2 * N, L), drive.dtype),
        )
        s, g = np.empty((N, L), drive.dtype), np.empty((N, L), drive.dtype)
        for half in range(2):
            load(last_bar[half], first, xbar[half * N : (half + 1) * N])
            load(orbit[half][-1], first, x[half * N : (half + 1) * N])
        for t in range(T - 1, -1, -1):
            load(drive[t], first, s)
            for half in range(2):
                if len(orbit_bar[half]):
                    add(orbit_bar[half][t], first, xbar[half * N : (half + 1) * N])
                if kept:
                    load(orbit[half][t - 1] if t else start[half], first, x[half * N : (half + 1) * N])
            if kept:
                squash(links, weight, linear, x, s)
            else:
                g[:] = s
                undo(links, weight, c, linear, g, s, x, old)
            advance_bar(c, linear, s, x, xbar, c_bar)
            add_field(back, weight if back is not None else weight.T, s, xbar)
            weights_bar(links, x, s, weight_bar)
            store(s, first, drive_bar[t])
        for half in range(2):
            store(xbar[half * N : (half + 1) * N], first, last_bar[half])
            load(start[half], first, old[half * N : (half + 1) * N])
        for i in range(2 * N):
            for b in range(L):
                off, size = max(off, abs(x[i, b] - old[i, b])), max(size, abs(old[i, b]))
    return off / max(size, 1.0)
