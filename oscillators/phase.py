"""Phase oscillators: a node is an angle, and shows the others a unit vector or a pulse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from oscillators import checks
from oscillators.arrays import Array, carries_gradient, cross, namespace, unit_vector
from oscillators.kernels import (
    law_kernel,
    lift_kernel,
    sincos,
    tangent_kernel,
    unit_vector_lift,
    unit_vector_lift_vjp,
    unit_vector_tangent,
    unit_vector_tangent_vjp,
    vjp_kernel,
)
from oscillators.system import Kind, System


@dataclass(frozen=True)
class PhaseSystem(System):
    """Base of systems whose state is a phase theta (rad, never wrapped) shown as (cos theta, sin theta)."""

    kind: ClassVar[Kind] = "scalar"
    variables: ClassVar[tuple[str, ...]] = ("theta",)
    units: ClassVar[tuple[str, ...]] = ("rad",)
    lift_kernel = staticmethod(unit_vector_lift)
    tangent_kernel = staticmethod(unit_vector_tangent)
    lift_vjp = staticmethod(unit_vector_lift_vjp)
    tangent_vjp = staticmethod(unit_vector_tangent_vjp)

    def lift(self, theta: Array) -> Array:
        return unit_vector(theta)

    def tangent(self, theta: Array, dtheta: Array) -> Array:
        xp = namespace(theta)
        return dtheta[..., None] * xp.stack([-xp.sin(theta), xp.cos(theta)], axis=-1)


@dataclass(frozen=True)
class Kuramoto(PhaseSystem):
    """Phase oscillators pulled towards their local field; with a lag, the Sakaguchi-Kuramoto model.

        dθ_i/dt = ω_i + Σ_j K_ij sin(θ_j - θ_i - α_i) = ω_i + u(θ_i + α_i) × h_i,    u(θ) = (cos θ, sin θ)

    A drive c adds u(θ + α) × c: c = (-b, 0) is KuraNet's b sin θ, c = F (cos ψ, sin ψ) a force F sin(ψ - θ).

    Args:
        omega: natural frequencies, broadcasts to (..., node), rad / time.
        alpha: phase lag, broadcasts likewise, rad.

    Source: Kuramoto 1975; Sakaguchi and Kuramoto 1986. Other names: XY model (ω = 0), rotor model.
    """

    omega: Array
    alpha: Array = 0.0

    def law(self, t, theta, h):
        return self.omega + cross(unit_vector(theta + self.alpha), h)

    def params(self):
        xp = namespace(self.alpha)
        lag = carries_gradient(self.alpha) or bool(xp.any(self.alpha != 0))  # else two rows less are read from memory
        return (self.omega, xp.cos(self.alpha), xp.sin(self.alpha)) if lag else (self.omega,)

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        omega, c, s, hx, hy, d = p[0], g[0], g[1], h[0], h[1], out[0]
        if p.shape[0] == 1:
            for i in range(len(d)):
                d[i] = omega[i] + c[i] * hy[i] - s[i] * hx[i]
            return
        ca, sa = p[1], p[2]
        for i in range(len(d)):
            ux = c[i] * ca[i] - s[i] * sa[i]
            uy = s[i] * ca[i] + c[i] * sa[i]
            d[i] = omega[i] + ux * hy[i] - uy * hx[i]

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        c, s, hx, hy, v, cbar, sbar, hxbar, hybar = g[0], g[1], h[0], h[1], bar[0], gbar[0], gbar[1], hbar[0], hbar[1]
        omegabar = pbar[0]
        if p.shape[0] == 1:
            for i in range(len(v)):
                omegabar[i] += v[i]
                cbar[i] += v[i] * hy[i]
                sbar[i] -= v[i] * hx[i]
                hxbar[i] = -v[i] * s[i]
                hybar[i] = v[i] * c[i]
            return
        ca, sa, cabar, sabar = p[1], p[2], pbar[1], pbar[2]
        for i in range(len(v)):
            uxbar, uybar = v[i] * hy[i], -v[i] * hx[i]
            omegabar[i] += v[i]
            cbar[i] += uxbar * ca[i] + uybar * sa[i]
            sbar[i] += uybar * ca[i] - uxbar * sa[i]
            cabar[i] += uxbar * c[i] + uybar * s[i]
            sabar[i] += uybar * c[i] - uxbar * s[i]
            hxbar[i] = -v[i] * (s[i] * ca[i] + c[i] * sa[i])
            hybar[i] = v[i] * (c[i] * ca[i] - s[i] * sa[i])


@dataclass(frozen=True)
class InertialKuramoto(System):
    """Phase oscillators with inertia: the swing equation of power grids.

        dθ_i/dt = v_i,    m_i dv_i/dt = ω_i - d_i v_i + u(θ_i) × h_i

    Args:
        omega: torque (injected power), broadcasts to (..., node), rad / time².
        mass: inertia m > 0. damping: d >= 0.

    State: (..., node, 2) with theta (rad) and v (rad / time) on the last axis.
    Source: Tanaka, Lichtenberg and Oishi 1997; Filatrella, Nielsen and Pedersen 2008.
    """

    kind: ClassVar[Kind] = "pair"
    variables: ClassVar[tuple[str, ...]] = ("theta", "v")
    units: ClassVar[tuple[str, ...]] = ("rad", "rad / time")
    lift_kernel = staticmethod(unit_vector_lift)
    tangent_kernel = staticmethod(unit_vector_tangent)
    lift_vjp = staticmethod(unit_vector_lift_vjp)
    tangent_vjp = staticmethod(unit_vector_tangent_vjp)

    omega: Array
    mass: Array = 1.0
    damping: Array = 1.0

    def __post_init__(self):
        super().__post_init__()
        checks.not_negative("damping", self.damping, "for negative damping write a system of your own")
        mass = checks.plain(self.mass)
        if (mass <= 0).any():
            raise ValueError(
                f"`mass` must be positive, but its smallest entry is {mass.min():g}; without inertia use Kuramoto."
            )

    def lift(self, x: Array) -> Array:
        return unit_vector(x[..., 0])

    def tangent(self, x: Array, dx: Array) -> Array:
        xp = namespace(x)
        theta = x[..., 0]
        return dx[..., 0, None] * xp.stack([-xp.sin(theta), xp.cos(theta)], axis=-1)

    def law(self, t, x, h):
        theta, v = x[..., 0], x[..., 1]
        torque = self.omega - self.damping * v + cross(unit_vector(theta), h)
        return namespace(x).stack([v, torque / self.mass], axis=-1)

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        omega, mass, damping, v, c, s, hx, hy = p[0], p[1], p[2], x[1], g[0], g[1], h[0], h[1]
        dtheta, dv = out[0], out[1]
        for i in range(len(v)):
            dtheta[i] = v[i]
            dv[i] = (omega[i] - damping[i] * v[i] + (c[i] * hy[i] - s[i] * hx[i])) / mass[i]

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        omega, mass, damping, v, c, s, hx, hy = p[0], p[1], p[2], x[1], g[0], g[1], h[0], h[1]
        for i in range(len(v)):
            torque = bar[1, i] / mass[i]  # its cotangent
            dv = (omega[i] - damping[i] * v[i] + (c[i] * hy[i] - s[i] * hx[i])) / mass[i]
            xbar[1, i] += bar[0, i] - damping[i] * torque
            pbar[0, i] += torque
            pbar[1, i] -= dv * torque
            pbar[2, i] -= v[i] * torque
            gbar[0, i] += torque * hy[i]
            gbar[1, i] -= torque * hx[i]
            hbar[0, i] = -torque * s[i]
            hbar[1, i] = torque * c[i]


@dataclass(frozen=True)
class Winfree(PhaseSystem):
    """Pulse-coupled phase oscillators: a node fires 1 + cos θ and answers with -sin θ.

        dθ_i/dt = ω_i - sin θ_i · h_i,    h_i = Σ_j K_ij (1 + cos θ_j)

    Args:
        omega: natural frequencies, broadcasts to (..., node), rad / time.

    Source: Winfree 1967; pulse and response of Ariaratnam and Strogatz 2001.
    """

    omega: Array

    def lift(self, theta: Array) -> Array:
        return 1.0 + namespace(theta).cos(theta)[..., None]

    def tangent(self, theta: Array, dtheta: Array) -> Array:
        return -(dtheta * namespace(theta).sin(theta))[..., None]

    @staticmethod
    @lift_kernel
    def lift_kernel(x, g):
        theta, pulse = x[0], g[0]
        for i in range(len(theta)):
            _, c = sincos(theta[i])
            pulse[i] = 1.0 + c

    @staticmethod
    @vjp_kernel
    def lift_vjp(x, g, gbar, xbar):
        theta, pulsebar, bar = x[0], gbar[0], xbar[0]
        for i in range(len(theta)):
            s, _ = sincos(theta[i])
            bar[i] -= s * pulsebar[i]

    @staticmethod
    @tangent_kernel
    def tangent_kernel(x, dx, dg):
        theta, dtheta, dpulse = x[0], dx[0], dg[0]
        for i in range(len(theta)):
            s, _ = sincos(theta[i])
            dpulse[i] = -dtheta[i] * s

    @staticmethod
    @vjp_kernel
    def tangent_vjp(x, dx, dgbar, xbar, dxbar):
        theta, dtheta, dpulsebar, bar, dbar = x[0], dx[0], dgbar[0], xbar[0], dxbar[0]
        for i in range(len(theta)):
            s, c = sincos(theta[i])
            dbar[i] -= s * dpulsebar[i]
            bar[i] -= dtheta[i] * c * dpulsebar[i]

    def law(self, t, theta, h):
        return self.omega - namespace(theta).sin(theta) * h[..., 0]

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        theta, omega, field, d = x[0], p[0], h[0], out[0]
        for i in range(len(d)):
            s, _ = sincos(theta[i])
            d[i] = omega[i] - s * field[i]

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        theta, field, v = x[0], h[0], bar[0]
        for i in range(len(v)):
            s, c = sincos(theta[i])
            pbar[0, i] += v[i]
            xbar[0, i] -= v[i] * c * field[i]
            hbar[0, i] = -v[i] * s
