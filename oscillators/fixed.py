"""The time loop of fixed steps."""

from __future__ import annotations

from numba import njit, types

from oscillators.history import HISTORY, push, set_velocity
from oscillators.kernels import _OPTIONS, F1, F3, F4, L1
from oscillators.loops import (
    FATE,
    KERNELS,
    LOCAL,
    NETWORK,
    NOT_FINITE,
    OK,
    WORK,
    all_finite,
    borrow,
    combine,
    copy,
    derivative,
    stop,
)
from oscillators.methods import TABLEAU


def _signature(history):
    return types.void(
        *KERNELS, types.boolean, TABLEAU, NETWORK, history, types.int64, F3, WORK, F1, F1, L1, F4, F4, FATE
    )


FIXED_STEPS, DELAYED_STEPS = _signature(types.none), _signature(HISTORY)


@njit(**LOCAL)
def add_noise(y, network, member, kick, scale):
    """y += scale * sigma * kick, with kick = √dt times normal numbers of every member of a block."""
    for b in range(y.shape[0]):
        sigma = network.noise[min(member + b, network.noise.shape[0] - 1)]
        for a in range(y.shape[1]):
            for i in range(y.shape[2]):
                y[b, a, i] += scale * sigma[a, i] * kick[b, a, i]


@njit(**_OPTIONS)
def fixed_steps(
    lift, tangent, law, project, field, semi_implicit, tableau, network, history, member, x, work, starts, sizes, rows,
    kicks, out, fate,
):  # fmt: skip
    """Take len(starts) steps with a block of members, in place on x; after step s, x is saved in out[rows[s]] (if >= 0).

    member: number of the first member of the block. kicks: (steps, B, d, N), √dt times normal numbers, or empty.
    """
    tableau, network, past, work, fate = borrow((tableau, network, history, work, fate))
    x, starts, sizes, rows, kicks, out = borrow((x, starts, sizes, rows, kicks, out))
    members, d, _ = x.shape
    stages = len(tableau.b)
    flat_x, flat_y = x.reshape(-1), work.y.reshape(-1)
    flat_k = work.k.reshape(stages, -1)
    noisy, moving = kicks.shape[0] > 0, network.drive.shape[0] > 1
    half = d // 2
    for step in range(len(starts)):
        t, dt = starts[step], sizes[step]
        row = step * stages if moving else 0
        if history is not None:
            lift(x[0], work.g)
            push(past, t, work.g)
        derivative(lift, law, field, network, past, member, t, row, x, work, work.k[0])
        if history is not None:
            tangent(x[0], work.k[0, 0], work.h)
            set_velocity(past, work.h)
        if semi_implicit:
            for b in range(members):
                for a in range(half):
                    for i in range(x.shape[2]):
                        kick = dt * work.k[0, b, half + a, i]
                        x[b, half + a, i] += kick
                        x[b, a, i] += dt * (work.k[0, b, a, i] + kick)
        else:
            for s in range(1, stages):
                combine(flat_y, flat_x, flat_k, tableau.a[s], s, dt)
                if noisy:
                    add_noise(work.y, network, member, kicks[step], tableau.c[s])
                t_stage = t + tableau.c[s] * dt
                stage_row = row + s if moving else 0
                derivative(lift, law, field, network, past, member, t_stage, stage_row, work.y, work, work.k[s])
            combine(flat_x, flat_x, flat_k, tableau.b, stages, dt)
            if noisy:
                add_noise(x, network, member, kicks[step], 1.0)
        for b in range(members):
            project(x[b])
        if not all_finite(flat_x):
            for b in range(members):
                if fate.status[b] == OK and not all_finite(x[b].reshape(-1)):
                    stop(x[b], work.k[0, b], fate, b, NOT_FINITE, t + dt)
        for b in range(members):
            fate.counts[b, 0] += fate.status[b] == OK
        if rows[step] >= 0:
            copy(out[rows[step]].reshape(-1), flat_x)
