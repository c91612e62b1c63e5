"""Waves induced in the latent sheet: positions are moved along the lattice, and the decoder is asked what that means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from neural.waves.sheet import check_nodes


def roll(y: Tensor, lattice: Sequence[int], shift: float | Sequence[float]) -> Tensor:
    """Positions moved to higher indices by a shift in sites, (..., N) -> (..., N); the lattice is periodic.

    A shift that is no whole number blends the two nearest moves, (1 - β) roll(y, s) + β roll(y, s + 1), on each axis.

    Args:
        lattice: (C, length) or (C, height, width).
        shift: a number for rings; one per axis for tori.
    """
    space = tuple(lattice[1:])
    shifts = [shift] if isinstance(shift, int | float) else list(shift)
    if len(shifts) != len(space) or not all(map(math.isfinite, shifts)):
        raise ValueError(
            f"`shift` must be one finite number per axis of {space}, but is {shift}; give sites along each."
        )
    check_nodes("y", y, lattice)
    maps = y.unflatten(-1, tuple(lattice))
    for axis, move in enumerate(shifts, start=-len(space)):
        s = math.floor(move)
        near = maps.roll(s, axis)
        maps = near if move == s else torch.lerp(near, maps.roll(s + 1, axis), move - s)
    return maps.flatten(-len(lattice))


def induced(y: Tensor, lattice: Sequence[int], velocity: float | Sequence[float], steps: int) -> Tensor:
    """Positions at τ = 0, ..., steps - 1 of a wave that travels at `velocity` sites per step: (steps, ..., N).

    Raises:
        ValueError: beyond half the lattice per step, where a wave on a periodic lattice cannot be told from a slower one.

    Note: positive velocities move to higher indices; `OneWay` connections move activity to lower ones.
    """
    velocities = [velocity] if isinstance(velocity, int | float) else list(velocity)
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, but is {steps}; the first one is the wave as it stands.")
    if any(abs(v) > n / 2 for v, n in zip(velocities, lattice[1:], strict=False)):
        raise ValueError(
            f"`velocity` must not exceed half the lattice {tuple(lattice[1:])} per step, but is {velocity}; on a ring of n "
            "sites v and v - n are the same."
        )
    return torch.stack([roll(y, lattice, [tau * v for v in velocities]) for tau in range(steps)])


def equivariance_error(
    decode: Callable[[Tensor], Tensor],
    y: Tensor,
    frames: Tensor,
    lattice: Sequence[int],
    velocity: float | Sequence[float],
) -> Tensor:
    """E(v) = mean over τ of ‖decode(y moved by v τ) - x_τ‖² / mean ‖x‖²: how well a latent wave is the observed motion.

    Args:
        decode: of positions, (..., N) -> (..., P).
        y: the last positions, (B, N).
        frames: what was seen from then on, (steps, B, P).

    Returns:
        One number; 1 - E(v)/E(0) is what the wave explains of the motion.
    """
    seen = decode(induced(y, lattice, velocity, len(frames)))
    return ((seen - frames) ** 2).sum(-1).mean() / (frames**2).sum(-1).mean()
