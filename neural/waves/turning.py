"""Films of images that turn: every frame is the first one, rotated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def turned(images: Tensor, frames: int = 18, turns: int = 1, centre: Sequence[float] | None = None) -> Tensor:
    """Images turned about a point by 0, φ, 2φ, ... with φ = 360° `turns` / `frames`, counterclockwise.

    Args:
        images: (B, channel, height, width).
        centre: row and column of the point that stays, counted in pixels; None: (height/2, width/2), as published: pixel
            (14, 14) of MNIST's.

    Returns:
        (frames, B, channel, height, width), bilinear between pixels, and 0 beyond the edge.

    Source: the rotating MNIST of Keller and Welling 2023, with 18 frames of 20°.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"`images` must be numbers of shape (B, channel, height, width), but are {images.dtype} of {tuple(images.shape)}; "
            "divide bytes by 255."
        )
    if frames < 1:
        raise ValueError(f"`frames` must be at least 1, but is {frames}; the first one is the image itself.")
    height, width = images.shape[2:]
    y0, x0 = (height / 2, width / 2) if centre is None else centre
    y, x = torch.arange(height, device=images.device)[:, None] - y0, torch.arange(width, device=images.device) - x0
    angle = (2 * math.pi * turns / frames * torch.arange(frames, device=images.device))[:, None, None]
    source_x, source_y = x0 + x * angle.cos() - y * angle.sin(), y0 + x * angle.sin() + y * angle.cos()
    grid = torch.stack([(2 * source_x + 1) / width - 1, (2 * source_y + 1) / height - 1], -1).to(images)
    stack = images.flatten(0, 1).expand(frames, -1, -1, -1)  # all images share the grid of their frame
    return functional.grid_sample(stack, grid, align_corners=False).unflatten(1, images.shape[:2])
