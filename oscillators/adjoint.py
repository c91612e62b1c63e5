"""The exact discrete adjoint on tensors: the derivative of the steps taken, in memory O(√steps).

A run of S steps is a chain of about √S segments. Forward, only what each segment starts from is kept. Backward, each
segment is run again with a graph, from the last to the first. The weights of a coupling are left out of that graph:
a linear coupling h = K[g] has the derivative ∂L/∂K = Σ over stages of ∂L/∂h gᵀ, which is one product of what the stages
showed and felt, per segment, and never a copy of K per stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oscillators.coupling import Coupling
from oscillators.flow import Flow, Grid, StageDrive, run
from oscillators.grid import adaptive_grid, fixed_grid, stretched
from oscillators.lookback import look_back
from oscillators.task import Task
from oscillators.tensors import tensors, with_fields, with_tensors


def states(task: Task, keep_graph: bool) -> Tensor:
    """Saved states (saves, ..., node, ...) with the exact derivative of the steps, or with the graph of all of them."""
    flow, grid = task.flow, _grid(task)
    carry: tuple[Tensor, ...] = (task.x,)
    if task.delayed is not None:
        lookback, knots = look_back(flow.system, task.delayed, task.x, grid, task.history)
        flow, carry = replace(flow, lookback=lookback), (task.x, *knots)
    if callable(flow.drive) and any(flow.drive(t).requires_grad for t in grid.stage_times()):
        flow = replace(flow, drive=StageDrive.of(flow.drive, grid))
    if task.times is not None:
        starts, sizes = stretched(grid, task.times)
        flow = replace(flow, starts=starts, sizes=sizes)
    if keep_graph:
        return torch.stack(run(flow, grid, carry, 0, grid.steps, flow.coupling.field)[1])
    return discrete(flow, grid, carry)


def _grid(task: Task) -> Grid:
    if task.dt is not None:
        return fixed_grid(task.t, task.method, task.dt)
    return adaptive_grid(task.flow, task.x.detach(), task.t, task.method, task.rtol, task.atol)


def discrete(flow: Flow, grid: Grid, carry: tuple[Tensor, ...]) -> Tensor:
    """Saved states with the exact derivative of the steps."""
    linear = tensors(flow.coupling) if flow.coupling.linear else []
    rest = tensors(with_fields(flow, {"coupling": None}) if linear else flow)
    job = _Job(flow, grid, len(carry), len(linear))
    return _Chain.apply(job, *carry, *linear, *rest)


@dataclass(frozen=True)
class _Job:
    flow: Flow
    grid: Grid
    carried: int
    linear: int  # tensors of a linear coupling

    def segments(self) -> list[tuple[int, int]]:
        length = math.isqrt(max(1, self.grid.steps - 1)) + 1
        return [(lo, min(lo + length, self.grid.steps)) for lo in range(0, self.grid.steps, length)]

    def split(self, inputs: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        cut = self.carried + self.linear
        return inputs[: self.carried], inputs[self.carried : cut], inputs[cut:]

    def flow_with(self, rest: Any) -> Flow:
        """The flow with other tensors, but for those of a linear coupling."""
        if not self.linear:
            return with_tensors(self.flow, iter(rest))
        bare = with_tensors(with_fields(self.flow, {"coupling": None}), iter(rest))
        return with_fields(bare, {"coupling": self.flow.coupling})


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, job: _Job, *inputs: Tensor) -> Tensor:
        carry, rows, starts = job.split(inputs)[0], [], []
        for lo, hi in job.segments():
            starts.append(carry)
            carry, new = run(job.flow, job.grid, carry, lo, hi, job.flow.coupling.field)
            rows += new
        starts.append(carry)
        ctx.job, ctx.inputs = job, len(inputs)
        ctx.save_for_backward(*inputs, *(tensor for start in starts for tensor in start))
        return torch.stack(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        job, saved, count = ctx.job, ctx.saved_tensors, ctx.inputs
        _, linear, rest = job.split(saved[:count])
        starts = [saved[i : i + job.carried] for i in range(count, len(saved), job.carried)]
        carry_bar: tuple[Tensor | None, ...] = (None,) * job.carried
        linear_bar, rest_bar = [torch.zeros_like(p) for p in linear], [torch.zeros_like(p) for p in rest]
        end = len(grads[0])
        segments = zip(job.segments(), starts[:-1], starts[1:], strict=True)
        for (lo, hi), start, finish in reversed(list(segments)):
            carry = [c.detach().requires_grad_() for c in start]
            leaves = [p.detach().requires_grad_() for p in rest]
            flow = job.flow_with(leaves)
            felt = _Felt(flow.coupling, linear)
            with torch.enable_grad():
                after, rows = run(flow, job.grid, tuple(carry), lo, hi, felt.field)
            _check_again(after[0].detach(), finish[0])
            begin = end - len(rows)
            found = _pull([*after, *rows], [*carry_bar, *grads[0][begin:end]], [*carry, *leaves])
            end = begin
            carry_bar = tuple(found[: job.carried])
            for bars, new in ((rest_bar, found[job.carried :]), (linear_bar, felt.weights())):
                for bar, part in zip(bars, new, strict=True):
                    if part is not None:
                        bar += part
        return None, *carry_bar, *linear_bar, *rest_bar


def _check_again(x: Tensor, before: Tensor) -> None:
    """Raise if a segment that is run again ends elsewhere: then it is not what the gradient is wanted of."""
    rounding = 1e3 * torch.finfo(x.dtype).eps  # sums on an accelerator may change their order
    if not bool(((x - before).abs() <= rounding * (1.0 + before.abs())).all()):
        raise RuntimeError(
            "`system`, `coupling` and `drive` must return the same for the same arguments, but a segment that was run again "
            "for its gradient ended elsewhere; switch off dropout (module.eval()) and keep no state, or use "
            "gradient='backprop'."
        )


class _Felt:
    """Applies a linear coupling as a constant, and remembers what went in and the cotangent of what came out."""

    def __init__(self, coupling: Coupling, weights: tuple[Tensor, ...]):
        self.own, self.graded = weights, coupling
        self.coupling = with_tensors(coupling, iter([w.detach() for w in weights])) if weights else coupling
        self.seen: list[Tensor] = []
        self.bars: dict[int, Tensor] = {}

    def field(self, g: Tensor) -> Tensor:
        h = self.coupling.field(g)
        if self.own and h.requires_grad:
            number = len(self.seen)
            self.seen.append(g.detach())
            h.register_hook(lambda bar: self.bars.__setitem__(number, bar))
        return h

    def weights(self) -> list[Tensor | None]:
        """Cotangents of the weights."""
        if not self.bars:
            return [None] * len(self.own)
        leaves = [w.detach().requires_grad_() for w in self.own]
        g, bar = torch.stack([self.seen[i] for i in self.bars]), torch.stack(list(self.bars.values()))
        with torch.enable_grad():
            h = with_tensors(self.graded, iter(leaves)).field(g)
        return _pull([h], [bar], leaves)


def _pull(outputs: list[Tensor], bars: list[Tensor | None], inputs: list[Tensor]) -> list[Tensor | None]:
    """Vector-Jacobian product of a graph; None where an input has no part in it."""
    live = [(o, b) for o, b in zip(outputs, bars, strict=True) if b is not None and o.requires_grad]
    if not live or not inputs:
        return [None] * len(inputs)
    ends, cotangents = zip(*live, strict=True)
    return list(torch.autograd.grad(ends, inputs, cotangents, allow_unused=True))
