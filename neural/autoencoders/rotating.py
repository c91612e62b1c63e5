"""Rotating features: an autoencoder whose units are vectors of n components; what belongs together points one way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from neural.autoencoders.blocks import RotatingBlock
from neural.autoencoders.network import Autoencoder, Half, check_range, check_sizes, smallest_map
from oscillators import checks

PUBLISHED: dict[str, dict[str, Any]] = {
    "4shapes": {"image": (1, 32, 32), "hidden": 32, "linear": 64, "n": 8},
    "4shapes_rgb": {"image": (3, 32, 32), "hidden": 64, "linear": 128, "n": 8},
    "4shapes_rgbd": {"image": (4, 32, 32), "hidden": 64, "linear": 128, "n": 8},
    "features": {"image": (768, 14, 14), "hidden": 128, "linear": 256, "n": 10, "features": True},
}


class RotatingAutoencoder(Autoencoder):
    """Convolutions down, a dense layer, and the way back by transposed convolutions; y = sigmoid(w_c ‖z‖ + β_c).

    Component 0 of the input is the image, the others are 0. Channels: h, h, 2h, 2h, 2h, and back 2h, 2h, 2h, h, C.

    Args:
        image: (C, H, W), H and W multiples of 8; with `features` they must be 2 less than that.
        hidden, linear, n: h, size of the latent vectors, components of a unit (at least 2).
        features: whether the images are features of a pretrained network, of any sign: normalised and cut off at 0 on entry,
            reconstructed without a sigmoid, by one convolution more on either side; a pixel all around is cut off.
        biased: see `RotatingBlock`.
        generator: source of the weights.

    Source: Löwe et al. 2023 (Rotating Features).
    """

    def __init__(
        self,
        image: Sequence[int] = (1, 32, 32),
        hidden: int = 32,
        linear: int = 64,
        n: int = 8,
        *,
        features: bool = False,
        biased: bool = False,
        generator: torch.Generator | None = None,
    ):
        if n < 2:
            raise ValueError(f"`n` must be at least 2 components, but is {n}; numbers alone have no direction.")
        check_sizes(hidden=[hidden], linear=[linear])
        map_shape = (2 * hidden, *smallest_map(image, 8, cut=2 * features))
        size = math.prod(map_shape)
        rest: dict[str, Any] = {"n": n, "biased": biased, "generator": generator}

        def layers(rows: list[tuple]) -> list[RotatingBlock]:
            return [RotatingBlock.convolution(kind, a, b, 3, s, **rest) for kind, a, b, s in rows]

        encoder = Half(layers(rows_down(image[0], hidden, features)), RotatingBlock.dense(size, linear, **rest))
        decoder = Half(layers(rows_up(image[0], hidden, features)), RotatingBlock.dense(linear, size, **rest))
        super().__init__(image, map_shape, encoder, decoder)
        self.n, self.features = n, features
        self.preprocess = nn.BatchNorm2d(image[0]) if features else None
        self.output_weight = nn.Parameter(torch.ones(image[0]))
        self.output_bias = nn.Parameter(torch.zeros(1, image[0], 1, 1))

    @classmethod
    def published(cls, name: str = "4shapes", **options: Any) -> Self:
        """A published network: for 4Shapes ("4shapes", "4shapes_rgb", "4shapes_rgbd"), or for 14 × 14 "features"."""
        checks.one_of("name", name, PUBLISHED)
        return cls(**PUBLISHED[name] | options)

    def activations(self, images: Tensor) -> Tensor:
        if self.preprocess is not None:
            images = torch.relu(self.preprocess(images))
        z = images.new_zeros(self.n + 1, *images.shape)
        z[0] = z[-1] = images
        return z

    def trimmed(self, decoded: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (*decoded[:-1], decoded[-1][..., 1:-1, 1:-1]) if self.features else decoded

    def output(self, magnitude: Tensor) -> Tensor:
        y = self.output_weight[:, None, None] * magnitude + self.output_bias
        return y if self.features else torch.sigmoid(y)

    def check_values(self, images: Tensor) -> None:
        if not self.features:
            check_range(images)


def rows_down(C: int, h: int, features: bool) -> list[tuple]:
    """Kind, channels in and out, and stride of the encoder's convolutions."""
    widths = (C, h, h, 2 * h, 2 * h, 2 * h)
    rows = [("symmetric", a, b, s) for a, b, s in zip(widths[:-1], widths[1:], (2, 1, 2, 1, 2), strict=True)]
    return [*rows, ("symmetric", 2 * h, 2 * h, 1)] if features else rows


def rows_up(C: int, h: int, features: bool) -> list[tuple]:
    """Of the decoder's."""
    rows = [("transposed", 2 * h, 2 * h, 2), ("symmetric", 2 * h, 2 * h, 1), ("transposed", 2 * h, 2 * h, 2)]
    rows.append(("symmetric", 2 * h, h, 1))
    return [*rows, ("transposed", h, h, 2), ("symmetric", h, C, 1)] if features else [*rows, ("transposed", h, C, 2)]
