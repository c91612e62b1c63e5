"""Waves: how phases turn along a lattice, where they travel and how fast, and how well a moving pattern keeps its shape."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from analysis.checks import alike, require_several
from analysis.labels import Dim, is_labelled, labelled, node_dimensions, times
from oscillators.arrays import Array, namespace


@labelled(theta="node", gives="node", unit="rad / site")
def phase_gradient(theta: Array, *, centred: bool = False, dim: str = "node") -> Array:
    """Phase difference to the next site on a periodic axis, θ_(i+1) − θ_i in (−π, π].

    Args:
        theta: phases in radians, shape (..., N); array, tensor (differentiable) or DataArray.
        centred: (θ_(i+1) − θ_(i−1))/2 instead, which wraps beyond π/2: wavelengths of 4 sites and less are lost.
        dim: the axis; on a torus ask for one after the other.

    Returns:
        Shape (..., N). On a line without periodic ends the last entry (centred: the first, too) has no meaning.
    """
    one_axis(dim)
    xp = namespace(theta)
    if centred:
        return wrapped(xp.roll(theta, -1, axis=-1) - xp.roll(theta, 1, axis=-1)) / 2
    return wrapped(xp.roll(theta, -1, axis=-1) - theta)


@labelled(theta="node")
def winding_number(theta: Array, *, dim: str = "node") -> Array:
    """How often the phase turns on the way around a periodic axis, Σ_i wrapped(θ_(i+1) − θ_i) / 2π, a whole number.

    Args:
        theta: phases in radians, shape (..., N).
        dim: the axis.

    Returns:
        Shape (...), integers as floats. Neighbours more than π apart are taken the short way around.
    """
    one_axis(dim)
    xp = namespace(theta)
    return xp.round(xp.sum(wrapped(xp.roll(theta, -1, axis=-1) - theta), axis=-1) / (2 * math.pi))


class WaveVelocity(NamedTuple):
    """A plane wave θ = κ·x + Ωt fitted to phases; `error` is one standard deviation of `velocity`.

    For one axis all have the shape (...); for several, velocity, error and wavenumber have a last axis with an entry for
    each.
    """

    velocity: Array  # sites per unit of time, along κ
    error: Array
    frequency: Array  # Ω, rad per unit of time
    wavenumber: Array  # κ, rad per site


def wave_velocity(theta: Any, t: Any = None, *, dim: Dim = "node") -> WaveVelocity:
    """Velocity of a travelling wave, v = −Ω κ/|κ|²: Ω the mean turning in time, κ the mean turning from site to site.

    Args:
        theta: phases in radians, shape (..., T, N) or (..., T, height, width) with dim=("height", "width"), on periodic
            axes; they may be wrapped, but turn by less than π from one time to the next.
        t: times, shape (T,); of a DataArray by default its coordinate `time`.
        dim: the axis or axes of the lattice.

    Returns:
        Velocity and its error, from the scatter of Ω among sites and of κ among times (taken as independent). A wave without
        gradient has no velocity: NaN or infinite.

    Raises:
        ValueError: without times, with fewer than two, or times that do not match or do not increase.
    """
    dims = node_dimensions(dim)
    if not is_labelled(theta):
        if t is None:
            raise ValueError("`t` must be given where `theta` has no coordinate `time`, but is None; pass the times.")
        return _velocity(theta, t, len(dims), not isinstance(dim, str))
    import xarray

    t = times(theta) if t is None else t
    vector = [["axis"], ["axis"], [], ["axis"]] if not isinstance(dim, str) else [[]] * 4
    found = xarray.apply_ufunc(
        lambda a: tuple(_velocity(a, np.asarray(t), len(dims), not isinstance(dim, str))),
        theta,
        input_core_dims=[["time", *dims]],
        output_core_dims=vector,
    )
    return WaveVelocity(*found)


def _velocity(theta: Any, t: Any, axes: int, vector: bool) -> WaveVelocity:
    theta, t = alike(
        np.asarray(theta) if isinstance(theta, list) else theta, np.asarray(t) if isinstance(t, list) else t
    )
    xp, T = namespace(theta), theta.shape[-1 - axes]
    require_several("theta", T, "times")
    if tuple(t.shape) != (T,) or not bool(xp.all(t[1:] > t[:-1])):
        raise ValueError(f"`t` must be {T} increasing times, one for each row of `theta`, but is {t}; sort both.")
    sites = tuple(range(-axes, 0))
    turned = wrapped(xp.take(theta, xp.arange(1, T), axis=-1 - axes) - xp.take(theta, xp.arange(T - 1), axis=-1 - axes))
    rate = xp.sum(turned, axis=-1 - axes) / (t[-1] - t[0])  # of every site
    steps = [xp.mean(wrapped(xp.roll(theta, -1, axis=a) - theta), axis=sites) for a in sites]  # at every time
    Omega, kappa = xp.mean(rate, axis=sites), xp.stack([xp.mean(step, axis=-1) for step in steps], axis=-1)
    Omega_error = _standard_error(rate, sites)
    kappa_error = xp.stack([_standard_error(step, (-1,)) for step in steps], axis=-1)
    square = xp.sum(kappa**2, axis=-1)[..., None]
    v = -Omega[..., None] * kappa / square
    by_rate = kappa / square * Omega_error[..., None]
    unit = xp.eye(axes, dtype=theta.dtype)
    slope = Omega[..., None, None] * (unit - 2 * kappa[..., None] * kappa[..., None, :] / square[..., None])
    by_kappa = slope / square[..., None] * kappa_error[..., None, :]
    error = xp.sqrt(by_rate**2 + xp.sum(by_kappa**2, axis=-1))
    if vector:
        return WaveVelocity(v, error, Omega, kappa)
    return WaveVelocity(v[..., 0], error[..., 0], Omega, kappa[..., 0])


def _standard_error(values: Array, axes: tuple[int, ...]) -> Array:
    xp, count = namespace(values), math.prod(values.shape[a] for a in axes)
    return xp.std(values, axis=axes, correction=1 if count > 1 else 0) / math.sqrt(count)


class WaveFraction(NamedTuple):
    """How often a lattice carries a plane wave."""

    fraction: float  # share of the moments whose coherence exceeds the cutoff
    cutoff: Array  # coherence that the shuffled sites of each moment exceed in 1 % of cases
    coherence: Array  # of each moment


def wave_fraction(theta: Any, *, axes: int = 1, surrogates: int = 99, rng: Any = None) -> WaveFraction:
    """Share of the moments at which phases turn from site to site more evenly than in 99 % of their own shuffled copies.

    Evenness is the mean over the axes of |mean over sites of exp(i ∂θ)|: 1 for a plane wave of any length; wrapping does
    not disturb it. Synchrony is even, too, but so are its copies: it is no wave (chosen here).

    Args:
        theta: phases in radians on periodic axes, shape (..., N) or (..., height, width); a NumPy array.
        axes: of the lattice.
        surrogates: random permutations of all sites, each used for all moments; `rng` draws them.
    """
    theta, rng = np.asarray(theta, float), np.random.default_rng(rng)
    flat = theta.reshape(*theta.shape[: theta.ndim - axes], -1)
    shuffled = (flat[..., rng.permutation(flat.shape[-1])].reshape(theta.shape) for _ in range(surrogates))
    cutoff = np.quantile([_evenness(other, axes) for other in shuffled], 0.99, axis=0)
    coherence = _evenness(theta, axes)
    return WaveFraction(float((coherence > cutoff).mean()), cutoff, coherence)


def _evenness(theta: Array, axes: int) -> Array:
    sites = tuple(range(-axes, 0))
    return np.mean([np.abs(np.exp(1j * (np.roll(theta, -1, a) - theta)).mean(sites)) for a in sites], axis=0)


def long_wave_fraction(theta: Any, permutation: Any, *, axes: int = 1) -> tuple[float, float]:
    """Share of sites and moments whose phase gradient is smaller than 99 % of those of permuted sites; and 1/|∇θ| there.

    Args:
        theta: phases in radians, shape (..., N) or (..., height, width); a NumPy array.
        permutation: order of the sites along the last axis.
        axes: of the lattice.

    Note: a published measure. Its gradient spans two sites and wraps beyond π/2, and permuted sites keep some neighbours, so
    that only waves much longer than the lattice are found; `wave_fraction` finds others.
    Source: Keller and Welling 2023, after Davis et al. 2021.
    """
    theta, order = np.asarray(theta, float), np.asarray(permutation)
    if not np.array_equal(np.sort(order), np.arange(theta.shape[-1])):
        raise ValueError(
            f"`permutation` must order the {theta.shape[-1]} sites of the last axis, but is {permutation}; name each once."
        )
    length, shuffled = (1 / _steepness(x, axes) for x in (theta, theta[..., order]))
    cutoff = float(np.quantile(shuffled, 0.99))
    return float((length > cutoff).mean()), cutoff


def _steepness(theta: Array, axes: int) -> Array:
    """|∇θ| over two sites, never exactly 0."""
    parts = [phase_gradient(np.moveaxis(theta, a, -1), centred=True) for a in range(-axes, 0)]
    square = sum(np.moveaxis(part, -1, a) ** 2 for part, a in zip(parts, range(-axes, 0), strict=True))
    return np.sqrt(np.maximum(square, 1e-30))


@labelled(s="time node")
def roll_equivariance(s: Array, shift: int = 1, *, dim: str = "node") -> Array:
    """How badly a pattern on a ring is its own earlier self moved along: Σ over t < t' of ‖roll(s_t, shift (t' − t)) − s_t'‖₁.

    Each s_t is divided by its norm first. 0: a pattern that travels `shift` sites per time, to higher indices, unchanged.

    Args:
        s: activity, shape (..., T, N), one ring per leading index.
        shift: sites per time, a whole number.
        dim: the axis of the ring; the time is `time`.

    Returns:
        Shape (...); over pairs, without normalisation by their number.

    Note: the fast form in the published code rolls the time, too, and equals this only if T is a multiple of N.
    Source: Keller and Welling 2023.
    """
    one_axis(dim)
    xp, T = namespace(s), s.shape[-2]
    s = s / xp.linalg.vector_norm(s, axis=-1, keepdims=True)
    still = xp.stack([xp.roll(s[..., k, :], -shift * k, axis=-1) for k in range(T)], axis=-2)  # seen by a co-mover
    ordered = xp.sort(still, axis=-2)  # Σ over pairs of |a - b| = Σ over ranks k of (2k - T + 1) a_k
    (rank,) = alike(xp.asarray(np.arange(1 - T, T, 2)[:, None] * 1.0))
    return xp.sum(alike(ordered, rank)[1] * ordered, axis=(-2, -1))


@labelled(a="node", b="node", gives="node")
def circular_correlation(a: Array, b: Array, *, dim: str = "node") -> Array:
    """Correlation of two patterns on a ring at every offset, r_k = Σ_i a_(i + k) b_i.

    Args:
        a, b: activity, shape (..., N), broadcast against each other.
        dim: the axis of the ring.

    Returns:
        Shape (..., N); its argmax is the number of sites by which b must be moved to higher indices to become a.
    """
    one_axis(dim)
    xp = namespace(a, b)
    return xp.real(xp.fft.ifft(xp.fft.fft(a) * xp.conj(xp.fft.fft(b))))


def wrapped(angle: Array) -> Array:
    """The same angle in (−π, π]."""
    xp = namespace(angle)
    return xp.atan2(xp.sin(angle), xp.cos(angle))


def one_axis(dim: Dim) -> None:
    """Refuse several dimensions, which have no one order of neighbours."""
    if len(node_dimensions(dim)) > 1:
        raise ValueError(f"`dim` must be one axis of the lattice, but is {dim}; ask for one after the other.")
