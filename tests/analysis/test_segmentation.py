"""Scores of segmentations against known answers, other libraries and the sets themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from analysis import fg_ari, mean_best_overlap, symmetric_best_dice

SBD = np.load(Path(__file__).parents[1] / "data" / "kuranet" / "sbd.npz")
ROUND_OFF = 1e-13  # sums of some ten terms of order one
SCORES = {"fg_ari": fg_ari, "mean_best_overlap": mean_best_overlap}
every_score = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)


def random_maps(seed: int, shape: tuple[int, ...] = (4, 7, 9)) -> tuple[np.ndarray, np.ndarray]:
    """Clusters 1..4, and objects 1..3 with background and ignored places; most places agree."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, 4, size=shape)
    return np.where(rng.random(shape) < 0.7, truth + 2, rng.integers(1, 5, size=shape)), truth


# ---- adjusted Rand index


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.integers(1, 6))
def test_the_adjusted_rand_index_is_that_of_scikit_learn(seed, side):
    found, truth = random_maps(seed, (3, side, side))
    for background, counts in ((0, truth > 0), (None, truth > -1)):
        expected = [adjusted_rand_score(t[c], f[c]) for f, t, c in zip(found, truth, counts, strict=True)]
        np.testing.assert_allclose(fg_ari(found, truth, background=background), expected, atol=ROUND_OFF)


def test_a_single_object_scores_one_in_one_cluster_and_zero_in_several():
    truth = np.array([[0, 1, 1], [0, 1, 1]])
    assert fg_ari([[5, 2, 2], [5, 2, 2]], truth) == 1
    assert fg_ari([[5, 2, 2], [5, 2, 3]], truth) == pytest.approx(0, abs=ROUND_OFF)


def test_single_places_score_one():
    assert fg_ari([[4, 1]], [[0, 1]]) == 1
    assert fg_ari([[4, 1, 2]], [[3, 2, 1]]) == 1


def test_pairs_of_a_large_image_do_not_overflow():
    truth = np.repeat([[1, 2]], 100_000, axis=0)  # products of its numbers of pairs are beyond 64 bits
    assert fg_ari(truth[:, ::-1], truth) == 1


def test_an_image_without_objects_scores_what_is_asked_for():
    found, truth = np.ones((2, 2, 2), dtype=int), np.array([[[0, -1], [0, 0]], [[1, 1], [0, 2]]])
    np.testing.assert_array_equal(fg_ari(found, truth), [1, 0])
    np.testing.assert_array_equal(fg_ari(found, truth, empty=np.nan), [np.nan, 0])
    overlap = (2 / 4 + 1 / 4) / 2
    np.testing.assert_array_equal(mean_best_overlap(found, truth), [np.nan, overlap])
    np.testing.assert_array_equal(mean_best_overlap(found, truth, empty=-1), [-1, overlap])
    named = xr.DataArray(found, dims=("image", "height", "width"))
    assert mean_best_overlap(named, truth).mean() == overlap


# ---- mean best overlap


def test_the_mean_best_overlap_of_a_small_image_is_that_by_hand():
    truth = np.array([[1, 1, 1, 0], [2, 2, 0, -1]])
    found = np.array([[7, 7, 3, 3], [3, 3, 3, 3]])
    # object 1: 2/3 by cluster 7 (1/7 by 3); object 2: 2/5 by cluster 3, whose ignored place does not count
    assert mean_best_overlap(found, truth) == pytest.approx((2 / 3 + 2 / 5) / 2, abs=ROUND_OFF)
    found[0, 0] = -1  # found in no cluster: object 1 keeps its size, cluster 7 loses a place
    assert mean_best_overlap(found, truth) == pytest.approx((1 / 3 + 2 / 5) / 2, abs=ROUND_OFF)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_mean_best_overlap_is_that_of_the_sets(seed):
    found, truth = random_maps(seed)
    for f, t, score in zip(found, truth, mean_best_overlap(found, truth), strict=True):
        sets = [(f == i) & (t != -1) for i in np.unique(f)]
        best = [max((s & (t == j)).sum() / (s | (t == j)).sum() for s in sets) for j in np.unique(t[t > 0])]
        assert score == pytest.approx(np.mean(best), abs=ROUND_OFF)


def test_two_instances_of_a_class_are_one_object_of_it():
    instances = np.array([[1, 1, 2, 2]])
    found = np.array([[5, 5, 5, 5]])
    assert mean_best_overlap(found, instances) == 0.5
    assert mean_best_overlap(found, (instances > 0).astype(int)) == 1


def test_without_any_cluster_nothing_overlaps():
    assert mean_best_overlap([[-1, -1]], [[1, 0]]) == 0


# ---- both scores of images


@every_score
@settings(deadline=None)
@given(names=st.permutations([7, 0, 12, -5]), seed=st.integers(0, 99))
def test_the_names_of_clusters_and_objects_do_not_matter(score, names, seed):
    found, truth = random_maps(seed)
    renamed = np.where(truth > 0, np.array([0, 9, 4, 6])[truth], truth)
    found = np.minimum(found, 4)
    np.testing.assert_allclose(score(np.array(names)[found - 1], renamed), score(found, truth), atol=ROUND_OFF)


@every_score
def test_perfect_segments_score_one(score):
    _, truth = random_maps(0)
    np.testing.assert_array_equal(score(truth, truth), 1)


@every_score
def test_each_kind_of_array_gives_scores_of_its_kind(score):
    found, truth = random_maps(1)
    expected = np.array([score(f, t) for f, t in zip(found, truth, strict=True)])  # an image is scored as if alone
    assert isinstance(score(found, truth), np.ndarray)
    tensor = score(torch.tensor(found), torch.tensor(truth))
    assert isinstance(tensor, torch.Tensor)
    named = xr.DataArray(found, dims=("image", "height", "width"), coords={"image": [3, 4, 5, 6]})
    labelled = score(named.transpose("width", "image", "height"), xr.DataArray(truth, dims=named.dims))
    lazy = score(named.chunk({"image": 1}), truth)
    assert labelled.name == score.__name__
    np.testing.assert_array_equal(labelled.image, [3, 4, 5, 6])
    for result in (score(found, truth), tensor, labelled, lazy, score(found.astype(np.uint8), truth.astype(np.int8))):
        np.testing.assert_array_equal(np.asarray(result), expected)


@every_score
def test_labels_of_several_cluster_numbers_are_scored_at_once(score):
    (found, truth), (other, _) = random_maps(2), random_maps(3)
    both = np.stack([found, other])
    expected = np.stack([score(found, truth), score(other, truth)])
    np.testing.assert_array_equal(score(both, truth), expected)
    named = score(
        xr.DataArray(both, dims=("k", "image", "height", "width")),
        xr.DataArray(truth, dims=("image", "height", "width")),
    )
    np.testing.assert_array_equal(named.transpose("k", "image"), expected)


@every_score
def test_places_may_be_a_row(score):
    found, truth = random_maps(4)
    flat = score(found.reshape(4, 63), truth.reshape(4, 63), dim="node")
    np.testing.assert_array_equal(flat, score(found, truth))


@every_score
@pytest.mark.parametrize(
    ("found", "truth", "error", "says"),
    [
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4), int), TypeError, "`found` must hold integers"),
        (np.zeros((2, 3, 4), int), np.zeros((2, 3, 4)), TypeError, "`truth` must hold integers"),
        (np.zeros((2, 3, 4), int), np.zeros((2, 4, 3), int), ValueError, r"`truth` must have the lattice \(3, 4\)"),
        (np.zeros((2, 3, 4), int), np.zeros((5, 3, 4), int), ValueError, "`truth` must label the 12 places of `found`"),
        (np.zeros((2, 3, 4), int), np.zeros(11, int), ValueError, "`truth` must label the 12 places of `found`"),
        (np.zeros((2, 0, 4), int), np.zeros((2, 0, 4), int), ValueError, "at least one height"),
        (np.zeros(4, int), np.zeros(4, int), ValueError, "trailing axes"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(score, found, truth, error, says):
    with pytest.raises(error, match=says):
        score(found, truth)


# ---- likeness of labelings


@pytest.mark.parametrize("case", range(5))
def test_symmetric_best_dice_agrees_with_the_reference(case):
    a, b, expected = SBD[f"in/a{case}"], SBD[f"in/b{case}"], SBD[f"out/sbd{case}"]
    for one, other in ((a, b), (b, a), (torch.tensor(a), xr.DataArray(b))):
        assert symmetric_best_dice(one, other) == pytest.approx(expected, abs=ROUND_OFF)


@given(labels=st.lists(st.integers(0, 4), min_size=1), names=st.permutations([7, -3, 0, 12, 5]))
def test_the_names_of_labels_do_not_matter(labels, names):
    renamed = np.array(names)[labels].reshape(1, -1)
    assert symmetric_best_dice(np.array([labels]), renamed) == 1


def test_one_set_for_two_is_as_bad_as_two_for_one():
    one, two = np.zeros(4, dtype=int), np.array([0, 0, 0, 1])
    expected = (2 * 3 / 7 + 2 * 1 / 5) / 2  # the smaller direction: each half against the whole
    assert symmetric_best_dice(one, two) == pytest.approx(expected, abs=ROUND_OFF)
    assert symmetric_best_dice(two, one) == pytest.approx(expected, abs=ROUND_OFF)


def test_an_ignored_label_is_no_set_but_its_places_count():
    a, b = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 2])
    assert symmetric_best_dice(a, b, ignore=0) == pytest.approx((2 * 2 / 5 + 1) / 2, abs=ROUND_OFF)
    assert symmetric_best_dice(a, b) == pytest.approx((2 * 2 / 5 + 2 * 2 / 5 + 1) / 3, abs=ROUND_OFF)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(TypeError, match="`b` must hold integers"):
        symmetric_best_dice([0, 1], [0.0, 1.0])
    with pytest.raises(ValueError, match=r"`b` must have the shape of `a`, \(2,\), but is \(3,\)"):
        symmetric_best_dice([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="must hold labels to compare"):
        symmetric_best_dice([0, 0], [0, 1], ignore=0)
