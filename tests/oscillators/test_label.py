"""Names, units and provenance of results."""

import numpy as np
import pytest
import xarray as xr

from oscillators import (
    Delayed,
    Dense,
    Diffusive,
    Edges,
    InertialKuramoto,
    Kuramoto,
    SphereKuramoto,
    Stencil,
    StuartLandau,
    TopographicOscillators,
    simulate,
)
from oscillators.label import STATUS

T = [0.0, 0.5, 1.0]
SQUARE = Stencil(np.ones((3, 3)) / 9)
PAIR = np.zeros((4, 2))
UNIT = np.eye(3)[[0, 1, 2, 0]]


def run(system, coupling, x0, **options):
    return simulate(system, coupling, x0, T, **({"dt": 0.1} | options))


@pytest.mark.parametrize(
    ("system", "coupling", "x0", "dims"),
    [
        (Kuramoto(0.0), 1.0, np.zeros(4), {"theta": ("time", "node")}),
        (Kuramoto(0.0), 1.0, np.zeros((5, 4)), {"theta": ("run", "time", "node")}),
        (Kuramoto(0.0), 1.0, np.zeros((2, 5, 4)), {"theta": ("run_0", "run_1", "time", "node")}),
        (Kuramoto(0.0), SQUARE, np.zeros((3, 4)), {"theta": ("time", "height", "width")}),
        (Kuramoto(0.0), SQUARE, np.zeros((6, 3, 4)), {"theta": ("run", "time", "height", "width")}),
        (Kuramoto(0.0), Diffusive(SQUARE), np.zeros((3, 4)), {"theta": ("time", "height", "width")}),
        (Kuramoto(0.0), Stencil(np.ones((2, 2, 3))), np.zeros((2, 4)), {"theta": ("time", "channel", "node")}),
        (InertialKuramoto(0.0), 1.0, PAIR, {"theta": ("time", "node"), "v": ("time", "node")}),
        (
            TopographicOscillators(1.0, 0.1),
            SQUARE,
            np.zeros((3, 4, 2)),
            {"x": ("time", "height", "width"), "v": ("time", "height", "width")},
        ),
        (SphereKuramoto(), 1.0, UNIT, {"x": ("time", "node", "component")}),
        (SphereKuramoto(), SQUARE, np.stack([UNIT] * 3), {"x": ("time", "height", "width", "component")}),
        (StuartLandau(1.0, 0.0), 1.0, np.zeros((5, 4), complex), {"z": ("run", "time", "node")}),
    ],
)
def test_variables_have_the_names_of_the_field(system, coupling, x0, dims):
    result = run(system, coupling, x0)
    states = {name: result[name].dims for name in result.data_vars if "time" in result[name].dims}
    assert states == dims
    lead = next(iter(dims.values()))
    lead = lead[: lead.index("time")]
    for name in ("status", "stop_time", "stop_node", "steps", "rejected"):
        assert result[name].dims == lead


def test_a_delayed_lattice_keeps_its_names():
    result = run(Kuramoto(0.0), Delayed(SQUARE, 0.2), np.zeros((3, 4)), history=np.zeros((3, 4)))
    assert result.theta.dims == ("time", "height", "width")
    result = run(Kuramoto(0.0), Diffusive(Delayed(SQUARE, 0.2)), np.zeros((3, 4)), history=np.zeros((3, 4)))
    assert result.theta.dims == ("time", "height", "width")


def test_second_order_states_leave_as_position_and_velocity():
    x0 = np.random.default_rng(0).normal(size=(3, 4, 2))
    result = run(InertialKuramoto(0.0), 1.0, x0)
    np.testing.assert_array_equal(result.theta.isel(time=0), x0[..., 0])
    np.testing.assert_array_equal(result.v.isel(time=0), x0[..., 1])


def test_amplitudes_leave_as_complex_numbers():
    z = np.array([1 + 2j, -0.5j])
    result = run(StuartLandau(1.0, 0.0), 0.0, z)
    assert result.z.dtype == np.complex128
    np.testing.assert_array_equal(result.z[0], z)


def test_times_and_units_are_labelled():
    result = run(InertialKuramoto(0.0), 1.0, PAIR)
    np.testing.assert_array_equal(result.time, T)
    assert result.time.attrs["units"] == "time"
    assert result.theta.attrs["units"] == "rad"
    assert result.v.attrs["units"] == "rad / time"


def test_provenance_tells_how_to_repeat_the_run():
    result = run(Kuramoto(np.zeros(4), 0.3), Diffusive(Dense(np.ones((4, 4)))), np.zeros(4))
    attrs = result.attrs
    assert (attrs["system"], attrs["method"], attrs["dt"], attrs["alpha"]) == ("Kuramoto", "rk4", 0.1, 0.3)
    assert attrs["omega"] == "array of shape (4,)"
    assert attrs["coupling"] == "Diffusive(Dense(K: shape (4, 4)))"
    assert "numba" in attrs["versions"]
    assert "rtol" not in attrs
    assert "seed" not in attrs
    adaptive = run(Kuramoto(0.0), 2.0, np.zeros(4), method="tsit5", dt=None, rtol=1e-7).attrs
    assert (adaptive["rtol"], adaptive["atol"], adaptive["coupling"]) == (1e-7, 1e-9, "MeanField(strength: 2)")
    assert "dt" not in adaptive
    noisy = run(Kuramoto(0.0), 2.0, np.zeros(4), method="euler_maruyama", noise=0.1, rng=12).attrs
    assert noisy["seed"] == "12"


def test_the_fate_of_a_run_is_recorded():
    result = run(Kuramoto(0.0), 2.0, np.zeros(4))
    assert int(result.status) == 0
    assert int(result.stop_node) == -1
    assert np.isnan(result.stop_time)
    assert (int(result.steps), int(result.rejected)) == (10, 0)
    assert result.status.attrs["flag_meanings"].split() == list(STATUS)


def test_coordinates_of_the_network_reach_the_result():
    coords = {"node": ["a", "b", "c"], "mass": ("node", np.arange(3.0))}
    edges = Edges([0, 1], [1, 2], [1.0, 1.0], 3, coords)
    result = run(Kuramoto(0.0), Diffusive(edges), np.zeros((2, 3)))
    assert result.theta.sel(node="b").dims == ("run", "time")
    np.testing.assert_array_equal(result.mass, [0, 1, 2])
    observed = run(Kuramoto(0.0), edges, np.zeros(3), observe={"mean": lambda theta: theta.mean(-1)})
    assert observed["mean"].dims == ("time",)
    assert "node" not in observed.coords
    assert "mass" not in observed.coords


def test_observed_values_are_labelled_as_far_as_their_axes_are_known():
    observe = {
        "number": lambda theta: theta.mean(-1),
        "field": np.cos,
        "histogram": lambda theta: np.zeros((*theta.shape[:-1], 7)),
        "both": lambda theta: np.stack([np.cos(theta), np.sin(theta)], -1),
    }
    result = run(Kuramoto(0.0), 1.0, np.zeros((2, 4)), observe=observe)
    assert result.number.dims == ("run", "time")
    assert result["field"].dims == ("run", "time", "node")
    assert result.histogram.dims == ("run", "time", "histogram_0")
    assert result.both.dims == ("run", "time", "node", "both_0")


def test_observing_the_state_itself_keeps_its_units_and_names():
    result = run(SphereKuramoto(), 1.0, UNIT, observe={"x": lambda x: x})
    whole = run(SphereKuramoto(), 1.0, UNIT)
    xr.testing.assert_identical(result, whole)


def test_a_labelled_state_is_read_by_the_name_of_its_nodes():
    state = xr.DataArray(np.arange(9.0).reshape(3, 3), dims=("node", "run"))
    found = run(Kuramoto(1.0), 1.0, state).theta
    np.testing.assert_array_equal(found.isel(time=0), state.transpose("run", "node"))
    pairs = xr.DataArray(np.arange(4.0).reshape(2, 2), dims=("node", "part"))  # the parts of a pair stay last
    np.testing.assert_array_equal(run(InertialKuramoto(0.0), 1.0, pairs).v.isel(time=0), [1.0, 3.0])


def test_a_labelled_past_is_read_as_a_labelled_state_is():
    state = xr.DataArray(np.arange(9.0).reshape(3, 3) / 5, dims=("node", "run"))
    options = {"method": "euler", "dt": 0.1}
    found = simulate(Kuramoto(1.0), Delayed(1.0, 0.3), state, [0.0, 0.2], history=state, **options)
    plain = state.values.T
    want = simulate(Kuramoto(1.0), Delayed(1.0, 0.3), plain, [0.0, 0.2], history=plain, **options)
    np.testing.assert_array_equal(found.theta, want.theta)


def test_the_strength_of_the_noise_is_kept_with_the_result():
    def attrs(noise):
        run = simulate(Kuramoto(1.0), 1.0, np.zeros(3), [0.0, 1.0], method="euler_maruyama", dt=0.1, noise=noise, rng=0)
        return run.attrs["noise"]

    assert attrs(0.25) == 0.25
    assert attrs([0.1, 0.2, 0.3]) == "array of shape (1, 3)"
