"""Order conditions of every tableau, in rational arithmetic: one for each rooted tree."""

from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from math import prod

import numpy as np
import pytest

from oscillators.methods import ADAPTIVE, FIXED

ORDERS = {"euler": 1, "heun": 2, "rk4": 4, "dopri5": 5, "tsit5": 5}
TABLES = {name: (FIXED | ADAPTIVE)[name] for name in ORDERS}
# A coefficient is a double, wrong by half a unit in its last place: up to 2e-15 for those near 16 (dopri5) and 4e-15 for
# those near 47 (interpolant of tsit5), some ten of which add up. A wrong digit in the 13th place of any of them shows.
ROUNDING = 3e-14


@cache
def trees(order):
    """All rooted trees with this many nodes, a tree being the sorted tuple of the trees on its root."""
    found = set()
    for split in _partitions(order - 1):
        for choice in _choices(split):
            found.add(tuple(sorted(choice)))
    return sorted(found)


def _partitions(total, largest=None):
    if total == 0:
        return [()]
    largest = min(total, largest or total)
    return [(first, *rest) for first in range(largest, 0, -1) for rest in _partitions(total - first, first)]


def _choices(sizes):
    if not sizes:
        return [()]
    size, count = sizes[0], sizes.count(sizes[0])
    return [
        (*some, *rest) for some in combinations_with_replacement(trees(size), count) for rest in _choices(sizes[count:])
    ]


def size(tree):
    return 1 + sum(map(size, tree))


def density(tree):
    return size(tree) * prod(map(density, tree))


def exact(array):
    return [[Fraction(float(x)) for x in row] for row in np.atleast_2d(array)]


def stage_weights(a, tree):
    """What a tree weighs at each stage: the product over its branches of Σ_j a_ij (weight of the branch at j)."""
    branches = [stage_weights(a, branch) for branch in tree]
    return [prod((sum(x * w for x, w in zip(row, b, strict=True)) for b in branches), start=Fraction(1)) for row in a]


def defect(table, weights, tree, p=1):
    """Σ_s weights_s Φ_s(tree) - p^|tree| / γ(tree): 0 if the weights integrate this tree over the fraction p of a step."""
    phi = stage_weights(exact(table.a), tree)
    (row,) = exact(weights)
    return float(sum(w * f for w, f in zip(row, phi, strict=True)) - Fraction(p) ** size(tree) / density(tree))


def up_to(order):
    return [tree for n in range(1, order + 1) for tree in trees(n)]


def test_the_number_of_rooted_trees_is_the_known_one():
    assert [len(trees(n)) for n in range(1, 7)] == [1, 1, 2, 4, 9, 20]
    assert density(((), ((),))) == 8  # root with a leaf and a chain: 4 · 1 · 2


@pytest.mark.parametrize("name", TABLES)
def test_every_tree_up_to_the_order_is_integrated_exactly(name):
    table = TABLES[name]
    for tree in up_to(ORDERS[name]):
        assert abs(defect(table, table.b, tree)) <= ROUNDING, tree


@pytest.mark.parametrize("name", TABLES)
def test_no_method_has_a_higher_order_than_it_says(name):
    assert max(abs(defect(TABLES[name], TABLES[name].b, tree)) for tree in trees(ORDERS[name] + 1)) > 1e-4


@pytest.mark.parametrize("name", TABLES)
def test_nodes_are_row_sums_and_stages_explicit(name):
    table = TABLES[name]
    np.testing.assert_allclose(table.c, table.a.sum(axis=1), rtol=0, atol=ROUNDING)
    np.testing.assert_array_equal(np.triu(table.a), 0.0)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_nodes_are_the_published_ones(name):
    c = {"dopri5": [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1], "tsit5": [0, 0.161, 0.327, 0.9, 0.9800255409045097, 1, 1]}
    np.testing.assert_allclose(ADAPTIVE[name].c, c[name], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_error_estimate_is_the_difference_to_a_method_of_order_four(name):
    table = ADAPTIVE[name]
    for tree in up_to(4):
        assert abs(defect(table, table.b - table.e, tree)) <= ROUNDING, tree
    assert max(abs(defect(table, table.b - table.e, tree)) for tree in trees(5)) > 1e-4  # it does estimate an error


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("p", [Fraction(1, 7), Fraction(1, 2), Fraction(9, 10)])
def test_the_interpolant_has_order_four(name, p):
    table = ADAPTIVE[name]
    weights = sum(table.d[:, q] * float(p) ** (q + 1) for q in range(4))
    for tree in up_to(4):
        assert abs(defect(table, weights, tree, Fraction(float(p)))) <= ROUNDING, tree


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_interpolant_meets_the_step_in_value_and_velocity(name):
    d, stages = ADAPTIVE[name].d, np.eye(len(ADAPTIVE[name].b))
    np.testing.assert_allclose(d.sum(axis=1), ADAPTIVE[name].b, rtol=0, atol=3 * ROUNDING)  # sums of numbers near 47
    np.testing.assert_allclose(d[:, 0], stages[0], rtol=0, atol=3 * ROUNDING)
    np.testing.assert_allclose(d @ [1, 2, 3, 4], stages[-1], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_the_last_stage_is_the_first_of_the_next_step(name):
    np.testing.assert_array_equal(ADAPTIVE[name].a[-1], ADAPTIVE[name].b)
    assert ADAPTIVE[name].c[-1] == pytest.approx(1.0, abs=ROUNDING)


def test_fixed_methods_share_the_three_tables():
    assert FIXED["stochastic_heun"] is FIXED["heun"]
    assert FIXED["euler_maruyama"] is FIXED["semi_implicit_euler"] is FIXED["euler"]
