"""Random views of images, on the device where the images are (kornia, extra `train`)."""

from __future__ import annotations

from kornia import augmentation
from torch import Generator, Tensor, nn, randint
from torch.random import fork_rng, manual_seed


class Views(nn.Module):
    """Two random views of every image, as SimCLR compares them: what is left of an object in both should be alike.

    A crop of `scale` of the area with sides 3:4 to 4:3, resized to the image; with probability `flip` mirrored; with 0.8 other
    brightness, contrast, saturation (factors 0.6 to 1.4) and hue (up to a tenth of the circle); with 0.2 grey.

    Args:
        size: pixels along a side of a view.
        scale: least and largest part of the area.
        flip: published 0.5 for photographs, 0 for scenes.

    Source: Chen et al. 2020, SimCLR, without blur, as the published code of AKOrN has it.
    """

    def __init__(self, size: int, scale: tuple[float, float] = (0.08, 1.0), flip: float = 0.0):
        super().__init__()
        mirrored = [augmentation.RandomHorizontalFlip(p=flip)] if flip else []
        self.augment = nn.Sequential(
            augmentation.RandomResizedCrop((size, size), scale=scale, ratio=(3 / 4, 4 / 3)),
            *mirrored,
            augmentation.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
            augmentation.RandomGrayscale(p=0.2),
        )

    def forward(self, images: Tensor, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Two views of images (B, 3, height, width), (B, 3, size, size) in [0, 1].

        Args:
            images: uint8, or floating point in [0, 1].
            generator: source of the random numbers; None: torch's own.
        """
        images = images if images.is_floating_point() else images / 255
        if generator is None:
            return self.augment(images), self.augment(images)
        with fork_rng(devices=[images.device] if images.is_cuda else []):  # kornia knows torch's own generator only
            manual_seed(int(randint(2**62, (), generator=generator, device=generator.device)))
            return self.augment(images), self.augment(images)
