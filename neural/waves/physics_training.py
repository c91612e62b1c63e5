"""Training on films of moving bodies: every next frame is to be foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neural.training import Task
from neural.waves.bodies import paint
from neural.waves.physics import PhysicsModel, misfit


class PhysicsTask(Task):
    """-log p of each next frame of a film.

    Args:
        side, lattice, network: of `PhysicsModel`, and its options.
        lr: of Adam. steps: over which it falls to 0; None: it stays, as published.
        seed: of the first weights.

    Batches are (places,), where the body is in each frame, (B, T, 2); see `neural.waves.bodies`.
    """

    network: PhysicsModel

    def __init__(
        self,
        side: int,
        lattice: Sequence[int],
        network: dict[str, Any] | None = None,
        lr: float = 1.5e-4,
        steps: int | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = PhysicsModel(side, lattice, **(network or {}))

    def loss(self, batch: tuple[Tensor]) -> Tensor:
        frames = films(batch[0], self.network.side)
        return misfit(self.network(frames).frames, frames)

    @torch.no_grad()
    def foretell(self, frames: Tensor) -> dict[str, Tensor]:
        """Frames (T, B, 3, side, side) after those that the start is read from: each from all before it, and in closed loop."""
        seen = self.network.observed
        return {
            "next_frame": self.network(frames).frames[seen - 1 : -1],
            "closed_loop": self.network.forecast(frames[:seen], len(frames) - seen),
        }

    def scores(self, batch: tuple[Tensor]) -> dict[str, Tensor]:
        """Squared errors of what is foretold."""
        frames = films(batch[0], self.network.side)
        later = frames[self.network.observed :]
        return {name: functional.mse_loss(found, later) for name, found in self.foretell(frames).items()}

    def configure_optimizers(self) -> Any:
        optimizer, steps = super().configure_optimizers(), self.hparams["steps"]
        if steps is None:
            return optimizer
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / steps)
        return [optimizer], [{"scheduler": rate, "interval": "step"}]


def films(places: Tensor, side: int) -> Tensor:
    """Frames (T, B, 3, side, side) of bodies at (B, T, 2), painted with at least 32 pixels a side and reduced by area."""
    fine = -(-32 // side)
    frames = paint(places.transpose(0, 1), fine * side)
    return functional.avg_pool2d(frames.flatten(0, 1), fine).unflatten(0, frames.shape[:2])
