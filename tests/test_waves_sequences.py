"""The example of sequences trains, measures, draws and keeps what it found; a second call goes on."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import waves_sequences
from examples.report import Line
from neural.waves.training import Sequences

SMALL = ["--preset", "small", "--seeds", "2", "--tasks", "adding", "copy"]


def test_sequences_are_studied_from_training_to_table(tmp_path, capsys, monkeypatch):
    arguments = [*SMALL, "--out", str(tmp_path)]
    assert waves_sequences.main(arguments) == 0
    assert "| adding | wave_rnn, MSE | – | – | " in capsys.readouterr().out
    folder = tmp_path / "small"
    for task in ("adding", "copy"):
        with Image.open(folder / f"{task}_wave_rnn_waves.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
        rows = [Line(*row) for row in json.loads((folder / f"{task}.json").read_text())["rows"]]
        assert [row.seeds for row in rows] == ["2", "2"]
    monkeypatch.setattr(waves_sequences, "measured", lambda *_: pytest.fail("measured twice"))
    assert waves_sequences.main(arguments) == 0


def test_a_test_set_is_measured_in_batches_as_if_it_were_one():
    run = replace(waves_sequences.PRESETS["small"].runs["adding"], batch=8)
    _, test = waves_sequences.batches("adding", run, None)
    assert [len(u) for u, _ in test] == [8, 8, 4]  # of 20
    task = Sequences("wave_rnn", run.networks["wave_rnn"][0])
    whole = [torch.cat(part) for part in zip(*test, strict=True)]
    found = waves_sequences.measured(task, test)
    assert found == {"val_loss": pytest.approx(float(task.scores(whole)["val_loss"]), rel=1e-6)}  # single precision


def test_published_numbers_stand_beside_sequences_of_the_published_length_only():
    options = SimpleNamespace(device="cpu")
    for preset, paper in (("paper", "99.3"), ("cpu", None)):
        length = waves_sequences.PRESETS[preset].runs["smnist"].length
        assert waves_sequences.line("smnist", "cornn", length, [{"val_accuracy": 0.5}], options).paper == paper


def test_digits_that_are_missing_end_with_a_sentence(tmp_path, capsys):
    arguments = ["--preset", "small", "--tasks", "smnist", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert waves_sequences.main(arguments) == 1
    assert "`folder` must hold" in capsys.readouterr().err


def test_the_share_of_right_tokens_is_that_of_the_answer():
    task = Sequences("wave_rnn", {"inputs": 10, "outputs": 10, "nodes": 12, "channels": 1, "every_step": True})
    said = torch.zeros(2, 25, dtype=torch.long)
    said[:, 15:] = 3
    task.outputs = lambda u: torch.nn.functional.one_hot(torch.full((2, 25), 3), 10).float()
    assert task.scores((torch.zeros(2, 25, 10), said))["val_accuracy"] == 1  # blanks do not count


def test_the_rate_drops_when_it_is_told_to():
    task = Sequences(
        "cornn", {"inputs": 1, "outputs": 2, "nodes": 3, "dt": 0.1, "gamma": 1.0, "epsilon": 1.0}, drop=[5, 0.1]
    )
    _, [rate] = task.configure_optimizers()
    assert [rate["scheduler"].lr_lambdas[0](k) for k in (4, 5)] == [1.0, 0.1]
