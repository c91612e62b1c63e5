"""Measures of waves, replayed. What the published programs compute in single precision is compared at 1e-4."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import butter, lfilter

from analysis import (
    analytic_signal,
    circular_correlation,
    long_wave_fraction,
    phase_gradient,
    roll_equivariance,
    spectral_contrast,
)
from tests.replays.file import Golden, Output

SINGLE = 1e-4
FAINT = 1e-3  # where the modulus of the analytic signal is below, its angle is noise


def waves(golden: Golden) -> dict[str, Any]:
    ring, torus = golden.inputs["ring"], golden.inputs["torus"]  # time is the second axis
    standard = (ring - ring.mean(1, keepdims=True)) / ring.std(1, keepdims=True, ddof=1)
    z = _analytic(standard, "no_nyquist")
    theta = np.angle(z)
    slope = phase_gradient(theta)
    sheet = np.angle(_analytic(torus, "no_mean"))
    fraction, cutoff = long_wave_fraction(sheet[0], golden.inputs["perm_space"], axes=2)
    along = [_centred(sheet[0], axis) for axis in (-2, -1)]
    sheet_1 = _analytic(torus, "no_nyquist")
    ratio = spectral_contrast(ring[0, :, 0], golden.inputs["perm_time"])
    b, a = butter(5, [0.2, 0.4], "band")
    own = golden.outputs
    return {
        "analytic_v1": Output(_analytic(ring, "no_nyquist"), SINGLE),
        "analytic_v1_odd": Output(_analytic(ring[:, :-1], "no_nyquist"), SINGLE),
        "analytic_v2": _analytic(ring, "no_mean"),
        "analytic_v2_odd": _analytic(ring[:, :-1], "no_mean"),
        "analytic_scipy": _analytic(ring, "standard"),
        "velocity_1d": _angles(-phase_gradient(theta, centred=True), own["velocity_1d"], z, np.pi, (-1,)),
        "velocity_2d": _angles(
            -np.stack([_centred(np.angle(sheet_1), axis) for axis in (-2, -1)]),
            own["velocity_2d"],
            sheet_1,
            np.pi,
            (-2, -1),
        ),
        "divergence_1d": _angles(slope - np.roll(slope, 1, -1), own["divergence_1d"], z, 2 * np.pi, (-1,)),
        "rgb": _clear(
            np.cos(theta[:, :, None] + np.array([0, 2.0944, -2.0944])[:, None, None]), own["rgb"], z[:, :, None]
        ),
        "butter_b": b,
        "butter_a": a,
        "bandpassed_2d": lfilter(b, a, torus, axis=1),
        "phase_speed_map": np.hypot(*along),
        "wave_cutoff": cutoff,
        "wave_fraction": fraction,
        "spacetime_ratio": ratio,
        "diag_power": np.trace(ratio),
    }


def _analytic(x: np.ndarray, convention: Any) -> np.ndarray:
    return np.moveaxis(analytic_signal(np.moveaxis(x, 1, -1), convention=convention), -1, 1)


def _centred(theta: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(phase_gradient(np.moveaxis(theta, axis, -1), centred=True), -1, axis)


def _angles(mine: np.ndarray, golden: np.ndarray, z: np.ndarray, period: float, axes: tuple[int, ...]) -> Output:
    """Angles modulo their period, where the signal and its neighbours along the axes are not faint."""
    apart = (mine - golden + period / 2) % period - period / 2
    strong = np.abs(z) > FAINT
    for axis in axes:
        strong &= (np.roll(np.abs(z), 1, axis) > FAINT) & (np.roll(np.abs(z), -1, axis) > FAINT)
    return Output(golden + np.where(strong, apart, 0), SINGLE, 1.0)


def _clear(mine: np.ndarray, golden: np.ndarray, z: np.ndarray) -> Output:
    return Output(np.where(np.abs(z) > FAINT, mine, golden), SINGLE, 1.0)


def equivariance(golden: Golden) -> dict[str, Any]:
    """Losses over all pairs of times, (B, T, capsule, D); offsets of capsules from the first frame."""
    s, square, moved = (golden.inputs[name] for name in ("s", "s_square", "s_rolled"))
    still = golden.inputs["s_equivariant"]
    correlation = circular_correlation(moved[:, :1], moved)
    offset = correlation.argmax(-1)
    return {
        "naive_s": _all_pairs(s),
        "fast_s": _published_fast(s),
        "naive_square": _all_pairs(square),
        "fast_square": _published_fast(square),
        "naive_equivariant": Output(_all_pairs(still), 1e-9, 1.0),  # zero, to rounding
        "periodic_corr": correlation,
        "argmax": offset,
        "mode": np.apply_along_axis(lambda row: np.bincount(row).argmax(), -1, offset),
    }


def _all_pairs(s: np.ndarray) -> float:
    return roll_equivariance(np.moveaxis(s, 2, 1)).sum() / len(s)


def _published_fast(s: np.ndarray) -> float:
    """Rolls the time with the capsule: the sum over all pairs only where T is a multiple of D."""
    s = s / np.linalg.norm(s, axis=-1, keepdims=True)
    moved = (np.roll(s, (k, k), (1, 3)) for k in range(s.shape[1]))
    return sum(np.abs(other - s).sum() for other in moved) / 2 / len(s)


REPLAYS = {"metric_waves": waves, "metric_equivariance": equivariance}
