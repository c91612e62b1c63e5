"""Delays against locked rotations, closed forms, and each other's spellings."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from analysis import theory
from oscillators import (
    Delayed,
    Dense,
    Diffusive,
    Edges,
    Kuramoto,
    MeanField,
    StuartLandau,
    TopographicOscillators,
    simulate,
)
from tests.problems import (
    Carried,
    delayed_cosine,
    delayed_frequencies,
    delayed_mean_field,
    delayed_pair,
    delayed_steps,
    prescribed_path,
)

MUTUAL = Dense(np.array([[0.0, 1.0], [1.0, 0.0]]))
rng = np.random.default_rng(9)


# --- locked rotations: Ω = ω − K sin(Ωτ) ------------------------------------------------------------------------------


def rotation(omega, K, tau, path, dt, method="rk4", t_end=120.0):
    """Late frequency of a delayed mutual pair with the given history, and its phase difference."""
    t = [0.0, t_end, 2 * t_end]
    delayed = Delayed(Dense(K * MUTUAL.K), tau)
    theta = simulate(Kuramoto(omega), delayed, path(0.0), t, method=method, dt=dt, history=path).theta.values
    return float((theta[2] - theta[1]).mean() / t_end), float(theta[2] @ [1, -1])


# A uniform rotation is exact for the methods themselves. Left is the cubic through past unit vectors, too short by
# (Ω dt)⁴ p² (1 − p)²/24 at the fraction p of a step: by (Ω dt)⁴/384 midway, by nothing at its ends. `share` is the weight
# of the stages that look midway: for τ = (k + 1/2) dt both of heun, the first and last of rk4; for τ = k dt the others.
@pytest.mark.parametrize(
    ("method", "half", "share"),
    [
        ("euler", 0.0, 0.0),
        ("heun", 0.0, 0.0),
        ("rk4", 0.0, 2 / 3),
        ("euler", 0.5, 1.0),
        ("heun", 0.5, 1.0),
        ("rk4", 0.5, 1 / 3),
    ],
)
def test_delayed_rotation_is_met_with_an_error_of_order_four_in_the_step(method, half, share):
    omega, K, tau = 2.0, 0.9, 1.05
    (Omega,) = delayed_frequencies(omega, K, tau)
    steps = tau / np.array([(3 + half), 3 * (3 + half), 9 * (3 + half)])
    path = lambda t: Omega * t + np.zeros(2)  # noqa: E731
    errors = [rotation(omega, K, tau, path, dt, method, 150 * steps[0])[0] - Omega for dt in steps]
    expected = share * K * np.sin(Omega * tau) * (Omega * steps) ** 4 / 384 / (1 + K * tau * np.cos(Omega * tau))
    # the cubic's next term is a share (Ω dt)²/10 of the first; round-off of phases near 150, per 50 units of time
    np.testing.assert_allclose(errors, expected, rtol=0.05, atol=1e-12)
    if share:
        assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(4, abs=0.15)


@pytest.mark.parametrize("dt", [0.35, 0.175, 0.07])
@pytest.mark.parametrize("method", ["heun", "rk4"])
def test_a_delayed_pair_relaxes_to_its_rotation(method, dt):
    omega, K, tau = 2.0, 0.9, 1.05
    (Omega,) = delayed_frequencies(omega, K, tau)
    path = lambda t: 1.5 * t + np.array([0.0, 0.3])  # noqa: E731
    found, phi = rotation(omega, K, tau, path, dt, method, 315.0)
    assert found == pytest.approx(Omega, abs=1e-9 + (Omega * dt) ** 4 / 384)  # e^{−0.1·315} of the start, and the cubic
    assert phi == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("delay", ["one number", "per sender", "per link", "edges", "graph"])
def test_every_spelling_of_a_delay_locks_at_the_mean_of_both(delay):
    slow, fast = 1.0, 0.4  # node 0 sees node 1 after `slow`, node 1 sees node 0 after `fast`
    sees = (0.7, 0.7) if delay == "one number" else (slow, fast)
    tau = {"one number": 0.7, "per link": [[0.0, slow], [fast, 0.0]]}.get(delay, [fast, slow])
    problem = delayed_pair(tau, sees)
    assert problem.error(method="rk4", dt=0.02) < 1e-8  # (Ω dt)⁴/384 = 3e-9, times K T
    if delay in ("edges", "graph"):
        graph = nx.DiGraph()
        graph.add_edge(0, 1, weight=0.8, delay=fast)
        graph.add_edge(1, 0, weight=0.8, delay=slow)
        edges = Delayed(Edges([0, 1], [1, 0], [0.8, 0.8], 2), [fast, slow])  # in the order given
        coupling = graph if delay == "graph" else edges
        found = simulate(
            problem.system, coupling, problem.x0, problem.t, method="rk4", dt=0.02, history=problem.history
        ).theta
        np.testing.assert_allclose(found, problem.run(method="rk4", dt=0.02).theta, rtol=0, atol=1e-12)


ROOTS = delayed_frequencies(2.0, 1.0, 4.0)


def test_long_delays_have_several_rotations():
    assert len(ROOTS) == 3
    stable = np.cos(ROOTS * 4.0) > 0
    assert stable.tolist() == [True, False, True]
    found = theory.delayed_locked_states(2.0, 1.0, 4.0)
    np.testing.assert_allclose(found.frequency, ROOTS, atol=1e-12)
    np.testing.assert_array_equal(found.stable, stable)


@pytest.mark.parametrize("root", ROOTS)
def test_a_delayed_pair_stays_in_step_where_the_cosine_is_positive(root):
    omega, K, tau = 2.0, 1.0, 4.0
    path = lambda t: (root + 0.01) * t + np.array([0.0, 0.05])  # noqa: E731
    found, phi = rotation(omega, K, tau, path, 0.05, t_end=300.0)
    if np.cos(root * tau) > 0:
        assert found == pytest.approx(root, abs=1e-6)  # relaxed, and (Ω dt)⁴/384
        assert phi == pytest.approx(0.0, abs=1e-6)
    else:  # it leaves for a rotation in antiphase, Ω = ω + K sin Ωτ, stable where the cosine is negative
        assert abs(phi) == pytest.approx(np.pi, abs=1e-6)
        assert found == pytest.approx(omega + K * np.sin(found * tau), abs=1e-6)
        assert np.cos(found * tau) < 0


@pytest.mark.parametrize("root", ROOTS)
def test_a_delayed_mean_field_settles_on_a_rotation_with_positive_cosine(root):
    omega, K, tau = 2.0, 1.0, 4.0
    path = lambda t: (root + 0.01) * t + np.array([0.0, 0.02, -0.01])  # noqa: E731
    theta = delayed_mean_field(omega, K, tau, path, np.array([0.0, 200.0, 210.0]), method="rk4", dt=0.05).theta
    found = float((theta[2] - theta[1]).mean() / 10)
    ends = ROOTS[np.cos(ROOTS * tau) > 0]
    assert np.abs(ends - found).min() < 1e-6  # relaxed, and (Ω dt)⁴/384
    assert (abs(found - root) < 1e-6) == (np.cos(root * tau) > 0)


# --- exact delayed runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.05, 0.013, np.pi / 200])
def test_a_delayed_pull_is_the_cosine(dt):
    assert delayed_cosine().error(method="rk4", dt=dt) < dt**4 / 10


def test_the_method_of_steps_is_met_from_a_constant_history():
    assert delayed_steps().error(method="rk4", dt=0.02) < 1e-9  # C dt⁴ with C = 2e-3 measured at dt = 1/8


def test_a_delayed_phase_follows_its_prescribed_path():
    assert prescribed_path().error(method="rk4", dt=0.01) < 1e-9  # dt⁴ = 1e-8, times derivatives of order 1/50


def test_a_start_away_from_zero_changes_nothing():
    here = delayed_cosine(np.array([7.0, 7.4, 9.1]))
    assert here.error(method="rk4", dt=0.01) < 1e-9


def test_a_constant_history_is_a_callable_one_that_does_not_move():
    theta, t = rng.normal(size=4), [0.0, 1.0, 3.0]
    K = rng.normal(size=(4, 4))
    options = {"method": "rk4", "dt": 0.03}
    tau = rng.uniform(0.1, 1.0, size=(4, 4))
    constant = simulate(Kuramoto(0.5), Delayed(K, tau), theta, t, history=theta, **options).theta
    called = simulate(Kuramoto(0.5), Delayed(K, tau), theta, t, history=lambda s: theta, **options).theta
    np.testing.assert_allclose(called, constant, rtol=0, atol=1e-10)  # velocities by differences: round-off/1e-3 dt


def test_the_history_may_jump_to_the_initial_state():
    # x'(t) = −x(t − 1), history 2, x(0) = 0: x = −2t up to 1, then −2 + (t − 1)².
    t = np.array([0.0, 0.5, 1.0, 1.6])
    coupling = Delayed(Dense([[-1.0]]), 1.0)
    x = simulate(Carried(), coupling, [0.0], t, method="rk4", dt=0.05, history=[2.0]).x.values[:, 0]
    np.testing.assert_allclose(x, np.where(t <= 1, -2 * t, -2 + (t - 1) ** 2), rtol=0, atol=1e-13)


def test_links_without_delay_act_at_once():
    # x_0' = −x_0(t) + 0, x_1' = −x_1(t − π/2): one link of each kind in one network.
    K, tau = np.diag([-1.0, -1.0]), np.diag([0.0, np.pi / 2])
    t = np.linspace(0, 3, 7)
    past = lambda s: np.array([np.exp(-s), np.cos(s)])  # noqa: E731
    for delays in (tau, np.diag(tau)):
        x = simulate(Carried(), Delayed(K, delays), past(0.0), t, method="rk4", dt=0.02, history=past).x
        np.testing.assert_allclose(x, np.stack([past(s) for s in t]), rtol=0, atol=1e-8)  # dt⁴ = 1.6e-7, over 50


def test_a_diffusive_delay_is_in_the_sender_only():
    # x_i' = x_j(t − τ) − x_i(t) of an antisymmetric pair: x' = −x(t − τ) − x(t), solved by e^{st} with s = −e^{−sτ} − 1.
    tau, s = 0.8, -1.0 + 0.5j
    for _ in range(50):
        s -= (s + 1 + np.exp(-s * tau)) / (1 - tau * np.exp(-s * tau))
    t = np.linspace(0, 3, 7)
    past = lambda time: np.exp(s * time).real * np.array([1.0, -1.0])  # noqa: E731
    x = simulate(Carried(), Diffusive(Delayed(MUTUAL, tau)), past(0.0), t, method="rk4", dt=0.02, history=past).x
    assert abs(s + 1 + np.exp(-s * tau)) < 1e-14
    np.testing.assert_allclose(x, np.stack([past(time) for time in t]), rtol=0, atol=1e-7)  # dt⁴ |s|⁴ with |s| = 2


def test_delayed_amplitudes_turn_with_their_closed_form():
    # z' = (λ + iω − |z|²) z + K z(t − τ) has z = r e^{iΩt}: Ω = ω − K sin Ωτ, r² = λ + K cos Ωτ.
    growth, Omega, K, tau = 1.0, 1.7, 0.5, 0.6
    omega, r = Omega + K * np.sin(Omega * tau), np.sqrt(growth + K * np.cos(Omega * tau))
    path = lambda t: np.array([r * np.exp(1j * Omega * t)])  # noqa: E731
    t = np.linspace(0, 4, 5)
    z = simulate(
        StuartLandau(growth, omega), Delayed(Dense([[K]]), tau), path(0), t, method="rk4", dt=0.02, history=path
    ).z
    np.testing.assert_allclose(z, np.stack([path(s) for s in t]), rtol=0, atol=1e-7)  # dt⁴ Ω⁴ = 1.3e-6, over 50


def test_delayed_second_order_oscillators_hold_their_forced_orbit():
    # Small amplitudes: x'' = K x(t − τ) − γx − εv has x = cos νt for K cos ντ = γ − ν², K sin ντ = −εν... with ν chosen.
    gamma, nu, tau, amplitude = 2.0, 1.3, 0.5, 1e-6
    K = (gamma - nu**2) / np.cos(nu * tau)
    epsilon = -K * np.sin(nu * tau) / nu
    assert epsilon < 0  # a negative damping that the delay makes up for
    path = lambda t: amplitude * np.array([[np.cos(nu * t), -nu * np.sin(nu * t)]])  # noqa: E731
    t, coupling = np.linspace(0, 4, 5), Delayed(Dense([[K]]), tau)
    system = TopographicOscillators(gamma, epsilon)
    found = simulate(system, coupling, path(0), t, method="rk4", dt=0.01, history=path)
    exact = np.stack([path(s) for s in t]) / amplitude
    np.testing.assert_allclose(found.x / amplitude, exact[..., 0], rtol=0, atol=1e-8)  # dt⁴ = 1e-8
    np.testing.assert_allclose(found.v / amplitude, exact[..., 1], rtol=0, atol=1e-8)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_one_delay_for_all_is_the_same_delay_on_every_link():
    N, t = 5, [0.0, 1.0, 4.0]
    K, theta, omega = rng.normal(size=(N, N)), rng.normal(size=N), rng.normal(size=N)
    options = {"method": "rk4", "dt": 0.07, "history": lambda s: theta + omega * s}
    one = simulate(Kuramoto(omega), Delayed(K, 0.33), theta, t, **options).theta
    for tau in (np.full(N, 0.33), np.full((N, N), 0.33)):
        np.testing.assert_allclose(
            simulate(Kuramoto(omega), Delayed(K, tau), theta, t, **options).theta, one, rtol=0, atol=1e-12
        )  # round-off: sums in another order


@pytest.mark.parametrize("K", [1.3, rng.normal(size=(4, 4))], ids=["mean field", "dense"])
def test_no_delay_is_the_undelayed_run_bit_for_bit(K):
    theta, t = rng.normal(size=4), [0.0, 1.0, 2.0]
    plain = simulate(Kuramoto(0.3), K, theta, t, method="rk4", dt=0.05).theta
    still = simulate(Kuramoto(0.3), Delayed(K, 0.0), theta, t, method="rk4", dt=0.05).theta
    np.testing.assert_array_equal(still, plain)


def test_a_short_delay_tends_to_none():
    theta, t, gaps = rng.normal(size=5), [0.0, 2.0], []
    plain = simulate(Kuramoto(0.3), 1.5, theta, t, method="rk4", dt=0.001).theta.values
    for tau in (0.02, 0.01, 0.005):
        near = simulate(Kuramoto(0.3), Delayed(1.5, tau), theta, t, method="rk4", dt=0.001, history=theta).theta.values
        gaps.append(np.abs(near - plain).max())
    np.testing.assert_allclose(
        np.array(gaps[:-1]) / gaps[1:], 2.0, rtol=0.1
    )  # first order in τ, second to ten per cent


def test_a_mean_field_delay_is_a_matrix_of_delays():
    N, t = 6, [0.0, 2.0]
    theta = rng.normal(size=N)
    tau = rng.uniform(0.2, 0.9, N)
    options = {"method": "heun", "dt": 0.05, "history": theta}
    mean = simulate(Kuramoto(0.4), Delayed(MeanField(1.2), tau), theta, t, **options).theta
    matrix = simulate(Kuramoto(0.4), Delayed(np.full((N, N), 1.2 / N), tau), theta, t, **options).theta
    np.testing.assert_allclose(mean, matrix, rtol=0, atol=1e-13)


def test_a_delay_shorter_than_a_step_is_refused():
    coupling = Delayed(MUTUAL, np.array([0.5, 0.04]))
    with pytest.raises(ValueError, match=r"`tau` must be 0 or at least one step .*smallest positive entry is 0.04"):
        simulate(Kuramoto(0.0), coupling, np.zeros(2), [0, 1], method="rk4", dt=0.05, history=np.zeros(2))
    done = simulate(Kuramoto(0.0), coupling, np.zeros(2), [0, 1], method="rk4", dt=0.04, history=np.zeros(2))
    assert done.status == 0


def test_members_of_a_delayed_ensemble_have_their_own_past():
    t, tau = np.linspace(0, 3, 4), np.pi / 2
    past = lambda s: np.cos(np.array([[s], [s + 0.4]]))  # noqa: E731
    x = simulate(Carried(), Delayed(Dense([[-1.0]]), tau), past(0.0), t, method="rk4", dt=0.02, history=past).x
    np.testing.assert_allclose(x, np.stack([past(s) for s in t], axis=1), rtol=0, atol=1e-8)
