"""How the oscillators of a sheet act on each other: linear maps whose weights are learned.

Nodes are flat, (..., node). Every map is also a list of links, from which the compiled scan, the dense matrix and the core's
coupling are made. Kernels on lattices are in `neural.waves.local`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from oscillators import Dense, Edges, as_coupling
from oscillators.coupling import Coupling


class Links(NamedTuple):
    """Who acts on whom: receiver i has the links start[i] ... start[i + 1], each from a sender with one of the weights."""

    start: np.ndarray  # (N + 1,) int32
    sender: np.ndarray  # (L,) int32
    which: np.ndarray  # (L,) int32

    @property
    def receiver(self) -> np.ndarray:
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def back(self, senders: int) -> Links:
        """The same links from receiver to sender."""
        order = np.argsort(self.sender, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(self.sender, minlength=senders))])
        return Links.of(start, self.receiver[order], self.which[order])

    def beside(self, other: Links, senders: int, weights: int) -> Links:
        """These links and others to the same receivers, whose senders and weights are counted after so many."""
        order = np.argsort(np.concatenate([self.receiver, other.receiver]), kind="stable")
        sender, which = (
            np.concatenate(pair)[order]
            for pair in ((self.sender, other.sender + senders), (self.which, other.which + weights))
        )
        return Links.of(self.start + other.start, sender, which)

    @staticmethod
    def none(nodes: int) -> Links:
        return Links.of(np.zeros(nodes + 1), np.zeros(0), np.zeros(0))

    @staticmethod
    def of(start: Any, sender: Any, which: Any) -> Links:
        return Links(*(np.ascontiguousarray(part, np.int32) for part in (start, sender, which)))


class Connectivity(nn.Module, ABC):
    """Base: h_i = Σ over links l that end at i of w_l x_sender(l), and a bias that is no part of the map.

    Args:
        nodes: receivers N.
        links: by number of the weight; None: of `AllToAll`, which needs none.
        senders: of the map, if they are others than the receivers.
    """

    bias: nn.Parameter | None
    table: Tensor  # (3, L), the links as they are on the device of the weights: receiver, sender, weight

    def __init__(self, nodes: int, links: Links | None, senders: int | None = None):
        super().__init__()
        if nodes < 1:
            raise ValueError(f"`nodes` must be at least 1, but is {nodes}; a map leads from somewhere to somewhere.")
        self.register_parameter("bias", None)
        self.nodes, self.senders = nodes, nodes if senders is None else senders
        if links is not None:
            self.links = links
            table = torch.as_tensor(np.stack([links.receiver, links.sender, links.which])).long()
            self.register_buffer("table", table, persistent=False)

    @abstractmethod
    def weights(self) -> Tensor:
        """The different weights, (W,)."""

    def forward(self, x: Tensor) -> Tensor:
        """h without the bias: (..., senders) -> (..., N)."""
        receiver, sender, which = self.table
        sent = self.weights()[which] * x[..., sender]
        return x.new_zeros(*x.shape[:-1], self.nodes).index_add(-1, receiver, sent)

    def offset(self) -> Tensor | None:
        """The bias at every node, (N,)."""
        return self.bias

    def matrix(self) -> Tensor:
        """The map as a matrix, (N, senders)."""
        weights, (receiver, sender, which) = self.weights(), self.table
        flat = weights.new_zeros(self.nodes * self.senders)
        flat = flat.index_add(0, receiver * self.senders + sender, weights[which])
        return flat.view(self.nodes, self.senders)

    def coupling(self) -> Coupling:
        """The same map as a coupling of the core, on flat nodes."""
        return Edges(self.links.sender, self.links.receiver, self.weights()[self.table[2]], self.nodes)

    def norm(self) -> float:
        """An upper bound of the spectral norm: √(largest column sum · largest row sum) of |K|."""
        size = self.weights().detach().abs().cpu().double().numpy()[self.links.which]
        rows = np.bincount(self.links.receiver, size, self.nodes)
        columns = np.bincount(self.links.sender, size, self.senders)
        return float(np.sqrt(rows.max(initial=0) * columns.max(initial=0)))


class AllToAll(Connectivity):
    """Any matrix: h = K x. weight: (N, N), row = receiver."""

    def __init__(self, nodes: int, bias: bool = False):
        super().__init__(nodes, None)
        self.weight = uniform((nodes, nodes), nodes)
        self.bias = uniform((nodes,), nodes) if bias else None

    def weights(self) -> Tensor:
        return self.weight.flatten()

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight)

    def matrix(self) -> Tensor:
        return self.weight

    def coupling(self) -> Coupling:
        return Dense(self.weight)

    def norm(self) -> float:
        return float(torch.linalg.matrix_norm(self.weight.detach(), 2))


class Diagonal(Connectivity):
    """Every node acts on itself: h_i = w_i x_i. weight: (N,), or (1,) for all."""

    def __init__(self, nodes: int, shared: bool = False):
        which = np.arange(nodes) * (not shared)
        super().__init__(nodes, Links.of(np.arange(nodes + 1), np.arange(nodes), which))
        self.weight = nn.Parameter(torch.ones(1 if shared else nodes))

    def weights(self) -> Tensor:
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class Sparse(Connectivity):
    """The links of a graph or sparse matrix: whatever `oscillators.as_coupling` turns into `Edges`. weight: (E,)."""

    def __init__(self, graph: Any):
        edges = as_coupling(graph)
        if not isinstance(edges, Edges):
            raise TypeError(
                f"`graph` must be a graph, a sparse matrix or Edges, but is "
                f"{type(edges).__name__}; without delays, or as AllToAll or Diagonal."
            )
        if len(edges.sets()) > 1:
            raise ValueError(
                f"`graph` must have one weight for each link, but has {len(edges.sets())}; pass those of one run."
            )
        order, start = edges.rows()
        super().__init__(edges.nodes, Links.of(start, edges.source[order], np.arange(len(order))))
        self.weight = nn.Parameter(torch.as_tensor(edges.sets()[0][order], dtype=torch.get_default_dtype()))

    def weights(self) -> Tensor:
        return self.weight


def uniform(shape: Sequence[int], fan_in: int) -> nn.Parameter:
    """Weights in ±1/√fan_in, as torch's linear layers have them."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(tuple(shape)).uniform_(-bound, bound))
