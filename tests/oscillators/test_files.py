"""Networks read from files are those that were written."""

from __future__ import annotations

import os
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from oscillators import Kuramoto, as_coupling, read_graph, simulate

DATA = Path(os.environ.get("OSCILLATORS_DATA", Path(__file__).parents[3] / "shared" / "data"))
K = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.5], [1.0, 0.0, 0.0]])  # row = receiver: 1 -> 0, 2 -> 1, 0 -> 2


def matrix(graph):
    """K[i, j], the action of j on i."""
    return nx.to_numpy_array(graph).T


def shared(name):
    file = DATA / name.partition(":")[0]
    if not file.is_file():
        pytest.skip(f"no {file.name} in {DATA}; set OSCILLATORS_DATA")
    return read_graph(DATA / name)


@pytest.mark.parametrize("suffix", ["graphml", "gexf", "gml"])
@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph])
def test_a_written_graph_is_read_back_in_sorted_order(suffix, kind, tmp_path):
    graph = kind()
    graph.add_node(10, side="left")
    graph.add_node(2, side="right")
    graph.add_node(1, side="left")
    graph.add_edge(10, 2, weight=0.5, length=30.0)
    graph.add_edge(2, 1, weight=2.0, length=10.0)
    getattr(nx, f"write_{suffix}")(graph, tmp_path / f"net.{suffix}")
    read = read_graph(tmp_path / f"net.{suffix}")
    assert list(read) == [1, 2, 10]  # by value: as words, 10 would stand before 2
    assert read.is_directed() == graph.is_directed()
    assert [read.nodes[node]["side"] for node in read] == ["left", "right", "left"]
    np.testing.assert_array_equal(
        matrix(read), matrix(nx.to_undirected(graph) if kind is nx.Graph else graph)[::-1, ::-1]
    )
    assert read.edges[10, 2]["length"] == 30.0
    simulate(Kuramoto(1.0), read, np.zeros(3), [0.0, 1.0], dt=0.1)


def test_the_order_of_nodes_does_not_depend_on_the_order_of_lines(tmp_path):
    (tmp_path / "a.txt").write_text("b c 1\na b 2\n")
    (tmp_path / "b.txt").write_text("b a 2\nc b 1\n")
    a, b = (read_graph(tmp_path / name) for name in ("a.txt", "b.txt"))
    assert list(a) == list(b) == ["a", "b", "c"]
    np.testing.assert_array_equal(matrix(a), matrix(b))


@pytest.mark.parametrize(
    "text",
    [
        "0 1 2.5 30\n1 2 1 10 # short\n",
        "0,1,2.5,30\n\n1;2;1;10\n",
        "\ufeffsource,target,weight,length\n0,1,2.5,30\n1,2,1,10\n",
    ],
)
def test_an_edge_list_may_use_blanks_commas_or_a_head(text, tmp_path):
    file = tmp_path / "net.csv"
    file.write_text(text, encoding="utf-8")
    graph = read_graph(file)
    assert list(graph.edges(data=True)) == [
        (0, 1, {"weight": 2.5, "length": 30.0}),
        (1, 2, {"weight": 1.0, "length": 10.0}),
    ]


def test_a_head_names_the_columns(tmp_path):
    (tmp_path / "net.edges").write_text("source target weight delay\na b 1.0 0.3\n")
    assert as_coupling(read_graph(tmp_path / "net.edges")).tau.tolist() == [0.3, 0.3]


def test_links_of_an_edge_list_go_one_way_on_request(tmp_path):
    (tmp_path / "net.edges").write_text("0 1 2\n1 0 3\n")
    np.testing.assert_array_equal(matrix(read_graph(tmp_path / "net.edges", directed=True)), [[0, 3], [2, 0]])
    with pytest.raises(ValueError, match=r"line 2 of .* must not change the link 1 0 .* pass directed=True"):
        read_graph(tmp_path / "net.edges")


def test_rows_of_a_matrix_receive(tmp_path):
    np.savez(tmp_path / "net.npz", weights=K, lengths_mm=10 * K, labels=["z", "y", "x"], centres_mm=np.eye(3))
    graph = read_graph(tmp_path / "net.npz")
    assert list(graph) == ["z", "y", "x"]  # the order of the archive
    np.testing.assert_array_equal(matrix(graph), K)
    np.testing.assert_array_equal(as_coupling(graph).field(np.eye(3)), K)
    assert graph.edges["y", "z"] == {"weight": 2.0, "length": 20.0}
    assert graph.graph["length_unit"] == "mm"
    assert graph.nodes["y"] == {"x_mm": 0.0, "y_mm": 1.0, "z_mm": 0.0}
    assert graph.name == "net"


def test_rows_of_a_chemical_matrix_send(tmp_path):
    np.savez(tmp_path / "net.npz", chemical=K.astype(np.uint16))
    np.testing.assert_array_equal(matrix(read_graph(tmp_path / "net.npz")), K.astype(np.uint16).T)


def test_a_symmetric_matrix_is_an_undirected_graph(tmp_path):
    np.savez(tmp_path / "net.npz", coupling=K + K.T)
    graph = read_graph(tmp_path / "net.npz")
    assert not graph.is_directed()
    np.testing.assert_array_equal(matrix(graph), K + K.T)


def test_a_diagonal_is_dropped_with_a_warning(tmp_path):
    np.savez(tmp_path / "net.npz", weights=K + np.diag([1.0, 0.0, 2.0]))
    with pytest.warns(UserWarning, match="`weights` in .* 2 entries of the diagonal were dropped"):
        graph = read_graph(tmp_path / "net.npz")
    np.testing.assert_array_equal(matrix(graph), K)


def test_a_name_after_a_colon_chooses_the_matrix_or_group(tmp_path):
    both = {"a/coupling": K, "b/coupling": 2 * K, "b/injection": [1.0, 2.0, -3.0], "b/f_hz": 50.0, "b/other": 3 * K}
    np.savez(tmp_path / "grids.npz", **both)
    grid = read_graph(f"{tmp_path / 'grids.npz'}:b")
    np.testing.assert_array_equal(matrix(grid), 2 * K)
    assert nx.get_node_attributes(grid, "injection") == {0: 1.0, 1: 2.0, 2: -3.0}
    assert grid.graph["f_hz"] == 50.0
    np.testing.assert_array_equal(matrix(read_graph(f"{tmp_path / 'grids.npz'}:b/other")), 3 * K)


def test_parallel_links_of_a_list_of_pairs_count_together(tmp_path):
    pairs = np.array([[0, 1], [1, 0], [2, 1]])
    np.savez(tmp_path / "net.npz", edges=pairs, length_m=[10.0, 30.0, 5.0], labels=["", "", "end"])
    graph = read_graph(tmp_path / "net.npz")
    assert list(graph.edges(data=True)) == [
        (0, 1, {"weight": 2.0, "length": 20.0}),
        (1, 2, {"weight": 1.0, "length": 5.0}),
    ]
    assert [graph.nodes[node]["label"] for node in graph] == ["", "", "end"]  # labels that repeat name no node


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("none.npz", None, FileNotFoundError, "must be a file"),
        ("net.pdf", b"", ValueError, "must end in one of .graphml"),
        ("net.graphml", b"<graphml", ValueError, "must be readable as graphml"),
        ("net.npz", b"PK", ValueError, "must be an archive of plain arrays"),
        ("net.edges", b"a b heavy\n", ValueError, "line 1 of .* must have a number as its weight, but has 'heavy'"),
        ("net.edges", b"a\n", ValueError, "line 1 of .* must read `u v weight length`, but has 1 columns"),
        ("net.edges", b"", ValueError, "must hold at least one node"),
        ("net.edges:key", b"a b", ValueError, "must end in .npz before a colon"),
    ],
)
def test_what_cannot_be_read_is_named(name, content, error, says, tmp_path):
    if content is not None:
        (tmp_path / name.partition(":")[0]).write_bytes(content)
    with pytest.raises(error, match=says):
        read_graph(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "key", "says"),
    [
        (
            {"image": np.zeros((2, 2))},
            "",
            r"a network \(weights, .*\), but holds the arrays image; choose one as .*:image",
        ),
        ({"a/coupling": K, "b/coupling": K}, "", "holds the groups a, b; choose one as net.npz:a"),
        ({"weights": K}, ":fc", "must hold 'fc', but holds the arrays weights"),
        ({"weights": K[:2]}, "", r"`weights` in .* must be a square matrix of numbers, but has shape \(2, 3\)"),
        ({"weights": np.where(K == 2.0, np.nan, K)}, "", r"entry \(0, 1\) is nan"),
        ({"edges": np.zeros((4, 3))}, "", r"`edges` in .* must list pairs of node numbers, but has shape \(4, 3\)"),
        ({"edges": np.array([[0, 7]]), "labels": ["a", "b"]}, "", "`edges` in .* names node 7, but `labels` has 2"),
        ({"weights": K.astype(object)}, "", "must be an archive of plain arrays"),
    ],
)
def test_an_archive_without_a_network_says_what_it_holds(arrays, key, says, tmp_path):
    np.savez(tmp_path / "net.npz", **arrays)
    with pytest.raises(ValueError, match=says):
        read_graph(f"{tmp_path / 'net.npz'}{key}")


@pytest.mark.parametrize(
    ("name", "nodes", "links", "directed"),
    [
        ("connectome_hcp80.npz", 80, 3160, False),
        ("connectome_celegans279.npz", 279, 2194, True),  # numbers of Varshney et al. 2011
        ("power_grids.npz:ieee39", 39, 46, False),
        ("power_grids.npz:gb_osm", 494, 598, False),
    ],
)
def test_a_published_network_has_its_published_size(name, nodes, links, directed):
    graph = shared(name)
    assert (len(graph), graph.number_of_edges(), graph.is_directed()) == (nodes, links, directed)
    if "ieee39" not in name:
        assert all(data["weight"] > 0 for _, _, data in graph.edges(data=True))


def test_the_default_brain_of_76_regions_loses_its_diagonal():
    with pytest.warns(UserWarning, match="66 entries of the diagonal"):
        graph = shared("connectome_tvb76.npz")
    with np.load(DATA / "connectome_tvb76.npz") as archive:
        weights = archive["weights"].astype(float)
    np.testing.assert_array_equal(matrix(graph), weights - np.diag(weights.diagonal()))
