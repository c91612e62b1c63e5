"""Observables over time against known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from analysis import chimera_index, effective_frequency, metastability, phase_locking_value

ROUND_OFF = 1e-13
IN_STEP = np.array([0.0, 0.0])
OPPOSED = np.array([0.0, np.pi])


def test_a_uniform_rotation_has_its_frequency_at_any_sampling():
    t, omega = np.array([0.0, 0.1, 0.7, 4.0]), np.array([1.5, -0.3, 20.0])
    theta = 0.4 + omega * t[:, None]
    np.testing.assert_allclose(effective_frequency(theta, t), omega, rtol=ROUND_OFF)
    labelled = xr.DataArray(theta, dims=("time", "node"), coords={"time": t, "node": list("abc")})
    assert effective_frequency(labelled).sel(node="c").item() == pytest.approx(20.0, rel=ROUND_OFF)
    assert effective_frequency(labelled, 2 * t).sel(node="c").item() == pytest.approx(10.0, rel=ROUND_OFF)


def test_a_frequency_needs_times():
    with pytest.raises(ValueError, match="`t` must be given"):
        effective_frequency(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="`t` must be given"):
        effective_frequency(xr.DataArray(np.zeros((3, 2)), dims=("time", "node")))
    with pytest.raises(ValueError, match=r"`t` must have shape \(3,\)"):
        effective_frequency(np.zeros((3, 2)), [0.0, 1.0])
    with pytest.raises(ValueError, match="`t` must increase"):
        effective_frequency(np.zeros((3, 2)), [2.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="at least two times"):
        effective_frequency(np.zeros((1, 2)), [0.0])


def test_a_fixed_difference_is_locked_and_a_whole_turn_is_not():
    t = np.arange(16) / 16
    theta = np.stack([3 * t, 3 * t + 1.2, 3 * t + 2 * np.pi * t], axis=-1)  # the last gains one turn on the others
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(phase_locking_value(theta), expected, atol=ROUND_OFF)


def test_half_the_time_in_step_and_half_opposed_is_not_locked():
    theta = np.stack([IN_STEP, OPPOSED, IN_STEP, IN_STEP])
    assert phase_locking_value(theta)[0, 1] == pytest.approx((3 - 1) / 4, abs=ROUND_OFF)


def test_locking_values_name_both_nodes():
    theta = xr.DataArray(np.zeros((4, 3)), dims=("time", "node"), coords={"node": list("abc")})
    assert phase_locking_value(theta).dims == ("node", "node_other")
    lattice = xr.DataArray(np.zeros((4, 3, 2)), dims=("time", "height", "width"))
    pairs = phase_locking_value(lattice, dim=("height", "width"))
    assert pairs.dims == ("height", "width", "height_other", "width_other")


def test_metastability_is_the_variance_of_order_in_time():
    theta = np.stack([IN_STEP, OPPOSED])  # r = 1, 0: mean ½, squares ¼ + ¼, divided by T − 1 = 1
    assert metastability(theta) == pytest.approx(0.5, abs=ROUND_OFF)
    assert metastability(np.stack([OPPOSED] * 3)) == pytest.approx(0, abs=ROUND_OFF)


def test_metastability_averages_over_communities():
    restless = np.stack([IN_STEP, OPPOSED])
    calm = np.stack([IN_STEP, IN_STEP])
    theta = np.concatenate([restless, calm], axis=1)
    assert metastability(theta, ["a", "a", "b", "b"]) == pytest.approx(0.25, abs=ROUND_OFF)


def test_a_chimera_is_order_beside_disorder():
    chimera = np.stack([np.concatenate([IN_STEP, OPPOSED])] * 3)
    for groups in ([0, 0, 1, 1], np.array([5, 5, -1, -1]), torch.tensor([0, 0, 1, 1]), ["x", "x", "y", "y"]):
        assert chimera_index(chimera, groups) == pytest.approx(0.5, abs=ROUND_OFF)  # (1/4) M/(M − 1) with M = 2
    assert chimera_index(np.zeros((3, 4)), [0, 0, 1, 1]) == pytest.approx(0, abs=ROUND_OFF)


def test_communities_of_different_sizes_count_the_same():
    theta = np.array([[0.0, 0.0, 0.0, 0.0, np.pi]])
    assert chimera_index(theta, [0, 0, 0, 1, 1]) == pytest.approx(0.5, abs=ROUND_OFF)


def test_communities_must_be_two_and_label_every_node():
    with pytest.raises(ValueError, match="at least two communities"):
        chimera_index(np.zeros((3, 4)), [1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"`groups` must have shape \(4,\)"):
        chimera_index(np.zeros((3, 4)), [0, 1])
    with pytest.raises(ValueError, match="at least two times"):
        metastability(np.zeros((1, 4)))
