"""Networks from files: GraphML, GEXF, GML, edge lists, and .npz archives of matrices."""

from __future__ import annotations

import csv
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import networkx as nx
import numpy as np

GRAPH_FORMATS = {".graphml": nx.read_graphml, ".gexf": nx.read_gexf, ".gml": nx.read_gml}
EDGE_LISTS = (".csv", ".edgelist", ".edges", ".tsv", ".txt")
MATRICES = ("weights", "coupling", "chemical", "K")  # names of matrices, in the order in which they are looked for
ROW_SENDS = ("chemical",)  # matrices whose row is the sender; in all others the row receives, as in K[i, j]
LENGTHS = {"lengths_mm": "mm", "length_mm": "mm", "lengths_m": "m", "length_m": "m", "lengths": "1", "length": "1"}
POSITIONS = {"centres_mm": ("x_mm", "y_mm", "z_mm"), "lonlat": ("lon", "lat")}


def read_graph(path: Any, *, directed: bool = False) -> nx.Graph:
    """A network from a file, as a networkx graph that every coupling argument takes.

    Args:
        path: one of
            .graphml, .gexf, .gml: attributes are kept as they are;
            .txt, .csv, .tsv, .edges, .edgelist: a line `u v [weight [length]]` per link, separated by blanks, commas or
            semicolons; `#` starts a comment; a first line `source target ...` names the columns (`delay`, say);
            .npz: a matrix `weights`, `coupling`, `chemical` or `K` (row = receiver, but C. elegans `chemical` row = sender),
            or a list `edges` of pairs; if present `lengths_mm` or the like, `labels`, and one value per node of anything.
            `file.npz:name` chooses the matrix, or the group `name/...`, to read.
        directed: whether the links of an edge list go one way, from u to v. The other formats say so themselves.

    Returns:
        Graph, or DiGraph where the links go one way (u -> v: u acts on v). Edge attributes `weight` and, where known,
        `length` (unit: `graph.graph["length_unit"]`); node attributes as found; `graph.name` is that of the network or the
        file. Nodes are named by their labels where these differ, and stand in the order of the archive, else sorted: by
        value if all are whole numbers, by name if not. A diagonal of a matrix is dropped, with a warning.

    Raises:
        FileNotFoundError: if there is no such file. ValueError: if it cannot be understood; says what was looked for.
    """
    path, key = _split(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file, but {str(path)!r} is none; check its name and folder.")
    suffix = path.suffix.lower()
    if key and suffix != ".npz":
        raise ValueError(
            f"`path` must end in .npz before a colon, but is '{path}:{key}'; other files hold one network."
        )
    if suffix == ".npz":
        graph = _read_npz(path, key)
    elif suffix in GRAPH_FORMATS:
        graph = _sorted(_read_graph_format(path, GRAPH_FORMATS[suffix]))
    elif suffix in EDGE_LISTS:
        graph = _sorted(_read_edge_list(path, directed))
    else:
        known = ", ".join((*GRAPH_FORMATS, *EDGE_LISTS, ".npz"))
        raise ValueError(f"`path` must end in one of {known}, but is {str(path)!r}; convert or rename it.")
    graph.name = graph.name or f"{path.stem} {key}".strip()
    if not graph.number_of_nodes():
        raise ValueError(f"{str(path)!r} must hold at least one node, but holds none; nothing can oscillate.")
    return graph


def _split(path: Any) -> tuple[Path, str]:
    """File and key: 'grids.npz:ieee39' -> ('grids.npz', 'ieee39')."""
    head, colon, key = str(path).rpartition(":")
    return (Path(head), key) if colon and Path(head).suffix else (Path(path), "")


def _read_graph_format(path: Path, read: Any) -> nx.Graph:
    try:
        return read(path)
    except (ParseError, nx.NetworkXException, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} must be readable as {path.suffix[1:]}, but is not: {error}.") from error


def _sorted(graph: nx.Graph) -> nx.Graph:
    """The same graph with its nodes in an order that does not depend on who wrote the file."""
    names: dict[Any, Any] = {node: str(node) for node in graph}
    if all(name.isdecimal() for name in names.values()) and len({int(name) for name in names.values()}) == len(names):
        names = {node: int(name) for node, name in names.items()}
    graph = nx.relabel_nodes(graph, names)
    result = graph.__class__()
    result.graph.update(graph.graph)
    result.add_nodes_from(sorted(graph.nodes(data=True), key=lambda node: node[0]))
    result.add_edges_from(graph.edges(data=True))
    return result


def _read_edge_list(path: Path, directed: bool) -> nx.Graph:
    text = path.read_text(encoding="utf-8-sig", errors="replace").replace(";", ",")
    lines = [(number, _fields(line.partition("#")[0])) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, fields) for number, fields in lines if fields]
    names = ["u", "v", "weight", "length"]
    if lines and [name.lower() for name in lines[0][1][:2]] in (["source", "target"], ["from", "to"], ["u", "v"]):
        names = lines.pop(0)[1]
    graph = nx.DiGraph() if directed else nx.Graph()
    for number, fields in lines:
        where = f"line {number} of {str(path)!r}"
        if not 2 <= len(fields) <= len(names):
            raise ValueError(f"{where} must read `{' '.join(names)}`, but has {len(fields)} columns: {fields}.")
        data = _numbers(names[2:], fields[2:], where)
        u, v = fields[:2]
        if graph.has_edge(u, v) and graph.edges[u, v] != data:
            hint = "merge the lines" if directed else "merge the lines, or pass directed=True"
            raise ValueError(f"{where} must not change the link {u} {v} of an earlier line, but is {fields}; {hint}.")
        graph.add_edge(u, v, **data)
    return graph


def _fields(line: str) -> list[str]:
    """The columns of a line, separated by commas if there is one, else by blanks."""
    return [field.strip() for field in next(csv.reader([line]))] if "," in line else line.split()


def _numbers(names: list[str], fields: list[str], where: str) -> dict[str, float]:
    values = {}
    for name, field in zip(names, fields, strict=False):
        try:
            values[name] = float(field)
        except ValueError:
            raise ValueError(
                f"{where} must have a number as its {name}, but has {field!r}; correct the line."
            ) from None
    return values


def _read_npz(path: Path, key: str) -> nx.Graph:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{str(path)!r} must be an archive of plain arrays, but is not: {error}.") from error
    arrays, name = _choose(arrays, path, key)
    where = f"`{name}` in {str(path)!r}"
    graph = _from_pairs(arrays, where) if name == "edges" else _from_matrix(arrays, name, where)
    graph.graph.update({k: a.item() for k, a in arrays.items() if a.ndim == 0})
    return _named(graph, arrays)


def _choose(arrays: Mapping[str, np.ndarray], path: Path, key: str) -> tuple[dict[str, np.ndarray], str]:
    """The arrays of the chosen group without its name, and the name of the one that holds the links."""
    group, slash, wanted = key.rpartition("/")
    if key in arrays or not key:
        group, wanted = f"{group}{slash}", wanted
    else:
        group, wanted = f"{key}/", ""
    inside = {name.removeprefix(group): array for name, array in arrays.items() if name.startswith(group)}
    looked_for = (wanted,) if wanted else (*MATRICES, "edges")
    for name in looked_for:
        if name in inside:
            return inside, name
    groups = sorted({name.rpartition("/")[0] for name in arrays} - {""})
    if groups:
        found, choices = f"the groups {', '.join(groups)}", groups
    else:
        found = f"the arrays {', '.join(arrays)}"
        choices = [n for n, a in arrays.items() if a.ndim == 2 and a.shape[0] == a.shape[1]]
    repair = f"choose one as {path.name}:{choices[0]}" if choices else "store the matrix as `weights`"
    missing = f"{key!r}" if key else f"a network ({', '.join(looked_for)})"
    raise ValueError(f"{str(path)!r} must hold {missing}, but holds {found}; {repair}.")


def _from_matrix(arrays: Mapping[str, np.ndarray], name: str, where: str) -> nx.Graph:
    K = arrays[name]
    if K.ndim != 2 or K.shape[0] != K.shape[1] or K.dtype.kind not in "biuf":
        raise ValueError(f"{where} must be a square matrix of numbers, but has shape {K.shape}, dtype {K.dtype}.")
    K = K.astype(float)
    if not np.isfinite(K).all():
        i, j = np.argwhere(~np.isfinite(K))[0]
        raise ValueError(f"{where} must be finite, but entry ({i}, {j}) is {K[i, j]}; clean the file.")
    if K.diagonal().any():
        count = np.count_nonzero(K.diagonal())
        warnings.warn(f"{where}: {count} entries of the diagonal were dropped (no node acts on itself).", stacklevel=4)
        np.fill_diagonal(K, 0.0)
    symmetric = np.array_equal(K, K.T)
    K = K.T if name in ROW_SENDS else K
    receiver, sender = np.nonzero(np.triu(K) if symmetric else K)
    data = {"weight": K[receiver, sender]}
    for lengths in LENGTHS:
        if lengths in arrays and arrays[lengths].shape == K.shape:
            data["length"] = arrays[lengths][receiver, sender].astype(float)
            break
    graph = nx.Graph() if symmetric else nx.DiGraph()
    graph.add_nodes_from(range(len(K)))
    if "length" in data:
        graph.graph["length_unit"] = LENGTHS[lengths]
    rows = (dict(zip(data, values, strict=True)) for values in zip(*(v.tolist() for v in data.values()), strict=True))
    graph.add_edges_from(zip(sender.tolist(), receiver.tolist(), rows, strict=True))
    return graph


def _from_pairs(arrays: Mapping[str, np.ndarray], where: str) -> nx.Graph:
    """Undirected links from a list of pairs; parallel ones join into one with their number as weight, mean length."""
    pairs = arrays["edges"]
    if pairs.ndim != 2 or pairs.shape[-1] != 2 or pairs.dtype.kind not in "iu" or (pairs.size and pairs.min() < 0):
        raise ValueError(f"{where} must list pairs of node numbers, but has shape {pairs.shape}, dtype {pairs.dtype}.")
    nodes = len(arrays["labels"]) if "labels" in arrays else int(pairs.max(initial=-1)) + 1
    if pairs.max(initial=-1) >= nodes:
        raise ValueError(f"{where} names node {pairs.max()}, but `labels` has {nodes} entries; correct the file.")
    pairs, link, count = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True, return_counts=True)
    graph = nx.Graph()
    graph.add_nodes_from(range(nodes))
    graph.add_weighted_edges_from(zip(*pairs.T.tolist(), count.astype(float).tolist(), strict=True))
    for lengths in LENGTHS:
        if lengths in arrays and arrays[lengths].shape == link.shape:
            mean = np.bincount(link, arrays[lengths]) / count
            nx.set_edge_attributes(graph, dict(zip(map(tuple, pairs.tolist()), mean.tolist(), strict=True)), "length")
            graph.graph["length_unit"] = LENGTHS[lengths]
            break
    return graph


def _named(graph: nx.Graph, arrays: Mapping[str, np.ndarray]) -> nx.Graph:
    """The graph with every array of one value per node as an attribute, and its nodes named by unlike labels."""
    N = len(graph)
    columns = {name: array for name, array in arrays.items() if array.shape == (N,)}
    for name, axes in POSITIONS.items():
        if name in arrays and arrays[name].shape == (N, len(axes)):
            columns |= dict(zip(axes, arrays[name].T, strict=True))
    names = [str(label) for label in columns.pop("labels", np.arange(N))]
    for name, values in columns.items():
        nx.set_node_attributes(graph, dict(enumerate(values.tolist())), name)
    if "labels" not in arrays:
        return graph
    if len(set(names)) == N:
        return nx.relabel_nodes(graph, dict(enumerate(names)))
    nx.set_node_attributes(graph, dict(enumerate(names)), "label")
    return graph
