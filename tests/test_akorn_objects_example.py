"""The example of object discovery trains, measures, draws and goes on; published files are taken where they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import akorn_objects
from examples.akorn_objects import control_scores, measure, read, scores
from examples.akorn_objects_recipes import PRESETS, Preset, Recipe, networks
from neural.akorn import MovingAverage
from neural.akorn.objects_training import NETWORKS, ObjectTask
from neural.scenes import multi_dsprites, tetrominoes
from neural.scenes.published import PLACES

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
    for group, file in zip(("train", "test"), PLACES["tetrominoes"], strict=True):
        with h5py.File(tmp_path / file, "w") as archive:
            archive[f"{group}/imgs"] = scenes.images.movedim(1, -1).numpy()
            archive[f"{group}/masks"] = (
                255 * (scenes.masks[:, None] == torch.arange(4)[:, None, None]).byte()[..., None].numpy()
            )
    train, test = read("tetrominoes", recipe, tmp_path)
    assert torch.equal(train, scenes.images[..., 1:33, 1:33])
    assert torch.equal(test.masks, scenes.masks[:2, 1:33, 1:33])


def test_a_network_is_trained_as_its_recipe_says(tmp_path, monkeypatch):
    monkeypatch.setattr(
        akorn_objects.training, "fit", lambda *given, **options: seen.append((given, options)) or given[0]
    )
    seen, options = [], {"device": "cpu", "devices": 1, "precision": "32", "compile": False}
    recipe = Recipe(networks(16, T=2), 7, 4, batch=3, lr=0.25, scale=0.5, ema=MovingAverage(0.5, 2, 3))
    given = SimpleNamespace(folder=tmp_path, **options)
    network = akorn_objects.fit("tetrominoes", "ItrSA", tetrominoes(6, 0).images, recipe, 5, given)
    (((task, batches, steps), chosen),) = seen
    assert network is task.network
    kind, expected = recipe.networks["ItrSA"]
    hparams = {"kind": kind, "network": expected, "lr": 0.25, "scale": [0.5, 1.0], "seed": 5}
    assert dict(task.hparams) == {"temperature": 0.1, "flip": 0.0} | hparams
    assert steps == 7
    assert batches[0][0].shape == (3, 3, 32, 32)
    assert chosen["seed"] == 5
    assert chosen["ema"] == recipe.ema
    assert chosen["folder"] == tmp_path / "tetrominoes_ItrSA_seed5"


def test_every_seed_is_measured_by_its_own_network(monkeypatch):
    asked = {}

    def record(name, call, *arguments):
        asked[name] = arguments
        return {"FG-ARI": 0.0, "MBO": 0.0}

    for name in ("draw_segments", "draw_curves"):
        monkeypatch.setattr(akorn_objects, name, lambda *_: None)
    monkeypatch.setattr(akorn_objects, "fit", lambda task, name, images, recipe, seed, options: (name, seed))
    recipe = Recipe(networks(16, T=2), 1, 5, images=2, tested=3)
    options = SimpleNamespace(data=Path("nowhere"), seeds=2, folder=Path(), device="cpu", preset="small", tasks=[])
    akorn_objects.study("tetrominoes", Preset({"tetrominoes": recipe}, finest=2), record, options)
    for name in recipe.networks:
        for tiles in (1, 2):
            for seed in (0, 1):
                network, scenes, *rest = asked[f"{name}, grid × {tiles}, seed {seed}"]
                assert network == (name, seed)
                assert len(scenes) == 3
                assert rest == [5, tiles]


@pytest.mark.parametrize("name", ["AKOrN attn", "ItrSA"])
def test_all_scenes_are_cut_into_as_many_segments_on_the_grid_asked_for(name, monkeypatch):
    """Images reach the network between 0 and 1; oscillators start from seed 0, baselines take no generator."""
    seen, scenes = [], tetrominoes(70, 0)

    def segment(network, images, k, generator=None, **options):
        seen.append((images, k, options, generator and generator.initial_seed()))
        return torch.zeros(images[:, 0].shape, dtype=torch.long)

    monkeypatch.setattr(akorn_objects, "segment", segment)
    kind, options = networks(16, T=2)[name]
    measure(NETWORKS[kind](**options), scenes, 5, 2)
    assert torch.equal(torch.cat([images for images, *_ in seen]), scenes.images / 255)
    assert [rest for _, *rest in seen] == 2 * [[5, {"tiles": 2}, 0 if kind == "akorn" else None]]


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
