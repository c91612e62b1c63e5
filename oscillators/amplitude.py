"""Amplitude oscillators: a node is a complex number, and shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from oscillators.arrays import Array, namespace, quarter_turn
from oscillators.kernels import law_kernel, vjp_kernel
from oscillators.system import Kind, System


@dataclass(frozen=True)
class StuartLandau(System):
    """Normal form of a Hopf bifurcation, coupled through complex amplitudes.

        dz_i/dt = (λ_i + iω_i - (1 + iβ_i)|z_i|²) z_i + h_i

    Args:
        growth: λ, broadcasts to (..., node), 1 / time. Alone: |z| -> √λ for λ > 0, 0 otherwise.
        omega: frequency ω at small amplitude, rad / time.
        shear: β; on the limit cycle the frequency is ω - βλ.

    State: complex, (..., node). `Diffusive(K)` couples by differences Σ_j K_ij (z_j - z_i).
    Source: Stuart 1960; Aronson, Ermentrout and Kopell 1990. Other names: Hopf normal form, Landau-Stuart.
    """

    kind: ClassVar[Kind] = "complex"
    variables: ClassVar[tuple[str, ...]] = ("z",)

    growth: Array
    omega: Array
    shear: Array = 0.0

    def law(self, t, z, h):
        xp = namespace(z)
        square = xp.sum(z * z, axis=-1)
        grow, turn = self.growth - square, self.omega - self.shear * square
        return grow[..., None] * z + turn[..., None] * quarter_turn(z) + h

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        growth, omega, shear, re, im, hx, hy = p[0], p[1], p[2], x[0], x[1], h[0], h[1]
        dre, dim = out[0], out[1]
        for i in range(len(re)):
            square = re[i] * re[i] + im[i] * im[i]
            grow, turn = growth[i] - square, omega[i] - shear[i] * square
            dre[i] = grow * re[i] - turn * im[i] + hx[i]
            dim[i] = grow * im[i] + turn * re[i] + hy[i]

    @staticmethod
    @vjp_kernel
    def law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar):
        growth, omega, shear, re, im, a, b = p[0], p[1], p[2], x[0], x[1], bar[0], bar[1]
        for i in range(len(re)):
            square = re[i] * re[i] + im[i] * im[i]
            grow, turn = growth[i] - square, omega[i] - shear[i] * square
            growbar, turnbar = a[i] * re[i] + b[i] * im[i], b[i] * re[i] - a[i] * im[i]
            squarebar = -growbar - shear[i] * turnbar
            xbar[0, i] += a[i] * grow + b[i] * turn + 2.0 * re[i] * squarebar
            xbar[1, i] += b[i] * grow - a[i] * turn + 2.0 * im[i] * squarebar
            pbar[0, i] += growbar
            pbar[1, i] += turnbar
            pbar[2, i] -= square * turnbar
            hbar[0, i] = a[i]
            hbar[1, i] = b[i]
