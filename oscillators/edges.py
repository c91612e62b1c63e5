"""Sparse couplings: a list of weighted links, from a graph or a sparse matrix."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import like, namespace
from oscillators.coupling import Compiled, Coupling, _same_nodes
from oscillators.kernels import field_kernel


@dataclass(frozen=True)
class Edges(Coupling):
    """Links with weights: h_i = Σ over links e that end at i of weight_e g_source(e).

    Args:
        source, target: node numbers of each link, shape (E,). Parallel links add up.
        weight: shape (E,), or (..., E) with one set of weights per ensemble member.
        nodes: number of nodes N.
        node_coords: coordinates that results carry, name -> (N,) values; `node` holds the labels.
    """

    source: Any
    target: Any
    weight: Any
    nodes: int
    node_coords: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if not isinstance(self.nodes, int | np.integer) or isinstance(self.nodes, bool):
            raise TypeError(f"`nodes` must be a whole number, but is {checks.shown(self.nodes)}; pass int(nodes).")
        if self.nodes < 1:
            raise ValueError(
                f"`nodes` must be at least 1, but is {self.nodes}; an empty network has no motion, add nodes."
            )
        ends = [_node_numbers(name, getattr(self, name), self.nodes) for name in ("source", "target")]
        weight = checks.real_array("weight", self.weight)
        if not ends[0].shape == ends[1].shape == tuple(weight.shape[-1:]):
            raise ValueError(
                "`source`, `target` and `weight` must have one entry per link, but have shapes "
                f"{ends[0].shape}, {ends[1].shape} and {tuple(weight.shape)}; for equal weights write "
                "np.full(len(source), weight)."
            )
        coords = {name: _coordinate(name, value, self.nodes) for name, value in self.node_coords.items()}
        for name, value in (("source", ends[0]), ("target", ends[1]), ("weight", weight), ("node_coords", coords)):
            object.__setattr__(self, name, value)

    def field(self, g):
        xp = namespace(g, self.weight)
        sent = like(self.weight, g)[..., None] * g[..., self.source, :]
        shape = (*sent.shape[:-2], self.nodes, sent.shape[-1])
        if xp is not namespace():
            target = xp.asarray(self.target, device=g.device)
            return xp.zeros(shape, dtype=sent.dtype, device=g.device).index_add(-2, target, sent)
        h = np.zeros(shape)
        order, starts = self.rows()
        receivers = np.flatnonzero(np.diff(starts))
        if len(receivers):
            h[..., receivers, :] = np.add.reduceat(sent[..., order, :], starts[receivers], axis=-2)
        return h

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Compressed rows: the links sorted by receiver (then sender), and where each receiver's links start."""
        order = np.lexsort((self.source, self.target))
        return order, np.searchsorted(self.target[order], np.arange(self.nodes + 1)).astype(np.int32)

    def sets(self) -> np.ndarray:
        """The weights as (members or 1, links), also when there are no links."""
        weight = np.asarray(self.weight, np.float64)
        return weight.reshape(int(np.prod(weight.shape[:-1])), weight.shape[-1])

    def check_nodes(self, nodes):
        _same_nodes("K", self.nodes, nodes)

    def coords(self):
        return self.node_coords

    def compiled(self, nodes):
        order, starts = self.rows()
        weight = self.sets()[:, order]
        where = np.concatenate([starts, self.source[order]]).astype(np.int32)
        return Compiled(self.kernel, np.array([self.nodes], np.int64), where, weight)

    def transposed(self, nodes):
        return Edges(self.target, self.source, self.weight, self.nodes).compiled(nodes)

    @staticmethod
    @field_kernel
    def kernel(meta, index, weight, g, h):
        # Unsigned indices spare the test for negative ones, which would cost as much as the sum.
        rows, n = g.shape
        source = index[n + 1 :]
        for pair in range(rows // 2):
            g0, g1, h0, h1 = g[2 * pair], g[2 * pair + 1], h[2 * pair], h[2 * pair + 1]
            e = np.uint64(0)
            for i in range(n):
                end, a, b = np.uint64(index[i + 1]), 0.0, 0.0
                while e < end:
                    j, w = np.uint64(source[e]), weight[e]
                    a += w * g0[j]
                    b += w * g1[j]
                    e += np.uint64(1)
                h0[i], h1[i] = a, b
        if rows % 2:
            g0, h0, e = g[rows - 1], h[rows - 1], np.uint64(0)
            for i in range(n):
                end, a = np.uint64(index[i + 1]), 0.0
                while e < end:
                    a += weight[e] * g0[np.uint64(source[e])]
                    e += np.uint64(1)
                h0[i] = a


def from_sparse(matrix: Any) -> Edges:
    """Links from a scipy.sparse matrix K[receiver, sender]; explicit zeros stay links."""
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"`K` must have shape (node, node), but is {tuple(matrix.shape)}; give a square matrix, row = receiver."
        )
    coo = matrix.tocoo()
    return Edges(coo.col, coo.row, coo.data, matrix.shape[0])


def from_graph(graph: Any) -> Coupling:
    """Links from a networkx graph, in the order of its nodes; with delays if its edges have the attribute `delay`."""
    labels = list(graph.nodes)
    _check_node_order(labels)
    number = {label: i for i, label in enumerate(labels)}
    links = [(number[u], number[v], data) for u, v, data in graph.edges(data=True)]
    if not graph.is_directed():
        links += [(v, u, data) for u, v, data in links if u != v]
    source, target = [u for u, _, _ in links], [v for _, v, _ in links]
    edges = Edges(source, target, _edge_values(links, "weight", 1.0, labels), len(labels), _node_coords(graph, labels))
    if not any("delay" in data for _, _, data in links):
        return edges
    from oscillators.delayed import Delayed

    return Delayed(edges, _edge_values(links, "delay", None, labels))


def _edge_values(links: list, name: str, default: float | None, labels: list) -> np.ndarray:
    values = []
    for u, v, data in links:
        value = data.get(name, default)
        if name in data and value is None:
            raise ValueError(
                f"`{name}` must be a number, but is None on the edge ({labels[u]!r}, {labels[v]!r}); set it, or drop the "
                "attribute."
            )
        if value is None:
            raise ValueError(
                f"`{name}` must be set on every edge if it is on one, but is None on ({labels[u]!r}, {labels[v]!r}); set it "
                "with networkx.set_edge_attributes."
            )
        if not isinstance(value, Real):
            raise TypeError(
                f"`{name}` must be a real number on every edge, but is {checks.shown(value)} on ({labels[u]!r}, "
                f"{labels[v]!r}); convert it with float()."
            )
        number = float(value)
        if not np.isfinite(number) or (name == "delay" and number < 0):
            raise ValueError(
                f"`{name}` must be finite{' and not negative' * (name == 'delay')} on every edge, but is {value} on "
                f"({labels[u]!r}, {labels[v]!r}); clean the graph."
            )
        values.append(number)
    return np.array(values)


def _check_node_order(labels: list) -> None:
    numbers = all(isinstance(label, int | np.integer) for label in labels)
    if numbers and labels != sorted(labels) and sorted(labels) == list(range(len(labels))):
        raise ValueError(
            f"`graph` must list its nodes 0 ... {len(labels) - 1} in this order, but lists them as {labels[:4]} ... (which is "
            "node 0 of `x0`?); relabel with networkx.convert_node_labels_to_integers(G, ordering='sorted')."
        )


def _node_coords(graph: Any, labels: list) -> dict[str, Any]:
    """Labels, and every attribute that all nodes have as a number or a word."""
    coords: dict[str, Any] = {}
    if labels != list(range(len(labels))):
        plain = all(isinstance(label, int | np.integer) for label in labels)
        coords["node"] = np.array(labels) if plain else np.array([str(label) for label in labels])
    data = [graph.nodes[label] for label in labels]
    for name in data[0] if data else ():
        values = [d.get(name) for d in data]
        if name not in ("node", "time", "run") and (_all_are(values, str) or _all_are(values, int | float)):
            coords[str(name)] = ("node", np.array(values))
    return coords


def _all_are(values: list, kinds: Any) -> bool:
    return all(isinstance(v, kinds) for v in values)


def _coordinate(name: str, values: Any, nodes: int) -> Any:
    """Values along the nodes, as xarray takes them."""
    bare = values[1] if isinstance(values, tuple) and len(values) == 2 and values[0] == "node" else values
    if np.shape(bare) != (nodes,):
        raise ValueError(
            f"`node_coords[{name!r}]` must have shape ({nodes},), but has {np.shape(bare)}; give one value per node."
        )
    return np.asarray(bare) if name == "node" else ("node", np.asarray(bare))


def _node_numbers(name: str, values: Any, nodes: int) -> np.ndarray:
    numbers = checks.real_array(name, checks.plain(values) if hasattr(values, "dtype") else values)
    if numbers.ndim != 1:
        raise ValueError(f"`{name}` must be a list of node numbers, but has shape {numbers.shape}; give one per link.")
    wrong = (numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= nodes)
    if wrong.any():
        raise ValueError(
            f"`{name}` must list node numbers from 0 to {nodes - 1}, but has {numbers[wrong][0]:g}; nodes count from 0."
        )
    return numbers.astype(np.int32)
