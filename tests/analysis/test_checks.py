"""Conversions and refusals at the border."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.checks import alike, ratio, real_array, require_positive


def test_tensors_keep_their_identity_and_integers_become_floats():
    tensor = torch.ones(3)
    assert real_array("theta", tensor) is tensor
    assert real_array("theta", torch.arange(3)).dtype == torch.get_default_dtype()
    assert real_array("theta", np.arange(3, dtype=np.int8)).dtype == np.float64


def test_one_tensor_makes_all_tensors_of_the_first_dtype():
    first, second, third = alike(np.ones(2, dtype=np.float32), torch.ones(2, dtype=torch.float64), None)
    assert isinstance(first, torch.Tensor)
    assert first.dtype == second.dtype == torch.float32
    assert third is None


def test_alike_keeps_the_gradient():
    learned = torch.ones(2, dtype=torch.float64, requires_grad=True)
    alike(np.ones(2, dtype=np.float32), learned)[1].sum().backward()
    assert torch.equal(learned.grad, torch.ones(2, dtype=torch.float64))


def test_a_quotient_by_zero_is_not_a_number_without_gradient():
    a = torch.tensor([1.0, 1.0], requires_grad=True)
    quotient = ratio(a, torch.tensor([2.0, 0.0]))
    quotient.nansum().backward()
    assert quotient[0] == 0.5
    assert torch.isnan(quotient[1])
    assert torch.equal(a.grad, torch.tensor([0.5, 0.0]))
    assert np.isnan(ratio(np.float64(0.0), np.float64(0.0)))


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf, [1.0, 0.0]])
def test_widths_must_be_positive_and_finite(wrong):
    with pytest.raises(ValueError, match="`half_width` must be positive and finite"):
        require_positive(half_width=wrong)
