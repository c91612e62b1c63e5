"""The KuraNet examples train, measure, draw and keep what they found; a second call goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from examples import experiment, kuranet_clusters, kuranet_global, kuranet_images, report
from examples.experiment import Preset, Score, Task
from examples.report import Record
from neural.kuranet import Horizon, gaussians, recipes, run
from neural.kuranet.train import Training

SMALL = ["--preset", "small", "--seeds", "2"]


@pytest.fixture
def photographs(tmp_path):
    """An archive like that of the images, of two flat objects on a noisy ground."""
    rng = np.random.default_rng(0)
    group = np.zeros((60, 80), np.uint8)
    group[10:30, 10:40], group[35:55, 30:70] = 1, 2
    picture = (60 * group[..., None] + rng.integers(0, 40, (60, 80, 3))).astype(np.uint8)
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez(folder / "bsds8.npz", **{"image/124084": picture, "group/124084": group})
    return folder


def rows(folder, task):
    return {score[1]: Score(*score) for score in json.loads((folder / f"{task}.json").read_text())["rows"]}


def check_folder(folder, task, figures):
    """Figures show something, weights are those of the best seed, and the table has every line."""
    for name in figures:
        with Image.open(folder / f"{task}_{name}.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
    found = rows(folder, task)
    losses = json.loads((folder / f"{task}.json").read_text())
    scores = [losses["Data, seed 0"], losses["Data, seed 1"]]
    assert found["Data"].ours == min(scores)
    best = torch.load(folder / f"{task}_seed{int(np.argmin(scores))}.pt", weights_only=True)["model"]
    kept = torch.load(folder / f"{task}.pt", weights_only=True)
    assert kept.keys() == best.keys()
    assert all(torch.equal(kept[name], best[name]) for name in kept)
    table = (folder / "table.md").read_text()
    for regime, score in found.items():
        assert f"| {task} | {regime} | " in table
        assert score.command.endswith(f"--preset small --seeds 2 --tasks {task}`")
    for regime in ("Data", "Size, sub-populations", "Size, true network", "Data+Size, true network"):
        assert 0 <= found[regime].ours <= 1
        assert 0 <= found[regime].control <= 1
    return found


@pytest.mark.parametrize("program", [kuranet_global, kuranet_clusters, kuranet_images])
def test_every_preset_can_train_every_task(program):
    options = report.parser("", "program", (), program.PRESETS).parse_args([])
    assert {"cpu", "paper", "small"} <= set(options.presets)
    tasks = set(program.PRESETS["paper"].recipes)
    for preset in options.presets.values():
        assert set(preset.recipes) == tasks
        assert all(recipe.nodes <= preset.nodes for recipe in preset.recipes.values())
        assert preset.subset <= preset.large <= preset.nodes


@pytest.mark.parametrize("case", ["I", "III"])
def test_oscillators_that_are_to_stay_together(case, tmp_path, capsys):
    assert kuranet_global.main([*SMALL, "--tasks", case, "--out", str(tmp_path)]) == 0
    figures = ["training", "phases", "fan_in"] if case == "III" else ["training", "phases"]
    found = check_folder(tmp_path / "small", case, figures)
    assert found["Data"].paper == kuranet_global.PAPER[case]["Data"][0]
    assert found["Size, true network"].paper == kuranet_global.PAPER[case]["Size, true network"][0]
    assert ("maximum of fan-in at (ω, τ)" in found) == (case == "III")
    training = torch.load(tmp_path / "small" / f"{case}_seed0.pt", weights_only=True)
    r2 = np.corrcoef(training["c_x"], training["loss"])[0, 1] ** 2
    assert found["r² of loss and C_x"].seeds.split()[0] == f"{r2:.2f}"
    assert f"| {case} | Data |" in capsys.readouterr().out


def test_points_that_are_to_be_clustered(tmp_path):
    assert kuranet_clusters.main([*SMALL, "--tasks", "moons", "GMM3", "GMM4", "--out", str(tmp_path)]) == 0
    for task in ("moons", "GMM3", "GMM4"):
        found = check_folder(tmp_path / "small", task, ["landscape", "phases"])
        assert 0 <= found["Data, first 100 states"].ours <= 1
    table = (tmp_path / "small" / "table.md").read_text()
    three, four = (rows(tmp_path / "small", f"GMM{k}")["Data"].ours for k in (3, 4))
    assert f"| GMM mean | Data | 0.0144 | 0.4904 | {(three + four) / 2:.4f} |" in table


def test_pixels_that_are_to_be_segmented(tmp_path, photographs):
    arguments = [*SMALL, "--tasks", "124084", "--out", str(tmp_path), "--data", str(photographs)]
    assert kuranet_images.main(arguments) == 0
    found = check_folder(tmp_path / "small", "124084", ["segments"])
    assert 0 < found["symmetric best Dice"].ours <= 1
    assert 0 < found["symmetric best Dice"].control <= 1


def test_real_photographs_can_be_read():
    archive = report.DATA / "bsds8.npz"
    if not archive.is_file():
        pytest.skip(f"no {archive}; set OSCILLATORS_DATA")
    for name in kuranet_images.IMAGES:
        pixels, picture, index = kuranet_images.read(archive, name, stride=6)
        assert len(pixels) == picture.shape[0] * picture.shape[1] == 154_401
        assert index.shape == (54, 81)
        colours = picture[::6, ::6].reshape(-1, 3) / 255
        np.testing.assert_allclose(pixels[index.ravel()].x[:, :3], colours, atol=1e-6)


def test_a_second_call_trains_and_measures_nothing(tmp_path, monkeypatch):
    arguments = [*SMALL, "--tasks", "I", "--out", str(tmp_path)]
    assert kuranet_global.main(arguments) == 0
    table = (tmp_path / "small" / "table.md").read_text()
    for owner, name in ((Training, "step"), (experiment, "evaluate"), (experiment, "as_one")):
        monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("done twice"))
    assert kuranet_global.main(arguments) == 0
    assert (tmp_path / "small" / "table.md").read_text() == table


def test_an_interrupted_call_goes_on_and_finds_the_same(tmp_path, monkeypatch, capsys):
    whole, parts = (["--preset", "small", "--seeds", "2", "--tasks", "I", "--out", str(tmp_path / n)] for n in "ab")
    assert kuranet_global.main(whole) == 0
    steps, step = [], Training.step

    def interrupted(training, nodes):
        steps.append(training.seed)
        if len(steps) == 8:  # of 5 + 5: in the second training
            raise KeyboardInterrupt
        step(training, nodes)

    monkeypatch.setattr(Training, "step", interrupted)
    assert kuranet_global.main(parts) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert kuranet_global.main(parts) == 0
    assert steps.count(0) == 5  # the first training was finished and is not repeated
    ours, theirs = (json.loads((tmp_path / n / "small" / "I.json").read_text()) for n in "ab")
    assert [row[:-1] for row in ours["rows"]] == [row[:-1] for row in theirs["rows"]]


def test_lines_of_earlier_calls_stay_in_the_table(tmp_path):
    for task in ("I", "II"):
        assert kuranet_global.main(["--preset", "small", "--seeds", "1", "--tasks", task, "--out", str(tmp_path)]) == 0
    table = (tmp_path / "small" / "table.md").read_text()
    assert "| I | Data |" in table
    assert "| II | Data |" in table


@pytest.mark.parametrize("per_node", [True, False])
def test_a_large_network_is_the_network_of_its_couplings(per_node):
    nodes = gaussians(3, 40, 0)
    recipe = recipes.CLUSTERS if per_node else recipes.CASE_I
    task = Task("", nodes, nodes, recipe, Horizon(dt=2.0), Horizon(dt=2.0, burn_in=5, window=4), {})
    model = experiment.untrained(task, 0)
    found = experiment.as_one(model, task, nodes, Preset({}, large=30, subset=30, steps=7))
    nodes = nodes[:30]
    theta = nodes.start(torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = run(model(nodes.x), nodes, theta, Horizon(dt=2.0, burn_in=0, window=8)).window
    np.testing.assert_allclose(found["true network"], nodes.loss(states[4:]), rtol=1e-5)  # single precision
    np.testing.assert_allclose(found["sub-populations"], nodes.loss(states[-1:]), rtol=1e-5)  # of all nodes


def test_blocks_cluster_two_groups_exactly():
    nodes = gaussians(2, 60, 0)
    task = Task("", nodes, nodes, recipes.CLUSTERS, kuranet_clusters.DATA, kuranet_clusters.DATA, {})
    preset = Preset({}, networks=2, size=30)
    assert kuranet_clusters.block_control(0.1, task, preset) == pytest.approx(0, abs=1e-12)
    assert kuranet_clusters.block_control(-0.1, task, preset) > 0.2


def test_the_table_names_best_and_worst_of_the_seeds():
    assert experiment.every([0.5, 0.0123, 3e-7]) == "best 3.0e-07, worst 0.5000: 0.5000, 0.0123, 3.0e-07"
    lines = report.table(Score, [Score("I", "Data", 0.1, None, 0.05, "(2, 3)", "seed 1")]).splitlines()
    assert lines[2] == "| I | Data | 0.1000 | – | 0.0500 | (2, 3) | seed 1 | – |"
    assert {line.count("|") for line in lines} == {9}


def test_means_are_over_tasks_that_have_the_number():
    scores = [Score("a", "Data", 0, 0, 0.2, None, ""), Score("b", "Data", 0, 0, 0.4, 1.0, "")]
    (line,) = experiment.mean_scores("mean", scores, {"Data": (0.1, 0.5)})
    assert line[:4] == ("mean", "Data", 0.1, 0.5)
    assert line.ours == pytest.approx(0.3)
    assert line.control is None
    assert experiment.mean_scores("mean", scores[:1], {}) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "0"], "must be a whole number from 1, but is '0'"),
        (["--seeds", "many"], "must be a whole number from 1, but is 'many'"),
        (["--preset", "gpu"], "invalid choice: 'gpu'"),
        (["--tasks", "IV"], "invalid choice: 'IV'"),
        (["--tasks"], "expected at least one argument"),
        (["--device", "abacus"], "invalid choice: 'abacus'"),
        (["--speed", "9"], "unrecognized arguments: --speed 9"),
    ],
)
def test_a_wrong_argument_is_named(arguments, says, capsys):
    with pytest.raises(SystemExit):
        kuranet_global.main(arguments)
    assert says in capsys.readouterr().err


def test_a_device_that_is_not_there_is_named(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        kuranet_global.main(["--device", "cuda"])
    assert "which torch does not find; use cpu" in capsys.readouterr().err


def test_images_without_data_end_with_a_sentence(tmp_path, capsys):
    assert kuranet_images.main(["--data", str(tmp_path)]) == 1
    assert f"there is no {tmp_path / 'bsds8.npz'}; name its folder with --data" in capsys.readouterr().err


def test_an_image_that_the_archive_lacks_is_named(tmp_path, photographs, capsys):
    arguments = [*SMALL, "--tasks", "90076", "--data", str(photographs), "--out", str(tmp_path)]
    assert kuranet_images.main(arguments) == 1
    assert "but is '90076'; choose one of 124084." in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_ends_with_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert kuranet_global.main(["--out", str(tmp_path / "file")]) == 1
    assert "`--out` must be a folder to write into, but" in capsys.readouterr().err


def test_numbers_of_other_settings_are_refused(tmp_path):
    path = tmp_path / "I.json"
    Record(path, {"steps": 5}).write("Data, seed 0", 0.1)
    assert Record(path, {"steps": 5})("Data, seed 0", pytest.fail) == 0.1
    with pytest.raises(ValueError, match="`--out` must be a folder of this version of the preset"):
        Record(path, {"steps": 6})


def test_a_mean_of_networks_counts_as_many_as_the_preset_has():
    nodes = gaussians(3, 40, 0)
    task = Task("", nodes, nodes, recipes.CLUSTERS, Horizon(dt=2.0, burn_in=0, window=3), Horizon(), {})
    model = experiment.untrained(task, 0)
    two, four = (experiment.in_networks(model, task, task.data, Preset({}, networks=n, size=10)) for n in (2, 4))
    each = experiment.evaluate(model, nodes, task.data, nodes=10)
    assert two == pytest.approx(float(each[:2].mean()))
    assert four == pytest.approx(float(each.mean()))
