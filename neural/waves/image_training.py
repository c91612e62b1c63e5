"""Training on images that turn: every next frame of the film is to be foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural.training import Task
from neural.waves.images import ImageSequenceModel, loss
from neural.waves.turning import turned


class TurningTask(Task):
    """-log p of each next frame, after the last of which comes the first, and the KL term if the model is variational.

    Args:
        pixels, lattice, network: of `ImageSequenceModel`, and its options.
        lr: of Adam. frames: of a full turn. kl_weight: of the KL term.
        seed: of the first weights.

    Batches are (images,), numbers in [0, 1], (B, channel, height, width).
    """

    network: ImageSequenceModel

    def __init__(
        self,
        pixels: int,
        lattice: Sequence[int],
        network: dict[str, Any] | None = None,
        lr: float = 3e-3,
        frames: int = 18,
        kl_weight: float = 1.0,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ImageSequenceModel(pixels, lattice, **(network or {}))

    def loss(self, batch: tuple[Tensor]) -> Tensor:
        films = turned(batch[0], self.hparams["frames"])
        return loss(self.network(films), films).total(self.hparams["kl_weight"])
