"""The examples of wave networks train, measure, draw and go on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import waves_digits, waves_segmentation
from examples.waves_segmentation import apart, right
from neural.training import load
from neural.waves.image_training import TurningTask


def drawn(file) -> bool:
    with Image.open(file) as picture:
        return bool(np.ptp(np.asarray(picture.convert("L"))) > 100)


def test_digits_are_studied_from_training_to_table_and_go_on(tmp_path, capsys):
    arguments = ["--preset", "small", "--seeds", "2", "--out", str(tmp_path)]
    assert waves_digits.main(arguments) == 0
    table, folder = capsys.readouterr().out, tmp_path / "small"
    for task in ("torus", "rings", "rolled"):
        assert f"| {task} | closed loop, squared error |" in table
        assert all(drawn(folder / f"{task}_{name}") for name in ("wave.gif", "induced.png"))
        assert load(folder / f"{task}_seed1").network.sheet.lattice == ((1, 4, 4) if task == "torus" else (2, 6))
    assert waves_digits.main(arguments) == 0
    assert "training, seed" in capsys.readouterr().err


def test_an_interrupted_study_of_digits_ends_with_the_same_weights_and_numbers(tmp_path, monkeypatch):
    def study(name):
        folder = tmp_path / name
        status = waves_digits.main(["--preset", "small", "--seeds", "1", "--tasks", "rolled", "--out", str(folder)])
        return status, folder / "small"

    def stopped(task, batch):
        calls.append(loss(task, batch))
        return calls[-1] if len(calls) < 3 else (_ for _ in ()).throw(KeyboardInterrupt)

    calls, loss = [], TurningTask.loss
    _, whole = study("whole")
    monkeypatch.setattr(TurningTask, "loss", stopped)
    assert study("parts")[0] == 130
    monkeypatch.undo()
    status, parts = study("parts")
    assert status == 0
    weights = [load(folder / "rolled_seed0").state_dict() for folder in (whole, parts)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    numbers = [json.loads((folder / "rolled.json").read_text())["seed 0"] for folder in (whole, parts)]
    assert numbers[0] == numbers[1]


def test_pictures_are_taken_apart(tmp_path, capsys):
    arguments = ["--preset", "small", "--seeds", "1", "--tasks", "two", "three", "--out", str(tmp_path)]
    assert waves_segmentation.main(arguments) == 0
    assert "| two | pixels, 1 start (%) | 93.0000 |" in capsys.readouterr().out
    assert drawn(tmp_path / "small" / "three_phases.png")


def test_objects_are_apart_if_no_other_is_near():
    mask = np.zeros((12, 12), int)
    mask[1, 1], mask[1, 5] = 1, 2
    assert apart(mask)
    mask[1, 4] = 2
    assert not apart(mask)
    mask[1, 4], mask[9, 9] = 0, -1
    assert not apart(mask)


def test_names_of_objects_do_not_matter():
    mask = np.array([[0, 1, 2, 3]])
    assert right(mask, np.array([[0, 3, 1, 2]])) == 1
    assert right(mask, np.array([[1, 3, 1, 2]])) == 0.75


def test_digits_that_are_missing_end_with_a_sentence(tmp_path, capsys):
    arguments = ["--preset", "small", "--tasks", "digits", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert waves_segmentation.main(arguments) == 1
    assert "`folder` must hold" in capsys.readouterr().err
