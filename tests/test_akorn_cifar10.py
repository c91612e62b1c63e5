"""The CIFAR-10 example trains, tests, draws and keeps what it found; a second call goes on."""

import json

import numpy as np
import pytest
from PIL import Image

from examples import akorn_cifar10, report
from examples.report import Line
from neural import images, training
from neural.robustness import FIFTEEN

SMALL = ["--preset", "small", "--seeds", "1"]


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Files like those of CIFAR-10, of eight random images each."""
    monkeypatch.setattr(images, "ROWS", 12)
    rows = np.random.default_rng(0).integers(0, 256, (72, 3073)).astype(np.uint8)
    rows[:, 0] = np.arange(72) % 10
    folder = tmp_path / "data"
    folder.mkdir()
    for k, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
        rows[12 * k : 12 * k + 12].tofile(folder / name)
    return folder


def lines(folder, task):
    return {row[1]: Line(*row) for row in json.loads((folder / f"{task}.json").read_text())["rows"]}


def test_every_preset_can_train_every_task():
    for name, preset in akorn_cifar10.PRESETS.items():
        assert set(preset.networks) == set(akorn_cifar10.TASKS) == set(akorn_cifar10.PAPER), name
        assert preset.batch <= preset.images
        assert preset.broken <= preset.attacked <= preset.tested


@pytest.mark.parametrize("task", akorn_cifar10.TASKS)
def test_published_networks_have_the_published_sizes(task):
    from neural.akorn.classifier_training import build

    expected = {"akorn": 7_023_761, "mix": 5_648_273, "resnet": 11_173_962}  # as published
    kind, options = akorn_cifar10.PRESETS["paper"].networks[task]
    count = sum(p.numel() for p in build(kind, options).parameters())
    assert count == expected.get(task, count)
    assert 5e6 < count < 12e6


def test_oscillators_are_trained_tested_and_drawn_once(tmp_path, photographs, monkeypatch, capsys):
    arguments = [*SMALL, "--tasks", "akorn", "--out", str(tmp_path), "--data", str(photographs)]
    assert akorn_cifar10.main(arguments) == 0
    folder = tmp_path / "small"
    found = lines(folder, "akorn")
    assert set(found) == {"clean", "noise", "FGSM", "PGD, EoT 1", "corruptions", "ECE of corruptions"}
    assert all(0 <= line.ours <= 1 for line in found.values())
    assert found["corruptions"].paper == 0.83
    kinds = json.loads((folder / "akorn.json").read_text())["corruptions, seed 0"]["kinds"]
    assert list(kinds) == list(FIFTEEN)
    assert np.mean(list(kinds.values())) == pytest.approx(found["corruptions"].ours)
    for name in ("akorn", "akorn_images"):
        with Image.open(folder / f"{name}.png") as picture:
            assert np.ptp(np.asarray(picture.convert("L"))) > 100
    assert "| akorn | clean | 0.8891 |" in capsys.readouterr().out
    assert training.load(folder / "akorn_seed0").network.out.out_features == 10
    assert (folder / "akorn_seed0" / "simclr" / "last.ckpt").is_file()

    for owner, name in ((training.Task, "training_step"), (akorn_cifar10, "right"), (akorn_cifar10, "corrupted")):
        monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("done twice"))
    assert akorn_cifar10.main(arguments) == 0
    assert lines(folder, "akorn") == found


def test_other_pictures_are_another_measurement(tmp_path, photographs, monkeypatch, capsys):
    monkeypatch.setattr(akorn_cifar10, "study", lambda *_: [])
    arguments = [*SMALL, "--tasks", "resnet", "--out", str(tmp_path), "--data", str(photographs)]
    assert akorn_cifar10.main(arguments) == 0
    assert akorn_cifar10.main([*arguments, "--pictures", str(tmp_path)]) == 1
    assert "was measured with other settings" in capsys.readouterr().err


def test_missing_data_end_the_program_with_a_sentence(tmp_path, photographs, capsys):
    arguments = [*SMALL, "--tasks", "resnet", "--out", str(tmp_path / "out")]
    assert akorn_cifar10.main([*arguments, "--data", str(tmp_path)]) == 1
    assert "akorn_cifar10: `folder` must hold test_batch.bin or cifar10_jpeg.npz, but" in capsys.readouterr().err
    assert akorn_cifar10.main([*arguments, "--data", str(photographs), "--pictures", str(tmp_path / "none")]) == 1
    assert "`folder` must hold CLASS/.../PICTURE.jpg" in capsys.readouterr().err


def test_auto_attack_is_part_of_the_published_preset(tmp_path, photographs):
    pytest.importorskip("pyautoattack")
    from neural.akorn.classifier_training import build

    network = build("vit", {"ch": 8, "heads": 2, "T": 1, "imsize": 32, "psize": 16, "outputs": 10}).eval()
    options = report.parser("", "akorn_cifar10", (), akorn_cifar10.PRESETS).parse_args([])
    test = images.cifar10(photographs, train=False, count=2)
    assert akorn_cifar10.unbroken(network, test, "rand", options) in (0.0, 0.5, 1.0)
    assert akorn_cifar10.PRESETS["paper"].broken > 0
