"""What is trained: a network and the loss of a batch."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from neural.akorn.schedule import warmup


class Task(LightningModule):
    """A network and the loss of a batch, reduced by Adam.

    A subclass calls `self.save_hyperparameters()` first, so that a checkpoint can build it again: its arguments are plain
    numbers, strings, lists and dicts, `lr` and perhaps `warmup` (steps) among them. It sets `self.network`, and defines
    `loss` and, for validation, `scores`. Random numbers come from torch's global generators, which `fit` seeds.
    """

    network: Any

    def loss(self, batch: Any) -> Tensor:
        """What is reduced."""
        raise NotImplementedError(f"{type(self).__name__} must define `loss(batch)`.")

    def scores(self, batch: Any) -> dict[str, Tensor]:
        """Means over a validation batch, by name."""
        return {"val_loss": self.loss(batch)}

    def training_step(self, batch: Any, index: int) -> Tensor:
        loss, trainer = self.loss(batch), self.trainer
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]  # it takes 0.3 ms
            self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log_dict(self.scores(batch), prog_bar=True, batch_size=len(batch[0]), sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.hparams["lr"])
        length = self.hparams.get("warmup", 0)
        if not length:
            return optimizer
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: warmup(k, length))
        return [optimizer], [{"scheduler": rate, "interval": "step"}]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["task"] = name_of(self)


def name_of(task: Task) -> str:
    """Module and class of a task, by which a checkpoint finds them again."""
    return f"{type(task).__module__}:{type(task).__qualname__}"
