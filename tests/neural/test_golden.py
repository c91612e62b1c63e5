"""The published results are met; a file that is not met, or not known, is never called so."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.golden import check, main

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "kuranet"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.npz")), ids=lambda path: path.stem)
def test_the_published_numbers_are_met(path):
    met, line = check(path)
    assert met, line


def changed(tmp_path, name, change):
    """A copy of a golden file in which something is different."""
    with np.load(DATA / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    change(arrays)
    np.savez(tmp_path / f"{name}.npz", **arrays)
    return tmp_path / f"{name}.npz"


def one_entry(key, by):
    def change(arrays):
        arrays[key] = arrays[key].astype(float)
        arrays[key].flat[0] += by * np.abs(arrays[key]).max()

    return change


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("coupling_node_train", "out/K"),
        ("coupling_node_train", "out/after/layers.4.running_var"),
        ("traj_delay", "out/theta_euler"),
        ("traj_xy", "out/theta_rk4_38"),
        ("run_case3", "out/grad/layers.0.weight"),
        ("run_xy", "out/grad_contadj/layers.6.weight"),
        ("loss_k3", "out/grad_cluster_rows3plus"),
        ("graph_autocorrelation", "out/fan_out_2"),
        ("sbd", "out/sbd1"),
        ("adjoint_euler_delay", "out/grad_history"),
        ("trained_moons", "weight/layers.3.weight"),
    ],
)
def test_one_wrong_number_is_found(name, key, tmp_path):
    met, line = check(changed(tmp_path, name, one_entry(key, 0.1 if name == "trained_moons" else 1e-8)))
    assert not met
    assert " > " in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_entry("out/K", np.nan), "nan > 1e-09 in K"),
        (lambda arrays: arrays.update({"out/K": arrays["out/K"][1:]}), "shape"),
        (lambda arrays: arrays.update({"out/spectrum": np.zeros(3)}), "unknown output spectrum"),
        (lambda arrays: arrays.update({"extra": np.zeros(3)}), "every array must be called"),
        (lambda arrays: [arrays.pop(key) for key in list(arrays) if key.startswith("out/")], "no output to compare"),
        (lambda arrays: arrays.pop("meta"), "KeyError: 'meta'"),
    ],
)
def test_a_file_that_cannot_be_compared_is_a_failure(change, message, tmp_path):
    met, line = check(changed(tmp_path, "coupling_none", change))
    assert not met
    assert message in line


def test_the_command_prints_a_line_per_file_and_fails_on_an_unknown_one(tmp_path, capsys):
    changed(tmp_path, "coupling_none", lambda arrays: None)
    assert main(str(tmp_path)) == 0
    assert capsys.readouterr().out.startswith("ok     coupling_none")
    (tmp_path / "coupling_none.npz").rename(tmp_path / "spectrum_none.npz")
    assert main(str(tmp_path)) == 1
    assert "FAILED spectrum_none" in capsys.readouterr().out


def test_the_command_fails_where_there_is_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"no .npz in {tmp_path}" in done.stdout
