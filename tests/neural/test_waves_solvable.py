"""The exactly solvable network: closed forms, Kuramoto's flow, modes, designed states, and segmentation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from sklearn.metrics import rand_score

from neural.waves import complex_coupling, design_input, evolve, kuramoto_step, modes, power_law_ring, segment
from neural.waves.segmentation import FAR, NEAR, Layer, foreground, matrix, projection, propagate, similarity
from oscillators import Kuramoto, StuartLandau, simulate

N = 24
RNG = np.random.default_rng(0)
RING = (np.abs(np.subtract.outer(np.arange(N), np.arange(N))) % (N - 1) < 2).astype(float) - np.eye(N)
THETA = RNG.uniform(-1, 1, N)
OMEGA = RNG.normal(0, 1, N)
K = complex_coupling(RING, 0.75, 0.2)


def test_the_flow_solves_its_equation():
    t = np.array([0.0, 0.7, -0.3])
    x0 = np.exp(1j * THETA)
    x = evolve(x0, t, K, OMEGA)
    for time, found in zip(t, x, strict=True):
        exact = solve_ivp(lambda _, x: 1j * OMEGA * x + K @ x, (0, time), x0, rtol=1e-11, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(found, exact, atol=1e-8)
    np.testing.assert_allclose(evolve(np.stack([x0, 2 * x0]), 0.7, K, OMEGA), [x[1], 2 * x[1]], rtol=1e-12)


@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_the_integrators_of_the_core_converge_to_it_at_their_order(method):
    # far below saturation Stuart–Landau is linear: dz/dt = (λ + iω) z + K z, |z|² z = 1e-18 of it
    A, small = 0.3 * RING, 1e-9
    exact = evolve(small * np.exp(1j * THETA), 2.0, A.astype(complex) - 0.2 * np.eye(N), OMEGA)
    errors = []
    for dt in (0.1, 0.05, 0.025):
        found = simulate(StuartLandau(-0.2, OMEGA), A, small * np.exp(1j * THETA), [0, 2.0], method=method, dt=dt)
        errors.append(np.abs(found.z.values[-1] - exact).max())
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(slopes, {"heun": 2, "rk4": 4}[method], atol=0.15)


@pytest.mark.parametrize("split", [False, True])
def test_steps_that_reset_the_moduli_tend_to_kuramoto_at_first_order(split):
    exact = simulate(Kuramoto(OMEGA, 0.2), 0.75 * RING, THETA, [0, 0.8], method="dopri5", rtol=1e-11, atol=1e-12)
    errors = []
    for steps in (80, 160, 320):
        x = kuramoto_step(np.exp(1j * THETA), 0.8 / steps, K, OMEGA, steps=steps, split=split)
        errors.append(np.abs(np.angle(x * np.exp(-1j * exact.theta.values[-1]))).max())
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 1.0, atol=0.15)


def test_the_linear_flow_itself_is_not_kuramoto():
    theta = 3 * THETA
    exact = simulate(Kuramoto(0.0, 0.2), 0.75 * RING, theta, [0, 2.0], method="dopri5").theta.values[-1]
    linear = np.angle(evolve(np.exp(1j * theta), 2.0, K))
    assert np.abs(np.angle(np.exp(1j * (linear - exact)))).max() > 0.1


@pytest.mark.parametrize("omega", [0.0, 2.0, OMEGA])
def test_modes_add_up_to_the_flow(omega):
    x0, t = np.exp(1j * THETA), 0.9
    own = modes(K, omega)
    found = own.vectors @ (np.exp(own.rates * t) * own.contributions(x0))
    np.testing.assert_allclose(found, evolve(x0, t, K, omega), rtol=1e-10, atol=1e-10)


def test_modes_of_a_matrix_without_symmetry_need_its_inverse():
    A = RNG.normal(size=(6, 6)).astype(complex)
    own = modes(A)
    np.testing.assert_allclose(own.vectors @ np.diag(own.rates) @ own.inverse, A, atol=1e-12)


def test_modes_of_a_ring_are_fourier_modes_in_order():
    own = modes(complex_coupling(power_law_ring(9, 1.0), 1.0, 0.3))
    np.testing.assert_allclose(own.vectors[:, 2], np.exp(-2j * np.pi * 2 * np.arange(9) / 9) / 3, atol=1e-15)
    assert power_law_ring(9, 1.0).sum(1) == pytest.approx(np.ones(9))


def test_a_designed_state_arrives_and_two_of_them_add_up():
    lag = complex_coupling(power_law_ring(N, 1.0), 20.0, 1.55)
    targets = RNG.uniform(1, 2, (2, N)) * np.exp(1j * RNG.uniform(-3, 3, (2, N)))
    begin = design_input(targets, 1.0, lag, 5.0)
    np.testing.assert_allclose(evolve(begin, 1.0, lag, 5.0), targets, rtol=1e-9)
    np.testing.assert_allclose(design_input(targets.sum(0), 1.0, lag, 5.0), begin.sum(0), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evolve(np.ones(3), 1.0, np.ones((3, 4))), "`K` must have shape .N, N."),
        (lambda: evolve(np.ones(4), 1.0, np.eye(3)), "`x` must have shape .*3. for this `K`"),
        (lambda: evolve(np.ones(3), [[1.0]], np.eye(3)), "`t` must be a number or a list"),
        (lambda: evolve(np.ones(3), 1.0, np.eye(3), np.ones(4)), "`omega` must broadcast"),
        (lambda: evolve([1.0, np.nan], 1.0, np.eye(2)), "`x` must be finite"),
        (lambda: kuramoto_step(np.ones(3), 0.0, np.eye(3)), "`tau` must be one positive number"),
        (lambda: power_law_ring(1, 1.0), "`N` must be at least 2"),
        (lambda: segment(np.zeros((3, 3, 3)), 2), "`image` must have shape"),
        (lambda: segment(np.full((3, 3), np.nan), 2), "`image` must be finite"),
        (lambda: segment(np.eye(4) * 2 - 1, 9, rng=0), "`image` must show 9 objects"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def scene(shapes: int, seed: int, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Discs and squares of brightness 1 on -1 that do not touch, and their labels."""
    rng, labels = np.random.default_rng(seed), np.zeros((side, side), int)
    y, x = np.mgrid[:side, :side]
    while labels.max() < shapes:
        r, cy, cx = rng.integers(3, 6), *rng.integers(6, side - 6, 2)
        disc = rng.random() < 0.5
        new = (x - cx) ** 2 + (y - cy) ** 2 <= r * r if disc else (abs(x - cx) <= r - 1) & (abs(y - cy) <= r - 1)
        near = (abs(x - cx) <= r + 3) & (abs(y - cy) <= r + 3)
        if not labels[near].any():
            labels[new] = labels.max() + 1
    return np.where(labels > 0, 1.0, -1.0), labels


@pytest.mark.parametrize("shapes", [2, 3])
def test_objects_that_do_not_touch_come_apart(shapes):
    scores = []
    for seed in range(8):
        image, labels = scene(shapes, seed)
        scores.append(rand_score(labels.ravel(), segment(image, shapes, rng=seed).ravel()))
    assert np.mean(scores) >= 0.98


def test_an_image_that_is_not_square_has_its_own_distances():
    image = RNG.normal(size=(4, 6))
    d2 = np.sum(
        (np.stack(np.indices((4, 6)), -1).reshape(-1, 1, 2) - np.stack(np.indices((4, 6)), -1).reshape(1, -1, 2)) ** 2,
        -1,
    )
    np.testing.assert_allclose(matrix((4, 6), FAR), 0.5 * np.exp(-d2 / 36 / (2 * 0.9**2)), rtol=1e-12)
    x0 = np.exp(1j * RNG.uniform(-3, 3, image.shape))
    waves = propagate(x0, image, NEAR, 5)
    x = x0.ravel()
    for _ in range(5):
        x = 1j * image.ravel() * x + matrix((4, 6), NEAR) @ x
    np.testing.assert_allclose(waves.x[-1].ravel() * np.exp(waves.log_scale[-1]), x, rtol=1e-12)


def test_masked_pixels_neither_act_nor_move():
    image, mask = RNG.normal(size=(4, 4)), RNG.random((4, 4)) < 0.6
    x0 = np.exp(1j * RNG.uniform(-3, 3, (2, 4, 4)))
    changed = np.where(mask, image, 7.0)
    ours, other = (propagate(x0, i, Layer(0.5, 0.3), 4, mask).x for i in (image, changed))
    assert not ours[..., ~mask].any()
    np.testing.assert_array_equal(ours, other)


def test_the_smaller_side_of_the_mean_phase_is_the_foreground():
    phase = np.array([[0.1, 0.2, 2.0], [0.1, 0.3, 0.2]])
    assert foreground(np.exp(1j * phase)).tolist() == [[False, False, True], [False, False, False]]
    assert foreground(np.exp(-1j * phase)).tolist() == [[False, False, True], [False, False, False]]


def test_similarity_is_the_mean_phasor_and_its_projection_has_a_fixed_gauge():
    theta = RNG.uniform(-3, 3, (5, 4))
    rho = similarity(RNG.uniform(1, 2, (5, 4)) * np.exp(1j * theta))
    np.testing.assert_allclose(rho[0, 2], np.exp(1j * (theta[:, 0] - theta[:, 2])).mean())
    turned = np.exp(1j * RNG.uniform(-3, 3, 4))  # another phase of every pixel turns the eigenvectors
    assert projection(rho, 2).shape == (4, 2)
    np.testing.assert_allclose(
        np.abs(np.linalg.eigvalsh(rho)), np.abs(np.linalg.eigvalsh(turned[:, None] * rho * turned.conj()))
    )
