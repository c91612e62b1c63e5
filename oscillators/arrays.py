"""The array code that simulators, observables and networks share: one text for NumPy arrays and torch tensors.

Conventions: batch axes first, then time, then node (or height, width), then component.
A phase theta is lifted to the unit vector (cos theta, sin theta) on a last axis of 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

Array = Any  # a NumPy array or a torch tensor


def namespace(*arrays: Array) -> Any:
    """The array namespace (NumPy's or torch's) of the arguments; Python numbers and lists count as NumPy."""
    found = [a for a in arrays if is_array_api_obj(a) and not isinstance(a, (np.ndarray, np.generic))]
    return array_namespace(*(found or [np.empty(0)]))


def carries_gradient(value: Array) -> bool:
    """Whether the value is a tensor that requires a gradient."""
    return bool(getattr(value, "requires_grad", False))


def unit_vector(theta: Array) -> Array:
    """(cos theta, sin theta): (..., N) -> (..., N, 2)."""
    xp = namespace(theta)
    return xp.stack([xp.cos(theta), xp.sin(theta)], axis=-1)


def cross(u: Array, h: Array) -> Array:
    """u x h = u_x h_y - u_y h_x of plane vectors: (..., 2), (..., 2) -> (...)."""
    return u[..., 0] * h[..., 1] - u[..., 1] * h[..., 0]


def like(value: Array, x: Array) -> Array:
    """A NumPy array beside x: in its namespace, and with its precision and device if x is a tensor."""
    xp = namespace(x)
    if (is_array_api_obj(value) and not isinstance(value, (np.ndarray, np.generic))) or xp is namespace():
        return value
    return xp.asarray(value, dtype=x.dtype, device=x.device)


def per_component(value: Array) -> Array:
    """A value per node (...) as a factor of arrays (..., m); a plain number as it is."""
    return value if isinstance(value, int | float) else value[..., None]


def quarter_turn(z: Array) -> Array:
    """i z of a complex number stored as a real pair: (x, y) -> (-y, x)."""
    xp = namespace(z)
    return xp.stack([-z[..., 1], z[..., 0]], axis=-1)
