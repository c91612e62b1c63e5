"""The example of object discovery trains, measures, draws and goes on; published files are taken where they are."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import akorn_objects
from examples.akorn_objects import PRESETS, Recipe, control_scores, networks, read, scores
from neural.akorn.objects_training import NETWORKS, ObjectTask
from neural.scenes import multi_dsprites, tetrominoes

SMALL = ["--preset", "small", "--seeds", "2"]


def test_scenes_are_studied_from_training_to_table(tmp_path, capsys):
    arguments = [*SMALL, "--tasks", "tetrominoes", "--out", str(tmp_path), "--data", str(tmp_path)]
    assert akorn_objects.main(arguments) == 0
    folder = tmp_path / "small"
    for figure in ("segments", "curves"):
        with Image.open(folder / f"tetrominoes_{figure}.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
    table = capsys.readouterr().out
    for name in PRESETS["small"].recipes["tetrominoes"].networks:
        for seed in (0, 1):
            assert (folder / f"tetrominoes_{name.replace(' ', '_')}_seed{seed}" / "last.ckpt").is_file()
        for measured in ("FG-ARI", "MBO", "FG-ARI, grid × 2"):
            assert f"| tetrominoes | {name}, {measured} |" in table
    assert "| tetrominoes | AKOrN attn, FG-ARI | 86.19 | 88.6 ± 1.7 | " in table
    assert "| tetrominoes | hues of pixels, FG-ARI | – | – | " in table

    (record,) = folder.glob("*.json")
    values = json.loads(record.read_text())
    values["AKOrN attn, grid × 1, seed 0"] = values["AKOrN attn, grid × 1, seed 1"] = {"FG-ARI": 0.125, "MBO": 0.5}
    record.write_text(json.dumps(values))
    assert akorn_objects.main(arguments) == 0  # what was measured is not measured again
    assert "| 12.5 ± 0.0 | 2 |" in capsys.readouterr().out


def test_every_recipe_builds_its_networks_and_has_the_two_that_are_drawn():
    for preset in PRESETS.values():
        for recipe in preset.recipes.values():
            assert {"AKOrN attn", "ItrSA"} <= set(recipe.networks)
            for kind, options in recipe.networks.values():
                NETWORKS[kind](**options)


def test_networks_of_a_recipe_have_the_published_numbers_of_parameters():
    counts = {}
    for name, (kind, options) in networks().items():
        counts[name] = sum(p.numel() for p in ObjectTask(kind, options).network.parameters())
    assert counts["AKOrN attn"] == 278_401
    assert counts["ItrSA"] == 278_912
    assert counts["AKOrN conv"] == 613_889


def test_scenes_are_drawn_unless_the_published_files_are_there(tmp_path):
    recipe = Recipe({}, 1, 4, images=3, tested=2)
    train, test = read("tetrominoes", recipe, tmp_path)
    assert torch.equal(train, tetrominoes(3, 1).images)
    assert torch.equal(test.masks, tetrominoes(2, 0).masks)
    assert torch.equal(read("dsprites", recipe, tmp_path)[1].images, multi_dsprites(2, 0).images)

    scenes = tetrominoes(5, 7, 35)
    for group, file in zip(("train", "test"), akorn_objects.FILES["tetrominoes"], strict=True):
        with h5py.File(tmp_path / file, "w") as archive:
            archive[f"{group}/imgs"] = scenes.images.movedim(1, -1).numpy()
            archive[f"{group}/masks"] = (
                255 * (scenes.masks[:, None] == torch.arange(4)[:, None, None]).byte()[..., None].numpy()
            )
    train, test = read("tetrominoes", recipe, tmp_path)
    assert torch.equal(train, scenes.images[..., 1:33, 1:33])
    assert torch.equal(test.masks, scenes.masks[:2, 1:33, 1:33])


def test_the_true_labels_score_one_and_hues_find_pieces_of_different_colours():
    scenes = tetrominoes(60, 0)
    assert scores(scenes.masks.numpy() + 1, scenes) == {"FG-ARI": 1.0, "MBO": pytest.approx(1.0)}
    found = control_scores(scenes, 4)
    assert found["FG-ARI"] == pytest.approx(0.80, abs=0.1)  # spread of a scene 0.3


def test_scenes_that_are_not_there_are_named(tmp_path, capsys, monkeypatch):
    recipes = {"clevr": replace(PRESETS["small"].recipes["tetrominoes"])}
    monkeypatch.setitem(PRESETS, "small", replace(PRESETS["small"], recipes=recipes))
    arguments = [*SMALL, "--out", str(tmp_path), "--data", str(tmp_path)]
    assert akorn_objects.main([*arguments, "--tasks", "clevr"]) == 1
    assert f"there is none at {tmp_path / 'clevr6_with_masks_and_factors_test.h5'}" in capsys.readouterr().err
    assert akorn_objects.main(arguments) == 0  # not asked for by name: left out


def test_a_task_that_the_preset_lacks_is_named(capsys):
    with pytest.raises(SystemExit):
        akorn_objects.main([*SMALL, "--tasks", "clevrtex"])
    assert "must be of the preset small, which has tetrominoes, dsprites, not clevrtex" in capsys.readouterr().err
