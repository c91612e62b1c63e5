"""The forward run: from a system, a coupling and a state to a labelled Dataset."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from oscillators import arguments, checks
from oscillators.arrays import Array
from oscillators.coupling import Diffusive
from oscillators.delayed import Delayed
from oscillators.engine import Run
from oscillators.label import RESERVED, label
from oscillators.loops import OK
from oscillators.methods import ADAPTIVE, FIXED, STOCHASTIC
from oscillators.problem import Problem, from_rows, prepare
from oscillators.system import System, components

if TYPE_CHECKING:
    import xarray as xr


def simulate(
    system: System,
    coupling: Any,
    x0: Any,
    t: Any,
    *,
    method: str = "rk4",
    dt: float | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    drive: Array | Callable[[float], Array] | None = None,
    history: Array | Callable[[float], Array] | None = None,
    noise: Array | float | None = None,
    observe: Mapping[str, Callable] | None = None,
    rng: int | np.random.Generator | None = None,
    progress: bool = False,
    on_failure: str = "warn",
) -> xr.Dataset:
    """Integrate dx/dt = law(t, x, K[g(x)] + c(t)) and return the labelled states.

    Args:
        system: what moves.
        coupling: anything `as_coupling` takes: number, matrix, sparse matrix, graph, coupling object.
        x0: initial state. Phases (..., node), sphere (..., node, n), amplitudes complex (..., node), second order
            (..., node, 2); lattices have (height, width) in place of node. Leading axes are an ensemble, dimension
            `run`; each member equals the run alone, bit for bit, and has its own status.
        t: increasing times to save; t[0] is the start. Fixed steps are shortened to land on every one of them.
        method: with `dt` (the longest step): "euler", "heun" (trapezoidal), "rk4", "semi_implicit_euler" (second-order
            systems), "euler_maruyama", "stochastic_heun". With `rtol` and `atol`: "dopri5", "tsit5".
        drive: c added to the field, shape of the lifted state (..., node, m), or a function of t that returns it.
        history: for delays: the state before t[0], constant, a function of t, or `Recorded` of an earlier run.
        noise: σ of dx = ... dt + σ dW (Stratonovich), broadcasts to (..., node), unit of x / √time. Second-order systems
            receive it in v.
        observe: name -> function of the state at one moment (arrays with any leading axes; second-order systems pass
            x, and v to a function of two arguments). Then only these are stored, and memory stays small.
        rng: seed or Generator for the noise.
        progress: show a bar.
        on_failure: "warn" or "raise" when a member leaves the finite numbers or its step underflows.

    Returns:
        Dataset with the variables of the system (or the observed ones) along (run, time, node, ...), the fate of each
        member (`status`, `stop_time`, `stop_node`, `steps`, `rejected`), units and provenance. Ctrl-C ends a run within
        a second; what was computed is returned, the rest is NaN and `status` says interrupted.

    Raises:
        ValueError, TypeError: before the run, for arguments that do not fit. FloatingPointError: if on_failure="raise".
    """
    system, coupling, state, t = arguments.network(system, coupling, x0, t)
    step = _check_method(system, coupling, t, method, dt, rtol, atol, noise, on_failure)
    if drive is not None:
        drive = arguments.numeric_drive(system, coupling, state, drive, t)
    if history is not None:
        history = arguments.numeric_history(system, coupling, state, history, t)
    if noise is not None:
        noise = _checked_noise(system, state, noise)
    _check_rng(rng)
    seed = _seed(rng) if noise is not None else None
    problem = prepare(system, coupling, state, drive, history, noise)
    store = Observations(problem, t, _checked_observe(system, observe)) if observe else Trajectory(problem, t)
    with tqdm(total=problem.members, disable=not progress, unit="run", bar_format=_BAR) as bar:
        run = Run(
            problem,
            t,
            store.put,
            (FIXED | ADAPTIVE)[method],
            step,
            method == "semi_implicit_euler",
            float(rtol),
            float(atol),
            seed,
            (lambda done: bar.update(done)) if progress else None,
        )
        finished = run.go()
    result = label(run, store.variables(), method, finished)
    _report(result, run, finished, on_failure)
    return result


_BAR = "{l_bar}{bar}| {n:.2f}/{total} [{elapsed}<{remaining}]"


class Trajectory:
    """Stores every state."""

    def __init__(self, problem: Problem, t: np.ndarray):
        self.problem = problem
        self.states = np.full((problem.members, len(t), *problem.x0.shape[1:]), np.nan)
        self.put(slice(0, problem.members), 0, problem.x0[None])

    def put(self, members: slice, first: int, states: np.ndarray) -> None:
        self.states[members, first : first + len(states)] = states.swapaxes(0, 1)

    def variables(self) -> dict[str, np.ndarray]:
        """Each variable of the system, (members, time, ...)."""
        return variables(self.problem, self.states)


class Observations:
    """Stores what functions of the state return, one moment at a time."""

    def __init__(self, problem: Problem, t: np.ndarray, observe: Mapping[str, Callable]):
        self.problem, self.count, self.observe = problem, len(t), dict(observe)
        self.values: dict[str, np.ndarray] = {}
        most = len(problem.system.variables)
        self.arguments = {name: min(_required(f), most) for name, f in self.observe.items()}
        self.put(slice(0, problem.members), 0, problem.x0[None])  # shapes, and errors, before the run

    def put(self, members: slice, first: int, states: np.ndarray) -> None:
        if not len(states):
            return
        states = states.view()
        states.flags.writeable = False  # what one function would change, the next would see
        found = list(variables(self.problem, states).values())
        for name, function in self.observe.items():
            value = _observed(name, function(*found[: self.arguments[name]]), states.shape[:2])
            if name not in self.values:
                empty = np.nan if value.dtype.kind in "fc" else 0
                self.values[name] = np.full((self.problem.members, self.count, *value.shape[2:]), empty, value.dtype)
            if value.shape[2:] != self.values[name].shape[2:]:
                raise ValueError(
                    f"`observe[{name!r}]` must always return one shape, but returned {value.shape[2:]} after "
                    f"{self.values[name].shape[2:]}; pad it."
                )
            self.values[name][members, first : first + len(states)] = value.swapaxes(0, 1)

    def variables(self) -> dict[str, np.ndarray]:
        return self.values


def variables(problem: Problem, states: np.ndarray) -> dict[str, np.ndarray]:
    """Public variables from states (..., d, N): phases, vectors, complex amplitudes, or position and velocity."""
    system = problem.system
    x = from_rows(states, problem.nodes, components(system))
    if system.kind == "complex":
        return {system.variables[0]: x[..., 0] + 1j * x[..., 1]}
    if system.kind == "pair":
        return {name: x[..., k] for k, name in enumerate(system.variables)}
    return {system.variables[0]: x}


def _observed(name: str, value: Any, lead: tuple[int, ...]) -> np.ndarray:
    """What an observing function returned, one value per time and run."""
    try:
        value = np.asarray(value)
    except ValueError:
        value = np.array(value, object)
    if value.dtype.kind not in "iubfc":
        raise TypeError(
            f"`observe[{name!r}]` must return numbers, but returned {checks.shown(value)}; return an array."
        )
    if value.shape[:2] != lead:
        raise ValueError(
            f"`observe[{name!r}]` must keep the leading axes (times, runs) = {lead} of the state, but returned shape "
            f"{value.shape}; reduce over the last axes (axis=-1)."
        )
    return value


def _checked_observe(system: System, observe: Any) -> Mapping[str, Callable]:
    if not isinstance(observe, Mapping):
        raise TypeError(
            f"`observe` must map names to functions of the state, but is {checks.shown(observe)}; write for example "
            "observe={'r': order_parameter}."
        )
    for name, function in observe.items():
        if not isinstance(name, str) or name in RESERVED:
            raise ValueError(
                f"`observe` must not use a name that is no word or one of {', '.join(RESERVED)}, but uses {name!r}; "
                "choose another."
            )
        if not callable(function):
            raise TypeError(
                f"`observe[{name!r}]` must be a function of the state, but is {checks.shown(function)}; pass the function "
                "itself."
            )
        arguments = min(_required(function), len(system.variables))
        checks.callable_with(f"observe[{name!r}]", function, arguments, f"f({', '.join(system.variables[:arguments])})")
    return observe


def _required(function: Callable) -> int:
    """How many positional arguments a function must be given (1 where Python cannot tell)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(1, sum(p.kind in positional and p.default is p.empty for p in parameters))


def _check_method(system, coupling, t, method, dt, rtol, atol, noise, on_failure) -> float | None:
    """The step of a fixed-step method, None for an adaptive one."""
    checks.one_of("method", method, (*FIXED, *ADAPTIVE))
    checks.one_of("on_failure", on_failure, ("warn", "raise"))
    inner = coupling.coupling if isinstance(coupling, Diffusive) else coupling
    delayed = isinstance(inner, Delayed) and bool((inner.tau > 0).any())
    if method in ADAPTIVE and noise is not None:
        raise ValueError(
            f"`noise` must be None for the adaptive method {method!r}, but is {checks.shown(noise)}; use "
            "method='stochastic_heun' with dt."
        )
    if method in ADAPTIVE and delayed:
        raise ValueError(
            f"`method` must have fixed steps when `tau` > 0, but is {method!r}; use 'rk4' (order 4) with dt."
        )
    if method in FIXED and (noise is not None) != (method in STOCHASTIC):
        if noise is not None:
            raise ValueError(
                f"`method` must be one of {', '.join(STOCHASTIC)} with `noise`, but is {method!r}; choose one of these."
            )
        raise ValueError(f"`noise` must be given for {method!r}, but is None; without noise use 'euler' or 'heun'.")
    arguments.check_order(system, method)
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        checks.positive(name, tolerance, "the defaults are rtol=1e-6 and atol=1e-9")
    return arguments.step(method, dt, t, fixed=FIXED)


def _checked_noise(system, state, noise):
    noise = checks.real_numbers("noise", noise)
    shape = state.shape[: state.ndim - components(system)]
    checks.broadcastable("noise", noise, shape, "runs and nodes of `x0`")
    checks.not_negative("noise", noise, "it is a standard deviation, pass its absolute value")
    return noise


def _seed(rng: Any) -> int:
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    return int(np.random.default_rng().integers(2**63)) if rng is None else int(rng)


def _check_rng(rng: Any) -> None:
    if rng is None or isinstance(rng, np.random.Generator):
        return
    if not isinstance(rng, int | np.integer) or isinstance(rng, bool):
        raise TypeError(
            f"`rng` must be a whole number or a numpy Generator, but is {checks.shown(rng)}; pass a seed such as rng=0, or "
            "numpy.random.default_rng(seed)."
        )
    if rng < 0:
        raise ValueError(f"`rng` must be 0 or positive, but is {rng}; pass another seed.")


def _report(result: Any, run: Run, finished: bool, on_failure: str) -> None:
    if not finished:
        warnings.warn("interrupted: the result holds what was computed; the rest is NaN.", RuntimeWarning, stacklevel=3)
    failed = np.flatnonzero(run.status != OK)
    if not len(failed):
        return
    first = failed[0]
    what = {1: "left the finite numbers", 2: "needed a step too small to represent"}[int(run.status[first])]
    cure = "a smaller `dt`" if run.dt is not None else "looser tolerances or a bounded law"
    where = f" at node {run.node[first]}" if run.node[first] >= 0 else ""
    message = (
        f"{len(failed)} of {len(run.status)} runs stopped; run {first} {what} at t = {run.stopped_at[first]:.6g}{where}; "
        f"try {cure} (status, stop_time and stop_node are in the result)."
    )
    if on_failure == "raise":
        raise FloatingPointError(message)
    warnings.warn(message, RuntimeWarning, stacklevel=3)
