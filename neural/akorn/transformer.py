"""Baselines without oscillators: attention with shared weights (ItrSA) and Transformers, on images and on Sudoku."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn.attention import Attention
from neural.akorn.boards import check_boards
from neural.akorn.channels import on_last
from neural.akorn.parts import check_images, initialize
from neural.akorn.positions import grid_coordinates, resized, waves


class Seen(NamedTuple):
    """What a baseline on images computes: its output, and (B, height, width, ch) maps on the way."""

    output: Tensor
    features: Tensor  # after the last normalisation: what is clustered
    states: tuple[
        Tensor, ...
    ]  # of each block, after each of its T steps, (T, B, height, width, ch); empty unless asked for
    x: Tensor  # before the last normalisation


class ChannelNorm(nn.Module):
    """Mean 0 and variance 1 over the channels of a cell, then a scale and a shift; stored as (1, ch, 1, 1)."""

    def __init__(self, ch: int):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(1, ch, 1, 1)), nn.Parameter(torch.zeros(1, ch, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], self.gamma.flatten(), self.beta.flatten())


class Block(nn.Module):
    """T times x <- x + Attn(LN₁(x)) with shared weights, then x <- x + W₂ GELU(W₁ LN₂(x))."""

    def __init__(self, ch: int, mlp: int, stored_as: Literal["conv", "fc"], **attention: Any):
        super().__init__()
        norm = ChannelNorm if stored_as == "conv" else nn.LayerNorm
        self.layernorm1, self.layernorm2 = norm(ch), norm(ch)
        self.attn = Attention(ch, stored_as=stored_as, **attention)
        if stored_as == "conv":
            self.mlp = nn.Sequential(nn.Conv2d(ch, mlp, 1), nn.GELU(), nn.Conv2d(mlp, ch, 1))
        else:
            self.mlp = nn.Sequential(nn.Linear(ch, mlp), nn.GELU(), nn.Linear(mlp, ch))

    def forward(self, x: Tensor, T: int) -> tuple[Tensor, list[Tensor]]:
        """The map after the block, and after each of its steps."""
        act, bias = self.attn.prepare(tuple(x.shape[1:-1]))
        steps = []
        for _ in range(T):
            x = x + act(self.layernorm1(x)) + bias
            steps.append(x)
        first, gelu, second = self.mlp
        return x + on_last(second, gelu(on_last(first, self.layernorm2(x)))), steps


class ImageTransformer(nn.Module):
    """ItrSA (T > 1) or a vision Transformer (T = 1): patches, blocks, embedding of the maximum over patches.

    Args:
        ch, heads, mlp: channels of a patch, heads, and width of the MLP (None: 2 ch).
        blocks, T: blocks, and steps of each.
        imsize, psize: pixels along a side of the image, and of a patch.
        positions: "absolute" (a trained table) or "gta".
        outputs: length of the embedding, or number of classes; None: ch.
        rescale: whether images of another size are resized (bilinear), or run on their own grid.
        generator: source of the weights.

    Note: the published class pools by the maximum whatever it is told.
    """

    def __init__(
        self,
        ch: int = 256,
        heads: int = 8,
        blocks: int = 1,
        T: int = 8,
        *,
        mlp: int | None = None,
        imsize: int = 128,
        psize: int = 4,
        positions: Literal["absolute", "gta"] = "absolute",
        outputs: int | None = None,
        rescale: bool = True,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.T, self.imsize, self.psize, self.rescale = T, imsize, psize, rescale
        self.grid = (imsize // psize, imsize // psize)
        self.pos_embed: nn.Parameter | None = None
        if positions == "absolute":
            table = waves(grid_coordinates(self.grid), ch).T.unflatten(1, self.grid)
            self.pos_embed = nn.Parameter(table.to(torch.get_default_dtype()).contiguous())
        self.patchfy = nn.Sequential(nn.Identity(), nn.Conv2d(3, ch, psize, stride=psize))
        where = {"positions": "gta", "at": self.grid} if positions == "gta" else {}
        self.transformer_encoder = nn.ModuleList(
            Block(ch, mlp or 2 * ch, "conv", heads=heads, **where) for _ in range(blocks)
        )
        head = nn.Linear(ch, 4 * ch), nn.ReLU(), nn.Linear(4 * ch, outputs or ch)
        self.out = nn.Sequential(ChannelNorm(ch), nn.Identity(), nn.Identity(), *head)
        initialize(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Embedding or logits of images (B, 3, height, width) in [0, 1]."""
        return self.run(images).output

    def run(self, images: Tensor, *, T: int | None = None, states: bool = False) -> Seen:
        """See images in T steps per block, if not those of the network."""
        check_images(images)
        if self.rescale and images.shape[-2:] != (self.imsize, self.imsize):
            images = functional.interpolate(images, (self.imsize, self.imsize), mode="bilinear", align_corners=False)
        x = on_last(self.patchfy[1], (2 * images - 1).movedim(1, -1))
        if self.pos_embed is not None:
            table = resized(self.pos_embed.flatten(1).T, self.grid, x.shape[1:3])
            x = x + table.unflatten(0, x.shape[1:3])
        kept = []
        for block in self.transformer_encoder:
            x, steps = block(x, self.T if T is None else T)
            if states:
                kept.append(torch.stack(steps))
        features = self.out[0](x)
        return Seen(self.out[1:](features.amax((1, 2))), features, tuple(kept), x)


class SudokuTransformer(nn.Module):
    """ItrSA (one block, T = 16) or a Transformer (eight blocks, T = 1) on the cells of a board.

    Args:
        ch, heads, mlp: channels of a cell, heads, and width of the MLP (None: 2 ch).
        blocks, T: blocks, and steps of each.
        box: height and width of a box.
        positions: "absolute" (a trained table) or "gta".
        generator: source of the weights.
    """

    def __init__(
        self,
        ch: int = 512,
        heads: int = 8,
        blocks: int = 1,
        T: int = 16,
        *,
        mlp: int | None = None,
        box: tuple[int, int] = (3, 3),
        positions: Literal["absolute", "gta"] = "absolute",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.T, self.box = T, (box[0], box[1])
        size = box[0] * box[1]
        grid = (size, size)
        self.embedding = nn.Embedding(size + 1, ch)
        self.pos_embed: nn.Parameter | None = None
        if positions == "absolute":
            self.pos_embed = nn.Parameter(waves(grid_coordinates(grid), ch).to(torch.get_default_dtype()))
        where = {"positions": "gta", "at": grid} if positions == "gta" else {}
        self.transformer_encoder = nn.ModuleList(
            Block(ch, mlp or 2 * ch, "fc", heads=heads, **where) for _ in range(blocks)
        )
        self.out = nn.Sequential(nn.LayerNorm(ch), nn.Linear(ch, size))
        initialize(self, generator)

    def forward(self, boards: Tensor, *, T: int | None = None) -> Tensor:
        """Logits (B, size, size, digit) of boards (B, size, size), 0 = blank."""
        check_boards(boards, self.box)
        x = self.embedding(boards.long())
        if self.pos_embed is not None:
            x = x + self.pos_embed.view(*x.shape[1:])
        for block in self.transformer_encoder:
            x, _ = block(x, self.T if T is None else T)
        return self.out(x)
