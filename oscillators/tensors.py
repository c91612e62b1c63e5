"""Systems and couplings on tensors: arrays move beside the state, and what carries a gradient is found and replaced."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oscillators.checks import plain


def beside(name: str, value: Any, x: Tensor) -> Any:
    """A system, coupling or array whose arrays, at any depth, are tensors with the precision and device of x."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and (value.dtype, value.device) != (x.dtype, x.device):
            raise TypeError(
                f"`{name}` must have the dtype and device of `x0`, {x.dtype} on {x.device}, but has {value.dtype} on "
                f"{value.device}; pass it as {x.dtype} on {x.device}."
            )
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        real = value.dtype.kind == "f"
        return torch.as_tensor(value, dtype=x.dtype if real else torch.long, device=x.device)
    if isinstance(value, dict):
        return {key: beside(key, item, x) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return with_fields(value, {f.name: beside(f.name, getattr(value, f.name), x) for f in fields(value)})
    return value


def numbers(value: Any) -> Any:
    """The same with NumPy arrays in place of tensors, without their gradients."""
    if isinstance(value, Tensor):
        return plain(value) if value.is_floating_point() else value.cpu().numpy()
    if isinstance(value, tuple):
        return tuple(map(numbers, value))
    own = {key: numbers(part) for key, part in _parts(value)}
    return value if isinstance(value, dict) or not own else with_fields(value, own)


def memory(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    """The same memory as contiguous arrays, for compiled loops."""
    return tuple(tensor.detach().resolve_neg().contiguous().numpy() for tensor in tensors)


def tensors(value: Any) -> list[Tensor]:
    """Every tensor that carries a gradient, at any depth, in a fixed order."""
    if isinstance(value, Tensor):
        return [value] if value.requires_grad else []
    return [tensor for _, part in _parts(value) for tensor in tensors(part)]


def with_tensors(value: Any, replacements: Iterator[Tensor]) -> Any:
    """The same with the tensors that `tensors` lists replaced one by one."""
    if isinstance(value, Tensor):
        return next(replacements) if value.requires_grad else value
    own = {key: with_tensors(part, replacements) for key, part in _parts(value)}
    if isinstance(value, dict):
        return value | own
    return with_fields(value, own) if own else value


def with_fields(owner: Any, values: dict[str, Any]) -> Any:
    """A copy of a frozen dataclass with other values in some fields, taken as they are (`replace` would check them again)."""
    new = copy.copy(owner)
    for name, value in values.items():
        object.__setattr__(new, name, value)
    return new


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in fields(value)]
    return []
