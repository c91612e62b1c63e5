"""A past that was recorded: states at times, with straight lines between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, like, namespace


@dataclass(frozen=True)
class Recorded:
    """States at times as a function of time, for `history`: `Recorded(run.time, run.theta)` continues a delayed run.

        x(t) = x_k + (t - t_k)/(t_{k+1} - t_k) (x_{k+1} - x_k),    t_k <= t <= t_{k+1}

    Before the first time the first line goes on, after the last the state stays. The lines cost an error of order 2 in the
    distance of the times.
    As `history` it must end where the run starts, and reach back by its longest delay.

    Args:
        times: (k,), at least two, increasing; in the clock of the run that they precede.
        states: (k, ...), time first; of an xarray.DataArray the dimension `time`, wherever it stands. A tensor keeps its
            gradient.
    """

    times: Any
    states: Any

    def __post_init__(self):
        times = checks.real_numbers("times", self.times)
        if times.ndim != 1 or len(times) < 2 or (np.diff(times) <= 0).any():
            raise ValueError(
                f"`times` must be at least two increasing numbers, but is {checks.shown(times)}; give one for each state."
            )
        states = self.states
        if hasattr(states, "data_vars"):
            raise TypeError(
                "`states` must be an array, but is a Dataset; pass a variable of it, for example run.theta."
            )
        if "time" in getattr(states, "dims", ()):
            states = states.transpose("time", ...).values
        if np.ndim(states) < 1 or len(states) != len(times):
            raise ValueError(
                f"`states` must have one state for each of the {len(times)} times on its first axis, but has shape "
                f"{tuple(np.shape(states))}; transpose or cut it."
            )
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "states", states if hasattr(states, "shape") else np.asarray(states))

    def of_runs(self, states: Array, shape: tuple[int, ...], start: float) -> Recorded:
        """The same with states in the law's shape, (k, ...), one for every run of an ensemble from `start` on."""
        end = float(self.times[-1])
        if abs(end - start) > 1e-9 * max(1.0, abs(start)):
            raise ValueError(
                f"`history.times` must end where the run starts, at t = {start:g}, but end at {end:g}; start `t` at {end:g}, or"
                " shift the times."
            )
        checks.broadcastable("history.states[0]", states[0], shape, "the shape of `x0`")
        spaced = states.reshape(len(states), *(1,) * (len(shape) + 1 - states.ndim), *states.shape[1:])
        return replace(self, states=namespace(states).broadcast_to(spaced, (len(states), *shape)))

    def __call__(self, t: Any) -> Array:
        """The state at a time (...), or the states at times (s,): (s, ...)."""
        k = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, len(self.times) - 2)
        before, after = self.states[k], self.states[k + 1]
        share = np.minimum((t - self.times[k]) / (self.times[k + 1] - self.times[k]), 1.0)
        share = np.asarray(share).reshape(*np.shape(t), *(1,) * (before.ndim - np.ndim(t)))
        return before + like(share, before) * (after - before)
