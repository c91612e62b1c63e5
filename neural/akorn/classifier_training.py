"""Training classifiers of images, and what is trained before them: views that should be alike (SimCLR)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from kornia import augmentation
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn.augment import Views
from neural.akorn.classifier import ClassifierAKOrN
from neural.akorn.parts import initialize
from neural.akorn.resnet import ResNet18
from neural.akorn.simclr import simclr_loss
from neural.akorn.transformer import ImageTransformer
from neural.robustness import augmix
from neural.training import Task
from oscillators import checks

Kind = Literal["akorn", "resnet", "vit"]
NETWORKS: dict[str, Any] = {"akorn": ClassifierAKOrN, "resnet": ResNet18, "vit": ImageTransformer}
Batch = tuple[Tensor, Tensor]


class Augment(nn.Module):
    """The published augmentation: mirrored, cropped, recoloured, and mixed by AugMix.

    A crop has 0.2 to 1 of the area and sides 3:4 to 4:3; brightness, contrast and saturation change by factors of 0.6 to 1.4,
    hue by at most a tenth of the circle.

    Args:
        size: pixels along a side.
        scale: least and largest part of the area.
    """

    def __init__(self, size: int = 32, scale: tuple[float, float] = (0.2, 1.0)):
        super().__init__()
        self.augment = nn.Sequential(
            augmentation.RandomHorizontalFlip(),
            augmentation.RandomResizedCrop((size, size), scale=scale),
            augmentation.ColorJitter(0.4, 0.4, 0.4, 0.1, p=1.0),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Changed images (B, 3, size, size) of images (B, 3, height, width) in [0, 1], by torch's own generators."""
        return augmix(self.augment(images).clamp(0, 1))


class Classify(Task):
    """Cross-entropy of labelled images.

    Args:
        kind: "akorn" (`ClassifierAKOrN`), "resnet" (`ResNet18`) or "vit" (`ImageTransformer`).
        network: its options.
        lr: of Adam.
        scale: area of the crops, least and largest (see `Augment`); None: images as they are.
        seed: of the first weights.
    """

    def __init__(
        self,
        kind: Kind = "akorn",
        network: dict[str, Any] | None = None,
        lr: float = 1e-4,
        scale: Sequence[float] | None = (0.2, 1.0),
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        self.network = build(kind, network, torch.Generator().manual_seed(seed))
        self.augment = None if scale is None else Augment(scale=(scale[0], scale[1]))

    def loss(self, batch: Batch) -> Tensor:
        images, labels = batch
        images = images.float() / 255
        with torch.no_grad():
            images = images if self.augment is None else self.augment(images)
        return functional.cross_entropy(self.network(images), labels)

    @torch.no_grad()
    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Loss and accuracy, without augmentation."""
        logits = self.network(batch[0].float() / 255)
        right = (logits.argmax(1) == batch[1]).float().mean()
        return {"val_loss": functional.cross_entropy(logits, batch[1]), "val_accuracy": right}


class Pretrain(Task):
    """SimCLR: two views of an image should be each other's nearest. The network ends in an MLP instead of logits.

    Args:
        kind: "akorn" or "resnet", as published. network, lr, seed: see `Classify`.
        width: of the embedding.
        temperature: of `simclr_loss`.
    """

    def __init__(
        self,
        kind: Kind = "akorn",
        network: dict[str, Any] | None = None,
        lr: float = 1e-4,
        width: int = 128,
        temperature: float = 0.1,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        checks.one_of("kind", kind, ("akorn", "resnet"))
        self.temperature = temperature
        generator = torch.Generator().manual_seed(seed)
        self.network = build(kind, network, generator)
        inputs = self.network.out.in_features
        self.network.out = nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(), nn.Linear(inputs, width))
        initialize(self.network.out, generator)
        self.views = Views(32, flip=0.5)

    def loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            first, second = self.views(batch[0].float() / 255)
        one, other = self.network(torch.cat([first, second])).chunk(2)
        return simclr_loss(one, other, self.temperature)


def build(kind: str, options: dict[str, Any] | None, generator: torch.Generator | None = None) -> Any:
    """An untrained network of a kind; its weights from a generator (None: torch's own)."""
    checks.one_of("kind", kind, NETWORKS)
    return NETWORKS[kind](**(options or {}), generator=generator)


def start_from(network: nn.Module, pretrained: nn.Module) -> None:
    """Take over all weights but those of the last layer, `out`."""
    weights = {name: value for name, value in pretrained.state_dict().items() if not name.startswith("out.")}
    missing = [name for name in network.state_dict() if name not in weights and not name.startswith("out.")]
    if missing:
        raise ValueError(
            f"`pretrained` must be a network of the same kind, but lacks {', '.join(missing[:3])}; pretrain it with the same "
            "options."
        )
    network.load_state_dict(weights, strict=False)
