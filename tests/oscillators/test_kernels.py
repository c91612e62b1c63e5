"""The vectorised elementary functions, against 200-bit values."""

import mpmath
import numpy as np
import pytest
from numba import njit

from oscillators import kernels
from oscillators.kernels import fast_sum, tanh, unit_vector_lift


@njit(error_model="numpy", fastmath={"contract"})  # as kernels are compiled
def _tanh_of(x, y):
    for i in range(len(x)):
        y[i] = tanh(x[i])


def both(x):
    """Sine and cosine, as the lift of a phase computes them."""
    g = np.empty((2, len(x)))
    unit_vector_lift(x[None], g)
    return g[1], g[0]


def hyperbolic(x):
    y = np.empty_like(x)
    _tanh_of(x, y)
    return y


def distance(values, function, x):
    """Greatest difference to the exact function (of the double x, with 200 bits), in units of the last place."""
    with mpmath.workprec(200):
        exact = [function(mpmath.mpf(float(a))) for a in x]
        return max(
            float(abs(mpmath.mpf(float(v)) - e)) / np.spacing(abs(float(e))) for v, e in zip(values, exact, strict=True)
        )


def near_quarter_turns(count, low, high):
    """Doubles at, just below and just above multiples of π/2, where the reduction cancels most."""
    x = np.random.default_rng(0).integers(low, high, count) * (np.pi / 2)
    return np.concatenate([x, np.nextafter(x, -np.inf), np.nextafter(x, np.inf), x + np.pi / 4])


@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(1).uniform(-4, 4, 2000),
        np.random.default_rng(2).uniform(-1e5, 1e5, 2000),
        near_quarter_turns(500, -63000, 63000),
        near_quarter_turns(500, -9, 10),
        np.logspace(-300, 0, 301),
    ],
    ids=["small", "large", "near quarter turns", "first quarter turns", "tiny"],
)
def test_sincos_is_right_to_one_unit_in_the_last_place(x):
    s, c = both(x)
    # Half a unit from the last rounding, the rest from the reduction and the polynomial: as the docstring says.
    assert distance(s, mpmath.sin, x) <= 1.0
    assert distance(c, mpmath.cos, x) <= 1.0


def test_sincos_is_odd_and_even_and_exact_at_zero():
    x = np.random.default_rng(1).uniform(0, 1e4, 1000)
    (s, c), (s_minus, c_minus) = both(x), both(-x)
    np.testing.assert_array_equal(s, -s_minus)
    np.testing.assert_array_equal(c, c_minus)
    s, c = both(np.array([0.0, -0.0, 5e-324]))
    np.testing.assert_array_equal(s, [0.0, 0.0, 5e-324])
    np.testing.assert_array_equal(c, 1.0)


def test_sincos_lies_on_the_unit_circle():
    s, c = both(np.random.default_rng(1).uniform(-1e5, 1e5, 10000))
    assert np.abs(s * s + c * c - 1.0).max() <= 5e-16  # 1.1e-16 in each, twice, and the roundings of this sum
    assert max(np.abs(s).max(), np.abs(c).max()) <= 1.0


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_so(x):
    s, c = both(np.array([x, 0.0]))
    assert np.isnan([s[0], c[0]]).all()
    assert (s[1], c[1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "x",
    [
        np.random.default_rng(1).uniform(-3, 3, 2000),
        np.random.default_rng(2).uniform(-25, 25, 1000),
        np.logspace(-300, 0, 301),
    ],
    ids=["small", "large", "tiny"],
)
def test_tanh_has_a_small_relative_error(x):
    with mpmath.workprec(200):
        exact = np.array([float(mpmath.tanh(mpmath.mpf(float(a)))) for a in x])
    np.testing.assert_allclose(hyperbolic(x), exact, rtol=4e-16 + 2e-16, atol=0)  # its own error and that of `exact`


def test_tanh_saturates_and_lets_nan_through():
    np.testing.assert_array_equal(hyperbolic(np.array([0.0, 1e300, -1e300, np.inf, -np.inf])), [0, 1, -1, 1, -1])
    assert np.isnan(hyperbolic(np.array([np.nan]))).all()


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 1001])
def test_fast_sum_is_a_sum(n):
    x = np.random.default_rng(n).normal(size=n)
    assert abs(fast_sum(x) - np.sum(x)) <= 1e-15 * max(1, n)  # numbers of size 1 in another order
    assert fast_sum(x) == fast_sum(x.copy())


def test_code_compiled_from_other_sources_is_forgotten(tmp_path, monkeypatch):
    own, neural = tmp_path / "oscillators", tmp_path / "neural" / "waves" / "__pycache__"
    for folder in (own / "__pycache__", neural):
        folder.mkdir(parents=True)
    monkeypatch.setattr(kernels, "__file__", str(own / "kernels.py"))
    (own / "kernels.py").write_text("a = 1")
    kernels._forget_stale_code()
    indices = [own / "__pycache__" / "loops.nbi", neural / "kernels.nbi"]
    for index in indices:
        index.write_text("")
    kernels._forget_stale_code()
    assert all(index.exists() for index in indices)
    for changed in (own / "loops.py", neural.parent / "kernels.py"):  # other files: numba would not look at them
        for index in indices:
            index.write_text("")
        changed.write_text("b = 2")
        kernels._forget_stale_code()
        assert not any(index.exists() for index in indices)
