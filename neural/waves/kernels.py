"""Compiled loops of a cell on CPU tensors: T steps forward; their derivative is in `kernels_backward`.

A block of members is worked on at a time, with the members as vector lanes. The state x has the nodes' parts one below the
other: positions, then velocities (2N, L), or, of first order, one part (N, L). A step goes around the squashed field s (N, L):

    s = σ(K x + g),    y' = yy y + yz z + ys s,    z' = zy y + zz z + zs s        second order, c (6, N) is `constants.Step`
    s = σ(K x + g),    x' = s                                                     first order, c is not looked at

and positions may be normalised after it. K is a list of links with shared weights (`Links`), or, if `links` is None, a matrix
(N, parts N). Orbits are stored as the loops go, (T, N, B).
"""

from __future__ import annotations

import math

import numpy as np

from oscillators.kernels import function_kernel, tanh

LANES = 64  # members per block: a sheet of 16 x 16 then stays in the second cache
TILE = 8  # doubles in a line of the cache
ACTIVATIONS = {"identity": 0, "tanh": 1, "relu": 2}


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
def squash(links, weight, sigma, x, a):
    """a <- σ(K x + a)."""
    add_field(links, weight, x, a)
    zero = a.dtype.type(0)
    for i in range(len(a)):
        ai = a[i]
        if sigma == 1:
            for b in range(len(ai)):
                ai[b] = tanh(ai[b])
        elif sigma == 2:
            for b in range(len(ai)):
                ai[b] = max(ai[b], zero)


@function_kernel
def advance(c, s, x):
    """x <- one step."""
    N = len(s)
    if len(x) == N:
        x[:] = s
        return
    for i in range(N):
        y, z, si = x[i], x[N + i], s[i]
        yy, yz, ys, zy, zz, zs = c[0, i], c[1, i], c[2, i], c[3, i], c[4, i], c[5, i]
        for b in range(len(si)):
            old = y[b]
            y[b] = yy * old + yz * z[b] + ys * si[b]
            z[b] = zy * old + zz * z[b] + zs * si[b]


@function_kernel
def standardise(eps, y):
    """y <- (y - mean)/√(variance + ε) over the nodes of each member; returns the factor."""
    N, L = y.shape
    mean, scale = np.zeros(L, y.dtype), np.zeros(L, y.dtype)
    for i in range(N):
        for b in range(L):
            mean[b] += y[i, b]
    for i in range(N):
        for b in range(L):
            y[i, b] -= mean[b] / N
            scale[b] += y[i, b] * y[i, b]
    for b in range(L):
        scale[b] = 1 / math.sqrt(scale[b] / N + eps)
    for i in range(N):
        for b in range(L):
            y[i, b] *= scale[b]
    return scale


@function_kernel
def normalise(norm, eps, y):
    """Layer norm, y <- w y + b of the standardised y; norm: rows w and b."""
    standardise(eps, y)
    for i in range(len(y)):
        for b in range(y.shape[1]):
            y[i, b] = norm[0, i] * y[i, b] + norm[1, i]


@function_kernel
def transpose(source, into):
    """into <- sourceᵀ, a line of the cache at a time."""
    rows, columns = source.shape
    for k in range(0, rows, TILE):
        for m in range(0, columns, TILE):
            for i in range(k, min(k + TILE, rows)):
                for j in range(m, min(m + TILE, columns)):
                    into[j, i] = source[i, j]


@function_kernel
def forward(links, weight, c, sigma, norm, eps, drive, start, orbit, squashed):
    """The orbit of T steps from start; all of them and their squashed fields, or, if there is room for one moment, the last.

    start: parts (B, N); orbit: parts (T or 1, N, B); squashed: (T or 0, N, B); norm: (2, N), or (2, 0) for none.
    """
    T, B, N = drive.shape
    width = B if links is None else LANES
    for first in range(0, B, width):
        L = min(width, B - first)
        x, s = np.empty((len(start) * N, L), drive.dtype), np.empty((N, L), drive.dtype)
        for part in range(len(start)):
            transpose(start[part][first : first + L], x[part * N : (part + 1) * N])
        for t in range(T):
            transpose(drive[t, first : first + L], s)
            squash(links, weight, sigma, x, s)
            advance(c, s, x)
            if norm.size:
                normalise(norm, eps, x[:N])
            if len(squashed):
                squashed[t, :, first : first + L] = s
            if len(orbit[0]) == T or t == T - 1:
                for part in range(len(start)):
                    orbit[part][min(t, len(orbit[part]) - 1), :, first : first + L] = x[part * N : (part + 1) * N]
