"""Every system and every coupling once, as the contract tests run them.

A new member is tested by adding it to one of the two lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse

from oscillators import (
    Coupling,
    Dense,
    Diffusive,
    Edges,
    InertialKuramoto,
    Kuramoto,
    MeanField,
    SimplicialKuramoto,
    SphereKuramoto,
    Stencil,
    StuartLandau,
    System,
    TopographicOscillators,
    Winfree,
    as_coupling,
)
from oscillators.system import law_state

N = 7  # no multiple of a vector's length: every loop has a remainder
_rng = np.random.default_rng(7)


@dataclass(frozen=True)
class SystemMember:
    """A system with random parameters and a state of N nodes."""

    name: str
    system: System
    x0: np.ndarray  # as `simulate` takes it
    turns: bool = False  # a common rotation of all nodes and fields commutes with the law
    reads_field_only: bool = True  # a node without field moves as if it were alone

    @property
    def state(self) -> np.ndarray:
        """The state in the law's shape."""
        return law_state(self.system, self.x0)

    def field(self, seed: int = 3) -> np.ndarray:
        """A random local field."""
        return np.random.default_rng(seed).normal(size=self.system.lift(self.state).shape)


def angles() -> np.ndarray:
    return _rng.uniform(-np.pi, np.pi, N)


def pairs() -> np.ndarray:
    return np.stack([angles(), _rng.normal(size=N)], axis=-1)


def vectors(n: int) -> np.ndarray:
    x = _rng.normal(size=(N, n))
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def amplitudes() -> np.ndarray:
    return _rng.normal(size=N) + 1j * _rng.normal(size=N)


def rotations(*shape: int) -> np.ndarray:
    R = _rng.normal(size=shape)
    return R - R.swapaxes(-1, -2)


def each(low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """One random number per node."""
    return _rng.uniform(low, high, N)


TRIANGLES = np.array([[0, 1, 2], [2, 1, 3], [6, 0, 4], [5, 3, 6]])

SYSTEMS = [
    SystemMember("Kuramoto", Kuramoto(each()), angles(), turns=True),
    SystemMember("Kuramoto, one frequency", Kuramoto(0.3), angles(), turns=True),
    SystemMember("Kuramoto, lag", Kuramoto(each(), 0.4), angles(), turns=True),
    SystemMember("Kuramoto, lag per node", Kuramoto(0.3, each()), angles(), turns=True),
    SystemMember("InertialKuramoto", InertialKuramoto(each()), pairs(), turns=True),
    SystemMember(
        "InertialKuramoto, per node", InertialKuramoto(each(), each(0.5, 2.0), each(0.0, 1.0)), pairs(), turns=True
    ),
    SystemMember("Winfree", Winfree(each()), angles()),
    SystemMember("Winfree, one frequency", Winfree(0.3), angles()),
    SystemMember("SimplicialKuramoto", SimplicialKuramoto(each(), 1.3), angles(), turns=True, reads_field_only=False),
    SystemMember(
        "SimplicialKuramoto, per node",
        SimplicialKuramoto(each(), each()),
        angles(),
        turns=True,
        reads_field_only=False,
    ),
    SystemMember(
        "SimplicialKuramoto, triangles",
        SimplicialKuramoto(each(), 1.3, TRIANGLES),
        angles(),
        turns=True,
        reads_field_only=False,
    ),
    SystemMember(
        "SimplicialKuramoto, triangles per node",
        SimplicialKuramoto(0.3, each(), TRIANGLES),
        angles(),
        turns=True,
        reads_field_only=False,
    ),
    SystemMember("SphereKuramoto, n = 2", SphereKuramoto(), vectors(2), turns=True),
    SystemMember("SphereKuramoto, n = 3", SphereKuramoto(), vectors(3), turns=True),
    SystemMember("SphereKuramoto, n = 8", SphereKuramoto(), vectors(8), turns=True),
    SystemMember("SphereKuramoto, n = 2, rotation", SphereKuramoto(rotations(N, 2, 2)), vectors(2), turns=True),
    SystemMember("SphereKuramoto, one rotation", SphereKuramoto(rotations(3, 3)), vectors(3)),
    SystemMember("SphereKuramoto, rotations", SphereKuramoto(rotations(N, 4, 4)), vectors(4)),
    SystemMember("StuartLandau", StuartLandau(1.1, each()), amplitudes(), turns=True),
    SystemMember("StuartLandau, shear", StuartLandau(each(), 0.7, each()), amplitudes(), turns=True),
    SystemMember("TopographicOscillators", TopographicOscillators(0.8, 0.2), pairs()),
    SystemMember("TopographicOscillators, per node", TopographicOscillators(each(0.5, 1.5), each(0.0, 0.5)), pairs()),
]

# One plain variant of each class, where a test need not see every parameter.
FAMILIES = list({type(m.system): m for m in reversed(SYSTEMS)}.values())[::-1]


@dataclass(frozen=True)
class CouplingMember:
    """A coupling, the network it fits, and its matrix K[receiver, sender], built another way."""

    name: str
    coupling: Coupling
    K: np.ndarray  # (nodes, nodes) with the axes of the network flattened
    nodes: tuple[int, ...] = (N,)

    def states(self, m: int = 2, rows: tuple[int, ...] = (), seed: int = 5) -> np.ndarray:
        """Random lifted states, (*rows, *nodes, m)."""
        return np.random.default_rng(seed).normal(size=(*rows, *self.nodes, m))


def matrix(nodes: int = N) -> np.ndarray:
    return _rng.normal(size=(nodes, nodes))


def sparse_matrix(nodes: int = N, density: float = 0.4) -> np.ndarray:
    """A matrix with zeros, whose node 2 receives nothing and whose node 4 sends nothing."""
    K = np.where(_rng.uniform(size=(nodes, nodes)) < density, _rng.normal(size=(nodes, nodes)), 0.0)
    K[2, :] = K[:, 4] = 0.0
    return K


def from_matrix(name: str, build: Callable[[np.ndarray], Any], K: np.ndarray) -> CouplingMember:
    return CouplingMember(name, as_coupling(build(K)), K, (len(K),))


def digraph(K: np.ndarray) -> nx.DiGraph:
    """u -> v with weight w for every K[v, u] = w."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(K)))
    graph.add_weighted_edges_from((u, v, K[v, u]) for v, u in np.argwhere(K))
    return graph


def link_list(nodes: int = N, links: int = 30) -> CouplingMember:
    """Random links, some of them parallel or from a node to itself."""
    source, target, weight = _rng.integers(nodes, size=links), _rng.integers(nodes, size=links), _rng.normal(size=links)
    K = np.zeros((nodes, nodes))
    for j, i, w in zip(source, target, weight, strict=True):
        K[i, j] += w
    return CouplingMember("Edges, parallel links", Edges(source, target, weight, nodes), K)


def stencil(kernel: np.ndarray, boundary: str, nodes: tuple[int, ...]) -> CouplingMember:
    """A stencil beside the matrix of h[i] = Σ_s kernel[s] g[i + s - size // 2], entry by entry."""
    axes = 1 if kernel.ndim in (1, 3) else 2
    lattice, window = nodes[-axes:], kernel.shape[-axes:]
    channels = kernel.shape[0] if kernel.ndim > 2 else 1
    taps = kernel.reshape(channels, channels, *window)
    K = np.zeros((channels, *lattice, channels, *lattice))
    for o, c, *rest in np.ndindex(channels, channels, *lattice, *window):
        here, s = rest[:axes], rest[axes:]
        there = [i + a - k // 2 for i, a, k in zip(here, s, window, strict=True)]
        inside = all(0 <= j < n for j, n in zip(there, lattice, strict=True))
        if inside or boundary == "periodic":
            there = [j % n for j, n in zip(there, lattice, strict=True)]
            K[(o, *here, c, *there)] += taps[(o, c, *s)]
    size = channels * int(np.prod(lattice))
    name = f"Stencil, {'x'.join(map(str, kernel.shape))} {boundary} on {'x'.join(map(str, nodes))}"
    return CouplingMember(name, Stencil(kernel, boundary), K.reshape(size, size), nodes)


STENCILS = [
    stencil(_rng.normal(size=shape), boundary, nodes)
    for shape, nodes in [
        ((1,), (N,)),
        ((3,), (N,)),
        ((4,), (N,)),
        ((7,), (N,)),
        ((6,), (11,)),
        ((70,), (75,)),  # more taps than `field` shifts one by one: by transforms
        ((3, 3), (4, 5)),
        ((2, 5), (5, 6)),
        ((4, 4), (4, 4)),
        ((9, 8), (10, 9)),
        ((16, 17), (17, 18)),  # so many taps that the engine transforms, too
        ((2, 2, 3), (2, N)),
        ((3, 3, 2, 3), (3, 4, 5)),
        ((2, 2, 9, 8), (2, 9, 10)),
    ]
    for boundary in ("periodic", "zero")
]

_rows = each()
PLAIN = [
    CouplingMember("MeanField", MeanField(1.7), np.full((N, N), 1.7 / N)),
    CouplingMember("MeanField, per receiver", MeanField(_rows), np.repeat(_rows[:, None] / N, N, axis=1)),
    from_matrix("Dense", Dense, matrix()),
    from_matrix("Dense, one node", Dense, matrix(1)),
    from_matrix("Dense, a tile and a bit", Dense, matrix(130)),
    from_matrix("Edges, sparse matrix", scipy.sparse.csr_array, sparse_matrix()),
    from_matrix("Edges, sparse columns", scipy.sparse.csc_matrix, sparse_matrix()),
    from_matrix("Edges, directed graph", digraph, sparse_matrix()),
    from_matrix("Edges, no links", scipy.sparse.coo_array, np.zeros((N, N))),
    link_list(),
    *STENCILS,
]


def diffusive(member: CouplingMember) -> CouplingMember:
    K = member.K - np.diag(member.K.sum(axis=1))
    return CouplingMember(f"Diffusive, {member.name}", Diffusive(member.coupling), K, member.nodes)


COUPLINGS = [*PLAIN, *map(diffusive, PLAIN)]


def tensors(member: Any, dtype: Any = None) -> Any:
    """The same system or coupling with tensors for its arrays."""
    import torch

    def convert(value):
        if isinstance(value, Coupling):
            return tensors(value, dtype)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return torch.tensor(value, dtype=dtype or torch.float64)
        return value

    return replace(member, **{f.name: convert(getattr(member, f.name)) for f in fields(member) if f.init})


def names(members: list) -> list[str]:
    return [member.name for member in members]
