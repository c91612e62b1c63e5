"""What a run is given, checked before anything moves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import Array
from oscillators.coupling import Coupling, Diffusive, as_coupling
from oscillators.delayed import Delayed
from oscillators.recorded import Recorded
from oscillators.system import System, components, law_state


def network(system: Any, coupling: Any, x0: Any, t: Any) -> tuple[System, Coupling, np.ndarray, np.ndarray]:
    """System, coupling, law-shaped state and save times of a run without gradients."""
    check_system(system, "simulate")
    system = checks.without_tensors("system", system)
    coupling = checks.without_tensors("coupling", as_coupling(coupling))
    x0 = in_order(system, coupling, x0)
    t, state = checks.save_times(t), law_state(system, x0)
    check_fit(system, coupling, state, np.shape(x0))
    return system, coupling, state, t


def in_order(system: System, coupling: Coupling, x0: Any) -> Any:
    """A DataArray with the dimensions of the nodes, and of their components, last; anything else as it is."""
    dims, nodes = getattr(x0, "dims", ()), coupling.node_dims
    parts = {"vector": ["component"], "pair": [d for d in dims if d not in nodes][-1:]}.get(system.kind, [])
    last = [*nodes, *parts]
    return x0.transpose(..., *last) if set(last) <= set(dims) else x0


def check_system(system: Any, caller: str) -> None:
    if not isinstance(system, System):
        raise TypeError(
            f"`system` must be a System such as Kuramoto(omega), but is {checks.shown(system)}; the order of arguments is "
            f"{caller}(system, coupling, x0, t)."
        )


def check_fit(system: System, coupling: Coupling, state: Array, given: tuple[int, ...]) -> None:
    """Raise unless system, coupling and law-shaped state are of one network; `given` is the shape the caller knows."""
    lead, nodes = split(system, coupling, state, given)
    system.check_state(checks.plain(state))
    coupling.check_nodes(nodes)
    for row in system.params():
        checks.broadcastable(_name_of(system, row), row, (*lead, *nodes), "runs and nodes of `x0`")
    triangles = checks.plain(system.table())
    if triangles.size and triangles.max() >= nodes[0]:
        raise ValueError(
            f"`triangles` must name nodes 0 to {nodes[0] - 1}, but names {triangles.max()}; nodes count from 0."
        )
    _check_members(coupling, lead)
    _check_own(system, coupling, state[(0,) * len(lead)], nodes)


def split(
    system: System, coupling: Coupling, state: Array, given: tuple[int, ...] | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Leading axes (the ensemble) and shape of the network of a law-shaped state."""
    given = tuple(state.shape) if given is None else tuple(given)
    axes = components(system)
    least = len(coupling.node_dims) + axes
    if state.ndim < least:
        raise ValueError(
            f"`x0` must have at least {least} axes for {type(system).__name__} on {type(coupling).__name__}, but has shape "
            f"{given}; give one entry per node."
        )
    if 0 in state.shape:
        raise ValueError(
            f"`x0` must have at least one node and one run, but has shape {given}; there is nothing to simulate."
        )
    cut = state.ndim - least
    return tuple(state.shape[:cut]), tuple(state.shape[cut : state.ndim - axes])


def _name_of(system: System, row: Array) -> str:
    """The field that a row of parameters comes from: itself, or one of its shape."""
    own = [name for name, value in vars(system).items() if value is row]
    own += [name for name, value in vars(system).items() if np.shape(value) == np.shape(row)]
    return own[0] if own else f"{type(system).__name__}.params()"


def _check_own(system: System, coupling: Coupling, state: np.ndarray, nodes: tuple[int, ...]) -> None:
    """Try the Python code of a user's system or coupling once, on the state of one member."""
    g = system.lift(state)
    checks.returned(f"{type(system).__name__}.lift", g, (*nodes, None))
    inner = coupling.coupling if isinstance(coupling, Diffusive) else coupling
    if not isinstance(inner, Delayed) and type(inner).compiled is Coupling.compiled:
        checks.returned(f"{type(inner).__name__}.field", inner.field(g), g.shape)


def _check_members(coupling: Any, lead: tuple[int, ...]) -> None:
    """Weights with leading axes belong to the members one by one."""
    while isinstance(coupling, Diffusive | Delayed):
        coupling = coupling.coupling
    for name, own in (("K", 2), ("strength", 1), ("weight", 1)):
        value = getattr(coupling, name, None)
        if value is not None and np.ndim(value) > own and tuple(value.shape[:-own]) != lead:
            raise ValueError(
                f"`{name}` must have the leading axes of `x0`, {lead}, or none, but has {tuple(value.shape[:-own])}; give "
                "each member of an ensemble its own, or all the same."
            )


def numeric_drive(system, coupling, state, drive, t):
    """The drive as float64 in the shape of the lifted state; functions are tried once."""
    whole = field_shape(system, coupling, state)

    def checked(name: str, value: Any) -> np.ndarray:
        value = checks.without_gradient(name, value)
        if system.kind == "complex" and np.iscomplexobj(value):
            value = checks.complex_numbers(name, value)
            value = np.stack([value.real, value.imag], axis=-1)
        value = checks.real_numbers(name, value)
        check_drive(name, value, whole)
        return value

    return constant_or_moving("drive", drive, checked, t[0])


def check_drive(name: str, value: Array, whole: tuple[int, ...]) -> None:
    """Raise unless a drive broadcasts to the shape of the local field, and names its components."""
    if value.ndim == 0 and whole[-1] > 1 and value != 0:
        raise ValueError(
            f"`{name}` must have the {whole[-1]} components of the lifted state on its last axis, but is one number; give all "
            "of them (what moves a phase at a constant rate is part of `omega`)."
        )
    checks.broadcastable(name, value, whole, "runs, nodes and components of the lifted state")


def field_shape(system: System, coupling: Coupling, state: Array) -> tuple[int, ...]:
    """Shape of the local field: runs, nodes and components of the lifted state."""
    lead, _ = split(system, coupling, state)
    return (*lead, *system.lift(state[(0,) * len(lead)]).shape)


def numeric_history(system, coupling, state, history, t):
    """The history in the law's shape; a function is tried once."""

    def checked(name: str, value: Any) -> np.ndarray:
        x = law_state(system, value, name)
        checks.broadcastable(name, x, state.shape, "the shape of `x0`")
        system.check_state(np.broadcast_to(x, state.shape), name)
        return x

    if not isinstance(history, Recorded):
        return constant_or_moving("history", in_order(system, coupling, history), checked, t[0])
    states = law_state(system, history.states, "history.states")
    system.check_state(states, "history.states")
    return history.of_runs(states, state.shape, float(t[0]))


def constant_or_moving(name: str, value: Any, checked: Callable, start: float) -> Any:
    """A checked constant, or a function of time that checks what it returns (tried at the start)."""
    if not callable(value):
        return checked(name, value)
    checks.callable_with(name, value, 1, "f(t)")

    def moving(time: float) -> np.ndarray:
        return checked(f"{name}({time:g})", value(time))

    moving(float(start))
    return moving


def step(method: str, dt: Any, t: np.ndarray, fixed: Iterable[str]) -> float | None:
    """The step of a method of fixed steps, None for an adaptive one."""
    if method in fixed:
        return checks.step_size(dt, method, t)
    if dt is not None:
        raise ValueError(
            f"`dt` must be None for the adaptive method {method!r}, but is {checks.shown(dt)}; set rtol and atol instead."
        )
    return None


def check_order(system: System, method: str) -> None:
    if method == "semi_implicit_euler" and system.kind != "pair":
        raise ValueError(
            f"`method` must not be {method!r} for {type(system).__name__}, but is: it needs a second-order system; use "
            "'euler', 'heun' or 'rk4'."
        )
