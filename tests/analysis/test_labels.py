"""What every observable must do with arrays, tensors and labelled arrays."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import analysis
from analysis.labels import labelled
from tests.analysis.members import HEIGHT, MEMBERS, OF_OTHER_KIND, TIMES, WIDTH, K, Member, N, T, random_state

every_member = pytest.mark.parametrize("member", MEMBERS, ids=lambda m: m.name)
ROUND_OFF = 1e-12  # sums of some hundred terms of order one in float64


def label(state: np.ndarray, member: Member) -> xr.DataArray:
    dims = ("run", "time", "node", "component")[: state.ndim]
    return xr.DataArray(state, dims=dims, coords={"time": TIMES, "run": [7, 8]})


def test_every_public_observable_is_a_member():
    assert sorted([m.name for m in MEMBERS] + OF_OTHER_KIND) == sorted(analysis.__all__)


@every_member
def test_numpy_gives_numpy_and_leaves_its_argument_alone(member):
    state = random_state(member)
    before = state.copy()
    assert isinstance(member.call(state), np.ndarray)
    np.testing.assert_array_equal(state, before)


@every_member
def test_tensors_give_the_numbers_of_numpy(member):
    state = random_state(member)
    found = member.call(torch.tensor(state))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found.numpy(), member.call(state), rtol=ROUND_OFF, atol=ROUND_OFF)


@every_member
def test_labelled_arrays_give_the_numbers_of_numpy_whatever_the_order_of_their_dimensions(member):
    state = random_state(member)
    array = label(state, member)
    straight, shuffled = member.call(array), member.call(array.transpose(*reversed(array.dims)))
    assert straight.dims[0] == "run"
    np.testing.assert_array_equal(straight.run, [7, 8])
    np.testing.assert_array_equal(straight.values, member.call(state))  # the same code on the same numbers
    np.testing.assert_allclose(
        shuffled.transpose(*straight.dims).values, straight.values, rtol=ROUND_OFF, atol=ROUND_OFF
    )


@every_member
def test_results_carry_name_title_and_unit(member):
    result = member.call(label(random_state(member), member))
    assert result.name == member.name
    assert result.attrs["long_name"]
    assert result.attrs["units"] in ("1", "rad", "rad / time")


@every_member
def test_a_lattice_is_the_same_as_its_nodes_in_row_major_order(member):
    state = random_state(member)
    tail = state.shape[3:]
    square = state.reshape(2, T, HEIGHT, WIDTH, *tail)
    flat = member.call(state)
    nodes = (HEIGHT, WIDTH) * member.gives_nodes
    expected = flat.reshape(*flat.shape[: flat.ndim - member.gives_nodes], *nodes)
    dims = ("run", "time", "height", "width", "component")[: square.ndim]
    array = xr.DataArray(square, dims=dims, coords={"time": TIMES}).transpose("width", ..., "height")
    named = member.call(array, dim=("height", "width"))
    for result in (member.call(square, dim=("height", "width")), named.values):
        np.testing.assert_allclose(result, expected, rtol=ROUND_OFF, atol=ROUND_OFF)


@every_member
def test_one_run_of_many_equals_the_run_alone(member):
    state = random_state(member)
    np.testing.assert_allclose(member.call(state)[1], member.call(state[1]), rtol=ROUND_OFF, atol=ROUND_OFF)


@every_member
def test_lazy_arrays_stay_right(member):
    array = label(random_state(member), member)
    lazy = member.call(array.chunk({"run": 1}))
    np.testing.assert_allclose(lazy.compute(), member.call(array), rtol=ROUND_OFF, atol=ROUND_OFF)


@every_member
def test_gradients_agree_with_finite_differences(member):
    state = torch.tensor(random_state(member)[0], requires_grad=True)
    assert torch.autograd.gradcheck(member.call, state)  # its default tolerances suit float64 central differences


@every_member
@pytest.mark.parametrize("kind", ["in step", "no resultant", "two opposite clusters"])
def test_gradients_are_finite_where_order_is_perfect_or_absent(member, kind):
    angle = {"in step": np.zeros(N), "no resultant": 2 * np.pi * np.arange(N) / N}.get(kind, np.pi * (np.arange(N) % 2))
    state = np.broadcast_to(angle, (T, N))
    if member.vectors:
        state = np.stack([np.cos(state), np.sin(state), 0 * state], axis=-1)
    tensor = torch.tensor(state.copy(), requires_grad=True)
    result = member.call(tensor)
    if torch.isfinite(result).all():  # equal features have no autocorrelation: NaN by definition, gradient still finite
        (result.abs() if result.is_complex() else result).sum().backward()
    else:
        assert member.name == "graph_autocorrelation"
        result.nan_to_num().sum().backward()
    assert torch.isfinite(tensor.grad).all()


@every_member
def test_single_precision_stays_single(member):
    state = random_state(member).astype(np.float32)
    assert member.call(state).dtype in (np.float32, np.complex64)
    assert member.call(torch.tensor(state)).dtype in (torch.float32, torch.complex64)


@every_member
def test_integers_and_lists_count_as_floats(member):
    state = np.round(3 * random_state(member)).astype(int)
    expected = member.call(state.astype(float))
    for given_state in (state, state.tolist()):
        np.testing.assert_array_equal(member.call(given_state), expected)
    integers = torch.tensor(state)
    np.testing.assert_allclose(member.call(integers), expected, rtol=1e-3, atol=1e-4)  # tensors become float32


@every_member
def test_not_a_number_spreads(member):
    state = random_state(member)
    state[0, 0, 0] = np.nan
    result = member.call(state)
    assert np.isnan(result[0]).any()
    assert np.isfinite(result[1]).all()


@every_member
def test_no_node_is_refused(member):
    empty = random_state(member)[:, :, :0]
    with pytest.raises(ValueError, match="at least one node"):
        member.call(empty)


@every_member
def test_complex_states_are_refused(member):
    with pytest.raises(TypeError, match="must be real"):
        member.call(random_state(member) + 0j)


@every_member
def test_text_is_refused(member):
    with pytest.raises(TypeError, match="must hold numbers"):
        member.call(["in", "step"])


@every_member
def test_a_missing_axis_is_refused(member):
    with pytest.raises(ValueError, match="trailing axes"):
        member.call(np.float64(1.0))


@every_member
def test_a_missing_dimension_is_refused_by_name(member):
    array = label(random_state(member), member).rename(node="cell")
    with pytest.raises(ValueError, match="must have the dimension `node`"):
        member.call(array)
    assert member.call(array, dim="cell").name == member.name


@every_member
def test_no_dimension_is_refused(member):
    with pytest.raises(ValueError, match="`dim` must name"):
        member.call(random_state(member), dim=())


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.rotates], ids=lambda m: m.name)
@settings(deadline=None)
@given(shift=st.floats(-10, 10), seed=st.integers(0, 2**32 - 1))
def test_a_common_shift_of_all_phases_changes_nothing(member, shift, seed):
    state = random_state(member, seed)
    # ten radians lose four bits of a phase, the sums are below 100
    np.testing.assert_allclose(member.call(state + shift), member.call(state), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.symmetric], ids=lambda m: m.name)
@settings(deadline=None)
@given(order=st.permutations(range(N)))
def test_the_numbering_of_the_nodes_does_not_matter(member, order):
    state = random_state(member)
    np.testing.assert_allclose(member.call(state[..., order]), member.call(state), rtol=ROUND_OFF, atol=ROUND_OFF)


def test_labelled_drives_are_matched_by_name():
    rng = np.random.default_rng(3)
    x = xr.DataArray(rng.normal(size=(2, N, 3)), dims=("run", "node", "component"))
    c = xr.DataArray(rng.normal(size=(3, N, 2)), dims=("component", "node", "run"))
    expected = analysis.lyapunov_function(x.values, K, c.values.transpose(2, 1, 0))
    np.testing.assert_allclose(analysis.lyapunov_function(x, K, c), expected, rtol=ROUND_OFF)
    np.testing.assert_allclose(analysis.lyapunov_function(x.values, K, c), expected, rtol=ROUND_OFF)


def test_labelled_groups_of_a_lattice_are_matched_by_name():
    groups = xr.DataArray(np.arange(N).reshape(HEIGHT, WIDTH) % 3, dims=("height", "width"))
    theta = xr.DataArray(np.random.default_rng(4).normal(size=(T, HEIGHT, WIDTH)), dims=("time", "height", "width"))
    lattice = ("height", "width")
    expected = analysis.chimera_index(theta, groups, dim=lattice)
    np.testing.assert_allclose(analysis.chimera_index(theta, groups.T, dim=lattice), expected, rtol=ROUND_OFF)


def test_a_new_observable_needs_its_formula_only():
    @labelled(theta="time node", gives="node", unit="rad")
    def drift(theta, *, dim="node"):
        """Phase gained."""
        return theta[..., -1, :] - theta[..., 0, :]

    theta = xr.DataArray(np.arange(6.0).reshape(3, 2), dims=("node", "time"))
    assert drift(theta).attrs == {"long_name": "Phase gained", "units": "rad"}
    np.testing.assert_array_equal(drift(theta), [1, 1, 1])


def test_importing_the_package_loads_neither_torch_nor_matplotlib_nor_dask():
    question = "import sys, analysis; print([m for m in ('torch', 'matplotlib', 'dask') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_theory_and_plot_load_on_first_use():
    question = "import analysis; print(analysis.theory.critical_coupling(1.0) > 0, analysis.plot.phases.__name__)"
    done = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True phases"
    with pytest.raises(AttributeError, match="no attribute 'spectrum_of_everything'"):
        _ = analysis.spectrum_of_everything


def test_a_dimension_that_only_names_could_find_is_refused_without_them():
    with pytest.raises(ValueError, match=r"`dim` must name nodes.*but is 'time'"):
        analysis.order_parameter(np.zeros((3, 5)), dim="time")
    with pytest.raises(TypeError, match="`theta` must be an array, but is a Dataset; pass a variable"):
        analysis.order_parameter(xr.Dataset({"theta": ("node", np.zeros(3))}))
