"""Calibration: whether a classifier is right as often as it believes to be."""

from __future__ import annotations

import operator
from typing import Any

from array_api_compat import device

from analysis.checks import alike
from analysis.labels import Dim, labelled
from oscillators.arrays import Array, namespace


@labelled(confidence="node", correct="node")
def expected_calibration_error(confidence: Array, correct: Any, *, bins: int = 15, dim: Dim = "sample") -> Array:
    """Expected distance of confidence from accuracy, ECE = Σ_b (n_b/n) |acc_b − conf_b|.

    acc_b and conf_b are the mean accuracy and confidence of the n_b samples in bin b, (b−1)/B < confidence <= b/B.

    Args:
        confidence: probability given to the predicted class, shape (..., N): of class probabilities p, `p.max(-1)`;
            array, tensor (differentiable) or DataArray.
        correct: whether the prediction is right, 0 or 1, of the same shape: `p.argmax(-1) == labels`.
        bins: number B of bins of equal width.
        dim: the dimension(s) of the samples.

    Returns:
        ECE, shape (...), in [0, 1]. 0: right as often as believed, in every bin.

    Raises:
        ValueError: if the shapes do not fit, a number is outside [0, 1], or bins < 1.

    Source: Guo et al. 2017. AKOrN's paper does not give its number of bins; 15 is the usual one.
    """
    confidence, correct = checked(confidence, correct)
    xp = namespace(confidence)
    excess = in_bins(correct - confidence, confidence, bins)  # n_b (acc_b − conf_b)
    return xp.sum(xp.abs(excess), axis=-1) / confidence.shape[-1]


def checked(confidence: Array, correct: Any) -> tuple[Array, Array]:
    """Both as floating point, after a look at their shapes and ranges."""
    confidence, correct = alike(confidence, correct)
    if tuple(confidence.shape) != tuple(correct.shape):
        raise ValueError(
            f"`correct` must have the shape of `confidence`, {tuple(confidence.shape)}, but is {tuple(correct.shape)}; give "
            "one truth value per sample."
        )
    for name, values in (("confidence", confidence), ("correct", correct)):
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError(f"`{name}` must be in [0, 1], but is not everywhere; pass probabilities, and 0 or 1.")
    return confidence, correct


def in_bins(values: Array, confidence: Array, bins: int) -> Array:
    """Sums of values over the samples of each bin of confidence, (..., N) -> (..., bins)."""
    if operator.index(bins) < 1:
        raise ValueError(f"`bins` must be at least 1, but is {bins}; 15 are usual.")
    xp = namespace(confidence)
    place = xp.clip(xp.ceil(confidence * bins) - 1, 0, None)[..., None]  # a confidence of 0 is in the first bin
    member = place == xp.arange(bins, dtype=place.dtype, device=device(place))
    return (values[..., None, :] @ xp.astype(member, values.dtype))[..., 0, :]
