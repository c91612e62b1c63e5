"""CtCAE: CAE++ trained with a contrast of the phases of its encoder's last map and of its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from neural.autoencoders import activations
from neural.autoencoders.cae import CAEPlusPlus
from neural.autoencoders.contrast import Contrast, Sample
from neural.autoencoders.network import Run
from oscillators import checks

ENCODER = Contrast(anchors=4, positives=1, top_k=1, negatives=2, bottom_m=2)
DECODER = Contrast(anchors=100, positives=1, top_k=5, negatives=100, bottom_m=500)
PUBLISHED: dict[int, tuple[Contrast, Contrast]] = {  # by the side of the image
    32: (ENCODER, DECODER),
    64: (ENCODER, replace(DECODER, patch=2)),
    96: (Contrast(anchors=8, positives=1, top_k=1, negatives=16, bottom_m=24), replace(DECODER, patch=3)),
}


class CtCAE(CAEPlusPlus):
    """CAE++ with the loss  mean (y - x)² + λ (ℓ_encoder + ℓ_decoder), ℓ a `Contrast`.

    Args:
        encoder_contrast: of the encoder's last convolution; None: off.
        decoder_contrast: of the decoder's last; None: off.
        weight: λ.
        options: of `CAEPlusPlus`.

    Source: Stanić et al. 2023.
    """

    def __init__(
        self,
        *args: Any,
        encoder_contrast: Contrast | None = PUBLISHED[32][0],
        decoder_contrast: Contrast | None = PUBLISHED[32][1],
        weight: float = 1e-4,
        **options: Any,
    ):
        super().__init__(*args, **options)
        checks.not_negative("weight", checks.real_numbers("weight", weight), "0 switches the contrasts off")
        self.contrasts, self.weight = {"encoder": encoder_contrast, "decoder": decoder_contrast}, weight
        check_contrast("encoder_contrast", encoder_contrast, self.map_shape[1:])
        check_contrast("decoder_contrast", decoder_contrast, self.image[1:])

    @classmethod
    def published(cls, side: int = 32, **options: Any) -> Self:
        contrasts = dict(zip(("encoder_contrast", "decoder_contrast"), PUBLISHED.get(side, ()), strict=False))
        return super().published(side, **contrasts | options)

    def losses(
        self,
        images: Tensor,
        *,
        samples: dict[str, Sample] | None = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> dict[str, Tensor]:
        """Total loss and its terms: "total", "reconstruction", "encoder", "decoder".

        Args:
            images: (B, C, H, W).
            samples: what the contrasts compare, by their names; of others, drawn from `generator`.
            options: of `run`.
        """
        run = self.run(images, **options)
        found = {"reconstruction": (run.reconstruction - images).square().mean()}
        contrasts = self.contrasted(run, samples, generator=generator)
        return {"total": found["reconstruction"] + self.weight * sum(contrasts.values()), **found, **contrasts}

    def contrasted(
        self, run: Run, samples: dict[str, Sample] | None = None, *, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """The contrasts ℓ of a run that are on, by name: "encoder", "decoder"; arguments as for `losses`."""
        unknown = (samples or {}).keys() - self.contrasts.keys()
        if unknown:
            raise ValueError(f"`samples` must be of {', '.join(self.contrasts)}, but has {unknown.pop()!r}; rename it.")
        found = {}
        for name, contrast in self.contrasts.items():
            if contrast is not None:
                z = getattr(run, name)[-1]
                sample = None if samples is None else samples.get(name)
                found[name] = contrast(activations.magnitude(z), angles(z), sample, generator=generator)
        return found


def angles(z: Tensor) -> Tensor:
    """Angles of complex activations, (3, B, ...) -> (B, ...); those of 0 are 0 or π, as published.

    The published product (r + 0i) exp(iφ) decides by the signs of its zeros: π if r = 0 and φ is between π/2 and π.
    """
    x, y = activations.plane(z)
    return torch.atan2(y + 0 * x, x - 0 * y)


def check_contrast(name: str, contrast: Contrast | None, sides: Sequence[int]) -> None:
    """Raise unless it can be drawn on a map of these sides."""
    if contrast is None:
        return
    if not isinstance(contrast, Contrast):
        raise TypeError(
            f"`{name}` must be a Contrast or None, but is a {type(contrast).__name__}; write Contrast(...)."
        )
    try:
        contrast.check(contrast.tiles(sides))
    except ValueError as error:
        raise ValueError(f"`{name}` must fit its map, {tuple(sides)}: {error}") from None
