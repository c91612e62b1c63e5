"""Compiled loops over a tile of pairs (row, column, hidden unit); `neural.kuranet.pairs` has the equations.

Every loop reads its tile once. Tiles in single and double precision; those of `bar`, the derivative, add to their results.
"""

from __future__ import annotations

from typing import Any

from numba import njit

SLOPE = 0.01  # of φ(p) = max(p, SLOPE p)

compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@compiled
def first_layer(a, b, y):
    """y_rc = φ(a_r + b_c)."""
    slope = y.dtype.type(SLOPE)
    for r in range(len(a)):
        for c in range(len(b)):
            for h in range(a.shape[1]):
                p = a[r, h] + b[c, h]
                y[r, c, h] = max(p, slope * p)


@compiled
def moments(z, mean, square):
    """mean = Σ z / pairs and square = Σ (z - mean)² of a tile."""
    mean[:] = 0
    square[:] = 0
    pairs = z.dtype.type(z.shape[0] * z.shape[1])
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            for h in range(z.shape[2]):
                mean[h] += z[r, c, h]
    mean /= pairs
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            for h in range(z.shape[2]):
                square[h] += (z[r, c, h] - mean[h]) ** 2


@compiled
def last_layer(z, mean, scale, beta, w, Z):
    """Z_rc = w · φ(scale (z - mean) + β)."""
    slope = z.dtype.type(SLOPE)
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            total = z.dtype.type(0)
            for h in range(z.shape[2]):
                p = scale[h] * (z[r, c, h] - mean[h]) + beta[h]
                total += w[h] * max(p, slope * p)
            Z[r, c] = total


@compiled
def last_layer_sums(z, mean, scale, beta, g, q_sum, qd_sum):
    """Σ q and Σ q d of a tile, with d = z - mean and q = φ'(scale d + β) g."""
    q_sum[:] = 0
    qd_sum[:] = 0
    slope = z.dtype.type(SLOPE)
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            g_rc = g[r, c]
            for h in range(z.shape[2]):
                d = z[r, c, h] - mean[h]
                q = g_rc if scale[h] * d + beta[h] > 0 else slope * g_rc
                q_sum[h] += q
                qd_sum[h] += q * d


@compiled
def second_layer_bar(z, mean, scale, beta, g, along_q, along_d, level, z_bar):
    """∂z = along_q q - along_d d - level."""
    slope = z.dtype.type(SLOPE)
    for r in range(z.shape[0]):
        for c in range(z.shape[1]):
            g_rc = g[r, c]
            for h in range(z.shape[2]):
                d = z[r, c, h] - mean[h]
                q = g_rc if scale[h] * d + beta[h] > 0 else slope * g_rc
                z_bar[r, c, h] = along_q[h] * q - along_d[h] * d - level[h]


@compiled
def first_layer_bar(y, y_bar, a_bar, b_bar):
    """∂a_r += Σ_c φ'(p) ∂y_rc and ∂b_c += Σ_r φ'(p) ∂y_rc; y = φ(p) has the sign of p."""
    slope = y.dtype.type(SLOPE)
    for r in range(y.shape[0]):
        for c in range(y.shape[1]):
            for h in range(y.shape[2]):
                p_bar = y_bar[r, c, h] if y[r, c, h] > 0 else slope * y_bar[r, c, h]
                a_bar[r, h] += p_bar
                b_bar[c, h] += p_bar
