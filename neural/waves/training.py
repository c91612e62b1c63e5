"""Training networks for sequences on the tasks of `neural.waves.tasks`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neural.training import Task
from neural.waves.first_order import identity_rnn, wave_rnn
from neural.waves.sequence import cornn, wave_machine
from neural.waves.tasks import REMEMBERED
from oscillators import checks

NETWORKS: dict[str, Any] = {
    "wave_rnn": wave_rnn,
    "identity_rnn": identity_rnn,
    "cornn": cornn,
    "wave_machine": wave_machine,
}
Batch = tuple[Tensor, Tensor]


class Sequences(Task):
    """A network reads a sequence: squared error if the targets are numbers, else cross-entropy of the classes.

    Args:
        kind: "wave_rnn", "identity_rnn", "cornn" or "wave_machine".
        network: arguments of the function of that name.
        lr: of Adam.
        drop: (step from which, factor by which) the rate is lower; None: it stays.
        seed: of the first weights.

    Batches are sequences (B, T, inputs), and targets (B, outputs), classes (B,), or classes after every step (B, T).
    """

    def __init__(
        self, kind: str, network: dict[str, Any], lr: float = 1e-3, drop: list[float] | None = None, seed: int = 0
    ):
        super().__init__()
        self.save_hyperparameters()
        checks.one_of("kind", kind, NETWORKS)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.network = NETWORKS[kind](**network)

    def outputs(self, u: Tensor) -> Tensor:
        """(B, outputs), or (B, T, outputs), of sequences (B, T, inputs)."""
        found = self.network(u.transpose(0, 1))
        return found.transpose(0, 1) if self.network.every_step else found

    def loss(self, batch: Batch) -> Tensor:
        found, target = self.outputs(batch[0]), batch[1]
        if target.is_floating_point():
            return functional.mse_loss(found, target)
        return functional.cross_entropy(found.flatten(0, -2), target.flatten())

    @torch.no_grad()
    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Mean squared error; or cross-entropy, and the share of right classes (after every step: of the last ten)."""
        found, target = self.outputs(batch[0]), batch[1]
        if target.is_floating_point():
            return {"val_loss": functional.mse_loss(found, target)}
        loss = functional.cross_entropy(found.flatten(0, -2), target.flatten())
        right = (found.argmax(-1) == target).float()
        return {"val_loss": loss, "val_accuracy": (right[:, -REMEMBERED:] if right.ndim > 1 else right).mean()}

    def configure_optimizers(self) -> Any:
        optimizer, drop = super().configure_optimizers(), self.hparams["drop"]
        if drop is None:
            return optimizer
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1.0 if k < drop[0] else drop[1])
        return [optimizer], [{"scheduler": rate, "interval": "step"}]
