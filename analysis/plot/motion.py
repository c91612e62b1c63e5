"""Pictures of phases as they move: over time, on the circle, on a lattice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes

from analysis.labels import Dim
from analysis.order import order_parameter, resultant
from analysis.plot.reading import CYCLIC, axes_or_new, phase_bar, snapshot, trajectory, wrap


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
    phase_bar(ax, draw_lattice(ax, theta))
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
