"""ResNet-18 for images of 32 x 32, the baseline of classification."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neural.akorn.parts import check_images, initialize


class ResidualBlock(nn.Module):
    """ReLU(BN(conv(ReLU(BN(conv(x))))) + shortcut(x))."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.extend([nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)])

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.shortcut(x))


class ResNet18(nn.Module):
    """Logits of images: four stages of two blocks, of 64, 128, 256 and 512 channels, and the mean over cells.

    Args:
        classes: number of logits.
        ch: channels of the first stage.
        generator: source of the weights.

    Source: He et al. 2016, with the first layer for small images (3 x 3, no pooling).
    """

    def __init__(self, classes: int = 10, ch: int = 64, *, generator: torch.Generator | None = None):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, ch, 3, padding=1, bias=False), nn.BatchNorm2d(ch), nn.ReLU())
        self.stages = nn.Sequential(ResidualBlock(ch, ch, 1), ResidualBlock(ch, ch, 1))
        for k in range(1, 4):
            width = ch * 2**k
            self.stages.extend([ResidualBlock(width // 2, width, 2), ResidualBlock(width, width, 1)])
        self.out = nn.Linear(8 * ch, classes)
        initialize(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, 3, height, width) in [0, 1]."""
        check_images(images)
        return self.out(self.stages(self.stem(2 * images - 1)).mean((2, 3)))
