"""Films: images that turn, and bodies that move as theory says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from neural.waves.bodies import GRAVITY, GROUND, LENGTH, MASS, STIFFNESS, motion, paint, places, starts
from neural.waves.turning import turned


def test_quarter_turns_are_exact_and_counterclockwise():
    image = torch.rand(2, 1, 7, 7)
    film = turned(image, 4, centre=(3, 3))
    for k in range(4):
        torch.testing.assert_close(film[k], image.rot90(k, (2, 3)), rtol=1e-4, atol=1e-5)  # single precision


def test_images_turn_about_half_their_sides_and_beyond_the_edge_is_nothing():
    film = turned(torch.ones(1, 1, 4, 4), 2)
    assert film[1, 0, 0].round(decimals=4).tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1]]


def test_a_spring_swings_as_a_cosine():
    start = starts("spring", 5, 0)
    omega, t = np.sqrt(STIFFNESS / MASS), 0.1 * np.arange(60)
    q0, v0 = start.T[..., None]
    expected = q0 * np.cos(omega * t) + v0 / omega * np.sin(omega * t)
    np.testing.assert_allclose(motion("spring", start, 60)[..., 0], expected, atol=1e-8)  # tolerance 1e-10 a step


def test_a_pendulum_moves_as_another_integrator_says_and_keeps_its_energy():
    start = starts("pendulum", 4, 1)
    found = motion("pendulum", start, 50)
    for x0, path in zip(start, found, strict=True):
        law = lambda t, x: [x[1], -GRAVITY / LENGTH * np.sin(x[0])]  # noqa: E731
        other = solve_ivp(law, (0, 4.9), x0, t_eval=0.1 * np.arange(50), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(path, other.y.T, atol=1e-7)  # errors grow along the orbit
    energy = found[..., 1] ** 2 / 2 - GRAVITY / LENGTH * np.cos(found[..., 0])
    np.testing.assert_allclose(energy, np.broadcast_to(energy[:, :1], energy.shape), atol=1e-8)


def test_starts_lie_between_the_radii_and_follow_the_seed():
    spring, pendulum = starts("spring", 500, 0), starts("pendulum", 500, 0)
    radius = np.hypot(spring[:, 0], spring[:, 1] * MASS / np.sqrt(MASS * STIFFNESS))
    assert 0.1 <= radius.min() < radius.max() <= 1.0
    radius = np.hypot(pendulum[:, 0], pendulum[:, 1] * MASS * LENGTH**2)
    assert 1.3 <= radius.min() < radius.max() <= 2.3
    np.testing.assert_array_equal(spring, starts("spring", 500, 0))


def test_a_body_hangs_below_and_is_painted_there():
    place = torch.from_numpy(places("pendulum", [0.0, np.pi / 2]))
    cover = (paint(place, 30)[:, 0] - GROUND[0]) / (1 - GROUND[0])
    at = (torch.arange(30).double() + 0.5) / 30 - 0.5
    for k, (right, down) in enumerate([(0.0, 1 / 3), (1 / 3, 0.0)]):
        total = cover[k].sum()
        assert float((cover[k] * at).sum() / total) == pytest.approx(right, abs=2e-3)  # the edge is cut by pixels
        assert float((cover[k] * at[:, None]).sum() / total) == pytest.approx(down, abs=2e-3)
        assert float(total) / 900 == pytest.approx(MASS / 9, rel=0.05)  # area π r² = m/9 of sides of 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: turned(torch.zeros(2, 4, 4)), "`images` must be numbers of shape"),
        (lambda: turned(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)), "divide bytes by 255"),
        (lambda: turned(torch.zeros(2, 1, 4, 4), 0), "`frames` must be at least 1"),
        (lambda: starts("planet", 2), "`kind` must be one of"),
        (lambda: motion("spring", np.zeros((3, 3)), 5), "`start` must have shape"),
        (lambda: motion("spring", np.full((1, 2), np.nan), 5), "`start` must be finite"),
        (lambda: motion("spring", np.zeros((1, 2)), 5, dt=-1), "`dt` must be one positive number"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
