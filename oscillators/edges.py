"""Sparse couplings: a list of weighted links, from a graph or a sparse matrix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import namespace
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
        if self.nodes < 1:
            raise ValueError(f"`nodes` must be at least 1, but is {self.nodes}: the network is empty.")
        ends = [_node_numbers(name, getattr(self, name), self.nodes) for name in ("source", "target")]
        weight = checks.real_array("weight", self.weight)
        if not ends[0].shape == ends[1].shape == tuple(weight.shape[-1:]):
            raise ValueError(
                "`source`, `target` and `weight` must have one entry per link, but have shapes "
                f"{ends[0].shape}, {ends[1].shape} and {tuple(weight.shape)}."
            )
        for name, value in (("source", ends[0]), ("target", ends[1]), ("weight", weight)):
            object.__setattr__(self, name, value)

    def field(self, g):
        xp = namespace(g, self.weight)
        sent = xp.asarray(self.weight)[..., None] * g[..., self.source, :]
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

    def check_nodes(self, nodes):
        _same_nodes("K", self.nodes, nodes)

    def coords(self):
        return self.node_coords

    def compiled(self, nodes):
        order, starts = self.rows()
        weight = np.asarray(self.weight, np.float64).reshape(-1, len(order))[:, order]
        where = np.concatenate([starts, self.source[order]]).astype(np.int32)
        return Compiled(self.kernel, np.array([self.nodes], np.int64), where, weight)

    @staticmethod
    @field_kernel
    def kernel(meta, index, weight, g, h):
        rows, n = g.shape
        source = index[n + 1 :]
        for pair in range(rows // 2):
            g0, g1, h0, h1 = g[2 * pair], g[2 * pair + 1], h[2 * pair], h[2 * pair + 1]
            for i in range(n):
                a = b = 0.0
                for e in range(index[i], index[i + 1]):
                    j = source[e]
                    a += weight[e] * g0[j]
                    b += weight[e] * g1[j]
                h0[i], h1[i] = a, b
        if rows % 2:
            g0, h0 = g[rows - 1], h[rows - 1]
            for i in range(n):
                a = 0.0
                for e in range(index[i], index[i + 1]):
                    a += weight[e] * g0[source[e]]
                h0[i] = a


def from_sparse(matrix: Any) -> Edges:
    """Links from a scipy.sparse matrix K[receiver, sender]; explicit zeros stay links."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"`K` must be square, but has shape {matrix.shape}.")
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
        if value is None:
            raise ValueError(
                f"every edge of the graph must have the attribute `{name}` if one has, but edge "
                f"({labels[u]!r}, {labels[v]!r}) has none; set it with networkx.set_edge_attributes."
            )
        if not np.isfinite(value):
            raise ValueError(
                f"`{name}` must be finite on every edge, but is {value} on ({labels[u]!r}, {labels[v]!r}); clean the graph."
            )
        values.append(float(value))
    return np.array(values)


def _check_node_order(labels: list) -> None:
    numbers = all(isinstance(label, int | np.integer) for label in labels)
    if numbers and labels != sorted(labels) and sorted(labels) == list(range(len(labels))):
        raise ValueError(
            f"the node order of the graph is ambiguous: its nodes are 0 ... {len(labels) - 1}, but it lists them as "
            f"{labels[:4]} ...; relabel with networkx.convert_node_labels_to_integers(G, ordering='sorted'), or build "
            "the graph from sorted nodes."
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


def _node_numbers(name: str, values: Any, nodes: int) -> np.ndarray:
    numbers = np.asarray(values)
    if numbers.size == 0:
        return np.empty(0, np.int32)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= nodes:
        raise ValueError(
            f"`{name}` must list node numbers from 0 to {nodes - 1}, but has shape {numbers.shape}, dtype "
            f"{numbers.dtype} and range {numbers.min()} ... {numbers.max()}."
        )
    return numbers.astype(np.int32)
