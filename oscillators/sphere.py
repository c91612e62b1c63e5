"""Oscillators on a sphere: a node is a unit vector in n dimensions, and shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, namespace
from oscillators.kernels import law_kernel, project_kernel, vjp_kernel
from oscillators.system import Kind, System


@dataclass(frozen=True)
class SphereKuramoto(System):
    """Unit vectors that rotate and turn towards their local field; n = 2 is the Kuramoto model.

        dx_i/dt = Ω_i x_i + h_i - ⟨x_i, h_i⟩ x_i,    x <- x / ‖x‖ after each step

    The law is tangent to the sphere, so a step of order p leaves it by O(dt^(p+1)); dividing by the norm undoes this
    and keeps the order, at the cost of one pass. (An exponential map would cost two trigonometric calls per node.)

    Args:
        rotation: antisymmetric Ω, shape (n, n) or (..., node, n, n), rad / time; None: no rotation.
            For n = 2, Ω = [[0, -ω], [ω, 0]] turns with frequency ω.

    State: (..., node, n) with any n >= 2.
    Source: Chandra, Girvan and Ott 2019; Olfati-Saber 2006 ("swarms on spheres"); Lohe 2009.
    """

    kind: ClassVar[Kind] = "vector"
    variables: ClassVar[tuple[str, ...]] = ("x",)

    rotation: Array = field(default=None, metadata={"axes": 2})

    def __post_init__(self):
        super().__post_init__()
        R = self.rotation
        if R is None:
            return
        if np.ndim(R) < 2 or R.shape[-1] != R.shape[-2] or R.shape[-1] < 2:
            raise ValueError(
                f"`rotation` must have shape (n, n) or (node, n, n) with n >= 2, but is {np.shape(R)}; for plane vectors "
                "write [[0, -omega], [omega, 0]]."
            )
        R = checks.plain(R)
        gap = np.abs(R + R.swapaxes(-1, -2)).max(initial=0.0)
        if gap > 1e-6 * (1.0 + np.abs(R).max(initial=0.0)):
            raise ValueError(
                f"`rotation` must be antisymmetric, but R + R^T has an entry of size {gap:g}; pass (R - R.T) / 2."
            )

    def law(self, t, x, h):
        xp = namespace(x)
        free = h - xp.sum(x * h, axis=-1, keepdims=True) * x
        return free if self.rotation is None else (self.rotation @ x[..., None])[..., 0] + free

    def project(self, x: Array) -> Array:
        xp = namespace(x)
        return x / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))

    def params(self):
        if self.rotation is None:
            return ()
        n = self.rotation.shape[-1]
        rows = (self.rotation[..., a, b] for a in range(n) for b in range(n))
        return tuple(row[None] if row.ndim == 0 else row for row in rows)

    def check_state(self, x0: np.ndarray, name: str = "x0") -> None:
        n = x0.shape[-1]
        if n < 2:
            raise ValueError(
                f"`{name}` must have at least 2 components on its last axis, but has shape {x0.shape}; phases become unit "
                "vectors by np.stack([np.cos(theta), np.sin(theta)], axis=-1)."
            )
        if self.rotation is not None:
            checks.broadcastable("rotation", self.rotation, (*x0.shape, n), f"(..., n, n) for `{name}`")
        length = np.linalg.norm(x0, axis=-1)
        off = np.abs(length - 1.0)
        if off.size and off.max() > 1e-6:
            raise ValueError(
                f"`{name}` must hold unit vectors, but one has length {length.flat[off.argmax()]:.6g}; "
                f"divide by np.linalg.norm({name}, axis=-1, keepdims=True)."
            )

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        n, nodes = x.shape
        along = out[n - 1]  # ⟨x, h⟩ rests in the last row of out until that row is due
        for i in range(nodes):
            along[i] = 0.0
        for a in range(n):
            xa, ha = x[a], h[a]
            for i in range(nodes):
                along[i] += xa[i] * ha[i]
        for a in range(n):
            xa, ha, da = x[a], h[a], out[a]
            for i in range(nodes):
                da[i] = ha[i] - along[i] * xa[i]
        if p.shape[0] > 0:
            for a in range(n):
                da = out[a]
                for b in range(n):
                    xb, r = x[b], p[a * n + b]
                    for i in range(nodes):
                        da[i] += r[i] * xb[i]

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        n, nodes = x.shape
        for i in range(nodes):
            along = alongbar = 0.0
            for a in range(n):
                along += x[a, i] * h[a, i]
                alongbar -= x[a, i] * bar[a, i]
            for a in range(n):
                xbar[a, i] += alongbar * h[a, i] - along * bar[a, i]
                hbar[a, i] = bar[a, i] + alongbar * x[a, i]
        if p.shape[0] > 0:
            for a in range(n):
                for b in range(n):
                    r, rbar = p[a * n + b], pbar[a * n + b]
                    for i in range(nodes):
                        xbar[b, i] += r[i] * bar[a, i]
                        rbar[i] += bar[a, i] * x[b, i]

    @staticmethod
    @project_kernel
    def project_kernel(x):
        n, nodes = x.shape
        for i in range(nodes):
            q = 0.0
            for a in range(n):
                q += x[a, i] * x[a, i]
            scale = 1.0 / math.sqrt(q)
            for a in range(n):
                x[a, i] *= scale

    @staticmethod
    @vjp_kernel
    def project_vjp(x, xbar):
        n, nodes = x.shape
        for i in range(nodes):
            q = along = 0.0
            for a in range(n):
                q += x[a, i] * x[a, i]
                along += x[a, i] * xbar[a, i]
            scale = 1.0 / math.sqrt(q)
            for a in range(n):
                xbar[a, i] = scale * (xbar[a, i] - along / q * x[a, i])
