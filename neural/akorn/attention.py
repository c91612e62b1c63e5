"""Connectivity by attention: every token looks at all others, and what it sees acts on its oscillators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn.channels import Map
from neural.akorn.connectivity import Connectivity
from neural.akorn.positions import grid_coordinates, resized, rotations
from neural.akorn.totals import product
from neural.akorn.turning import turn
from oscillators import checks

Positions = Literal["gta", "rope"]


class Attention(Connectivity):
    """Multi-head attention whose queries, keys and values may know where their tokens are.

        s(l, m) = ⟨Q_l q_l, K_m k_m⟩ / √δ,    o_l = O_l Σ_m softmax_m s(l, m) V_m v_m,    δ = ch/heads

    of each head, where Q, K, V, O are 2 × 2 blocks on the feature pairs, shared by the heads and trained. They start as
    the rotations R_l of the coordinates of l, and O as their inverse.

    Args:
        ch: channels; heads divides them.
        heads: number of heads; head g has the channels g, g + heads, g + 2 heads, ... of q, k and v.
        positions: "gta": blocks Q, K, V, O. "rope": Q and K only. None: tokens are a set.
        at: where the tokens are, for positions: the size of a grid, (length,) or (height, width), or coordinates (token, D).
            A "gta" layer carries its blocks to any other size of a grid by linear interpolation.
        stored_as: shape of the stored weights: "conv", convolutions of one cell, or "fc", matrices.

    Source: Miyato et al. 2025 (AKOrN), with the factor 1/√δ of its code, and 2024 (GTA).
    """

    def __init__(
        self,
        ch: int,
        heads: int = 8,
        positions: Positions | None = None,
        at: Sequence[int] | Tensor | None = None,
        stored_as: Literal["conv", "fc"] = "conv",
    ):
        super().__init__()
        checks.one_of("stored_as", stored_as, ("conv", "fc"))
        if heads < 1 or ch % heads:
            raise ValueError(
                f"`ch` must be a multiple of `heads`, but is {ch} with heads = {heads}; change one of them."
            )
        self.ch, self.heads, self.positions = ch, heads, positions
        dense: Any = nn.Linear if stored_as == "fc" else _cell
        self.W_qkv, self.W_o = dense(ch, 3 * ch), dense(ch, ch)
        self.names: tuple[str, ...] = ()
        self.grid: tuple[int, ...] | None = None
        if positions is not None:
            self._place(positions, at)

    def _place(self, positions: Positions, at: Sequence[int] | Tensor | None) -> None:
        checks.one_of("positions", positions, ("gta", "rope"))
        if at is None:
            raise ValueError(
                f"`at` must say where the tokens are for positions={positions!r}, but is None; pass the grid."
            )
        if isinstance(at, Tensor):
            checks.real_array("at", at.float())
        else:
            at, self.grid = grid_coordinates(at), tuple(at)
        R = rotations(at, self.ch // self.heads).to(torch.get_default_dtype())
        self.names = ("mat_q", "mat_k", "mat_v", "mat_o")[: 4 if positions == "gta" else 2]
        for name in self.names:
            start = R.mT if name == "mat_o" else R
            setattr(self, name, nn.Parameter(start.clone(memory_format=torch.contiguous_format)))

    def prepare(self, grid: tuple[int, ...], batch: int = 1) -> tuple[Map, Tensor]:
        """Heads are sorted in the weights, once, and the halves of feature pairs apart: rows (head, half, pair)."""
        halves = 1 if self.positions is None else 2
        into = _sorted(self.W_qkv.weight.flatten(1), 3, self.heads, halves)
        bias = _sorted(self.W_qkv.bias, 3, self.heads, halves)
        back = product(_sorted(self.W_o.weight.flatten(1).T, 1, self.heads, halves).T)
        project = product(into, bias)
        starts, ends = self._rotations(grid)

        def act(x: Tensor) -> Tensor:
            tokens = x.flatten(1, -2)
            u = project(tokens).unflatten(-1, (3, self.heads, halves, -1))
            if starts is not None:
                u = turn(u, starts)
            q, k, v = (part.transpose(1, 2) for part in u.flatten(-2).unbind(2))  # (B, head, token, δ)
            o = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
            if ends is not None:
                o = turn(o.unflatten(-1, (halves, -1))[:, :, None], ends)
            return back(o.reshape(tokens.shape)).view(x.shape)

        return act, self.W_o.bias

    def _rotations(self, grid: tuple[int, ...]) -> tuple[Tensor | None, Tensor | None]:
        """Blocks of q, k, v, (token, 3, 2, 2, pair), and of o, (token, 1, 2, 2, pair)."""
        if self.positions is None:
            return None, None
        q, k, *rest = (self._blocks(name, grid) for name in self.names)
        if self.positions == "gta":
            v, o = rest
            return torch.stack([q, k, v], dim=1), o[:, None]
        one = torch.eye(2, dtype=q.dtype, device=q.device)[..., None]
        return torch.stack([q, k, one.expand_as(q)], dim=1), None

    def _blocks(self, name: str, grid: tuple[int, ...]) -> Tensor:
        """The blocks of a grid as (token, 2, 2, pair)."""
        blocks = getattr(self, name)
        if self.grid and self.positions == "gta" and len(grid) == len(self.grid):
            return resized(blocks, self.grid, grid).movedim(1, -1)
        if len(blocks) != math.prod(grid) or self.grid not in (None, grid):
            have = f"the grid {self.grid}" if self.grid else f"{len(blocks)} coordinates"
            raise ValueError(
                f"`x` must have the tokens of the layer, {have}, but has the grid {grid}; build it for that."
            )
        return blocks.movedim(1, -1)


def _cell(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1)


def _sorted(weight: Tensor, parts: int, heads: int, halves: int) -> Tensor:
    """Rows in the order (part, pair, half, head), as published, in the order (part, head, half, pair)."""
    return weight.unflatten(0, (parts, -1, halves, heads)).transpose(1, 3).reshape(weight.shape)
