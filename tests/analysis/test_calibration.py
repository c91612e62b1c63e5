"""Calibration errors against known answers and another library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from analysis import expected_calibration_error

ROUND_OFF = 1e-12  # sums of a thousand terms of order one


def random_samples(shape: tuple[int, ...] = (3, 500)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    confidence = rng.random(shape)
    return confidence, rng.random(shape) < confidence**2


def test_the_calibration_error_of_few_samples_is_that_by_hand():
    confidence, correct = [0.0, 0.5, 0.6, 1.0], [0, 1, 1, 0]
    # bins (0, 1/2] with 0 and 0.5, and (1/2, 1] with 0.6 and 1
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx((0.5 + 0.6) / 4, abs=ROUND_OFF)
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(0.1 / 4, abs=ROUND_OFF)
    assert expected_calibration_error([0.0, 1.0], [1, 1], bins=2) == 0.5  # a confidence of 0 has a bin, the first


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_calibration_error_is_that_of_torchmetrics(bins):
    calibration = pytest.importorskip("torchmetrics.functional.classification")
    logits = torch.randn(400, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p, labels = (2 * logits).softmax(-1), (logits + 0.5).argmax(-1)
    labels[::3] = 0
    found = expected_calibration_error(p.max(-1).values, p.argmax(-1) == labels, bins=bins)
    expected = calibration.multiclass_calibration_error(p, labels, 5, n_bins=bins)
    assert found.item() == pytest.approx(expected.item(), abs=1e-6)  # which counts in single precision


def test_bins_are_open_below_and_closed_above():
    # 0.5 belongs to (1/4, 1/2]: with 0.4 it is calibrated there, with 0.6 it would not be
    assert expected_calibration_error([0.5, 0.5, 0.6], [1, 0, 1], bins=4) == pytest.approx(0.4 / 3, abs=ROUND_OFF)


def test_many_samples_that_are_right_as_often_as_believed_have_no_error():
    confidence, _ = random_samples((200_000,))
    correct = np.random.default_rng(6).random(200_000) < confidence
    assert expected_calibration_error(confidence, correct) < 0.01  # 15 bins of noise 0.5/sqrt(13000)


def test_each_kind_of_array_gives_an_error_of_its_kind():
    confidence, correct = random_samples()
    expected = np.array([expected_calibration_error(p, c) for p, c in zip(confidence, correct, strict=True)])
    tensor = expected_calibration_error(torch.tensor(confidence), torch.tensor(correct))
    named = xr.DataArray(confidence, dims=("model", "sample"), coords={"model": list("abc")})
    labelled = expected_calibration_error(named.T, xr.DataArray(correct, dims=named.dims))
    assert isinstance(tensor, torch.Tensor)
    assert list(labelled.model) == list("abc")
    for result in (expected_calibration_error(confidence, correct), tensor, labelled):
        np.testing.assert_allclose(np.asarray(result), expected, atol=ROUND_OFF)
    assert expected_calibration_error(torch.rand(9), torch.ones(9)).dtype == torch.float32


def test_its_gradient_agrees_with_finite_differences():
    confidence, correct = random_samples((40,))
    leaf = torch.tensor(confidence, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: expected_calibration_error(p, torch.tensor(correct), bins=5), leaf)


@pytest.mark.parametrize(
    ("confidence", "correct", "bins", "says"),
    [
        ([0.5, 1.5], [0, 1], 15, r"`confidence` must be in \[0, 1\]"),
        ([0.5, np.nan], [0, 1], 15, r"`confidence` must be in \[0, 1\]"),
        ([0.5, 0.7], [0, 3], 15, r"`correct` must be in \[0, 1\]"),
        ([0.5, 0.7], [0, 1, 1], 15, r"`correct` must have the shape of `confidence`, \(2,\), but is \(3,\)"),
        ([0.5, 0.7], [0, 1], 0, "`bins` must be at least 1, but is 0"),
        ([], [], 15, "at least one sample"),
    ],
)
def test_what_is_no_confidence_is_refused(confidence, correct, bins, says):
    with pytest.raises(ValueError, match=says):
        expected_calibration_error(confidence, correct, bins=bins)
