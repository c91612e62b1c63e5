"""Schedules and loss of the published trainings; their numbers are in test_akorn_golden.py."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from neural.akorn import MovingAverage, simclr_loss, warmup


def averaged(network, schedule, steps):
    average = AveragedModel(network, avg_fn=schedule, use_buffers=True)
    for step in range(steps):
        with torch.no_grad():
            network[0].weight.add_(step + 1.0)
        network(torch.randn(4, 2, generator=torch.Generator().manual_seed(step)))
        if step % schedule.every == 0:
            average.update_parameters(network)
    return average


def linear():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_an_average_is_a_copy_until_it_begins():
    network = linear()
    average = averaged(network, MovingAverage(0.9, 1, 5), 6)
    assert torch.equal(average.module[0].weight, network[0].weight)
    later = averaged(network, MovingAverage(0.9, 1, 5), 7)
    assert not torch.equal(later.module[0].weight, network[0].weight)


def test_buffers_are_averaged_and_counts_copied():
    network = linear()
    average = averaged(network, MovingAverage(0.9, 1, 0), 5)
    assert average.module[1].num_batches_tracked == 5
    assert not torch.equal(average.module[1].running_mean, network[1].running_mean)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((1.5,), r"`beta` must lie in \[0, 1\], but is 1.5"), ((0.9, 0), "`every` must be at least 1 and `after`")],
)
def test_an_average_needs_sensible_numbers(arguments, says):
    with pytest.raises(ValueError, match=says):
        MovingAverage(*arguments)


def test_rates_rise_to_their_value():
    assert [warmup(k, 4) for k in range(5)] == [0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup(0, 0) == 1.0


def test_equal_views_of_distant_images_have_no_loss():
    views = torch.eye(3)
    assert simclr_loss(views, views, 0.01) < 1e-6
    assert simclr_loss(views, views.roll(1, 0), 0.01) > 10


def test_views_come_in_pairs():
    with pytest.raises(
        ValueError, match=r"`second` must have the shape \(image, d\) of `first`, \(3, 4\), but is \(2, 4\)"
    ):
        simclr_loss(torch.zeros(3, 4), torch.zeros(2, 4))
