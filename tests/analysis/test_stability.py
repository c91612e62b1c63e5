"""Lyapunov exponents: of maps whose exponents are known, and of networks."""

import numpy as np
import pytest
import torch
import xarray as xr

from analysis import lyapunov_spectrum
from oscillators import Kuramoto, SphereKuramoto, StuartLandau, simulate, tangent_maps

GOLDEN = np.log((3 + np.sqrt(5)) / 2)  # of the cat map


def test_the_cat_map_stretches_by_the_square_of_the_golden_ratio():
    M = np.broadcast_to([[2.0, 1.0], [1.0, 1.0]], (50, 2, 2))
    # the first intervals turn towards the stretched direction: an error of about 1/T
    np.testing.assert_allclose(lyapunov_spectrum(M, np.arange(51.0)), [GOLDEN, -GOLDEN], atol=1e-2)


def test_exponents_of_the_henon_map_are_the_published_ones():
    x, y, M = 0.1, 0.1, []
    for _ in range(20_000):
        M.append([[-2.8 * x, 1.0], [0.3, 0.0]])
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
    found = lyapunov_spectrum(np.array(M[1000:]), np.arange(19_001.0))
    np.testing.assert_allclose(found, [0.4192, -1.6232], atol=0.01)  # sampling: about 1/√T
    np.testing.assert_allclose(found.sum(), np.log(0.3), rtol=1e-12)  # the map contracts areas by 0.3


def test_exponents_count_in_units_of_time():
    M = np.broadcast_to(np.diag([2.0, 0.5]), (4, 2, 2))
    np.testing.assert_allclose(lyapunov_spectrum(M, 0.5 * np.arange(5)), np.log([4.0, 0.25]), rtol=1e-14)


def test_a_singular_derivative_has_an_exponent_of_minus_infinity():
    M = np.broadcast_to(np.diag([0.0, 3.0]), (2, 2, 2))
    np.testing.assert_allclose(lyapunov_spectrum(M, [0, 1, 2]), [np.log(3.0), -np.inf])


def at_rest(M, intervals=20_000):
    """Derivatives of a long run that stays where it is: the first intervals turn towards the exponents' directions."""
    return M[:1].expand(intervals, *M.shape[1:]), 0.2 * np.arange(intervals + 1.0)


def test_oscillators_in_step_come_back_at_the_rate_of_their_coupling():
    N, K, t = 6, 1.5, np.linspace(0.0, 0.4, 3)
    system = Kuramoto(np.full(N, 0.3))
    run = simulate(system, K, np.zeros(N), t, dt=0.01)
    found = lyapunov_spectrum(*at_rest(tangent_maps(system, K, run.theta, t, dt=0.01)))
    np.testing.assert_allclose(found, [0.0, *[-K] * (N - 1)], atol=1e-3)  # 1/T = 1/4000


def test_two_locked_oscillators_contract_by_the_cosine_of_their_difference():
    system, K, t = Kuramoto(np.array([0.5, -0.5])), np.array([[0.0, 1.0], [1.0, 0.0]]), np.linspace(0.0, 0.4, 3)
    locked = np.arcsin(1.0 / 2.0)  # ω_1 − ω_2 = 2 K sin
    run = simulate(system, K, np.array([locked, 0.0]), t, dt=0.01)
    found = lyapunov_spectrum(*at_rest(tangent_maps(system, K, run.theta, t, dt=0.01)))
    np.testing.assert_allclose(found, [0.0, -2.0 * np.cos(locked)], atol=1e-3)  # 1/T = 1/4000


def test_derivatives_are_those_of_finite_differences():
    rng = np.random.default_rng(0)
    system, K = StuartLandau(np.full(3, 0.5), rng.normal(size=3), 0.2), rng.normal(size=(3, 3))
    t = np.linspace(0.0, 1.0, 3)
    z0 = rng.normal(size=3) + 1j * rng.normal(size=3)

    def end(z):
        return simulate(system, K, z, t, dt=0.05).z.values

    run = end(z0)
    M = tangent_maps(system, K, run, t, dt=0.05)
    h = np.zeros(3, complex)
    h[1] = 1e-6j
    change = (end(z0 + h)[1] - end(z0 - h)[1]) / 2e-6
    np.testing.assert_allclose(M[0, :, 3], change.view(float), rtol=1e-7, atol=1e-9)  # h²


def test_vectors_lose_the_direction_along_themselves():
    x = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    system, t = SphereKuramoto(), np.linspace(0.0, 0.4, 3)
    run = simulate(system, np.ones((2, 2)) - np.eye(2), x, t, dt=0.01)
    M = tangent_maps(system, np.ones((2, 2)) - np.eye(2), run.x, t, dt=0.01)
    found = lyapunov_spectrum(*at_rest(M))
    # each of two directions across x: 0 for both together, −2 for their difference; 1/T = 1/4000
    np.testing.assert_allclose(found[:4], [0.0, 0.0, -2.0, -2.0], atol=1e-3)
    assert (found[4:] < -10).all()


def test_tensors_carry_a_gradient_and_labels_are_kept():
    M = torch.eye(2, dtype=torch.float64).expand(3, 2, 2) * torch.tensor(2.0, dtype=torch.float64).requires_grad_()
    assert lyapunov_spectrum(M, np.arange(4.0)).requires_grad
    labelled = xr.DataArray(np.ones((2, 3, 1, 1)), {"run": [7, 8]}, ("run", "time", "node", "node_other"))
    found = lyapunov_spectrum(labelled, np.arange(4.0))
    assert found.dims == ("run", "exponent")
    assert found.run.values.tolist() == [7, 8]
    assert (found == 0).all()


@pytest.mark.parametrize(
    ("M", "t", "says"),
    [
        (np.ones((2, 3)), [0, 1, 2], r"`M` must have shape \(..., T, d, d\), .* but has \(2, 3\)"),
        (np.ones((2, 3, 3)), [0, 1], r"`t` must have shape \(3,\)"),
        (np.ones((2, 3, 3)), [0, 1, 1], "`t` must increase"),
    ],
)
def test_matrices_and_times_that_do_not_fit_are_refused(M, t, says):
    with pytest.raises(ValueError, match=says):
        lyapunov_spectrum(M, t)


def test_runs_without_tangent_maps_are_refused():
    from oscillators import Delayed, Dense

    system, K, x = Kuramoto(np.zeros(2)), np.ones((2, 2)), np.zeros((3, 2))
    with pytest.raises(ValueError, match="`coupling` must have no delays"):
        tangent_maps(system, Delayed(Dense(K), 0.1), x, [0, 1, 2], dt=0.1)
    with pytest.raises(ValueError, match="`drive` must be constant"):
        tangent_maps(system, K, x, [0, 1, 2], dt=0.1, drive=lambda t: np.zeros((2, 2)))
    with pytest.raises(ValueError, match="`t` must increase by equal steps"):
        tangent_maps(system, K, x, [0, 1, 3], dt=0.1)
    with pytest.raises(ValueError, match="`t` must be the times of the 3 states"):
        tangent_maps(system, K, x, [0, 1], dt=0.1)
