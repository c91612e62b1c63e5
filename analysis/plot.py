"""Pictures of phases, of their order, and of the transition to synchrony.

Every function takes a Dataset (its variable `theta`), a DataArray, an array or a tensor, draws into `ax` or into a new
figure, and returns the Axes, or the path of the file it wrote. Phases are wrapped here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes

from analysis.labels import Dim, is_labelled, node_dimensions
from analysis.order import order_parameter, resultant

CYCLIC: dict[str, Any] = {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi}  # equal colours at −π and π


def phases(theta: Any, t: Any = None, *, dim: Dim = "node", ax: Axes | None = None) -> Axes:
    """Phases over time, wrapped into [−π, π), one line for each node.

    Args:
        theta: phases in radians, shape (T, N) or a Dataset or DataArray with the dimension `time`.
        t: times, shape (T,); by default the coordinate `time`, or the row number of an array.
        dim: the dimension(s) of the nodes.
        ax: where to draw; by default a new figure.
    """
    theta, t = trajectory(theta, t, dim)
    ax = axes_or_new(ax)
    wrapped = wrap(theta.reshape(len(t), -1))
    jump = np.abs(np.diff(wrapped, axis=0, prepend=wrapped[:1])) > np.pi
    ax.plot(t, np.where(jump, np.nan, wrapped), linewidth=0.8)  # the line is cut where a phase passes π
    ax.set(xlabel="time", ylabel="phase (rad)", ylim=(-np.pi, np.pi))
    ax.set_yticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    return ax


def order(theta: Any, t: Any = None, *, dim: Dim = "node", ax: Axes | None = None) -> Axes:
    """Order parameter of the phases over time; arguments as `phases`."""
    theta, t = trajectory(theta, t, dim)
    ax = axes_or_new(ax)
    ax.plot(t, order_parameter(theta.reshape(len(t), -1)))
    ax.set(xlabel="time", ylabel="order parameter r", ylim=(0, 1.02))
    return ax


def phase_disc(theta: Any, *, dim: Dim = "node", ax: Axes | None = None) -> Axes:
    """One instant: each node on the unit circle, and the mean field r exp(iψ) as an arrow.

    Args:
        theta: phases in radians, shape (N,), or a DataArray of one time, such as `ds.theta.isel(time=-1)`.
        dim: the dimension(s) of the nodes.
        ax: where to draw; by default a new figure.
    """
    theta = snapshot(theta, dim).ravel()
    ax = axes_or_new(ax)
    draw_disc(ax, theta)
    return ax


def lattice(theta: Any, *, dim: Dim = ("height", "width"), ax: Axes | None = None) -> Axes:
    """One instant of a lattice, phases as cyclic colours with a colour bar.

    Args:
        theta: phases in radians, shape (H, W), or a DataArray of one time.
        dim: the two dimensions of the lattice, rows first.
        ax: where to draw; by default a new figure.
    """
    theta = snapshot(theta, dim)
    ax = axes_or_new(ax)
    image = draw_lattice(ax, theta)
    bar = ax.figure.colorbar(image, ax=ax, label="phase (rad)")
    bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
    return ax


def lattice_frames(
    theta: Any, t: Any = None, *, frames: int = 4, dim: Dim = ("height", "width"), ax: Any = None
) -> np.ndarray:
    """Several instants of a lattice in a row, evenly chosen from the first to the last.

    Args:
        theta: phases in radians, shape (T, H, W), or a Dataset or DataArray with the dimension `time`.
        t: times, shape (T,), as in `phases`.
        frames: how many, if `ax` is not given.
        dim: the two dimensions of the lattice, rows first.
        ax: a sequence of Axes, one for each instant; by default a new figure.

    Returns:
        Array of Axes.
    """
    theta, t = trajectory(theta, t, dim)
    axes = plt.subplots(1, frames, figsize=(2.4 * frames, 2.6), squeeze=False)[1] if ax is None else ax
    axes = np.ravel(axes)
    for panel, row in zip(axes, np.linspace(0, len(t) - 1, len(axes)).round().astype(int), strict=True):
        draw_lattice(panel, theta[row])
        panel.set_title(f"t = {t[row]:.4g}")
    return axes


def animate(theta: Any, path: Any, t: Any = None, *, dim: Dim = "node", fps: int = 20, ax: Axes | None = None) -> Path:
    """Write the phases as a moving picture: a disc for one node dimension, a lattice for two.

    Args:
        theta: phases in radians, shape (T, N) or (T, H, W), or a Dataset or DataArray with the dimension `time`.
        path: file to write, ending in .gif.
        t: times, shape (T,), as in `phases`.
        dim: the dimension(s) of the nodes.
        fps: pictures per second; one picture for each saved time.
        ax: where to draw; by default a figure that is closed afterwards.

    Returns:
        The path.

    Raises:
        ValueError: if the path does not end in .gif.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ValueError(f'`path` must end in ".gif", but is "{path}"; other formats need other writers.')
    theta, t = trajectory(theta, t, dim)
    draw = draw_lattice if theta.ndim == 3 else draw_disc
    panel = axes_or_new(ax)
    figure: Any = panel.figure

    def frame(row: int) -> list[Any]:
        panel.clear()
        draw(panel, theta[row])
        panel.set_title(f"t = {t[row]:.4g}")
        return []

    FuncAnimation(figure, frame, frames=len(t)).save(path, writer=PillowWriter(fps=fps))
    if ax is None:
        plt.close(figure)
    return path


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


def draw_disc(ax: Axes, theta: np.ndarray) -> None:
    """Nodes on the unit circle and the mean field."""
    x, y = resultant(theta)
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="lightgrey"))
    ax.scatter(np.cos(theta), np.sin(theta), c=wrap(theta), s=18, edgecolors="black", linewidths=0.3, **CYCLIC)
    ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "black"})
    ax.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal")
    ax.axis("off")


def draw_lattice(ax: Axes, theta: np.ndarray) -> Any:
    """Phases of a lattice as cyclic colours."""
    ax.set_axis_off()
    return ax.imshow(wrap(theta), interpolation="nearest", **CYCLIC)


def wrap(theta: np.ndarray) -> np.ndarray:
    """Phases modulo 2π, in [−π, π)."""
    return np.mod(theta + np.pi, 2 * np.pi) - np.pi


def trajectory(theta: Any, t: Any, dim: Dim) -> tuple[np.ndarray, np.ndarray]:
    """Phases (T, nodes...) and times (T,) as NumPy arrays."""
    theta = variable(theta)
    if t is None and is_labelled(theta) and "time" in theta.coords:
        t = theta["time"]
    theta = in_order(theta, ("time", *node_dimensions(dim)))
    t = np.arange(len(theta)) if t is None else plain(t)
    if t.shape != theta.shape[:1]:
        raise ValueError(f"`t` must have shape ({len(theta)},), one time per row, but is {t.shape}; cut it.")
    return theta, t


def snapshot(theta: Any, dim: Dim) -> np.ndarray:
    """Phases of one instant as a NumPy array."""
    return in_order(variable(theta), node_dimensions(dim))


def in_order(theta: Any, dims: tuple[str, ...]) -> np.ndarray:
    """The phases as a NumPy array with exactly these axes."""
    wrong = set(theta.dims) != set(dims) if is_labelled(theta) else np.ndim(theta) != len(dims)
    if wrong:
        has = theta.dims if is_labelled(theta) else f"shape {tuple(np.shape(theta))}"
        raise ValueError(f"`theta` must have the axes {dims}, but has {has}; select one run or time, or pass `dim`.")
    return plain(theta.transpose(*dims) if is_labelled(theta) else theta)


def variable(theta: Any) -> Any:
    """The phases of a Dataset; anything else unchanged."""
    if not hasattr(theta, "data_vars"):
        return theta
    if "theta" not in theta.data_vars:
        raise ValueError(f"`theta` must be a variable of the Dataset, but it holds {list(theta)}; pass one of them.")
    return theta["theta"]


def plain(array: Any) -> np.ndarray:
    """The values of a DataArray, array, list or tensor (of any device) as floats of NumPy."""
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array, dtype=float)


def axes_or_new(ax: Axes | None) -> Axes:
    """The given Axes, or those of a new figure."""
    return plt.subplots()[1] if ax is None else ax
