"""Unit vectors against the Kuramoto model, conserved ratios, their energy, and the jump of odd dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from analysis import lyapunov_function, theory
from oscillators import Delayed, Kuramoto, SphereKuramoto, simulate
from oscillators.arrays import unit_vector
from tests.problems import gaussian_order, turning_vectors, vector_in_field, velocity

EXACT = 1e-10  # of rk4 with dt = 0.002: dt⁴ = 2e-11
rng = np.random.default_rng(7)


def unit_vectors(*shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def planar(omega):
    """[[0, −ω], [ω, 0]] for each ω."""
    omega = np.asarray(omega)
    return omega[..., None, None] * np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize("delayed", [False, True])
def test_unit_vectors_in_the_plane_are_kuramoto_phases(delayed):
    N, t = 5, np.linspace(0, 3, 4)
    K, omega, theta, c = rng.normal(size=(N, N)), rng.normal(size=N), rng.normal(size=N), rng.normal(size=(N, 2))
    coupling, past = (Delayed(K, 0.3), (unit_vector(theta), theta)) if delayed else (K, (None, None))
    options = {"method": "rk4", "dt": 0.002, "drive": c}
    x = simulate(SphereKuramoto(planar(omega)), coupling, unit_vector(theta), t, history=past[0], **options).x.values
    phases = simulate(Kuramoto(omega), coupling, theta, t, history=past[1], **options).theta.values
    np.testing.assert_allclose(x, unit_vector(phases), rtol=0, atol=EXACT)


def test_the_rotation_of_the_plane_turns_counterclockwise():
    v = velocity(SphereKuramoto(planar(0.7)), 0.0, np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(v, [[0.0, 0.7]], atol=1e-15)


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("method", ["euler", "heun", "rk4", "dopri5", "tsit5"])
def test_vectors_stay_on_the_sphere_over_a_hundred_thousand_steps(method, n):
    N, end = 3, 15_000.0
    R = rng.normal(size=(N, n, n))
    R -= R.swapaxes(1, 2)
    R *= 3 / np.linalg.norm(R, ord=2, axis=(1, 2))[:, None, None]  # the fastest plane turns with 3: steps of about 0.1
    options = {"rtol": 1e-7, "atol": 1e-7} if method in ("dopri5", "tsit5") else {"dt": 0.15}
    K = 1e-5  # so weak that nothing comes to rest, which would make the steps long
    x = simulate(SphereKuramoto(R), K, unit_vectors(N, n), [0, end / 3, end], method=method, **options)
    assert x.steps >= 100_000
    # each step ends with a division by the norm: what is left is its round-off, not the sum over steps
    np.testing.assert_allclose(np.linalg.norm(x.x, axis=-1), 1.0, rtol=0, atol=1e-15)


@pytest.mark.parametrize("problem", [vector_in_field(3), turning_vectors(3)], ids=["field", "rotation"])
def test_projection_costs_no_accuracy(problem):
    assert problem.error(method="rk4", dt=0.001) < EXACT


@pytest.mark.parametrize("n", [3, 4])
def test_ratios_of_distances_of_identical_vectors_are_constant(n):
    # Identical vectors in one common field move by Möbius maps of the sphere, which keep |ab||cd| / (|ac||bd|):
    # Watanabe and Strogatz 1994 for n = 2, Chandra, Girvan and Ott 2019 for any n.
    R, N, t = rng.normal(size=(n, n)), 7, np.linspace(0, 2, 5)
    force = lambda s: np.concatenate([[0.5 * np.cos(2 * s), -0.3], np.zeros(n - 2)])  # noqa: E731
    x0 = unit_vectors(N, n)
    x = simulate(SphereKuramoto(R - R.T), 1.3, x0, t, method="rk4", dt=0.001, drive=force).x.values

    def ratio(x):
        a, b, c, d = (np.roll(x, -k, axis=-2) for k in range(4))
        far = lambda p, q: np.linalg.norm(p - q, axis=-1)  # noqa: E731
        return far(a, b) * far(c, d) / (far(a, c) * far(b, d))

    inner = x @ x.swapaxes(1, 2)
    assert np.abs(inner[-1] - inner[0]).max() > 0.1  # they did move against each other
    np.testing.assert_allclose(ratio(x), np.broadcast_to(ratio(x0), (5, N)), rtol=EXACT)


def test_vectors_without_rotation_move_against_the_gradient_of_their_energy():
    N, n, e = 5, 4, 1e-5
    K, x, c = rng.normal(size=(N, N)), unit_vectors(N, n), rng.normal(size=(N, n))
    K = K + K.T
    v = velocity(SphereKuramoto(), K, x, drive=c)
    written_out = -0.5 * np.sum(K * (x @ x.T)) - np.sum(c * x)
    assert lyapunov_function(x, K, c) == pytest.approx(written_out)
    side = rng.normal(size=(20, N, n))
    side -= np.sum(side * x, axis=-1, keepdims=True) * x  # tangent directions
    rise = (lyapunov_function(x + e * side, K, c) - lyapunov_function(x - e * side, K, c)) / (2 * e)
    np.testing.assert_allclose(-np.sum(v * side, axis=(-2, -1)), rise, atol=1e-8)  # round-off 1e-15/e, times |K|
    np.testing.assert_allclose(np.sum(v * x, axis=-1), 0.0, atol=1e-14)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_energy_never_rises_for_symmetric_coupling_without_rotation(method):
    N, n = 8, 3
    K, x, c = rng.normal(size=(N, N)), unit_vectors(4, N, n), rng.normal(size=(N, n))
    observe = {"energy": lambda x: lyapunov_function(x, K + K.T, c)}
    options = {"dt": 0.01} if method == "rk4" else {"rtol": 1e-10, "atol": 1e-12}
    t = np.linspace(0, 10, 201)
    energy = simulate(SphereKuramoto(), K + K.T, x, t, method=method, drive=c, observe=observe, **options).energy.values
    # round-off of some hundred terms; an adaptive step also wobbles about the minimum by its tolerance, squared
    assert np.diff(energy, axis=1).max() < 1e-12
    assert (energy[:, 0] - energy[:, -1] > 1).all()


def late_length(K, n, N, t_end=400.0, seed=3):
    """|mean x| of vectors with random rotations (normal entries, deviation 1), from a common start, over the late run."""
    R = np.random.default_rng(seed).normal(size=(N, n, n))
    rotation = np.tril(R, -1) - np.tril(R, -1).swapaxes(1, 2)
    start = np.tile(np.eye(n)[0], (N, 1))
    observe = {"r": lambda x: np.linalg.norm(x.mean(axis=-2), axis=-1)}
    t = np.linspace(0, t_end, 101)
    r = simulate(SphereKuramoto(rotation), K, start, t, method="rk4", dt=0.2, observe=observe).r
    return float(r[-20:].mean())


def test_three_dimensions_order_at_half_under_the_weakest_coupling():
    # Fast rotation leaves of x its part along the axis a; the weak field, along ρ, brings that to ±a with a·ρ > 0 in a
    # time 1/(K r |a·ρ|), so that r = mean |a·ρ̂| = 1/2 over random axes (Chandra, Girvan and Ott 2019). Start: all equal.
    N, K = 2500, 0.1
    # four standard errors of a mean of |uniform on [−1, 1]|, √(1/12 N), plus (K r)² for finite K, and for the axes
    # still on their way at the time t: π²/(24 (K r t)²) = 1e-3
    assert late_length(K, 3, N) == pytest.approx(0.5, abs=4 / np.sqrt(12 * N) + (K / 2) ** 2 + 1e-3)
    assert theory.sphere_onset(3) == pytest.approx(0.5)


def test_three_dimensions_follow_the_self_consistent_order():
    N, K = 2500, 1.5
    assert late_length(K, 3, N, 150.0) == pytest.approx(theory.sphere_order(K), abs=4 / np.sqrt(12 * N))


@pytest.mark.parametrize("n", [2, 4])
def test_even_dimensions_stay_disordered_under_weak_coupling(n):
    N = 2500  # every plane of a rotation forgets its start: |mean x| = 1/√N of independent vectors, here three times that
    assert late_length(0.1, n, N, 200.0) < 3 / np.sqrt(N)
    assert theory.sphere_onset(n) == 0


def test_the_plane_orders_continuously_beyond_its_threshold():
    N, threshold = 2500, np.sqrt(8 / np.pi)  # entries of deviation 1 are frequencies of deviation 1
    assert late_length(0.8 * threshold, 2, N, 200.0) < 5 / np.sqrt(N)  # independent vectors, amplified by 1/√(1 − 0.8)
    # random frequencies shift r by some 1/√N, amplified near the threshold by dr/dK: 4 here
    assert late_length(1.3 * threshold, 2, N, 200.0) == pytest.approx(
        gaussian_order(1.3 * threshold), abs=4 / np.sqrt(N)
    )
