"""What every coupling promises: it is the matrix K[receiver, sender], however it is stored."""

import copy
import dataclasses

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch

from oscillators import Coupling, Delayed, Dense, Diffusive, Edges, MeanField, Stencil, as_coupling
from oscillators.kernels import FIELD
from oscillators.stencil import COMPILED_TAPS
from tests.contracts.members import COUPLINGS, PLAIN, STENCILS, CouplingMember, N, matrix, names, sparse_matrix, tensors


@pytest.fixture(params=COUPLINGS, ids=names(COUPLINGS))
def member(request) -> CouplingMember:
    return request.param


def flat(member, g):
    """(..., *nodes, m) -> (states, N, m)."""
    return g.reshape(-1, len(member.K), g.shape[-1])


def agree(have, member, g, ulps=4.0):
    """have = K g, to some units in the last place of the sum of the absolute terms."""
    g = flat(member, g)
    scale = np.abs(member.K) @ np.abs(g)
    atol = ulps * np.spacing(max(1.0, scale.max()))
    np.testing.assert_allclose(flat(member, np.asarray(have)), member.K @ g, rtol=0, atol=atol)


def tolerance(member) -> float:
    """A sum of n products in some order is right to about √n units; a transform of large kernels to 4 log2(n)."""
    return 4.0 if max(member.nodes) < 50 else 16.0


def by_kernel(spelled, rows):
    """K[g] by a compiled kernel, for rows (rows, nodes)."""
    h = np.full_like(rows, np.nan)
    spelled.kernel.compile(FIELD)
    spelled.kernel(spelled.meta, spelled.where, spelled.weight[0], rows, h)
    return h


def test_the_field_is_the_product_with_the_matrix(member):
    g = member.states(3)
    agree(member.coupling.field(g), member, g, tolerance(member))


def test_leading_axes_are_a_batch(member):
    g = member.states(2, rows=(2, 3))
    agree(member.coupling.field(g), member, g, tolerance(member))


def test_the_field_of_tensors_is_the_same(member):
    g = member.states(2, rows=(2,))
    h = tensors(member.coupling).field(torch.tensor(g))
    assert h.dtype == torch.float64
    agree(h.numpy(), member, g, tolerance(member))


def test_the_field_of_float32_tensors_is_float32(member):
    g = torch.tensor(member.states(2), dtype=torch.float32)
    h = tensors(member.coupling, torch.float32).field(g)
    assert h.dtype == torch.float32
    agree(h.numpy(), member, g.numpy().astype(float), tolerance(member) * 2.0**29)  # 29 bits shorter


def test_the_field_of_tensors_has_the_transposed_matrix_as_gradient(member):
    g = torch.tensor(member.states(1), requires_grad=True)
    v = member.states(1, seed=9)
    (tensors(member.coupling).field(g) * torch.tensor(v)).sum().backward()
    transposed = dataclasses.replace(member, K=member.K.T)
    agree(g.grad.numpy(), transposed, v, 2 * tolerance(member))


@pytest.mark.parametrize("member", PLAIN, ids=names(PLAIN))
def test_gradients_reach_the_weights(member):
    coupling = tensors(member.coupling)
    own = {f.name for f in dataclasses.fields(coupling)}
    (name,) = own & {"K", "weight", "strength", "kernel"}
    weights = torch.as_tensor(getattr(coupling, name), dtype=torch.float64).clone().requires_grad_()
    g = torch.tensor(member.states(1))
    h = dataclasses.replace(coupling, **{name: weights}).field(g)
    h.sum().backward()
    # The field is linear in the weights: Σ h = ⟨weights, gradient⟩. Rounding as for the sum of all terms.
    atol = 16 * np.spacing(1.0 + (np.abs(member.K) @ np.abs(flat(member, member.states(1)))).sum())
    np.testing.assert_allclose((weights * weights.grad).sum().item(), h.sum().item(), rtol=0, atol=atol)


@pytest.mark.parametrize("member", PLAIN, ids=names(PLAIN))
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_kernel_is_the_product_with_the_matrix(member, m):
    spelled = member.coupling.compiled(member.nodes)
    if spelled is None:
        assert isinstance(member.coupling, Stencil), "only large stencils go without a kernel"
        return
    g = flat(member, member.states(m))
    agree(by_kernel(spelled, np.ascontiguousarray(g[0].T)).T, member, g, tolerance(member))


@pytest.mark.parametrize("member", PLAIN, ids=names(PLAIN))
def test_rows_together_equal_rows_alone_bit_for_bit(member):
    spelled = member.coupling.compiled(member.nodes)
    if spelled is None:
        return
    g = np.ascontiguousarray(flat(member, member.states(6))[0].T)
    together = by_kernel(spelled, g)
    for row, alone in enumerate(g):
        np.testing.assert_array_equal(by_kernel(spelled, alone[None].copy())[0], together[row])
    np.testing.assert_array_equal(by_kernel(spelled, g[[1, 4, 2]].copy()), together[[1, 4, 2]])


def test_the_field_is_linear(member):
    a, b = member.states(2), member.states(2, seed=6)
    field = member.coupling.field
    want = 2.0 * field(a) - 0.5 * field(b)
    scale = np.abs(member.K).sum(axis=1).max() * max(np.abs(a).max(), np.abs(b).max())
    np.testing.assert_allclose(field(2.0 * a - 0.5 * b), want, rtol=0, atol=32 * np.spacing(max(1.0, 2.5 * scale)))


def test_calls_change_nothing_and_repeat_themselves(member):
    g = member.states(2)
    before = copy.deepcopy((g, member.coupling))
    np.testing.assert_array_equal(member.coupling.field(g), member.coupling.field(g))
    np.testing.assert_array_equal(g, before[0])
    for f in dataclasses.fields(member.coupling):
        a, b = getattr(member.coupling, f.name), getattr(before[1], f.name)
        if not isinstance(a, Coupling):
            np.testing.assert_equal(a, b)


def test_a_coupling_passes_through_as_coupling(member):
    assert as_coupling(member.coupling) is member.coupling
    member.coupling.check_nodes(member.nodes)
    assert len(member.coupling.node_dims) == len(member.nodes)


def test_a_diffusive_coupling_does_not_see_what_all_nodes_share():
    for member in COUPLINGS:
        if isinstance(member.coupling, Diffusive):
            g = np.ones((*member.nodes, 2))
            scale = np.abs(member.K).sum(axis=1).max()
            assert np.abs(member.coupling.field(g)).max() <= 64 * np.spacing(max(1.0, scale)), member.name


# Stencils, by sums and by transforms


@pytest.mark.parametrize("member", STENCILS, ids=names(STENCILS))
def test_a_stencil_by_transforms_is_the_stencil_by_sums(member, monkeypatch):
    g = member.states(2, rows=(2,))
    for taps in (0, 10**6):  # always by transforms, always by sums
        monkeypatch.setattr("oscillators.stencil.SHIFTED_TAPS", taps)
        agree(member.coupling.field(g), member, g, 16.0)


@pytest.mark.parametrize("member", STENCILS, ids=names(STENCILS))
def test_the_kernel_of_a_stencil_is_right_at_every_size(member, monkeypatch):
    monkeypatch.setattr("oscillators.stencil.COMPILED_TAPS", 10**6)
    g = flat(member, member.states(3))
    spelled = member.coupling.compiled(member.nodes)
    agree(by_kernel(spelled, np.ascontiguousarray(g[0].T)).T, member, g, 16.0)  # up to 272 terms in one order


# Where couplings come from


def field_matrix(coupling, nodes=N):
    """The matrix of a coupling: the field of every unit vector."""
    return coupling.field(np.eye(nodes)[:, :, None])[..., 0].T


def test_a_number_is_a_mean_field():
    np.testing.assert_allclose(field_matrix(as_coupling(2.0)), np.full((N, N), 2.0 / N), rtol=1e-15)
    assert isinstance(as_coupling(3), MeanField)


def test_an_arrow_from_u_to_v_means_that_u_acts_on_v():
    K = field_matrix(as_coupling(nx.DiGraph([(0, 1)])), 2)
    np.testing.assert_array_equal(K, [[0, 0], [1, 0]])


def test_an_undirected_graph_acts_both_ways_and_a_loop_once():
    graph = nx.Graph([(0, 1), (1, 2), (2, 2)])
    np.testing.assert_array_equal(field_matrix(as_coupling(graph), 3), nx.to_numpy_array(graph))


def test_weights_of_a_graph_are_the_entries_of_the_matrix():
    graph = nx.gnp_random_graph(12, 0.4, seed=1, directed=True)
    rng = np.random.default_rng(0)
    for _, _, data in graph.edges(data=True):
        data["weight"] = rng.normal()
    np.testing.assert_array_equal(field_matrix(as_coupling(graph), 12), nx.to_numpy_array(graph).T)


def test_an_edge_without_weight_weighs_one():
    graph = nx.Graph()
    graph.add_edge(0, 1)
    graph.add_edge(1, 2, weight=5)
    np.testing.assert_array_equal(field_matrix(as_coupling(graph), 3), [[0, 1, 0], [1, 0, 5], [0, 5, 0]])


@pytest.mark.parametrize("kind", [nx.MultiGraph, nx.MultiDiGraph])
def test_parallel_edges_add_up(kind):
    graph = kind()
    graph.add_nodes_from(range(3))
    graph.add_weighted_edges_from([(0, 1, 1.5), (0, 1, 2.0), (2, 0, 1.0), (2, 2, 0.25)])
    want = nx.to_numpy_array(graph)  # sums parallel edges
    np.testing.assert_array_equal(field_matrix(as_coupling(graph), 3), want.T)


def test_nodes_without_edges_stay_in_the_network():
    graph = nx.empty_graph(4)
    graph.add_edge(1, 3)
    assert as_coupling(graph).nodes == 4
    np.testing.assert_array_equal(field_matrix(as_coupling(nx.empty_graph(3)), 3), np.zeros((3, 3)))


def test_edges_with_a_delay_make_a_delayed_coupling():
    graph = nx.DiGraph()
    graph.add_nodes_from(range(3))
    graph.add_edge(2, 0, weight=2.0, delay=0.3)
    graph.add_edge(0, 2, weight=3.0, delay=0.1)
    graph.add_edge(0, 1, weight=4.0, delay=0.2)
    coupling = as_coupling(graph)
    assert isinstance(coupling, Delayed)
    assert coupling.per_link
    links, tau = coupling.links()
    found = sorted(zip(links.target.tolist(), links.source.tolist(), links.weight.tolist(), tau.tolist(), strict=True))
    assert found == [(0, 2, 2.0, 0.3), (1, 0, 4.0, 0.2), (2, 0, 3.0, 0.1)]


def test_both_directions_of_an_undirected_edge_have_its_delay():
    graph = nx.Graph()
    graph.add_edge(0, 1, weight=2.0, delay=0.3)
    graph.add_edge(1, 2, weight=1.0, delay=0.5)
    links, tau = as_coupling(graph).links()
    delays = {(int(i), int(j)): d for i, j, d in zip(links.target, links.source, tau, strict=True)}
    assert delays == {(0, 1): 0.3, (1, 0): 0.3, (1, 2): 0.5, (2, 1): 0.5}


def test_words_that_name_the_nodes_become_a_coordinate():
    coupling = as_coupling(nx.DiGraph([("left", "right"), ("right", "top")]))
    assert coupling.coords()["node"].tolist() == ["left", "right", "top"]
    np.testing.assert_array_equal(field_matrix(coupling, 3), [[0, 0, 0], [1, 0, 0], [0, 1, 0]])


def test_numbers_that_name_the_nodes_become_a_coordinate_unless_they_count():
    assert as_coupling(nx.Graph([(10, 20), (20, 40)])).coords()["node"].tolist() == [10, 20, 40]
    assert "node" not in as_coupling(nx.path_graph(3)).coords()


def test_attributes_that_all_nodes_have_become_coordinates():
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, {0: 0.5, 1: 1.5, 2: 2}, "height")
    nx.set_node_attributes(graph, {0: "a", 1: "b", 2: "c"}, "club")
    nx.set_node_attributes(graph, {0: 1.0}, "partial")
    nx.set_node_attributes(graph, {0: [1], 1: [2], 2: [3]}, "lists")
    coords = as_coupling(graph).coords()
    assert set(coords) == {"height", "club"}
    np.testing.assert_array_equal(coords["height"][1], [0.5, 1.5, 2.0])
    assert coords["club"][0] == "node"


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
def test_every_sparse_format_gives_the_matrix(kind):
    K = sparse_matrix()
    np.testing.assert_array_equal(field_matrix(as_coupling(getattr(scipy.sparse, f"{kind}_array")(K))), K)


def test_duplicate_entries_of_a_sparse_matrix_add_up():
    K = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2))
    np.testing.assert_array_equal(field_matrix(as_coupling(K), 2), [[0, 3], [0, 0]])


def test_the_order_in_which_links_are_given_does_not_matter():
    K = sparse_matrix()
    target, source = np.nonzero(K)
    shuffled = np.random.default_rng(2).permutation(len(source))
    a = Edges(source, target, K[target, source], N)
    b = Edges(source[shuffled], target[shuffled], K[target, source][shuffled], N)
    g = np.random.default_rng(3).normal(size=(N, 2))
    np.testing.assert_array_equal(a.field(g), b.field(g))
    rows = np.ascontiguousarray(g.T)
    np.testing.assert_array_equal(by_kernel(a.compiled((N,)), rows), by_kernel(b.compiled((N,)), rows))


# Leading axes: every member its own weights


@pytest.mark.parametrize("lead", [(3,), (2, 3)])
def test_leading_axes_of_the_weights_belong_to_the_members(lead):
    K = np.stack([matrix() for _ in range(int(np.prod(lead)))]).reshape(*lead, N, N)
    target, source = np.indices((N, N)).reshape(2, -1)
    strength = np.random.default_rng(0).normal(size=(*lead, 1))
    g = np.random.default_rng(1).normal(size=(*lead, N, 2))
    cases = [
        (Dense(K), K),
        (Edges(source, target, K[..., target, source], N), K),
        (MeanField(strength), strength[..., None] / N * np.ones((N, N))),
        (Diffusive(Dense(K)), K - K.sum(axis=-1)[..., None] * np.eye(N)),
    ]
    for coupling, own in cases:
        atol = 16 * np.spacing((np.abs(own) @ np.abs(g)).max())  # sums of 7 products
        np.testing.assert_allclose(coupling.field(g), own @ g, rtol=0, atol=atol)
        spelled = (coupling.coupling if isinstance(coupling, Diffusive) else coupling).compiled((N,))
        assert len(spelled.weight) == np.prod(lead)


def test_a_delayed_coupling_keeps_the_shape_and_names_of_what_it_delays():
    graph = nx.DiGraph([("a", "b"), ("b", "c")])
    delayed = Delayed(graph, 0.5)
    assert delayed.node_dims == as_coupling(graph).node_dims
    assert delayed.coords()["node"].tolist() == ["a", "b", "c"]
    assert Diffusive(delayed).coords() == delayed.coords()
    lattice = Delayed(Stencil(np.ones((3, 3))), 0.5)
    assert lattice.node_dims == ("height", "width")
    with pytest.raises(TypeError, match="no field of one moment"):
        delayed.field(np.ones((3, 2)))


def test_delays_of_a_matrix_belong_to_its_entries():
    K, tau = sparse_matrix(), np.random.default_rng(0).uniform(size=(N, N))
    links, each = Delayed(K, tau).links()
    np.testing.assert_array_equal(each, tau[links.target, links.source])
    np.testing.assert_array_equal(links.weight, K[links.target, links.source])


def test_large_stencils_leave_the_sum_to_transforms():
    assert Stencil(np.ones(int(COMPILED_TAPS))).compiled((10**5,)) is not None
    assert Stencil(np.ones(int(COMPILED_TAPS) + 1)).compiled((10**5,)) is None


@pytest.mark.parametrize("coupling", [MeanField(2.0), Diffusive(MeanField(2.0))], ids=["MeanField", "Diffusive"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_plain_strength_couples_tensors(coupling, dtype):
    g = torch.randn(N, 2, dtype=dtype, generator=torch.Generator().manual_seed(0), requires_grad=True)
    h = coupling.field(g)
    assert h.dtype == dtype
    assert h.requires_grad
    want = coupling.field(g.detach().numpy().astype(float))
    np.testing.assert_allclose(h.detach().numpy(), want, rtol=0, atol=16 * torch.finfo(dtype).eps)
