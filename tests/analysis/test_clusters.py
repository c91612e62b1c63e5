"""Cluster synchrony and clusters of phases against known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import circular_variance, cluster_synchrony, phase_clusters, splay, symmetric_best_dice

GOLDEN = Path(__file__).parents[1] / "data" / "kuranet"
LOSSES = {k: np.load(GOLDEN / f"loss_k{k}.npz") for k in (2, 3, 5, 7)}
SBD = np.load(GOLDEN / "sbd.npz")
ROUND_OFF = 1e-13  # sums of some ten terms of order one
every_loss = pytest.mark.parametrize("k", LOSSES)

# ---- cluster synchrony


@every_loss
def test_cluster_synchrony_agrees_with_the_published_code_and_the_paper(k):
    theta, labels = LOSSES[k]["in/phases"], LOSSES[k]["in/labels"]
    for normalize, name in (("bound", "cluster_loss_per_time"), ("paper", "paper_eq5_unnormalised")):
        expected = LOSSES[k][f"out/{name}"]
        np.testing.assert_allclose(cluster_synchrony(theta, labels, normalize=normalize), expected, atol=ROUND_OFF)


@every_loss
def test_an_empty_group_counts_as_in_the_published_code(k):
    found = cluster_synchrony(LOSSES[k]["in/phases"], LOSSES[k]["in/labels"], k=k + 1)
    np.testing.assert_allclose(found, LOSSES[k]["out/cluster_loss_with_one_empty_group"], atol=ROUND_OFF)


@every_loss
def test_gradients_of_cluster_synchrony_agree_with_the_published_code(k):
    theta = torch.tensor(LOSSES[k]["in/phases"][3:], requires_grad=True)
    loss = cluster_synchrony(theta, torch.tensor(LOSSES[k]["in/labels"])).mean()
    loss.backward()
    assert loss.item() == pytest.approx(LOSSES[k]["out/cluster_loss_rows3plus"], abs=ROUND_OFF)
    np.testing.assert_allclose(theta.grad, LOSSES[k]["out/grad_cluster_rows3plus"], atol=ROUND_OFF)


@pytest.mark.parametrize(
    ("k", "apart", "expected"),
    [(2, 0, 0.5), (3, 1, 1 / 15), (4, 2, 1 / 7), (5, 0, 25 / 33), (5, 2, 5.8 / 33), (10, 5, 0.1878)],
)
def test_groups_in_two_opposite_clusters_have_the_values_of_the_antipodal_ladder(k, apart, expected):
    labels = np.arange(3 * k) % k
    assert cluster_synchrony(np.pi * (labels < apart), labels) == pytest.approx(expected, abs=5e-5)  # four digits given


@settings(deadline=None)
@given(k=st.integers(2, 9), seed=st.integers(0, 2**32 - 1))
def test_cluster_synchrony_is_at_most_one_and_zero_for_groups_in_splay_in_any_order(k, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(4 * k) % k)
    assert 0 <= cluster_synchrony(rng.normal(0, 3, size=4 * k), labels, k=k) <= 1
    place = 2 * np.pi * rng.permutation(k) / k
    assert cluster_synchrony(place[labels] + 1.0, labels, k=k) == pytest.approx(0, abs=ROUND_OFF)


def test_the_bound_is_reached_where_both_terms_are_largest():
    labels = np.arange(8) // 2
    theta = np.array([1.0, 1.0 + np.pi] * 4)  # no group has a resultant: V = 1, and ψ = 0 for all, by choice
    assert cluster_synchrony(theta, labels) == pytest.approx(1, abs=ROUND_OFF)
    assert splay(np.zeros(4)) == pytest.approx(2.5)  # B_4 − 1
    assert circular_variance(theta.reshape(4, 2)) == pytest.approx(1, abs=ROUND_OFF)


def test_bytes_and_truth_values_are_labels():
    theta = np.array([0.1, 2.0, 1.0])
    expected = cluster_synchrony(theta, [0, 1, 1])
    assert cluster_synchrony(theta, np.array([False, True, True])) == expected
    assert cluster_synchrony(theta, np.array([0, 1, 1], dtype=np.uint8)) == expected
    assert np.isfinite(cluster_synchrony(theta, np.array([0, 255, 1], dtype=np.uint8)))  # 256 groups


def test_single_nodes_are_groups_in_step():
    psi = np.random.default_rng(0).normal(size=5)
    assert cluster_synchrony(psi, np.arange(5)) == pytest.approx(splay(psi) / 4.125, abs=ROUND_OFF)  # B_5


def test_gradients_stay_finite_beside_an_empty_group_and_one_without_resultant():
    theta = torch.tensor([0.1, 0.2, 0.3, 0.3 + np.pi], dtype=torch.float64, requires_grad=True)
    cluster_synchrony(theta, [0, 0, 1, 1], k=4).backward()
    assert 0 < theta.grad[:2].abs().min() <= theta.grad.abs().max() < 1  # NaN, or 1/r of a tiny r, is neither


def test_runs_may_have_labels_of_their_own():
    rng = np.random.default_rng(1)
    theta, labels = rng.normal(size=(5, 3, 8)), np.stack([rng.permutation(np.arange(8) % 4) for _ in range(3)])
    expected = np.stack([cluster_synchrony(theta[:, run], labels[run]) for run in range(3)], axis=-1)
    np.testing.assert_allclose(cluster_synchrony(theta, labels), expected, atol=ROUND_OFF)
    named = xr.DataArray(theta, dims=("time", "run", "node"))
    found = cluster_synchrony(named, xr.DataArray(labels.T, dims=("node", "run")))
    np.testing.assert_allclose(found.transpose("time", "run"), expected, atol=ROUND_OFF)


def test_labels_on_a_lattice_are_matched_by_name():
    labels = xr.DataArray(np.arange(12).reshape(3, 4) % 5, dims=("height", "width"))
    theta = xr.DataArray(np.random.default_rng(2).normal(size=(6, 3, 4)), dims=("time", "height", "width"))
    found = cluster_synchrony(theta, labels.T, dim=("height", "width"))
    np.testing.assert_allclose(found, cluster_synchrony(theta.values.reshape(6, 12), np.arange(12) % 5), atol=ROUND_OFF)


@pytest.mark.parametrize(
    ("labels", "options", "error", "says"),
    [
        ([0.0, 1.0, 1.0], {}, TypeError, "`labels` must hold integers"),
        ([0, 1], {}, ValueError, r"`labels` must have shape \(3,\)"),
        ([[0, 1, 1]] * 2, {}, ValueError, r"or fit the phases of shape \(4, 3\), but is \(2, 3\)"),
        ([[[0, 1, 1]]], {}, ValueError, r"or fit the phases of shape \(4, 3\), but is \(1, 1, 3\)"),
        ([0, 1, -1], {}, ValueError, r"`labels` must be in 0\.\.1, but run from -1 to 1"),
        ([0, 1, 3], {"k": 3}, ValueError, r"`labels` must be in 0\.\.2, but run from 0 to 3"),
        ([0, 0, 0], {}, ValueError, "`k` must be at least 2 groups, but is 1"),
        ([0, 0, 0], {"k": 1}, ValueError, "`k` must be at least 2 groups, but is 1"),
        ([0, 1, 1], {"k": 2.0}, TypeError, "integer"),
        ([0, 1, 1], {"normalize": "eq5"}, ValueError, '`normalize` must be "bound" or "paper"'),
    ],
)
def test_labels_that_are_none_are_refused(labels, options, error, says):
    for theta in (np.zeros((4, 3)), torch.zeros(4, 3)):
        with pytest.raises(error, match=says):
            cluster_synchrony(theta, labels, **options)


# ---- clusters of phases


def test_clusters_across_the_cut_are_found():
    found = phase_clusters(SBD["in/phases_wrap"], 4, rng=0)
    assert symmetric_best_dice(found, SBD["in/labels_wrap"]) == SBD["out/sbd_of_circular_kmeans_k4"] == 1


def test_clusters_are_numbered_by_their_mean_phase():
    theta = np.array([3.0, -3.0 + 4 * np.pi, 0.0, 0.1, -1.5, -1.4 - 2 * np.pi])  # means: ±π, 0.05, −1.45
    found = phase_clusters(theta - 0.02, 3, rng=1)  # the first cluster now lies below π
    np.testing.assert_array_equal(found, [2, 2, 1, 1, 0, 0])


def test_many_clusters_are_numbered_along_the_circle():
    place = np.random.default_rng(7).permutation(np.arange(24) % 8)
    np.testing.assert_array_equal(phase_clusters(2 * np.pi * place / 8 - 3.0, 8, rng=0), place)


def test_every_kind_of_array_gives_labels_of_its_kind():
    theta = np.random.default_rng(3).normal(size=(2, 3, 4))
    expected = np.stack([phase_clusters(row, 2, rng=0) for row in theta.reshape(2, 12)])
    flat = phase_clusters(theta.reshape(2, 12), 2, rng=0)
    np.testing.assert_array_equal(flat, expected)
    tensor = phase_clusters(torch.tensor(theta, requires_grad=True), 2, rng=0, dim=("height", "width"))
    assert tensor.dtype == torch.int64
    named = xr.DataArray(theta, dims=("run", "height", "width"))
    labelled = phase_clusters(named.transpose("width", "run", "height"), 2, rng=0, dim=("height", "width"))
    lazy = phase_clusters(named.chunk({"run": 1}), 2, rng=0, dim=("height", "width"))
    for found in (tensor, labelled.transpose("run", "height", "width"), lazy):
        np.testing.assert_array_equal(np.asarray(found), expected.reshape(2, 3, 4))


def test_the_same_seed_gives_the_same_clusters():
    theta = np.random.default_rng(4).uniform(-np.pi, np.pi, 40)  # no clusters: what is found depends on the start
    found = [phase_clusters(theta, 6, rng=seed, restarts=1) for seed in (0, 0, 1, 2, 3)]
    np.testing.assert_array_equal(found[0], found[1])
    assert any((found[0] != other).any() for other in found[2:])


def test_phases_in_step_fill_one_cluster_only():
    assert len(set(phase_clusters(np.full(9, 2.5), 3, rng=0))) == 1


def test_clusters_of_nothing_are_refused():
    for k in (0, 4):
        with pytest.raises(ValueError, match=rf"`k` must be in 1\.\.3, the number of nodes, but is {k}"):
            phase_clusters(np.zeros(3), k)
    with pytest.raises(ValueError, match="`theta` must be finite"):
        phase_clusters([0.0, np.nan], 2)
    with pytest.raises(ValueError, match="`restarts` must be positive"):
        phase_clusters([0.0, 1.0], 2, restarts=0)
