"""Checks at the border. Every message reads: `name` must condition, but is value; what to do."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from oscillators.arrays import Array


def real_array(name: str, value: Any, *, allow_integer: bool = True) -> Array:
    """`value` as an array of finite real numbers; tensors stay tensors, NumPy input becomes float64."""
    if is_torch_array(value):
        return _real_tensor(name, value)
    array = _numeric(name, value)
    if np.iscomplexobj(array):
        raise TypeError(f"`{name}` must be real, but has dtype {array.dtype}; pass its real part or its angle.")
    if not allow_integer and array.dtype.kind in "iub":
        raise TypeError(
            f"`{name}` must be floating point, but has dtype {array.dtype}; write {name}.astype(float) if whole numbers "
            "are meant."
        )
    return _finite(name, array.astype(np.float64, copy=False))


def parameter(name: str, value: Any) -> Array | float:
    """A finite real parameter. A single number stays a plain one, which mixes with tensors of any precision and device."""
    value = real_array(name, value)
    return float(value) if isinstance(value, np.ndarray) and value.ndim == 0 else value


def real_numbers(name: str, value: Any, *, allow_integer: bool = True) -> np.ndarray:
    """`value` as a NumPy array of finite real numbers, for a run without gradients."""
    return without_gradient(name, real_array(name, value, allow_integer=allow_integer))


def complex_numbers(name: str, value: Any) -> np.ndarray:
    """`value` as a NumPy array of finite complex numbers, for a run without gradients."""
    value = without_gradient(name, value)
    return _finite(name, _numeric(name, value).astype(np.complex128, copy=False))


def without_gradient(name: str, value: Any) -> Any:
    """A tensor as a NumPy array of double precision; anything else as it is. Gradients are never dropped in silence."""
    if not is_torch_array(value):
        return value
    _check_dense(name, value)
    if value.requires_grad:
        raise TypeError(
            f"`{name}` must not require gradients in a run that computes none, but has requires_grad=True; pass "
            f"{name}.detach()."
        )
    return plain(value)


def plain(value: Array) -> np.ndarray:
    """The numbers of an array or a tensor."""
    if not is_torch_array(value):
        return np.asarray(value)
    value = value.detach().cpu().resolve_conj().resolve_neg()
    return value.numpy() if value.is_complex() else value.double().numpy()


def without_tensors(name: str, owner: Any) -> Any:
    """A system or coupling whose tensors, at any depth, are NumPy arrays; the same object if it has none."""
    if not is_dataclass(owner) or isinstance(owner, type):
        return without_gradient(name, owner)
    own = {f.name: getattr(owner, f.name) for f in fields(owner) if f.init}
    new = {key: without_tensors(key, value) for key, value in own.items()}
    changed = {key: value for key, value in new.items() if value is not own[key]}
    return replace(owner, **changed) if changed else owner


def _real_tensor(name: str, value: Array) -> Array:
    _check_dense(name, value)
    if value.is_complex():
        raise TypeError(f"`{name}` must be real, but has dtype {value.dtype}; pass its real part or its angle.")
    if not value.is_floating_point():
        raise TypeError(f"`{name}` must be floating point, but has dtype {value.dtype}; pass {name}.double().")
    if not all_finite(value):
        _finite(name, plain(value))
    return value


def all_finite(value: Array) -> bool:
    """Whether a tensor has finite entries only. Their sum tells, unless finite ones overflow in it."""
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())


def _check_dense(name: str, value: Array) -> None:
    if str(value.layout) != "torch.strided" or value.is_meta:
        kind = "on device meta, without values" if value.is_meta else f"of layout {value.layout}"
        raise TypeError(f"`{name}` must be a dense tensor, but is {kind}; pass {name}.to_dense(), or an array.")


def _numeric(name: str, value: Any) -> np.ndarray:
    if np.ma.is_masked(value):
        raise ValueError(
            f"`{name}` must have no masked entries, but {np.ma.count_masked(value)} are masked; fill them, for example "
            f"{name}.filled(0.0)."
        )
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be a rectangular array of numbers, but is {shown(value)}; give all rows one length."
        ) from error
    except TypeError as error:
        raise TypeError(f"`{name}` must hold numbers, but is {shown(value)}; pass an array.") from error
    if array.dtype.kind not in "iubfc":
        raise TypeError(
            f"`{name}` must hold numbers, but is {shown(value)} (dtype {array.dtype}); pass an array of floats."
        )
    return array


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"entry {', '.join(map(str, first))} is {array[first]} ({int(bad.sum())} of {array.size} are not)"
        raise ValueError(f"`{name}` must be finite, but {where if first else f'is {array}'}; clean the input.")
    return array


def shown(value: Any) -> str:
    """A value in a message: short, on one line."""
    return " ".join(reprlib.repr(value).split())


def save_times(t: Any) -> np.ndarray:
    """`t` as at least two strictly increasing finite times."""
    t = np.array(real_numbers("t", t), order="C")  # a copy: compiled loops take no strided or read-only times
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


def step_size(dt: Any, method: str, t: np.ndarray) -> float:
    """`dt` as a positive number that moves the time; required by fixed-step methods."""
    if dt is None:
        raise ValueError(
            f"`dt` must be given for the fixed-step method {method!r}, but is None; add for example dt=0.01."
        )
    dt = positive("dt", dt, "use a step well below the shortest time scale")
    latest = float(np.abs(t).max())
    if dt < np.spacing(latest):
        raise ValueError(
            f"`dt` must be at least the spacing of numbers at t = {latest:g}, {np.spacing(latest):.2g}, but is {dt:g}; "
            "use a larger step, or count time from 0."
        )
    return dt


def positive(name: str, value: Any, repair: str) -> float:
    number = real_numbers(name, value)
    if number.ndim != 0 or number <= 0:
        raise ValueError(f"`{name}` must be one positive number, but is {shown(value)}; {repair}.")
    return float(number)


def not_negative(name: str, array: Array, repair: str) -> None:
    low = plain(array).min(initial=0.0)
    if low < 0:
        raise ValueError(f"`{name}` must be 0 or positive, but its smallest entry is {low:g}; {repair}.")


def one_of(name: str, value: Any, allowed: Any) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}, but is {shown(value)}; choose one.")


def callable_with(name: str, function: Callable, arguments: int, example: str) -> None:
    """Raise unless `function` can be called with so many positional arguments (where Python can tell)."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return
    try:
        signature.bind(*[None] * arguments)
    except TypeError as error:
        raise TypeError(
            f"`{name}` must be a function like {example}, but its arguments are {signature}; change them."
        ) from error


def broadcastable(name: str, array: Array, shape: tuple[int, ...], where: str) -> None:
    """Raise unless `array` broadcasts to `shape` without enlarging it."""
    try:
        fits = np.broadcast_shapes(np.shape(array), shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"`{name}` must broadcast to shape {shape} ({where}), but has shape {tuple(np.shape(array))}; give one value "
            "for all, or an array of that shape."
        )


def returned(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """What a user's function returned, if it is real numbers of this shape (None: any length)."""
    array = plain(value)
    want = str(shape).replace("None", "m")
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"`{name}` must return real numbers of shape {want}, but returned {shown(value)}; return an array of floats."
        )
    if array.ndim != len(shape) or any(n not in (None, k) for n, k in zip(shape, array.shape, strict=True)):
        raise ValueError(
            f"`{name}` must return shape {want}, but returned {array.shape}; it acts on all nodes at once and keeps axes."
        )
    return array
