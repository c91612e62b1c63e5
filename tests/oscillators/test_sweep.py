"""Sweeps: labelled, resumable, the same whoever runs them, and no bad point ends them."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from contextvars import copy_context

import numpy as np
import pytest
import xarray as xr

from analysis import order_parameter
from oscillators import Kuramoto, simulate, sweep
from oscillators.engine import STOP

pytest.importorskip("zarr", reason="sweeps need the extra `scale`")

T = np.linspace(0.0, 2.0, 5)
OMEGA = np.linspace(-1.0, 1.0, 7)
THETA = np.linspace(0.0, 3.0, 7)
GRID = {"K": [0.5, 1.0, 2.0], "alpha": [0.0, 0.4]}


def network(K, alpha):
    return {"system": Kuramoto(OMEGA, alpha), "coupling": K, "x0": THETA, "t": T, "dt": 0.1}


def noisy(K, seed):
    return {
        "system": Kuramoto(OMEGA), "coupling": K, "x0": THETA, "t": T, "dt": 0.1, "method": "stochastic_heun", "noise": 0.5,
        "observe": {"r": order_parameter},
    }  # fmt: skip


def status(store):
    """Of all points; none if nothing is stored yet."""
    return xr.open_zarr(store, consolidated=False).sweep_status.values.tolist() if store.exists() else None


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_every_point_is_the_run_alone(tmp_path):
    found = sweep(network, GRID, store=tmp_path / "s.zarr")
    assert found.theta.dims == ("K", "alpha", "time", "node")
    for K in GRID["K"]:
        for alpha in GRID["alpha"]:
            alone = simulate(**network(K, alpha))
            np.testing.assert_array_equal(found.theta.sel(K=K, alpha=alpha), alone.theta)
            assert found.steps.sel(K=K, alpha=alpha) == alone.steps
    assert (found.sweep_status == 1).all()


def test_the_result_is_read_from_its_folder_as_it_is(tmp_path):
    found = sweep(network, GRID, store=tmp_path / "s.zarr")
    kept = xr.open_zarr(tmp_path / "s.zarr", consolidated=False)
    xr.testing.assert_identical(found.load(), kept[sorted(kept.data_vars)].load())
    assert found.theta.attrs["units"] == "rad"
    assert "def network" in found.attrs["sweep_build"]


def test_attributes_are_those_that_all_points_share(tmp_path):
    found = sweep(network, GRID, store=tmp_path / "s.zarr")
    assert found.attrs["method"] == "rk4"
    assert "alpha" not in found.attrs
    assert "coupling" not in found.attrs


def test_a_sweep_goes_on_where_it_stopped(tmp_path):
    asked, stop = [], [True]

    def build(K):
        asked.append(K)
        if K == 3.0 and stop:
            wait_for(lambda: status(tmp_path / "s.zarr") == [1, 1, 0])
            raise KeyboardInterrupt
        return network(K, 0.0)

    with pytest.raises(KeyboardInterrupt):
        sweep(build, {"K": [1.0, 2.0, 3.0]}, store=tmp_path / "s.zarr")
    assert sorted(asked) == [1.0, 2.0, 3.0]
    stop.clear()
    found = sweep(build, {"K": [1.0, 2.0, 3.0]}, store=tmp_path / "s.zarr")
    assert asked[3:] == [3.0]
    np.testing.assert_array_equal(found.theta.sel(K=1.0), simulate(**network(1.0, 0.0)).theta)
    assert (found.sweep_status == 1).all()


def test_a_bad_point_is_recorded_with_its_reason_and_tried_again(tmp_path):
    bad = [True]

    failed = threading.Event()

    def build(K):
        if K == 2.0 and bad:
            failed.set()
            raise RuntimeError("no luck")
        if bad and K == 1.0:
            failed.wait()
            time.sleep(0.2)  # the failure comes before the first result
        return network(K, 0.0)

    found = sweep(build, {"K": [2.0, 1.0]}, store=tmp_path / "s.zarr")
    assert found.sweep_status.values.tolist() == [2, 1]
    assert found.sweep_reason.values.tolist() == ["RuntimeError: no luck", ""]
    assert found.theta.isnull().all(("time", "node")).values.tolist() == [True, False]
    bad.clear()
    found = sweep(build, {"K": [2.0, 1.0]}, store=tmp_path / "s.zarr")
    assert (found.sweep_status == 1).all()
    assert (found.sweep_reason == "").all()
    assert found.theta.notnull().all()


def test_random_numbers_depend_on_the_point_and_the_seed_alone(tmp_path):
    wide = sweep(noisy, {"K": [0.5, 1.0, 2.0], "seed": [0, 1]}, store=tmp_path / "a.zarr").r
    narrow = sweep(noisy, {"seed": [1], "K": [1.0]}, store=tmp_path / "b.zarr").r
    other = sweep(noisy, {"seed": [1], "K": [1.0]}, store=tmp_path / "c.zarr", rng=1).r
    np.testing.assert_array_equal(wide.sel(K=1.0, seed=1), narrow.sel(K=1.0, seed=1))
    assert not np.array_equal(wide.sel(K=1.0, seed=0), wide.sel(K=1.0, seed=1))
    assert not np.array_equal(narrow, other)


def test_a_function_may_draw_its_own_numbers_and_make_its_own_dataset(tmp_path):
    def build(K, rng):
        return xr.Dataset({"x": ("draw", K + rng.normal(size=3))})

    first = sweep(build, {"K": [0.0, 10.0]}, store=tmp_path / "a.zarr").x
    again = sweep(build, {"K": [10.0, 0.0]}, store=tmp_path / "b.zarr").x
    np.testing.assert_array_equal(first.sel(K=10.0), again.sel(K=10.0))
    assert abs(first.sel(K=10.0) - 10.0).max() < 6.0


def test_a_cluster_finds_the_same_numbers(tmp_path):
    distributed = pytest.importorskip("distributed", reason="clusters need the extra `scale`")
    here = sweep(noisy, {"K": [0.5, 1.0], "seed": [0, 1]}, store=tmp_path / "a.zarr")
    with distributed.Client(processes=False, dashboard_address=None, n_workers=1) as client:
        there = sweep(noisy, {"K": [0.5, 1.0], "seed": [0, 1]}, store=tmp_path / "b.zarr", client=client)
    xr.testing.assert_identical(here.load(), there.load())


def test_complex_numbers_and_whole_numbers_are_kept_as_they_are(tmp_path):
    def build(name):
        return xr.Dataset({"z": ("k", np.array([1j, 2.0])), "count": 3, "good": True})

    found = sweep(build, {"name": ["a", "b"]}, store=tmp_path / "s.zarr")
    assert found.z.values.tolist() == [[1j, 2.0]] * 2
    assert (found["count"].dtype.kind, found.good.dtype.kind) == ("i", "b")
    assert found.name.values.tolist() == ["a", "b"]


SLOW = """
import signal, sys, numpy as np
from oscillators import Kuramoto, sweep
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have turned it off
def build(K):
    steps = 1 if K == 0 else 10**7
    return {"system": Kuramoto(np.zeros(500)), "coupling": K, "x0": np.arange(500.0), "t": [0.0, 0.01 * steps], "dt": 0.01}
sweep(build, {"K": [0.0, 1.0, 2.0]}, store=sys.argv[1])
"""


def test_an_interrupt_ends_the_runs_under_way_and_keeps_what_is_done(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "s.zarr")], stderr=subprocess.PIPE)
    wait_for(lambda: status(tmp_path / "s.zarr") == [1, 0, 0])
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)  # the runs would take an hour
    assert b"KeyboardInterrupt" in errors
    assert status(tmp_path / "s.zarr") == [1, 0, 0]


def test_a_run_of_a_sweep_that_ends_has_no_result():
    def work():
        STOP.set(event)
        return simulate(**network(1.0, 0.0))

    event = threading.Event()
    assert copy_context().run(work).status == 0
    event.set()
    with pytest.raises(CancelledError):
        copy_context().run(work)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"build": 3}, "`build` must be a function, but is 3"),
        ({"build": lambda q: q}, r"`build` must take the swept names \(K\) by keyword"),
        ({"over": {}}, "`over` must map names to their values"),
        ({"over": {"K": 1.0}}, r"`over\['K'\]` must be a row"),
        ({"over": {"K": []}}, r"`over\['K'\]` must be a row"),
        ({"over": {"K": [1.0, np.nan]}}, r"`over\['K'\]` must be finite, but entry 1 is not"),
        ({"over": {"K": [1.0, 1.0]}}, r"`over\['K'\]` must hold every value once, but has 1 repeats"),
        ({"over": {"my K": [1.0]}}, "must have names that are words"),
        ({"rng": -1}, "`rng` must be a whole number from 0"),
        ({"client": "localhost"}, "`client` must be a dask.distributed.Client"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_first_run(tmp_path, given, says):
    arguments = {"build": lambda K: network(K, 0.0), "over": {"K": [1.0]}} | given
    with pytest.raises((TypeError, ValueError), match=says):
        sweep(**arguments, store=tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_a_store_of_something_else_is_refused(tmp_path):
    def build(K):
        return network(K, 0.0)

    def other(K):
        return network(2 * K, 0.0)

    sweep(build, {"K": [1.0]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match=r"`over` must be that of the results in .*, but 'K' is not"):
        sweep(build, {"K": [1.0, 2.0]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match=r"`over` must be that of the results in .*, but 'alpha' is not"):
        sweep(network, {"K": [1.0], "alpha": [0.0]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match=r"`build` must be that of the results in .*, but has changed since"):
        sweep(other, {"K": [1.0]}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match=r"`rng` must be that of the results in .*, but has changed since"):
        sweep(build, {"K": [1.0]}, store=tmp_path / "s.zarr", rng=1)
    with pytest.raises(ValueError, match="`store` must be a new folder or that of a sweep"):
        sweep(build, {"K": [1.0]}, store=tmp_path)


def test_results_that_do_not_stand_beside_each_other_are_failures(tmp_path):
    def build(K):
        if K == 1.0:
            return xr.Dataset({"x": ("k", np.zeros(2))})
        wait_for((tmp_path / "s.zarr").exists)  # the first result sets the layout
        return {2.0: xr.Dataset({"x": ("k", np.zeros(3))}), 3.0: 7, 4.0: xr.Dataset({"x": "word"})}[K]

    found = sweep(build, {"K": [1.0, 2.0, 3.0, 4.0]}, store=tmp_path / "s.zarr")
    assert found.sweep_status.values.tolist() == [1, 2, 2, 2]
    reasons = found.sweep_reason.values
    assert "must return the same variables, shapes and coordinates" in reasons[1]
    assert "must return a dict of arguments of simulate, or a Dataset, but returned 7" in reasons[2]
    assert "must return numbers" in reasons[3]


def test_a_sweep_in_which_all_fails_says_why(tmp_path):
    def build(K):
        raise RuntimeError("no luck")

    with pytest.raises(ValueError, match=r"failed at all 2; at \{'K': 1.0\}: RuntimeError: no luck"):
        sweep(build, {"K": [1.0, 2.0]}, store=tmp_path / "s.zarr")
