"""Batches by their number."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import Sampler

from neural.seeds import seed_of


class Batches:
    """Batches of tensors in memory: batch k of passes over the rows, each shuffled anew.

    Args:
        tensors: of the same length.
        size: rows of a batch; what is left at the end of a pass is dropped.
        seed: of the order.

    `len` is the number of batches of a pass. For other sources write a class with the same `__getitem__`.
    """

    def __init__(self, *tensors: Tensor, size: int, seed: int = 0):
        lengths = [len(tensor) for tensor in tensors]
        if len(set(lengths)) != 1:
            raise ValueError(
                f"`tensors` must have as many rows as each other, but have {lengths}; cut the longer ones."
            )
        if not 1 <= size <= lengths[0]:
            raise ValueError(f"`size` must lie between 1 and the {lengths[0]} rows, but is {size}; take fewer.")
        self.tensors, self.size, self.seed = tensors, size, seed
        self._order = (-1, torch.empty(0))

    def __len__(self) -> int:
        return len(self.tensors[0]) // self.size

    def __getitem__(self, k: int) -> tuple[Tensor, ...]:
        epoch, place = divmod(k, len(self))
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(seed_of(self.seed, epoch))
            self._order = (epoch, torch.randperm(len(self.tensors[0]), generator=generator))
        rows = self._order[1][place * self.size : (place + 1) * self.size]
        return tuple(tensor[rows] for tensor in self.tensors)


class Steps(Sampler[int]):
    """Indices of the batches that are missing; `len` counts all, as Lightning does."""

    def __init__(self, trainer: Trainer, done: int, steps: int):
        self.trainer, self.done, self.steps = trainer, done, steps

    def __iter__(self) -> Iterator[int]:
        world = self.trainer.world_size
        return iter(range(self.done * world + self.trainer.global_rank, self.steps * world, world))

    def __len__(self) -> int:
        return self.steps
