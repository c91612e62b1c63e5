"""Phase oscillators that also interact in threes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, cross, namespace, per_component, unit_vector
from oscillators.kernels import law_kernel, vjp_kernel
from oscillators.phase import PhaseSystem


@dataclass(frozen=True)
class SimplicialKuramoto(PhaseSystem):
    """Kuramoto oscillators with pairwise coupling K and triadic coupling over triangles or over all triples.

        dθ_i/dt = ω_i + u(θ_i) × h_i + Σ_jk B_ijk sin(2θ_j - θ_k - θ_i)

    With `triangles`, B_ijk = `triadic` for both orders (j, k) of the two other corners of every triangle at i. Without,
    B_ijk = `triadic`/N² for all j and k, and the sum is u(θ_i) × triadic Z_2 Z_1* with the moments Z_m = mean exp(imθ).

    Args:
        omega: natural frequencies, broadcasts to (..., node), rad / time.
        triadic: strength of the three-body term, broadcasts to (..., node) (its receiver), rad / time.
        triangles: node numbers, shape (M, 3), each triangle once; None: all triples (mean field).

    Note: the terms of order three of Skardal and Arenas 2020 with symmetric B; nothing is divided by a degree here.
    """

    omega: Array
    triadic: Array = 0.0
    triangles: Any = field(default=None, metadata={"axes": None})

    def __post_init__(self):
        corners = self.triangles
        object.__setattr__(self, "triangles", None)
        super().__post_init__()
        if corners is not None:
            object.__setattr__(self, "triangles", _triangles(corners))

    def params(self):
        return self.omega, self.triadic

    def table(self):
        return np.empty((0, 0), np.int32) if self.triangles is None else self.triangles

    def law(self, t, theta, h):
        if self.triangles is None:
            z = namespace(theta).mean(unit_vector(theta), axis=-2, keepdims=True)  # (..., 1, 2)
            z2 = namespace(theta).mean(unit_vector(2 * theta), axis=-2, keepdims=True)
            return self.omega + cross(unit_vector(theta), h + per_component(self.triadic) * _times_conjugate(z2, z))
        return self.omega + cross(unit_vector(theta), h) + self.triadic * self._triangle_sum(theta)

    def _triangle_sum(self, theta):
        xp = namespace(theta)
        total = xp.zeros_like(theta)
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # each corner in turn receives, both orders of the others
            a, b, c = (theta[..., self.triangles[:, corner]] for corner in (i, j, k))
            pull = xp.sin(2 * b - c - a) + xp.sin(2 * c - b - a)
            total = total + _scatter(pull, self.triangles[:, i], theta)
        return total

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        omega, triadic, c, s, hx, hy, d = p[0], p[1], g[0], g[1], h[0], h[1], out[0]
        n = len(d)
        zx = zy = wx = wy = 0.0  # Z_1 and Z_2
        if table.shape[1] == 0:  # no list of triangles; an empty list has three columns
            for i in range(n):
                zx += c[i]
                zy += s[i]
                wx += c[i] * c[i] - s[i] * s[i]
                wy += 2.0 * c[i] * s[i]
        mx, my = (wx * zx + wy * zy) / (n * n), (wy * zx - wx * zy) / (n * n)  # Z_2 Z_1*
        for i in range(n):
            fx, fy = hx[i] + triadic[i] * mx, hy[i] + triadic[i] * my
            d[i] = omega[i] + c[i] * fy - s[i] * fx
        for row in range(table.shape[0]):
            for corner in range(3):
                i, j, k = table[row, corner], table[row, (corner + 1) % 3], table[row, (corner + 2) % 3]
                for _ in range(2):  # the field at i is z_j² z_k*
                    ax, ay = c[j] * c[j] - s[j] * s[j], 2.0 * c[j] * s[j]
                    fx, fy = ax * c[k] + ay * s[k], ay * c[k] - ax * s[k]
                    d[i] += triadic[i] * (c[i] * fy - s[i] * fx)
                    j, k = k, j

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        triadic, c, s, hx, hy, v, cbar, sbar = p[1], g[0], g[1], h[0], h[1], bar[0], gbar[0], gbar[1]
        n = len(v)
        zx = zy = wx = wy = mxbar = mybar = 0.0
        if table.shape[1] == 0:
            for i in range(n):
                zx += c[i]
                zy += s[i]
                wx += c[i] * c[i] - s[i] * s[i]
                wy += 2.0 * c[i] * s[i]
        mx, my = (wx * zx + wy * zy) / (n * n), (wy * zx - wx * zy) / (n * n)
        for i in range(n):
            fxbar, fybar = -v[i] * s[i], v[i] * c[i]
            cbar[i] += v[i] * (hy[i] + triadic[i] * my)
            sbar[i] -= v[i] * (hx[i] + triadic[i] * mx)
            hbar[0, i], hbar[1, i] = fxbar, fybar
            pbar[0, i] += v[i]
            pbar[1, i] += fxbar * mx + fybar * my
            mxbar += triadic[i] * fxbar / (n * n)
            mybar += triadic[i] * fybar / (n * n)
        if table.shape[1] == 0:
            zxbar, zybar = mxbar * wx + mybar * wy, mxbar * wy - mybar * wx
            wxbar, wybar = mxbar * zx - mybar * zy, mxbar * zy + mybar * zx
            for i in range(n):
                cbar[i] += zxbar + 2.0 * (c[i] * wxbar + s[i] * wybar)
                sbar[i] += zybar + 2.0 * (c[i] * wybar - s[i] * wxbar)
        for row in range(table.shape[0]):
            for corner in range(3):
                i, j, k = table[row, corner], table[row, (corner + 1) % 3], table[row, (corner + 2) % 3]
                for _ in range(2):
                    ax, ay = c[j] * c[j] - s[j] * s[j], 2.0 * c[j] * s[j]
                    fx, fy = ax * c[k] + ay * s[k], ay * c[k] - ax * s[k]
                    pull = v[i] * triadic[i]
                    pbar[1, i] += v[i] * (c[i] * fy - s[i] * fx)
                    cbar[i] += pull * fy
                    sbar[i] -= pull * fx
                    fxbar, fybar = -pull * s[i], pull * c[i]
                    cbar[k] += fxbar * ax + fybar * ay
                    sbar[k] += fxbar * ay - fybar * ax
                    axbar, aybar = fxbar * c[k] - fybar * s[k], fxbar * s[k] + fybar * c[k]
                    cbar[j] += 2.0 * (c[j] * axbar + s[j] * aybar)
                    sbar[j] += 2.0 * (c[j] * aybar - s[j] * axbar)
                    j, k = k, j


def _times_conjugate(a, b):
    """a b* of complex numbers stored as pairs."""
    xp = namespace(a)
    re = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1]
    return xp.stack([re, a[..., 1] * b[..., 0] - a[..., 0] * b[..., 1]], axis=-1)


def _scatter(values, index, like):
    """Sum values (..., M) into the nodes given by index (M,)."""
    xp = namespace(like)
    if xp is not namespace():
        return xp.zeros_like(like).index_add(-1, xp.asarray(index, device=like.device), values)
    total = np.zeros((like.shape[-1], *values.shape[:-1]))
    np.add.at(total, index, np.moveaxis(values, -1, 0))
    return np.moveaxis(total, 0, -1)


def _triangles(corners):
    corners = checks.real_array("triangles", checks.plain(corners))
    if corners.size == 0:
        return np.empty((0, 3), np.int32)
    if corners.ndim != 2 or corners.shape[1] != 3:
        raise ValueError(
            f"`triangles` must have shape (M, 3), but is {corners.shape}; write one triangle a row, [[0, 1, 2], ...]."
        )
    wrong = (corners != np.floor(corners)) | (corners < 0) | (corners >= 2**31)
    if wrong.any():
        raise ValueError(
            f"`triangles` must hold node numbers 0, 1, 2, ..., but has {corners[wrong][0]:g}; nodes count from 0."
        )
    index = corners.astype(np.int32)
    order = np.sort(index, axis=1)
    if (order[:, 1:] == order[:, :-1]).any():
        row = int(np.argmax((order[:, 1:] == order[:, :-1]).any(axis=1)))
        raise ValueError(
            f"`triangles` must join three different nodes, but row {row} is {index[row].tolist()}; drop it."
        )
    triangles, times = np.unique(order, axis=0, return_counts=True)
    if len(triangles) != len(order):
        raise ValueError(
            f"`triangles` must name each triangle once, but names {triangles[times.argmax()].tolist()} {times.max()} times; "
            "drop repeated rows (their corners may be in another order)."
        )
    return np.ascontiguousarray(index)
