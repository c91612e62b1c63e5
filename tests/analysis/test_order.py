"""Order parameters against known answers."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis import circular_variance, daido_moment, local_order_parameter, mean_phase, order_parameter, splay

GOLDEN = Path(__file__).parents[1] / "data" / "kuranet"
ROUND_OFF = 1e-14  # a few roundings of numbers of order one
phases = arrays(float, st.integers(1, 30), elements=st.floats(-20, 20))


@given(gap=st.floats(-10, 10))
def test_two_phases_have_the_cosine_of_half_their_difference(gap):
    assert order_parameter([0.4, 0.4 + gap]) == pytest.approx(abs(np.cos(gap / 2)), abs=ROUND_OFF)


@settings(deadline=None)
@given(theta=phases)
def test_order_and_variance_stay_in_their_bounds_and_add_to_one(theta):
    r = order_parameter(theta)
    assert 0 <= r <= 1 + ROUND_OFF
    assert circular_variance(theta) == pytest.approx(1 - r, abs=ROUND_OFF)


def test_independent_uniform_phases_have_about_eight_ninths_over_the_root_of_their_number():
    theta = np.random.default_rng(1).uniform(0, 2 * np.pi, size=(4000, 100))
    expected = np.sqrt(np.pi / 4 / 100)  # Rayleigh law of mean √(π/4N); its deviation 0.46/√N over √4000 runs: 8e-4
    assert order_parameter(theta).mean() == pytest.approx(expected, abs=3e-3)


@given(angle=st.floats(-3.1, 3.1), turns=st.integers(-3, 3))
def test_mean_phase_of_equal_phases_is_theirs(angle, turns):
    assert mean_phase(np.full(5, angle + 2 * np.pi * turns)) == pytest.approx(angle, abs=1e-13)  # turns cost two bits


def test_mean_phase_leans_to_the_larger_cluster():
    assert mean_phase([0.5, 0.5, 0.5 + np.pi]) == pytest.approx(0.5, abs=ROUND_OFF)


def test_mean_phase_without_resultant_is_zero_with_zero_gradient():
    theta = torch.tensor([0.3, 0.3 + np.pi], dtype=torch.float64, requires_grad=True)
    psi = mean_phase(theta)
    psi.backward()
    assert psi.item() == 0
    assert torch.equal(theta.grad, torch.zeros_like(theta))


def test_two_opposite_clusters_show_in_the_second_moment_only():
    theta = np.array([0.2, 0.2, 0.2 + np.pi, 0.2 + np.pi])
    assert abs(daido_moment(theta)) == pytest.approx(0, abs=ROUND_OFF)
    assert daido_moment(theta, 2) == pytest.approx(np.exp(0.4j), abs=ROUND_OFF)


@settings(deadline=None)
@given(theta=phases, m=st.integers(0, 6))
def test_moments_of_opposite_harmonics_are_conjugate_and_the_first_is_the_order_parameter(theta, m):
    assert daido_moment(theta, -m) == pytest.approx(np.conj(daido_moment(theta, m)), abs=1e-13)
    assert abs(daido_moment(theta)) == pytest.approx(order_parameter(theta), abs=ROUND_OFF)


def test_a_fractional_harmonic_is_refused():
    with pytest.raises(TypeError):
        daido_moment([0.0, 1.0], 0.5)


def test_neighbours_in_a_twisted_state_have_the_order_of_its_cosine():
    N, q = 12, 2
    theta = 2 * np.pi * q * np.arange(N) / N
    K = sp.csr_array(nx.to_scipy_sparse_array(nx.cycle_graph(N)))
    expected = np.full(N, abs(np.cos(2 * np.pi * q / N)))  # two neighbours at ± 2πq/N
    for form in (K, K.toarray(), -3.0 * K, nx.cycle_graph(N)):
        np.testing.assert_allclose(local_order_parameter(theta, form), expected, atol=ROUND_OFF)
    np.testing.assert_allclose(local_order_parameter(torch.tensor(theta), K).numpy(), expected, atol=ROUND_OFF)


def test_weights_count_in_the_local_order():
    K = [[0.0, 3.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    r = local_order_parameter([0.0, 0.0, np.pi / 3], K)
    np.testing.assert_allclose(r, [np.sqrt(9 + 1 + 3) / 4, 1, 1], atol=ROUND_OFF)  # |3 + exp(iπ/3)| / 4


def test_an_edge_of_a_directed_graph_points_at_the_one_who_listens():
    graph = nx.DiGraph([("a", "b"), ("c", "b")])  # only b hears anybody; nodes in the order a, b, c
    r = local_order_parameter([0.0, 1.0, np.pi], graph)
    assert r[1] == pytest.approx(0, abs=ROUND_OFF)
    assert np.isnan(r[[0, 2]]).all()


def test_a_lonely_node_does_not_spoil_the_gradient_of_the_others():
    theta = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64, requires_grad=True)
    K = torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    local_order_parameter(theta, K).nansum().backward()
    np.testing.assert_allclose(theta.grad, [0, np.sin(0.3) / 2, -np.sin(0.3) / 2])  # r_0 = cos((θ_2 − θ_1)/2)
    assert torch.isfinite(K.grad).all()


def test_everybody_is_a_neighbour_in_the_mean_field():
    theta = np.random.default_rng(2).normal(size=9)
    np.testing.assert_allclose(local_order_parameter(theta, 2.0), np.full(9, order_parameter(theta)), atol=ROUND_OFF)


def test_local_order_refuses_a_coupling_known_only_by_its_field():
    class Field:
        def field(self, g):
            return g

    with pytest.raises(TypeError, match="must be a matrix, but is a Field"):
        local_order_parameter([0.0, 1.0], Field())


@pytest.mark.parametrize("k", range(1, 9))
def test_splay_vanishes_for_equal_spacing_in_any_order_and_is_largest_in_step(k):
    psi = np.random.default_rng(k).permutation(2 * np.pi * np.arange(k) / k) + 0.3
    assert splay(psi) == pytest.approx(0, abs=ROUND_OFF)
    assert splay(np.full(k, 0.3)) == pytest.approx(k / 2 * sum(1 / g**2 for g in range(1, k // 2 + 1)))


def test_splay_of_the_mean_phases_agrees_with_the_published_code():
    golden = np.load(GOLDEN / "loss_k5.npz")
    expected = golden["out/splay_terms"].sum(axis=-1)
    np.testing.assert_allclose(splay(golden["out/group_angle"]), expected, rtol=1e-12, atol=1e-15)
