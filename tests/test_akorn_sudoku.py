"""The Sudoku example trains, measures, votes, draws and keeps what it found; a second call goes on."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import akorn_sudoku
from examples.report import Line
from neural import training

SMALL = ["--preset", "small", "--seeds", "2"]


def cells(folder, task):
    rows = json.loads((folder / f"{task}.json").read_text())["rows"]
    return {line.measured: line for line in (Line(*row) for row in rows)}


def test_sudoku_is_studied_from_training_to_table(tmp_path, capsys, monkeypatch):
    arguments = [*SMALL, "--out", str(tmp_path)]
    assert akorn_sudoku.main(arguments) == 0
    table = capsys.readouterr().out
    folder = tmp_path / "small"
    for figure in ("akorn_steps", "itrsa_steps", "akorn_votes"):
        with Image.open(folder / f"{figure}.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
    assert "| akorn | hard boards, T = 4, 3 votes by sum (%) | – | – | " in table
    assert "| itrsa | test boards, T = 2 (%) |" in table
    assert training.load(folder / "akorn_seed1").network.ch == 16
    for task in ("akorn", "itrsa"):
        for line in cells(folder, task).values():
            assert line.seeds == "2"
            assert line.command == f"`python -m examples.akorn_sudoku --preset small --seeds 2 --tasks {task}`"

    monkeypatch.setattr(akorn_sudoku, "over_times", lambda *_: pytest.fail("measured twice"))
    monkeypatch.setattr(akorn_sudoku, "votes", lambda *_: pytest.fail("voted twice"))
    assert akorn_sudoku.main(arguments) == 0
    assert (folder / "table.md").read_text() in table


def test_an_interrupted_study_goes_on_to_the_same_numbers(tmp_path, monkeypatch, capsys):
    whole, parts = ([*SMALL, "--tasks", "akorn", "--out", str(tmp_path / name)] for name in "ab")
    assert akorn_sudoku.main(whole) == 0
    loss, calls = akorn_sudoku.SudokuTask.loss, []

    def interrupted(task, batch):
        calls.append(1)
        if len(calls) == 7:  # in the second training
            raise KeyboardInterrupt
        return loss(task, batch)

    monkeypatch.setattr(akorn_sudoku.SudokuTask, "loss", interrupted)
    assert akorn_sudoku.main(parts) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert akorn_sudoku.main(parts) == 0
    ours, theirs = (json.loads((tmp_path / name / "small" / "akorn.json").read_text()) for name in "ab")
    assert ours == theirs


def test_published_numbers_stand_beside_boards_of_9_by_9_only():
    preset = akorn_sudoku.PRESETS["paper"]
    shares = {"sum": [0.5, 0.8], "last": [0.5, 0.7], "confidence": [0.5, 0.9], "rules": [0.5, 1.0]}
    told = dict.fromkeys(shares, 0.75)
    votes = {"by": shares, "concordance": told, "single": 0.5, "mean": 0.5, "any": 1.0}
    scores = {"solved": [0.1, 0.2, 0.3, 0.4], "energy": None}
    found = [{"test": scores, "hard": scores, "votes": votes}] * 2
    options = type("Options", (), {"device": "cpu", "devices": 1})
    lines = {line.measured: line for line in akorn_sudoku.lines("akorn", preset, found, options)}
    assert lines["hard boards, T = 128 (%)"][2:5] == ("51.7 ± 3.3", None, "40.0 ± 0.0")
    assert lines["hard boards, T = 128, 100 votes by sum (%)"][2:5] == (None, "81.6 ± 1.5", "80.0 ± 0.0")
    assert lines["hard boards, T = 128, pairs told right by sum (%)"][2:5] == (None, None, "75.0 ± 0.0")
    small = akorn_sudoku.lines("akorn", akorn_sudoku.PRESETS["small"], found, options)
    assert all(line.paper is None and line.repository is None for line in small)


def test_the_precision_is_named_and_not_mixed_with_another(tmp_path, capsys):
    arguments = ["--preset", "small", "--seeds", "1", "--tasks", "itrsa", "--out", str(tmp_path)]
    assert akorn_sudoku.main([*arguments, "--precision", "bf16-mixed"]) == 0
    assert "--seeds 1 --tasks itrsa --precision bf16-mixed`" in capsys.readouterr().out
    assert akorn_sudoku.main(arguments) == 1
    assert "was measured with other settings" in capsys.readouterr().err


def test_every_preset_builds_its_networks():
    for preset in akorn_sudoku.PRESETS.values():
        for name in akorn_sudoku.TASKS:
            model = "akorn" if name == "akorn" else "transformer"
            task = akorn_sudoku.SudokuTask(model, preset.networks[name] | {"box": preset.box}, lr=preset.rates[name])
            assert preset.times[name][0] == task.network.T
    with_weights = sum(p.numel() for p in task.network.parameters())
    assert with_weights < 20_000  # the last one is small


def test_boards_that_are_missing_end_with_a_sentence(tmp_path, capsys):
    arguments = ["--preset", "paper", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert akorn_sudoku.main(arguments) == 1
    assert "`folder` must have sudoku_id.npz or features.pt, but" in capsys.readouterr().err


def test_energies_and_accuracies_are_those_of_the_boards():
    preset = akorn_sudoku.PRESETS["small"]
    some = akorn_sudoku.small_boards(30, (6, 10))
    network = akorn_sudoku.SudokuTask("akorn", preset.networks["akorn"] | {"box": (2, 2)}).network.eval()
    found = akorn_sudoku.over_times("akorn", network, some, preset, "cpu", chunk=12)
    assert len(found["energy"]) == max(preset.times["akorn"]) + 1
    generator = torch.Generator().manual_seed(0)
    energies = []
    for rows in (slice(0, 12), slice(12, 24), slice(24, 30)):
        run = network.run(some.puzzles[rows], T=4, energies=True, generator=generator)
        energies.append(run.energies[0])
    np.testing.assert_allclose(found["energy"], torch.cat(energies, 1).mean(1).detach(), rtol=1e-5)  # single precision
