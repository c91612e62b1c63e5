"""Couplings that are networks: any torch module from what the nodes show to their local field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from oscillators import checks
from oscillators.coupling import Coupling


@dataclass(frozen=True)
class Learned(Coupling):
    """A torch module as a coupling: h = module(g), linear or not.

    Args:
        module: torch.nn.Module, (..., node, m) -> (..., node, m), with any leading axes. `as_coupling` wraps it.
        weights: its parameters by name. Here: its own.
    """

    linear: ClassVar[bool] = False

    module: Any
    weights: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if not self.weights:
            object.__setattr__(self, "weights", dict(self.module.named_parameters()))

    def field(self, g):
        if isinstance(g, np.ndarray):
            return self._numbers(g)
        h = torch.func.functional_call(self.module, self.weights, (g,))
        if not isinstance(h, torch.Tensor) or h.shape != g.shape:
            got = tuple(h.shape) if isinstance(h, torch.Tensor) else checks.shown(h)
            raise ValueError(
                f"`coupling` must return a field of shape {tuple(g.shape)}, but {type(self.module).__name__} returned {got}; "
                "a module maps (..., node, m) to (..., node, m)."
            )
        return h

    def _numbers(self, g: np.ndarray) -> np.ndarray:
        """The field in a run without gradients, in the precision of the module."""
        first = next(iter(self.weights.values()), torch.empty(0, dtype=torch.float64))
        with torch.no_grad():
            return self.field(torch.tensor(g, dtype=first.dtype, device=first.device)).double().cpu().numpy()
