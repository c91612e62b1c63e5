"""What the constants of an oscillator promise: stability, bounds, memory, and how far its steps can be undone."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from neural.waves.constants import Damping, one_step

if TYPE_CHECKING:
    from neural.waves.cell import OscillatorCell


class Stability(NamedTuple):
    """Diagnostics of a cell; see `diagnose`.

    Args:
        stable: whether an uncoupled oscillator returns to rest.
        moduli: |λ| of one uncoupled step, the faster first.
        memory: steps after which an uncoupled oscillator has forgotten 63 %, -1/ln|λ|.
        position_bound: |y| never exceeds it from rest, whatever the coupling and the drive.
        contraction: q < 1: a step can be undone by iteration, and each iteration gains a factor 1/q.
        growth: by which undoing a step multiplies rounding.
        segment: steps that can be undone within the tolerance.
    """

    stable: bool
    moduli: tuple[float, float]
    memory: float
    position_bound: float
    contraction: float
    growth: float
    segment: float


def jury_margins(dt: float, gamma: float, epsilon: float, damping: Damping = "explicit") -> dict[str, float]:
    """How far an uncoupled oscillator is from instability; negative: it grows.

        explicit       0 < Δt ε < 2  and  0 < Δt² γ < 4 - 2 Δt ε
        semi_implicit  0 < Δt² γ < 4 + 2 Δt ε
        exact          always

    Returns:
        The margin of each upper limit, by the name of the constant.

    Source: Jury's conditions for the characteristic polynomial μ² - (trace) μ + (determinant) of the step.
    """
    if damping == "exact":
        return {}
    if damping == "semi_implicit":
        return {"gamma": 4 + 2 * dt * epsilon - dt**2 * gamma}
    return {"epsilon": 2 - dt * epsilon, "gamma": 4 - 2 * dt * epsilon - dt**2 * gamma}


def warn_if_unstable(dt: Tensor, gamma: Tensor, epsilon: Tensor, damping: Damping) -> None:
    """Warn, naming the constant and the excess, if an oscillator grows without coupling."""
    for values in _constants(dt, gamma, epsilon):
        for name, margin in jury_margins(*values, damping).items():
            if margin < 0:
                warnings.warn(_message(name, margin, *values, damping), RuntimeWarning, stacklevel=3)
                return


def _message(name: str, margin: float, dt: float, gamma: float, epsilon: float, damping: Damping) -> str:
    if name == "epsilon":
        return (
            f"`epsilon` must be below 2/dt = {2 / dt:.4g}, but is {epsilon:.4g}: dt·epsilon exceeds 2 by {-margin:.3g} and "
            "each step overshoots; lower `dt`, or use damping='semi_implicit'."
        )
    sign = "+" if damping == "semi_implicit" else "-"
    return (
        f"`gamma` must be below (4 {sign} 2 dt·epsilon)/dt² = {(gamma * dt**2 + margin) / dt**2:.4g}, but is {gamma:.4g}: "
        f"dt²·gamma exceeds the limit by {-margin:.3g}; lower `dt` (now {dt:.4g}), or use damping='exact'."
    )


def position_bound(gamma: float, epsilon: float) -> float:
    """Largest |y| that any field in [-1, 1] can drive an oscillator to from rest: the integral of its |impulse response|.

        1/γ for ζ >= 1,    (1/γ) coth(π ζ / (2 √(1 - ζ²))) for ζ = ε / (2 √γ) < 1

    It is the limit Δt → 0; `step_bound` has the same for finite steps.
    """
    if gamma <= 0 or epsilon <= 0:
        return math.inf
    zeta = epsilon / (2 * math.sqrt(gamma))
    return 1 / gamma if zeta >= 1 else 1 / (gamma * math.tanh(math.pi * zeta / (2 * math.sqrt(1 - zeta**2))))


def step_bound(dt: float, gamma: float, epsilon: float, damping: Damping = "explicit") -> float:
    """The same for steps of Δt: Σ_n |y after n steps|; infinite without decay (within 10 million steps).

    The response to one push obeys y_(n + 2) = (trace) y_(n + 1) - (determinant) y_n.
    """
    M, force = _matrices(dt, gamma, epsilon, damping)
    slow, trace = max(abs(np.linalg.eigvals(M))), np.trace(M)
    if slow > 1 - 4e-6:
        return math.inf
    push = np.zeros(math.ceil(-40 / math.log(max(slow, 1e-16))) + 2)  # exp(-40) is below rounding
    push[0] = 1.0
    response = lfilter([force[0], (M @ force)[0] - trace * force[0]], [1.0, -trace, np.linalg.det(M)], push)
    return float(np.abs(response).sum())


def contraction(cell: OscillatorCell) -> float:
    """q = Δt ‖𝒲‖₂ / |1 - Δt ε| for explicit damping: undoing a step is an iteration that converges if q < 1.

    In general the norm of M⁻¹ F times those of the maps, in the weights that make it smallest.
    """
    worst = 0.0
    for values in _constants(*cell.constants()):
        M, force = _matrices(*values, cell.damping)
        back = np.linalg.solve(M, force) if abs(np.linalg.det(M)) > 1e-12 else np.full(2, np.inf)
        norms = [0.0 if act is None else act.norm() for act in (cell.position, cell.velocity)]
        worst = max(worst, float(np.abs(back) @ np.array(norms)) if any(norms) else 0.0)
    return worst


def growth(cell: OscillatorCell) -> float:
    """Factor by which undoing one uncoupled step multiplies rounding: 1/|λ| of the faster mode."""
    fast = (min(abs(np.linalg.eigvals(_matrices(*v, cell.damping)[0]))) for v in _constants(*cell.constants()))
    return 1 / max(min(fast), 1e-300)


def segment_length(cell: OscillatorCell, tolerance: float, precision: float) -> float:
    """Steps that can be undone before rounding has grown to the tolerance: ln(tolerance/precision) / ln(growth)."""
    if contraction(cell) >= 1:
        return 0.0
    rate = math.log(max(growth(cell), 1.0))
    return math.inf if rate == 0 else math.log(tolerance / precision) / rate


def diagnose(cell: OscillatorCell, tolerance: float = 1e-6) -> Stability:
    """All diagnostics of a cell as it is now, for the node with the slowest decay."""
    values = list(_constants(*cell.constants()))
    moduli = [tuple(sorted(abs(np.linalg.eigvals(_matrices(*v, cell.damping)[0])))) for v in values]
    slowest = max(moduli, key=lambda pair: pair[1])
    return Stability(
        stable=slowest[1] < 1,
        moduli=slowest,
        memory=-1 / math.log(slowest[1]) if slowest[1] < 1 else math.inf,
        position_bound=max(step_bound(*v, cell.damping) for v in values),
        contraction=contraction(cell),
        growth=growth(cell),
        segment=segment_length(cell, tolerance, 2.2e-16),
    )


def _constants(dt: Tensor, gamma: Tensor, epsilon: Tensor) -> set[tuple[float, float, float]]:
    """The different (Δt, γ, ε) of the nodes, as numbers."""
    parts = torch.broadcast_tensors(*(p.detach().double().cpu().reshape(-1) for p in (dt, gamma, epsilon)))
    return {(row[0], row[1], row[2]) for row in torch.stack(parts, -1).tolist()}


def _matrices(dt: float, gamma: float, epsilon: float, damping: Damping) -> tuple[np.ndarray, np.ndarray]:
    """One uncoupled step as (y, z) -> M (y, z) + F s."""
    dts, gammas, epsilons = torch.tensor([dt, gamma, epsilon], dtype=torch.float64)
    yy, yz, ys, zy, zz, zs = (float(p) for p in one_step(dts, gammas, epsilons, damping))
    return np.array([[yy, yz], [zy, zz]]), np.array([ys, zs])
