"""A differentiable run after the checks at the border: what every road of `integrate` is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from oscillators.arrays import carries_gradient
from oscillators.checks import plain
from oscillators.coupling import Coupling, Diffusive
from oscillators.delayed import Delayed
from oscillators.flow import Flow
from oscillators.recorded import Recorded
from oscillators.system import System
from oscillators.tensors import numbers, tensors


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

    @cached_property
    def delayed(self) -> Delayed | None:
        """The delayed part of the coupling, if any of its links is delayed."""
        inner = self.coupling.coupling if isinstance(self.coupling, Diffusive) else self.coupling
        return inner if isinstance(inner, Delayed) and bool((delays(inner) > 0).any()) else None

    def wants_gradient(self) -> bool:
        if not torch.is_grad_enabled():
            return False
        drive, history = self.flow.drive, self.history
        hidden = any(callable(f) and not isinstance(f, Recorded) for f in (drive, history))  # what they hold
        parts = (self.flow.system, self.coupling, drive, self.x, history, self.times)
        return hidden or any(tensors(part) for part in parts)


def delays(delayed: Delayed) -> np.ndarray:
    """The delays of all links there are; in a matrix with a gradient every entry is a link."""
    if not delayed.per_link or carries_gradient(getattr(delayed.coupling, "K", None)):
        return plain(delayed.tau)
    return numbers(delayed).links()[1]
