"""Autoencoders of blocks: convolutions down, a dense bottleneck, convolutions up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from neural.autoencoders import activations
from neural.autoencoders.blocks import Block


class Run(NamedTuple):
    """What an autoencoder made of images. Activations are (n + 1, B, ...); see `neural.autoencoders.activations`.

    Args:
        reconstruction: (B, C, H, W).
        latent: activations of the bottleneck, (n + 1, B, D).
        encoder, decoder: activations of their convolutions, in the order of computation.
    """

    reconstruction: Tensor
    latent: Tensor
    encoder: tuple[Tensor, ...]
    decoder: tuple[Tensor, ...]

    @property
    def z(self) -> Tensor:
        """The decoder's last activations, of which magnitudes reconstruct and directions name the object."""
        return self.decoder[-1]

    @property
    def magnitude(self) -> Tensor:
        """(B, C, H, W), 0 or positive."""
        return activations.magnitude(self.z)

    @property
    def phase(self) -> Tensor:
        """(B, C, H, W) in (-π, π], 0 where the magnitude is 0; complex networks only."""
        return activations.phase(self.z)


class Half(nn.Module):
    """Encoder or decoder: convolutions, and the dense block at the bottleneck."""

    def __init__(self, convolutions: Sequence[Block], dense: Block):
        super().__init__()
        self.convolutions, self.dense = nn.ModuleList(convolutions), dense

    def along(self, z: Tensor) -> tuple[Tensor, ...]:
        """Activations behind every convolution."""
        return tuple(z := block(z) for block in self.convolutions)


class Autoencoder(nn.Module, ABC):
    """Reconstructs images from magnitudes; nothing but the bottleneck asks the directions to name objects.

    Args:
        image: (C, H, W) of the images.
        map_shape: (C, H, W) of the encoder's last map, which is flattened in this order.
        encoder, decoder: halves.
    """

    def __init__(self, image: Sequence[int], map_shape: Sequence[int], encoder: Half, decoder: Half):
        super().__init__()
        self.image, self.map_shape = tuple(image), tuple(map_shape)
        self.encoder, self.decoder = encoder, decoder

    @abstractmethod
    def activations(self, images: Tensor) -> Tensor:
        """Images as activations, (n + 1, B, C, H, W)."""

    @abstractmethod
    def output(self, magnitude: Tensor) -> Tensor:
        """Reconstruction from the magnitudes of the decoder's last activations."""

    def forward(self, images: Tensor, **options: Any) -> Tensor:
        """Reconstructed images, (B, C, H, W); arguments as for `run`."""
        return self.run(images, **options).reconstruction

    def run(self, images: Tensor, **options: Any) -> Run:
        """Take images apart and put them together.

        Args:
            images: (B, C, H, W) in [0, 1], in the precision of the weights.
            options: of `activations`.
        """
        self.check(images)
        encoded = self.encoder.along(self.activations(images, **options))
        latent = self.encoder.dense(encoded[-1].flatten(2))
        decoded = self.trimmed(self.decoder.along(self.decoder.dense(latent).unflatten(2, self.map_shape)))
        return Run(self.output(activations.magnitude(decoded[-1])), latent, encoded, decoded)

    def trimmed(self, decoded: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The decoder's activations, the last of them in the size of the image."""
        return decoded

    def losses(self, images: Tensor, **options: Any) -> dict[str, Tensor]:
        """Loss of training and its terms by name, with "total" their weighted sum: here the mean square of the error alone.

        Args:
            images: (B, C, H, W).
            options: of `run`.
        """
        error = (self(images, **options) - images).square().mean()
        return {"total": error, "reconstruction": error}

    def check(self, images: Tensor) -> None:
        """Raise unless images have the shape, precision and range of the network's input."""
        if not isinstance(images, Tensor):
            raise TypeError(
                f"`images` must be a tensor, but are a {type(images).__name__}; pass torch.as_tensor(images)."
            )
        if images.ndim != 4 or images.shape[1:] != torch.Size(self.image) or not len(images):
            raise ValueError(
                f"`images` must have shape (B, {', '.join(map(str, self.image))}), B from 1, but are {tuple(images.shape)}; "
                "resize them, or build the network for that size."
            )
        dtype = next(self.parameters()).dtype
        if images.dtype != dtype:
            raise TypeError(
                f"`images` must have the precision of the weights, {dtype}, but are {images.dtype}; write images.to({dtype}), "
                "and divide by 255 if they are integers."
            )
        if not torch.compiler.is_compiling():
            self.check_values(images)

    def check_values(self, images: Tensor) -> None:
        check_range(images)


def smallest_map(image: Sequence[int], factor: int, cut: int = 0) -> tuple[int, int]:
    """Height and width of the encoder's last map, which the decoder enlarges by `factor` and then cuts."""
    sides = [n + cut for n in image[1:]]
    if len(image) != 3 or any(n < factor or n % factor for n in sides):
        less = f", less {cut}" if cut else ""
        raise ValueError(
            f"`image` must be (C, H, W) with H and W multiples of {factor}, the product of the strides{less}, but is "
            f"{tuple(image)}; the decoder could not restore the size: crop or resize the images."
        )
    return sides[0] // factor, sides[1] // factor


def check_sizes(**sizes: Sequence[int]) -> None:
    """Raise unless all sizes of these names are at least 1."""
    for name, values in sizes.items():
        if min(values) < 1:
            raise ValueError(f"`{name}` must be whole numbers from 1, but one is {min(values)}; raise it.")


def check_range(images: Tensor) -> None:
    """Raise unless all values are in [0, 1]; NaN is not."""
    low, high = (float(value) for value in torch.aminmax(images.detach()))
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"`images` must be in [0, 1], but run from {low:g} to {high:g}; rescale them: magnitudes are never negative."
        )
