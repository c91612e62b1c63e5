"""What an observable demands of its arguments; every refusal is the same kind of sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import device, is_array_api_obj, to_device

from oscillators.arrays import Array, namespace


def as_array(value: Any) -> Array:
    """The value as an array; arrays and tensors as they are."""
    return value if is_array_api_obj(value) else np.asarray(value)


def real_array(name: str, value: Any) -> Array:
    """The value as an array of real floating-point numbers; integers and lists are converted, tensors stay tensors."""
    array = as_array(value)
    xp = namespace(array)
    if isinstance(array, np.ndarray) and array.dtype.kind not in "biufc":
        raise TypeError(f"`{name}` must hold numbers, but has the dtype {array.dtype}; pass an array of numbers.")
    if xp.isdtype(array.dtype, "complex floating"):
        raise TypeError(
            f"`{name}` must be real, but is {array.dtype}; of complex amplitudes pass the phases, `angle(z)`."
        )
    return array if xp.isdtype(array.dtype, "real floating") else array * 1.0  # 1.0: integers take the default dtype


def plain(value: Any) -> np.ndarray:
    """The values of a DataArray, array, list or tensor (of any device) in NumPy, without gradient."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def integers(name: str, value: Any) -> np.ndarray:
    """The value as a NumPy array of integers, such as labels."""
    array = plain(value)
    if array.dtype.kind not in "biu":
        raise TypeError(
            f"`{name}` must hold integers, but has the dtype {array.dtype}; number the labels, for example by "
            f"np.unique({name}, return_inverse=True)[1]."
        )
    return array


def require_axes(name: str, array: Array, axes: list[str]) -> None:
    """Refuse an array that lacks one of its trailing axes, or holds nothing along it."""
    if array.ndim < len(axes):
        raise ValueError(
            f"`{name}` must have the trailing axes ({', '.join(axes)}), but has shape {tuple(array.shape)}; "
            "put the missing axes in this order."
        )
    for axis, size in zip(axes, array.shape[array.ndim - len(axes) :], strict=True):
        if size == 0:
            raise ValueError(f"`{name}` must hold at least one {axis}, but has shape {tuple(array.shape)}; pass data.")


def require_several(name: str, size: int, what: str) -> None:
    """Refuse to compare fewer than two of something."""
    if size < 2:
        raise ValueError(f"`{name}` must hold at least two {what}, but holds {size}; add {what}.")


def require_positive(**values: Any) -> None:
    """Refuse numbers or arrays of numbers that are not all positive and finite."""
    for name, value in values.items():
        if not np.all(np.isfinite(value) & (np.asarray(value) > 0)):
            raise ValueError(f"`{name}` must be positive and finite, but is {value}; pass a positive number.")


def alike(*arrays: Any) -> tuple[Any, ...]:
    """The arguments in one namespace and on one device, with the dtype of the first; what is no array passes unchanged.

    A tensor among NumPy arrays makes all of them tensors, so that gradients reach it.
    """
    present = [a for a in arrays if is_array_api_obj(a)]
    xp = namespace(*present)
    home = next((a for a in present if not isinstance(a, np.ndarray | np.generic)), present[0])
    dtype = getattr(xp, present[0].dtype.name) if isinstance(present[0], np.ndarray | np.generic) else present[0].dtype

    def move(array: Any) -> Any:
        if not is_array_api_obj(array):
            return array
        if isinstance(array, np.ndarray | np.generic):
            return xp.asarray(array, dtype=dtype, device=device(home))
        return xp.astype(to_device(array, device(home)), dtype, copy=False)

    return tuple(move(a) for a in arrays)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient that is NaN, with zero gradient and no warning, where the denominator is zero."""
    xp = namespace(numerator, denominator)
    undefined = denominator == 0
    quotient = numerator / xp.where(undefined, xp.ones_like(denominator), denominator)
    return xp.where(undefined, xp.full_like(quotient, float("nan")), quotient)
