"""Twisted states against the ring they live on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import circulant

from analysis.theory import twisted_eigenvalues, twisted_frequency, twisted_state

N = 9
KERNELS = {"nearest": np.eye(N)[1] + np.eye(N)[-1], "any": np.random.default_rng(9).normal(size=N)}


def coupling(kernel: np.ndarray) -> np.ndarray:
    return np.array([[kernel[(j - i) % N] for j in range(N)] for i in range(N)])


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("q", [0, 1, 4, -2])
def test_a_twisted_state_rotates_as_a_whole(kernel, q):
    theta = twisted_state(N, q)
    velocity = (coupling(kernel) * np.sin(theta[None, :] - theta[:, None])).sum(axis=1)
    np.testing.assert_allclose(velocity, twisted_frequency(kernel, q), atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("q", [0, 1, 4])
def test_growth_rates_are_the_eigenvalues_of_the_jacobian_on_fourier_modes(kernel, q):
    theta = twisted_state(N, q)
    jacobian = coupling(kernel) * np.cos(theta[None, :] - theta[:, None])
    jacobian -= np.diag(jacobian.sum(axis=1))
    rates = twisted_eigenvalues(kernel, q)
    for m in range(N):
        mode = np.exp(2j * np.pi * m * np.arange(N) / N)
        np.testing.assert_allclose(jacobian @ mode, rates[m] * mode, atol=1e-13)


@pytest.mark.parametrize("q", range(5))
def test_nearest_neighbours_hold_less_than_a_quarter_of_the_twist(q):
    stable = (twisted_eigenvalues(KERNELS["nearest"], q)[1:].real < 0).all()
    assert stable == (q < N / 4)


def test_a_kernel_is_one_row():
    with pytest.raises(ValueError, match=r"`kernel` must have shape \(N,\)"):
        twisted_eigenvalues(circulant(KERNELS["any"]), 1)
    with pytest.raises(ValueError, match="`N` must be at least 1"):
        twisted_state(0, 1)
