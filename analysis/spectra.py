"""Spectra of waves: phases of real signals, and where in (frequency, wavenumber) the power lies."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from analysis.checks import alike, require_several
from analysis.labels import labelled
from analysis.waves import one_axis
from oscillators.arrays import Array, namespace

Convention = Literal["standard", "no_nyquist", "no_mean"]
CONVENTIONS = ("standard", "no_nyquist", "no_mean")


@labelled(x="node", gives="node")
def analytic_signal(x: Array, *, convention: Convention = "standard", dim: str = "time") -> Array:
    """x + i H[x], whose angle is the phase of x: the negative frequencies are removed, the positive doubled.

    Args:
        x: real signal, shape (..., T); array, tensor (differentiable) or DataArray.
        convention: what becomes of the mean and of the highest frequency of an even T: "standard" keeps both;
            "no_nyquist" drops the latter; "no_mean" drops both, and for odd T the last positive one. The others are those of
            published wave machines.
        dim: the axis of time.

    Returns:
        Complex, shape (..., T). Subtract the mean in time first if the angle is to be a phase.

    Raises:
        ValueError: for an unknown convention, or fewer than two times.
    """
    one_axis(dim)
    if convention not in CONVENTIONS:
        raise ValueError(f"`convention` must be one of {', '.join(CONVENTIONS)}, but is {convention!r}; choose one.")
    xp, T = namespace(x), x.shape[-1]
    require_several("x", T, "times")
    factor = np.zeros(T)
    factor[1 : (T + 1) // 2 if convention != "no_mean" else T // 2] = 2
    if convention != "no_mean":
        factor[0] = 1
    if convention == "standard" and T % 2 == 0:
        factor[T // 2] = 1
    return xp.fft.ifft(xp.fft.fft(x) * alike(x, factor)[1])


class Ridge(NamedTuple):
    """Where the power of waves lies: for each wavenumber the strongest frequency.

    A wave of phase κx + Ωt has its power at (κ, Ω) and travels at −Ω/κ.
    """

    wavenumber: Array  # κ, rad per site, (N,), ascending
    frequency: Array  # Ω, rad per unit of time, (..., N)
    power: Array  # (..., N)


def dispersion_ridge(x: Any, dt: float = 1.0) -> Ridge:
    """The dispersion relation that a moving pattern shows, from the ridge of its space-time spectrum.

    The spectrum is taken with a Hann window in time; the frequency of the maximum is refined by a parabola through the
    logarithms of three bins (error below a tenth of a bin for a steady wave of some periods).

    Args:
        x: activity, real or complex, shape (..., T, N), T >= 3; NumPy array.
        dt: time between rows.
    """
    x = np.asarray(x)
    T, N = x.shape[-2:]
    if T < 3:
        raise ValueError(f"`x` must hold at least three times, but holds {T}; a frequency needs them.")
    window = np.hanning(T + 1)[:T, None]
    power = np.abs(np.fft.fft2((x - x.mean(-2, keepdims=True)) * window)) ** 2
    best = power.argmax(-2)[..., None, :]
    left, peak, right = (np.log(np.take_along_axis(power, (best + s) % T, -2)[..., 0, :] + 1e-300) for s in (-1, 0, 1))
    bend = left - 2 * peak + right
    frequency = best[..., 0, :] + np.where(bend < 0, (left - right) / (2 * np.where(bend < 0, bend, 1)), 0.0)
    frequency = (frequency + T / 2) % T - T / 2
    order = np.argsort(np.fft.fftfreq(N))
    kappa = 2 * math.pi * np.fft.fftfreq(N)[order]
    return Ridge(kappa, (2 * math.pi / (T * dt) * frequency)[..., order], np.exp(peak)[..., order])


@labelled(x="time node")
def direction_index(x: Array, *, dim: str = "node") -> Array:
    """Which way waves travel: (P₊ − P₋)/(P₊ + P₋), with P₊ the power of waves to higher indices and P₋ of those to lower.

    Args:
        x: activity, shape (..., T, N).
        dim: the axis of space, periodic; the time is `time`.

    Returns:
        Shape (...), in [−1, 1]; 0: standing waves, or as much either way. What does not move or has no direction (mean and
        highest frequency, in time and space) does not count; NaN if there is nothing else.
    """
    one_axis(dim)
    xp, (T, N) = namespace(x), x.shape[-2:]
    power = xp.abs(xp.fft.fft(xp.fft.fft(x, axis=-1), axis=-2)) ** 2
    sign = -np.sign(_frequencies(T))[:, None] * np.sign(_frequencies(N))
    sign = alike(power, sign)[1]
    return xp.sum(sign * power, axis=(-2, -1)) / xp.sum(xp.abs(sign) * power, axis=(-2, -1))


def _frequencies(N: int) -> np.ndarray:
    """Frequencies of the bins, the highest of an even number as 0, for it has no sign."""
    found = np.fft.fftfreq(N)
    return np.where(found == -0.5, 0.0, found)


def spectral_contrast(x: Any, order: Any) -> np.ndarray:
    """Space-time spectrum over that of the same rows in another order, |F[x]| / |F[x shuffled]|: (T, N) -> (N, T).

    Args:
        x: activity, shape (T, N).
        order: a permutation of the rows.

    Source: Keller et al. 2024.
    """
    x = np.asarray(x)
    return (np.abs(np.fft.fft2(x)) / np.abs(np.fft.fft2(x[np.asarray(order)]))).T
