"""Runs whose result is known: system, coupling, initial state, times, and the exact answer with its formula.

Every formula stands here once more than in `analysis.theory`, so that a slip of the sign on either side shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq
from scipy.special import ellipj, i0e, i1e

from oscillators import (
    Delayed,
    Dense,
    Diffusive,
    InertialKuramoto,
    Kuramoto,
    MeanField,
    SphereKuramoto,
    Stencil,
    StuartLandau,
    System,
    TopographicOscillators,
    Winfree,
    simulate,
)

T = np.linspace(0.0, 3.0, 7)


@dataclass(frozen=True)
class Problem:
    """A run and the state it should have at every saved time."""

    system: System
    coupling: Any
    x0: np.ndarray
    t: np.ndarray
    exact: np.ndarray  # (time, ...): public states, second-order ones (..., node, 2)
    drive: Any = None
    history: Any = None

    def run(self, **options):
        """The labelled result of `simulate`."""
        options = {"drive": self.drive, "history": self.history} | options
        return simulate(self.system, self.coupling, self.x0, self.t, **options)

    def error(self, **options) -> float:
        """Greatest distance from the exact state, over all times and nodes."""
        return float(np.abs(states(self.system, self.run(**options)) - self.exact).max())


def states(system: System, result) -> np.ndarray:
    """The states in a result, in the shape in which they entered."""
    values = [result[name].values for name in system.variables]
    return values[0] if len(values) == 1 else np.stack(values, axis=-1)


def velocity(system: System, coupling: Any, x0: np.ndarray, **options) -> np.ndarray:
    """The right-hand side at x0: one Euler step of length 1. On a sphere the step is scaled back to its tangent."""
    stepped = simulate(system, coupling, x0, [0.0, 1.0], method="euler", dt=1.0, **options)
    x1 = states(system, stepped.isel(time=-1))
    if system.kind == "vector":
        x1 = x1 / np.sum(x0 * x1, axis=-1, keepdims=True)
    return x1 - x0


def half_angle(phi0: float, decay: np.ndarray) -> np.ndarray:
    """The angle whose tan(φ/2) is tan(φ0/2) times `decay`."""
    return 2 * np.arctan(np.tan(phi0 / 2) * decay)


def order(theta: np.ndarray) -> np.ndarray:
    """r = |mean exp(iθ)|, written out."""
    return np.hypot(np.cos(theta).mean(-1), np.sin(theta).mean(-1))


# --- two phases -------------------------------------------------------------------------------------------------------


def pair_of_phases() -> Problem:
    """Equal frequencies: tan(φ/2) falls as exp(−(K_12 + K_21) t), φ = θ_1 − θ_2, and K_21 θ_1 + K_12 θ_2 turns with ω."""
    omega, K12, K21, theta = 0.6, 0.9, 0.4, np.array([1.7, -0.8])
    S = K12 + K21
    phi = half_angle(theta[0] - theta[1], np.exp(-S * T))
    centre = (K21 * theta[0] + K12 * theta[1]) / S + omega * T
    exact = np.stack([centre + K12 / S * phi, centre - K21 / S * phi], axis=-1)
    return Problem(Kuramoto(omega), np.array([[0.0, K12], [K21, 0.0]]), theta, T, exact)


def drifting_pair(beyond: float = 1.3) -> Problem:
    """Detuned beyond the locking range |Δω| = 2K: φ gains 2π in every period 2π/√(Δω² − 4K²), the mean turns evenly."""
    K, theta = 0.5, np.array([0.9, 0.2])
    detuning = 2 * K * beyond
    omega = 1.1 + np.array([0.5, -0.5]) * detuning
    turns = np.arange(5)
    t = turns * 2 * np.pi / np.sqrt(detuning**2 - (2 * K) ** 2)
    exact = theta + 1.1 * t[:, None] + np.pi * turns[:, None] * np.array([1.0, -1.0])
    return Problem(Kuramoto(omega), np.array([[0.0, K], [K, 0.0]]), theta, t, exact)


# --- one phase or vector in a field that others do not change ---------------------------------------------------------


def phase_in_turning_force() -> Problem:
    """A force of strength F(t) turning with the phase's own ω: φ = θ − ωt obeys dφ/dt = −F(t) sin φ, so that
    tan(φ/2) falls as exp(−∫F); F = 1 + cos(3t)/2. Non-autonomous."""
    omega, phi0 = 1.3, np.array([2.4, -1.0])
    force = lambda t: (1 + np.cos(3 * t) / 2) * np.array([np.cos(omega * t), np.sin(omega * t)])  # noqa: E731
    phi = half_angle(phi0, np.exp(-(T + np.sin(3 * T) / 6))[:, None])
    return Problem(Kuramoto(omega), 0.0, phi0, T, omega * T[:, None] + phi, drive=force)


def vector_in_field(n: int) -> Problem:
    """A unit vector at the angle φ from a constant field c: tan(φ/2) falls as exp(−|c| t), in the plane of both."""
    rng = np.random.default_rng(n)
    c, side = np.linalg.qr(rng.normal(size=(n, 2)))[0].T
    phi0, strength = 2.2, 0.8
    phi = half_angle(phi0, np.exp(-strength * T))[:, None, None]
    x0 = np.cos(phi0) * c + np.sin(phi0) * side
    return Problem(SphereKuramoto(), 0.0, x0[None], T, np.cos(phi) * c + np.sin(phi) * side, drive=strength * c)


def turning_vectors(n: int) -> Problem:
    """Uncoupled vectors, each with its own rotation Ω_i: x_i(t) = exp(Ω_i t) x_i(0)."""
    rng = np.random.default_rng(n)
    R = rng.normal(size=(4, n, n))
    R, x0 = R - R.swapaxes(1, 2), rng.normal(size=(4, n))
    x0 /= np.linalg.norm(x0, axis=-1, keepdims=True)
    exact = np.stack([(expm(R * t) @ x0[..., None])[..., 0] for t in T])
    return Problem(SphereKuramoto(R), 0.0, x0, T, exact)


# --- networks of phases ----------------------------------------------------------------------------------------------


def sakaguchi_rotation() -> Problem:
    """Equal phases with lag α and row sums S of the coupling rotate with Ω = ω − S sin α."""
    omega, alpha, S, N = 0.7, 0.4, 1.5, 6
    K = np.random.default_rng(2).random((N, N))
    K *= S / K.sum(axis=1, keepdims=True)
    exact = 0.3 + (omega - S * np.sin(alpha)) * T[:, None] + np.zeros(N)
    return Problem(Kuramoto(omega, alpha), K, exact[0], T, exact)


def twisted_ring(q: int, N: int = 12) -> Problem:
    """θ_j = 2πqj/N on a ring rotates with ω + Σ_s k_s sin(2πqs/N), k_s from the s-th next node (here lopsided)."""
    kernel = np.array([0.3, 0.8, 0.0, 1.1, 0.2])  # s = −2 … 2
    omega = 0.9 + kernel @ np.sin(2 * np.pi * q * np.arange(-2, 3) / N)
    exact = 2 * np.pi * q * np.arange(N) / N + omega * T[:, None]
    return Problem(Kuramoto(0.9), Stencil(kernel), exact[0], T, exact)


def twisted_rate(m: int, q: int, N: int, K: float = 1.0) -> float:
    """Growth rate of mode m about the q-twisted state of a ring with links K to both neighbours,
    λ = 2K cos(2πq/N) (cos(2πm/N) − 1): stable for |q| < N/4 (Wiley, Strogatz and Girvan 2006)."""
    return 2 * K * np.cos(2 * np.pi * q / N) * (np.cos(2 * np.pi * m / N) - 1)


def lorentzian_frequencies(N: int, half_width: float) -> np.ndarray:
    """Quantiles of the Lorentzian density, ω_i = Δ tan(π((i − ½)/N − ½)), i = 1 … N."""
    return half_width * np.tan(np.pi * ((np.arange(N) + 0.5) / N - 0.5))


def lorentzian_order(K: float, half_width: float) -> float:
    """r = √(1 − 2Δ/K) for K > 2Δ (Kuramoto 1975)."""
    return float(np.sqrt(1 - 2 * half_width / K))


def ott_antonsen_order(t: np.ndarray, K: float, half_width: float, r0: float) -> np.ndarray:
    """dr/dt = (K/2 − Δ) r − (K/2) r³: r = R / √(1 + (R²/r0² − 1) exp(−2at)), a = K/2 − Δ, R² = 1 − 2Δ/K."""
    a, R = K / 2 - half_width, lorentzian_order(K, half_width)
    return R / np.sqrt(1 + (R**2 / r0**2 - 1) * np.exp(-2 * a * t))


def poisson_phases(N: int, r0: float) -> np.ndarray:
    """Quantiles of the Poisson kernel, whose moments are Z_m = r0^m: the Ott–Antonsen manifold."""
    return 2 * np.arctan((1 - r0) / (1 + r0) * lorentzian_frequencies(N, 1.0))


def gaussian_order(K: float) -> float:
    """Root of 1 = K √(π/8) e^{−y} (I0(y) + I1(y)), y = (Kr/2)²: Kuramoto's integral for frequencies of deviation 1.

    At r = 0 this is K_c = √(8/π) = 2/(π g(0)).
    """
    excess = lambda r: K * np.sqrt(np.pi / 8) * (i0e((K * r / 2) ** 2) + i1e((K * r / 2) ** 2)) - 1  # noqa: E731
    return float(brentq(excess, 1e-9, 1.0))


def simplicial_order(K1: float, K2: float, half_width: float) -> tuple[float, float]:
    """(stable, unstable) synchronised r of the mean field with triads.

    On the Ott–Antonsen manifold Z_2 = Z_1², so that the field is (K1 + K2 r²) Z_1 and
    dr/dt = −Δ r + (K1 + K2 r²) r (1 − r²)/2: K2 r⁴ + (K1 − K2) r² + 2Δ − K1 = 0 (Skardal and Arenas 2020).
    """
    high, low = np.sort(np.roots([K2, K1 - K2, 2 * half_width - K1]))[::-1]
    return float(np.sqrt(high)), float(np.sqrt(low))


def winfree_death() -> Problem:
    """Identical pulses in step stop where ω = K sin θ (1 + cos θ); the lower root, θ < 60°, is stable."""
    K, theta = 1.0, 0.5
    omega = K * np.sin(theta) * (1 + np.cos(theta))
    exact = np.full((len(T), 5), theta)
    return Problem(Winfree(omega), K, exact[0], T, exact)


# --- second order -----------------------------------------------------------------------------------------------------


def pendulum() -> Problem:
    """m θ'' = −F sin θ from rest at θ0: sin(θ/2) = k cd(w t | k²), k = sin(θ0/2), w = √(F/m) (Jacobi's cd = cn/dn)."""
    mass, F, theta0 = 0.5, 0.9, 2.0
    w, k = np.sqrt(F / mass), np.sin(theta0 / 2)
    sn, cn, dn, _ = ellipj(w * T, k**2)
    exact = np.stack([2 * np.arcsin(k * cn / dn), -2 * k * w * np.sqrt(1 - k**2) * sn / dn], axis=-1)[:, None]
    return Problem(InertialKuramoto(0.0, mass, 0.0), 0.0, exact[0], T, exact, drive=np.array([F, 0.0]))


def swing_network() -> Problem:
    """Equal m and d, symmetric K: the mean of v relaxes to P/d as exp(−d t/m), whatever the flows (P: mean power)."""
    m, d, N = 0.8, 0.5, 5
    rng = np.random.default_rng(3)
    K, power, x0 = rng.random((N, N)), rng.normal(size=N), rng.normal(size=(N, 2))
    P, fall = power.mean(), np.exp(-d * T / m)
    v = P / d + (x0[:, 1].mean() - P / d) * fall
    theta = x0[:, 0].mean() + P / d * T + (x0[:, 1].mean() - P / d) * m / d * (1 - fall)
    return Problem(InertialKuramoto(power, m, d), K + K.T, x0, T, np.stack([theta, v], axis=-1))


def damped_oscillators() -> Problem:
    """Alone: x'' = −γx − εx', (x, v)(t) = exp(t [[0, 1], [−γ, −ε]]) (x, v)(0); weak and strong damping."""
    gamma, epsilon = np.array([2.0, 0.5, 1.0]), np.array([0.3, 2.0, 0.0])
    x0 = np.random.default_rng(4).normal(size=(3, 2))
    A = np.array([[[0.0, 1.0], [-g, -e]] for g, e in zip(gamma, epsilon, strict=True)])
    exact = np.stack([(expm(A * t) @ x0[..., None])[..., 0] for t in T])
    return Problem(TopographicOscillators(gamma, epsilon), 0.0, x0, T, exact)


def driven_oscillator() -> Problem:
    """x'' + εx' + γx = a cos νt through a drive c with tanh c = a cos νt. Non-autonomous.

    x = Re(A e^{iνt}) + free part, A = a / (γ − ν² + iεν), started on the forced orbit plus a free one.
    """
    gamma, epsilon, a, nu = 2.0, 0.4, 0.7, 1.9
    A, s = a / (gamma - nu**2 + 1j * epsilon * nu), -epsilon / 2 + 1j * np.sqrt(gamma - epsilon**2 / 4)
    parts = [(A, 1j * nu), (0.6 - 0.2j, s)]
    x = sum((amplitude * np.exp(rate * T)).real for amplitude, rate in parts)
    v = sum((amplitude * rate * np.exp(rate * T)).real for amplitude, rate in parts)
    exact = np.stack([x, v], axis=-1)[:, None]
    drive = lambda t: np.array([np.arctanh(a * np.cos(nu * t))])  # noqa: E731
    return Problem(TopographicOscillators(gamma, epsilon), 0.0, exact[0], T, exact, drive=drive)


def harmonic_chain(boundary: str, amplitude: float = 1e-6) -> Problem:
    """So small that tanh h = h to round-off: x'' = κ(x_{i+1} − 2x_i + x_{i−1}) − γx − εv, a matrix exponential."""
    N, kappa, gamma, epsilon = 8, 0.7, 0.5, 0.1
    A = kappa * (np.eye(N, k=1) + np.eye(N, k=-1) - 2 * np.eye(N))
    if boundary == "periodic":
        A[0, -1] = A[-1, 0] = kappa
    M = np.block([[np.zeros((N, N)), np.eye(N)], [A - gamma * np.eye(N), -epsilon * np.eye(N)]])
    x0 = amplitude * np.random.default_rng(5).normal(size=(N, 2))
    exact = np.stack([(expm(M * t) @ x0.T.reshape(-1)).reshape(2, N).T for t in T])
    stencil = Stencil(kappa * np.array([1.0, -2.0, 1.0]), boundary)
    return Problem(TopographicOscillators(gamma, epsilon), stencil, x0, T, exact)


# --- amplitudes -------------------------------------------------------------------------------------------------------


def lone_amplitudes() -> Problem:
    """r² = λ/(1 + (λ/r0² − 1) e^{−2λt}); as ∫r² = λt − ln(r/r0), the angle turns by (ω − βλ) t + β ln(r/r0)."""
    growth, omega, shear = np.array([1.0, 0.7, -0.5]), np.array([2.0, -1.0, 1.5]), np.array([0.0, 0.8, -0.6])
    z0 = np.array([0.2 + 0.1j, 1.5j, -0.9 + 0.3j])
    t = T[:, None]
    r0 = np.abs(z0)
    r = np.sqrt(growth / (1 + (growth / r0**2 - 1) * np.exp(-2 * growth * t)))
    turn = (omega - shear * growth) * t + shear * np.log(r / r0)
    return Problem(StuartLandau(growth, omega, shear), 0.0, z0, T, r * np.exp(1j * (np.angle(z0) + turn)))


def locked_amplitudes(K: float = 5.0) -> Problem:
    """Two diffusively coupled cycles of frequencies ω ± Δ/2 locked at sin φ = Δ/2K turn with ω at the radius
    r² = λ − K + √(K² − Δ²/4) (Aronson, Ermentrout and Kopell 1990)."""
    growth, omega, detuning = 1.0, 0.4, 5.0
    phi, r = np.arcsin(detuning / (2 * K)), np.sqrt(growth - K + np.sqrt(K**2 - detuning**2 / 4))
    exact = r * np.exp(1j * (omega * T[:, None] + np.array([phi, -phi]) / 2))
    system = StuartLandau(growth, omega + detuning * np.array([0.5, -0.5]))
    return Problem(system, Diffusive(Dense(np.array([[0.0, K], [K, 0.0]]))), exact[0], T, exact)


# --- systems of a user ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried(System):
    """dx/dt = h: the state shows itself and goes where its field points."""

    def law(self, t, x, h):
        return h[..., 0]


@dataclass(frozen=True)
class Timed(System):
    """dx/dt = cos(t) (1 + x²), x = tan(sin t): the law itself depends on time."""

    variables: ClassVar[tuple[str, ...]] = ("x",)

    def law(self, t, x, h):
        return np.cos(t) * (1 + x**2)


def timed_law() -> Problem:
    """x = tan(sin t) of `Timed`. Non-linear and non-autonomous."""
    return Problem(Timed(), 0.0, np.zeros(1), T, np.tan(np.sin(T))[:, None])


# --- delays -----------------------------------------------------------------------------------------------------------


def delayed_cosine(t: np.ndarray = T) -> Problem:
    """x'(t) = −x(t − π/2) with the history cos t: x = cos t. The past is smooth."""
    past = lambda t: np.cos(np.array([t]))  # noqa: E731
    coupling = Delayed(Dense(np.array([[-1.0]])), np.pi / 2)
    return Problem(Carried(), coupling, past(t[0]), t, np.cos(t)[:, None], history=past)


def delayed_steps(tau: float = 1.0) -> Problem:
    """x'(t) = −x(t − τ) with the history 1: x = Σ_k (−1)^k (t − (k − 1)τ)^k / k!, summed while t > (k − 1)τ.

    The velocity jumps at 0, the acceleration at τ, the next derivative at 2τ.
    """
    t = np.linspace(0.0, 9 * tau, 10)
    x = sum((-1) ** k * np.maximum(t - (k - 1) * tau, 0.0) ** k / factorial(k) for k in range(1, 11)) + 1
    one = np.ones(1)
    return Problem(Carried(), Delayed(Dense(np.array([[-1.0]])), tau), one, t, x[:, None], history=one)


def prescribed_path(t: np.ndarray = T) -> Problem:
    """A phase that sees its own past, driven so that θ = p(t) = t + sin(t)/2 solves it. Non-linear, non-autonomous.

    θ' = ω + K sin(θ(t − τ) − θ) + u(θ) × c with c = b (−sin p, cos p), b = p' − ω − K sin(p(t − τ) − p).
    """
    omega, K, tau = 0.4, 0.9, 0.55
    path = lambda t: t + np.sin(t) / 2  # noqa: E731

    def drive(t):
        b = 1 + np.cos(t) / 2 - omega - K * np.sin(path(t - tau) - path(t))
        return b * np.array([-np.sin(path(t)), np.cos(path(t))])

    past = lambda t: np.array([path(t)])  # noqa: E731
    delayed = Delayed(Dense(np.array([[K]])), tau)
    return Problem(Kuramoto(omega), delayed, past(t[0]), t, path(t)[:, None], drive=drive, history=past)


def delayed_pair(tau: Any, sees: tuple[float, float], Omega: float = 1.6) -> Problem:
    """A mutual pair in which node 1 sees node 2 after `sees[0]` and node 2 sees node 1 after `sees[1]`.

    Locked at θ_1 − θ_2 = Ω (sees_2 − sees_1)/2 with Ω = ω − K sin(Ω s), s the mean of both; ω is chosen for Ω.
    `tau` says the same in the words of `Delayed`: one number, per sender, or per link.
    """
    K, t = 0.8, np.linspace(0.0, 6.0, 4)
    omega = Omega + K * np.sin(Omega * np.mean(sees))
    offset = Omega * (sees[1] - sees[0]) / 2
    path = lambda t: Omega * t + np.array([offset, -offset]) / 2  # noqa: E731
    delayed = Delayed(Dense(np.array([[0.0, K], [K, 0.0]])), tau)
    return Problem(Kuramoto(omega), delayed, path(0.0), t, np.stack([path(s) for s in t]), history=path)


def delayed_frequencies(omega: float, K: float, tau: float) -> np.ndarray:
    """All roots of Ω = ω − K sin(Ωτ) (Schuster and Wagner 1989); stable if K cos(Ωτ) > 0 (Earl and Strogatz 2003)."""
    excess = lambda Omega: Omega - omega + K * np.sin(Omega * tau)  # noqa: E731
    grid = np.linspace(omega - 1.01 * K, omega + 1.01 * K, 1000)
    change = np.flatnonzero(np.diff(np.sign(excess(grid))))
    return np.array([brentq(excess, grid[k], grid[k + 1], xtol=1e-14) for k in change])


def delayed_mean_field(omega: float, K: float, tau: float, history: Callable, t: np.ndarray, **options):
    """Phases of a delayed mean field from a history function."""
    return simulate(Kuramoto(omega), Delayed(MeanField(K), tau), history(t[0]), t, history=history, **options)


# --- lists for tests that run over all of them ------------------------------------------------------------------------

SMOOTH: dict[str, Callable[[], Problem]] = {  # undelayed, with the exact state at every time
    "pair of phases": pair_of_phases,
    "drifting pair": drifting_pair,
    "turning force": phase_in_turning_force,
    "vector in a field, n = 2": lambda: vector_in_field(2),
    "vector in a field, n = 5": lambda: vector_in_field(5),
    "turning vectors, n = 3": lambda: turning_vectors(3),
    "turning vectors, n = 4": lambda: turning_vectors(4),
    "Sakaguchi rotation": sakaguchi_rotation,
    "twisted ring": lambda: twisted_ring(2),
    "Winfree death": winfree_death,
    "pendulum": pendulum,
    "damped oscillators": damped_oscillators,
    "driven oscillator": driven_oscillator,
    "lone amplitudes": lone_amplitudes,
    "locked amplitudes": locked_amplitudes,
    "law of time": timed_law,
}
