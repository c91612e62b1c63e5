"""The product of a matrix with several rows: right in every corner of a tile, and the same bits in all company."""

import numpy as np
import pytest

from oscillators import Dense
from oscillators.products import LANES, PANEL, ROWS

SIZES = [1, 2, LANES - 1, LANES, LANES + 1, PANEL - 1, PANEL, PANEL + 1, 2 * PANEL + LANES + 3]
EVERY_COUNT = 2 * ROWS + 1  # rows: every remainder of a tile


def product(K, g):
    """K g of every row, by the kernel; the rows before and after must stay as they are."""
    found = Dense(K).compiled((len(K),))
    h = np.full((len(g) + 2, len(K)), np.nan)
    found.kernel(found.meta, found.where, found.weight[0], g, h[1:-1])
    assert np.isnan(h[[0, -1]]).all()
    return h[1:-1]


@pytest.mark.parametrize("n", SIZES)
def test_every_size_and_number_of_rows_gives_the_product(n):
    rng = np.random.default_rng(n)
    K, g = rng.normal(size=(n, n)), rng.normal(size=(EVERY_COUNT, n))
    for rows in range(1, EVERY_COUNT + 1):
        # n terms of order one, each sum and product rounded once
        np.testing.assert_allclose(product(K, g[:rows]), g[:rows] @ K.T, rtol=0, atol=4 * n * 2e-16 * 3)


@pytest.mark.parametrize("n", SIZES)
def test_a_row_has_the_same_bits_alone_and_among_others(n):
    rng = np.random.default_rng(n)
    K, g = rng.normal(size=(n, n)), rng.normal(size=(EVERY_COUNT, n))
    together = product(K, g)
    for q, row in enumerate(g):
        assert np.array_equal(together[q], product(K, row[None])[0])


@pytest.mark.parametrize("n", SIZES)
def test_the_transposed_spelling_is_the_product_with_the_transpose(n):
    K = np.random.default_rng(n).normal(size=(n, n))
    assert np.array_equal(Dense(K).transposed((n,)).weight, Dense(np.ascontiguousarray(K.T)).compiled((n,)).weight)
