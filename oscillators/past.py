"""The past that a delayed run starts from: checked delays, and rings filled from the history before t[0]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oscillators.delayed import Delayed
from oscillators.history import History
from oscillators.recorded import Recorded
from oscillators.system import System, components

SPACING = 1e-3  # of a step: distance of the points whose differences give the velocity of a history function
BACKWARD = (25.0, -48.0, 36.0, -16.0, 3.0)  # / 12: the derivative of order 4 from a point and four before it


@dataclass(frozen=True)
class Past:
    """Delays as the loops read them, and what the network did before the run."""

    tau: np.ndarray  # (N,) per sender or (E,) per link
    starts: np.ndarray  # CSR rows; empty: per sender
    source: np.ndarray
    weight: np.ndarray  # (1 or members, E)
    longest: np.ndarray  # (N,) longest delay of each sender
    lifted: Callable[[Any, int], np.ndarray]  # (times, member) -> (..., m, N)
    constant: bool

    @staticmethod
    def of(
        delayed: Delayed, system: System, nodes: tuple[int, ...], lead: tuple[int, ...], history: Any
    ) -> Past | None:
        """The past of a delayed coupling; None if no link is delayed."""
        n = int(np.prod(nodes))
        check_history(history, float(delayed.tau.max()))
        if delayed.per_link:
            edges, tau = delayed.links()
            longest = np.zeros(n)
            np.maximum.at(longest, edges.source, tau)
            order, starts = edges.rows()
            tau, source = tau[order], edges.source[order]
            weight = edges.sets()[:, order]
            if not (tau > 0).any():
                return None
        else:
            tau = np.broadcast_to(np.asarray(delayed.tau, np.float64), nodes).reshape(n)
            longest, weight = tau, np.empty((1, 0))
            starts, source = np.empty(0, np.int32), np.empty(0, np.int32)
        tau, source, weight = (np.require(a, requirements=["C", "W"]) for a in (tau, source, weight))
        return Past(tau, starts, source, weight, longest, _lifted(history, system, nodes, lead), not callable(history))

    def start(self, member: int, t0: float, smallest: float, largest: float) -> History:
        """Rings for one member, filled up to t0 at distances of the largest step."""
        check_delays(self.tau, largest)
        slots = np.ceil(self.longest / smallest).astype(np.int64) + 4
        mask = (1 << np.ceil(np.log2(slots)).astype(np.int64)) - 1
        knots = int(np.ceil(self.longest.max() / largest)) + 1
        g = self.lifted(t0, member)
        m, n = g.shape
        offset = np.concatenate([[0], np.cumsum((mask + 1) * 2 * m)])
        history = History(
            self.tau, np.zeros(len(self.tau), np.int64), self.starts, self.source,
            self.weight[min(member, len(self.weight) - 1)], offset[:-1], mask, np.zeros(offset[-1]),
            np.zeros(int(mask.max()) + 1), np.array([knots], np.int64),
        )  # fmt: skip
        held = np.arange(max(0, knots - int(mask.max())), knots + 1)
        history.knots[held & mask.max()] = t0 - (knots - held) * largest
        if self.constant:
            rings = history.values.reshape(-1, 2, m)  # slot, value or velocity, component
            rings[:, 0] = np.repeat(g.T, mask + 1, axis=0)
        else:
            self._write(history, held, history.knots[held & mask.max()], member, largest)
        # Every delay starts at the oldest knot its sender still holds.
        holder = self.source if len(self.starts) else np.arange(n)
        history.pointer[:] = np.maximum(knots - mask[holder], 0)
        return history

    def _write(self, history: History, held: np.ndarray, times: np.ndarray, member: int, dt: float) -> None:
        """Knots at these times: the lifted history and its velocity, by backward differences of order 4 (it may end at t)."""
        e = SPACING * dt
        near = self.lifted(times[:, None] - e * np.arange(len(BACKWARD)), member)  # (knot, point, m, N)
        dg = np.tensordot(BACKWARD, near, axes=(0, 1)) / (12.0 * e)
        m, k = near.shape[2], held[:, None]
        keep = history.newest[0] - k <= history.mask  # (knot, N): rings long enough to hold this knot
        slot = (history.offset // (2 * m) + (k & history.mask))[keep]
        rings = history.values.reshape(-1, 2, m)
        rings[slot, 0], rings[slot, 1] = near[:, 0].mT[keep], dg.mT[keep]


def _lifted(history: Any, system: System, nodes: tuple[int, ...], lead: tuple[int, ...]) -> Callable:
    """Times (...) and a member -> the lifted states (..., m, N) it had then."""
    axes = components(system)

    def at(times: Any, member: int) -> np.ndarray:
        if isinstance(history, Recorded):
            own = replace(history, states=history.states[(slice(None), *np.unravel_index(member, lead))])
            states = system.project(own(np.ravel(times)))
        else:
            states = np.stack([state(float(t), member) for t in np.ravel(times)])
        g = system.lift(states).reshape(*np.shape(times), int(np.prod(nodes)), -1)
        return np.ascontiguousarray(np.moveaxis(g, -1, -2))

    def state(t: float, member: int) -> np.ndarray:
        x = history(t) if callable(history) else history
        tail = x.shape[x.ndim - axes :]
        if x.shape == (*nodes, *tail):
            return x
        if x.ndim <= len(nodes) + axes:
            return np.broadcast_to(x, (*nodes, *tail))
        return np.broadcast_to(x, (*lead, *nodes, *tail)).reshape(-1, *nodes, *tail)[member]

    return at


def check_history(history: Any, longest: float) -> None:
    if history is None:
        raise ValueError(
            f"`history` must be given for a delayed coupling (longest tau {longest:g}), but is None; "
            "pass a constant past (history=x0) or a function of t that returns a state."
        )
    if isinstance(history, Recorded):
        span = float(history.times[-1] - history.times[0])
        if span < longest * (1 - 1e-6):  # delays may be known in single precision
            raise ValueError(
                f"`history` must reach back by the longest tau, {longest:g}, but covers {span:g} only; record from earlier on."
            )


def check_delays(tau: np.ndarray, dt: float, rounding: float = 1e-12) -> None:
    low = tau[tau > 0].min()
    if low < dt * (1 - rounding):
        raise ValueError(
            f"`tau` must be 0 or at least one step (dt = {dt:g}), but its smallest positive entry is {low:g}; lower `dt`."
        )
