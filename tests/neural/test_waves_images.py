"""Wave machines for images: sizes, terms of the loss, closed loop, induced waves, films of bodies."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neural.waves import DrivenSheet, ImageSequenceModel, Local, PhysicsModel, equivariance_error, induced
from neural.waves.cell import Orbit
from neural.waves.image_training import TurningTask, wave_misfit
from neural.waves.images import log_weights, loss
from neural.waves.latent import roll
from neural.waves.physics import ResetFirstGRU, misfit, valid_prediction_time
from neural.waves.sheet import interleaved, separate
from neural.waves.turning import turned
from tests.neural.waves import normal

LATTICE = (2, 3, 4)


def model(**options) -> ImageSequenceModel:
    torch.manual_seed(0)
    return ImageSequenceModel(9, LATTICE, **options).double()


def frames(T: int = 5, B: int = 2) -> torch.Tensor:
    return torch.sigmoid(normal(T, B, 1, 3, 3))


def size(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes_are_the_published_ones():
    assert size(ImageSequenceModel(784, (1, 36, 36))) == 5_087_639 - 25  # the published grouper does nothing
    rings = ImageSequenceModel(10, (2, 6), one_way=True, norm=True, deep=True)
    H, P = 12, 10
    encoder, decoder = (
        6 * H * (P + 1) + 4 * H * (6 * H + 1) + 4 * H * (4 * H + 1),
        2 * H * (H + 1) + 3 * H * (2 * H + 1),
    )
    assert size(rings) == encoder + decoder + P * (3 * H + 1) + 3 + 6 + 3 + 2 * H


def test_the_sheet_begins_almost_uncoupled():
    network = model()
    np.testing.assert_allclose(
        network.sheet.cell.position.weight.detach(), 1 / 12, rtol=1e-6
    )  # made in single precision
    np.testing.assert_allclose([v.item() for v in network.sheet.cell.constants()], [0.12455, 1.0, 0.5], rtol=1e-4)


def test_noise_comes_from_the_generator_or_is_given():
    network, x = model(), frames()
    runs = [network(x, generator=torch.Generator().manual_seed(k)).probs for k in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    noise, plain = torch.zeros(6, 2, 48).double(), model(variational=False)
    with torch.no_grad():  # the first quarter of the encoder is the mean that drives
        plain.load_state_dict(
            {k: v[: len(plain.state_dict()[k])] if "encoder" in k else v for k, v in network.state_dict().items()}
        )
    torch.testing.assert_close(network(x, noise).probs, plain(x).probs)


def test_the_loss_is_the_cross_entropy_of_the_next_frame_and_the_divergence_of_the_posterior():
    network, x = model(), frames()
    run = network(x, generator=torch.Generator().manual_seed(0))
    terms = loss(run, x)
    p, target = run.probs, x.flatten(2)[[1, 2, 3, 4, 0]]
    torch.testing.assert_close(terms.misfit, -(target * p.log() + (1 - target) * (1 - p).log()))
    mean, log_variance = run.encoded
    normals = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normals(mean, (log_variance / 2).exp()), normals(0.0, 1.0))
    torch.testing.assert_close(terms.kl, kl)
    torch.testing.assert_close(terms.total(0.5), (terms.misfit.sum(-1) + 0.5 * kl.sum(-1)).mean())
    density = normals(0.0, 1.0).log_prob(run.latent) - normals(mean, (log_variance / 2).exp()).log_prob(run.latent)
    torch.testing.assert_close(log_weights(run, x), density.sum(-1) - terms.misfit.sum(-1))


def test_without_noise_there_is_no_divergence():
    network, x = model(variational=False), frames()
    run = network(x)
    assert loss(run, x).total() == loss(run, x).misfit.sum(-1).mean()
    with pytest.raises(ValueError, match="variational"):
        log_weights(run, x)


def test_the_closed_loop_sees_its_own_frames():
    network, x = model(variational=False), frames()
    found = network.forecast(x, 3)
    torch.testing.assert_close(found[0], network(x).probs[-1])
    again = network(torch.cat([x.flatten(2), found[:2]]))  # what it would have said, had it been shown its own frames
    torch.testing.assert_close(found, again.probs[-3:])


def test_a_signal_is_held_for_some_steps():
    def sheet(steps):
        torch.manual_seed(0)
        return DrivenSheet(LATTICE, *(Local(LATTICE) for _ in range(3)), steps_per_input=steps).double()

    signal = normal(4, 2, 24)
    slow, fast = sheet(3).run(signal), sheet(1).run(signal.repeat_interleave(3, 0))
    torch.testing.assert_close(slow.y, fast.y[2::3])


def test_interleaved_states_are_taken_apart_again():
    orbit = Orbit(normal(5, 24), normal(5, 24, seed=1))
    state = interleaved(orbit, LATTICE)
    assert all(torch.equal(a, b) for a, b in zip(separate(state, LATTICE), orbit, strict=True))
    assert state[0, 3] == orbit.z[0, 12]  # site (0, 0), channel 1, velocity
    assert state[0, 4] == orbit.y[0, 1]  # site (0, 1), channel 0, position


def test_a_whole_roll_moves_and_a_half_one_blends():
    y = torch.arange(8.0)
    assert roll(y, (2, 4), 1).tolist() == [3, 0, 1, 2, 7, 4, 5, 6]
    assert roll(y, (2, 4), 0.5).tolist() == [1.5, 0.5, 1.5, 2.5, 5.5, 4.5, 5.5, 6.5]
    assert roll(y, (1, 2, 4), (1, -1)).tolist() == [5, 6, 7, 4, 1, 2, 3, 0]
    torch.testing.assert_close(induced(y, (2, 4), 0.5, 3)[2], roll(y, (2, 4), 1))


def test_the_right_induced_wave_explains_a_moving_picture():
    y = normal(3, 12)
    seen = torch.stack([y.roll(2 * tau, -1) for tau in range(5)])
    errors = [float(equivariance_error(lambda p: p, y, seen, (1, 12), v)) for v in (0, 1, 2, -2)]
    assert errors[2] == 0
    assert min(errors[0], errors[1], errors[3]) > 0.5


def test_a_rolled_sheet_is_to_show_the_second_half_of_the_film():
    task = TurningTask(9, (2, 6), {"variational": False, "one_way": True}, frames=5, velocity=-0.5, seed=1)
    images = torch.rand(3, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    films = turned(images, 5).flatten(2)
    run = task.network(films)
    p = torch.stack([task.network.decode(roll(run.orbit.y[1], (2, 6), -0.5 * tau)) for tau in range(3)])
    rolled = -(films[2:] * p.log() + (1 - films[2:]) * (1 - p).log()).sum(-1).mean()
    torch.testing.assert_close(task.loss((images,)), loss(run, films).total() + rolled)


def test_strided_convolutions_are_padded_at_the_end():
    torch.manual_seed(0)
    encoder = PhysicsModel(8, (1, 3, 3), width=2).encoder
    x = torch.rand(1, 3, 8, 8)
    first = encoder[:2](x)
    whole = torch.einsum("oiab,iab->o", encoder[1].weight, x[0, :, :3, :3]) + encoder[1].bias  # no padding at the start
    torch.testing.assert_close(first[0, :, 0, 0], whole)
    assert first.shape[-2:] == (4, 4)


@pytest.mark.parametrize("dense", [False, True])
def test_films_of_bodies_are_continued(dense):
    torch.manual_seed(0)
    network = PhysicsModel(16, (1, 4, 5), dense=dense, width=4, observed=3)
    x = torch.rand(5, 2, 3, 16, 16)
    seen = network(x)
    assert seen.frames.shape == x.shape
    misfit(seen.frames, x).backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
    torch.testing.assert_close(network.forecast(x, 2)[0], seen.frames[-1])


def test_the_gated_unit_resets_before_its_product():
    torch.manual_seed(0)
    unit, x = ResetFirstGRU(2, 3).double(), normal(4, 2, 2)
    h = torch.zeros(2, 3).double()
    for xt in x:
        zr, a = unit.encode(xt).split([6, 3], -1)
        z, r = torch.sigmoid(zr + h @ unit.gates.weight.T).chunk(2, -1)
        h = (1 - z) * h + z * torch.tanh(a + (r * h) @ unit.candidate.weight.T)
    torch.testing.assert_close(unit(x), h)


def test_the_misfit_is_a_normal_likelihood_of_variance_one_half():
    x, predicted = normal(4, 2, 3), normal(4, 2, 3, seed=1)
    expected = -torch.distributions.Normal(predicted[:-1], math.sqrt(0.5)).log_prob(x[1:]).mean()
    torch.testing.assert_close(misfit(predicted, x), expected)


def test_a_prediction_is_valid_until_its_error_exceeds_the_threshold():
    x = torch.ones(6, 2, 3)
    predicted = x.clone()
    predicted[4:, 0] += 1.0
    assert valid_prediction_time(predicted, x).tolist() == [4, 6]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: model()(torch.full((3, 2, 9), float("nan")).double()), "`frames` must be finite"),
        (lambda: model()(torch.zeros(3, 2, 8).double()), "`frames` must have 9 pixels"),
        (lambda: model()(torch.zeros(3, 2, 9, dtype=torch.uint8)), "divide bytes by 255"),
        (lambda: model()(frames(), torch.zeros(5, 2, 48)), "`noise` must have shape .6, 2, 48."),
        (lambda: model(variational=False).forecast(frames(), 0), "`steps` must be at least 1"),
        (lambda: induced(torch.zeros(8), (2, 4), 1.0, 0), "`steps` must be at least 1"),
        (lambda: model()(torch.zeros(0, 2, 9).double()), "at least one step"),
        (lambda: roll(torch.zeros(8), (2, 4), float("inf")), "`shift` must be one finite number per axis"),
        (lambda: roll(torch.zeros(8), (2, 2, 2), 1.0), "`shift` must be one finite number per axis"),
        (lambda: roll(torch.zeros(9), (2, 4), 1.0), "`y` must have 8 entries for .2, 4."),
        (lambda: separate(torch.zeros(9), (2, 4)), "`state` must have 16 entries"),
        (lambda: wave_misfit(model(), model()(frames(1)), frames(1), (0, 1)), "`films` must have at least 2 frames"),
        (lambda: induced(torch.zeros(8), (2, 4), 2.5, 3), "`velocity` must not exceed half the lattice"),
        (lambda: PhysicsModel(16)(torch.full((3, 1, 3, 16, 16), float("nan"))), "`frames` must be finite"),
        (lambda: PhysicsModel(20), "`side` must be a multiple of 8"),
        (lambda: PhysicsModel(16, (1, 4, 4), width=2)(torch.zeros(3, 1, 16, 16, 3)), "`frames` must have shape"),
        (lambda: DrivenSheet(LATTICE, *(Local(LATTICE) for _ in range(3)), steps_per_input=0), "`steps_per_input`"),
        (lambda: DrivenSheet(LATTICE, *(Local(LATTICE) for _ in range(3))).run(torch.zeros(3, 2, 25)), "24 entries"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
