"""A differentiable run after the checks at the border: what every road of `integrate` is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oscillators.coupling import Coupling, Diffusive
from oscillators.delayed import Delayed
from oscillators.flow import Flow
from oscillators.system import System
from oscillators.tensors import tensors


@dataclass(frozen=True)
class Task:
    given: tuple[System, Coupling]  # as the caller gave them
    coupling: Coupling  # on tensors, with its differences and delays
    flow: Flow  # without delays
    x: Tensor  # in the law's shape
    t: np.ndarray
    times: Tensor | None  # the same if they carry a gradient
    method: str
    dt: float | None
    rtol: float
    atol: float
    history: Tensor | Callable[[float], Tensor] | None

    @property
    def delayed(self) -> Delayed | None:
        """The delayed part of the coupling, if any of its links is delayed."""
        inner = self.coupling.coupling if isinstance(self.coupling, Diffusive) else self.coupling
        return inner if isinstance(inner, Delayed) and bool((inner.tau > 0).any()) else None

    def wants_gradient(self) -> bool:
        if not torch.is_grad_enabled():
            return False
        moving = callable(self.flow.drive) or callable(self.history)  # what these hold shows only when they are called
        parts = (self.flow.system, self.coupling, self.flow.drive, self.x, self.history, self.times)
        return moving or any(tensors(part) for part in parts)
