"""Checks at the border. Every message reads: `name` must condition, but is value; what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from oscillators.arrays import Array, namespace


def real_array(name: str, value: Any, *, allow_integer: bool = True) -> Array:
    """`value` as an array of finite real numbers; tensors stay tensors, NumPy input becomes float64."""
    if _is_tensor(value):
        xp = namespace(value)
        if not xp.isdtype(value.dtype, "real floating"):
            raise TypeError(f"`{name}` must be a floating-point tensor, but has dtype {value.dtype}; convert it.")
        if not bool(xp.all(xp.isfinite(value))):
            raise ValueError(f"`{name}` must be finite, but has NaN or infinite entries; clean the input.")
        return value
    array = _numeric(name, value)
    if np.iscomplexobj(array):
        raise TypeError(f"`{name}` must be real, but has dtype {array.dtype}; pass its real part or its angle.")
    if not allow_integer and array.dtype.kind in "iub":
        raise TypeError(
            f"`{name}` must be floating point, but has dtype {array.dtype}; write {name}.astype(float) if whole numbers "
            "are meant."
        )
    return _finite(name, array.astype(np.float64, copy=False))


def complex_array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of finite complex numbers."""
    return _finite(name, _numeric(name, value).astype(np.complex128, copy=False))


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch"


def _numeric(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"`{name}` must be a rectangular array of numbers, but is ragged ({error}).") from error
    if array.dtype.kind not in "iubfc":
        raise TypeError(f"`{name}` must hold numbers, but has dtype {array.dtype}; convert it with .astype(float).")
    return array


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"`{name}` must be finite, but entry {first} is {array[first]} ({int(bad.sum())} such entries); "
            "clean the input."
        )
    return array


def save_times(t: Any) -> np.ndarray:
    """`t` as at least two strictly increasing finite times."""
    t = real_array("t", t)
    if t.ndim != 1 or len(t) < 2:
        raise ValueError(
            f"`t` must be a list of at least two times (the first is the start), but has shape {t.shape}; "
            "write for example np.linspace(0, 10, 101)."
        )
    steps = np.diff(t)
    if (steps <= 0).any():
        k = int(np.argmax(steps <= 0))
        raise ValueError(
            f"`t` must increase strictly, but t[{k}] = {t[k]:g} is followed by t[{k + 1}] = {t[k + 1]:g}; "
            "sort it and drop repeated times (np.unique(t) does both)."
        )
    return t


def step_size(dt: Any, method: str) -> float:
    """`dt` as a positive number; required by fixed-step methods."""
    if dt is None:
        raise ValueError(
            f"`dt` must be given for the fixed-step method {method!r}, but is None; add for example dt=0.01."
        )
    dt = real_array("dt", dt)
    if dt.ndim != 0 or dt <= 0:
        raise ValueError(
            f"`dt` must be one positive number, but is {dt}; use a step well below the shortest time scale."
        )
    return float(dt)


def positive(name: str, value: Any) -> float:
    number = real_array(name, value)
    if number.ndim != 0 or number <= 0:
        raise ValueError(f"`{name}` must be one positive number, but is {value!r}.")
    return float(number)


def one_of(name: str, value: Any, allowed: Any) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}, but is {value!r}.")


def broadcastable(name: str, array: Array, shape: tuple[int, ...], where: str) -> None:
    """Raise unless `array` broadcasts to `shape` without enlarging it."""
    try:
        fits = np.broadcast_shapes(tuple(array.shape), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"`{name}` must broadcast to shape {shape} ({where}), but has shape {tuple(array.shape)}.")
