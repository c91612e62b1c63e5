"""Judging images batch by batch."""

import pytest
import torch

from neural.images import Labelled
from neural.robustness import judge


def brightest(images):
    """Logits: the mean red, green and blue."""
    return 10 * images.mean((2, 3))


def colours():
    images = torch.zeros(7, 3, 4, 4, dtype=torch.uint8)
    channels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    images[torch.arange(7), channels] = 255
    return Labelled(images, channels)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_all_images_are_seen_once_in_order(batch):
    data = colours()
    verdict = judge(brightest, data, batch=batch)
    assert verdict.probabilities.dtype == torch.float64
    torch.testing.assert_close(verdict.probabilities.sum(1), torch.ones(7, dtype=torch.float64))
    assert verdict.correct.all()
    assert verdict.accuracy == 1
    torch.testing.assert_close(verdict.confidence, verdict.probabilities[torch.arange(7), data.labels])
    wrong = Labelled(data.images, data.labels.roll(1))
    assert judge(brightest, wrong, batch=batch).accuracy == 1 / 7  # only the first and the last share a colour


def test_changes_come_before_the_network_and_know_the_labels():
    data = colours()
    erased = judge(brightest, data, lambda images, labels: images * (labels != 0).view(-1, 1, 1, 1), batch=2)
    assert erased.confidence[data.labels == 0].tolist() == pytest.approx([1 / 3] * 3)
    assert erased.correct[data.labels != 0].all()


def test_random_networks_are_repeatable_and_leave_the_generator_alone():
    def noisy(images):
        return brightest(images) + torch.randn(len(images), 3)

    state = torch.get_rng_state()
    one, other = (judge(noisy, colours(), batch=3, seed=4).probabilities for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, judge(noisy, colours(), batch=3, seed=5).probabilities)
    assert torch.equal(torch.get_rng_state(), state)
