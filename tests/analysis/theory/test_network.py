"""The order of the nodes of a network against the mean field and the integral it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.integrate import quad

from analysis.theory import critical_coupling, gaussian, locked_order, stationary_order

SIGMA = 1.3
ONSET = critical_coupling(gaussian(SIGMA))


@pytest.mark.parametrize("times_onset", [0.9, 1.01, 1.5, 4.0])
def test_every_node_of_the_mean_field_has_its_order(times_onset):
    K, N = times_onset * ONSET, 12
    expected = np.full(N, stationary_order(K, gaussian(SIGMA)))
    np.testing.assert_allclose(locked_order(np.full((N, N), K / N), SIGMA), expected, atol=1e-9)  # of the iteration


def test_a_node_has_the_mean_over_the_frequencies_that_lock_to_its_field():
    K, w = 2 * ONSET, 0.7
    leader = stationary_order(K, gaussian(SIGMA))
    h = w * leader
    follower = quad(lambda omega: np.sqrt(1 - (omega / h) ** 2) * gaussian(SIGMA)(omega), -h, h)[0]
    links = np.array([[K, 0, 0], [w, 0, 0], [0, 0, 0]])  # 0 hears itself, 1 hears 0, nobody acts on 2
    for form in (links, sp.csr_array(links), sp.coo_matrix(links)):
        np.testing.assert_allclose(locked_order(form, SIGMA), [leader, follower, 0], atol=1e-8)  # of the quadrature
    np.testing.assert_allclose(locked_order(links.T, SIGMA), [leader, 0, 0], atol=1e-8)


def test_the_onset_is_that_of_the_mean_field_divided_by_the_largest_eigenvalue():
    A = np.random.default_rng(5).random((20, 20)) < 0.4
    largest = np.abs(np.linalg.eigvals(A.astype(float))).max()
    below, above = (locked_order(factor * ONSET / largest * A, SIGMA) for factor in (0.97, 1.03))
    assert below.max() < 1e-6
    assert above.min() > 0.05


def test_a_spread_must_be_positive():
    with pytest.raises(ValueError, match="`sigma` must be positive"):
        locked_order(np.eye(2), 0.0)
