"""A weight that acts at every step gets the gradient that autograd would sum up."""

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from neural.akorn.totals import product


@pytest.fixture
def parts():
    rng = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in ((2, 3, 4), (4, 4), (4,))
    )


def steps(act, x, count=3):
    for _ in range(count):
        x = act(x).sin()
    return x.pow(2).sum()


def ours(x, W, b):
    return steps(product(W, b), x)


def spelled(x, W, b):
    return steps(lambda x: functional.linear(x, W, b), x)


def test_every_step_adds_to_the_gradient(parts):
    for have, want in zip(
        torch.autograd.grad(ours(*parts), parts), torch.autograd.grad(spelled(*parts), parts), strict=True
    ):
        torch.testing.assert_close(have, want)


def test_a_product_needs_no_bias(parts):
    x, W, _ = parts
    loss, same = steps(product(W), x), steps(lambda x: x @ W.T, x)
    torch.testing.assert_close(torch.autograd.grad(loss, W), torch.autograd.grad(same, W))


def test_frozen_weights_pass_a_gradient_on(parts):
    x, W, _ = parts
    W.requires_grad_(False)
    torch.testing.assert_close(torch.autograd.grad(ours(*parts), x), torch.autograd.grad(spelled(*parts), x))


def test_gradients_that_nobody_asked_for_are_not_added_later(parts):
    loss, (want,) = ours(*parts), torch.autograd.grad(spelled(*parts), parts[1])
    torch.autograd.grad(loss, parts[0], retain_graph=True)
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(loss, parts[1], retain_graph=True), (want,))


def test_steps_computed_twice_are_added_once(parts):
    x, W, b = parts
    act = product(W, b)
    loss = sum(checkpoint(steps, act, x + k, use_reentrant=False) for k in range(2))
    loss.backward()
    want = torch.autograd.grad(sum(spelled(x + k, W, b) for k in range(2)), parts)
    for value, gradient in zip(parts, want, strict=True):
        torch.testing.assert_close(value.grad, gradient)
