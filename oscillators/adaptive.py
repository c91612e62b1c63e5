"""The time loop of adaptive steps, with dense output."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from oscillators.kernels import _OPTIONS, F1, F3, F4
from oscillators.loops import (
    FATE,
    KERNELS,
    LOCAL,
    NETWORK,
    NOT_FINITE,
    STEP_UNDERFLOW,
    WORK,
    borrow,
    combine,
    copy,
    derivative,
    stop,
)
from oscillators.methods import TABLEAU

RUNNING, FINISHED, FULL = 0, 1, 2  # how the loop returns

# The clock of an adaptive run, an array so that the run can pause: time, next step, last error, index of the next save.
TIME, STEP, ERROR, SAVE = 0, 1, 2, 3
SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0  # Hairer, Norsett and Wanner 1993, II.4
BETA = 0.04  # weight of the last error (PI control); 0 would be the plain controller

ADAPTIVE_STEPS = types.int64(
        *KERNELS, types.boolean, TABLEAU, NETWORK, types.int64, F3, WORK, F3, F1, F1, types.float64,
        types.float64, types.int64, F4, types.int64, FATE, types.int64,
    )  # fmt: skip


@njit(**LOCAL)
def _norm(v, x, y, rtol, atol):
    """Root mean square of v in units of the tolerance at states x and y."""
    total = 0.0
    for i in range(len(v)):
        scaled = v[i] / (atol + rtol * max(abs(x[i]), abs(y[i])))
        total += scaled * scaled
    return math.sqrt(total / len(v))


@njit(**LOCAL)
def _interpolate(out, x, k, d, p, dt):
    """State at the fraction p of a step."""
    for i in range(len(out)):
        out[i] = x[i]
    for s in range(d.shape[0]):
        w = dt * p * (d[s, 0] + p * (d[s, 1] + p * (d[s, 2] + p * d[s, 3])))
        ks = k[s]
        for i in range(len(out)):
            out[i] += w * ks[i]


@njit(**LOCAL)
def _first_step(lift, law, field, network, member, t, x, work, rtol, atol):
    """A first step from the sizes of x, dx/dt and its change (Hairer, Norsett and Wanner 1993, II.4)."""
    flat_x, flat_y = x.reshape(-1), work.y.reshape(-1)
    k0, k1 = work.k[0].reshape(-1), work.k[1].reshape(-1)
    speed = _norm(k0, flat_x, flat_x, rtol, atol)
    size = _norm(flat_x, flat_x, flat_x, rtol, atol)
    step = 1e-6 if size < 1e-5 or speed < 1e-5 else 0.01 * size / speed
    for i in range(len(flat_y)):
        flat_y[i] = flat_x[i] + step * k0[i]
    derivative(lift, law, field, network, None, member, t + step, np.int64(0), work.y, work, work.k[1])
    for i in range(len(flat_y)):
        k1[i] -= k0[i]
    change = _norm(k1, flat_x, flat_x, rtol, atol) / step
    fastest = max(speed, change)
    second = max(1e-6, step * 1e-3) if fastest <= 1e-15 else (0.01 / fastest) ** 0.2
    return min(100.0 * step, second)


@njit(**_OPTIONS)
def adaptive_steps(
    lift, tangent, law, project, field, projecting, tableau, network, member, x, work, trial, times, clock, rtol,
    atol, attempts, out, first_row, fate, slot,
):  # fmt: skip
    """Advance one member until its last time, a full `out`, or a number of attempts; saves by dense output.

    The state x, work.k[0] (its velocity) and the clock carry a paused run. A step of 0 on the clock starts one.
    first_row: index in times of out[0]. slot: the place of this member in fate.
    """
    tableau, network, work, fate = borrow((tableau, network, work, fate))
    x, trial, times, clock, out = borrow((x, trial, times, clock, out))
    stages = len(tableau.b)
    flat_x, flat_y, flat_trial = x.reshape(-1), work.y.reshape(-1), trial.reshape(-1)
    flat_k = work.k.reshape(stages, -1)
    t, end, first = clock[TIME], times[-1], np.int64(0)  # a typed 0, so that `derivative` is compiled once
    if clock[STEP] == 0.0:
        derivative(lift, law, field, network, None, member, t, first, x, work, work.k[0])
        clock[STEP] = _first_step(lift, law, field, network, member, t, x, work, rtol, atol)
        if not clock[STEP] > 0.0:  # the velocity is not finite at the very start
            stop(x[0], work.k[0, 0], fate, slot, NOT_FINITE, t)
            return FINISHED
    for _ in range(attempts):
        dt = min(clock[STEP], end - t)
        if dt < 16.0 * np.spacing(max(abs(t), abs(end))) and dt < end - t:
            stop(x[0], work.k[0, 0], fate, slot, STEP_UNDERFLOW, t)
            return FINISHED
        for s in range(1, stages):
            target = flat_trial if s == stages - 1 else flat_y  # the last stage of both pairs is the new state
            combine(target, flat_x, flat_k, tableau.a[s], s, dt)
            at = trial if s == stages - 1 else work.y
            row = s if network.drive.shape[0] > 1 else first
            derivative(lift, law, field, network, None, member, t + tableau.c[s] * dt, row, at, work, work.k[s])
        for i in range(len(flat_y)):
            flat_y[i] = 0.0
        combine(flat_y, flat_y, flat_k, tableau.e, stages, dt)
        error = _norm(flat_y, flat_x, flat_trial, rtol, atol)
        if not error <= 1.0:  # also when the error is not a number
            fate.counts[slot, 1] += 1
            shrink = max(SHRINK, SAFETY * error ** (BETA - 0.2)) if error < math.inf else SHRINK
            clock[STEP] = dt * min(shrink, 1.0)
            continue
        fate.counts[slot, 0] += 1
        t_new = end if dt == end - t else t + dt
        save = int(clock[SAVE])
        while save < len(times) and times[save] <= t_new:
            if save - first_row == out.shape[0]:
                break
            _interpolate(out[save - first_row, 0].reshape(-1), flat_x, flat_k, tableau.d, (times[save] - t) / dt, dt)
            if times[save] == t_new:
                copy(out[save - first_row, 0].reshape(-1), flat_trial)
            project(out[save - first_row, 0])
            save += 1
        if save < len(times) and times[save] <= t_new:  # out is full inside this step: take the step again later
            clock[SAVE] = save
            fate.counts[slot, 0] -= 1
            return FULL
        clock[SAVE] = save
        factor = GROW
        if error > 0.0:
            factor = min(GROW, max(SHRINK, SAFETY * error ** (0.75 * BETA - 0.2) * max(clock[ERROR], 1e-4) ** BETA))
        clock[ERROR] = error
        clock[STEP] = max(dt, clock[STEP] if dt == end - t else dt) * factor
        copy(flat_x, flat_trial)
        t = t_new
        clock[TIME] = t
        if projecting:
            project(x[0])
            if t < end:
                row = stages - 1 if network.drive.shape[0] > 1 else first
                derivative(lift, law, field, network, None, member, t, row, x, work, work.k[0])
        else:
            copy(flat_k[0], flat_k[stages - 1])
        if t >= end:
            return FINISHED
        if save - first_row == out.shape[0]:
            return FULL
    return RUNNING
