"""What a system of oscillators is: a law of motion, what its nodes show each other, and the space it lives on.

    dx/dt = law(t, x, h),    h = K[lift(x)] + c(t),    x <- project(x) after each step

A user's system needs the law only. Shapes, batch axes first:

    kind       public state           what law, lift and project see
    scalar     (..., node)            (..., node)
    vector     (..., node, n)         (..., node, n)
    pair       (..., node, 2)         (..., node, 2)      position and velocity; leaves a run as two variables
    complex    (..., node) complex    (..., node, 2)      real and imaginary part
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np

from oscillators import checks
from oscillators.arrays import Array
from oscillators.kernels import copy_lift, copy_lift_vjp, copy_tangent, copy_tangent_vjp, keep, keep_vjp

Kind = Literal["scalar", "vector", "pair", "complex"]


@dataclass(frozen=True)
class System:
    """Base of all systems: frozen data; a changed system is `dataclasses.replace(system, ...)`.

    A subclass is a frozen dataclass whose fields are its parameters (each broadcasts to (..., node)) and which defines

        law(t, x, h) -> dx/dt       for NumPy arrays and tensors alike; h has the shape of lift(x)

    and, where the defaults do not fit, `kind`, `variables`, `lift` (identity), `project` (nothing to do). A compiled
    `kernel` below the law (see `oscillators.kernels`) brings a run to full speed; without it the law itself is called.
    A `law_vjp` below that does the same for its gradient, and `pointwise = True` beside a kernel that treats every node by
    itself makes gradients of many small networks faster.
    """

    kind: ClassVar[Kind] = "scalar"
    variables: ClassVar[tuple[str, ...]] = ("x",)
    units: ClassVar[tuple[str, ...]] = ("1",)

    kernel: ClassVar[Any] = None
    pointwise: ClassVar[bool] = False  # beside a kernel: every node is moved by its own numbers alone
    lift_kernel: ClassVar[Any] = staticmethod(copy_lift)
    tangent_kernel: ClassVar[Any] = staticmethod(copy_tangent)
    project_kernel: ClassVar[Any] = staticmethod(keep)
    law_vjp: ClassVar[Any] = None
    lift_vjp: ClassVar[Any] = staticmethod(copy_lift_vjp)
    tangent_vjp: ClassVar[Any] = staticmethod(copy_tangent_vjp)
    project_vjp: ClassVar[Any] = staticmethod(keep_vjp)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                object.__setattr__(self, field.name, checks.parameter(field.name, value))

    def law(self, t: float, x: Array, h: Array) -> Array:
        """Velocity dx/dt at time t, in the shape of x."""
        raise TypeError(
            f"`{type(self).__name__}` must define law(t, x, h), but does not; see help(oscillators.System) for an outline."
        )

    def lift(self, x: Array) -> Array:
        """What a node shows the others, (..., node, m). Here: the state itself."""
        return x[..., None] if self.kind == "scalar" else x

    def tangent(self, x: Array, dx: Array) -> Array:
        """Velocity of the lifted state when x moves with velocity dx; delayed couplings interpolate with it."""
        if type(self).lift is System.lift:
            return self.lift(dx)
        e = 6e-6 / (1e-30 + np.abs(checks.plain(dx)).max())
        return (self.lift(x + e * dx) - self.lift(x - e * dx)) / (2 * e)

    def project(self, x: Array) -> Array:
        """The nearest point of the state space. Here: x itself."""
        return x

    def params(self) -> tuple[Array, ...]:
        """What the kernel reads, row by row: each broadcasts to (..., node). Here: the fields that are set."""
        return tuple(getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None)

    def table(self) -> np.ndarray:
        """Integers the kernel reads (a list of triangles, say). Here: none."""
        return np.empty((0, 0), np.int32)

    def check_state(self, x0: np.ndarray, name: str = "x0") -> None:
        """Raise if x0 (in the law's shape) is no state of this system, calling it `name`. Here: every state is one."""


def components(system: System) -> int:
    """Number of trailing component axes in the law's shape of a state."""
    return 0 if system.kind == "scalar" else 1


def projects(system: System) -> bool:
    return type(system).project is not System.project


def law_state(system: System, x0: Any, name: str = "x0") -> np.ndarray:
    """A public state as float64 in the law's shape (complex numbers become pairs)."""
    if system.kind == "complex":
        z = checks.complex_numbers(name, x0)
        return np.stack([z.real, z.imag], axis=-1)
    angles = system.kind == "scalar" or system.units[0] == "rad"  # whole numbers are rarely meant as radians
    x = checks.real_numbers(name, x0, allow_integer=not angles)
    check_pair(system, x, name)
    return x


def check_pair(system: System, x: Array, name: str) -> None:
    """Raise if x is no state of a second-order system."""
    if system.kind == "pair" and (x.ndim < 2 or x.shape[-1] != 2):
        both = ", ".join(system.variables)
        cure = f"np.stack([{both}], axis=-1)" if isinstance(x, np.ndarray) else f"torch.stack([{both}], dim=-1)"
        raise ValueError(
            f"`{name}` must have shape (..., node, 2) with {' and '.join(system.variables)} on the last axis, but is "
            f"{tuple(x.shape)}; write {cure}."
        )
