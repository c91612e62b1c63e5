"""Corners of `integrate` in which a gradient was once lost, wrong, or refused for no reason."""

import numpy as np
import pytest
import torch

from oscillators import Delayed, Dense, Diffusive, Kuramoto, MeanField, backward, integrate, passes

ROADS = ("discrete", "backprop")


def leaf(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def by_both_roads(run, *leaves):
    """The gradients of a run by both roads agree to rounding."""
    found = [torch.autograd.grad(run(road).cos().sum(), leaves) for road in ROADS]
    for have, want in zip(*found, strict=True):
        torch.testing.assert_close(have, want, rtol=1e-12, atol=1e-12)
    return found[0]


def test_a_drive_that_carries_a_gradient_inside_steps_only():
    c, coupling = leaf(2), torch.nn.Linear(2, 2).double()

    def drive(t):
        return c if 0.02 < t % 0.1 < 0.08 else 0 * c.detach()

    def run(road):
        start = torch.arange(3.0).double()
        return integrate(Kuramoto(0.0), coupling, start, [0, 1], dt=0.1, drive=drive, gradient=road)

    (slope,) = by_both_roads(run, c)
    assert slope.abs().min() > 1e-3


def test_a_learned_step_in_single_precision_takes_as_many_steps_as_it_says():
    h = torch.tensor(0.1, requires_grad=True)
    start = torch.arange(3.0)
    twenty = integrate(Kuramoto(0.3), 1.0, start, h * torch.arange(21), dt=h.item(), method="euler")[-1]
    exact = integrate(Kuramoto(0.3), 1.0, start.double(), 0.1 * np.arange(21), dt=0.1, method="euler")[-1]
    # Twenty steps of order 1: a single one more would move the phases by some dt²/2.
    torch.testing.assert_close(twenty.detach().double(), exact, rtol=1e-5, atol=1e-5)
    assert torch.autograd.grad(twenty.sum(), h)[0].isfinite()


@pytest.mark.parametrize("differences", [True, False])
def test_a_batch_of_one_with_weights_of_its_own(differences):
    weight = leaf(1, 4, 4) if differences else leaf(1, 1)
    coupling = Diffusive(Dense(weight)) if differences else MeanField(weight)
    x0 = leaf(1, 4, seed=1)
    by_both_roads(lambda road: integrate(Kuramoto(0.0), coupling, x0, [0, 1], dt=0.1, gradient=road), weight, x0)


@pytest.mark.parametrize("past", [lambda t: 0.1 * t, lambda t: 0.1 * t + np.zeros(3), lambda t: [0.1 * t] * 3])
def test_a_history_may_return_numbers_arrays_and_lists(past):
    coupling, x0 = Delayed(Dense(leaf(3, 3)), 0.3), torch.zeros(3, dtype=torch.float64)
    theta = integrate(Kuramoto(0.0), coupling, x0, [0, 1], dt=0.1, history=past)
    same = integrate(
        Kuramoto(0.0), coupling, x0, [0, 1], dt=0.1, history=lambda t: torch.full((3,), 0.1 * t, dtype=torch.float64)
    )
    torch.testing.assert_close(theta, same, rtol=0, atol=1e-12)


def test_a_delay_needs_to_be_positive_on_links_only():
    K, tau = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double(), torch.tensor([[0.0, 0.5], [0.5, 0.0]]).double()
    tau.requires_grad_()
    past = torch.tensor([0.0, 1.0]).double()

    def run(road):
        return integrate(Kuramoto(1.0), Delayed(Dense(K), tau), past, [0, 1], dt=0.1, history=past, gradient=road)

    (slope,) = by_both_roads(run, tau)
    assert (slope != 0).equal(K != 0)


@pytest.mark.parametrize("wrap", [lambda module: module, lambda module: Delayed(module, 0.3)])
def test_differences_of_a_module_are_refused(wrap):
    with pytest.raises(ValueError, match=r"`coupling` must be linear.*let the module itself subtract"):
        Diffusive(wrap(torch.nn.Tanh()))


def test_gradients_do_not_depend_on_which_thread_was_first(monkeypatch):
    monkeypatch.setattr(backward, "cores", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(passes, "BLOCK", 2)
    K, x0 = leaf(20, 20), leaf(16, 20, seed=1).detach()

    def slope():
        return torch.autograd.grad(integrate(Kuramoto(0.0), Dense(K), x0, [0, 1], dt=0.1).cos().sum(), K)[0]

    first = slope()
    assert all(slope().equal(first) for _ in range(5))


def test_late_times_keep_their_digits_in_single_precision():
    K, tau = leaf(4, 4).detach().float(), torch.tensor([0.31, 0.47, 0.55, 0.62])
    x0 = torch.linspace(0.0, 2.0, 4)

    def run(start):
        K_ = K.clone().requires_grad_()
        t = np.array([start, start + 2.0])
        return integrate(Kuramoto(0.2), Delayed(Dense(K_), tau), x0, t, dt=0.1, history=x0, gradient="backprop")[
            -1
        ].detach()

    torch.testing.assert_close(run(1e4), run(0.0), rtol=1e-5, atol=1e-5)
