"""Couplings in all their forms, and the autocorrelation they induce."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import fan_in_map, graph_autocorrelation, phase_energy

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "kuranet" / "graph_autocorrelation.npz")
ROUND_OFF = 1e-12


@pytest.mark.parametrize("case", range(4))
def test_autocorrelation_agrees_with_the_published_code(case):
    x, K, expected = GOLDEN[f"in/x{case}"], GOLDEN[f"in/K{case}"], GOLDEN[f"out/c_x_{case}"]
    for coupling in (K, sp.csr_array(K)):
        assert graph_autocorrelation(x, coupling) == pytest.approx(expected, rel=ROUND_OFF)
    assert graph_autocorrelation(torch.tensor(x), K).item() == pytest.approx(expected, rel=ROUND_OFF)


def test_scalar_features_need_no_component_axis():
    x, K, expected = GOLDEN["in/x0"][:, 0], GOLDEN["in/K0"], GOLDEN["out/c_x_0"]
    assert graph_autocorrelation(x, K) == pytest.approx(expected, rel=ROUND_OFF)
    assert graph_autocorrelation(x.reshape(4, 5), K, dim=("height", "width")) == pytest.approx(expected, rel=ROUND_OFF)


def test_labelled_features_without_components_are_scalars_of_each_run():
    K, x = GOLDEN["in/K0"], np.random.default_rng(6).normal(size=(3, 20))
    result = graph_autocorrelation(xr.DataArray(x, dims=("run", "node")), K)
    assert result.dims == ("run",)
    np.testing.assert_allclose(result, [graph_autocorrelation(row, K) for row in x], rtol=ROUND_OFF)


def test_the_deviation_of_the_receiver_weighs():
    x, K = np.array([3.0, 0.0, 0.0]), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert graph_autocorrelation(x, K) == pytest.approx(2 * -1 / 2**2)  # deviations 2, −1, −1; node 0 hears node 1
    assert graph_autocorrelation(x, K.T) == pytest.approx(2 * -1 / 1**2)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_symmetric_nonnegative_coupling_bounds_it_by_one(seed):
    rng = np.random.default_rng(seed)
    K = rng.random((8, 8))
    assert abs(graph_autocorrelation(rng.normal(size=(8, 2)), K + K.T)) <= 1 + ROUND_OFF


def test_a_uniform_coupling_has_none():
    x = np.random.default_rng(7).normal(size=(9, 2))
    assert graph_autocorrelation(x, np.ones((9, 9))) == pytest.approx(0, abs=ROUND_OFF)
    assert graph_autocorrelation(x, 1.0) == pytest.approx(0, abs=ROUND_OFF)


def test_equal_features_have_none_to_speak_of():
    assert np.isnan(graph_autocorrelation(np.ones(4), np.ones((4, 4))))


@pytest.mark.parametrize("wrong", [np.ones((3, 3)), np.ones((4, 3)), np.ones(4), sp.eye_array(3)])
def test_a_coupling_of_another_size_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`K` must have shape \(N, N\) with N = 4"):
        phase_energy(np.zeros(4), wrong)


def test_what_is_no_coupling_is_refused():
    with pytest.raises(TypeError, match="`K` must hold numbers"):
        phase_energy(np.zeros(4), None)
    with pytest.raises(TypeError, match="`K` must be real"):
        phase_energy(np.zeros(4), 1j * np.ones((4, 4)))


def test_a_labelled_matrix_is_read_in_the_order_of_its_dimensions():
    K, theta = GOLDEN["in/K3"], np.linspace(0, 2, 12)
    named = xr.DataArray(K, dims=("node", "source"))
    assert phase_energy(theta, named) == phase_energy(theta, K)
    assert phase_energy(xr.DataArray(theta, dims="node"), named).item() == phase_energy(theta, K)


class Shift:
    """Everybody hears the node below, on a lattice of two axes."""

    node_dims = ("height", "width")

    def field(self, g):
        return torch.roll(g, -1, -3) if isinstance(g, torch.Tensor) else np.roll(g, -1, axis=-3)


def test_a_coupling_with_lattice_axes_sees_the_lattice():
    theta = np.random.default_rng(12).normal(size=(5, 3, 4))
    expected = -0.5 * np.cos(np.roll(theta, -1, axis=1) - theta).sum(axis=(1, 2))
    lattice = ("height", "width")
    named = xr.DataArray(theta, dims=("time", *lattice)).transpose("width", "time", "height")
    for state in (theta, torch.tensor(theta), named):
        np.testing.assert_allclose(np.asarray(phase_energy(state, Shift(), dim=lattice)), expected, rtol=ROUND_OFF)
    with pytest.raises(ValueError, match="`dim` must name 2 dimensions for this Shift"):
        phase_energy(theta, Shift())


@pytest.mark.parametrize("case", range(4))
def test_a_map_of_single_samples_holds_the_published_fan_in(case):
    K, fan_in = GOLDEN[f"in/K{case}"], GOLDEN[f"out/fan_in_{case}"]
    N = len(K)
    found = fan_in_map(torch.tensor(K), np.arange(N), np.zeros(N), bins=N, fewest=1)
    np.testing.assert_allclose(np.nansum(found.values, axis=1), fan_in, rtol=ROUND_OFF)
    assert np.isfinite(found.values).sum() == N


def test_a_map_averages_over_networks_and_leaves_out_rare_sources():
    omega, tau = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 4.0], [0.0, 0.0]])
    K = np.array([[[1.0, 8.0], [3.0, 0.0]], [[5.0, 6.0], [1.0, 6.0]]])  # sources pull by 2, 4 and by 3, 6
    found = fan_in_map(K, omega, tau, bins=2, fewest=1)
    np.testing.assert_allclose(found.omega, [0.25, 0.75])
    np.testing.assert_allclose(found.tau, [1, 3])
    np.testing.assert_allclose(found.values, [[2.5, np.nan], [6, 4]])
    np.testing.assert_allclose(fan_in_map(K, omega, tau, bins=2, fewest=2).values, [[2.5, np.nan], [np.nan, np.nan]])


def test_a_map_needs_samples_and_a_feature_for_each_source():
    with pytest.raises(ValueError, match="`fewest` must be at most 2 for these samples, but is 5"):
        fan_in_map(np.ones((2, 2)), [0.0, 0.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"`tau` must have shape \(\.\.\., N\)"):
        fan_in_map(np.ones((2, 2)), [0.0, 1.0], [1.0])
    with pytest.raises(ValueError, match=r"`omega` must have shape \(\.\.\., N\)"):
        fan_in_map(np.ones((3, 2, 2)), [0.0, 1.0], [1.0, 1.0])
