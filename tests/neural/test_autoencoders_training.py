"""Training of autoencoders: its loss, its start, what is watched, and the folder that gives the network back."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("lightning", reason="training needs the extra `train`")
from neural import training
from neural.autoencoders import CAEPlusPlus, Contrast, CtCAE, RotatingAutoencoder, resultant, settle, spread_phases
from neural.autoencoders.training import NETWORKS, AutoencoderTask, monitors
from neural.scenes import shapes, tetrominoes

SCENES = tetrominoes(16, 0)
TINY = {"image": [3, 32, 32], "channels": [4, 4, 6], "strides": [2, 2, 2], "linear": 8}
CONTRASTS = {
    "encoder_contrast": {"anchors": 4, "positives": 1, "top_k": 1, "negatives": 2, "bottom_m": 2, "features": "circle"},
    "decoder_contrast": {"anchors": 9, "positives": 1, "top_k": 5, "negatives": 8, "bottom_m": 100},
}
SMALL = {
    "cae": TINY,
    "cae++": TINY,
    "ctcae": TINY | CONTRASTS | {"weight": 0.5},
    "grey": {"hidden": 3, "linear": 5, "image": [3, 32, 32]},
    "rotating": {"hidden": 3, "linear": 5, "image": [3, 32, 32], "n": 3},
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_loss_is_that_of_the_network(kind):
    task = AutoencoderTask(kind, SMALL[kind])
    assert isinstance(task.network, NETWORKS[kind])
    torch.manual_seed(3)
    loss = task.loss((SCENES.images,))
    torch.manual_seed(3)
    terms = task.network.losses(SCENES.images / 255)
    assert torch.equal(loss, terms["total"])
    if kind == "ctcae":
        wanted = terms["reconstruction"] + 0.5 * (terms["encoder"] + terms["decoder"])
        torch.testing.assert_close(loss, wanted)


def test_contrasts_are_built_of_their_options():
    network = AutoencoderTask("ctcae", SMALL["ctcae"] | {"encoder_contrast": None}).network
    assert network.contrasts == {"encoder": None, "decoder": Contrast(9, 1, 5, 8, 100)}


def test_published_networks_can_be_asked_for():
    assert AutoencoderTask("ctcae", published=32).network.image == (3, 32, 32)
    assert AutoencoderTask("rotating", {"linear": 9}, published="4shapes").network.n == 8


def test_a_seed_is_that_of_the_weights_and_phases():
    one, again, other = (
        AutoencoderTask("cae++", TINY, spread=1.0, seed=seed).network.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    for name in ("encoder.dense.map.weight", "encoder.dense.phase_bias"):
        assert not torch.equal(one[name], other[name])


@pytest.mark.parametrize("kind", ["ctcae", "rotating"])
def test_a_training_learns_is_repeatable_and_its_folder_gives_the_network_back(kind, tmp_path):
    """Sixteen images: in 40 steps the error of a batch falls by more than a fifth (measured: by half and more)."""
    errors, kept = [], []
    for run in ("a", "b"):
        task = AutoencoderTask(kind, SMALL[kind], lr=1e-2, spread=math.pi if kind == "ctcae" else 0.0)
        errors.append(float(task.network.losses(SCENES.images / 255)["reconstruction"].detach()))
        task = AutoencoderTask(kind, SMALL[kind], lr=1e-2, spread=math.pi if kind == "ctcae" else 0.0)
        batches, val = training.Batches(SCENES.images, size=8), [(SCENES.images[:4], SCENES.masks[:4])]
        kept.append(training.fit(task, batches, 40, folder=tmp_path / run, val=val, every=20, gradient_clip_val=1.0))
    trained = kept[0].network
    assert float(trained.train().losses(SCENES.images / 255)["reconstruction"].detach()) < 0.8 * errors[0]
    for name, value in kept[1].network.state_dict().items():
        if "running" not in name and "batches" not in name:  # the line above has moved those of the first
            assert torch.equal(trained.state_dict()[name], value)
    loaded = training.load(tmp_path / "b")
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in kept[1].state_dict().items())
    assert "ari_fg" in next((tmp_path / "a").glob("logs/*/metrics.csv")).read_text()


def test_a_new_network_is_real_and_spread_phases_part():
    x = SCENES.images / 255
    network = CAEPlusPlus(**TINY, generator=torch.Generator().manual_seed(0))
    at_start = resultant(network.run(x))
    assert (at_start > 0.9).all()  # units whose imaginary part is rounding point back
    network.losses(x)["total"].backward()
    blocks = [*network.encoder.convolutions, *network.decoder.convolutions]
    assert max(float(b.phase_bias.grad.abs().max()) for b in blocks) < 1e-3  # 1e-8/|ψ|, and weights have 0.1
    spread_phases(network, generator=torch.Generator().manual_seed(0))
    assert (resultant(network.run(x)) < 0.9).all()
    network.zero_grad()
    network.losses(x)["total"].backward()
    assert min(float(b.phase_bias.grad.abs().max()) for b in blocks[:-1]) > 1e-3


def test_phases_are_spread_over_the_asked_width():
    network = CAEPlusPlus(**TINY)
    spread_phases(network, 0.5, generator=torch.Generator().manual_seed(0))
    phases = torch.cat([p.flatten() for name, p in network.named_parameters() if name.endswith("phase_bias")])
    assert 0.45 < phases.abs().max() <= 0.5


def test_a_network_settles_on_the_statistics_of_its_images():
    x = SCENES.images / 255
    network = CAEPlusPlus(**TINY, generator=torch.Generator().manual_seed(0)).eval()
    settle(network, x)
    assert not network.training
    assert network.encoder.convolutions[0].norm.momentum == 0.1
    with torch.no_grad():
        still, moving = network(x), network.train()(x)
    torch.testing.assert_close(still, moving, rtol=1e-2, atol=1e-2)  # variances with n and with n - 1


def test_monitors_say_when_nothing_has_parted():
    x = SCENES.images / 255
    task = AutoencoderTask("ctcae", SMALL["ctcae"])
    run = task.network.run(x)
    torch.manual_seed(0)
    found = monitors(task.network, run)
    torch.manual_seed(0)
    contrasts = task.network.contrasted(run)
    assert found["resultant"] > 0.9
    assert found["silent"] == (run.magnitude == 0).float().mean()
    torch.testing.assert_close(found["encoder"], contrasts["encoder"] / math.log(3))
    torch.testing.assert_close(found["decoder"], contrasts["decoder"] / math.log(9))
    one_way = monitors(task.network, task.network.run(torch.zeros_like(x)))
    assert all(torch.isfinite(value) for value in one_way.values())


def test_the_resultant_is_the_length_of_the_mean_direction():
    network = RotatingAutoencoder((1, 16, 16), 3, 5, 4)
    run = network.run(torch.rand(2, 1, 16, 16))
    v = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 0]]).T
    z = torch.zeros(5, 2, 1, 1, 3)
    z[:4, 1, 0, 0] = 3 * v
    z[4] = z[:4].norm(dim=0)
    found = resultant(run._replace(decoder=(z,)))
    torch.testing.assert_close(found, torch.tensor([0.0, math.sqrt(0.5)]))


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match=r"`kind` must be one of 'cae', 'cae\+\+', .* but is 'vae'"):
        AutoencoderTask("vae")
    with pytest.raises(ValueError, match="`network` must have phases, but is a RotatingAutoencoder"):
        AutoencoderTask("rotating", SMALL["rotating"], spread=1.0)
    with pytest.raises(ValueError, match="`width` must be one positive number"):
        spread_phases(CtCAE(**TINY), -1.0)
    with pytest.raises(ValueError, match="`images` must have shape"):
        AutoencoderTask("grey").loss((SCENES.images,))


def test_images_of_one_object_are_scored():
    scenes = shapes(4, 0, ("square",))
    task = AutoencoderTask("grey", {"hidden": 3, "linear": 5}).eval()
    found = task.scores((scenes.images, scenes.masks))
    assert all(torch.isfinite(torch.as_tensor(value)) for value in found.values())
