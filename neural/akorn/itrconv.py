"""ItrConv, the convolutional baseline without oscillators."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn.channels import on_last
from neural.akorn.parts import check_images, initialize
from neural.akorn.transformer import Seen


class ItrConv(nn.Module):
    """T times x <- x + conv(GELU(GN(x))) with shared weights, then x <- x + W₂ GELU(W₁ GN(x)), on patches.

    Args:
        ch, ksize: channels of a patch, and cells along a side of the kernel.
        T: steps.
        imsize, psize: pixels along a side of the image, and of a patch.
        groups: of the normalisations.
        generator: source of the weights.

    Note: the published code lacks it; this is the paper's figure, where the place of the GELU cannot be read for certain.
    """

    def __init__(
        self,
        ch: int = 256,
        ksize: int = 5,
        T: int = 8,
        *,
        imsize: int = 128,
        psize: int = 4,
        groups: int = 8,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if ksize % 2 == 0:
            raise ValueError(f"`ksize` must be odd, but is {ksize}; a kernel has a middle.")
        self.T, self.imsize, self.psize = T, imsize, psize
        self.patchfy = nn.Conv2d(3, ch, psize, stride=psize)
        self.norms = nn.ModuleList(nn.GroupNorm(groups, ch) for _ in range(3))
        self.conv = nn.Conv2d(ch, ch, ksize, padding=ksize // 2)
        self.mlp = nn.Sequential(nn.Linear(ch, 4 * ch), nn.GELU(), nn.Linear(4 * ch, ch))
        self.out = nn.Sequential(nn.Linear(ch, 4 * ch), nn.ReLU(), nn.Linear(4 * ch, ch))
        initialize(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Embedding of images (B, 3, height, width) in [0, 1]."""
        return self.run(images).output

    def run(self, images: Tensor, *, T: int | None = None, states: bool = False) -> Seen:
        """See images in T steps, if not those of the network."""
        check_images(images)
        if images.shape[-2:] != (self.imsize, self.imsize):
            images = functional.interpolate(images, (self.imsize, self.imsize), mode="bilinear", align_corners=False)
        x = on_last(self.patchfy, (2 * images - 1).movedim(1, -1))
        steps = []
        for _ in range(self.T if T is None else T):
            x = x + on_last(self.conv, functional.gelu(on_last(self.norms[0], x)))
            if states:
                steps.append(x)
        x = x + self.mlp(on_last(self.norms[1], x))
        features = on_last(self.norms[2], x)
        return Seen(self.out(features.amax((1, 2))), features, (torch.stack(steps),) if states else (), x)
