"""Modules of torch on maps whose channels are the last axis, (B, ..., ch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from oscillators import checks

Map = Callable[[Tensor], Tensor]  # (B, *grid, ch) -> (B, *grid, ch)


def oscillator_count(ch: int, n: int) -> int:
    """Number of oscillators of n components in ch channels."""
    if n < 2 or ch % n:
        raise ValueError(f"`ch` must be a multiple of n >= 2, but is {ch} with n = {n}; change one of them.")
    return ch // n


def at_least_one(name: str, value: Any, repair: str) -> None:
    """Raise unless a value is an integer of at least 1."""
    if not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"`{name}` must be an integer and at least 1, but is {checks.shown(value)}; {repair}.")


def on_last(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of torch on a map with its channels last, (B, ..., in) -> (B, ..., out), without copies.

    A convolution of one cell is a product of matrices, and computed as one on any number of axes.
    """
    if isinstance(layer, nn.Linear):
        return layer(x)
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.weight[0, 0].numel() == 1 and _keeps_cells(layer):
        return functional.linear(x, layer.weight.flatten(1), layer.bias)
    return layer(x.movedim(-1, 1)).movedim(1, -1)


def _keeps_cells(layer: nn.Conv1d | nn.Conv2d) -> bool:
    return set(layer.stride) == {1} and set(layer.padding) == {0}
