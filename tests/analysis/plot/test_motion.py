"""Pictures hold the data they were given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from analysis import order_parameter, plot

T, N = 6, 4
TIMES = np.linspace(0, 2.5, T)
THETA = np.cumsum(np.random.default_rng(11).uniform(0, 1.5, size=(T, N)), axis=0)
DATASET = xr.Dataset({"theta": (("time", "node"), THETA)}, coords={"time": TIMES})
LATTICE = xr.DataArray(THETA.reshape(T, 2, 2), dims=("time", "height", "width"), coords={"time": TIMES})
FORMS = {"dataset": (DATASET, None), "labelled": (DATASET.theta.T, None), "array": (THETA, TIMES)}


@pytest.mark.parametrize(("theta", "t"), [*FORMS.values(), (torch.tensor(THETA, requires_grad=True), TIMES)])
def test_phases_are_drawn_wrapped_and_cut_where_they_jump(theta, t):
    ax = plot.phases(theta, t)
    assert len(ax.lines) == N
    for node, line in enumerate(ax.lines):
        np.testing.assert_allclose(line.get_xdata(), TIMES)
        y = line.get_ydata()
        drawn = np.isfinite(y)
        np.testing.assert_allclose(np.exp(1j * y[drawn]), np.exp(1j * THETA[drawn, node]), atol=1e-14)
        assert (np.abs(np.diff(y))[np.isfinite(np.diff(y))] <= np.pi).all()
    sheets = np.floor((THETA + np.pi) / (2 * np.pi))
    cuts = sum(np.isnan(line.get_ydata()).sum() for line in ax.lines)
    assert cuts == np.count_nonzero(np.diff(sheets, axis=0)) > 0


@pytest.mark.parametrize(("theta", "t"), FORMS.values(), ids=FORMS)
def test_order_is_drawn_over_time_into_the_given_axes(theta, t):
    ax = plt.subplots()[1]
    assert plot.order(theta, t, ax=ax) is ax
    np.testing.assert_allclose(ax.lines[0].get_xydata(), np.stack([TIMES, order_parameter(THETA)], axis=-1))


def test_rows_stand_for_times_that_are_not_given():
    np.testing.assert_array_equal(plot.order(THETA).lines[0].get_xdata(), np.arange(T))


def test_the_order_of_a_lattice_is_that_of_its_nodes():
    drawn = plot.order(LATTICE, dim=("height", "width")).lines[0].get_ydata()
    np.testing.assert_allclose(drawn, order_parameter(THETA))


def test_the_disc_shows_every_node_and_the_mean_field():
    ax = plot.phase_disc(DATASET.theta.isel(time=-1))
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.stack([np.cos(THETA[-1]), np.sin(THETA[-1])], -1))
    z = np.exp(1j * THETA[-1]).mean()
    np.testing.assert_allclose(ax.texts[0].xy, [z.real, z.imag])


def test_a_lattice_has_cyclic_colours_of_its_wrapped_phases():
    image = plot.lattice(LATTICE.isel(time=3).T).images[0]
    np.testing.assert_allclose(np.exp(1j * image.get_array()), np.exp(1j * LATTICE[3].values))
    assert image.get_clim() == (-np.pi, np.pi)
    ends = image.cmap([0.0, 1.0])
    np.testing.assert_allclose(ends[0], ends[1], atol=0.02)  # −π and π are one phase; the map has 510 steps


def test_frames_run_from_the_first_to_the_last_time():
    axes = plot.lattice_frames(LATTICE, frames=3)
    assert [ax.get_title() for ax in axes] == ["t = 0", "t = 1", "t = 2.5"]
    np.testing.assert_allclose(np.exp(1j * axes[2].images[0].get_array()), np.exp(1j * LATTICE[-1].values))
    given_axes = plt.subplots(1, 2)[1]
    assert list(plot.lattice_frames(LATTICE, ax=given_axes)) == list(given_axes)


@pytest.mark.parametrize(("theta", "dim"), [(DATASET, "node"), (LATTICE, ("height", "width"))])
def test_an_animation_has_one_picture_for_each_time(tmp_path, theta, dim):
    path = plot.animate(theta, tmp_path / "phases.gif", dim=dim)
    assert path == tmp_path / "phases.gif"
    with Image.open(path) as picture:
        assert picture.n_frames == T
    assert plt.get_fignums() == []


def test_an_animation_is_a_gif(tmp_path):
    with pytest.raises(ValueError, match="must end in"):
        plot.animate(DATASET, tmp_path / "phases.mp4")


def test_pictures_refuse_what_they_cannot_draw():
    with pytest.raises(ValueError, match="select one run or time"):
        plot.phases(DATASET.theta.expand_dims(run=2))
    with pytest.raises(ValueError, match="select one run or time"):
        plot.phase_disc(THETA)
    with pytest.raises(ValueError, match="`theta` must be a variable"):
        plot.phases(DATASET.rename(theta="x"))
    with pytest.raises(ValueError, match="`t` must have shape"):
        plot.phases(THETA, TIMES[:-1])
