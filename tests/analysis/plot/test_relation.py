"""Pictures of relations hold the data they were given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr

from analysis import fan_in_map, plot
from analysis.theory import lorentzian_order


def test_the_transition_shows_points_theory_and_threshold():
    K = np.linspace(0, 3, 5)
    r = np.stack([lorentzian_order(K, 0.5), lorentzian_order(K, 0.6)])
    labelled = xr.DataArray(r, dims=("run", "K"), coords={"K": K})
    for ax in (
        plot.transition(labelled, threshold=1.0, theory=lambda k: lorentzian_order(k, 0.5)),
        plot.transition(labelled.to_dataset(name="r"), threshold=1.0, theory=lambda k: lorentzian_order(k, 0.5)),
        plot.transition(r.T, K, threshold=1.0, theory=lambda k: lorentzian_order(k, 0.5)),
    ):
        first, second, theory, threshold = ax.lines
        np.testing.assert_allclose(first.get_xydata(), np.stack([K, r[0]], axis=-1))
        np.testing.assert_allclose(second.get_ydata(), r[1])
        np.testing.assert_allclose(theory.get_ydata(), lorentzian_order(theory.get_xdata(), 0.5))
        assert list(threshold.get_xdata()) == [1.0, 1.0]
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["measured", "theory", "threshold"]


def test_the_transition_needs_its_couplings():
    with pytest.raises(ValueError, match="`K` must be given"):
        plot.transition([0.1, 0.2])


def test_the_least_squares_line_and_its_share_of_the_variance_are_drawn():
    c_x, V = np.array([-1.0, 0.0, 1.0, 2.0]), np.array([1.0, 0.0, 3.0, 2.0])
    for given in ((c_x, V), (torch.tensor(c_x).reshape(2, 2), torch.tensor(V, requires_grad=True).reshape(2, 2))):
        ax = plot.loss_against_autocorrelation(*given)
        np.testing.assert_allclose(ax.collections[0].get_offsets(), np.stack([c_x, V], axis=-1))
        # slope 3/5 through the means (1/2, 3/2); residuals leave 1 − 3²/25 = 16/25 of the variance
        np.testing.assert_allclose(ax.lines[0].get_xydata(), [[-1, 0.6], [2, 2.4]])
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["measured", "least squares, r² = 0.36"]


def test_a_line_through_a_single_value_is_refused():
    for c_x, V, name in (([1, 1], [0, 1], "c_x"), ([0, 1], [2, 2], "V"), ([], [], "c_x")):
        with pytest.raises(ValueError, match=f"`{name}` must hold two different values"):
            plot.loss_against_autocorrelation(c_x, V)
    with pytest.raises(ValueError, match=r"`V` must have the shape of `c_x`, \(2,\), but is \(3,\)"):
        plot.loss_against_autocorrelation([0, 1], [0, 1, 2])


def test_the_fan_in_is_drawn_over_frequency_and_delay_with_its_maximum():
    omega, tau, values = np.array([2.0, 3.0]), np.array([5.0, 10.0, 15.0]), np.array([[1, 2, np.nan], [4, 9, 3.0]])
    ax = plot.fan_in(omega, tau, torch.tensor(values))
    np.testing.assert_allclose(ax.collections[0].get_array(), values.T)  # frequency to the right, delay upwards
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[3, 10]])
    assert ax.get_legend().get_texts()[0].get_text() == "maximum at (3, 10)"


def test_a_fan_in_map_is_drawn_as_it_comes():
    rng = np.random.default_rng(8)
    found = fan_in_map(rng.random((9, 20, 20)), rng.random((9, 20)), rng.random((9, 20)), bins=4)
    np.testing.assert_array_equal(plot.fan_in(*found).collections[0].get_array(), found.values.T)


def test_a_landscape_is_an_area_of_phases_with_nodes_upon_it():
    y, x = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0], indexing="xy")
    grid, theta = np.stack([x, y], axis=-1), np.array([[0.0, 2.0, 4.0], [6.0, -9.0, 1.0]])
    ax = plot.landscape(torch.tensor(grid), theta)
    area = ax.collections[0]
    np.testing.assert_allclose(np.exp(1j * area.get_array()), np.exp(1j * theta))
    assert area.get_clim() == (-np.pi, np.pi)
    assert len(ax.figure.axes) == 2  # with a colour bar

    nodes, labels = grid.reshape(6, 2) / 2, np.array([0, 1, 2, 0, 1, 2])
    assert plot.landscape(nodes, theta.ravel(), labels, ax=ax) is ax
    for group, marks in enumerate(ax.collections[1:]):
        np.testing.assert_allclose(marks.get_offsets(), nodes[labels == group])
        np.testing.assert_allclose(np.exp(1j * marks.get_array()), np.exp(1j * theta.ravel()[labels == group]))
    assert len({str(marks.get_paths()) for marks in ax.collections[1:]}) == 3
    assert len(ax.figure.axes) == 2


def test_points_without_labels_have_one_mark():
    assert len(plot.landscape(np.zeros((4, 2)), np.arange(4)).collections) == 1


def test_a_landscape_needs_a_place_for_each_phase():
    with pytest.raises(ValueError, match=r"they are \(4, 2\) and \(3,\)"):
        plot.landscape(np.zeros((4, 2)), np.zeros(3), ax=plt.subplots()[1])
    with pytest.raises(ValueError, match=r"`labels` must have shape \(3,\), one per point, but is \(2,\)"):
        plot.landscape(np.zeros((3, 2)), np.zeros(3), [0, 1])
