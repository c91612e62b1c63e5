"""Second-order oscillators on a sheet or a ring, coupled through a saturating field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from oscillators.arrays import Array, namespace
from oscillators.kernels import copy_lift_vjp, copy_tangent_vjp, first_lift, first_tangent, law_kernel, tanh, vjp_kernel
from oscillators.system import Kind, System


@dataclass(frozen=True)
class TopographicOscillators(System):
    """Damped oscillators driven by a squashed field of their neighbours' positions.

        dx_i/dt = v_i,    dv_i/dt = tanh(h_i) - γ_i x_i - ε_i v_i

    Args:
        gamma: stiffness γ, broadcasts to (..., node) or (..., height, width), 1 / time².
        epsilon: damping ε, likewise, 1 / time.

    State: (..., node, 2) with x and v on the last axis. The coupling is usually a `Stencil` on a ring, torus or grid.
    Source: Rusch and Mishra 2021 (coRNN); Keller and Welling 2023 (Neural Wave Machines).
    """

    kind: ClassVar[Kind] = "pair"
    variables: ClassVar[tuple[str, ...]] = ("x", "v")
    units: ClassVar[tuple[str, ...]] = ("1", "1 / time")
    lift_kernel = staticmethod(first_lift)
    tangent_kernel = staticmethod(first_tangent)
    lift_vjp = staticmethod(copy_lift_vjp)  # of as many rows as are shown
    tangent_vjp = staticmethod(copy_tangent_vjp)

    gamma: Array
    epsilon: Array

    def lift(self, x: Array) -> Array:
        return x[..., :1]

    def tangent(self, x: Array, dx: Array) -> Array:
        return dx[..., :1]

    def law(self, t, x, h):
        xp = namespace(x)
        position, v = x[..., 0], x[..., 1]
        return xp.stack([v, xp.tanh(h[..., 0]) - self.gamma * position - self.epsilon * v], axis=-1)

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        gamma, epsilon, position, v, field, dx, dv = p[0], p[1], x[0], x[1], h[0], out[0], out[1]
        for i in range(len(v)):
            dx[i] = v[i]
            dv[i] = tanh(field[i]) - gamma[i] * position[i] - epsilon[i] * v[i]

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        gamma, epsilon, position, v, field, a, b = p[0], p[1], x[0], x[1], h[0], bar[0], bar[1]
        for i in range(len(v)):
            squashed = tanh(field[i])
            xbar[0, i] -= gamma[i] * b[i]
            xbar[1, i] += a[i] - epsilon[i] * b[i]
            pbar[0, i] -= position[i] * b[i]
            pbar[1, i] -= v[i] * b[i]
            hbar[0, i] = b[i] * (1.0 - squashed * squashed)
