"""How nodes act on each other: linear operators K from what nodes show to the local field h = K[g].

K[i, j] is the action of j on i. Nothing is divided by N or by a degree, except in `MeanField`, whose 1/N is its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, namespace, per_component
from oscillators.kernels import fast_sum, field_kernel
from oscillators.products import panels, rows_product


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
        return _product(np.asarray(self.K, np.float64))

    def transposed(self, nodes):
        return _product(np.asarray(self.K, np.float64).swapaxes(-1, -2))


def _product(K: np.ndarray) -> Compiled:
    weight = panels(K.reshape(-1, *K.shape[-2:]))
    return Compiled(rows_product, np.empty(0, np.int64), np.empty(0, np.int32), weight)


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
