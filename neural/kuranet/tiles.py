"""All pairs of some nodes, a tile of them at a time: the passes over pairs from which `neural.kuranet.pairs` is made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neural.kuranet import kernels
from oscillators.tensors import memory

PAIRS = 1024  # per tile: with 128 hidden units in single precision, half a megabyte


class Tile(NamedTuple):
    """Some rows and columns of the pairs of one network."""

    at: tuple[int, slice, slice]  # network, rows, columns
    shape: tuple[int, int, int]  # rows, columns, hidden units
    start: int  # of its pairs in a list of all

    def flat(self, buffer: Tensor) -> Tensor:
        """The beginning of a buffer (any, H) as (pairs, H)."""
        return buffer[: self.shape[0] * self.shape[1]]

    def cube(self, buffer: Tensor) -> np.ndarray:
        """The beginning of a buffer (any, H) as (rows, columns, H)."""
        return self.flat(buffer).numpy().reshape(self.shape)


class Tiles:
    """The pairs of rows a (networks, n, H) and columns b (networks, k, H), and their second layer z = W φ(a_r + b_c).

    Args:
        kept: z of all pairs, (pairs, H), from an earlier pass; None: z is computed whenever it is needed.
    """

    def __init__(self, a: Tensor, b: Tensor, W: Tensor, kept: Tensor | None = None):
        self.a, self.b = memory(a, b)
        self.W, self.kept = W, kept
        self.tiles = list(_tiles(len(a), a.shape[1], b.shape[1], a.shape[2]))
        pairs, H = self.tiles[0].shape[0] * self.tiles[0].shape[1], a.shape[2]
        self.y, self.z = W.new_empty(pairs, H), W.new_empty(pairs, H)

    def first_layer(self, tile: Tile) -> None:
        """y = φ(a_r + b_c)."""
        i, rows, columns = tile.at
        kernels.first_layer(self.a[i, rows], self.b[i, columns], tile.cube(self.y))

    def second_layer(self, tile: Tile, z: Tensor) -> None:
        """z = W φ(a_r + b_c)."""
        self.first_layer(tile)
        torch.mm(tile.flat(self.y), self.W.T, out=tile.flat(z))

    def second_layers(self) -> Iterator[tuple[Tile, np.ndarray]]:
        """Each tile and its z, (rows, columns, H)."""
        for tile in self.tiles:
            if self.kept is None:
                self.second_layer(tile, self.z)
            yield tile, tile.cube(self.z if self.kept is None else self.kept[tile.start :])

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and (biased) variance of z, (H,); z is kept from now on.

        Each tile is measured about its own mean, and the tiles about theirs (Chan, Golub and LeVeque 1979).
        """
        last = self.tiles[-1]
        kept = self.W.new_empty(last.start + last.shape[0] * last.shape[1], last.shape[2])
        means, squares = self.W.new_empty(2, len(self.tiles), last.shape[2])
        for tile, mean, square in zip(self.tiles, *memory(means, squares), strict=True):
            self.second_layer(tile, kept[tile.start :])
            kernels.moments(tile.cube(kept[tile.start :]), mean, square)
        self.kept = kept
        share = self.W.new_tensor([tile.shape[0] * tile.shape[1] / len(kept) for tile in self.tiles])
        mean = share @ means
        return mean, squares.sum(0) / len(kept) + share @ (means - mean) ** 2

    def logits(self, mean: Tensor, scale: Tensor, beta: Tensor, w: Tensor) -> Tensor:
        """Z = w · φ(scale (z - mean) + β), (networks, n, k)."""
        Z = self.W.new_empty(len(self.a), self.a.shape[1], self.b.shape[1])
        *given, Z_ = memory(mean, scale, beta, w, Z)
        for tile, z in self.second_layers():
            kernels.last_layer(z, *given, Z_[tile.at])
        return Z

    def last_layer_sums(self, mean: Tensor, scale: Tensor, beta: Tensor, Z_bar: Tensor) -> tuple[Tensor, Tensor]:
        """Σ q and Σ q d over all pairs, (H,), with d = z - mean and q = φ'(scale d + β) ∂Z."""
        q, qd = self.W.new_empty(2, len(self.tiles), self.a.shape[2])
        *given, Z_bar_ = memory(mean, scale, beta, Z_bar)
        for (tile, z), q_tile, qd_tile in zip(self.second_layers(), *memory(q, qd), strict=True):
            kernels.last_layer_sums(z, *given, Z_bar_[tile.at], q_tile, qd_tile)
        return q.sum(0), qd.sum(0)

    def first_layers_bar(self, mean, scale, beta, Z_bar, along_q, along_d, level) -> tuple[Tensor, Tensor, Tensor]:
        """∂a, ∂b and ∂W from ∂z = along_q q - along_d d - level."""
        a_bar, b_bar = self.W.new_zeros(self.a.shape), self.W.new_zeros(self.b.shape)
        W_bar, y_bar = torch.zeros_like(self.W), torch.empty_like(self.y)
        a_, b_, Z_bar_, *last = memory(a_bar, b_bar, Z_bar, mean, scale, beta)
        into = memory(along_q, along_d, level)
        for tile, z in self.second_layers():
            i, rows, columns = tile.at
            kernels.second_layer_bar(z, *last, Z_bar_[tile.at], *into, tile.cube(self.z))
            self.first_layer(tile)
            W_bar.addmm_(tile.flat(self.z).T, tile.flat(self.y))
            torch.mm(tile.flat(self.z), self.W, out=tile.flat(y_bar))
            kernels.first_layer_bar(tile.cube(self.y), tile.cube(y_bar), a_[i, rows], b_[i, columns])
        return a_bar, b_bar, W_bar


def _tiles(networks: int, n: int, k: int, H: int) -> Iterator[Tile]:
    wide = min(k, PAIRS)
    high = max(1, PAIRS // wide)
    start = 0
    for i, r, c in product(range(networks), range(0, n, high), range(0, k, wide)):
        rows, columns = slice(r, min(r + high, n)), slice(c, min(c + wide, k))
        yield Tile((i, rows, columns), (rows.stop - r, columns.stop - c, H), start)
        start += (rows.stop - r) * (columns.stop - c)
