"""The exactly solvable complex network, a linear relative of Kuramoto's: x' = (iω + K) x, whose angles are phases.

    K = ε exp(-iφ) A,    x(t) = exp(t (diag(iω) + K)) x(0)

The angle of x_i obeys the Kuramoto–Sakaguchi law exactly only while all moduli are equal, which the linear flow does not
keep. `evolve` is the linear flow; `kuramoto_step` resets the moduli after each step, and tends to Kuramoto's flow at first
order in the step. Arrays are complex NumPy arrays (..., node).

Source: Muller, Mináč and Nguyen 2021; Budzinski et al. 2022, 2023; Liboni et al. 2025.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import expm

from oscillators import checks
from oscillators.arrays import Array


def complex_coupling(A: Any, epsilon: float, phi: float) -> Array:
    """K = ε exp(-iφ) A: strength ε and phase lag φ on a matrix A, (N, N)."""
    return epsilon * np.exp(-1j * phi) * _square("A", A)


def power_law_ring(N: int, exponent: float) -> Array:
    """A_ij = d_ij^(-a) / Σ_l d_0l^(-a) with the distance d on a ring; rows sum to 1, the diagonal is 0."""
    if N < 2:
        raise ValueError(f"`N` must be at least 2 for a ring, but is {N}; add nodes.")
    apart = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    d = np.minimum(apart, N - apart).astype(float)
    A = np.where(d > 0, np.maximum(d, 1) ** -exponent, 0.0)
    return A / A[0].sum()


def evolve(x0: Any, t: Any, K: Any, omega: Any = 0.0) -> Array:
    """The linear flow x(t) = exp(t (diag(iω) + K)) x(0), exact to rounding.

    Args:
        x0: complex, (..., N).
        t: times, (T,) or one number; negative ones go back.
        K: complex coupling, (N, N), row = receiver.
        omega: natural frequencies, (N,) or one number.

    Returns:
        x at each time, (T, ..., N), or (..., N) for one number.
    """
    B = generator(K, omega)
    x0 = _state(x0, K)
    times = checks.real_numbers("t", t)
    if times.ndim > 1:
        raise ValueError(f"`t` must be a number or a list of times, but has shape {times.shape}; pass one axis.")
    found = np.stack([x0 @ expm(time * B).T for time in times.reshape(-1)])
    return found if times.ndim else found[0]


def kuramoto_step(x: Any, tau: float, K: Any, omega: Any = 0.0, *, steps: int = 1, split: bool = False) -> Array:
    """Steps of the linear flow, each followed by x_i <- x_i / |x_i|: Kuramoto's flow to first order in τ.

    Args:
        x: complex with modulus 1, (..., N).
        tau: step, in time.
        steps: how many.
        split: exp(iωτ) exp(τK) in place of exp(τ(iω + K)), as published: less exact if frequencies differ.
    """
    omega = checks.real_numbers("omega", omega)
    tau = checks.positive("tau", tau, "a step moves the time")
    P = np.exp(1j * tau * omega)[..., None] * expm(tau * _square("K", K)) if split else expm(tau * generator(K, omega))
    x = _state(x, K)
    for _ in range(steps):
        x = x @ P.T
        x = x / np.abs(x)
    return x


class Modes(NamedTuple):
    """Eigenmodes of diag(iω) + K: x = Σ_m μ_m v_m.

    Args:
        rates: complex growth rates d_m, (N,).
        vectors: v_m as columns, (N, N).
        inverse: rows that read the contributions, μ = inverse @ x.
    """

    rates: Array
    vectors: Array
    inverse: Array

    def contributions(self, x: Array) -> Array:
        """μ_m of states (..., N)."""
        return x @ self.inverse.T


def modes(K: Any, omega: Any = 0.0) -> Modes:
    """Eigenmodes. A circulant K with equal frequencies has Fourier modes v_jm = exp(-2πi jm/N)/√N, in this order.

    A symmetric K has v_mᵀ / (v_mᵀ v_m) as rows of the inverse; any other K is inverted.
    """
    B = generator(K, omega)
    N = len(B)
    if np.allclose(B, np.roll(B, (1, 1), (0, 1)), rtol=1e-12, atol=1e-12 * np.abs(B).max()):
        vectors = np.exp(-2j * np.pi * np.outer(np.arange(N), np.arange(N)) / N) / np.sqrt(N)
        return Modes(np.fft.fft(B[0]), vectors, vectors.conj().T)
    rates, vectors = np.linalg.eig(B)
    square = np.einsum("ij,ij->j", vectors, vectors)
    if np.allclose(B, B.T) and np.abs(square).min() > 1e-8:
        return Modes(rates, vectors, vectors.T / square[:, None])
    return Modes(rates, vectors, np.linalg.inv(vectors))


def design_input(target: Any, T: float, K: Any, omega: Any = 0.0) -> Array:
    """The initial state whose linear flow is `target` at time T: x(0) = exp(-T (diag(iω) + K)) x*.

    Initial states add up as their targets do. What grows by a factor f until T is known to f times less: take φ near π/2.
    """
    return evolve(target, -float(T), K, omega)


def generator(K: Any, omega: Any) -> Array:
    """diag(iω) + K, (N, N)."""
    K = _square("K", K)
    omega = checks.real_numbers("omega", omega)
    checks.broadcastable("omega", omega, K.shape[:1], "one frequency per row of `K`")
    return K + np.diag(1j * np.broadcast_to(omega, K.shape[:1]))


def _square(name: str, K: Any) -> Array:
    K = checks.complex_numbers(name, K)
    if K.ndim != 2 or K.shape[0] != K.shape[1]:
        raise ValueError(f"`{name}` must have shape (N, N), but is {K.shape}; give a square matrix, row = receiver.")
    return K


def _state(x: Any, K: Any) -> Array:
    x = checks.complex_numbers("x", x)
    if x.shape[-1:] != np.shape(K)[-1:]:
        raise ValueError(
            f"`x` must have shape (..., {np.shape(K)[-1]}) for this `K`, but is {x.shape}; one entry per node."
        )
    return x
