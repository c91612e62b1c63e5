"""The derivative of the loops in `neural.waves.kernels`, for all states kept, or for steps that are undone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from neural.waves.kernels import LANES, add_field, advance, squash, standardise, transpose
from oscillators.kernels import function_kernel

MOST = 60  # iterations that undo a step

summing: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


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
def normalise_bar(norm, eps, y, y_bar, norm_bar):
    """y_bar <- its cotangent before `normalise`, whose argument y becomes standardised."""
    N, L = y.shape
    scale, even, along = standardise(eps, y), np.zeros(L, y.dtype), np.zeros(L, y.dtype)
    for i in range(N):
        for b in range(L):
            norm_bar[0, i] += y_bar[i, b] * y[i, b]
            norm_bar[1, i] += y_bar[i, b]
            y_bar[i, b] *= norm[0, i]
            even[b] += y_bar[i, b]
            along[b] += y_bar[i, b] * y[i, b]
    for i in range(N):
        for b in range(L):
            y_bar[i, b] = scale[b] * (y_bar[i, b] - (even[b] + along[b] * y[i, b]) / N)


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
def slope(sigma, s, one):
    """σ' where σ has the value s; one: in the precision of s."""
    if sigma == 1:
        return one - s * s
    return one if sigma == 0 or s > 0 else s - s


@function_kernel
def advance_bar(c, sigma, s, x, xbar, c_bar):
    """xbar <- the cotangent before the step, but for the field's part; s <- that of the field; c_bar += (if not empty)."""
    (N, L), one = s.shape, s.dtype.type(1)
    if len(x) == N:
        for i in range(N):
            for b in range(L):
                s[i, b] = slope(sigma, s[i, b], one) * xbar[i, b]
        xbar[:] = 0
        return
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
        for b in range(L):  # one loop over three rows: with more of them the compiler gives up on vectors
            pb, qb = p[b], q[b]
            p[b] = yy * pb + zy * qb
            q[b] = yz * pb + zz * qb
            si[b] = slope(sigma, si[b], one) * (ys * pb + zs * qb)


@function_kernel
def undo(links, weight, c, sigma, g, s, x, old):
    """x <- the state before a step with drive g that led to x, and s its squashed field, by iteration from x itself."""
    N = len(s)
    old[:] = x
    last = np.inf
    for _ in range(MOST):
        s[:] = g
        squash(links, weight, sigma, old, s)
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
def backward(
    links, back, weight, c, sigma, norm, eps, drive, start, orbit, squashed, orbit_bar, last_bar, drive_bar, weight_bar,
    c_bar, norm_bar,
):  # fmt: skip
    """The derivative of `kernels.forward`. `back`: the links from receiver to sender; orbit_bar: parts (T or 0, N, B).

    last_bar: cotangent of the last moment, parts (B, N), becomes that of the start.

    If the orbit holds the last moment only, the steps are undone one after the other; orbit_bar is then empty. Returns how
    far this ends from the start, relative to the largest entry.
    """
    (T, B, N), parts = drive.shape, len(start)
    width = B if links is None else LANES
    kept, off, size = len(squashed) == T, 0.0, 0.0
    for first in range(0, B, width):
        L = min(width, B - first)
        whole, part_of = np.empty((3, parts * N, L), drive.dtype), np.empty((2, N, L), drive.dtype)
        x, xbar, old, s, g = whole[0], whole[1], whole[2], part_of[0], part_of[1]
        for part in range(parts):
            transpose(last_bar[part][first : first + L], xbar[part * N : (part + 1) * N])
            x[part * N : (part + 1) * N] = orbit[part][-1, :, first : first + L]
        for t in range(T - 1, -1, -1):
            for part in range(parts):
                if len(orbit_bar[part]):
                    xbar[part * N : (part + 1) * N] += orbit_bar[part][t, :, first : first + L]
                if kept and t:
                    x[part * N : (part + 1) * N] = orbit[part][t - 1, :, first : first + L]
                elif kept:
                    transpose(start[part][first : first + L], x[part * N : (part + 1) * N])
            if kept:
                s[:] = squashed[t, :, first : first + L]
            else:
                transpose(drive[t, first : first + L], g)
                undo(links, weight, c, sigma, g, s, x, old)
            if norm.size:
                old[:] = x
                advance(c, s, old)
                normalise_bar(norm, eps, old[:N], xbar[:N], norm_bar)
            advance_bar(c, sigma, s, x, xbar, c_bar)
            add_field(back, weight if back is not None else weight.T, s, xbar)
            weights_bar(links, x, s, weight_bar)
            transpose(s, drive_bar[t, first : first + L])
        for part in range(parts):
            transpose(xbar[part * N : (part + 1) * N], last_bar[part][first : first + L])
            transpose(start[part][first : first + L], old[part * N : (part + 1) * N])
        for i in range(parts * N):
            for b in range(L):
                off, size = max(off, abs(x[i, b] - old[i, b])), max(size, abs(old[i, b]))
    return off / max(size, 1.0)
