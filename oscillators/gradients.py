"""The differentiable run: tensors in, tensors out, with a gradient that is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oscillators import adjoint, arguments, checks, continuous
from oscillators.arrays import Array
from oscillators.coupling import Coupling, Diffusive, as_coupling
from oscillators.delayed import Delayed
from oscillators.flow import Flow, Grid, StageDrive, run
from oscillators.grid import adaptive_grid, fixed_grid, stretched
from oscillators.lookback import look_back
from oscillators.methods import ADAPTIVE, FIXED, STOCHASTIC
from oscillators.system import System
from oscillators.tensors import beside, tensors

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
    arguments.check_system(system, "integrate")
    checks.one_of("gradient", gradient, GRADIENTS)
    x = _state(system, x0)
    times = t if isinstance(t, Tensor) and t.requires_grad else None
    numbers = checks.save_times(t.detach() if isinstance(t, Tensor) else t)
    system, coupling = beside("system", system, x), beside("coupling", as_coupling(coupling), x)
    arguments.check_fit(system, coupling, x, np.shape(x0))
    _check_method(coupling, method, dt, gradient, times, options)
    if times is not None:
        times = beside("t", times, x)
    flow = _flow(system, coupling, x, drive)
    if gradient == "adjoint" or method not in OURS or (gradient == "backprop" and method == "dopri5"):
        at = x.new_tensor(numbers) if times is None else times
        states = continuous.solve(flow, x, at, method, dt, rtol, atol, options or {}, gradient == "adjoint")
    else:
        states = _steps(flow, coupling, x, numbers, times, method, dt, rtol, atol, history, gradient)
    _check_finite(system, states, numbers)
    states = torch.cat([x[None], states])
    return torch.view_as_complex(states.contiguous()) if system.kind == "complex" else states


def _state(system: System, x0: Any) -> Tensor:
    """The initial state in the law's shape."""
    x = x0 if isinstance(x0, Tensor) else torch.as_tensor(np.asarray(x0))
    if system.kind == "complex":
        if not x.is_complex():
            raise TypeError(f"`x0` must be complex, but has dtype {x.dtype}; write torch.complex(re, im).")
        return torch.view_as_real(x.resolve_conj())
    x = checks.real_array("x0", x)
    if system.kind == "pair" and (x.ndim < 2 or x.shape[-1] != 2):
        raise ValueError(
            f"`x0` must have shape (..., node, 2) with {' and '.join(system.variables)} on the last axis, but is "
            f"{tuple(x.shape)}; write torch.stack([{', '.join(system.variables)}], dim=-1)."
        )
    return x


def _flow(system: System, coupling: Coupling, x: Tensor, drive: Any) -> Flow:
    """The network without its delays, which need a grid of steps."""
    inner, degree = coupling, None
    if isinstance(coupling, Diffusive):
        inner = coupling.coupling
        operator = inner.coupling if isinstance(inner, Delayed) else inner
        degree = Diffusive(operator).degree(torch.ones_like(system.lift(x)))
    if isinstance(inner, Delayed):
        inner = inner.coupling
    return Flow(system, inner, degree, _drive(system, coupling, x, drive), None)


def _drive(system: System, coupling: Coupling, x: Tensor, drive: Any) -> Any:
    if drive is None:
        return None
    whole = arguments.field_shape(system, coupling, x)

    def checked(name: str, value: Any) -> Tensor:
        value = beside(name, _pairs(system, name, value), x)
        checks.broadcastable(name, value, whole, "batch, nodes and components of the lifted state")
        return value

    return arguments.constant_or_moving("drive", drive, checked, 0.0)


def _pairs(system: System, name: str, value: Any) -> Any:
    """Complex numbers of an amplitude system as pairs; checked for finite numbers."""
    if system.kind == "complex" and isinstance(value, Tensor) and value.is_complex():
        return torch.view_as_real(value.resolve_conj())
    if system.kind == "complex" and np.iscomplexobj(value):
        value = checks.complex_numbers(name, value)
        return np.stack([value.real, value.imag], axis=-1)
    return checks.real_array(name, value)


def _steps(flow, coupling, x, numbers, times, method, dt, rtol, atol, history, gradient) -> Tensor:
    """Saved states by our own steps: the discrete adjoint, or the graph of all of them."""
    if method in ADAPTIVE:
        checks.positive("rtol", rtol, "the default is 1e-6")
        checks.positive("atol", atol, "the default is 1e-9")
        grid = adaptive_grid(flow, x.detach(), numbers, method, rtol, atol)
    else:
        grid = fixed_grid(numbers, method, checks.step_size(dt, method, numbers))
    carry: tuple[Tensor, ...] = (x,)
    delayed = coupling.coupling if isinstance(coupling, Diffusive) else coupling
    if isinstance(delayed, Delayed) and bool((delayed.tau > 0).any()):
        past = None if history is None else _history(flow.system, x, history)
        lookback, knots = look_back(flow.system, delayed, x, grid, past)
        flow, carry = replace(flow, lookback=lookback), (x, *knots)
    if callable(flow.drive):
        flow = replace(flow, drive=_at_stages(flow.drive, grid))
    if times is not None:
        starts, sizes = stretched(grid, times)
        flow = replace(flow, starts=starts, sizes=sizes)
    if gradient == "discrete" and torch.is_grad_enabled() and (tensors(flow) or any(c.requires_grad for c in carry)):
        return adjoint.discrete(flow, grid, carry)
    return torch.stack(run(flow, grid, carry, 0, grid.steps, flow.coupling.field)[1])


def _history(system: System, x: Tensor, history: Any) -> Any:
    """The history in the law's shape: a constant, or a function of time."""

    def checked(name: str, value: Any) -> Tensor:
        past = beside(name, _pairs(system, name, value), x)
        checks.broadcastable(name, past, tuple(x.shape), "the shape of `x0`")
        system.check_state(checks.plain(past.expand(x.shape)), name)
        return past

    return arguments.constant_or_moving("history", history, checked, 0.0)


def _at_stages(drive: Callable, grid: Grid) -> Any:
    """A moving drive at every stage if it carries a gradient; else the function itself."""
    if not drive(grid.starts[0]).requires_grad:
        return drive
    return StageDrive(
        torch.stack([drive(t + c * dt) for t, dt in zip(grid.starts, grid.sizes, strict=True) for c in grid.tableau.c])
    )


def _check_method(coupling, method, dt, gradient, times, options) -> None:
    allowed = OURS if gradient == "discrete" else (*OURS, *continuous.THEIRS)
    checks.one_of("method", method, tuple(dict.fromkeys(allowed)))
    inner = coupling.coupling if isinstance(coupling, Diffusive) else coupling
    delayed = isinstance(inner, Delayed) and bool((inner.tau > 0).any())
    stepping = method in FIXED
    if stepping and dt is None:
        raise ValueError(
            f"`dt` must be given for the fixed-step method {method!r}, but is None; add for example dt=0.01."
        )
    if delayed and not (stepping and gradient != "adjoint"):
        raise ValueError(
            f"`method` must have fixed steps and `gradient` be 'discrete' or 'backprop' when `tau` > 0, but they are "
            f"{method!r} and {gradient!r}; use 'rk4' (order 4) with dt and gradient='discrete'."
        )
    if delayed and times is not None:
        raise ValueError("`t` must not require a gradient when `tau` > 0, but does; pass t.detach().")
    if method in ADAPTIVE and times is not None and gradient == "discrete":
        raise ValueError(
            f"`t` must not require a gradient with the adaptive method {method!r}, but does; use 'rk4' with dt, whose steps "
            "stretch with t."
        )


def _check_finite(system: System, states: Tensor, t: np.ndarray) -> None:
    """Raise if a saved state is not finite, with the time, node and repair."""
    if bool(torch.isfinite(states).all()):
        return
    bad = (~torch.isfinite(states.detach())).nonzero()[0].tolist()
    raise FloatingPointError(
        f"`{system.variables[0]}` must stay finite, but is not at t = {t[bad[0] + 1]:.6g} (entry {bad[1:]}); try a smaller "
        "step, and check that the coupling returns finite values."
    )
