"""What is clustered to find objects, and how it is scored."""

import math

import numpy as np
import pytest
import torch

from neural.autoencoders import (
    clusters_guessed,
    colour_features,
    direction_colours,
    object_scores,
    phase_features,
    rotation_features,
    segments,
)
from neural.autoencoders.activations import from_vectors

DOUBLE = {"dtype": torch.float64}


def scene(objects=3, size=12, seed=0):
    """Labels (2, size, size): bands, the first of them background; and a phase for every label."""
    truth = np.broadcast_to(np.arange(size) * (objects + 1) // size, (2, size, size)).copy()
    phase = torch.from_numpy(2 * math.pi * truth / (objects + 1) - 3.0)[:, None].expand(-1, 3, -1, -1)
    return truth, phase + 0.05 * torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed), **DOUBLE)


def test_both_weightings_are_their_formulas():
    magnitude, phase = torch.tensor([0.0, 0.05, 0.2], **DOUBLE), torch.tensor([1.0, 2.0, -3.0], **DOUBLE)
    shape = (1, 1, 1, 3)
    for weighting, angle in (("published", [0.0, 1.0, -3.0]), ("plain", [1.0, 2.0, -3.0])):
        found = phase_features(magnitude.view(shape), phase.view(shape), weighting=weighting)
        wanted = [[w * math.cos(a), w * math.sin(a)] for w, a in zip((0.0, 0.5, 1.0), angle, strict=True)]
        assert np.allclose(found[0, 0].numpy(), wanted, atol=1e-15)
    found = phase_features(magnitude.view(shape), phase.view(shape), threshold=None)
    assert np.allclose(found[0, 0, :, 0].numpy(), np.cos([1.0, 2.0, -3.0]))


def test_channels_stand_as_pairs():
    phase = torch.tensor([0.1, 0.2], **DOUBLE).view(1, 2, 1, 1)
    found = phase_features(torch.ones_like(phase), phase)[0, 0, 0].numpy()
    assert np.allclose(found, [math.cos(0.1), math.sin(0.1), math.cos(0.2), math.sin(0.2)])


def test_an_unknown_weighting_is_an_error():
    with pytest.raises(ValueError, match="`weighting` must be one of 'published', 'plain', but is 'clean'"):
        phase_features(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), weighting="clean")


def test_a_threshold_that_is_no_magnitude_is_an_error():
    for threshold in (0.0, -1.0):  # the published code has -1 for our None
        with pytest.raises(ValueError, match=r"`threshold` must be one positive number.*None trusts all magnitudes"):
            phase_features(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), threshold=threshold)


def test_directions_are_means_over_the_channels_that_are_seen():
    u = torch.nn.functional.normalize(torch.randn(2, 4, generator=torch.Generator().manual_seed(0), **DOUBLE), dim=1)
    z = torch.stack([2 * u[0], 0.5 * u[1], 0.05 * u[1]], dim=-1).view(1, 4, 3, 1, 1)  # (B, n, C, H, W)
    assert torch.allclose(
        rotation_features(from_vectors(z))[0, 0, 0], (u[0] + u[1]) / 2, atol=1e-7
    )  # 1e-8 in the count
    alone = z[:, :, :1]
    assert torch.allclose(rotation_features(from_vectors(alone))[0, 0, 0], u[0], atol=1e-15)
    assert not rotation_features(from_vectors(0.01 * alone)).any()


def test_separate_phases_are_found_and_scored_as_perfect():
    truth, phase = scene()
    scores = object_scores(phase_features(torch.ones_like(phase), phase), truth)
    for name in ("ari_fg", "ari_full", "mbo"):
        assert scores[name] == pytest.approx([1.0, 1.0])
    assert (scores["inter_min"] > 100 * scores["intra"]).all()


def test_equal_phases_are_scored_as_chance():
    truth, phase = scene()
    features = phase_features(torch.ones_like(phase), torch.zeros_like(phase))
    assert object_scores(features, truth)["ari_fg"] == pytest.approx([0.0, 0.0], abs=1e-12)


def test_pixels_of_overlaps_are_not_clustered_but_their_label_counts():
    truth, phase = scene(objects=3)
    truth[:, :3, 4:] = -1
    found = segments(phase_features(torch.ones_like(phase), phase), truth)
    assert (found[truth < 0] == -1).all()
    assert len(np.unique(found[truth >= 0])) == 5  # four labels and that of overlaps, as published


def test_the_number_of_clusters_may_be_told():
    truth, phase = scene()
    features = phase_features(torch.ones_like(phase), phase)
    assert [len(np.unique(image)) for image in segments(features, truth, k=[2, 3])] == [2, 3]


def test_one_object_alone_scores_one_in_one_cluster_and_zero_in_two():
    truth, phase = scene(objects=1)
    features = phase_features(torch.ones_like(phase), phase)
    assert object_scores(features, truth)["ari_fg"] == pytest.approx([1.0, 1.0])
    truth[:] = 1  # nothing but the object, torn in two
    assert object_scores(features, truth, k=2)["ari_fg"] == pytest.approx([0.0, 0.0])
    alone = object_scores(features, truth)  # one label, one cluster
    assert alone["ari_fg"] == pytest.approx([1.0, 1.0])
    assert np.isnan(alone["inter_min"]).all()
    assert (alone["intra"] > 0).all()


def test_an_output_without_magnitude_is_one_cluster():
    truth, phase = scene()
    features = phase_features(torch.zeros_like(phase), phase)
    assert not features.any()
    assert (segments(features, truth) == 0).all()


def test_an_image_without_pixels_to_cluster_is_named():
    truth, phase = scene()
    truth[1] = -1
    with pytest.raises(ValueError, match="`truth` must leave pixels to cluster, but all of image 1 are negative"):
        object_scores(phase_features(torch.ones_like(phase), phase), truth)


def test_labels_of_other_pixels_are_refused():
    truth, phase = scene()
    features = phase_features(torch.ones_like(phase), phase)
    with pytest.raises(
        ValueError, match=r"`truth` must have the shape \(2, 12, 12\) of the pixels .*, but is \(2, 12, 11\)"
    ):
        segments(features, truth[:, :, 1:])


def test_the_number_of_clusters_is_guessed_without_the_truth():
    truth, phase = scene(objects=3)
    features = phase_features(torch.ones_like(phase), phase)
    assert clusters_guessed(features, truth).tolist() == [4, 4]
    assert clusters_guessed(features, np.zeros_like(truth)).tolist() == [4, 4]
    assert clusters_guessed(torch.zeros_like(features), truth).tolist() == [1, 1]
    truth[:, :, 6:] = -1  # half of the bands do not count
    assert clusters_guessed(features, truth).tolist() == [2, 2]


def test_controls_know_colour_and_place_and_nothing_else():
    images = torch.zeros(1, 3, 4, 4)
    images[0, 0, :, 0], images[0, 0, :, 1], images[0, 2, :, 3] = 1.0, 0.5, 0.25  # red, dark red, black, blue
    found = {name: value[0, 2] for name, value in colour_features(images).items()}  # a row of pixels
    assert found["RGB"].tolist() == [[1, 0, 0], [0.5, 0, 0], [0, 0, 0], [0, 0, 0.25]]
    assert found["hue"].tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
    place = found["hue and position"][:, 3:].numpy()
    assert np.allclose(place, 0.7 * np.array([[0.5, 0], [0.5, 0.25], [0, 0], [0.5, 0.75]]))
    assert found["phases 0"].tolist() == [[1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0] * 6, [0, 0, 0, 0, 1, 0]]


def test_directions_are_hues_and_magnitudes_brightness():
    angle = torch.tensor([0.0, 2 * math.pi / 3, -2 * math.pi / 3, math.pi])
    z = torch.stack([0.5 * angle.cos(), 0.5 * angle.sin(), torch.full((4,), 0.5)]).view(3, 1, 1, 1, 4)
    found = direction_colours(z)[0, :, 0].T
    wanted = 0.5 * torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
    assert torch.allclose(found, wanted, atol=1e-6)
    longer = from_vectors(torch.tensor([0.6, -0.8, 0.0, 0.0]).view(1, 4, 1, 1, 1).expand(1, 4, 2, 1, 1))
    assert direction_colours(longer)[0, :, 0, 0].tolist() == pytest.approx([0.8, 0.1, 0.5])
