"""Pictures of how right a network is: against its confidence, its energy, and its number of clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from analysis.calibration import checked, expected_calibration_error, in_bins
from analysis.checks import ratio
from analysis.labels import is_labelled
from analysis.plot.reading import axes_or_new, plain, require_two_values


def reliability(confidence: Any, correct: Any, *, bins: int = 15, ax: Axes | None = None) -> Axes:
    """Reliability diagram: accuracy in bins of confidence beside the diagonal, where both are equal.

    Args:
        confidence: probability given to the predicted class, any shape; with `correct` and `bins` as of
            `analysis.expected_calibration_error`, which the legend shows.
        correct: whether the prediction is right, 0 or 1, of the same shape.
        bins: number of bins of equal width.
        ax: where to draw; by default a new figure.
    """
    confidence, correct = checked(plain(confidence).ravel(), plain(correct).ravel())
    error = expected_calibration_error(confidence, correct, bins=bins)
    accuracy = ratio(in_bins(correct, confidence, bins), in_bins(np.ones_like(correct), confidence, bins))
    ax = axes_or_new(ax)
    centres = (np.arange(bins) + 0.5) / bins
    ax.bar(centres, accuracy, 1 / bins, edgecolor="black", linewidth=0.5, label=f"measured, ECE = {error:.3f}")
    ax.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="calibrated")
    ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1))
    ax.legend(frameon=False)
    return ax


def accuracy_against_energy(
    energy: Any, correct: Any, *, dim: str = "copy", bins: int = 20, ax: Axes | None = None
) -> Axes:
    """How often a network is right at low and at high energy, among the copies of the same input.

    Energies count from the mean of the copies of their input, for a vote chooses among these. All copies are sorted by
    energy into bins of equally many; the legend has the correlation of energy with correctness.

    Args:
        energy: final energies, shape (..., copy) or a DataArray with the dimension `dim`; NaN for a copy that did not run.
        correct: whether each copy is right, 0 or 1, or how right, of the same shape.
        dim: the dimension of the copies of an input, from different starts.
        bins: number of bins.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: if the shapes differ, or all copies of each input have one energy, or all are right, or all wrong.
    """
    if is_labelled(energy):
        energy = energy.transpose(..., dim)
        correct = correct.transpose(*energy.dims) if is_labelled(correct) else correct
    energy, correct = plain(energy), plain(correct)
    if energy.shape != correct.shape or energy.ndim == 0:
        raise ValueError(
            f"`correct` must have the shape of `energy`, {energy.shape}, but is {correct.shape}; judge each copy."
        )
    excess = energy - np.nanmean(energy, axis=-1, keepdims=True)
    excess, correct = excess[np.isfinite(excess)], correct[np.isfinite(excess)]
    require_two_values(energy=excess, correct=correct)
    parts = np.array_split(np.argsort(excess), min(bins, excess.size))
    correlation = np.corrcoef(excess, correct)[0, 1]
    ax = axes_or_new(ax)
    ax.plot(
        [excess[part].mean() for part in parts],
        [correct[part].mean() for part in parts],
        "o-",
        markersize=4,
        label=f"{excess.size} copies, correlation {correlation:.2f}",
    )
    ax.set(xlabel="energy − mean of the input's copies", ylabel="accuracy")
    ax.legend(frameon=False)
    return ax


def score_against_clusters(
    k: Any, score: Any, *, name: str = "mean best overlap", label: str | None = None, ax: Axes | None = None
) -> Axes:
    """A score of segments over the number of clusters: the mean over images, and its standard error as a band.

    Args:
        k: numbers of clusters, shape (k,).
        score: scores, shape (k, image) such as `mean_best_overlap` of several cuts, or (k,); NaN is left out.
        name: of the score.
        label: of the line, where several networks are drawn into the same Axes.
        ax: where to draw; by default a new figure.

    Raises:
        ValueError: if there is not one row of scores for each k.
    """
    k, score = plain(k), plain(score)
    if score.shape[:1] != k.shape or score.ndim not in (1, 2):
        raise ValueError(
            f"`score` must have shape ({k.size}, image), a row for each k, but is {score.shape}; transpose it."
        )
    score = score.reshape(len(k), -1)
    mean = np.nanmean(score, axis=1)
    error = np.nanstd(score, axis=1) / np.sqrt(np.isfinite(score).sum(axis=1))
    ax = axes_or_new(ax)
    line = ax.plot(k, mean, "o-", markersize=4, label=label)[0]
    ax.fill_between(k, mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set(xlabel="number of clusters k", ylabel=name)
    if label is not None:
        ax.legend(frameon=False)
    return ax
