"""Autoencoders of complex numbers and of vectors: sizes, starts, losses, weights in and out, bad input."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.contrastive import published_loss
from neural.autoencoders import (
    CAE,
    CAEPlusPlus,
    Contrast,
    CtCAE,
    GreyCAE,
    RotatingAutoencoder,
    autoencoder_from,
    load_published,
    published_weights,
    spread_phases,
)
from neural.autoencoders.activations import to_vectors
from neural.autoencoders.ctcae import angles
from neural.checkpoints import load_autoencoder, save_autoencoder

TINY = {"image": (3, 16, 16), "channels": (4, 4, 6), "strides": (2, 1, 2), "linear": 8}
CONTRASTS = {"encoder_contrast": Contrast(4, 1, 1, 2, 2), "decoder_contrast": Contrast(9, 1, 5, 8, 100)}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def members(rng):
    """One tiny network of each kind."""
    return [
        CAE(**TINY, generator=rng),
        CAEPlusPlus(**TINY, generator=rng),
        CtCAE(**TINY, **CONTRASTS, generator=rng),
        GreyCAE(3, 5, (1, 16, 16), generator=rng),
        RotatingAutoencoder((3, 16, 16), 3, 5, 4, generator=rng),
        RotatingAutoencoder((5, 14, 14), 3, 5, 3, features=True, generator=rng),
    ]


def images_for(network, rng, B=2):
    return torch.rand(B, *network.image, generator=rng)


def size(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("side", "count"), [(32, 5_372_684), (64, 7_736_076), (96, 10_377_996)])
def test_published_networks_have_the_published_number_of_parameters(side, count):
    assert size(CAEPlusPlus.published(side)) == size(CtCAE.published(side)) == count
    assert size(CAE.published(side)) == count + 12  # the 1 × 1 convolution


def test_first_and_rotating_networks_have_the_published_number_of_parameters():
    assert size(GreyCAE.published(32)) == 340_550
    names = {"4shapes": 377_740, "4shapes_rgbd": 1_481_904, "features": 6_772_736}
    assert {name: size(RotatingAutoencoder.published(name)) for name in names} == names


def test_reconstructions_have_the_shape_of_the_images(rng):
    for network in members(rng):
        run = network.run(images_for(network, rng))
        assert run.reconstruction.shape == run.magnitude.shape == (2, *network.image)
        assert run.encoder[-1].shape[2:] == network.map_shape
        assert len(run.encoder) == len(run.decoder)


def test_only_the_decoder_of_cae_has_kernels_of_its_own(rng):
    for kind, decoder in ((CAE, [3, 3, 3]), (CAEPlusPlus, [3, 1, 5])):
        network = kind(**TINY, kernels=(5, 1, 3), generator=rng)
        assert [block.map.kernel_size[0] for block in network.encoder.convolutions] == [5, 1, 3]
        assert [block.map.kernel_size[0] for block in network.decoder.convolutions] == decoder
        assert network(images_for(network, rng)).shape == (2, 3, 16, 16)


def test_published_contrasts_fit_their_maps(rng):
    for side, cells in ((32, 16), (64, 16), (96, 36)):
        network = CtCAE.published(side)
        network.contrasts["encoder"].sample(cells, rng)
        patch = network.contrasts["decoder"].patch
        assert (side // patch) ** 2 == 1024
        network.contrasts["decoder"].sample(1024, rng)


@pytest.mark.parametrize("kind", [CAE, CAEPlusPlus])
def test_all_phases_of_a_new_network_are_zero(kind, rng):
    network = kind(TINY["image"], (16, 16, 32), TINY["strides"], linear=64, generator=rng).double()
    run = network.run(
        images_for(network, rng, 8).double()
    )  # in training: units with ψ < 0 are below the mean, and dead
    for z in (*run.encoder, run.latent, *run.decoder):
        phase = torch.atan2(z[1], z[0])[z[2] > 1e-6]
        assert len(phase)
        assert phase.abs().max() < 1e-5  # 1e-8/|ψ|, |ψ| > 1e-3


def test_the_phase_of_the_input_turns_the_first_layer(rng):
    network = CAEPlusPlus(**TINY, generator=rng).double().eval()
    x = torch.rand(2, 3, 16, 16, generator=rng, dtype=torch.float64)
    a = torch.full_like(x, 0.5)
    plain, turned = (network.run(x, phases=phases).encoder[0] for phases in (None, a))
    assert torch.allclose(plain[2], turned[2], atol=1e-12)
    active = plain[2] > 1e-6
    difference = torch.atan2(turned[1], turned[0]) - torch.atan2(plain[1], plain[0]) - 0.5
    assert difference[active].cos().min().item() == pytest.approx(1.0, abs=1e-8)  # to 1e-8/r, and whole turns


def test_a_run_has_no_chance_in_it(rng):
    network, x = CAEPlusPlus(**TINY, generator=rng), torch.rand(2, 3, 16, 16, generator=rng)
    assert torch.equal(network(x), network(x))


def test_a_generator_decides_all_weights():
    for a, b, other in zip(*(members(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)), strict=True):
        assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())
        name = "encoder.dense.map.weight"
        assert not torch.equal(a.state_dict()[name], other.state_dict()[name])


def test_rotating_features_reconstruct_each_channel_by_itself(rng):
    network = RotatingAutoencoder((3, 16, 16), 3, 5, 4, generator=rng)
    network.output_weight.data = torch.tensor([1.0, 2.0, -1.0])
    network.output_bias.data[0, :, 0, 0] = torch.tensor([0.0, 0.5, -0.5])
    run = network.eval().run(images_for(network, rng))
    for c, (w, b) in enumerate([(1.0, 0.0), (2.0, 0.5), (-1.0, -0.5)]):
        wanted = torch.sigmoid(w * to_vectors(run.z).norm(dim=1)[:, c] + b)
        assert torch.allclose(run.reconstruction[:, c], wanted, atol=1e-6)


def test_features_of_any_sign_are_taken_and_given_back(rng):
    network = RotatingAutoencoder((5, 14, 14), 3, 5, 3, features=True, generator=rng)
    network.output_weight.data.neg_()
    images = torch.randn(4, 5, 14, 14, generator=rng)
    run = network.run(images)
    assert run.reconstruction.min() < 0
    assert torch.equal(run.reconstruction, -run.magnitude)
    assert run.decoder[-1].shape[-2:] == (14, 14)


def test_the_loss_of_ctcae_is_the_sum_of_its_terms(rng):
    network = CtCAE(**TINY, **CONTRASTS, weight=0.3, generator=rng)
    x = images_for(network, rng)
    losses = network.losses(x, generator=torch.Generator().manual_seed(1))
    again = network.losses(x, generator=torch.Generator().manual_seed(1))
    assert set(losses) == {"total", "reconstruction", "encoder", "decoder"}
    assert losses["total"].item() == pytest.approx(
        (losses["reconstruction"] + 0.3 * (losses["encoder"] + losses["decoder"])).item(), rel=1e-6
    )
    assert all(torch.equal(losses[name], again[name]) for name in losses)


def test_silent_units_have_the_published_angles(rng):
    """Products of 0 with exp(iφ) have the angle π in the second quadrant alone; those of other codes have ±π on the left."""
    contrast = Contrast(16, 1, 5, 8, 20, patch=2)
    network = CtCAE(**TINY, encoder_contrast=None, decoder_contrast=contrast, weight=1.0, generator=rng).double()
    spread_phases(network, generator=rng)
    torch.nn.init.constant_(network.decoder.convolutions[-1].norm.bias, 1.0)
    x = images_for(network, rng).double()
    samples = {"decoder": contrast.sample(64, rng)}
    z = network.run(x).z
    silent, left, below = z[2] == 0, z[0].signbit(), z[1].signbit()
    assert 10 < (silent & left & below).sum() < silent.sum() < 0.5 * silent.numel()
    ours, theirs = network.losses(x, samples=samples)["total"], published_loss(network, x, samples)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-10)
    assert set(angles(z)[silent].abs().tolist()) == {0.0, math.pi}
    pulled = [torch.autograd.grad(loss, list(network.parameters())) for loss in (ours, theirs)]
    assert all(torch.allclose(a, b, atol=1e-9) for a, b in zip(*pulled, strict=True))


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (
            torch.zeros(2, 1, 16, 16),
            r"shape and precision .* \(2, 3, 16, 16\) in torch.float32, but are \(2, 1, 16, 16\)",
        ),
        (torch.zeros(2, 3, 16, 16).double(), "but are .* in torch.float64"),
        (np.zeros((2, 3, 16, 16)), "but are ndarray"),
        (torch.full((2, 3, 16, 16), math.nan), "`phases` must be finite"),
    ],
)
def test_phases_that_are_none_are_refused(phases, message, rng):
    network = CAEPlusPlus(**TINY, generator=rng)
    with pytest.raises(ValueError, match=message):
        network(images_for(network, rng), phases=phases)


def test_contrasts_and_samples_of_other_kinds_are_refused(rng):
    with pytest.raises(TypeError, match="`encoder_contrast` must be a Contrast or None, but is a dict"):
        CtCAE(**TINY, encoder_contrast={"anchors": 4})
    network = CtCAE(**TINY, **CONTRASTS, generator=rng)
    with pytest.raises(ValueError, match="`samples` must be of encoder, decoder, but has 'decodr'"):
        network.losses(images_for(network, rng), samples={"decodr": CONTRASTS["decoder_contrast"].sample(256, rng)})


def test_a_contrast_can_be_off(rng):
    network = CtCAE(**TINY, encoder_contrast=None, decoder_contrast=None, generator=rng)
    losses = network.losses(images_for(network, rng))
    assert set(losses) == {"total", "reconstruction"}
    assert torch.equal(losses["total"], losses["reconstruction"])


@pytest.mark.parametrize("index", range(6))
def test_thirty_steps_on_one_batch_lower_the_error(index, rng):
    network = members(rng)[index]
    x = images_for(network, rng, 4)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    errors = []
    for _ in range(30):
        losses = network.losses(x)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        errors.append(losses["reconstruction"].item())
    thirds = [sum(errors[k : k + 10]) for k in (0, 10, 20)]
    assert thirds[0] > thirds[1] > thirds[2]
    assert all(torch.isfinite(p).all() for p in network.parameters())


def test_published_weights_survive_a_file(tmp_path, rng):
    for k, network in enumerate(members(rng)):
        network.run(images_for(network, rng))  # moves the running statistics
        for name in (f"{k}.npz", f"{k}.pt"):
            save_autoencoder(network, tmp_path / name)
            strides = {"strides": (2, 1, 2)} if k < 3 else {}
            back = load_autoencoder(tmp_path / name, **strides)
            assert not back.training
            assert isinstance(network, type(back))
            assert all(torch.equal(value, back.state_dict()[key]) for key, value in network.state_dict().items())


def test_published_strides_are_assumed_where_none_are_told(rng):
    network = CAEPlusPlus((3, 16, 16), (4, 4, 6, 6, 6), linear=8, generator=rng)
    back = autoencoder_from(published_weights(network))
    assert back.image == (3, 16, 16)
    assert torch.equal(back(x := images_for(network, rng)), network.eval()(x))


def test_weights_may_carry_the_name_of_a_larger_module(rng):
    network = members(rng)[5]  # has all kinds of names
    for weights in (
        {f"module.model.{name}": value for name, value in published_weights(network).items()},
        {"state_dict": published_weights(network), "step": 3},
        {"model_state_dict": {f"net.{name}": value for name, value in published_weights(network).items()}},
    ):
        back = autoencoder_from(weights)
        assert all(torch.equal(value, back.state_dict()[key]) for key, value in network.state_dict().items())


def test_other_weights_are_refused(rng):
    network = members(rng)[1]
    weights = published_weights(network)
    with pytest.raises(
        ValueError, match=r"must fit this CAEPlusPlus, but lack encoder.linear_output_norm.bias, have encoder.other"
    ):
        load_published(
            network, {k.replace("encoder.linear_output_norm.bias", "encoder.other"): v for k, v in weights.items()}
        )
    with pytest.raises(
        ValueError, match=r"lack nothing, have nothing besides, and other shapes in decoder\.linear_input_norm\.bias"
    ):
        load_published(network, weights | {"decoder.linear_input_norm.bias": torch.zeros(1)})
    with pytest.raises(
        ValueError, match=r"must be those of a complex-valued or rotating autoencoder, but hold \['a'\]"
    ):
        load_autoencoder({"a": torch.zeros(2)})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: CAEPlusPlus((3, 35, 35)),
            r"H and W multiples of 8, the product of the strides, but is \(3, 35, 35\); the decoder",
        ),
        (lambda: GreyCAE(image=(1, 28, 28)), "multiples of 8"),
        (lambda: RotatingAutoencoder((1, 28, 28)), "multiples of 8"),
        (lambda: RotatingAutoencoder((1, 16, 16), features=True), "the product of the strides, less 2, but is"),
        (lambda: CAEPlusPlus((32, 32)), r"must be \(C, H, W\)"),
        (lambda: RotatingAutoencoder(n=1), "`n` must be at least 2 components, but is 1"),
        (lambda: CAEPlusPlus(channels=(4, 4)), "one entry for each convolution, but have 2, 5 and 2"),
        (lambda: GreyCAE.published(64), "`side` must be one of 32, but is 64"),
        (lambda: CtCAE.published(48), "`side` must be one of 32, 64, 96, but is 48"),
        (lambda: RotatingAutoencoder.published("shapes"), "`name` must be one of '4shapes'"),
        (lambda: CAEPlusPlus(strides=(2, 0, 2, 1, 2)), "`strides` must be whole numbers from 1, but one is 0"),
        (lambda: CAEPlusPlus(kernels=0), "`kernels` must be whole numbers from 1"),
        (lambda: GreyCAE(hidden=0), "`channels` must be whole numbers from 1"),
        (lambda: CAEPlusPlus(linear=0), "`linear` must be whole numbers from 1"),
        (lambda: RotatingAutoencoder(hidden=0), "`hidden` must be whole numbers from 1"),
        (lambda: CtCAE((3, 16, 16)), r"`decoder_contrast` must fit its map, \(16, 16\): `top_k` must be less"),
        (
            lambda: CtCAE(decoder_contrast=Contrast(9, 1, 5, 8, 100, patch=3)),
            r"`decoder_contrast` must fit its map, \(32, 32\): `patch` must divide",
        ),
        (lambda: CtCAE(weight=-1.0), "`weight` must be 0 or positive"),
        (lambda: CtCAE(weight=math.nan), "`weight` must be finite"),
    ],
)
def test_networks_that_cannot_be_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda x: 2 * x, ValueError, r"`images` must be in \[0, 1\], but run from .* to 1.9"),
        (lambda x: x - 0.5, ValueError, "magnitudes are never negative"),
        (lambda x: x.where(x > 0.5, math.nan), ValueError, r"`images` must be in \[0, 1\]"),
        (lambda x: x.double(), TypeError, "precision of the weights, torch.float32, but are torch.float64"),
        (lambda x: (255 * x).byte(), TypeError, "torch.uint8; write images.to.* divide by 255"),
        (
            lambda x: x[:, :, :15],
            ValueError,
            r"`images` must have shape \(B, \d, 16, 16\), B from 1, but are \(2, \d, 15, 16\)",
        ),
        (lambda x: x[0], ValueError, "must have shape"),
        (lambda x: x[:0], ValueError, r"must have shape \(B, \d, 16, 16\), B from 1, but are \(0, "),
        (lambda x: x.numpy(), TypeError, "`images` must be a tensor, but are a ndarray"),
    ],
)
def test_images_that_are_none_are_refused(change, kind, message, rng):
    for network in members(rng)[:5]:
        with pytest.raises(kind, match=message):
            network.run(change(images_for(network, rng)))


def test_black_images_are_reconstructed_without_nan(rng):
    for network in members(rng):
        network.losses(torch.zeros(2, *network.image))["total"].backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_weights_have_their_golden_file():
    folder = Path(__file__).parents[1] / "data" / "autoencoders"
    assert isinstance(load_autoencoder(folder / "model_original_cae.npz"), GreyCAE)
    assert isinstance(load_autoencoder(folder / "rf_model_1ch.npz"), RotatingAutoencoder)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 4])
def test_a_network_compiles_as_one_graph(index, rng):
    network = members(rng)[index].eval()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(x := images_for(network, rng)), network(x), atol=1e-6)
