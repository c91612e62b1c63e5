"""Phase locking of a few or of identical oscillators, in closed form or to the root."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq


class LockedStates(NamedTuple):
    """Collective frequencies Ω in rad / time, ascending, and which of them are stable."""

    frequency: np.ndarray
    stable: np.ndarray


def locking_range(K12: float, K21: float) -> float:
    """Largest detuning |ω_1 − ω_2| at which two phases lock, |K_12 + K_21|, rad / time."""
    return abs(K12 + K21)


def locked_phase_difference(detuning: Any, strength: Any) -> Any:
    """Stable phase difference φ = θ_1 − θ_2 of a locked pair, the root of Δω = S sin φ with S cos φ > 0.

    Args:
        detuning: Δω = ω_1 − ω_2, rad / time.
        strength: S = K_12 + K_21, rad / time.

    Returns:
        φ in radians, in [−π/2, 3π/2]; NaN outside the locking range |Δω| <= |S|, and for S = 0.
    """
    detuning, strength = np.broadcast_arrays(np.asarray(detuning, dtype=float), np.asarray(strength, dtype=float))
    locked = (np.abs(detuning) <= np.abs(strength)) & (strength != 0)
    angle = np.arcsin(np.where(locked, detuning, np.nan) / np.where(locked, strength, 1.0))
    return np.where(strength > 0, angle, np.pi - angle)[()]


def beat_frequency(detuning: Any, strength: Any) -> Any:
    """Mean rate of the phase difference of a pair, sign(Δω) √(Δω² − S²) rad / time; 0 within the locking range.

    Args: as `locked_phase_difference`.
    """
    return np.sign(detuning) * np.sqrt(np.maximum(np.square(detuning) - np.square(strength), 0.0))


def two_phase_difference(t: Any, phi0: float, detuning: float, strength: float) -> Any:
    """Phase difference φ(t) = θ_1 − θ_2 of two coupled phases, dφ/dt = Δω − S sin φ, unwrapped.

    With φ = 2 arg a the law is linear, da/dt = (iΔω a + S ā)/2, hence a = a_0 cosh κt + a'_0 sinh(κt)/κ,
    κ² = (S² − Δω²)/4: locking for real κ, drift with period 2π/(2|κ|) for imaginary κ.

    Args:
        t: times.
        phi0: φ(0), rad.
        detuning: Δω = ω_1 − ω_2, rad / time.
        strength: S = K_12 + K_21 of the coupling K_12 sin(θ_2 − θ_1) and its mirror, rad / time.

    Returns:
        φ in radians, in the shape of t. Δω = 0: tan(φ/2) falls as exp(−S t).
    """
    t = np.asarray(t, dtype=float)
    a0 = np.exp(0.5j * phi0)
    slope = 0.5 * (1j * detuning * a0 + strength * np.conj(a0))
    kappa = np.sqrt(abs(strength**2 - detuning**2)) / 2
    if abs(detuning) > abs(strength):
        turns = np.round(kappa * t / np.pi)  # a changes sign every half period: φ gains 2π
        rest = kappa * t - np.pi * turns
        turn = np.angle((np.cos(rest) * a0 + np.sin(rest) / kappa * slope) / a0)
        return phi0 + 2 * (turn + np.sign(detuning) * np.pi * turns)
    reach = np.tanh(kappa * t) / kappa if kappa > 0 else t  # divided by cosh κt, which does not turn a
    return phi0 + 2 * np.angle((a0 + reach * slope) / a0)


def sakaguchi_frequency(omega: float, strength: float, alpha: float) -> float:
    """Rotation Ω = ω − K sin α of identical phases in step under K sin(θ_j − θ_i − α), K the row sum, rad / time.

    Source: Sakaguchi and Kuramoto 1986.
    """
    return omega - strength * np.sin(alpha)


def delayed_locked_states(omega: float, strength: float, tau: float) -> LockedStates:
    """All in-phase states of identical delayed oscillators, the roots of Ω = ω − K sin(Ωτ).

    Stable where K cos(Ωτ) > 0. The number of roots grows as 2|K|τ/π: long delays are multistable.

    Args:
        omega: natural frequency ω, rad / time.
        strength: K, the sum of each row of the coupling, rad / time.
        tau: delay τ >= 0, time.

    Returns:
        The roots, ascending, with their stability; a pair that has just met counts once.

    Raises:
        ValueError: if τ is negative.

    Source: Schuster and Wagner 1989 for two oscillators; Earl and Strogatz 2003 for networks with equal row sums.
    """
    if tau < 0:
        raise ValueError(f"`tau` must be at least 0, but is {tau}; a delay looks back.")

    def excess(frequency: Any) -> Any:
        return frequency - omega + strength * np.sin(frequency * tau)

    edges = turning_points(omega, strength, tau)
    values = excess(edges)
    roots = list(edges[values == 0])
    for low, high, below, above in zip(edges, edges[1:], values, values[1:], strict=False):
        if below * above < 0:
            roots.append(brentq(excess, low, high, xtol=1e-14 * (1 + abs(omega) + abs(strength))))
    frequency = np.sort(np.array(roots, dtype=float))
    return LockedStates(frequency, strength * np.cos(frequency * tau) > 0)


def turning_points(omega: float, strength: float, tau: float) -> np.ndarray:
    """Frequencies between which Ω − ω + K sin(Ωτ) is monotone, from below all roots to above them."""
    reach = abs(strength) * (1 + 1e-9) + 1e-9 * (1 + abs(omega))  # a hair beyond the roots, so that signs differ
    low, high = omega - reach, omega + reach
    if abs(strength * tau) <= 1:
        return np.array([low, high])
    angle = np.arccos(-1 / (strength * tau))
    turns = 2 * np.pi * np.arange(np.floor(low * tau / (2 * np.pi)) - 1, np.ceil(high * tau / (2 * np.pi)) + 2)
    inner = np.concatenate([turns - angle, turns + angle]) / tau
    return np.concatenate([[low], np.sort(inner[(inner > low) & (inner < high)]), [high]])
