"""Pictures of how order, coupling and features of the nodes depend on each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.labels import is_labelled
from analysis.plot.reading import CYCLIC, axes_or_new, phase_bar, plain, require_two_values, wrap


def transition(
    r: Any,
    K: Any = None,
    *,
    threshold: float | None = None,
    theory: Callable[[np.ndarray], Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Order over coupling strength: measured points, the theoretical curve and the threshold.

    Args:
        r: order parameters, shape (K,) or (K, runs), or a Dataset with the variable `r`, or a DataArray along `K`.
        K: coupling strengths, shape (K,), rad / time; by default the coordinate `K`.
        threshold: critical coupling, drawn as a vertical line.
        theory: function of K that returns r, such as `lambda K: lorentzian_order(K, 0.5)`.
        ax: where to draw; by default a new figure.
    """
    r = r["r"] if hasattr(r, "data_vars") else r
    if is_labelled(r):
        K, r = r["K"] if K is None else K, r.transpose("K", ...)
    if K is None:
        raise ValueError("`K` must be given where `r` has no coordinate `K`, but is None; pass the strengths.")
    K, r = plain(K), plain(r)
    ax = axes_or_new(ax)
    ax.plot(K, r.reshape(len(K), -1), "o", color="C0", markersize=4, label="measured")
    if theory is not None:
        fine = np.linspace(K.min(), K.max(), 400)
        ax.plot(fine, theory(fine), color="black", linewidth=1, label="theory")
    if threshold is not None:
        ax.axvline(threshold, color="grey", linestyle="--", linewidth=1, label="threshold")
    ax.set(xlabel="coupling K", ylabel="order parameter r", ylim=(0, 1.02))
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))  # one entry for many runs
    ax.legend(handles.values(), handles.keys(), frameon=False)
    return ax


def loss_against_autocorrelation(c_x: Any, V: Any, *, ax: Axes | None = None) -> Axes:
    """Loss over graph autocorrelation, one point for each step of a training, with the least-squares line and its r².

    Args:
        c_x: `graph_autocorrelation` of the couplings, any shape.
        V: losses, such as the circular variance, of the same shape.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: if the shapes differ, or there are no two different values of each.
    """
    c_x, V = plain(c_x), plain(V)
    if c_x.shape != V.shape:
        raise ValueError(f"`V` must have the shape of `c_x`, {c_x.shape}, but is {V.shape}; give one loss per step.")
    require_two_values(c_x=c_x, V=V)
    line = np.polynomial.Polynomial.fit(c_x.ravel(), V.ravel(), 1)
    r2 = np.corrcoef(c_x.ravel(), V.ravel())[0, 1] ** 2
    ax = axes_or_new(ax)
    ax.scatter(c_x, V, s=12, label="measured")
    ax.plot(*line.linspace(2), color="black", linewidth=1, label=f"least squares, r² = {r2:.2f}")
    ax.set(xlabel="graph autocorrelation", ylabel="loss")
    ax.legend(frameon=False)
    return ax


def fan_in(omega: Any, tau: Any, values: Any, *, ax: Axes | None = None) -> Axes:
    """Mean fan-in of the sources as colours over their frequency and delay, and a cross at the maximum.

    Args:
        omega: centres of the bins, shape (M,), rad / time; the three are what `fan_in_map` returns.
        tau: centres of the bins, shape (L,).
        values: mean fan-in, shape (M, L), NaN where nothing is known.
        ax: where to draw; by default a new figure.
    """
    omega, tau, values = plain(omega), plain(tau), plain(values)
    ax = axes_or_new(ax)
    image = ax.pcolormesh(omega, tau, values.T)
    i, j = np.unravel_index(np.nanargmax(values), values.shape)
    ax.plot(omega[i], tau[j], "x", color="red", label=f"maximum at ({omega[i]:.3g}, {tau[j]:.3g})")
    ax.figure.colorbar(image, ax=ax, label="mean fan-in")
    ax.set(xlabel="frequency ω (rad / time)", ylabel="delay τ")
    ax.legend()
    return ax


def landscape(points: Any, theta: Any, labels: Any = None, *, ax: Axes | None = None) -> Axes:
    """Phases over a plane of features, as cyclic colours: an area for a grid of points, marks for single ones.

    Drawn one after the other into the same Axes: the phase that each place would take, and the nodes upon it.

    Args:
        points: features, shape (n, 2), or (H, W, 2) for a grid that fills an area.
        theta: phases in radians, shape (n,) or (H, W).
        labels: group of each of n points, an integer; groups have different marks.
        ax: where to draw; by default a new figure with a colour bar.

    Raises:
        ValueError: if the shapes do not match.
    """
    points, theta = plain(points), plain(theta)
    if points.shape != (*theta.shape, 2) or theta.ndim not in (1, 2):
        raise ValueError(
            f"`points` must have shape (n, 2) or (H, W, 2) for `theta` of shape (n,) or (H, W), but they are "
            f"{points.shape} and {theta.shape}; give each phase its place."
        )
    panel = axes_or_new(ax)
    if theta.ndim == 2:
        image = panel.pcolormesh(points[..., 0], points[..., 1], wrap(theta), **CYCLIC)
    else:
        image = draw_marks(panel, points, theta, np.zeros(len(theta)) if labels is None else plain(labels))
    if ax is None:
        phase_bar(panel, image)
    return panel


def draw_marks(ax: Axes, points: np.ndarray, theta: np.ndarray, labels: np.ndarray) -> Any:
    """Phases as the colours of points, with one mark for each label."""
    if labels.shape != theta.shape:
        raise ValueError(f"`labels` must have shape {theta.shape}, one per point, but is {labels.shape}; label each.")
    image: Any = None
    for group, mark in zip(np.unique(labels), itertools.cycle("osD^v<>pP*"), strict=False):
        of = labels == group
        x, y = points[of].T
        image = ax.scatter(x, y, c=wrap(theta[of]), marker=mark, s=22, edgecolors="black", **CYCLIC)
    return image
