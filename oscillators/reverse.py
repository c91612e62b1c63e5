"""The compiled discrete adjoint: steps recorded on a tape, and the tape run backward.

    y_s = x + dt Σ_r a_sr k_r,    k_s = law(t_s, y_s, K[lift(y_s)] + c),    x' = project(x + dt Σ_s b_s k_s)

has the derivative, from the last stage to the first and with a bar for ∂L/∂,

    k̄_s = dt b_s x̄' + dt Σ_{r>s} a_rs ȳ_r,    h̄_s = (∂law/∂h)ᵀ k̄_s,    ȳ_s = (∂law/∂y)ᵀ k̄_s + (∂lift/∂y)ᵀ Kᵀ h̄_s,

    x̄ = x̄' + Σ_s ȳ_s.

The tape keeps what every stage showed and felt; after the run backward the cotangents h̄ stand where the fields stood, so
that ∂L/∂K is one product of the two, and ∂L/∂c their sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types

from oscillators.history import HISTORY, push, set_velocity
from oscillators.kernels import (
    _OPTIONS,
    F1,
    F2,
    F3,
    F4,
    FIELD,
    I1,
    L1,
    LAW,
    LAW_VJP,
    LIFT_VJP,
    PROJECT_VJP,
    TANGENT_VJP,
)
from oscillators.loops import KERNELS, LOCAL, NETWORK, WORK, Work, borrow, combine, copy, derivative
from oscillators.methods import TABLEAU
from oscillators.reverse_history import PAST_BARS, links_vjp, newest_bars, senders_vjp

F5 = types.float64[:, :, :, :, ::1]


class Tape(NamedTuple):
    """Consecutive steps of one block of B members."""

    y: np.ndarray  # (steps, stages, B, d, N) states of the stages
    g: np.ndarray  # (steps, stages, B m, N) what they showed
    h: np.ndarray  # (steps, stages, B m, N) the field they felt; after the run backward its cotangent
    end: np.ndarray  # (steps, B, d, N) where the steps ended, before the projection
    inside: np.ndarray  # (saves, B, d, N) states saved inside steps, before the projection
    past: np.ndarray  # (steps, stages, m, N) what a coupling with delays per sender was shown; else empty


class Saves(NamedTuple):
    """Which states of a run leave it, in the order of time."""

    step: np.ndarray  # int64 (saves,): the step each lies in
    inside: np.ndarray  # int64 (saves,): 1 if inside the step, 0 at its end
    weights: np.ndarray  # (saves, stages): inside, the state is x + dt Σ_s weights_s k_s


class Transposed(NamedTuple):
    """Kᵀ as its kernel reads it."""

    meta: np.ndarray
    where: np.ndarray
    weight: np.ndarray  # (1 or members, W)


class Bars(NamedTuple):
    """Cotangents, and the scratch to compute them."""

    x: np.ndarray  # (B, d, N) of the state
    y: np.ndarray  # (B, d, N) of a stage
    k: np.ndarray  # (stages, B, d, N) of the velocities
    g: np.ndarray  # (B m, N) of what a stage showed
    back: np.ndarray  # (B m, N) Kᵀ h̄
    params: np.ndarray  # (B, P, N)


TAPE = types.NamedTuple([F5, F4, F4, F4, F4, F4], Tape)
SAVES = types.NamedTuple([L1, L1, F2], Saves)
TRANSPOSED = types.NamedTuple([L1, I1, F2], Transposed)
BARS = types.NamedTuple([F3, F3, F4, F2, F2, F3], Bars)
VJPS = tuple(types.FunctionType(s) for s in (LIFT_VJP, TANGENT_VJP, LAW_VJP, PROJECT_VJP, FIELD))


def _record(history):
    return types.void(
        *KERNELS, types.boolean, TABLEAU, NETWORK, history, types.int64, F3, WORK, F1, F1, types.int64, SAVES, TAPE, F4
    )


def _reverse(history, past_bars):
    return types.void(
        types.FunctionType(LAW), *VJPS, types.boolean, TABLEAU, NETWORK, TRANSPOSED, history, past_bars, types.int64, F1,
        F1, types.int64, SAVES, TAPE, F4, BARS,
    )  # fmt: skip


RECORD, DELAYED_RECORD = _record(types.none), _record(HISTORY)
REVERSE, DELAYED_REVERSE = _reverse(types.none, types.none), _reverse(HISTORY, PAST_BARS)


@njit(**_OPTIONS)
def record(
    lift, tangent, law, project, field, semi_implicit, tableau, network, history, member, x, work, starts, sizes, first,
    saves, tape, out,
):  # fmt: skip
    """Take len(starts) steps, the first of them number `first` of the run, in place on x; fill the tape and the saves.

    member: number of the first member of the block. saves, out, tape.inside: those within these steps, in order.
    """
    tableau, network, past, work, saves, tape = borrow((tableau, network, history, work, saves, tape))
    x, starts, sizes, out = borrow((x, starts, sizes, out))
    stages, moving = len(tableau.b), network.drive.shape[0] > 1
    flat_x = x.reshape(-1)
    flat_k = work.k.reshape(stages, -1)
    row = 0
    for i in range(len(starts)):
        t, dt = starts[i], sizes[i]
        if history is not None:
            lift(x[0], tape.g[i, 0])
            push(past, t, tape.g[i, 0])
        for s in range(stages):
            combine(tape.y[i, s].reshape(-1), flat_x, flat_k, tableau.a[s], s, dt)
            seen = Work(work.y, tape.g[i, s], tape.h[i, s], work.past if history is None else tape.past[i, s], work.k)
            stage = (first + i) * stages + s if moving else 0
            at = t + tableau.c[s] * dt
            derivative(lift, law, field, network, past, member, at, stage, tape.y[i, s], seen, work.k[s])
            if history is not None and s == 0:
                tangent(x[0], work.k[0, 0], work.h)
                set_velocity(past, work.h)
        end = tape.end[i]
        if semi_implicit:
            _velocity_first(end, x, work.k[0], dt)
        else:
            combine(end.reshape(-1), flat_x, flat_k, tableau.b, stages, dt)
        while row < len(saves.step) and saves.step[row] == first + i and saves.inside[row] != 0:
            combine(tape.inside[row].reshape(-1), flat_x, flat_k, saves.weights[row], stages, dt)
            copy(out[row].reshape(-1), tape.inside[row].reshape(-1))
            for b in range(x.shape[0]):
                project(out[row, b])
            row += 1
        copy(flat_x, end.reshape(-1))
        for b in range(x.shape[0]):
            project(x[b])
        if row < len(saves.step) and saves.step[row] == first + i:
            copy(out[row].reshape(-1), flat_x)
            row += 1


@njit(**LOCAL)
def _velocity_first(end, x, k, dt):
    """A step of the semi-implicit method: v with the old position, then the position with the new v."""
    half = x.shape[1] // 2
    for b in range(x.shape[0]):
        for a in range(half):
            for j in range(x.shape[2]):
                kick = dt * k[b, half + a, j]
                end[b, half + a, j] = x[b, half + a, j] + kick
                end[b, a, j] = x[b, a, j] + dt * (k[b, a, j] + kick)


@njit(**LOCAL)
def _velocity_first_vjp(xbar, kbar, dt):
    half = xbar.shape[1] // 2
    for b in range(xbar.shape[0]):
        for a in range(half):
            for j in range(xbar.shape[2]):
                kbar[b, a, j] = dt * xbar[b, a, j]
                kbar[b, half + a, j] = dt * (xbar[b, half + a, j] + dt * xbar[b, a, j])


@njit(**LOCAL)
def add(target, weight, source):
    """target += weight * source for flat arrays."""
    for i in range(len(source)):
        target[i] += weight * source[i]


@njit(**_OPTIONS)
def reverse(
    law, lift_vjp, tangent_vjp, law_vjp, project_vjp, back, semi_implicit, tableau, network, transposed, history,
    past_bars, member, starts, sizes, first, saves, tape, outbar, bars,
):  # fmt: skip
    """Run a tape backward: bars.x from the end of the steps to their start; bars.params collects, tape.h becomes h̄.

    outbar: cotangents of the saves. past_bars: of the knots, the delays and the weights of delayed links.
    """
    tableau, network, saves, tape, bars = borrow((tableau, network, saves, tape, bars))
    transposed, past, ago, starts, sizes, outbar = borrow((transposed, history, past_bars, starts, sizes, outbar))
    stages, members = len(tableau.b), bars.x.shape[0]
    flat_x, flat_y = bars.x.reshape(-1), bars.y.reshape(-1)
    flat_k = bars.k.reshape(stages, -1)
    row = len(saves.step) - 1
    for i in range(len(starts) - 1, -1, -1):
        t, dt = starts[i], sizes[i]
        if row >= 0 and saves.step[row] == first + i and saves.inside[row] == 0:
            add(flat_x, 1.0, outbar[row].reshape(-1))
            row -= 1
        for b in range(members):
            project_vjp(tape.end[i, b], bars.x[b])
        if semi_implicit:
            _velocity_first_vjp(bars.x, bars.k[0], dt)
        else:
            for s in range(stages):
                scale = dt * tableau.b[s]
                for j in range(len(flat_x)):
                    flat_k[s, j] = scale * flat_x[j]
        while row >= 0 and saves.step[row] == first + i:
            for b in range(members):
                project_vjp(tape.inside[row, b], outbar[row, b])
            flat_out = outbar[row].reshape(-1)
            add(flat_x, 1.0, flat_out)
            for s in range(stages):
                add(flat_k[s], dt * saves.weights[row, s], flat_out)
            row -= 1
        for s in range(stages - 1, -1, -1):
            if history is not None and s == 0:
                _knot_vjp(law, lift_vjp, tangent_vjp, network, past, ago, member, t, tape, i, bars)
            at = t + tableau.c[s] * dt
            _stage_vjp(lift_vjp, law_vjp, back, network, transposed, past, ago, member, at, tape, i, s, bars)
            add(flat_x, 1.0, flat_y)
            for r in range(s):
                if tableau.a[s, r] != 0.0:
                    add(flat_k[r], dt * tableau.a[s, r], flat_y)
        if history is not None:
            past.newest[0] -= 1


@njit(**LOCAL)
def _stage_vjp(lift_vjp, law_vjp, back, network, transposed, history, past_bars, member, t, tape, i, s, bars):
    """bars.y, the cotangent of the state at a stage, from bars.k[s], that of its velocity."""
    members = bars.x.shape[0]
    m = bars.g.shape[0] // members
    y, g, h = tape.y[i, s], tape.g[i, s], tape.h[i, s]
    flat_y, flat_g = bars.y.reshape(-1), bars.g.reshape(-1)
    for j in range(len(flat_y)):
        flat_y[j] = 0.0
    for j in range(len(flat_g)):
        flat_g[j] = 0.0
    for b in range(members):
        lo, hi = b * m, (b + 1) * m
        params = network.params[min(member + b, network.params.shape[0] - 1)]
        law_vjp(
            t, y[b], g[lo:hi], h[lo:hi], params, network.table, bars.k[s, b], bars.y[b], bars.g[lo:hi],
            bars.back[lo:hi], bars.params[b],
        )  # fmt: skip
    copy(h.reshape(-1), bars.back.reshape(-1))  # the law has read the field; its cotangent takes the place
    if history is not None and len(history.starts) > 0:
        links_vjp(history, past_bars, t, g, h, bars.g)
    else:
        weight = transposed.weight[min(member, transposed.weight.shape[0] - 1)]
        rows, into = h.reshape(-1, network.nodes), bars.back.reshape(-1, network.nodes)
        back(transposed.meta, transposed.where, weight, rows, into)
        if history is None:
            add(flat_g, 1.0, bars.back.reshape(-1))
        else:
            senders_vjp(history, past_bars, t, bars.back, bars.g)
    if network.degree.shape[0] > 0:
        for b in range(members):
            degree = network.degree[min(member + b, network.degree.shape[0] - 1)]
            for q in range(b * m, (b + 1) * m):
                for j in range(len(degree)):
                    bars.g[q, j] -= degree[j] * h[q, j]
    for b in range(members):
        lift_vjp(y[b], g[b * m : (b + 1) * m], bars.g[b * m : (b + 1) * m], bars.y[b])


@njit(**LOCAL)
def _knot_vjp(law, lift_vjp, tangent_vjp, network, history, past_bars, member, t, tape, i, bars):
    """From the knot at the start of step i, the newest, to the state there and its velocity."""
    y, g, h = tape.y[i, 0], tape.g[i, 0], tape.h[i, 0]
    params = network.params[min(member, network.params.shape[0] - 1)]
    law(t, y[0], g, h, params, network.table, bars.y[0])
    newest_bars(history, past_bars, bars.g, bars.back)
    lift_vjp(y[0], g, bars.g, bars.x[0])
    tangent_vjp(y[0], bars.y[0], bars.back, bars.x[0], bars.k[0, 0])
