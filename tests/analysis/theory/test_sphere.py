"""The transition in D dimensions against sampled fixed points and averages over axes."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.theory import sphere_onset, sphere_order


@pytest.mark.parametrize("D", [3, 5, 7])
def test_odd_dimensions_jump_to_the_mean_projection_of_a_random_axis(D):
    axes = np.random.default_rng(D).normal(size=(200_000, D))
    projection = np.abs(axes[:, 0]) / np.linalg.norm(axes, axis=1)
    assert sphere_onset(D) == pytest.approx(projection.mean(), abs=3e-3)  # four standard errors of 0.3/√200000


def test_three_dimensions_jump_to_one_half_and_even_ones_do_not_jump():
    assert sphere_onset(3) == pytest.approx(0.5)
    assert sphere_onset(2) == sphere_onset(4) == 0
    with pytest.raises(ValueError, match="`D` must be at least 2"):
        sphere_onset(1)


def test_order_starts_at_one_half_and_rises_to_one():
    r = sphere_order([-1.0, 0.0, 1e-3, 0.5, 1.0, 2.0, 4.0, 100.0])
    assert r[0] == r[1] == 0
    assert r[2] == pytest.approx(0.5, abs=1e-3)  # the first correction is of order K
    assert (np.diff(r[2:]) > 0).all()
    assert r[-1] == pytest.approx(1, abs=1e-3)


def test_order_depends_on_the_ratio_of_coupling_and_speed_only():
    assert sphere_order(3.0, sigma=2.0) == pytest.approx(sphere_order(1.5), rel=1e-12)


@pytest.mark.parametrize("K", [0.5, 2.0])
def test_every_node_rests_at_the_fixed_point_of_its_rotation(K):
    """The projected flow of x = y/s is linear in (y, s): dy/dt = W y + f s, ds/dt = ⟨f, y⟩, with the field f = K ρ.

    Its growing eigenvector is the stable fixed point.
    """
    r, n = sphere_order(K), 20_000
    omega = np.random.default_rng(10).normal(size=(n, 3))
    flow = np.zeros((n, 4, 4))
    flow[:, 0, 1], flow[:, 0, 2], flow[:, 1, 2] = -omega[:, 2], omega[:, 1], -omega[:, 0]
    flow[:, :3, :3] -= np.swapaxes(flow[:, :3, :3], 1, 2).copy()
    flow[:, 2, 3] = flow[:, 3, 2] = K * r  # ρ points along the last axis of space
    values, vectors = np.linalg.eig(flow)
    top = np.take_along_axis(vectors, np.argmax(values.real, axis=1)[:, None, None], axis=2)[:, :, 0].real
    assert (top[:, 2] / top[:, 3]).mean() == pytest.approx(r, abs=0.01)  # four standard errors of 0.35/√20000
