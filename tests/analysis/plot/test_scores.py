"""Pictures of scores hold the data they were given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from analysis import expected_calibration_error, plot

rng = np.random.default_rng(0)


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_reliability_diagram_has_a_bar_of_the_accuracy_of_each_bin():
    confidence, correct = np.array([[0.1, 0.2, 0.9], [0.6, 0.7, 1.0]]), np.array([[0, 1, 1], [1, 0, 1]])
    for given in ((confidence, correct), (torch.tensor(confidence, requires_grad=True), torch.tensor(correct) > 0)):
        ax = plot.reliability(*given, bins=4)
        bars = ax.containers[0].patches
        np.testing.assert_allclose([bar.get_height() for bar in bars], [0.5, np.nan, 0.5, 1])  # nothing in (1/4, 1/2]
        np.testing.assert_allclose([bar.get_x() for bar in bars], [0, 0.25, 0.5, 0.75], atol=1e-15)
        error = expected_calibration_error(confidence.ravel(), correct.ravel(), bins=4)
        assert texts(ax) == ["calibrated", f"measured, ECE = {error:.3f}"]


def test_energies_count_from_the_mean_of_their_input_and_are_binned():
    energy = np.array([[-3.0, -1.0, 1.0, 3.0], [97.0, 99.0, 101.0, 103.0]])
    correct = np.array([[1, 1, 0, 0], [1, 0, 1, 0]])
    named = xr.DataArray(energy, dims=("board", "copy"))
    for given in (
        (energy, correct),
        (named.T, xr.DataArray(correct, dims=named.dims)),
        (torch.tensor(energy), correct),
    ):
        ax = plot.accuracy_against_energy(*given, bins=4)
        np.testing.assert_allclose(ax.lines[0].get_xydata(), [[-3, 1], [-1, 0.5], [1, 0.5], [3, 0]])
        assert texts(ax) == ["8 copies, correlation -0.67"]  # −12/√(40·8)


def test_copies_that_did_not_run_are_left_out():
    energy, correct = np.array([[-1.0, 1.0, np.nan], [9.0, 11.0, 13.0]]), np.array([[1, 0, 1], [1, 0, 1]])
    ax = plot.accuracy_against_energy(energy, correct, bins=5)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [-2, -1, 0, 1, 2])
    assert texts(ax)[0].startswith("5 copies")


def test_energy_cannot_tell_what_does_not_differ():
    energy = rng.normal(size=(3, 4))
    with pytest.raises(ValueError, match="`correct` must hold two different values"):
        plot.accuracy_against_energy(energy, np.ones((3, 4)))
    with pytest.raises(ValueError, match="`energy` must hold two different values"):
        plot.accuracy_against_energy(np.full((3, 4), 2.0), energy > 0)
    with pytest.raises(ValueError, match=r"`correct` must have the shape of `energy`, \(3, 4\), but is \(3,\)"):
        plot.accuracy_against_energy(energy, np.ones(3))


def test_a_score_is_drawn_over_the_number_of_clusters_with_its_error():
    score = np.array([[0.2, 0.4, np.nan], [0.5, 0.7, 0.6]])
    ax = plot.score_against_clusters([2, 3], torch.tensor(score), label="AKOrN")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[2, 0.3], [3, 0.6]])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(0.6 + np.sqrt(0.02 / 3) / np.sqrt(3))
    assert band[:, 1].min() == pytest.approx(0.3 - 0.1 / np.sqrt(2))
    assert plot.score_against_clusters([2, 3], [0.4, 0.5], name="FG-ARI", ax=ax) is ax
    assert ax.get_ylabel() == "FG-ARI"
    assert texts(ax) == ["AKOrN"]


def test_scores_without_a_row_for_each_number_of_clusters_are_refused():
    with pytest.raises(ValueError, match=r"`score` must have shape \(2, image\), a row for each k, but is \(3, 2\)"):
        plot.score_against_clusters([2, 3], np.zeros((3, 2)))
