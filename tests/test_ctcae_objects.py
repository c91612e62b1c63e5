"""The example of phases and objects trains, measures, draws and goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import ctcae_objects
from examples.ctcae_objects import PRESETS, curve
from neural.autoencoders.training import AutoencoderTask

SMALL = ["--preset", "small", "--seeds", "2"]


def test_scenes_are_studied_from_training_to_table(tmp_path, capsys):
    arguments = [*SMALL, "--tasks", "tetrominoes", "--out", str(tmp_path), "--data", str(tmp_path)]
    assert ctcae_objects.main(arguments) == 0
    folder = tmp_path / "small"
    for figure in ("phases", "curves"):
        with Image.open(folder / f"tetrominoes_{figure}.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
    table = capsys.readouterr().out
    for name in ("RGB", "hue", "hue and position", "phases 0", "CtCAE, untrained", "CtCAE"):
        assert f"| tetrominoes | {name} | " in table
    assert curve(folder / "tetrominoes_CtCAE_seed0", "ari_fg")[0] == [2]

    (record,) = folder.glob("*.json")
    values = json.loads(record.read_text())
    values["CtCAE, seed 0"]["ari_fg"] = values["CtCAE, seed 1"]["ari_fg"] = 0.125
    record.write_text(json.dumps(values))
    assert ctcae_objects.main(arguments) == 0  # what was measured is not measured again
    assert "| CtCAE | 0.85 ± 0.05, 0.84 ± 0.09, 9.7e-5 | 0.1250 ± 0.0000 |" in capsys.readouterr().out


def test_every_recipe_builds_its_networks():
    for recipes in PRESETS.values():
        for task, recipe in recipes.items():
            for model in recipe.models.values():
                network = AutoencoderTask(**model).network
                assert network.image[0] == (1 if task.endswith("shapes") else 3)


def test_a_task_that_the_preset_lacks_is_named(capsys):
    with pytest.raises(SystemExit):
        ctcae_objects.main([*SMALL, "--tasks", "clevr"])
    assert "must be of the preset small, which has 2shapes, 4shapes, tetrominoes, not clevr" in capsys.readouterr().err
