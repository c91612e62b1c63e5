"""Training for object discovery: two views of a scene are to be alike, and no label is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, distributed

from neural.akorn.augment import Views
from neural.akorn.itrconv import ItrConv
from neural.akorn.objects import ObjectAKOrN
from neural.akorn.simclr import simclr_loss
from neural.akorn.transformer import ImageTransformer
from neural.training import Task
from oscillators import checks

NETWORKS: dict[str, Any] = {"akorn": ObjectAKOrN, "itrsa": ImageTransformer, "itrconv": ItrConv}


class ObjectTask(Task):
    """`simclr_loss` of two random views of each image, among all images of a batch, of all processes if there are several.

    Args:
        kind: "akorn" (`ObjectAKOrN`), "itrsa" (`ImageTransformer`) or "itrconv" (`ItrConv`).
        network: its options; views are as large as its images, `imsize`.
        lr: of Adam.
        temperature: τ of the loss.
        scale, flip: of `Views`.
        seed: of the first weights.

    Batches are (images,), uint8 (B, 3, height, width).
    Source: Miyato et al. 2025, AKOrN.
    """

    def __init__(
        self,
        kind: Literal["akorn", "itrsa", "itrconv"] = "akorn",
        network: dict[str, Any] | None = None,
        lr: float = 1e-3,
        temperature: float = 0.1,
        scale: Sequence[float] = (0.08, 1.0),
        flip: float = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        checks.one_of("kind", kind, NETWORKS)
        self.temperature = temperature
        self.network = NETWORKS[kind](**(network or {}), generator=torch.Generator().manual_seed(seed))
        self.views = Views(self.network.imsize, (scale[0], scale[1]), flip)

    def loss(self, batch: tuple[Tensor]) -> Tensor:
        with torch.no_grad():
            views = torch.cat(self.views(batch[0]))
        first, second = self.network(views).chunk(2)
        return simclr_loss(gathered(first), gathered(second), self.temperature)


def gathered(z: Tensor) -> Tensor:
    """Embeddings of all processes, (image, d), through which gradients flow back to each."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return z
    from torch.distributed.nn import all_gather

    return torch.cat(all_gather(z))
