"""Training of autoencoders: the loss of the publication, a start from which phases part early, and what to watch."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from neural.autoencoders.cae import CAE, CAEPlusPlus, GreyCAE
from neural.autoencoders.contrast import Contrast
from neural.autoencoders.ctcae import CtCAE
from neural.autoencoders.evaluation import object_features, object_scores, resultant
from neural.autoencoders.network import Autoencoder, Run
from neural.autoencoders.rotating import RotatingAutoencoder
from neural.autoencoders.start import spread_phases
from neural.training import Task
from oscillators import checks

NETWORKS: dict[str, Any] = {
    "cae": CAE,
    "cae++": CAEPlusPlus,
    "ctcae": CtCAE,
    "grey": GreyCAE,
    "rotating": RotatingAutoencoder,
}


class AutoencoderTask(Task):
    """Reconstruction of images, and of CtCAE the contrast of phases: `network.losses(images)["total"]`.

    Args:
        kind: "cae", "cae++", "ctcae", "grey" (`GreyCAE`) or "rotating".
        network: its options; those of a contrast of CtCAE as a dictionary, for example {"weight": 1e-3, "encoder_contrast":
            None, "decoder_contrast": {"anchors": 100, "positives": 1, ...}}.
        published: which of the published networks, as in `NETWORK.published(which)`, that the options then change.
        lr, warmup: of Adam; published are 4e-4 for colour, and 1e-3 after 500 steps for grey images and rotating features.
        spread: of the first phases, see `spread_phases`; 0, as published: all are 0.
        seed: of the first weights and phases.

    Batches are (images,), uint8 (B, C, H, W); batches of validation (images, masks), and their scores "ari_fg", "val_loss" and
    the `monitors`.

    Source: Löwe et al. 2022, 2023; Stanić et al. 2023. Rotating features are trained with gradient_clip_val=0.1.
    """

    def __init__(
        self,
        kind: Literal["cae", "cae++", "ctcae", "grey", "rotating"] = "ctcae",
        network: dict[str, Any] | None = None,
        published: int | str | None = None,
        lr: float = 4e-4,
        warmup: int = 0,
        spread: float = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        checks.one_of("kind", kind, NETWORKS)
        generator = torch.Generator().manual_seed(seed)
        build = NETWORKS[kind] if published is None else partial(NETWORKS[kind].published, published)
        self.network: Autoencoder = build(**built(network or {}), generator=generator)
        if spread:
            spread_phases(self.network, spread, generator=generator)

    def loss(self, batch: tuple[Tensor]) -> Tensor:
        return self.network.losses(batch[0] / 255)["total"]

    @torch.no_grad()
    def scores(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        images, masks = batch[0] / 255, batch[1]
        run = self.network.run(images)
        found = object_scores(object_features(run), masks, restarts=1)["ari_fg"].mean()
        error = (run.reconstruction - images).square().mean()
        return {"ari_fg": torch.tensor(found), "val_loss": error, **monitors(self.network, run)}


def built(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a network, with contrasts made of theirs."""
    return {
        name: Contrast(**value) if name.endswith("_contrast") and isinstance(value, dict) else value
        for name, value in options.items()
    }


def monitors(network: Autoencoder, run: Run) -> dict[str, Tensor]:
    """What tells whether directions have parted: `resultant` and share of zeros of the output, means over images.

    Of CtCAE also the contrasts "encoder" and "decoder" over log(positives + negatives): 1 where all features are equal. Angles
    near 0 are not: divided by their length they are rounding, and the published contrast of a new network is far above 1.
    """
    found = {"resultant": resultant(run).mean(), "silent": (run.magnitude == 0).float().mean()}
    if isinstance(network, CtCAE):
        equal = {name: contrast.equal for name, contrast in network.contrasts.items() if contrast is not None}
        found |= {name: value / equal[name] for name, value in network.contrasted(run).items()}
    return found
