"""Clusters of points, and how far apart they lie."""

import numpy as np
import pytest
import torch
import xarray as xr

import analysis

rng = np.random.default_rng(0)


def blobs(k=3, n=20, d=4, spread=0.01):
    """Points (k n, d) around k corners, and their labels."""
    centres = 3 * np.eye(k, d)
    labels = np.repeat(np.arange(k), n)
    return centres[labels] + spread * rng.normal(size=(k * n, d)), labels


def test_blobs_are_found():
    x, labels = blobs()
    assert analysis.symmetric_best_dice(analysis.point_clusters(x, 3, rng=0), labels) == 1.0


def test_every_image_is_clustered_by_itself_with_its_own_number():
    x, _ = blobs()
    found = analysis.point_clusters(np.stack([x, x, x]), [1, 2, 3], rng=0)
    assert [len(np.unique(row)) for row in found] == [1, 2, 3]


def test_points_that_take_no_part_have_a_label_of_their_own():
    x, labels = blobs()
    x[:5] = 1e6
    among = np.arange(len(x)) >= 5
    found = analysis.point_clusters(x, 3, among=among, rng=0)
    assert (found[:5] == -1).all()
    assert analysis.symmetric_best_dice(found[5:], labels[5:]) == 1.0


def test_a_seed_decides_the_clusters():
    x = rng.normal(size=(2, 50, 3))
    assert (analysis.point_clusters(x, 4, rng=7) == analysis.point_clusters(x, 4, rng=7)).all()


def test_pixels_tensors_and_labelled_arrays_give_the_same():
    x, _ = blobs(n=4)
    pixels = x.reshape(3, 4, 4)
    plain = analysis.point_clusters(pixels, 3, rng=0, dim=("height", "width"))
    assert plain.shape == (3, 4)
    assert (plain.ravel() == analysis.point_clusters(x, 3, rng=0)).all()
    tensor = analysis.point_clusters(torch.from_numpy(pixels), 3, rng=0, dim=("height", "width"))
    assert isinstance(tensor, torch.Tensor)
    assert (tensor.numpy() == plain).all()
    named = xr.DataArray(np.moveaxis(pixels, -1, 0), dims=("component", "height", "width"))
    found = analysis.point_clusters(named, 3, rng=0, dim=("height", "width"))
    assert found.dims == ("height", "width")
    assert (found.values == plain).all()


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        (np.zeros((3, 2)), 4, r"`k` must be in 1..3, the number of points, but is 4"),
        (np.zeros((3, 2)), 0, r"`k` must be in 1..3, the number of points, but is 0"),
        (np.full((3, 2), np.nan), 2, "`x` must be finite"),
    ],
)
def test_impossible_clusterings_are_refused(x, k, message):
    with pytest.raises(ValueError, match=message):
        analysis.point_clusters(x, k)


def test_distances_of_two_points_each_are_what_they_are():
    x = np.array([[0.0, 0.0], [2.0, 0.0], [10.0, 4.0], [10.0, 4.0], [50.0, 50.0]])
    labels = np.array([0, 0, 5, 5, -1])
    found = analysis.separability(x, labels)
    # centres (1, 0) and (10, 4): (81 + 16)/2; first cluster (1 + 0)/2 per point, second 0
    assert found.inter_min == found.inter_max == found.inter_mean == pytest.approx(48.5)
    assert found.inter_std == 0
    assert found.intra == pytest.approx(0.25)


def test_pairs_of_centres_are_compared():
    x = np.array([[0.0], [1.0], [3.0]])
    found = analysis.separability(np.stack([x, 2 * x]), np.array([[0, 1, 2]] * 2))
    assert found.inter_min == pytest.approx([1.0, 4.0])
    assert found.inter_max == pytest.approx([9.0, 36.0])
    assert found.inter_mean[0] == pytest.approx((1 + 4 + 9) / 3)
    assert found.inter_std[0] == pytest.approx(np.std([1, 4, 9]))


def test_a_single_cluster_has_no_distance_from_others():
    found = analysis.separability(np.array([[0.0], [2.0]]), np.array([1, 1]))
    assert np.isnan(found[:4]).all()
    assert found.intra == 1.0


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"`labels` must have the shape \(2,\) of the points"):
        analysis.separability(np.zeros((2, 1)), np.zeros(3, int))
    with pytest.raises(ValueError, match="`labels` must hold a cluster in every image"):
        analysis.separability(np.zeros((2, 1)), np.array([-1, -1]))
    with pytest.raises(TypeError, match="`labels` must hold integers"):
        analysis.separability(np.zeros((2, 1)), np.zeros(2))
