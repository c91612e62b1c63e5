"""Complex-valued autoencoders: CAE, CAE++ and CtCAE for images in colour, and the first CAE for grey ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from neural.autoencoders.blocks import Block, ComplexBlock
from neural.autoencoders.maps import Kind
from neural.autoencoders.network import Autoencoder, Half, check_sizes, smallest_map

SIX = {"channels": (128, 128, 256, 256, 256, 256, 256), "strides": (2, 1, 2, 1, 2, 1, 2)}
PUBLISHED: dict[int, dict[str, Any]] = {  # by the side of the image: all data at 32, multi-dSprites at 64, CLEVR at 96
    32: {"image": (3, 32, 32)},
    64: {"image": (3, 64, 64), **SIX},
    96: {"image": (3, 96, 96), **SIX},
}


class ComplexAutoencoder(Autoencoder):
    """Convolutions of complex numbers down to a vector, and up again; |z| is the reconstruction.

        z = image · exp(i phases);  L times: z <- conv;  z <- dense (latent);  z <- dense;  L times back: z <- conv

    Args:
        image: (C, H, W); H and W must be multiples of the product of the strides.
        channels, strides, kernels: of each convolution of the encoder; the decoder has them in reverse order. One kernel may
            stand for all.
        linear: size D of the latent vector.
        generator: source of the weights.

    Raises:
        ValueError: if the strides do not divide the size of the image, which the decoder then could not restore.
    """

    down: Kind = "same"  # how the encoder's convolutions pad
    up: Kind = "nearest"  # how the decoder's convolutions enlarge
    mixed = False  # whether a 1 × 1 convolution and a sigmoid follow |z|
    sizes: ClassVar[dict[int, dict[str, Any]]] = PUBLISHED  # options of the published networks

    def __init__(
        self,
        image: Sequence[int] = (3, 32, 32),
        channels: Sequence[int] = (128, 128, 256, 256, 256),
        strides: Sequence[int] = (2, 1, 2, 1, 2),
        kernels: int | Sequence[int] = 3,
        linear: int = 256,
        *,
        generator: torch.Generator | None = None,
    ):
        kernels = [kernels] * len(channels) if isinstance(kernels, int) else kernels
        check_layers(channels, strides, kernels)
        check_sizes(linear=[linear])
        map_shape = (channels[-1], *smallest_map(image, math.prod(strides)))
        widths, size = [image[0], *channels], math.prod(map_shape)
        layers = list(zip(widths[:-1], widths[1:], kernels, strides, strict=True))
        rng = {"generator": generator}
        down = [ComplexBlock.convolution(self.down, a, b, k, s, **rng) for a, b, k, s in layers]
        up = [self.back(b, a, k, s, **rng) for a, b, k, s in reversed(layers)]
        encoder = Half(down, ComplexBlock.dense(size, linear, **rng))
        super().__init__(image, map_shape, encoder, Half(up, ComplexBlock.dense(linear, size, **rng)))
        self.output_model = unit_mixing(image[0]) if self.mixed else None

    def back(self, c_in: int, c_out: int, kernel: int, stride: int, **options: Any) -> Block:
        """The decoder's counterpart of an encoder's convolution."""
        return ComplexBlock.convolution(self.up, c_in, c_out, kernel, stride, **options)

    @classmethod
    def published(cls, side: int = 32, **options: Any) -> Self:
        """The published network for images of that side: all data at 32, multi-dSprites at 64, CLEVR at 96."""
        if side not in cls.sizes:
            raise ValueError(
                f"`side` must be one of {', '.join(map(str, cls.sizes))}, but is {side}; pass channels instead."
            )
        return cls(**cls.sizes[side] | options)

    def activations(self, images: Tensor, phases: Tensor | None = None) -> Tensor:
        """Images as magnitudes, with phases in radians of the same shape; None: all 0."""
        if phases is None:
            return torch.stack([images, torch.zeros_like(images), images])
        check_phases(images, phases)
        return torch.stack([images * phases.cos(), images * phases.sin(), images])

    def output(self, magnitude: Tensor) -> Tensor:
        return magnitude if self.output_model is None else torch.sigmoid(self.output_model(magnitude))


class CAEPlusPlus(ComplexAutoencoder):
    """CAE++: the decoder repeats pixels and convolves, and its magnitudes are the image.

    Source: Stanić et al. 2023.
    """


class CAE(ComplexAutoencoder):
    """CAE for colour images: transposed convolutions of 3 × 3 whatever `kernels` say, then sigmoid(W |z| + b) over channels.

    W starts as all ones. Source: the baseline of Stanić et al. 2023.
    """

    up: Kind = "transposed"
    mixed = True

    def back(self, c_in: int, c_out: int, kernel: int, stride: int, **options: Any) -> Block:
        return super().back(c_in, c_out, 3, stride, **options)


class GreyCAE(CAE):
    """The first CAE: five convolutions with equal padding on all sides, hidden and 2 · hidden channels wide.

    Args:
        hidden, linear: channels of the first convolutions, and size of the latent vector.
        image: (C, H, W), H and W multiples of 8.
        generator: source of the weights.

    Source: Löwe et al. 2022.
    """

    down: Kind = "symmetric"
    sizes: ClassVar[dict[int, dict[str, Any]]] = {32: {}}

    def __init__(
        self,
        hidden: int = 32,
        linear: int = 64,
        image: Sequence[int] = (1, 32, 32),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__(image, [hidden] * 2 + [2 * hidden] * 3, linear=linear, generator=generator)


def unit_mixing(channels: int) -> nn.Conv2d:
    """1 × 1 convolution of channels with all weights 1."""
    layer = nn.Conv2d(channels, channels, 1)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def check_layers(channels: Sequence[int], strides: Sequence[int], kernels: Sequence[int]) -> None:
    if not len(channels) == len(strides) == len(kernels) > 0:
        raise ValueError(
            "`channels`, `strides` and `kernels` must have one entry for each convolution, but have "
            f"{len(channels)}, {len(strides)} and {len(kernels)}; add or drop some."
        )
    check_sizes(channels=channels, strides=strides, kernels=kernels)


def check_phases(images: Tensor, phases: Tensor) -> None:
    if not isinstance(phases, Tensor) or phases.shape != images.shape or phases.dtype != images.dtype:
        given = f"{tuple(phases.shape)} in {phases.dtype}" if isinstance(phases, Tensor) else type(phases).__name__
        raise ValueError(
            f"`phases` must have the shape and precision of the images, {tuple(images.shape)} in {images.dtype}, but are "
            f"{given}; give every pixel and channel a phase in radians."
        )
    if not torch.compiler.is_compiling() and not phases.isfinite().all():
        raise ValueError("`phases` must be finite, but are not; clean them: running statistics would not recover.")
