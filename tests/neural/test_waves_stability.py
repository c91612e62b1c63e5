"""What the constants promise, against the steps themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neural.waves import AllToAll, Constants, Local, OscillatorCell, diagnose, position_bound
from neural.waves.constants import one_step
from neural.waves.stability import contraction, growth, jury_margins, segment_length, step_bound
from tests.neural.waves import normal


def one_step_matrix(dt, gamma, epsilon, damping):
    step = one_step(*(torch.tensor(v, dtype=torch.float64) for v in (dt, gamma, epsilon)), damping)
    return np.array([[step.yy, step.yz], [step.zy, step.zz]])


@pytest.mark.parametrize("damping", ["explicit", "semi_implicit", "exact"])
def test_the_conditions_are_those_of_the_eigenvalues(damping):
    rng, unstable = np.random.default_rng(0), 0
    for dt, gamma, epsilon in rng.uniform(0.01, [2.0, 6.0, 4.0], (400, 3)):
        largest = np.abs(np.linalg.eigvals(one_step_matrix(dt, gamma, epsilon, damping))).max()
        margin = min(jury_margins(dt, gamma, epsilon, damping).values(), default=1.0)
        assert (largest < 1) == (margin > 0)
        unstable += margin < 0
    assert unstable > 50 or damping == "exact"


@pytest.mark.parametrize(
    ("constants", "moduli", "memory", "bound"),
    [  # of published settings
        ((0.042, 2.7, 4.7), (0.825, 0.9728), 36, 0.370),
        ((0.076, 0.4, 8.0), (0.394, 0.9962), 262, 2.50),
        ((0.06, 66.0, 15.0), (0.138, 0.724), 3, 0.0152),
        ((0.1246, 1.0, 0.5), (0.968, 0.968), 31, 2.56),
    ],
)
def test_the_diagnostics_of_published_settings(constants, moduli, memory, bound):
    found = diagnose(OscillatorCell(Constants(*constants)))
    assert found.stable
    np.testing.assert_allclose(found.moduli, moduli, atol=1e-3)
    assert found.memory == pytest.approx(memory, abs=1)
    # the table has the limit of small steps or that of finite ones, which differ by some per cent
    assert min(abs(found.position_bound - bound), abs(position_bound(*constants[1:]) - bound)) < 0.01 * bound


def test_no_field_drives_a_position_beyond_its_bound():
    for damping in ("explicit", "semi_implicit", "exact"):
        own = OscillatorCell(Constants(0.1, 1.0, 0.3), AllToAll(6), AllToAll(6), damping=damping).double()
        for weight in own.parameters():
            torch.nn.init.normal_(weight, 0.0, 3.0)
        y = own.run(30 * normal(400, 5, 6)).y
        assert 0.3 * diagnose(own).position_bound < y.abs().max() < diagnose(own).position_bound


def test_the_bound_of_finite_steps_tends_to_that_of_time():
    for gamma, epsilon in ((1.0, 0.5), (2.7, 4.7)):
        assert step_bound(1e-3, gamma, epsilon) == pytest.approx(position_bound(gamma, epsilon), rel=2e-3)
    assert position_bound(1.0, 0.0) == math.inf
    assert step_bound(0.1, 1.0, 0.0) == math.inf


def test_the_energy_bound_of_semi_implicit_damping_holds():
    m, dt, gamma, epsilon = 6, 0.1, 1.0, 1.0
    own = OscillatorCell(Constants(dt, gamma, epsilon), AllToAll(m), AllToAll(m), damping="semi_implicit").double()
    y, z = own.run(normal(50, 20, m))
    n = torch.arange(1, 51)[:, None]
    assert bool((gamma * (y**2).sum(-1) + (z**2).sum(-1) <= m * n * dt / epsilon).all())


def test_contraction_growth_and_segments_are_those_of_the_formulas():
    own = OscillatorCell(Constants(0.042, 2.7, 4.7), Local((1, 8)), Local((1, 8))).double()
    assert contraction(own) == pytest.approx(0.042 * own.velocity.norm() / abs(1 - 0.042 * 4.7))
    assert contraction(OscillatorCell(Constants(0.042, 2.7, 4.7), Local((1, 8)))) == pytest.approx(0, abs=1e-15)
    assert growth(own) == pytest.approx(1.212, abs=1e-3)
    with torch.no_grad():
        own.velocity.weight.mul_(0.1)
    assert segment_length(own, 1e-6, 2.2e-16) == pytest.approx(119, abs=4)  # the published table rounds the growth
    assert diagnose(own).segment == pytest.approx(segment_length(own, 1e-6, 2.2e-16))


@pytest.mark.parametrize(
    ("constants", "damping", "message"),
    [
        ((0.5, 1.0, 5.0), "explicit", "`epsilon` must be below 2/dt = 4, but is 5: dt·epsilon exceeds 2 by 0.5"),
        ((1.0, 3.0, 1.0), "explicit", r"`gamma` must be below \(4 - 2 dt·epsilon\)/dt² = 2, but is 3: .* by 1;"),
        ((1.0, 7.0, 1.0), "semi_implicit", r"`gamma` must be below \(4 \+ 2 dt·epsilon\)/dt² = 6, but is 7"),
    ],
)
def test_an_unstable_setting_is_named_with_its_excess(constants, damping, message):
    with pytest.warns(RuntimeWarning, match=message):
        own = OscillatorCell(Constants(*constants), damping=damping)
    assert not diagnose(own).stable
    OscillatorCell(Constants(*constants), damping="exact")  # no warning
