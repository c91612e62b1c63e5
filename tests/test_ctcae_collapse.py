"""The example of what parts phases changes the start of a network and tells what came of it."""

from __future__ import annotations

import pytest

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import ctcae_collapse, report
from examples.ctcae_collapse import PRESETS, Start
from neural.scenes import shapes

MODELS = PRESETS["small"]["2shapes"].models
NONE = MODELS["none"]


def test_the_first_model_starts_as_published_and_the_others_differ_as_their_names_say():
    network = Start(**NONE).network
    assert all(not block.phase_bias.any() for block in network.modules() if hasattr(block, "phase_bias"))
    flat = {name: model | model["network"] | model["network"]["encoder_contrast"] for name, model in MODELS.items()}
    names = {
        "±": "spread",
        "norms": "offset",
        "image": "inputs",
        "λ": "weight",
        "τ": "temperature",
        "circle": "features",
    }
    for name, model in flat.items():
        differ = {k for k in model if not isinstance(model[k], dict) and model[k] != flat["none"].get(k)}
        assert differ == {option for word, option in names.items() if word in name}, name


def test_offsets_and_phases_of_the_images_are_as_asked():
    scenes = shapes(4, 0, kinds=("square", "circle"))
    task = Start(**NONE, offset=1.0)
    norms = [block.norm.bias for block in task.network.modules() if hasattr(block, "phase_bias")]
    assert all((bias == 1.0).all() for bias in norms)
    seen = []
    task.network.losses = lambda images, phases: seen.append(phases) or {"total": images.sum()}
    task.loss((scenes.images,))
    task.inputs = 1.0
    task.loss((scenes.images,))
    assert not seen[0].any()
    assert 0.9 < seen[1].max() <= 1.0
    assert seen[1].min() >= 0


def test_every_start_has_its_line(tmp_path, capsys):
    folder, seeds = tmp_path / "small", ["--preset", "small", "--seeds", "1"]
    assert ctcae_collapse.main([*seeds, "--out", str(tmp_path), "--data", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert all(f"| {name} | 1, 2 | " in table for name in MODELS)
    found = report.curve(folder / "2shapes_±π_λ_=_1e-2_seed0", "resultant")
    assert ", ".join(f"{value:.3f}" for value in found[1]) in table
    assert (folder / "2shapes_curves.png").exists()
