"""Films of moving bodies: pendulums and springs, their exact motion, and its frames.

    pendulum  q'' = -(g/l) sin q     as `InertialKuramoto` with the drive (g/l, 0)
    spring    q'' = -(k/m) q         as `TopographicOscillators` without a field

Source: the constants, ranges and discs are those of Toth et al. 2020 (Hamiltonian generative networks), as Keller and Welling
2023 use them.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from neural.seeds import seed_of
from oscillators import InertialKuramoto, System, TopographicOscillators, checks, simulate
from oscillators.arrays import Array

Kind = Literal["pendulum", "spring"]
MASS, GRAVITY, LENGTH, STIFFNESS = 0.5, 3.0, 1.0, 2.0
RADIUS = {"pendulum": (1.3, 2.3), "spring": (0.1, 1.0)}  # least and largest of a start in phase space
LAWS: dict[str, tuple[System, Any]] = {
    "pendulum": (InertialKuramoto(0.0, 1.0, 0.0), [GRAVITY / LENGTH, 0.0]),
    "spring": (TopographicOscillators(STIFFNESS / MASS, 0.0), None),
}
CANVAS = 3.0  # side of the picture, in lengths (chosen here: both bodies stay inside)
GROUND, COLOUR = (0.321, 0.349, 0.368), (1.0, 0.5, 0.0)  # the second chosen here


def starts(kind: Kind, count: int, rng: Any = None) -> Array:
    """Random angles or positions q and velocities q', (count, 2): a random direction and radius in phase space.

    Phase space is (q, p) for the pendulum, with p = m l² q', and (q, p/√(km)) for the spring, with p = m q'.
    """
    checks.one_of("kind", kind, tuple(LAWS))
    rng = np.random.default_rng(rng)
    radius, angle = rng.uniform(*RADIUS[kind], count), rng.uniform(0, 2 * math.pi, count)
    inertia = MASS * LENGTH**2 if kind == "pendulum" else math.sqrt(MASS / STIFFNESS)  # of p, or of p/√(km), in q'
    return np.stack([radius * np.cos(angle), radius * np.sin(angle) / inertia], -1)


def motion(kind: Kind, start: Any, frames: int, dt: float = 0.1) -> Array:
    """q and q' at the times 0, dt, ..., (count, frames, 2), from starts (count, 2), to a relative error of about 1e-9."""
    checks.one_of("kind", kind, tuple(LAWS))
    start, dt = checks.real_numbers("start", start), checks.positive("dt", dt, "a film goes forward")
    if start.ndim != 2 or start.shape[1] != 2 or frames < 2:
        raise ValueError(
            f"`start` must have shape (count, 2) and `frames` be at least 2, but they are {start.shape} and {frames}; give q "
            "and q' of each body."
        )
    system, force = LAWS[kind]
    drive = None if force is None else np.reshape(force, (1, 2))
    t = dt * np.arange(frames)
    run = simulate(system, 0.0, start[:, None], t, method="dopri5", rtol=1e-10, atol=1e-10, drive=drive)
    return np.stack([run[name].values[..., 0] for name in system.variables], -1)


def places(kind: Kind, q: Any) -> Array:
    """Where a body is on the canvas, right and down from its centre in sides, (..., 2): angles count from below."""
    q = np.asarray(q)
    at = np.stack([LENGTH * np.sin(q), LENGTH * np.cos(q)] if kind == "pendulum" else [q, np.zeros_like(q)], -1)
    return at / CANVAS


class Windows:
    """Pieces of paths, drawn anew for every batch: batch k, from the seed and k, is (pieces,) of shape (size, frames, ...).

    Args:
        paths: (count, length, ...).
        frames: of a piece. size: pieces of a batch.
    """

    def __init__(self, paths: Tensor, frames: int, size: int, seed: int = 0):
        if not 1 <= frames <= paths.shape[1]:
            raise ValueError(
                f"`frames` must lie between 1 and the {paths.shape[1]} of the paths, but is {frames}; take shorter pieces."
            )
        self.paths, self.frames, self.size, self.seed = paths, frames, size, seed

    def __getitem__(self, k: int) -> tuple[Tensor]:
        generator = torch.Generator().manual_seed(seed_of(self.seed, k))
        which = torch.randint(len(self.paths), (self.size, 1), generator=generator)
        first = torch.randint(self.paths.shape[1] - self.frames + 1, (self.size, 1), generator=generator)
        return (self.paths[which, first + torch.arange(self.frames)],)


def paint(place: Tensor, side: int = 32) -> Tensor:
    """Frames of a disc, (..., 3, side, side), from its places (..., 2), with soft edges: 1/(1 + exp(80 (d - r))).

    Args:
        place: as `places` gives them. d and r = √(m/π)/3 are in sides of the picture.
    """
    axis = (torch.arange(side, dtype=place.dtype, device=place.device) + 0.5) / side - 0.5
    d = torch.hypot(axis - place[..., :1, None], axis[:, None] - place[..., 1:, None])  # (..., row, column)
    cover = torch.sigmoid(80 * (math.sqrt(MASS / math.pi) / CANVAS - d))[..., None, :, :]
    ground, colour = (torch.tensor(c, dtype=place.dtype, device=place.device)[:, None, None] for c in (GROUND, COLOUR))
    return torch.lerp(ground, colour, cover)
