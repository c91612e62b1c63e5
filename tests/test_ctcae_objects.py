"""The example of phases and objects trains, measures, draws and goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import ctcae_objects, report
from examples.ctcae_objects import PRESETS, read
from neural.autoencoders.training import AutoencoderTask
from neural.scenes import tetrominoes
from neural.scenes.published import PLACES

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
    assert report.curve(folder / "tetrominoes_CtCAE_seed0", "ari_fg")[0] == [2]

    (record,) = folder.glob("*.json")
    values = json.loads(record.read_text())
    values["CtCAE, seed 0"]["ari_fg"] = values["CtCAE, seed 1"]["ari_fg"] = 0.125
    record.write_text(json.dumps(values))
    assert ctcae_objects.main(arguments) == 0  # what was measured is not measured again
    assert "| CtCAE | 0.85 ± 0.05, 0.84 ± 0.09, 9.7e-5 | 0.1250 ± 0.0000 |" in capsys.readouterr().out


def test_scenes_are_drawn_or_read_at_the_side_of_the_recipe(tmp_path):
    recipe = PRESETS["small"]["tetrominoes"]
    train, test = read("tetrominoes", recipe, tmp_path)
    drawn = tetrominoes(8, 1).resized(16)
    assert torch.equal(train, drawn.images)
    assert torch.equal(test.masks, tetrominoes(4, 0).resized(16).masks)

    for group, file in zip(("train", "test"), PLACES["clevr"], strict=True):
        with h5py.File(tmp_path / file, "w") as archive:
            archive[f"{group}/imgs"] = np.zeros((5, 240, 320, 3), np.uint8)
            archive[f"{group}/masks"] = np.full((5, 2, 240, 320, 1), [[[[0]]], [[[255]]]], np.uint8)
    train, test = read("clevr", replace(recipe, side=96), tmp_path)
    assert train.shape == (5, 3, 96, 96)
    assert test.masks.shape == (4, 96, 96)
    assert (test.masks == 1).all()


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
