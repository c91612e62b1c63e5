"""Oscillators in threes against the mean-field theory and against sums written out."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from analysis import order_parameter, theory
from oscillators import Kuramoto, SimplicialKuramoto, simulate
from tests.problems import lorentzian_frequencies, poisson_phases, simplicial_order, velocity

ROUND_OFF = 1e-13  # sums of some hundred sines
N = 6
rng = np.random.default_rng(6)
THETA, OMEGA = 3 * rng.normal(size=N), rng.normal(size=N)
K = rng.normal(size=(N, N))
PAIRS = (K * np.sin(THETA[None, :] - THETA[:, None])).sum(axis=1)


def pull(i, j, k):
    return np.sin(2 * THETA[j] - THETA[k] - THETA[i])


def test_the_mean_field_sums_over_all_triples():
    everyone = range(N)
    triples = np.array([sum(pull(i, j, k) for j in everyone for k in everyone) for i in everyone])
    found = velocity(SimplicialKuramoto(OMEGA, 1.7), K, THETA)
    np.testing.assert_allclose(found, OMEGA + PAIRS + 1.7 * triples / N**2, rtol=0, atol=ROUND_OFF)


def test_each_corner_of_a_triangle_feels_both_orders_of_the_others():
    corners, strength = np.array([[0, 2, 3], [3, 5, 1]]), rng.normal(size=N)
    expected = OMEGA + PAIRS
    for triangle in corners:
        for i, j, k in permutations(triangle):
            expected[i] += strength[i] * pull(i, j, k)
    found = velocity(SimplicialKuramoto(OMEGA, strength, corners), K, THETA)
    np.testing.assert_allclose(found, expected, rtol=0, atol=ROUND_OFF)


def test_all_triangles_are_the_mean_field_without_its_second_harmonic():
    # Of the N² terms of the mean field, j = i gives −Σ sin(θ_k − θ_i), j = k gives Σ sin(θ_k − θ_i), which cancel, and
    # k = i gives Σ sin 2(θ_j − θ_i), which no triangle has.
    triangles = np.array(list(combinations(range(N), 3)))
    harmonic = np.sin(2 * (THETA[None, :] - THETA[:, None])).sum(axis=1)
    found = velocity(SimplicialKuramoto(OMEGA, 1.0, triangles), K, THETA)
    whole = velocity(SimplicialKuramoto(OMEGA, float(N**2)), K, THETA)
    np.testing.assert_allclose(found, whole - harmonic, rtol=0, atol=ROUND_OFF)


def test_without_triads_the_model_is_kuramotos():
    t = [0.0, 1.0, 2.0]
    plain = simulate(Kuramoto(OMEGA), K, THETA, t, method="rk4", dt=0.01).theta
    for system in (SimplicialKuramoto(OMEGA), SimplicialKuramoto(OMEGA, 1.0, np.empty((0, 3)))):
        np.testing.assert_allclose(
            simulate(system, K, THETA, t, method="rk4", dt=0.01).theta, plain, rtol=0, atol=ROUND_OFF
        )


def late_order(K1, K2, half_width, theta):
    system = SimplicialKuramoto(lorentzian_frequencies(len(theta), half_width), K2)
    t = np.linspace(0, 60, 61)
    result = simulate(system, K1, theta, t, method="rk4", dt=0.05, observe={"r": order_parameter})
    return float(result.r[40:].mean())


@pytest.mark.parametrize(("K1", "K2"), [(1.5, 8.0), (-0.5, 12.0)])
def test_triads_hold_synchrony_where_incoherence_is_stable_too(K1, K2):
    nodes, half_width = 5000, 1.0  # K1 < 2Δ: incoherence is stable
    spread, together = 2 * np.pi * rng.random(nodes), np.zeros(nodes)
    stable, unstable = simplicial_order(K1, K2, half_width)
    assert late_order(K1, K2, half_width, spread) < 4 / np.sqrt(nodes) < unstable  # 0.89/√(N (1 − K1/2Δ)), twice
    # quantiles carry no sampling error; what drifts adds less than 1/√N, most of which the average in time removes
    assert late_order(K1, K2, half_width, together) == pytest.approx(stable, abs=0.4 / np.sqrt(nodes))
    np.testing.assert_allclose(theory.simplicial_branches(K1, K2, half_width), (stable, unstable), rtol=1e-12)


def test_the_unstable_branch_parts_the_basins():
    nodes, K1, K2 = 20_000, 1.0, 8.0
    _, unstable = simplicial_order(K1, K2, 1.0)
    for r0, grows in ((0.85 * unstable, False), (1.15 * unstable, True)):
        start = rng.permutation(poisson_phases(nodes, r0))  # independent of the frequencies, on the manifold Z_2 = Z_1²
        assert (late_order(K1, K2, 1.0, start) > unstable) == grows


def test_beyond_the_fold_only_incoherence_is_left():
    # The discriminant (K1 − K2)² − 4 K2 (2Δ − K1) = (K1 + K2)² − 8 Δ K2 vanishes at K1 = 2√(2ΔK2) − K2, where the
    # branches meet at r² = (K2 − K1)/(2 K2).
    K2, nodes = 8.0, 5000
    fold = 2 * np.sqrt(2 * K2) - K2
    K1, r = theory.simplicial_fold(K2)
    assert (K1, r) == pytest.approx((fold, np.sqrt((K2 - fold) / (2 * K2))))
    assert late_order(fold - 0.3, K2, 1.0, np.zeros(nodes)) < 2 / np.sqrt(nodes)
    assert late_order(fold + 0.1, K2, 1.0, np.zeros(nodes)) > r
