"""The past of a delayed network: cubic polynomials come back as they are, however long ago."""

import numpy as np
import pytest

from oscillators.history import links, push, senders, set_velocity
from oscillators.past import Past

M, N = 2, 5
C = np.random.default_rng(0).normal(size=(4, M, N))
TAU = np.array([0.0, 0.1, 0.25, 1.0, 0.33])  # one sender at once, one a single step ago, rings of several lengths
SOURCE = np.array([0, 3, 3, 1, 4, 2], np.int32)
STARTS = np.array([0, 2, 2, 3, 5, 6], np.int32)  # node 1 receives nothing
LINK_TAU = np.array([0.2, 1.0, 0.15, 0.0, 0.4, 0.11])
WEIGHT = np.array([[1.0, -2.0, 0.5, 3.0, 1.5, -1.0]])


def cubic(t):
    return C[0] + t * (C[1] + t * (C[2] + t * C[3]))


def velocity(t):
    return C[1] + t * (2 * C[2] + 3 * t * C[3])


def past_of(tau, starts=(), source=(), constant=False, lifted=lambda t, member: cubic(np.asarray(t)[..., None, None])):
    longest = np.zeros(N)
    np.maximum.at(longest, source if len(source) else np.arange(N), tau)
    weight = WEIGHT if len(source) else np.empty((1, 0))
    return Past(tau, np.array(starts, np.int32), np.array(source, np.int32), weight, longest, lifted, constant)


def by_senders(t):
    return np.stack([cubic(t - tau)[:, j] for j, tau in enumerate(TAU)], axis=-1)


def by_links(t):
    h = np.zeros((M, N))
    for i in range(N):
        for e in range(STARTS[i], STARTS[i + 1]):
            h[:, i] += WEIGHT[0, e] * cubic(t - LINK_TAU[e])[:, SOURCE[e]]
    return h


READERS = {
    "senders": (senders, past_of(TAU), by_senders),
    "links": (links, past_of(LINK_TAU, STARTS, SOURCE), by_links),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("dt", [0.1, 0.037])
def test_a_cubic_past_is_read_exactly(name, dt):
    read, past, want = READERS[name]
    t = 0.3
    history = past.start(0, t, dt, dt)
    out, steps = np.empty((M, N)), int(3.0 / dt)  # several turns of every ring
    for _ in range(steps):
        push(history, t, cubic(t))
        set_velocity(history, velocity(t))
        for c in (0.0, 0.5, 1.0):  # the stages of a step
            read(history, t + c * dt, np.ascontiguousarray(cubic(t + c * dt)), out)
            # Velocities before the start are differences over 1e-3 dt: 1e-15 / 3.7e-5 · dt / 10.
            np.testing.assert_allclose(out, want(t + c * dt), rtol=0, atol=2e-12 * (1 + np.abs(C).max() * t**3))
        t += dt


@pytest.mark.parametrize("name", READERS)
def test_steps_of_changing_length_are_read_exactly(name):
    read, past, want = READERS[name]
    t, out, rng = 0.3, np.empty((M, N)), np.random.default_rng(1)
    history = past.start(0, t, 0.02, 0.1)
    for _ in range(60):
        dt = rng.uniform(0.02, 0.1)
        push(history, t, cubic(t))
        set_velocity(history, velocity(t))
        read(history, t + 0.5 * dt, np.ascontiguousarray(cubic(t + 0.5 * dt)), out)
        np.testing.assert_allclose(out, want(t + 0.5 * dt), rtol=0, atol=2e-12 * (1 + np.abs(C).max() * t**3))
        t += dt


def test_a_constant_past_has_no_velocity():
    past = past_of(TAU, constant=True, lifted=lambda t, member: C[0])
    history, out = past.start(0, 0.0, 0.1, 0.1), np.empty((M, N))
    senders(history, 0.05, C[0], out)
    # The weights of the interpolation add up to 1 but for their rounding.
    np.testing.assert_allclose(out, C[0], rtol=4e-16, atol=0)


def test_the_past_may_end_with_a_jump_of_the_velocity():
    """A run that starts from a constant past: before t0 nothing moves, after it the state does."""
    past = past_of(np.full(N, 0.25), constant=True, lifted=lambda t, member: cubic(0.0))
    history, out, t, dt = past.start(0, 0.0, 0.1, 0.1), np.empty((M, N)), 0.0, 0.1
    for _ in range(6):
        push(history, t, cubic(t))
        set_velocity(history, velocity(t))
        senders(history, t + dt, cubic(t), out)
        np.testing.assert_allclose(out, cubic(max(t + dt - 0.25, 0.0)), rtol=0, atol=1e-14)
        t += dt


def test_every_sender_keeps_only_its_own_longest_delay():
    history = past_of(TAU).start(0, 0.0, 0.01, 0.01)
    slots = history.mask + 1
    assert (slots >= TAU / 0.01).all()
    assert (slots <= 2 * (TAU / 0.01 + 5)).all()
    assert len(history.values) == 2 * M * slots.sum()


def test_members_have_weights_and_pasts_of_their_own():
    past = Past(
        LINK_TAU,
        STARTS,
        SOURCE,
        np.concatenate([WEIGHT, 2 * WEIGHT]),
        np.ones(N),
        lambda t, member: (member + 1) * C[0],
        True,
    )
    first, second = (past.start(member, 0.0, 0.1, 0.1) for member in (0, 1))
    np.testing.assert_array_equal(second.weight, 2 * first.weight)
    a, b = np.empty((M, N)), np.empty((M, N))
    links(first, 0.05, C[0], a)
    links(second, 0.05, 2 * C[0], b)
    np.testing.assert_array_equal(b, 4 * a)
