"""Attacks against what is known of a linear classifier, whose best attack has a formula; published numbers are replayed in
test_akorn_golden.py."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from neural.akorn import ClassifierAKOrN
from neural.robustness import auto_attack, fgsm, pgd, random_noise
from neural.robustness.attacks import ascent

SIZE = 3 * 4 * 4


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(classes=5):
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIZE, classes)).double().eval()
    nn.init.normal_(network[1].weight, generator=draw())
    nn.init.zeros_(network[1].bias)
    return network


def images(count=6):
    return 0.3 + 0.4 * torch.rand(count, 3, 4, 4, generator=draw(1), dtype=torch.float64)


def test_noise_has_its_length_everywhere_and_both_signs():
    x = images(200)
    change = random_noise(x, 0.1, draw()) - x
    assert change.abs().sub(0.1).abs().max() < 1e-12  # rounding
    assert abs((change > 0).double().mean() - 0.5) < 0.02  # four deviations of 9600 signs
    assert torch.equal(random_noise(x, 0.1, draw()), random_noise(x, 0.1, draw()))
    assert random_noise(x, 1.0, draw()).unique().tolist() == [0.0, 1.0]


def test_two_classes_are_attacked_along_the_difference_of_their_weights():
    network, x = linear(2), images()
    labels = network(x).argmax(1)
    rows = network[1].weight
    away = (rows[1 - labels] - rows[labels]).sign().view_as(x)
    torch.testing.assert_close(fgsm(network, x, labels, 0.05), x + 0.05 * away)
    torch.testing.assert_close(pgd(network, x, labels, 0.05, steps=5), x + 0.05 * away)  # 5 ε/3 > ε: to the border


def test_steps_are_a_third_of_the_length_by_default():
    network, x, labels = linear(), images(), torch.arange(6) % 5
    assert (pgd(network, x, labels, 0.1, steps=1) - x).abs().max().item() == pytest.approx(0.1 / 3)
    assert (pgd(network, x, labels, 0.1, steps=2) - x).abs().max().item() == pytest.approx(0.2 / 3)


def test_attacks_stay_within_their_length_and_the_colours():
    network, x, labels = linear(), images().round(), torch.arange(6) % 5
    for attacked in (fgsm(network, x, labels, 0.1), pgd(network, x, labels, 0.1, alpha=0.07)):
        assert (attacked - x).abs().max() <= 0.1 + 1e-12  # rounding
        assert 0 <= attacked.min() <= attacked.max() <= 1
        assert not attacked.requires_grad


def test_more_steps_raise_the_loss():
    network, x, labels = linear(), images(), torch.arange(6) % 5
    losses = [functional.cross_entropy(network(pgd(network, x, labels, 0.1, steps=k)), labels) for k in (1, 3, 10)]
    assert losses[0] < losses[1] < losses[2] + 1e-6


def test_draws_of_a_random_network_are_averaged():
    """Of each draw the gradient is (softmax of the logits - indicator of the label) times the weights."""
    network, x, labels = linear(), images(), torch.zeros(6, dtype=torch.long)
    noise = 3 * torch.randn(4, 6, 5, generator=draw(2), dtype=x.dtype)
    draws = iter(noise)
    found = ascent(lambda x: network(x) + next(draws), x, labels, eot=4)
    excess = (network(x) + noise).softmax(-1).mean(0) - functional.one_hot(labels, 5)
    torch.testing.assert_close(found, (excess @ network[1].weight).view_as(x))
    assert next(draws, None) is None


def test_the_network_keeps_its_weights_and_gradients():
    network, x, labels = linear(), images(), torch.zeros(6, dtype=torch.long)
    before = network[1].weight.clone()
    pgd(network, x, labels)
    assert torch.equal(network[1].weight, before)
    assert network[1].weight.grad is None
    assert x.grad is None


def test_oscillators_are_attacked_through_their_steps():
    """A short step raises the loss by its length times the sum of all slopes."""
    network = ClassifierAKOrN(4, ksizes=3, T=2, generator=draw()).double().eval()
    x, labels = images(), torch.zeros(6, dtype=torch.long)
    x0 = torch.randn(6, 4, 4, 4, generator=draw(), dtype=torch.float64)

    def seen(images):
        return network(images, x0)

    eps = 1e-6
    rise = functional.cross_entropy(seen(fgsm(seen, x, labels, eps)), labels, reduction="sum")
    rise -= functional.cross_entropy(seen(x), labels, reduction="sum")
    assert rise.item() == pytest.approx(eps * ascent(seen, x, labels).abs().sum().item(), rel=1e-3)  # curvature: ε


def test_auto_attack_breaks_what_can_be_broken_and_nothing_else():
    """A linear classifier falls if and only if, for another class, ε‖w - w'‖₁ exceeds the distance of its logits."""
    pytest.importorskip("pyautoattack")
    network, x = linear().float(), images(40).float()
    logits = network(x)
    labels = logits.argmax(1)
    rows = network[1].weight
    reach = 0.08 * (rows[labels][:, None] - rows).abs().sum(-1)
    gap = logits.gather(1, labels[:, None]) - logits
    holds = (gap >= reach).all(1)  # at the own class both are 0
    assert 0 < holds.sum() < 40
    state = torch.get_rng_state()
    attacked = auto_attack(network, x, labels, 0.08)
    assert torch.equal(attacked.holds, holds)
    assert attacked.accuracy == holds.double().mean()
    assert (attacked.images - x).abs().max() <= 0.08 + 1e-6  # single precision
    assert torch.equal(torch.get_rng_state(), state)


def test_auto_attack_is_looked_for_only_when_it_is_called():
    code = "import sys, neural.robustness; print('pyautoattack' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": 255 * images()}, r"`images` must lie in \[0, 1\], but reach from .*; divide bytes by 255"),
        ({"images": images()[0]}, r"`images` must have shape \(B, 3, height, width\), but is \(3, 4, 4\)"),
        ({"images": images() * torch.nan}, "`images` must be finite"),
        (
            {"labels": torch.zeros(5, dtype=torch.long)},
            r"`labels` must be whole numbers of shape \(6,\), but .* \(5,\)",
        ),
        ({"labels": torch.zeros(6)}, r"`labels` must be whole numbers .* but are torch.float32"),
        ({"eps": -0.1}, "`eps` must be 0 or positive"),
        ({"steps": 0}, "`steps` and `eot` must be at least 1, but are 0 and 1"),
        ({"eot": 0}, "`steps` and `eot` must be at least 1, but are 20 and 0"),
        ({"network": linear().train()}, "`network` must be in evaluation mode, but is in training mode"),
    ],
)
def test_what_cannot_be_attacked_is_refused(change, message):
    arguments = {"network": linear(), "images": images(), "labels": torch.zeros(6, dtype=torch.long)} | change
    with pytest.raises(ValueError, match=message):
        pgd(**arguments)


def test_unknown_versions_are_refused():
    pytest.importorskip("pyautoattack")
    with pytest.raises(ValueError, match="`version` must be one of 'rand', 'standard', 'plus'"):
        auto_attack(linear(), images(), torch.zeros(6, dtype=torch.long), version="custom")
