"""Training on images that turn: every next frame of the film is to be foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neural.training import Task
from neural.waves.images import ImageRun, ImageSequenceModel, loss, misfit
from neural.waves.latent import induced
from neural.waves.turning import turned


class TurningTask(Task):
    """-log p of each next frame, after the last of which comes the first, and the KL term if the model is variational.

    Args:
        pixels, lattice, network: of `ImageSequenceModel`, and its options.
        lr: of Adam. frames: of a full turn. kl_weight: of the KL term.
        velocity: of a wave on the sheet that is to mean the turn, in sites per frame along each axis: the loss then has
            `wave_misfit`, too (chosen here; the published models have no such term).
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
        velocity: float | list[float] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ImageSequenceModel(pixels, lattice, **(network or {}))

    def loss(self, batch: tuple[Tensor]) -> Tensor:
        films, velocity = turned(batch[0], self.hparams["frames"]), self.hparams["velocity"]
        run = self.network(films)
        foreseen = loss(run, films).total(self.hparams["kl_weight"])
        return foreseen if velocity is None else foreseen + wave_misfit(self.network, run, films, velocity)


def wave_misfit(network: ImageSequenceModel, run: ImageRun, films: Tensor, velocity: float | Sequence[float]) -> Tensor:
    """-log p of the second half of films, if the positions after the first half are only moved along the lattice.

        p_τ = decode(roll(y_seen, τ velocity)),    τ = 0, ..., T - seen - 1,    seen = T/2

    Args:
        films: (T, B, ...), T >= 2, and the `run` over them.

    Returns:
        One number: the sum over pixels, its mean over frames and members.
    """
    seen = len(films) // 2
    if seen == 0:
        raise ValueError(
            "`films` must have at least 2 frames, one to be seen and one to be foreseen, but has 1; add some."
        )
    moved = induced(run.orbit.y[seen - 1], network.sheet.lattice, velocity, len(films) - seen)
    return misfit(network.decode(moved), films[seen:]).sum(-1).mean()
