"""Linear waves: multipliers of modes against the matrix of the whole network, and the scan against the loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural.waves import Constants, Local, OneWay, Orbit, OscillatorCell, linear, multipliers
from tests.neural.waves import N, cell, normal, seeded


def whole(own: OscillatorCell) -> np.ndarray:
    """The matrix of one linear step of all nodes, (2N, 2N)."""
    step = own.step()
    W, V = (0 * torch.eye(N) if act is None else act.matrix() for act in (own.position, own.velocity))
    eye = torch.eye(N)
    rows = [
        torch.cat([a * eye + f * W, b * eye + f * V], 1)
        for a, b, f in ((step.yy, step.yz, step.ys), (step.zy, step.zz, step.zs))
    ]
    return torch.cat(rows).detach().numpy()


@pytest.mark.parametrize(
    ("position", "velocity"), [("torus", "torus"), ("rings", "rings, separate"), ("one way", None)]
)
@pytest.mark.parametrize("damping", ["explicit", "exact"])
def test_the_multipliers_are_the_eigenvalues_of_the_network(position, velocity, damping):
    own = cell(position, velocity, damping=damping, linear=True)
    found = multipliers(own).detach().numpy()
    copies = N // found[..., 0].size  # rings that share a kernel share their modes
    found, exact = np.repeat(found.ravel(), copies), np.linalg.eigvals(whole(own))
    for mu in found:  # each is an eigenvalue, and takes it away
        nearest = np.abs(exact - mu).argmin()
        assert abs(exact[nearest] - mu) < 1e-7  # double eigenvalues are known to the root of rounding
        exact = np.delete(exact, nearest)


def test_the_multipliers_solve_the_published_equation():
    own, dt, gamma, epsilon = cell("torus", "torus", learned=None), 0.3, 1.2, 0.5
    Gamma, A = (c - act.symbol()[0, 0].detach().numpy() for c, act in ((gamma, own.position), (epsilon, own.velocity)))
    mu = multipliers(own).detach().numpy()[0]
    rest = mu**2 - (2 - dt * A - dt**2 * Gamma)[..., None] * mu + (1 - dt * A)[..., None]
    np.testing.assert_allclose(rest, 0, atol=1e-12)


def test_the_fastest_mode_of_a_one_way_ring():
    D = 54
    own = OscillatorCell(Constants(1 / (1 + np.exp(1.95)), 1.0, 0.5), OneWay((1, D)), OneWay((1, D))).double()
    mu = multipliers(own).detach().numpy()[0]
    modulus = np.abs(mu).max(-1)
    assert modulus[: D // 2].argmax() == 4
    fastest = mu[4, np.abs(mu[4]).argmax()]
    assert abs(fastest) == pytest.approx(1.0863, abs=1e-4)
    assert np.angle(fastest) == pytest.approx(0.0967, abs=1e-4)
    assert -np.angle(fastest) / (2 * np.pi * 4 / D) == pytest.approx(-0.208, abs=1e-3)  # sites per step


@pytest.mark.parametrize(("position", "velocity"), [("torus", "torus"), ("rings", None), (None, "rings, separate")])
def test_the_scan_is_the_loop(position, velocity):
    own, drive = cell(position, velocity, linear=True), normal(37, 3, N)
    begin = Orbit(normal(3, N, seed=1), normal(3, N, seed=2))
    for start in (None, begin):
        for mine, other in zip(linear.orbit(own, drive, start), own.run(drive, start), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10 * float(other.detach().abs().max()))


def test_the_scan_doubles():
    A, b = normal(2, 2), normal(5, 3, 2)
    x = torch.zeros(3, 2).double()
    for t, found in enumerate(linear.scan(A.expand(3, 2, 2), b)):
        x = x @ A.T + b[t]
        torch.testing.assert_close(found, x)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (lambda: linear.orbit(cell("torus"), normal(3, 2, N)), "linear=True"),
        (lambda: multipliers(cell("rings, mixed")), "sharing"),
        (lambda: multipliers(cell("all to all")), "AllToAll"),
        (lambda: multipliers(OscillatorCell(Constants(0.1, 1.0, 1.0))), "no waves|has none"),
    ],
)
def test_networks_whose_waves_mix_are_refused(own, message):
    with pytest.raises(ValueError, match=message):
        own()


def test_a_linearised_cell_is_that_of_weaker_maps():
    own = OscillatorCell(Constants(0.1, 1.0, 0.5), seeded("torus")).double()
    half = Local((1, 3, 4)).double()
    half.weight.data = own.position.weight.data / 2
    weaker = OscillatorCell(Constants(0.1, 1.0, 0.5), half).double()
    torch.testing.assert_close(linear.modes(own, slope=0.5), linear.modes(weaker))
