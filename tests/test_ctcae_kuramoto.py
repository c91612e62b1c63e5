"""The example of an autoencoder's phases in a Kuramoto network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("lightning", reason="training needs the extra `train`")
from examples import ctcae_kuramoto
from examples.ctcae_kuramoto import TIMES, couplings, synchronised
from examples.ctcae_recipes import PRESETS
from neural import training
from neural.autoencoders.training import AutoencoderTask
from neural.scenes import shapes


def test_phases_of_a_training_are_scored_at_every_time(tmp_path, capsys):
    task = AutoencoderTask(**PRESETS["small"]["2shapes"].models["CAE++, spread"])
    images = shapes(8, 1, kinds=("square", "circle")).images
    training.fit(task, training.Batches(images, size=4, seed=0), 1, folder=tmp_path / "net", seed=0)
    assert ctcae_kuramoto.main(["--trained", str(tmp_path / "net"), "--scenes", "2"]) == 0
    _, *rows = capsys.readouterr().out.strip().splitlines()
    assert [float(row.split()[0]) for row in rows] == TIMES.tolist()
    assert all(-1 <= float(value) <= 1 for row in rows for value in row.split()[1:])


def test_near_pixels_attract_as_they_are_alike():
    features = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    K = couplings(features, torch.tensor([[0, 0], [0, 1], [0, 2], [0, 9]]))
    np.testing.assert_allclose(K[0], [1 / 3, 1 / 3, 0.0, 0.0], atol=1e-7)  # three are near; single precision
    theta = synchronised(torch.tensor([0.0, 0.5, 0.8, 2.0]), K)
    assert abs(theta[-1, 0] - theta[-1, 1]) < 1e-3  # alike: in step
    assert theta[-1, 2:].tolist() == pytest.approx([0.8, 2.0])  # unlike, or far: alone


def test_a_missing_training_is_named(tmp_path, capsys):
    assert ctcae_kuramoto.main(["--trained", str(tmp_path / "none")]) == 1
    assert "name a training with --trained" in capsys.readouterr().err
