"""Higher-order branches against their amplitude equation."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.theory import lorentzian_order, simplicial_branches, simplicial_fold

K1 = np.linspace(-4, 6, 41)[:, None]
STRENGTH = np.array([-3.0, 0.0, 1e-9, 0.5, 2.0, 5.0, 12.0])


def rate(r, K1, strength, half_width):
    return -half_width * r + K1 / 2 * r * (1 - r**2) + strength / 2 * r**3 * (1 - r**2)


@pytest.mark.parametrize("half_width", [1.0, 0.3])
def test_branches_are_fixed_points_of_their_stability(half_width):
    for r, slope in zip(simplicial_branches(K1, STRENGTH, half_width), (-1, 1), strict=True):
        exists = np.isfinite(r)
        assert exists.any()
        residual = rate(r, K1, STRENGTH, half_width)[exists]
        np.testing.assert_allclose(residual, 0, atol=1e-12)
        step = 1e-6
        change = (rate(r + step, K1, STRENGTH, half_width) - rate(r - step, K1, STRENGTH, half_width))[exists]
        assert (slope * change > -1e-12).all()  # zero at the fold itself


def test_no_branch_is_missed():
    r = np.linspace(1e-4, 1, 20_001)
    for strength in STRENGTH:
        for k in K1[:, 0] + 0.0137:  # off the bifurcations, where roots meet 0 or each other
            signs = np.sign(rate(r, k, strength, 1.0))
            crossings = np.count_nonzero(signs[1:] * signs[:-1] < 0)
            assert np.isfinite(simplicial_branches(k, strength)).sum() == crossings


def test_pairs_alone_are_the_kuramoto_model():
    K = np.array([2.5, 4.0, 10.0])
    stable, unstable = simplicial_branches(K, 0.0)
    np.testing.assert_allclose(stable, lorentzian_order(K, 1.0), rtol=1e-14)
    assert np.isnan(unstable).all()


@pytest.mark.parametrize("half_width", [1.0, 0.3])
def test_branches_meet_at_the_fold(half_width):
    K_fold, r_fold = simplicial_fold(8.0 * half_width, half_width)
    assert K_fold == pytest.approx(0.0, abs=1e-12)  # 2 √16 − 8 in units of Δ
    for r in simplicial_branches(K_fold + 1e-9, 8.0 * half_width, half_width):
        assert r == pytest.approx(r_fold, abs=1e-4)  # a square root of 1e-9
    assert np.isnan(simplicial_branches(K_fold - 1e-9, 8.0 * half_width, half_width)).all()


def test_weak_higher_orders_have_no_fold():
    assert np.isnan(simplicial_fold([1.0, 2.0])).all()
