"""The convention of `Stencil`, against those of the libraries that share it."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from oscillators import Stencil


def test_a_kernel_shows_a_node_what_lies_ahead_after_its_middle():
    g = np.eye(5)[2][:, None]  # only node 2 shows something
    h = Stencil(np.array([1.0, 10.0, 100.0])).field(g)[:, 0]
    np.testing.assert_array_equal(h, [0, 100, 10, 1, 0])


def test_the_middle_of_an_even_kernel_is_the_later_of_its_two():
    g = np.eye(5)[2][:, None]
    h = Stencil(np.array([1.0, 10.0, 100.0, 1000.0])).field(g)[:, 0]
    np.testing.assert_array_equal(h, [0, 1000, 100, 10, 1])


@pytest.mark.parametrize(("boundary", "mode"), [("periodic", "wrap"), ("zero", "constant")])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (4, 1)])
def test_a_stencil_is_a_correlation_of_scipy(boundary, mode, shape):
    rng = np.random.default_rng(0)
    kernel, g = rng.normal(size=shape), rng.normal(size=(6, 7))
    want = scipy.ndimage.correlate(g, kernel, mode=mode)
    np.testing.assert_allclose(Stencil(kernel, boundary).field(g[..., None])[..., 0], want, rtol=0, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 3, 3, 3), (2, 2, 5, 1), (2, 2, 3)])
def test_a_stencil_with_channels_is_a_convolution_of_torch(shape):
    rng = np.random.default_rng(0)
    kernel, g = rng.normal(size=shape), rng.normal(size=(4, shape[0], 6, 7)[: 2 + len(shape) - 2])
    convolve = torch.nn.functional.conv2d if len(shape) == 4 else torch.nn.functional.conv1d
    want = convolve(torch.tensor(g), torch.tensor(kernel), padding="same").numpy()
    # Sums of up to 27 products of size 1.
    np.testing.assert_allclose(Stencil(kernel, "zero").field(g[..., None])[..., 0], want, rtol=0, atol=1e-13)


def test_gradients_reach_the_kernel():
    kernel = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    g = torch.randn(4, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda k, g: Stencil(k).field(g), (kernel, g))
    large = torch.ones(9, 9, dtype=torch.float64, requires_grad=True)  # by transforms
    g = torch.randn(9, 9, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    Stencil(large, "zero").field(g).sum().backward()
    assert large.grad[4, 4].item() == pytest.approx(g.sum().item(), abs=1e-12)  # sums of 81 numbers


def test_names_of_the_axes_follow_the_kernel():
    assert Stencil(np.ones(3)).node_dims == ("node",)
    assert Stencil(np.ones((3, 3))).node_dims == ("height", "width")
    assert Stencil(np.ones((2, 2, 3))).node_dims == ("channel", "node")
    assert Stencil(np.ones((2, 2, 3, 3))).node_dims == ("channel", "height", "width")
