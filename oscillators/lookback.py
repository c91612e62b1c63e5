"""Delays on tensors: where each link looks in the past, and the interpolation there, differentiable also in the delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from oscillators.checks import plain, real_array
from oscillators.coupling import Dense
from oscillators.delayed import Delayed
from oscillators.past import BACKWARD, SPACING, check_delays, check_history
from oscillators.recorded import Recorded
from oscillators.system import System, components

if TYPE_CHECKING:
    from oscillators.flow import Grid  # which names this module


@dataclass(frozen=True)
class Lookback:
    """The delays of a run. Knots are the lifted state and its velocity at the starts of steps, as in `oscillators.history`.

    The first knots come from the history, at times up to t[0]; then follows one for every step.
    """

    tau: Tensor  # (N,) per sender, or (E,) per link
    delays: np.ndarray  # the same numbers
    source: Tensor  # (N,) or (E,): whom each delay looks at
    target: Tensor | None  # (E,) receivers of the links; None: per sender
    weight: Tensor | None  # (..., E)
    times: np.ndarray  # of all knots of the run
    first: int  # knots that come from the history
    longest: int  # knots that must be kept
    nodes: tuple[int, ...]

    @property
    def per_link(self) -> bool:
        return self.target is not None

    def knots(self, step: int, g: Tensor, dg: Tensor) -> Knots:
        """The knots before a step, from what was carried: (knot, ..., N, m) each."""
        return Knots(self, self.first + step - len(g), list(g.unbind()), list(dg.unbind()))

    def sum_links(self, past: Tensor) -> Tensor:
        """h_i = Σ over links e that end at i of weight_e past_e: (..., E, m) -> (..., node, m)."""
        assert self.target is not None
        assert self.weight is not None
        sent = self.weight[..., None] * past
        h = sent.new_zeros(*sent.shape[:-2], int(np.prod(self.nodes)), sent.shape[-1])
        return h.index_add(-2, self.target, sent)


class Knots:
    """The knots a run can see: absolute number `base` and following."""

    def __init__(self, lookback: Lookback, base: int, g: list[Tensor], dg: list[Tensor]):
        self.lookback, self.base, self.g, self.dg = lookback, base, g, dg

    @property
    def newest(self) -> int:
        return self.base + len(self.g) - 1

    def push(self, g: Tensor) -> None:
        self.g.append(self._flat(g))

    def set_velocity(self, dg: Tensor) -> None:
        self.dg.append(self._flat(dg))

    def window(self) -> tuple[Tensor, Tensor]:
        """What the next steps can still look at."""
        keep = min(self.lookback.longest, len(self.g))
        return torch.stack(self.g[-keep:]), torch.stack(self.dg[-keep:])

    def past(self, t: Any, starts_step: bool) -> Callable[[Tensor], Tensor]:
        """A function of the present lifted state that gives it as the delays see it at time t."""
        return partial(self._past, t, starts_step)

    def _past(self, t: Any, starts_step: bool, now: Tensor) -> Tensor:
        look, present = self.lookback, self._flat(now)
        k = self._intervals(float(t), starts_step)
        low, high = int(k.min()), int(k.max()) + 1
        span = look.times[k + 1] - look.times[k]
        since = present.new_tensor(float(t) - look.times[k])  # in double precision: late times would lose the digits
        length = present.new_tensor(np.where(span > 0, span, 1.0))
        p = (since - look.tau) / length
        p = torch.where(present.new_tensor(span) > 0, p, torch.ones_like(p))
        p, length = self._factor(p, present), self._factor(length, present)
        dg = self.dg if len(self.dg) == len(self.g) else [*self.dg, torch.zeros_like(present)]
        old, new = self._at(self.g, k - low, low, high), self._at(self.g, k + 1 - low, low, high)
        old_dg, new_dg = self._at(dg, k - low, low, high), self._at(dg, k + 1 - low, low, high)
        rest = 1.0 - p
        old = (1.0 + 2.0 * p) * old + length * p * old_dg
        new = (3.0 - 2.0 * p) * new - length * rest * new_dg
        past = rest * rest * old + p * p * new  # (delay, ..., m)
        at_once = torch.as_tensor(look.delays == 0.0, device=present.device)
        past = torch.where(self._factor(at_once, present), present.movedim(-2, 0)[look.source], past).movedim(0, -2)
        return past if look.per_link else past.reshape(*now.shape)

    def _intervals(self, t: float, starts_step: bool) -> np.ndarray:
        """The knot before the time each delay looks at (the rule of `oscillators.history._locate`)."""
        look = self.lookback
        edge = (1e-9 if starts_step else -1e-9) * look.delays
        k = np.searchsorted(look.times[: self.newest + 1], t - look.delays + edge, side="left") - 1
        return np.clip(k, self.base, self.newest - 1)

    def _at(self, knots: list[Tensor], k: np.ndarray, low: int, high: int) -> Tensor:
        """Values of each delay's sender at its knot: (delay, ..., m)."""
        stack = torch.stack(knots[low - self.base : high - self.base + 1]).movedim(-2, 1)
        return stack[torch.as_tensor(k, device=stack.device), self.lookback.source]

    def _factor(self, value: Tensor, g: Tensor) -> Tensor:
        """(delay,) as a factor of (delay, ..., m)."""
        return value.reshape(-1, *(1,) * (g.ndim - 1))

    def _flat(self, g: Tensor) -> Tensor:
        nodes = self.lookback.nodes
        return (
            g if len(nodes) == 1 else g.reshape(*g.shape[: g.ndim - len(nodes) - 1], int(np.prod(nodes)), g.shape[-1])
        )


def look_back(
    system: System, delayed: Delayed, x: Tensor, grid: Grid, history: Any
) -> tuple[Lookback, tuple[Tensor, Tensor]]:
    """The delays of a run, and the knots before it: lifted states and velocities, (knot, ..., N, m)."""
    check_history(history, float(plain(delayed.tau).max()))
    nodes = tuple(x.shape[x.ndim - len(delayed.node_dims) - components(system) : x.ndim - components(system)])
    tau, source, target, weight = _links(delayed, x) if delayed.per_link else (*_senders(delayed, nodes, x), None, None)
    delays = plain(tau)
    largest, smallest = max(grid.sizes), min(grid.sizes)
    check_delays(delays, largest, max(1e-12, 4 * torch.finfo(x.dtype).eps))
    before = int(np.ceil(delays.max() / largest)) + 1
    early = grid.starts[0] - np.arange(before, -1, -1) * largest
    look = Lookback(
        tau, delays, source, target, weight, np.concatenate([early, grid.starts]), len(early),
        int(np.ceil(delays.max() / smallest)) + 4, nodes,
    )  # fmt: skip
    flat = Knots(look, 0, [], [])._flat
    if not callable(history):
        past = flat(system.lift(history.expand(x.shape)))
        past = past.expand(len(early), *past.shape)
        return look, (past, torch.zeros_like(past))
    e = SPACING * largest
    near = (early[:, None] - e * np.arange(len(BACKWARD))).ravel()
    if isinstance(history, Recorded):
        states = system.project(history(near))
    else:
        states = torch.stack([history(float(t)).expand(x.shape) for t in near])
    if not bool(states.isfinite().all()):
        first = int((~states.isfinite()).flatten(1).any(dim=1).nonzero()[0])
        real_array(f"history({early[first // len(BACKWARD)]:g})", states[first])
    g = system.lift(states).unflatten(0, (len(early), len(BACKWARD)))
    slope = torch.tensordot(g.new_tensor(BACKWARD), g, dims=([0], [1])) / (12.0 * e)
    return look, (flat(g[:, 0]), flat(slope))


def _senders(delayed: Delayed, nodes: tuple[int, ...], x: Tensor) -> tuple[Tensor, Tensor]:
    n = int(np.prod(nodes))
    return delayed.tau.expand(nodes).reshape(n), torch.arange(n, device=x.device)


def _links(delayed: Delayed, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Delay, sender, receiver and weight of each link; of a matrix with a gradient every entry is a link."""
    tau, inner = delayed.tau, delayed.coupling
    if isinstance(inner, Dense):
        K = inner.K
        some = torch.ones_like(K, dtype=torch.bool) if K.requires_grad else K != 0
        target, source = some.reshape(-1, *K.shape[-2:]).any(dim=0).nonzero(as_tuple=True)
        weight = K[..., target, source]
    else:
        target, source, weight = (
            torch.as_tensor(v, device=x.device) for v in (inner.target, inner.source, inner.weight)
        )
    return tau if tau.ndim == 1 else tau[target, source], source, target, weight
