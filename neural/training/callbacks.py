"""What happens between the steps: seeds, averages, checkpoints."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from neural.akorn.schedule import MovingAverage
from neural.seeds import seed_of


class Seeds(Callback):
    """Torch's generators are seeded before each step, by the seed, the step and the process."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        _seed(self.seed, trainer.global_step, trainer.global_rank)

    def on_validation_batch_start(self, trainer: Any, task: Any, batch: Any, index: int, loader: int = 0) -> None:
        _seed(self.seed, index, trainer.global_rank, 1)


def _seed(*numbers: int) -> None:
    """Seed torch's generators; `torch.manual_seed` queues a call for each device that is not in use, step after step."""
    seed = seed_of(*numbers)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


class Average(WeightAveraging):
    """Lightning's average of the weights by the schedule of `MovingAverage`."""

    def __init__(self, ema: MovingAverage):
        super().__init__(avg_fn=ema)
        self.every = ema.every

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and step_idx % self.every == 0


class Keep(Callback):
    """Keeps the state after a finished step, never one that a step has half changed.

    Before a validation, for which averaged weights are put into the network, it is kept in any case.
    """

    def __init__(self, path: Path, every: int, steps: int, settings: dict[str, Any], seconds: float = 60.0):
        self.path, self.every, self.steps, self.settings, self.seconds = path, every, steps, settings, seconds
        self.whole, self.kept, self.time = True, -1, time.monotonic()
        self.buffers: list[Tensor] = []

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, index: int) -> None:
        self.buffers = [buffer.clone() for buffer in task.buffers()]  # the forward pass may change them

    def on_before_optimizer_step(self, trainer: Any, task: Any, optimizer: Any) -> None:
        self.whole = False

    def on_train_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Any, index: int) -> None:
        self.whole, self.buffers = True, []
        step = trainer.global_step
        late = trainer.world_size == 1 and time.monotonic() - self.time > self.seconds  # several would have to agree
        if late or step % self.every == 0 or step == self.steps:
            self._keep(trainer)

    def on_exception(self, trainer: Any, task: Any, exception: BaseException) -> None:
        if self.whole and trainer.world_size == 1 and trainer.global_step != self.kept:
            for buffer, before in zip(task.buffers(), self.buffers, strict=False):
                buffer.copy_(before)
            self._keep(trainer)

    def on_save_checkpoint(self, trainer: Any, task: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = self.settings

    def _keep(self, trainer: Any) -> None:
        trainer.save_checkpoint(self.path)
        self.kept, self.time = trainer.global_step, time.monotonic()
