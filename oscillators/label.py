"""Names, units and provenance: NumPy results become an xarray Dataset."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from functools import cache
from typing import Any

import numpy as np
import xarray as xr

from oscillators.engine import Run
from oscillators.problem import Problem

STATUS = ("ok", "not_finite", "step_underflow", "interrupted")
RESERVED = ("run", "time", "node", "component", "status", "stop_time", "stop_node", "steps", "rejected")  # own names


def label(run: Run, values: dict[str, np.ndarray], method: str, finished: bool) -> xr.Dataset:
    """Dataset of values (members, time, ...) and of each member's fate."""
    p = run.problem
    lead = run_dims(p)
    data = {name: (*_variable(p, lead, name, value),) for name, value in values.items()}
    status = run.status.copy()
    if not finished:
        status[~run.done] = STATUS.index("interrupted")
    fate = {
        "status": (
            status.astype(np.int8),
            {"flag_values": list(range(len(STATUS))), "flag_meanings": " ".join(STATUS)},
        ),
        "stop_time": (run.stopped_at, {"long_name": "time at which a failed run stopped", "units": "time"}),
        "stop_node": (run.node, {"long_name": "first node at fault, -1: none"}),
        "steps": (run.counts[:, 0], {"long_name": "steps taken"}),
        "rejected": (run.counts[:, 1], {"long_name": "steps rejected by the error estimate"}),
    }
    for name, (value, attrs) in fate.items():
        data[name] = (lead, value.reshape(p.lead), attrs)
    coords = {"time": ("time", run.t, {"units": "time"}), **_node_coords(p)}
    coords = {
        (f"node_{name}" if name in data else name): c for name, c in coords.items()
    }  # a graph may have its own `x`
    used = {dim for dims, *_ in data.values() for dim in dims}
    coords = {name: c for name, c in coords.items() if name == "time" or not isinstance(c, tuple) or c[0] in used}
    coords = {name: c for name, c in coords.items() if name != "node" or "node" in used}
    return xr.Dataset(data, coords, _provenance(run, method))


def run_dims(p: Problem) -> tuple[str, ...]:
    """Names of the ensemble axes."""
    return ("run",) if len(p.lead) == 1 else tuple(f"run_{k}" for k in range(len(p.lead)))


def _variable(p: Problem, lead: tuple[str, ...], name: str, value: np.ndarray) -> tuple:
    value = value.reshape(*p.lead, *value.shape[1:])
    rest = value.shape[len(lead) + 1 :]
    own = dict(zip(p.system.variables, p.system.units, strict=True))
    dims: tuple[str, ...] = ()
    if rest[: len(p.nodes)] == p.nodes:
        dims = p.coupling.node_dims
    extra = len(rest) - len(dims)
    if name in own and p.system.kind == "vector":
        dims = (*dims, "component")
    else:
        dims = (*dims, *(f"{name}_{k}" for k in range(extra)))
    return (*lead, "time", *dims), value, ({"units": own[name]} if name in own else {})


def _node_coords(p: Problem) -> dict[str, Any]:
    coords = dict(p.coupling.coords())
    if "node" in coords:
        coords["node"] = ("node", np.asarray(coords["node"]))
    return coords


def _provenance(run: Run, method: str) -> dict[str, Any]:
    p = run.problem
    attrs: dict[str, Any] = {
        "system": type(p.system).__name__,
        "coupling": _describe(p.coupling),
        "method": method,
        "versions": _versions(),
    }
    attrs |= {"dt": run.dt} if run.dt is not None else {"rtol": run.rtol, "atol": run.atol}
    if len(p.network.noise):
        sigma = p.network.noise[:, -1]
        attrs["noise"] = float(sigma.flat[0]) if (sigma == sigma.flat[0]).all() else f"array of shape {sigma.shape}"
    if run.seed is not None:
        attrs["seed"] = str(run.seed)  # a string: 63 bits do not survive every file format
    for field in dataclasses.fields(p.system):
        value = getattr(p.system, field.name)
        if value is not None:
            attrs[field.name] = _summary(value)
    return attrs


def _summary(value: Any) -> float | str:
    """A number or word as it is, of an array its shape."""
    if isinstance(value, str | float):
        return value
    if not hasattr(value, "dtype"):
        return repr(value)
    return float(value) if np.ndim(value) == 0 else f"array of shape {tuple(np.shape(value))}"


def _describe(coupling: Any) -> str:
    """Class and main sizes: 'Delayed(Edges(nodes=34))'."""
    if hasattr(coupling, "coupling"):
        return f"{type(coupling).__name__}({_describe(coupling.coupling)})"
    for name in ("nodes", "strength", "K", "kernel"):
        value = getattr(coupling, name, None)
        if value is not None and not callable(value):
            shown = f"shape {tuple(np.shape(value))}" if np.ndim(value) else f"{float(value):g}"
            return f"{type(coupling).__name__}({name}: {shown})"
    return type(coupling).__name__


@cache
def _versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("oscillator-systems", "numpy", "numba"))
