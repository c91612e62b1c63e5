"""How nodes act on each other: linear operators K from what nodes show to the local field h = K[g].

K[i, j] is the action of j on i. Nothing is divided by N or by a degree, except in `MeanField`, whose 1/N is its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, namespace, per_component
from oscillators.kernels import fast_sum, field_kernel, function_kernel, widest_vectors

TILE = 128  # receivers per tile of `Dense`: four rows of a tile and a row of h stay in the first cache


class Compiled(NamedTuple):
    """A coupling as its kernel reads it: `kernel(meta, index, weight[member], g, h)`."""

    kernel: Any
    meta: np.ndarray  # int64: sizes
    where: np.ndarray  # int32: the kernel's index
    weight: np.ndarray  # (1 or members, W) float64: how strongly


class Coupling:
    """Base of all couplings: frozen data with `field`, and a compiled spelling where speed is wanted.

    A user's coupling needs `field(g)` only: (..., node, m) -> (..., node, m), for NumPy arrays and tensors alike.
    """

    linear: ClassVar[bool] = True  # a learned one need not be

    @property
    def node_dims(self) -> tuple[str, ...]:
        """Names of the axes of the network. Here: one axis, the nodes."""
        return ("node",)

    def field(self, g: Array) -> Array:
        """Local field h_i = Σ_j K_ij g_j: (..., node, m) -> (..., node, m)."""
        raise TypeError(
            f"`{type(self).__name__}` must define field(g), but does not; see help(oscillators.Coupling) for an outline."
        )

    def check_nodes(self, nodes: tuple[int, ...]) -> None:
        """Raise unless the coupling fits a network of this shape. Here: it fits any."""

    def compiled(self, nodes: tuple[int, ...]) -> Compiled | None:
        """The compiled spelling for a network of this shape; None: the engine calls `field`."""
        return None

    def transposed(self, nodes: tuple[int, ...]) -> Compiled | None:
        """The compiled spelling of Kᵀ, through which gradients flow back; None: there is none."""
        return None

    def coords(self) -> dict[str, Any]:
        """Coordinates of the nodes that a result should carry, by name."""
        return {}


@dataclass(frozen=True)
class Dense(Coupling):
    """Any matrix: h_i = Σ_j K_ij g_j.

    Args:
        K: weights, shape (node, node), row = receiver; leading axes give every ensemble member its own matrix.
    """

    K: Array

    def __post_init__(self):
        K = checks.real_array("K", self.K)
        if K.ndim < 2 or K.shape[-1] != K.shape[-2] or 0 in K.shape:
            raise ValueError(
                f"`K` must have shape (node, node) with at least one node, but is {tuple(K.shape)}; give a square matrix, "
                "row = receiver (a single number means mean field)."
            )
        object.__setattr__(self, "K", K)

    def field(self, g):
        return self.K @ g

    def check_nodes(self, nodes):
        _same_nodes("K", self.K.shape[-1], nodes)

    def compiled(self, nodes):
        return self._packed(np.asarray(self.K, np.float64))

    def transposed(self, nodes):
        return self._packed(np.asarray(self.K, np.float64).swapaxes(-1, -2))

    def _packed(self, K: np.ndarray) -> Compiled:
        n = K.shape[-1]
        K = K.reshape(-1, n, n)
        tiles = -(-n // TILE)
        packed = _aligned_zeros((len(K), tiles, n, TILE))
        for tile in range(tiles):
            rows = K[:, tile * TILE : (tile + 1) * TILE]
            packed[:, tile, :, : rows.shape[1]] = rows.transpose(0, 2, 1)
        return Compiled(self.kernel, np.array([n], np.int64), np.empty(0, np.int32), packed.reshape(len(K), -1))

    @staticmethod
    @field_kernel
    def kernel(meta, index, weight, g, h):
        # weight: tiles of TILE receivers, each (sender, receiver). The receivers are the vector lanes, so every h_i is
        # summed over the senders in one fixed order, and a tile is read once for all rows (components, members) of g.
        rows, n = g.shape
        for tile in range((n + TILE - 1) // TILE):
            lo = tile * TILE
            width = min(TILE, n - lo)
            for q in range(rows):
                hq = h[q, lo : lo + width]
                for i in range(width):
                    hq[i] = 0.0
            for four in range(n // 4):
                j = 4 * four
                base = np.uint64((tile * n + j) * TILE)
                for q in range(0, rows - 1, 2):
                    ga, gb = g[q, j : j + 4], g[q + 1, j : j + 4]
                    _four_senders_two_rows(weight, base, ga, gb, h[q, lo : lo + width], h[q + 1, lo : lo + width])
                if rows % 2:
                    _four_senders(weight, base, g[rows - 1, j : j + 4], h[rows - 1, lo : lo + width])
            for j in range(n // 4 * 4, n):
                base = np.uint64((tile * n + j) * TILE)
                for q in range(rows):
                    hq = h[q, lo : lo + width]
                    g0 = g[q, j]
                    for i in range(width):
                        hq[i] = hq[i] + weight[base + np.uint64(i)] * g0


def _aligned_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes: a vector load then never crosses a cache line."""
    size = int(np.prod(shape))
    buffer = np.zeros(size + 7)
    start = -(buffer.ctypes.data // 8) % 8
    return buffer[start : start + size].reshape(shape)


# The two inner loops of Dense.kernel. As functions of their own they keep the check that their arrays do not overlap
# inside, where it succeeds; hoisted over all rows it would fail and leave scalar code.


@function_kernel
def _four_senders(weight, base, g, h):
    """h_i += Σ of four senders, in this order."""
    g0, g1, g2, g3 = g[0], g[1], g[2], g[3]
    for i in range(len(h)):
        o = base + np.uint64(i)
        two = (h[i] + weight[o] * g0) + weight[o + np.uint64(TILE)] * g1
        h[i] = (two + weight[o + np.uint64(2 * TILE)] * g2) + weight[o + np.uint64(3 * TILE)] * g3


@function_kernel
def _four_senders_two_rows(weight, base, g, f, h, k):
    """The same for two rows at once: every weight is loaded once."""
    widest_vectors()
    g0, g1, g2, g3 = g[0], g[1], g[2], g[3]
    f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
    for i in range(len(h)):
        o = base + np.uint64(i)
        w0, w1 = weight[o], weight[o + np.uint64(TILE)]
        w2, w3 = weight[o + np.uint64(2 * TILE)], weight[o + np.uint64(3 * TILE)]
        h[i] = (((h[i] + w0 * g0) + w1 * g1) + w2 * g2) + w3 * g3
        k[i] = (((k[i] + w0 * f0) + w1 * f1) + w2 * f2) + w3 * f3


@dataclass(frozen=True)
class MeanField(Coupling):
    """All to all with one strength: h_i = (strength_i / N) Σ_j g_j.

    Args:
        strength: broadcasts to (..., node): one number, one per receiver, or shape (run, 1) for one per ensemble member.
    """

    strength: Array

    def __post_init__(self):
        object.__setattr__(self, "strength", checks.parameter("strength", self.strength))

    def field(self, g):
        xp = namespace(g)
        return per_component(self.strength) * xp.mean(g, axis=-2, keepdims=True) + xp.zeros_like(g)

    def check_nodes(self, nodes):
        if np.ndim(self.strength):
            checks.broadcastable("strength", self.strength, (*self.strength.shape[:-1], *nodes), "(..., node)")

    def compiled(self, nodes):
        weight = np.asarray(self.strength, np.float64) / nodes[0]
        weight = np.ascontiguousarray(weight.reshape(-1, weight.shape[-1] if weight.ndim else 1))
        return Compiled(self.kernel, np.empty(0, np.int64), np.empty(0, np.int32), weight)

    @staticmethod
    @field_kernel
    def kernel(meta, index, weight, g, h):
        n = g.shape[1]
        for q in range(g.shape[0]):
            gq, hq = g[q], h[q]
            total = fast_sum(gq)
            if len(weight) == 1:
                one = weight[0] * total
                for i in range(n):
                    hq[i] = one
            else:
                for i in range(n):
                    hq[i] = weight[i] * total

    def transposed(self, nodes):
        return self.compiled(nodes)._replace(kernel=self.gather)

    @staticmethod
    @field_kernel
    def gather(meta, index, weight, g, h):
        n = g.shape[1]
        for q in range(g.shape[0]):
            gq, hq, total = g[q], h[q], 0.0
            if len(weight) == 1:
                total = weight[0] * fast_sum(gq)
            else:
                for i in range(n):
                    total += weight[i] * gq[i]
            for i in range(n):
                hq[i] = total


@dataclass(frozen=True)
class Diffusive(Coupling):
    """Coupling by differences: h_i = Σ_j K_ij (g_j - g_i).

    Args:
        coupling: anything `as_coupling` takes. Around a `Delayed` one the sender is delayed and the receiver is not.
    """

    coupling: Any

    def __post_init__(self):
        coupling = as_coupling(self.coupling)
        if isinstance(coupling, Diffusive):
            raise ValueError(
                "`coupling` must not be Diffusive already, but is; write Diffusive(K) once: the differences of differences "
                "vanish or repeat."
            )
        if not getattr(coupling, "coupling", coupling).linear:  # of a delayed one, what is delayed
            raise ValueError(
                "`coupling` must be linear to couple differences, but is a module; let the module itself subtract what it "
                "compares."
            )
        object.__setattr__(self, "coupling", coupling)

    @property
    def node_dims(self):
        return self.coupling.node_dims

    def field(self, g):
        return self.coupling.field(g) - self.degree(g) * g

    def degree(self, g):
        """Row sums Σ_j K_ij, (..., node, 1): the field of a network in which every node shows 1."""
        return self.coupling.field(namespace(g).ones_like(g[..., :1]))

    def check_nodes(self, nodes):
        self.coupling.check_nodes(nodes)

    def coords(self):
        return self.coupling.coords()


def as_coupling(K: Any) -> Coupling:
    """A coupling from what people have: a number, a matrix, a sparse matrix, a graph, or a coupling.

    Args:
        K: number -> `MeanField` (K/N); array (node, node) -> `Dense`; scipy.sparse -> `Edges`; networkx graph ->
            `Edges` with edge attribute `weight` (1 where absent), `Delayed` by the attribute `delay` if there is one;
            torch module -> `Learned`, whose field is what the module returns.
            An edge u -> v of a directed graph means that u acts on v, K[v, u].
    """
    from oscillators.edges import from_graph, from_sparse  # both modules name each other; the cycle is cut here

    if isinstance(K, Coupling):
        return K
    if hasattr(K, "named_parameters") and not isinstance(K, type):  # a torch module; torch itself is not needed to tell
        from oscillators.learned import Learned  # torch loads only where it is in use already

        return Learned(K)
    if hasattr(K, "tocoo"):  # before the next line: one of SciPy's formats is a dict
        return from_sparse(K)
    if isinstance(K, str | bytes | dict) or K is None or callable(K):
        raise TypeError(
            f"`coupling` must be a number, matrix, graph or coupling, but is {checks.shown(K)}; write for example "
            "MeanField(2.0)."
        )
    if hasattr(K, "nodes") and hasattr(K, "edges"):
        return from_graph(K)
    K = checks.real_array("K", K)
    return MeanField(K) if K.ndim == 0 else Dense(K)


def _same_nodes(name: str, have: int, nodes: tuple[int, ...]) -> None:
    if nodes != (have,):
        raise ValueError(
            f"`{name}` must couple the {' x '.join(map(str, nodes))} nodes of `x0`, but couples {have}; "
            "check the last axes of `x0` (states: (..., node), sphere (..., node, n), second order (..., node, 2))."
        )
