"""Runs of KuraNet against its equations written out step by step, and what it refuses."""

from math import nan

import numpy as np
import pytest
import torch

import analysis
from neural.kuranet import CouplingNetwork, Horizon, KuraNet, Oscillators, Points, cohn, run

ROUND_OFF = 1e-12  # some tens of Euler steps on numbers of order one


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def oscillators(n=6, tau=(0,)):
    delays = torch.tensor([tau[i % len(tau)] for i in range(n)])
    return Oscillators(normal(n, seed=1), normal(n, seed=2), delays)


def points(n=8, k=2):
    return Points(normal(n, 2, seed=3).float(), torch.arange(n) % k, k)


def model(features=3, **options):
    return KuraNet(CouplingNetwork(features, 5, generator=generator()), **options)


def step_by_step(K, nodes, theta, states, dt, past=None):
    """Equation (1), one Euler step after another, by loops over source steps and n x n sines."""
    rows = [theta] if past is None else list(past)
    before = len(rows) - 1
    tau = nodes.tau if past is not None else torch.zeros_like(nodes.tau)
    for _ in range(states - 1):
        now = rows[-1]
        sent = torch.stack([rows[len(rows) - 1 - int(lag)][j] for j, lag in enumerate(tau)])
        pull = (K * torch.sin(sent[None, :] - now[:, None])).sum(1)
        rows.append(now + dt * (nodes.omega + nodes.b * torch.sin(now) + pull))
    return torch.stack(rows[before:])


@pytest.mark.parametrize("tau", [(0,), (3, 1, 4, 0), (2,)])
@pytest.mark.parametrize("burn_in", [1, 2, 7])  # below the longest delay, and above
def test_a_run_is_the_equation_in_its_three_parts(tau, burn_in):
    nodes, K, theta = oscillators(tau=tau), normal(6, 6, seed=4), normal(6, seed=5)
    found = run(K, nodes, theta, Horizon(dt=0.1, burn_in=burn_in, window=5))
    past = step_by_step(K, nodes, theta, max(tau) + 1, 0.1)
    rest = step_by_step(K, nodes, None, burn_in + 4, 0.1, past)
    for ours, expected in zip(found, (past, rest[:burn_in], rest[burn_in - 1 :]), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=ROUND_OFF)


def test_each_part_begins_with_the_last_row_of_the_one_before():
    found = run(normal(6, 6), oscillators(tau=(3,)), normal(6), Horizon(burn_in=5, window=4))
    assert [len(part) for part in found] == [4, 5, 4]
    assert torch.equal(found.burn_in[0], found.past[-1])
    assert torch.equal(found.window[0], found.burn_in[-1])


@pytest.mark.parametrize("tau", [(0,), (3, 1, 4)])
@pytest.mark.parametrize("truncated", [True, False])
def test_the_gradient_is_that_of_the_window_or_of_all_steps(tau, truncated):
    nodes, theta = oscillators(tau=tau), normal(6, seed=5)
    K, same = normal(6, 6, seed=4).requires_grad_(), normal(6, 6, seed=4).requires_grad_()
    found = run(K, nodes, theta, Horizon(0.1, 7, 5, truncated=truncated))
    head = same.detach() if truncated else same
    past = step_by_step(head, nodes, theta, max(tau) + 1, 0.1)
    burn_in = step_by_step(head, nodes, None, 7, 0.1, past)
    window = step_by_step(same, nodes, None, 5, 0.1, torch.cat([past, burn_in[1:]]))
    nodes.loss(found.window).backward()
    nodes.loss(window).backward()
    torch.testing.assert_close(K.grad, same.grad, rtol=0, atol=ROUND_OFF)


def test_without_burn_in_the_window_starts_at_the_initial_phases():
    theta = normal(8)
    found = run(normal(8, 8) / 8, points(), theta, Horizon(dt=15.0, burn_in=0, window=6))
    assert torch.equal(found.window[0], theta)
    assert len(found.window) == 6


def test_the_xy_model_divides_by_the_number_of_nodes():
    nodes = points()
    net = model(2, kind="l2", per_node=True)
    torch.testing.assert_close(net(nodes.x), net.couplings(nodes.x) / 8)
    net.per_node = False
    assert torch.equal(net(nodes.x), net.couplings(nodes.x))


def test_rows_may_be_senders_as_in_the_published_full_model():
    x = oscillators().x.float()
    ours, published = (model(symmetric=False, rows=rows).eval().couplings(x) for rows in ("receivers", "senders"))
    assert torch.equal(ours, published.T)
    assert not torch.equal(ours, ours.T)


def test_features_may_be_centred_and_scaled():
    x = oscillators().x.float()
    center, spread = x.mean(0), x.std(0) + 1
    scaled = model(center=center, spread=spread).eval()
    assert torch.equal(scaled.couplings(x), model().eval().couplings((x - center) / spread))


def test_the_losses_are_those_of_the_analysis():
    theta, labels = normal(4, 8), torch.arange(8) % 2
    assert oscillators().loss(theta) == analysis.circular_variance(theta).mean()
    assert points().loss(theta) == analysis.cluster_synchrony(theta, labels, k=2).mean()


def test_oscillators_start_in_step_and_points_around_pi():
    assert torch.equal(oscillators().start(generator()), torch.zeros(6, dtype=torch.float64))
    start = points(4000).start(generator())
    assert start.mean().item() == pytest.approx(np.pi, abs=0.08)  # five standard errors
    assert start.std().item() == pytest.approx(1.0, abs=0.06)


def test_the_logarithmic_repulsion_is_least_for_opposite_groups():
    labels = torch.tensor([0, 0, 1, 1])
    opposite, same = torch.tensor([0.0, 0, np.pi, np.pi]), torch.zeros(4)
    diagonal = (np.log(2) - np.log(1e-5)) / 2  # of two groups
    assert cohn(opposite, labels, 2).item() == pytest.approx(diagonal, abs=1e-4)
    assert cohn(same, labels, 2).item() == pytest.approx(2 * diagonal, abs=1e-4)


def test_features_are_field_frequency_and_delay_in_this_order():
    nodes = oscillators(tau=(3, 1))
    assert torch.equal(nodes.x, torch.stack([nodes.b, nodes.omega, nodes.tau.double()], dim=-1))


def test_nodes_are_taken_apart_into_networks():
    nodes = oscillators(n=7)
    assert [len(part) for part in nodes.batches(3)] == [3, 3]
    assert torch.equal(nodes[2:4].omega, nodes.omega[2:4])
    assert [part.k for part in points(9, k=3).batches(4)] == [3, 3]


def test_oscillators_are_shuffled_one_property_by_one():
    nodes = Oscillators(torch.arange(50.0), torch.arange(50.0), torch.arange(50))
    mixed = nodes.shuffled(generator())
    assert torch.equal(mixed.omega.sort().values, nodes.omega)
    assert not torch.equal(mixed.omega, mixed.b)
    assert not torch.equal(mixed.b, mixed.tau.float())


def test_points_keep_their_labels_when_shuffled():
    nodes = Points(torch.arange(50.0)[:, None], torch.arange(50) % 5, 5)
    mixed = nodes.shuffled(generator())
    assert not torch.equal(mixed.x, nodes.x)
    assert torch.equal(mixed.labels, mixed.x[:, 0].long() % 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Points(normal(4, 2), torch.zeros(4, dtype=int), 1), "`k` must be at least 2"),
        (
            lambda: Points(normal(4, 2), torch.tensor([1, 2, 1, 2]), 2),
            "`labels` must be 0 ... 1, but reach from 1 to 2",
        ),
        (lambda: Points(normal(4, 2), torch.tensor([-1, 0, 1, 1]), 2), "`labels` must be 0 ... 1, but reach from -1"),
        (lambda: Points(normal(4, 2), torch.zeros(4), 2), "`labels` must be integers"),
        (lambda: Points(normal(4, 2), torch.zeros(3, dtype=int), 2), r"`labels` must be integers of shape \(4,\)"),
        (lambda: Oscillators(normal(4), normal(4), torch.full((4,), 1.5)), "`tau` must be whole steps"),
        (lambda: Oscillators(normal(4), normal(4), torch.full((4,), -1)), "`tau` must be whole steps, 0 or more"),
        (lambda: Oscillators(normal(4), normal(3), torch.zeros(4, dtype=int)), "must have one entry per node"),
        (lambda: Horizon(window=1), "`window` must be at least 2"),
        (lambda: Horizon(burn_in=-1), "`burn_in` at least 0"),
        (lambda: Horizon(dt=0.0), "`dt` must be one positive number"),
        (lambda: model(rows="sources"), "`rows` must be one of 'receivers', 'senders'"),
        (lambda: model().couplings(torch.zeros(1, 3)), "`x` must hold at least two nodes"),
        (lambda: model().couplings(torch.full((4, 3), nan)), "`x` must be finite"),
        (
            lambda: run(normal(6, 6), oscillators(tau=(9,)), normal(6), Horizon(burn_in=3, window=4)),
            "within the run of 5",
        ),
        (lambda: run(normal(5, 5), oscillators(), normal(6), Horizon()), "`K` must couple the 6 nodes"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_features_of_another_precision_than_the_network_are_refused():
    with pytest.raises(TypeError, match=r"dtype and device of the network, torch\.float32 on cpu"):
        model().couplings(oscillators().x)


def test_a_network_that_has_diverged_is_named():
    net = model()
    with torch.no_grad():
        net.network.layers[6].weight[0, 0] = torch.inf
    with pytest.raises(FloatingPointError, match="`network` must return finite logits"):
        net(oscillators().x.float())
