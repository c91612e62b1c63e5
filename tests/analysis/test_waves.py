"""Waves whose gradient, winding, velocity and direction are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray

from analysis import (
    analytic_signal,
    circular_correlation,
    direction_index,
    dispersion_ridge,
    long_wave_fraction,
    phase_gradient,
    roll_equivariance,
    spectral_contrast,
    wave_fraction,
    wave_velocity,
    winding_number,
)

N, T = 24, 200
SITES, TIMES = np.arange(N), 0.05 * np.arange(T)
RNG = np.random.default_rng(0)
EXACT = 1e-12  # some roundings of angles of order one


def plane(q: int, Omega: float, t=TIMES) -> np.ndarray:
    """θ = κ x + Ω t with κ = 2πq/N, wrapped."""
    return np.angle(np.exp(1j * (2 * np.pi * q / N * SITES + Omega * t[:, None])))


@pytest.mark.parametrize("q", [-3, 0, 1, 11])
def test_gradient_and_winding_of_a_plane_wave(q):
    theta = plane(q, 1.0)
    np.testing.assert_allclose(phase_gradient(theta), 2 * np.pi * q / N, atol=EXACT)
    np.testing.assert_array_equal(winding_number(theta), q)


def test_the_centred_gradient_loses_short_waves():
    np.testing.assert_allclose(phase_gradient(plane(3, 1.0), centred=True), 2 * np.pi * 3 / N, atol=EXACT)
    np.testing.assert_allclose(phase_gradient(plane(9, 1.0), centred=True), 2 * np.pi * 9 / N - np.pi, atol=EXACT)


def test_the_gradient_of_the_gradient_is_that_of_a_difference():
    theta = torch.tensor(plane(2, 1.0)[0], requires_grad=True)
    (phase_gradient(theta) * torch.arange(N)).sum().backward()
    expected = np.roll(SITES, 1) - SITES  # θ_i enters the differences before and after it
    np.testing.assert_allclose(theta.grad, expected, atol=EXACT)


@pytest.mark.parametrize(("q", "Omega"), [(2, 3.0), (2, -3.0), (-1, 0.5)])
def test_the_velocity_of_a_plane_wave_is_minus_frequency_over_wavenumber(q, Omega):
    found = wave_velocity(plane(q, Omega), TIMES)
    assert found.frequency == pytest.approx(Omega)
    assert found.velocity == pytest.approx(-Omega / (2 * np.pi * q / N))
    assert found.error < 1e-12


def test_the_crest_moves_with_the_velocity():
    found = wave_velocity(plane(1, -2 * np.pi / 10.0), TIMES)  # one turn in 10 units
    crest = (N - np.argmax(np.cos(plane(1, -2 * np.pi / 10.0, np.array([0.0, 2.5])))[:, ::-1], 1)) % N
    assert found.velocity == pytest.approx(N / 10)
    assert abs((crest[1] - crest[0]) % N - found.velocity * 2.5) <= 1


def test_the_error_of_the_velocity_covers_the_truth_as_often_as_it_says():
    hits, rng = 0, np.random.default_rng(1)
    truth = -3.0 / (2 * np.pi * 2 / N)
    for _ in range(200):
        jitter = 0.2 * rng.normal(size=(T, N)) + rng.normal(0, 0.05, N) * TIMES[:, None]  # rates differ among sites
        found = wave_velocity(plane(2, 3.0) + jitter, TIMES)
        hits += abs(found.velocity - truth) < 2 * found.error
    assert 170 <= hits <= 200  # 95 % = 190; a deviation of the binomial is 3


def test_a_wavenumber_that_changes_makes_the_velocity_uncertain():
    theta = np.concatenate([plane(2, 3.0, TIMES[:120]), plane(3, 3.0, TIMES[120:])])
    found = wave_velocity(theta, TIMES)
    turned = np.angle(np.exp(1j * np.diff(theta, axis=0))).sum(0) / (TIMES[-1] - TIMES[0])
    by_rate = turned.std(ddof=1) / np.sqrt(N) / found.wavenumber
    kappa = 2 * np.pi / N * np.repeat([2.0, 3.0], [120, 80])
    by_kappa = found.frequency / found.wavenumber**2 * kappa.std(ddof=1) / np.sqrt(T)  # |dv/dκ| = Ω/κ²
    assert found.wavenumber == pytest.approx(kappa.mean())
    assert found.error == pytest.approx(np.hypot(by_rate, by_kappa))


def test_a_wave_on_a_torus_has_a_velocity_along_its_gradient():
    y, x = np.indices((8, 12))
    kappa, Omega = np.array([2 * np.pi / 8, -2 * np.pi * 2 / 12]), 1.5
    theta = kappa[0] * y + kappa[1] * x + Omega * TIMES[:, None, None]
    found = wave_velocity(theta, TIMES, dim=("height", "width"))
    np.testing.assert_allclose(found.wavenumber, kappa)
    np.testing.assert_allclose(found.velocity, -Omega * kappa / (kappa @ kappa))
    labelled = xarray.DataArray(theta.transpose(1, 0, 2), dims=("height", "time", "width"), coords={"time": TIMES})
    by_name = wave_velocity(labelled, dim=("height", "width"))
    np.testing.assert_allclose(by_name.velocity, found.velocity)
    assert by_name.velocity.dims == ("axis",)
    np.testing.assert_array_equal(winding_number(labelled, dim="height"), 1)
    np.testing.assert_array_equal(winding_number(labelled, dim="width"), -2)
    assert winding_number(labelled, dim="width").dims == ("height", "time")


@pytest.mark.parametrize("Omega", [1.5, -1.5])
def test_a_wave_with_two_turns_along_one_edge_of_a_torus_and_one_along_the_other(Omega):
    y, x = np.indices((10, 16))
    kappa = 2 * np.pi * np.array([2 / 10, 1 / 16])  # k = (2, 1)
    theta = np.angle(np.exp(1j * (kappa[0] * y + kappa[1] * x + Omega * TIMES[:, None, None])))
    found = wave_velocity(theta, TIMES, dim=("height", "width"))
    np.testing.assert_allclose(found.velocity, -Omega * kappa / (kappa @ kappa), rtol=EXACT)
    assert (np.sign(found.velocity) == -np.sign(Omega)).all()  # θ = κx + Ωt moves to lower indices
    assert (found.error < EXACT).all()
    later = kappa @ found.velocity * 3.0 + Omega * 3.0  # who moves with the wave keeps its phase
    assert later == pytest.approx(0, abs=EXACT)


def test_an_uncertain_component_of_the_gradient_counts_in_both_of_the_velocity():
    y, x = np.indices((8, 12))
    turns = np.repeat([1.0, 2.0], [120, 80])
    theta = 2 * np.pi / 8 * y + 2 * np.pi / 12 * turns[:, None, None] * x + 1.5 * TIMES[:, None, None]
    found = wave_velocity(theta, TIMES, dim=("height", "width"))
    kappa, Omega, h = found.wavenumber, found.frequency, 1e-6
    aside = kappa + np.array([0, h])
    slope = (-Omega * aside / (aside @ aside) - found.velocity) / h  # ∂v/∂κ_x
    by_kappa = slope * (2 * np.pi / 12 * turns).std(ddof=1) / np.sqrt(T)
    turned = np.angle(np.exp(1j * np.diff(theta, axis=0))).sum(0) / (TIMES[-1] - TIMES[0])
    by_rate = kappa / (kappa @ kappa) * turned.std(ddof=1) / np.sqrt(96)
    np.testing.assert_allclose(found.error, np.hypot(by_rate, by_kappa), rtol=1e-4)  # of the difference quotient


def test_velocities_of_a_batch_and_of_tensors():
    theta = np.stack([plane(2, 3.0), plane(1, -1.0)])
    found = wave_velocity(theta, TIMES)
    assert found.velocity.shape == (2,)
    tensor = torch.tensor(theta, requires_grad=True)
    same = wave_velocity(tensor, TIMES)
    np.testing.assert_allclose(same.velocity.detach(), found.velocity)
    same.frequency.sum().backward()
    assert tensor.grad[:, -1].sum() > 0


def test_the_ridge_is_the_dispersion_relation():
    x, expected = np.zeros((T, N)), {}
    for q in (1, 2, 3, 5):
        expected[q] = 1.3 + 0.4 * q
        x += np.cos(2 * np.pi * q / N * SITES + expected[q] * TIMES[:, None] + q)
    found = dispersion_ridge(x, TIMES[1])
    assert (np.diff(found.wavenumber) > 0).all()
    for q, Omega in expected.items():
        at = np.abs(found.wavenumber - 2 * np.pi * q / N).argmin()
        assert found.frequency[at] == pytest.approx(Omega, abs=0.1 * 2 * np.pi / 10)  # a tenth of a bin
        mirrored = np.abs(found.wavenumber + 2 * np.pi * q / N).argmin()
        assert found.frequency[mirrored] == pytest.approx(-found.frequency[at], abs=1e-9)


def test_the_direction_of_waves():
    up = np.cos(plane(2, -2 * np.pi / 10 * 3))
    assert direction_index(up) == pytest.approx(1.0, abs=1e-3)  # 3 turns: periodic in time up to the last step
    assert direction_index(up[:, ::-1]) == pytest.approx(-1.0, abs=1e-3)
    assert direction_index(up + up[:, ::-1]) == pytest.approx(0.0, abs=1e-9)
    assert direction_index(2 * up + up[:, ::-1]) == pytest.approx(0.6, abs=1e-2)  # (4 - 1)/(4 + 1)
    labelled = xarray.DataArray(up.T, dims=("node", "time"))
    assert float(direction_index(labelled)) == pytest.approx(1.0, abs=1e-3)


def test_the_analytic_signal_of_a_cosine_is_its_rotation():
    t = np.arange(16)
    x = np.cos(2 * np.pi * 3 * t / 16)
    np.testing.assert_allclose(analytic_signal(x), np.exp(2j * np.pi * 3 * t / 16), atol=EXACT)
    mean, fastest = np.ones(16), (-1.0) ** t
    for convention, keeps in (("standard", (1, 1)), ("no_nyquist", (1, 0)), ("no_mean", (0, 0))):
        for signal, kept in zip((mean, fastest), keeps, strict=True):
            np.testing.assert_allclose(analytic_signal(signal, convention=convention), kept * signal, atol=EXACT)
    labelled = xarray.DataArray(np.stack([x, x], 1), dims=("time", "node"))
    assert analytic_signal(labelled).dims == ("node", "time")


def test_a_pattern_that_travels_is_equivariant():
    first = RNG.random(7)
    s = np.stack([np.roll(first, 2 * t) for t in range(5)])
    assert roll_equivariance(s, 2) == pytest.approx(0, abs=EXACT)
    unit = s / np.linalg.norm(s, axis=-1, keepdims=True)
    pairs = sum(np.abs(np.roll(unit[a], b - a) - unit[b]).sum() for b in range(5) for a in range(b))
    assert roll_equivariance(s) == pytest.approx(pairs)


def test_the_correlation_of_rings_finds_the_offset():
    a = RNG.normal(size=9)
    r = circular_correlation(np.roll(a, 4), a)
    assert r.argmax() == 4
    assert r[4] == pytest.approx(a @ a)


def test_plane_waves_of_any_length_stand_out_from_shuffled_sites():
    noise = RNG.uniform(-3, 3, (50, 64))
    waves = np.stack([2 * np.pi * q / 64 * np.arange(64) for q in range(32)]) + 0.8 * RNG.normal(size=(32, 64))
    found = wave_fraction(np.concatenate([np.angle(np.exp(1j * waves)), noise]), rng=0)
    assert found.fraction == pytest.approx(31 / 82, abs=2 / 82)  # synchrony, q = 0, is none; 1 % by chance
    assert found.coherence.shape == (82,)
    sheet = 0.9 * np.indices((8, 8)).sum(0)
    assert wave_fraction(np.stack([sheet, RNG.uniform(-3, 3, (8, 8))]), axes=2, rng=0).fraction == 0.5


def test_shuffled_times_have_no_waves():
    x, order = np.cos(plane(2, -3.0)), RNG.permutation(T)
    ratio = spectral_contrast(x + 0.1 * RNG.normal(size=x.shape), order)
    assert ratio.shape == (N, T)
    assert ratio[2].max() > 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wave_velocity(plane(1, 1.0)), "`t` must be given"),
        (lambda: wave_velocity(plane(1, 1.0), TIMES[::-1]), "increasing times"),
        (lambda: wave_velocity(plane(1, 1.0), TIMES[1:]), "increasing times"),
        (lambda: wave_velocity(plane(1, 1.0)[:1], TIMES[:1]), "at least two times"),
        (lambda: phase_gradient(plane(1, 1.0), dim=("height", "width")), "`dim` must be one axis"),
        (lambda: analytic_signal(np.ones(8), convention="best"), "`convention` must be one of"),
        (lambda: dispersion_ridge(np.ones((2, 4))), "at least three times"),
        (lambda: long_wave_fraction(np.ones(4), [0, 0, 1, 2]), "`permutation` must order the 4 sites"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
