"""Properties of every network, over random graphs, sizes, parameters and number types."""

import networkx as nx
import numpy as np
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import lyapunov_function, phase_energy
from oscillators import (
    Dense,
    Diffusive,
    Edges,
    InertialKuramoto,
    Kuramoto,
    MeanField,
    SphereKuramoto,
    StuartLandau,
    TopographicOscillators,
    Winfree,
    as_coupling,
    simulate,
)

few = settings(derandomize=True, deadline=None, max_examples=40, database=None)
runs = settings(few, max_examples=25)
T = np.linspace(0.0, 1.0, 5)

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
phase_types = st.sampled_from([np.float32, np.float64])
number_types = st.sampled_from([np.int32, np.float32, np.float64])


@st.composite
def graphs(draw, directed=None):
    """A random graph with weights of both signs; sometimes without any link, sometimes complete."""
    graph = nx.gnp_random_graph(
        draw(sizes), draw(st.floats(0, 1)), draw(seeds), directed=draw(st.booleans()) if directed is None else directed
    )
    rng = np.random.default_rng(draw(seeds))
    for _, _, data in graph.edges(data=True):
        data["weight"] = rng.normal()
    return graph


@st.composite
def networks(draw):
    """A generator for everything else, and a graph."""
    return np.random.default_rng(draw(seeds)), draw(graphs())


def adjacency(graph):
    """K[receiver, sender]: the transpose of networkx' matrix, whose row sends."""
    return nx.to_numpy_array(graph).T


def phases(rng, n):
    return rng.uniform(-np.pi, np.pi, n)


def velocity(omega, coupling, theta):
    return Kuramoto(omega).law(0.0, theta, as_coupling(coupling).field(Kuramoto(omega).lift(theta)))


@few
@given(graph=graphs(directed=False), seed=seeds)
def test_symmetric_coupling_keeps_the_mean_frequency(graph, seed):
    rng, n = np.random.default_rng(seed), len(graph)
    omega, theta = rng.normal(size=n), phases(rng, n)
    K = adjacency(graph)
    # n terms of n products each, right to 1e-16.
    atol = 1e-15 * (n + np.abs(K).sum())
    for coupling in (K, graph, scipy.sparse.csr_array(K), rng.normal()):
        np.testing.assert_allclose(velocity(omega, coupling, theta).sum(), omega.sum(), rtol=0, atol=atol)


@few
@given(network=networks())
def test_all_spellings_of_a_graph_are_the_same_operator(network):
    rng, graph = network
    K, g = adjacency(graph), rng.normal(size=(len(graph), 3))
    source, target = np.nonzero(K.T)
    spellings = (Dense(K), as_coupling(graph), as_coupling(scipy.sparse.coo_array(K)))
    spellings = (*spellings, Edges(source, target, K[target, source], len(K)))
    atol = 4e-16 * (1.0 + (np.abs(K) @ np.abs(g)).max()) * np.sqrt(len(K))  # sums in another order
    for coupling in spellings:
        np.testing.assert_allclose(coupling.field(g), K @ g, rtol=0, atol=atol)
        np.testing.assert_allclose(
            Diffusive(coupling).field(g), (K - np.diag(K.sum(1))) @ g, rtol=0, atol=4 * atol + 1e-14
        )


def assert_equal_runs(system, coupling, x0, other_system, other_coupling, other_x0, view, atol, **options):
    """Two runs that must be one motion seen in two ways."""
    a = simulate(system, coupling, x0, T, **options)
    b = simulate(other_system, other_coupling, other_x0, T, **options)
    for name in system.variables:
        np.testing.assert_allclose(view(a[name].values, name), b[name].values, rtol=0, atol=atol)


# Runs of 20 steps up to t = 1, in which a weight of 40 neighbours may expand an error by e^10: 1e-16 · 20 · 2e4.
RUN = {"dt": 0.05}
ATOL = 1e-10


@runs
@given(network=networks(), angle=st.floats(-7, 7))
def test_a_turned_network_moves_like_the_network(network, angle):
    rng, graph = network
    n, K = len(graph), adjacency(graph) / np.sqrt(len(graph))
    theta = phases(rng, n)
    system = Kuramoto(rng.normal(size=n), rng.normal())
    assert_equal_runs(system, K, theta, system, K, theta + angle, lambda v, _: v + angle, ATOL, **RUN)
    system = InertialKuramoto(rng.normal(size=n), rng.uniform(0.5, 2), rng.uniform(0, 1))
    x0 = np.stack([theta, rng.normal(size=n)], -1)
    turned = x0 + np.array([angle, 0.0])
    assert_equal_runs(system, K, x0, system, K, turned, lambda v, k: v + angle * (k == "theta"), ATOL, **RUN)
    system, z = StuartLandau(rng.normal(), rng.normal(size=n), rng.normal()), 0.5 * np.exp(1j * theta)
    e = np.exp(1j * angle)
    assert_equal_runs(system, K, z, system, K, z * e, lambda v, _: v * e, ATOL, **RUN)


@runs
@given(network=networks(), d=st.integers(2, 6))
def test_a_turned_sphere_network_moves_like_the_network(network, d):
    rng, graph = network
    n, K = len(graph), adjacency(graph) / np.sqrt(len(graph))
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    R = rng.normal(size=(n, d, d))
    R = R - R.swapaxes(-1, -2)
    x0 = rng.normal(size=(n, d))
    x0 /= np.linalg.norm(x0, axis=-1, keepdims=True)
    system, turned = SphereKuramoto(R), SphereKuramoto(Q @ R @ Q.T)
    assert_equal_runs(system, K, x0, turned, K, x0 @ Q.T, lambda v, _: v @ Q.T, ATOL, **RUN)


@runs
@given(network=networks())
def test_numbering_the_nodes_another_way_changes_no_motion(network):
    rng, graph = network
    n = len(graph)
    order = rng.permutation(n)
    K = adjacency(graph) / np.sqrt(n)
    a, b = rng.normal(size=(2, n))
    theta, pair = phases(rng, n), rng.normal(size=(n, 2))
    coupling, again = scipy.sparse.csr_array(K), Dense(K[np.ix_(order, order)])
    for system, renumbered, x0 in (
        (Kuramoto(a, b), Kuramoto(a[order], b[order]), theta),
        (Winfree(a), Winfree(a[order]), theta),
        (InertialKuramoto(a, 1 + abs(b)), InertialKuramoto(a[order], 1 + abs(b[order])), pair),
        (TopographicOscillators(1 + abs(a), abs(b)), TopographicOscillators(1 + abs(a[order]), abs(b[order])), pair),
    ):
        assert_equal_runs(system, coupling, x0, renumbered, again, x0[order], lambda v, _: v[..., order], ATOL, **RUN)


@runs
@given(graph=graphs(directed=False), seed=seeds)
def test_energy_never_rises_for_symmetric_coupling(graph, seed):
    rng, n = np.random.default_rng(seed), len(graph)
    K = adjacency(graph) / np.sqrt(n)
    theta = simulate(Kuramoto(0.0), K, phases(rng, n), T, dt=0.01).theta.values
    # E falls by |grad E|² dt in a step, whose error of order dt^5 is far smaller unless both vanish.
    rounding = 1e-13 * (1.0 + np.abs(K).sum())
    assert np.diff(phase_energy(theta, K)).max() <= rounding
    x0, c = rng.normal(size=(n, 4)), rng.normal(size=(n, 4))
    x0 /= np.linalg.norm(x0, axis=-1, keepdims=True)
    x = simulate(SphereKuramoto(), K, x0, T, dt=0.01, drive=c).x.values
    assert np.diff(lyapunov_function(x, K, c)).max() <= rounding + 1e-12 * n


@runs
@given(n=sizes, seed=seeds, strength=st.floats(-3, 3))
def test_a_mean_field_is_the_matrix_that_it_stands_for(n, seed, strength):
    rng = np.random.default_rng(seed)
    system, theta = Kuramoto(rng.normal(size=n)), phases(rng, n)
    K = np.full((n, n), strength / n)
    assert_equal_runs(system, MeanField(strength), theta, system, Dense(K), theta, lambda v, _: v, ATOL, **RUN)


@runs
@given(n=sizes, seed=seeds, real=phase_types, number=number_types)
def test_number_types_are_those_of_their_values(n, seed, real, number):
    """Parameters may be whole numbers, states single precision: they count as the doubles that they are."""
    rng = np.random.default_rng(seed)
    omega, K = (10 * rng.normal(size=n)).astype(number), (3 * rng.normal(size=(n, n))).astype(number)
    theta = phases(rng, n).astype(real)
    a = simulate(Kuramoto(omega), K, theta, T.astype(np.float32), dt=0.05)
    b = simulate(Kuramoto(omega.astype(float)), K.astype(float), theta.astype(float), T, dt=0.05)
    assert a.theta.dtype == np.float64
    np.testing.assert_array_equal(a.theta, b.theta)


@runs
@given(network=networks(), members=st.integers(1, 9))
def test_every_member_of_a_random_ensemble_is_its_run_alone(network, members):
    rng, graph = network
    n = len(graph)
    x0, omega, c = rng.uniform(-3, 3, (members, n)), rng.normal(size=(members, n)), rng.normal(size=(members, 1, 2))
    r = rng.integers(members)
    for options in (RUN, {"method": "tsit5"}):
        together = simulate(Kuramoto(omega), graph, x0, T, drive=c, **options)
        alone = simulate(Kuramoto(omega[r]), graph, x0[r], T, drive=c[r], **options)
        np.testing.assert_array_equal(together.theta[r], alone.theta)
