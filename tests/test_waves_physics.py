"""The example of moving bodies trains, measures, draws, and goes on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import waves_physics
from examples.waves_physics import half, persistence, wins
from neural.training import load
from neural.waves.physics_training import films


def test_a_pendulum_is_studied_from_training_to_table_and_more_seeds_join(tmp_path, capsys):
    arguments = ["--preset", "small", "--tasks", "pendulum", "--out", str(tmp_path)]
    assert waves_physics.main([*arguments, "--seeds", "1"]) == 0
    folder = tmp_path / "small"
    before = {file: file.stat().st_mtime_ns for file in folder.glob("pendulum_*_seed0/last.ckpt")}
    assert len(before) == 2
    assert waves_physics.main([*arguments, "--seeds", "2"]) == 0
    assert before == {file: file.stat().st_mtime_ns for file in before}  # finished trainings are loaded
    table = capsys.readouterr().out.rpartition("| task |")[2]
    assert "| local: parameters (of the sheet) | – | – | 2,493 (39) | 2 |" in table
    assert "| global: closed loop, later than trained, squared error (1/1000) |" in table
    assert "seeds in which local beats global: closed loop" in table
    assert load(folder / "pendulum_global_seed1").network.sheet.lattice == (1, 4, 4)
    for name in ("films", "curves"):
        with Image.open(folder / f"pendulum_{name}.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100


def test_an_error_is_halved_at_the_first_step_below():
    assert half([10, 20, 30], [0.9, 0.4, 0.3], 1.0) == "20"
    assert half([10], [0.5], 1.0) == "never"


def test_wins_are_counted_seed_by_seed_within_the_trained_length_and_later():
    found = {
        "local": [{"next_frame": [a, 4.0], "closed_loop": [1.0, 1.0]} for a in (0.0, 1.0, 5.0)],
        "global": [{"next_frame": [2.0, 3.0], "closed_loop": [1.0, 1.5]}] * 3,
    }
    assert [value for _, value in wins(found, 1)] == ["2 of 3", "0 of 3", "0 of 3", "3 of 3"]


@pytest.mark.parametrize("kind", ["pendulum", "spring"])
def test_persistence_errs_as_if_the_body_stood_still(kind):
    preset = waves_physics.PRESETS["small"]
    _, test = waves_physics.paths(kind, preset)
    still = persistence(preset, test[:, :1].expand_as(test))
    assert still["next_frame"] == still["closed_loop"] == [0.0] * preset.horizon
    moving = persistence(preset, test)
    assert moving["next_frame"][0] == moving["closed_loop"][0] > 0
    frames = films(test, preset.side)
    assert moving["closed_loop"][3] == pytest.approx(float(((frames[5] - frames[1]) ** 2).mean()), rel=1e-5)
    assert moving["next_frame"][3] == pytest.approx(float(((frames[5] - frames[4]) ** 2).mean()), rel=1e-5)


def test_films_of_nothing_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        waves_physics.main(["--tasks", "planets", "--out", str(tmp_path)])
    assert "invalid choice: 'planets'" in capsys.readouterr().err
