"""How the oscillators of a sheet act on each other: linear maps whose weights are learned.

Nodes are flat, (..., node); on a lattice they count (channel, row, column) in row-major order. Every map is also a list of
links, from which the compiled scan, the dense matrix and the core's coupling are made.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from oscillators import Dense, Edges, Stencil, checks
from oscillators.coupling import Coupling

Sharing = Literal["shared", "separate", "mixed"]


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
        senders: of the map, if they are others than the receivers.
    """

    bias: nn.Parameter | None

    def __init__(self, nodes: int, senders: int | None = None):
        super().__init__()
        self.register_parameter("bias", None)
        self.nodes, self.senders = nodes, nodes if senders is None else senders

    @abstractmethod
    def weights(self) -> Tensor:
        """The different weights, (W,)."""

    @abstractmethod
    def find_links(self) -> Links:
        """The links, by number of the weight."""

    @cached_property
    def links(self) -> Links:
        return Links.of(*self.find_links())

    def forward(self, x: Tensor) -> Tensor:
        """h without the bias: (..., senders) -> (..., N)."""
        _, sender, which = (torch.as_tensor(part, device=x.device) for part in self.links)
        receiver = torch.as_tensor(self.links.receiver, device=x.device)
        sent = self.weights()[which] * x[..., sender]
        return x.new_zeros(*x.shape[:-1], self.nodes).index_add(-1, receiver, sent)

    def offset(self) -> Tensor | None:
        """The bias at every node, (N,)."""
        return self.bias

    def matrix(self) -> Tensor:
        """The map as a matrix, (N, senders)."""
        weights = self.weights()
        _, sender, which = (torch.as_tensor(part, device=weights.device, dtype=torch.long) for part in self.links)
        place = torch.as_tensor(self.links.receiver, device=weights.device) * self.senders + sender
        flat = weights.new_zeros(self.nodes * self.senders).index_add(0, place, weights[which])
        return flat.view(self.nodes, self.senders)

    def coupling(self) -> Coupling:
        """The same map as a coupling of the core, on flat nodes."""
        _, sender, which = self.links
        return Edges(sender, self.links.receiver, self.weights()[torch.as_tensor(which).long()], self.nodes)

    def norm(self) -> float:
        """An upper bound of the spectral norm: √(largest column sum · largest row sum) of |K|."""
        size = self.weights().detach().abs().cpu().double().numpy()[self.links.which]
        rows = np.bincount(self.links.receiver, size, self.nodes)
        columns = np.bincount(self.links.sender, size, self.senders)
        return float(np.sqrt(rows.max(initial=0) * columns.max(initial=0)))


class AllToAll(Connectivity):
    """Any matrix: h = K x. weight: (N, N), row = receiver."""

    def __init__(self, nodes: int, bias: bool = False):
        super().__init__(nodes)
        self.weight = uniform((nodes, nodes), nodes)
        self.bias = uniform((nodes,), nodes) if bias else None

    def weights(self) -> Tensor:
        return self.weight.flatten()

    def find_links(self) -> Links:
        N = self.nodes
        return Links(np.arange(N + 1) * N, np.tile(np.arange(N), N), np.arange(N * N))

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
        super().__init__(nodes)
        self.weight = nn.Parameter(torch.ones(1 if shared else nodes))

    def weights(self) -> Tensor:
        return self.weight

    def find_links(self) -> Links:
        N = self.nodes
        return Links(np.arange(N + 1), np.arange(N), np.arange(N) % len(self.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class Sparse(Connectivity):
    """The links of a graph or matrix: whatever `oscillators.as_coupling` turns into `Edges`. weight: (E,)."""

    def __init__(self, edges: Edges):
        super().__init__(edges.nodes)
        order, start = edges.rows()
        self._found = Links(start, edges.source[order], np.arange(len(order)))
        self.weight = nn.Parameter(torch.as_tensor(edges.sets()[0][order], dtype=torch.get_default_dtype()))

    def weights(self) -> Tensor:
        return self.weight

    def find_links(self) -> Links:
        return self._found


class Local(Connectivity):
    """The same kernel everywhere on rings or a torus (a cross-correlation), as the core's periodic `Stencil`.

        h[o, i] = Σ_c Σ_s w[o, c, s] x[c, i + s - centre]

    Args:
        lattice: (C, length): C rings, or (C, height, width): C tori.
        size: taps along each axis, odd and no more than the lattice has.
        sharing: "shared": weight (1, 1, *size), the same in every channel; "separate": (C, 1, *size), one per channel;
            "mixed": (C, inputs, *size), every channel acts on every other.
        inputs: channels of the sender, if "mixed". Here: C.
        bias: whether there is one, (channels of the weight,).

    Source: Keller and Welling 2023; Keller et al. 2024.
    """

    def __init__(
        self,
        lattice: Sequence[int],
        size: int | Sequence[int] = 3,
        sharing: Sharing = "shared",
        inputs: int | None = None,
        bias: bool = False,
    ):
        self.lattice = tuple(lattice)
        self.size = taps(self.lattice, size)
        checks.one_of("sharing", sharing, ("shared", "separate", "mixed"))
        C, space = self.lattice[0], math.prod(self.lattice[1:])
        self.inputs = C if inputs is None or sharing != "mixed" else inputs
        super().__init__(C * space, self.inputs * space)
        self.sharing = sharing
        self.groups = {"shared": (1, 1), "separate": (C, 1), "mixed": (C, self.inputs)}[sharing]
        fan_in = self.groups[1] * math.prod(self.size)
        self.weight = uniform(self.weight_shape(), fan_in)
        self.bias = uniform(self.bias_shape(), fan_in) if bias else None

    def weight_shape(self) -> tuple[int, ...]:
        return (*self.groups, *self.size)

    def bias_shape(self) -> tuple[int, ...]:
        return self.groups[:1]

    def kernel(self) -> Tensor:
        """(C or 1, inputs or 1, *size)."""
        return self.weight

    def weights(self) -> Tensor:
        return self.kernel().flatten()

    def find_links(self) -> Links:
        return self._links(np.arange(math.prod((*self.groups, *self.size))).reshape(*self.groups, 1, -1))

    def _links(self, which: np.ndarray) -> Links:
        """which: number of the weight, (C or 1, inputs or 1, site or 1, tap)."""
        C, near = self.lattice[0], neighbours(self.lattice[1:], self.size)
        own = np.arange(C)[:, None] if self.sharing != "mixed" else np.arange(self.inputs)[None, :]
        sender = own[..., None, None] * len(near) + near  # (C or 1, inputs or 1, site, tap)
        full = (C, self.groups[1], *near.shape)
        start = np.arange(self.nodes + 1) * self.groups[1] * near.shape[1]
        sender, which = (np.broadcast_to(part, full).swapaxes(1, 2).ravel() for part in (sender, which))
        return Links(start, sender, which)

    def offset(self) -> Tensor | None:
        if self.bias is None:
            return None
        whole = self.bias.view(*self.bias.shape, *(1,) * (len(self.lattice) - self.bias.ndim))
        return whole.expand(self.lattice).flatten()

    def forward(self, x: Tensor) -> Tensor:
        axes = len(self.size)
        maps = x.reshape(-1, self.inputs, *self.lattice[1:])
        maps = maps.flatten(0, 1)[:, None] if self.sharing == "shared" else maps
        maps = functional.pad(maps, [k // 2 for k in reversed(self.size) for _ in range(2)], mode="circular")
        convolve = functional.conv1d if axes == 1 else functional.conv2d
        groups = self.lattice[0] if self.sharing == "separate" else 1
        return convolve(maps, self.kernel(), groups=groups).reshape(*x.shape[:-1], self.nodes)

    def coupling(self) -> Coupling:
        """The core's stencil, on nodes (channel, *lattice), or on the bare lattice if there is one channel."""
        kernel = self.kernel()
        if self.lattice[0] == 1:
            return Stencil(kernel[0, 0])
        if self.sharing != "mixed":
            own = torch.eye(self.lattice[0], dtype=kernel.dtype, device=kernel.device)
            kernel = own.view(*own.shape, *(1,) * len(self.size)) * kernel
        return Stencil(kernel)

    def symbol(self) -> Tensor:
        """ŵ(k) = Σ_a w_a exp(ik·(a - centre)) at the wave numbers of `torch.fft.fftfreq`: (C or 1, inputs or 1, *space)."""
        kernel, space = self.kernel(), self.lattice[1:]
        missing = [n - k for n, k in zip(space, self.size, strict=True)]
        whole = functional.pad(kernel, [p for gap in reversed(missing) for p in (0, gap)])
        axes = tuple(range(2, 2 + len(space)))
        return torch.fft.fftn(whole.roll([-(k // 2) for k in self.size], axes), dim=axes).conj().resolve_conj()

    def norm(self) -> float:
        """The largest |ŵ(k)|: exact, if channels do not mix."""
        if self.sharing == "mixed":
            return super().norm()
        return float(self.symbol().detach().abs().max())


class OneWay(Local):
    """Activity moves to the lower index: h_i = w x_(i + 1) on each ring. weight: (1,), or (C,) if separate."""

    def __init__(self, lattice: Sequence[int], sharing: Sharing = "shared"):
        if len(lattice) != 2 or sharing == "mixed":
            raise ValueError(
                f"`lattice` must be (C, length) and `sharing` 'shared' or 'separate', but they are {tuple(lattice)} and "
                f"{sharing!r}; use Local."
            )
        super().__init__(lattice, 3, sharing)
        self.weight = nn.Parameter(torch.ones(self.groups[0]))

    def kernel(self) -> Tensor:
        return functional.pad(self.weight[:, None, None], (2, 0))


class Untied(Local):
    """A kernel of its own at every site. weight: (C or 1, C or 1, *space, *size); bias: (C or 1, *space)."""

    def weight_shape(self) -> tuple[int, ...]:
        return (*self.groups, *self.lattice[1:], *self.size)

    def bias_shape(self) -> tuple[int, ...]:
        return (self.groups[0], *self.lattice[1:])

    def find_links(self) -> Links:
        sites, count = math.prod(self.lattice[1:]), math.prod(self.size)
        return self._links(np.arange(self.weight.numel()).reshape(*self.groups, sites, count))

    def weights(self) -> Tensor:
        return self.weight.flatten()

    forward = Connectivity.forward
    coupling = Connectivity.coupling
    norm = Connectivity.norm


def uniform(shape: Sequence[int], fan_in: int) -> nn.Parameter:
    """Weights in ±1/√fan_in, as torch's linear layers have them."""
    bound = 1 / math.sqrt(fan_in)
    return nn.Parameter(torch.empty(tuple(shape)).uniform_(-bound, bound))


def taps(lattice: tuple[int, ...], size: int | Sequence[int]) -> tuple[int, ...]:
    """The taps of a kernel along each axis of the lattice (C, *space)."""
    if len(lattice) not in (2, 3) or min(lattice) < 1:
        raise ValueError(
            f"`lattice` must be (C, length) or (C, height, width), but is {lattice}; begin with the channels."
        )
    space = lattice[1:]
    found: tuple[int, ...] = (size,) * len(space) if isinstance(size, int) else tuple(size)
    if len(found) != len(space) or any(k < 1 or k % 2 == 0 for k in found):
        raise ValueError(f"`size` must be odd along each axis of {space}, but is {size}; a kernel has a middle.")
    if any(k > n for k, n in zip(found, space, strict=True)):
        raise ValueError(
            f"`size` must not exceed the lattice {space}, but is {found}; crop the kernel or use AllToAll."
        )
    return found


def neighbours(space: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """Number of the site under each tap of the kernel on a periodic lattice: (site, tap)."""
    along = [(np.arange(n)[:, None] + np.arange(k) - k // 2) % n for n, k in zip(space, size, strict=True)]
    if len(space) == 1:
        return along[0]
    rows, columns = along
    return (rows[:, None, :, None] * space[1] + columns[None, :, None, :]).reshape(math.prod(space), -1)
