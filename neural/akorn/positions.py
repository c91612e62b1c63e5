"""Where a token is: rotations and waves of its coordinates.

Coordinates are integers of a grid or any numbers, shape (token, D). A grid lists its tokens row by row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from oscillators import checks


def grid_coordinates(grid: Sequence[int]) -> Tensor:
    """Indices of the cells of a grid, row by row: (H, W) -> (H·W, 2)."""
    if not isinstance(grid, Sequence) or not all(isinstance(size, int) for size in grid):
        raise TypeError(
            f"`at` must be the size of a grid, such as (9, 9), but is {checks.shown(grid)}; coordinates are a tensor "
            "(token, D)."
        )
    axes = torch.meshgrid(*(torch.arange(size, dtype=torch.float32) for size in grid), indexing="ij")
    return torch.stack(axes, dim=-1).flatten(0, -2)


def rotations(coordinates: Tensor, width: int) -> Tensor:
    """Rotations of the feature pairs of a head, block p = D j + a by the angle r_a f_j, f_j = 10000^(-j/F).

    F = ⌈width/(2D)⌉ frequencies, the coordinate a fastest; the first width/2 blocks are kept.

    Args:
        coordinates: (token, D).
        width: features of a head; even.

    Returns:
        [[cos, -sin], [sin, cos]], shape (token, width/2, 2, 2), float32.

    Source: Miyato et al. 2024 (GTA); Su et al. 2021 (RoPE). For D = 1 the published code fails; this is its formula.
    """
    if coordinates.ndim != 2:
        raise ValueError(
            f"`at` must have shape (token, D), but is {tuple(coordinates.shape)}; with one coordinate, write at[:, None]."
        )
    if width % 2:
        raise ValueError(f"`ch` must give every head an even number of channels, but gives {width}; change `heads`.")
    count = math.ceil(width / (2 * coordinates.shape[-1]))
    frequencies = 10000.0 ** (-torch.arange(count, dtype=torch.float32, device=coordinates.device) / count)
    angles = (frequencies[:, None] * coordinates[:, None, :].float()).flatten(1)[:, : width // 2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def waves(coordinates: Tensor, width: int) -> Tensor:
    """Absolute encoding: sin and cos of every coordinate times 10000^(-2j/half), half = width/D.

    Channels 2j and 2j + 1 of a part of half channels are the sine and the cosine; the last coordinate (the column) has the
    first part.

    Args:
        coordinates: (token, D).
        width: channels; a multiple of 2D.

    Returns:
        (token, width), float32.
    """
    D = coordinates.shape[-1]
    if width % (2 * D):
        raise ValueError(
            f"`ch` must be a multiple of {2 * D} for waves of {D} coordinates, but is {width}; round it up."
        )
    half = width // D
    frequencies = torch.exp(-math.log(10000.0) / half * torch.arange(0, half, 2, dtype=torch.float32))
    angles = coordinates.float().flip(-1)[..., None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def resized(values: Tensor, grid: Sequence[int], new: Sequence[int]) -> Tensor:
    """Values per token, (token, ...), carried to another grid by linear interpolation of every entry."""
    if tuple(grid) == tuple(new):
        return values
    modes = {1: "linear", 2: "bilinear", 3: "trilinear"}
    checks.one_of("dimensions of the grid", str(len(grid)), tuple(map(str, modes)))
    maps = values.flatten(1).T.unflatten(1, tuple(grid))[None]
    maps = functional.interpolate(maps, size=tuple(new), mode=modes[len(grid)], align_corners=False)
    return maps[0].flatten(1).T.unflatten(1, values.shape[1:])
