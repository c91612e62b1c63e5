"""Kernels that call Python: a law, lift or coupling without a compiled spelling runs in the same loops.

A call costs a few microseconds plus the NumPy code itself, and holds the interpreter lock, so members run in turn.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import numpy as np
from numba import njit, objmode

from oscillators import checks
from oscillators.coupling import Coupling
from oscillators.kernels import FIELD, LAW, LIFT, PROJECT, TANGENT
from oscillators.system import System, components

_active = threading.local()  # which network the Python kernels of this thread speak for


@dataclass(frozen=True)
class Callbacks:
    """The Python side of one network: from the engine's layout to the law's shapes and back."""

    system: System
    coupling: Coupling
    nodes: tuple[int, ...]
    lead: tuple[int, ...]

    def activate(self, member: int) -> None:
        """Let the Python kernels of this thread speak for one ensemble member, with its own parameters."""
        where = np.unravel_index(member, self.lead) if self.lead else ()
        _active.network = replace(self, system=self._own(self.system, where))

    def _own(self, system: System, where: tuple) -> System:
        if not where:
            return system
        own = {}
        for f in fields(system):
            value = getattr(system, f.name)
            tail = f.metadata.get("axes", 0)  # of one node's parameter; None: the field is no parameter of nodes
            if (
                tail is not None and getattr(value, "ndim", 0) > len(self.nodes) + tail
            ):  # (run, node): pick this member's
                value = np.broadcast_to(value, (*self.lead, *value.shape[len(self.lead) :]))
                own[f.name] = value[where]
        return replace(system, **own) if own else system

    def _lifted(self, rows: np.ndarray) -> np.ndarray:
        return _read_only(np.moveaxis(rows, 0, -1).reshape(*self.nodes, len(rows)))

    def _state(self, rows: np.ndarray) -> np.ndarray:
        return self._lifted(rows) if components(self.system) else _read_only(rows[0].reshape(self.nodes))

    def _fill(self, out: np.ndarray, owner: Any, name: str, *arguments: Any) -> None:
        """Call a method of the user's and lay out what it returns; a state of phases has no axis of components."""
        flat = name in ("law", "project") and components(self.system) == 0
        shape = self.nodes if flat else (*self.nodes, len(out))
        with np.errstate(all="ignore"):  # a run that overflows is stopped and reported, so NumPy need not warn
            value = getattr(owner, name)(*arguments)
        value = checks.returned(f"{type(owner).__name__}.{name}", value, shape)
        out[:] = value.reshape(1, -1) if flat else np.moveaxis(value.reshape(-1, len(out)), -1, 0)

    def lift(self, x, g):
        self._fill(g, self.system, "lift", self._state(x))

    def tangent(self, x, dx, dg):
        self._fill(dg, self.system, "tangent", self._state(x), self._state(dx))

    def law(self, t, x, h, out):
        self._fill(out, self.system, "law", t, self._state(x), self._lifted(h))

    def project(self, x):
        self._fill(x, self.system, "project", self._state(x))

    def field(self, g, h):
        self._fill(h, self.coupling, "field", self._lifted(g))


def _read_only(array: np.ndarray) -> np.ndarray:
    """The array, guarded: a law that changes its arguments would change the run."""
    array.flags.writeable = False
    return array


# What the loops call: kernels of the fixed signatures that hand their arrays to the network active in this thread.


def _network() -> Callbacks:
    return _active.network


def _lift(x, g):
    with objmode():
        _network().lift(x, g)


def _tangent(x, dx, dg):
    with objmode():
        _network().tangent(x, dx, dg)


def _law(t, x, g, h, p, table, out):
    with objmode():
        _network().law(t, x, h, out)


def _project(x):
    with objmode():
        _network().project(x)


def _field(meta, index, weight, g, h):
    with objmode():
        _network().field(g, h)


_KERNELS: dict[str, tuple[Any, Any]] = {
    "lift": (LIFT, _lift),
    "tangent": (TANGENT, _tangent),
    "law": (LAW, _law),
    "project": (PROJECT, _project),
    "field": (FIELD, _field),
}


@cache
def python_kernel(name: str) -> Any:
    """The kernel that calls Python for this part of a network (compiled on first use; such code cannot be kept on disk)."""
    signature, function = _KERNELS[name]
    return njit(signature)(function)
