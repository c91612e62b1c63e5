"""Weights that act at every step of a layer: the gradients of all steps are summed in one place, on CPU tensors."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from neural.akorn import kernels
from neural.akorn.channels import Map


class Total:
    """The gradient of a weight, to which every step adds in place; autograd alone would make and add a copy for each."""

    def __init__(self) -> None:
        self.value: Tensor | None = None

    def room(self, weight: Tensor) -> Tensor:
        """What has been added so far."""
        if self.value is None:
            self.value = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        return self.value

    def take(self) -> Tensor | None:
        """The sum, which is forgotten here."""
        value, self.value = self.value, None
        return value


class _Collect(torch.autograd.Function):
    """The weight itself. Its derivative runs after those of all steps, and is what they have added up."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, total: Total) -> Tensor:
        ctx.total = total
        ctx.set_materialize_grads(False)
        return weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: None) -> tuple[Tensor | None, None]:
        return ctx.total.take(), None


def collected(weight: Tensor) -> tuple[Tensor, Total]:
    """A weight for the steps, and the total to which their derivatives add; they return no gradient for it."""
    total = Total()
    return _Collect.apply(weight, total), total


def wanted(weight: Tensor) -> bool:
    """Within a backward pass: whether it asks for the gradient of a collected weight."""
    return weight.grad_fn is not None and torch._C._will_engine_execute_node(weight.grad_fn)


def product(weight: Tensor, bias: Tensor | None = None) -> Map:
    """The map x -> W x + b of the last axis, with W (out, in)."""
    if not kernels.usable(weight):
        return partial(functional.linear, weight=weight, bias=bias)
    weight, total = collected(weight)
    return lambda x: _Product.apply(x, weight, bias, total)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, total: Total) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.total = total
        return functional.linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor | None, None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        of_x, _, of_bias, _ = ctx.needs_input_grad
        rows = bar.flatten(0, -2)
        if wanted(weight):
            ctx.total.room(weight).addmm_(rows.T, x.flatten(0, -2))
        return bar @ weight if of_x else None, None, rows.sum(0) if of_bias else None, None
