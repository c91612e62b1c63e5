"""What a picture is drawn from: plain arrays with the axes in a known order, wrapped phases, Axes."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis import checks
from analysis.labels import Dim, is_labelled, node_dimensions

CYCLIC: dict[str, Any] = {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi}  # equal colours at −π and π


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
    return np.asarray(checks.plain(array), dtype=float)


def require_two_values(**arrays: np.ndarray) -> None:
    """Refuse arrays in which all values are equal: nothing depends on them."""
    for name, values in arrays.items():
        if values.size == 0 or np.ptp(values) == 0:
            raise ValueError(f"`{name}` must hold two different values, but does not; add data.")


def axes_or_new(ax: Axes | None) -> Axes:
    """The given Axes, or those of a new figure."""
    return plt.subplots()[1] if ax is None else ax


def phase_bar(ax: Axes, image: Any) -> None:
    """A colour bar of phases beside the Axes."""
    bar = ax.figure.colorbar(image, ax=ax, label="phase (rad)")
    bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])
