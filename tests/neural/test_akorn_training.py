"""Schedules and loss of the published trainings; their numbers are in test_akorn_golden.py."""

import pytest
import torch
from torch import nn

from neural.akorn import MovingAverage, simclr_loss, warmup


def walk(network, average, steps):
    for step in range(steps):
        with torch.no_grad():
            network[0].weight.add_(step + 1.0)
        network(torch.randn(4, 2, generator=torch.Generator().manual_seed(step)))
        average.update(network)


def linear():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_an_average_continues_where_it_was_saved():
    network = linear()
    average = MovingAverage(network, 0.9, 1, 2)
    walk(network, average, 6)
    resumed = MovingAverage(linear(), 0.9, 1, 2)
    resumed.load_state_dict(average.state_dict())
    for each in (average, resumed):
        each.update(network)
    for one, other in zip(average.network.state_dict().values(), resumed.network.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    assert resumed.updates == 7


def test_buffers_are_averaged_and_counts_copied():
    network = linear()
    average = MovingAverage(network, 0.9, 1, 0)
    walk(network, average, 5)
    assert average.network[1].num_batches_tracked == 5
    assert not torch.equal(average.network[1].running_mean, network[1].running_mean)
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())


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
