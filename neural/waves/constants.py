"""The constants of an oscillator, fixed or learned, and one step of its linear part."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from oscillators import checks

Map = Literal["relu", "softplus"]
Damping = Literal["explicit", "semi_implicit", "exact"]
DAMPING = ("explicit", "semi_implicit", "exact")


class Constants(nn.Module):
    """Step Δt, stiffness γ and damping ε of all oscillators.

    Args:
        dt, gamma, epsilon: their values; dt in time, gamma in 1/time², epsilon in 1/time.
        learned: None: fixed, and no part of the state dict. "relu": the published maps, Δt = sigmoid(raw), γ and ε =
            relu(raw), whose gradient dies at 0. "softplus": γ and ε = softplus(raw), which stays alive (chosen here).
    """

    def __init__(self, dt: float, gamma: float, epsilon: float, *, learned: Map | None = None):
        super().__init__()
        dt = checks.positive("dt", dt, "a step moves the time")
        for name, value in (("gamma", gamma), ("epsilon", epsilon)):
            checks.not_negative(name, checks.real_array(name, value), "an oscillator is pulled back, and damped")
        self.learned = learned
        if learned is None:
            for name, value in (("dt", dt), ("gamma", gamma), ("epsilon", epsilon)):
                self.register_buffer(name, torch.tensor(float(value), dtype=torch.float64), persistent=False)
            return
        checks.one_of("learned", learned, ("relu", "softplus"))
        if dt >= 1:
            raise ValueError(
                f"`dt` must be below 1 where it is learned (it is a sigmoid), but is {dt:g}; rescale the time."
            )
        raw = [math.log(dt / (1 - dt))] + [v if learned == "relu" else _unsoftplus(v) for v in (gamma, epsilon)]
        self.dt, self.gamma, self.epsilon = (nn.Parameter(torch.tensor([float(value)])) for value in raw)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """(Δt, γ, ε)."""
        if self.learned is None:
            return self.dt, self.gamma, self.epsilon
        positive = functional.relu if self.learned == "relu" else functional.softplus
        return torch.sigmoid(self.dt), positive(self.gamma), positive(self.epsilon)


class Step(NamedTuple):
    """One step of an oscillator whose squashed field s is held: y' = yy y + yz z + ys s, z' = zy y + zz z + zs s.

    Each is one number or has shape (N,).
    """

    yy: Tensor
    yz: Tensor
    ys: Tensor
    zy: Tensor
    zz: Tensor
    zs: Tensor


def one_step(dt: Tensor, gamma: Tensor, epsilon: Tensor, damping: Damping) -> Step:
    """The step of dy/dt = z, dz/dt = s - γ y - ε z: velocity first, then position with the new velocity.

        explicit       z' = z + Δt (s - γ y - ε z)
        semi_implicit  z' = z + Δt (s - γ y - ε z')
        exact          the flow itself, a matrix exponential

    Source: Rusch and Mishra 2021; their code is "explicit", the bound of their proof needs "semi_implicit".
    """
    if damping == "exact":
        return _exact(dt, gamma, epsilon)
    keep = 1 - dt * epsilon if damping == "explicit" else 1 / (1 + dt * epsilon)
    push = dt if damping == "explicit" else dt * keep
    zy, zz, zs = -push * gamma, keep, push
    return Step(1 + dt * zy, dt * zz, dt * zs, zy, zz, zs)


def _exact(dt: Tensor, gamma: Tensor, epsilon: Tensor) -> Step:
    """exp of [[0, 1, 0], [-γ, -ε, 1], [0, 0, 0]] Δt: its third column is what a constant force adds."""
    dt, gamma, epsilon = torch.broadcast_tensors(dt, gamma, epsilon)
    zero, one = torch.zeros_like(dt), torch.ones_like(dt)
    rows = [zero, one, zero, -gamma, -epsilon, one, zero, zero, zero]
    flow = torch.linalg.matrix_exp(torch.stack(rows, dim=-1).unflatten(-1, (3, 3)) * dt[..., None, None])
    return Step(*(flow[..., i, j] for i in range(2) for j in range(3)))


def _unsoftplus(value: float) -> float:
    return math.log(math.expm1(max(value, 1e-8)))
