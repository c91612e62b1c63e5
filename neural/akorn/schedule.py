"""Schedules of the published trainings: an average of the weights, and a rate that rises."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """Exponential average w̄ of the weights and floating-point buffers of a network, which is evaluated in its place.

        w̄ <- d w̄ + (1 - d) w,    d = min(β, 1 - (1 + s - after)^(-2/3))    at update s = 0, every, 2 every, ...

    Until s = `after`, w̄ is a copy of w.

    Args:
        network: what is trained.
        beta, every, after: β and the numbers above; published for Sudoku 0.995, 10, 100.

    `network` holds the average. Source: the package ema_pytorch, as the published code calls it.
    """

    def __init__(self, network: nn.Module, beta: float = 0.995, every: int = 10, after: int = 100):
        self.beta, self.every, self.after, self.updates = beta, every, after, 0
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """To be called after each step of the optimiser."""
        s = self.updates
        self.updates += 1
        if s % self.every:
            return
        d = 0.0 if s <= self.after else min(self.beta, 1 - (1 + s - self.after) ** (-2 / 3))
        for mean, value in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True):
            if d > 0 and mean.is_floating_point():
                mean.lerp_(value, 1 - d)
            else:
                mean.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])


def warmup(iteration: int, length: int) -> float:
    """Factor min(1, (k + 2)/length) of the rate at iteration k, for `torch.optim.lr_scheduler.LambdaLR`; 0: none.

    Note: k + 2 and not k + 1, as published.
    """
    return min(1.0, (iteration + 2) / length) if length else 1.0
