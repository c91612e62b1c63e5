"""Directions as colours."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from neural.autoencoders import activations


def direction_colours(z: Tensor) -> Tensor:
    """Directions as colours, the brighter the larger the magnitude: (B, 3, H, W) in [0, 1].

    Hue is the phase of the channels' sum, 0 red, 2π/3 green, -2π/3 blue. Of vectors with more than two components, the first
    three are red, green and blue.

    Args:
        z: activations of a layer, (n + 1, B, C, H, W), as `run.z` of the output or `run.encoder[k]`; magnitudes from 1 on are
            of full brightness.
    """
    z, bright = z[:-1].sum(2), activations.magnitude(z).amax(1).clamp(max=1.0)  # (n, B, H, W), (B, H, W)
    if len(z) > 2:
        return (bright * (1 + z[:3] / z.norm(dim=0).clamp_min(1e-9)) / 2).movedim(0, 1)
    turn = (
        torch.atan2(z[1], z[0])[:, None] / (2 * math.pi) - torch.tensor([0, 1, 2], device=z.device)[:, None, None] / 3
    )
    return bright[:, None] * (2 - 6 * (turn - turn.round()).abs()).clamp(0, 1)
