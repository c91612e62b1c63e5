"""What a classifier makes of images, as they are or changed, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from neural.images import Labelled
from neural.robustness.attacks import Network

Change = Callable[[Tensor, Tensor], Tensor]  # images in [0, 1] and labels to images, such as an attack


class Verdict(NamedTuple):
    """What a classifier says of images.

    Args:
        probabilities: of the classes, (B, classes).
        labels: what the images show, (B,).
    """

    probabilities: Tensor
    labels: Tensor

    @property
    def confidence(self) -> Tensor:
        """Of each decision, (B,)."""
        return self.probabilities.amax(1)

    @property
    def correct(self) -> Tensor:
        """Whether each decision is right, (B,)."""
        return self.probabilities.argmax(1) == self.labels

    @property
    def accuracy(self) -> float:
        return self.correct.double().mean().item()


def judge(
    network: Network,
    data: Labelled,
    change: Change | None = None,
    *,
    batch: int = 250,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Verdict:
    """Look at all images once.

    Args:
        network: logits of images on the device, in evaluation mode.
        change: of each batch before it is seen.
        batch: images at a time.
        seed: of the random numbers of network and change; torch's own are left as they were.

    Returns:
        Probabilities in double precision, on the CPU.
    """
    found = []
    with torch.no_grad(), torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        for k in range(0, len(data.labels), batch):
            images, labels = data.batch(slice(k, k + batch), device)
            images = images if change is None else change(images, labels)
            found.append(network(images).double().softmax(1).cpu())
    return Verdict(torch.cat(found), data.labels)
