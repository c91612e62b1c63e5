"""Every example runs, draws, stores, and finds what theory says."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import xarray as xr
from PIL import Image

from examples import demo

DATA = Path(os.environ.get("OSCILLATORS_DATA", Path(__file__).parents[2] / "shared" / "data"))
NAMES = demo.examples(None)
SMALL_ERROR = {  # of short runs of small networks, in units of the expected value
    "01_synchronisation": 0.5,  # two draws of 32 frequencies
    "02_your_own_system": 0.1,  # two turns, the first of which is not yet in step
    "03_delays": 0.05,  # 10 turns, phases a few tenths of a radian apart
    "04_chimera": 0.05,  # 1/N = 1/64, and a short run
    "05_travelling_wave": 0.1,  # the picture has not faded yet
    "06_sphere_energy": 1e-3,  # Simpson's rule
    "07_power_grid": 0.3,  # five factors, a quarter of the critical one apart
}


@pytest.fixture(autouse=True)
def off_screen():
    demo.matplotlib.use("Agg")


def test_the_examples_are_numbered_from_1():
    assert [int(name[:2]) for name in NAMES] == list(range(1, len(NAMES) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_finds_what_theory_says(name, tmp_path):
    if name == "07_power_grid" and not (DATA / "power_grids.npz").is_file():
        pytest.skip(f"no power_grids.npz in {DATA}; set OSCILLATORS_DATA")
    options = {"data": DATA} if name == "07_power_grid" else {}
    rows = importlib.import_module(f"examples.{name}").main(out=tmp_path, small=True, **options)
    for _, nodes, links, _, measured, theory in rows:
        assert nodes > 1
        assert links > 0
        if theory.startswith(">"):
            assert float(measured) > float(theory[1:])
        else:
            np.testing.assert_allclose(float(measured), float(theory), rtol=SMALL_ERROR[name], atol=1e-9)
    assert {file.suffix for file in tmp_path.iterdir()} >= {".png", ".nc"}
    for file in tmp_path.glob("*.nc"):
        with xr.open_dataset(file) as stored:
            assert not (stored["status"] != 0).any()
    for file in [*tmp_path.glob("*.png"), *tmp_path.glob("*.gif")]:
        with Image.open(file) as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100  # something is drawn


def test_a_power_grid_without_data_is_skipped_with_a_sentence(tmp_path, capsys):
    assert importlib.import_module("examples.07_power_grid").main(out=tmp_path, data=tmp_path) == []
    assert f"there is no {tmp_path / 'power_grids.npz'}" in capsys.readouterr().out


@pytest.mark.parametrize("graph", ["two nodes", "directed", "without loops", "disconnected", "negative"])
def test_the_demo_takes_any_network(graph, tmp_path, capsys):
    file = tmp_path / "net.edges"
    links = {
        "two nodes": "a b",
        "directed": "0 1\n1 2\n2 0\n2 3\n3 0",
        "without loops": "0 1\n1 2\n0 2",
        "disconnected": "0 1 2.0\n1 2 1.0\n0 2 1.0\n8 9 1.0",
        "negative": "0 1 1.0\n1 2 -0.5\n2 0 1.0\n2 3 1.0",
    }[graph]
    file.write_text(links)
    if graph in ("directed", "without loops"):
        directed = nx.DiGraph(nx.read_edgelist(file, create_using=nx.DiGraph))
        file = tmp_path / "net.graphml"
        nx.write_graphml(directed, file)
    for name in ("01_synchronisation", "02_your_own_system", "03_delays", "06_sphere_energy"):
        example = importlib.import_module(f"examples.{name}")
        rows = example.main(out=tmp_path, graph=demo.usable(file), small=True)
        assert rows[-1][:2] == (
            "net",
            {"two nodes": 2, "directed": 4, "without loops": 3, "disconnected": 3}.get(graph, 4),
        )
    notes = capsys.readouterr().out
    assert ("not connected; its largest part has 3 of 5 nodes" in notes) == (graph == "disconnected")
    assert ("no attribute `weight`" in notes) == (graph not in ("disconnected", "negative"))


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("none.graphml", None, "must be a file"),
        ("lonely.edges", "# nothing\n", "at least one node"),
        ("loop.edges", "a a\n", "two linked nodes"),
        ("nan.edges", "a b nan\n", "`weight` must be finite"),
        ("what.docx", "", "must end in one of"),
    ],
)
def test_the_demo_says_what_is_wrong_with_a_file(file, text, says, tmp_path, capsys):
    if text is not None:
        (tmp_path / file).write_text(text)
    assert demo.main(["--graph", str(tmp_path / file), "--out", str(tmp_path / "out")]) == 1
    assert says in capsys.readouterr().err


def test_the_table_lists_every_row_under_its_head():
    lines = demo.table(
        [("ring", 4, 4, "speed", "1.0", "1.1", "0.1 s"), ("ring", 4, 4, "size", "2", "2", "")]
    ).splitlines()
    assert lines[0].split() == " ".join(demo.HEAD).split()
    assert [line.split()[0] for line in lines[2:]] == ["ring", "ring"]


def test_ctrl_c_ends_the_demo_and_keeps_what_is_done(tmp_path):
    command = [sys.executable, "-m", "examples.demo", "--small", "--out", str(tmp_path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job of a shell ignores it
    ) as process:
        while "02_" not in process.stderr.readline() and process.poll() is None:
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped by Ctrl-C" in out
    assert "Southern women" in out
    assert "Traceback" not in err
