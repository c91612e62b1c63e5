"""The differentiable run: tensors in, tensors out, with a gradient that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oscillators import adjoint, arguments, checks, compiled, continuous
from oscillators.arrays import Array
from oscillators.coupling import Coupling, Diffusive, as_coupling
from oscillators.delayed import Delayed
from oscillators.flow import Flow
from oscillators.learned import Learned
from oscillators.methods import ADAPTIVE, FIXED, STOCHASTIC
from oscillators.recorded import Recorded
from oscillators.system import System, check_pair
from oscillators.task import Task, delays
from oscillators.tensors import beside, tensors, with_tensors

GRADIENTS = ("discrete", "adjoint", "backprop")
OURS = tuple(name for name in (*FIXED, *ADAPTIVE) if name not in STOCHASTIC)


def integrate(
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
    gradient: str = "discrete",
    options: dict[str, Any] | None = None,
) -> Tensor:
    """Integrate dx/dt = law(t, x, K[g(x)] + c(t)) on tensors, on any device, with gradients.

    Args:
        system, coupling, drive, history: as in `simulate`; whatever in them is a tensor that requires a gradient gets
            one: x0, omega, K, weights, kernels, delays, drive, history. A torch.nn.Module is a coupling, too:
            (..., node, m) -> (..., node, m).
        x0: initial state, (..., node) for phases, (..., node, n) on the sphere, (..., node, 2) of second order, complex
            amplitudes (..., node). Leading axes are a batch. Its dtype and device are those of the run.
        t: increasing times to save. A tensor with a gradient stretches the steps: a learned step h is t = h * arange(n).
        method: "euler", "heun", "rk4", "semi_implicit_euler" with `dt` (the longest step), "dopri5", "tsit5" with `rtol`
            and `atol`; for "adjoint" and "backprop" also torchdiffeq's, its "rk4" by the name "rk4_38".
        gradient: "discrete": exact derivative of the steps taken, memory O(√steps). "adjoint": torchdiffeq's continuous
            adjoint, refused where it would be wrong. "backprop": the graph of all steps.
        options: of torchdiffeq's solvers.

    Returns:
        States (time, ..., node, ...) in the dtype of x0; row 0 is x0.

    Raises:
        ValueError, TypeError: before the run, for arguments that do not fit. FloatingPointError: if a state is not finite, or
        a continuous adjoint would be wrong.
    """
    task = _task(system, coupling, x0, t, method, dt, rtol, atol, drive, history, gradient)
    if gradient == "adjoint" or method not in OURS or (gradient == "backprop" and method == "dopri5"):
        states = continuous.solve(task, gradient == "adjoint", continuous.checked_options(method, options))
    else:
        if options:
            raise ValueError(
                f"`options` must be None for {method!r} with gradient={gradient!r}, but is {checks.shown(options)}; they are "
                "torchdiffeq's, for gradient='adjoint' or its own methods."
            )
        states = _steps(task, gradient)
    _check_finite(task, states)
    states = torch.cat([task.x[None], states])
    return torch.view_as_complex(states.contiguous()) if system.kind == "complex" else states


def _steps(task: Task, gradient: str) -> Tensor:
    """Saved states by our own steps: compiled where that is possible, else on tensors."""
    wanted = task.wants_gradient()
    if gradient == "discrete" and task.times is None:
        states = compiled.discrete(task) if wanted else compiled.forward(task)
        if states is not None:
            return states
    return adjoint.states(task, keep_graph=gradient == "backprop" or not wanted)


def _task(system, coupling, x0, t, method, dt, rtol, atol, drive, history, gradient) -> Task:
    """Check and convert everything."""
    arguments.check_system(system, "integrate")
    checks.one_of("gradient", gradient, GRADIENTS)
    checks.one_of("method", method, OURS if gradient == "discrete" else (*OURS, *continuous.THEIRS))
    x = _state(system, x0)
    numbers = checks.save_times(t.detach() if isinstance(t, Tensor) else t)
    times = beside("t", t, x) if isinstance(t, Tensor) and t.requires_grad else None
    given = system, as_coupling(coupling)
    system, coupling = beside("system", system, x), beside("coupling", given[1], x)
    arguments.check_fit(system, coupling, x.detach(), np.shape(x0))
    dt = arguments.step(method, dt, numbers, fixed=(*FIXED, *continuous.FIXED_STEPS))
    if dt is not None and isinstance(t, Tensor):
        dt += 4 * torch.finfo(t.dtype).eps * float(np.abs(numbers).max())  # times are known to their rounding only
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        checks.positive(name, tolerance, "the defaults are rtol=1e-6 and atol=1e-9")
    flow = _flow(system, coupling, x, _drive(system, coupling, x, drive, numbers[0]))
    past = None if history is None else _history(system, x, history, numbers[0])
    task = Task(given, coupling, flow, x, numbers, times, method, dt, float(rtol), float(atol), past)
    _check_combination(task, gradient)
    _check_own(task, lossy=gradient != "backprop" and torch.is_grad_enabled())
    return task


def _state(system: System, x0: Any) -> Tensor:
    """The initial state in the law's shape."""
    x = _law_shaped(system, "x0", x0)
    if system.kind == "complex" and not (x0.is_complex() if isinstance(x0, Tensor) else np.iscomplexobj(x0)):
        raise TypeError(f"`x0` must be complex, but has dtype {x.dtype}; write torch.complex(re, im).")
    x = x if isinstance(x, Tensor) else torch.as_tensor(x)
    check_pair(system, x, "x0")
    return x


def _law_shaped(system: System, name: str, value: Any) -> Any:
    """Finite numbers; complex ones of an amplitude system as real pairs."""
    return checks.real_array(name, _pairs(system, value), allow_integer=False)


def _pairs(system: System, value: Any) -> Any:
    """Complex numbers of an amplitude system as real pairs."""
    if system.kind == "complex" and isinstance(value, Tensor) and value.is_complex():
        return torch.view_as_real(value.resolve_conj())
    if system.kind == "complex" and not isinstance(value, Tensor) and np.iscomplexobj(value):
        return np.stack([np.real(value), np.imag(value)], axis=-1)
    return value


def _flow(system: System, coupling: Coupling, x: Tensor, drive: Any) -> Flow:
    """The network without its delays, which need a grid of steps."""
    inner, degree = coupling, None
    if isinstance(coupling, Diffusive):
        inner = coupling.coupling
        operator = inner.coupling if isinstance(inner, Delayed) else inner
        degree = Diffusive(operator).degree(torch.ones_like(system.lift(x.detach())))
    if isinstance(inner, Delayed):
        inner = inner.coupling
    return Flow(system, inner, degree, drive, None)


def _drive(system: System, coupling: Coupling, x: Tensor, drive: Any, start: float) -> Any:
    if drive is None:
        return None
    whole = arguments.field_shape(system, coupling, x.detach())

    def checked(name: str, value: Any) -> Tensor:
        value = beside(name, _law_shaped(system, name, value), x)
        arguments.check_drive(name, value, whole)
        return value

    return arguments.constant_or_moving("drive", drive, checked, start)


def _history(system: System, x: Tensor, history: Any, start: float) -> Any:
    """The history in the law's shape: a constant, or a function of time."""

    def checked(name: str, value: Any) -> Tensor:
        past = beside(name, _law_shaped(system, name, value), x)
        checks.broadcastable(name, past, tuple(x.shape), "the shape of `x0`")
        system.check_state(checks.plain(past.expand(x.shape)), name)
        return past

    if isinstance(history, Recorded):
        states = beside("history.states", _law_shaped(system, "history.states", history.states), x)
        system.check_state(checks.plain(states), "history.states")
        return history.of_runs(states, tuple(x.shape), float(start))
    if not callable(history):
        return checked("history", history)
    checks.callable_with("history", history, 1, "f(t)")
    checked(f"history({start:g})", history(float(start)))

    def moving(t: float) -> Tensor:
        value = _pairs(system, history(t))
        return beside("history", value if isinstance(value, Tensor) else np.asarray(value, np.float64), x)

    return moving


def _check_combination(task: Task, gradient: str) -> None:
    method, moving = task.method, callable(task.flow.drive)
    inner = task.coupling.coupling if isinstance(task.coupling, Diffusive) else task.coupling
    if isinstance(inner, Delayed) and inner.tau.requires_grad and not bool((delays(inner) > 0).all()):
        raise ValueError(
            "`tau` must be positive everywhere to have a gradient, but is 0 somewhere: a delay below one step has none; pass "
            "the positive delays only, or tau.detach()."
        )
    if task.delayed and (task.dt is None or method not in FIXED or gradient == "adjoint"):
        raise ValueError(
            f"`method` must have fixed steps and `gradient` be 'discrete' or 'backprop' when `tau` > 0, but they are "
            f"{method!r} and {gradient!r}; use 'rk4' (order 4) with dt and gradient='discrete'."
        )
    arguments.check_order(task.flow.system, method)
    if method in ("semi_implicit_euler", "tsit5") and gradient == "adjoint":
        raise ValueError(
            f"`method` must be one that torchdiffeq can run for gradient='adjoint', but is {method!r}; use 'rk4' with dt, or "
            "'dopri5'."
        )
    theirs = gradient != "discrete" and method not in (*FIXED, "tsit5")
    if task.times is not None and (
        gradient == "adjoint" or task.delayed or moving or method == "tsit5" or (method in ADAPTIVE and not theirs)
    ):
        raise ValueError(
            f"`t` must not require a gradient with delays, a drive that moves, adaptive steps or gradient='adjoint', but does "
            f"(method {method!r}, gradient {gradient!r}); use 'rk4' with dt and a constant drive, or pass t.detach()."
        )
    lost = moving and gradient == "adjoint" and any(task.flow.drive(time).requires_grad for time in _finely(task.t))
    if lost or (moving and gradient == "backprop" and theirs and task.dt is None):
        raise ValueError(
            f"`drive` must not be a function of t here, but is: with method {method!r} and gradient={gradient!r} torchdiffeq "
            "loses its part of the gradient; use gradient='discrete'."
        )


def _finely(t: np.ndarray) -> np.ndarray:
    """Times at which to ask whether a drive carries a gradient; one that does so between these only is not found."""
    return np.linspace(t[0], t[-1], 257)


@torch.enable_grad()
def _check_own(task: Task, lossy: bool) -> None:
    """Try a law or coupling of the user's once. If lossy, tensors with a gradient that are no fields would lose it: raise."""
    bare = replace(task.flow, drive=None)
    flow = with_tensors(bare, iter([p.detach() for p in tensors(bare)]))
    parts = (flow.system, flow.coupling)
    if all(type(part).__module__.startswith("oscillators.") and not isinstance(part, Learned) for part in parts):
        return
    velocity = flow.velocity(float(task.t[0]), task.x.detach(), 0, None, flow.coupling.field)
    if not isinstance(velocity, Tensor) or velocity.shape != task.x.shape:
        got = tuple(velocity.shape) if isinstance(velocity, Tensor) else checks.shown(velocity)
        raise ValueError(
            f"`{type(flow.system).__name__}.law` must return a tensor of the shape of x, {tuple(task.x.shape)}, but returned "
            f"{got}; write it with functions of oscillators.arrays.namespace(x)."
        )
    if lossy and velocity.requires_grad:
        raise TypeError(
            "`system` and `coupling` must hold their tensors as fields of their dataclass (a module: as parameters), but one "
            "that requires a gradient is hidden in a closure or attribute; make it a field, or use gradient='backprop'."
        )


def _check_finite(task: Task, states: Tensor) -> None:
    """Raise if a saved state is not finite, with the time, place and repair."""
    states = states.detach()
    if checks.all_finite(states):
        return
    save, *entry = (~states.isfinite()).nonzero()[0].tolist()
    raise FloatingPointError(
        f"`{task.flow.system.variables[0]}` must stay finite, but is not at t = {task.t[save + 1]:.6g} (entry {entry}); try "
        "smaller steps, and check that the law, the drive and the coupling return finite values."
    )
