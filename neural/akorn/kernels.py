"""Compiled loops of a layer on CPU tensors: each reads its arrays once. Their equations stand where they are called.

Arrays are contiguous, in single or double precision; those of a derivative end in `bar`, and sums are added to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from numba import njit
from torch import Tensor

SHARE = 2**18  # entries that a thread works on for about a millisecond: to start one takes a tenth of that
compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def usable(*tensors: Tensor) -> bool:
    """Whether the loops can run on these tensors: else torch's own operations, or its compiler, do."""
    kinds = (torch.float32, torch.float64)
    return not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")) and all(
        t.device.type == "cpu" and t.dtype in kinds and t.dtype == tensors[0].dtype for t in tensors
    )


def in_parts(loop: Callable[[slice], Any], count: int, numbers: int) -> list[Any]:
    """The results of a loop over parts of its first axis: one part for each thread of torch, if there is enough to do.

    Args:
        count: length of the axis.
        numbers: entries of an array.
    """
    parts = max(1, min(count, torch.get_num_threads(), numbers // SHARE))
    if parts == 1:
        return [loop(slice(0, count))]
    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(loop, (slice(count * k // parts, count * (k + 1) // parts) for k in range(parts))))


@compiled
def turning(rates, x, i, o, a, n):
    """(Ω x)_a of oscillator o in cell i: Ω turns the planes (0, 1), (2, 3), ... with the rates (oscillator · (n // 2))."""
    if a % 2 == 1:
        return -rates[o * (n // 2) + a // 2] * x[i, o * n + a - 1]
    if a + 1 < n:
        return rates[o * (n // 2) + a // 2] * x[i, o * n + a + 1]
    return x.dtype.type(0)


@compiled
def euler_step(x, y, c, rates, gamma, axes, out):
    """x' = v/‖v‖ with v = x + γ (Ω x + h - ⟨x, h⟩ x), h = y + c; 0 if v = 0. Arrays (cell, oscillator · n).

    axes: a tuple of n entries, so that n is a constant: then several oscillators go through the processor at a time.
    """
    n, zero, one = len(axes), x.dtype.type(0), x.dtype.type(1)
    for i in range(len(x)):
        for o in range(x.shape[1] // n):
            along = square = zero
            for a in range(n):
                along += x[i, o * n + a] * (y[i, o * n + a] + c[i, o * n + a])
            for a in range(n):
                k = o * n + a
                square += (x[i, k] + gamma * (y[i, k] + c[i, k] - along * x[i, k] + turning(rates, x, i, o, a, n))) ** 2
            scale = one / math.sqrt(square) if square > zero else zero
            for a in range(n):
                k = o * n + a
                d = y[i, k] + c[i, k] - along * x[i, k] + turning(rates, x, i, o, a, n)
                out[i, k] = scale * (x[i, k] + gamma * d)


@compiled
def euler_step_bar(x, y, c, rates, gamma, axes, new, bar, x_bar, h_bar, rates_bar):
    """Derivative of `euler_step`, whose result is `new`; returns that of γ, in double precision.

    w = (x'_bar - ⟨x', x'_bar⟩ x')/‖v‖ is that of v; then h_bar = γ (w - ⟨x, w⟩ x) and, with Ω antisymmetric,
    x_bar = w - γ ⟨x, h⟩ w - γ ⟨x, w⟩ (h + Ω x) - Ω h_bar.
    """
    n, zero, one = len(axes), x.dtype.type(0), x.dtype.type(1)
    gamma_bar = 0.0
    for i in range(len(x)):
        row_bar = zero
        for o in range(x.shape[1] // n):
            along = radial = square = moved = zero
            for a in range(n):
                along += x[i, o * n + a] * (y[i, o * n + a] + c[i, o * n + a])
                radial += new[i, o * n + a] * bar[i, o * n + a]
            for a in range(n):
                k = o * n + a
                d = y[i, k] + c[i, k] - along * x[i, k] + turning(rates, x, i, o, a, n)
                square += (x[i, k] + gamma * d) ** 2
                moved += (bar[i, k] - radial * new[i, k]) * d
            scale = one / math.sqrt(square) if square > zero else zero
            row_bar += scale * moved
            for a in range(n):
                x_bar[i, o * n + a] = scale * (bar[i, o * n + a] - radial * new[i, o * n + a])  # w
        gamma_bar += row_bar
        for o in range(x.shape[1] // n):
            inward = zero
            for a in range(n):
                inward += x[i, o * n + a] * x_bar[i, o * n + a]
            for a in range(n):
                h_bar[i, o * n + a] = gamma * (x_bar[i, o * n + a] - inward * x[i, o * n + a])
        for o in range(x.shape[1] // n):
            along = inward = zero
            for a in range(n):
                along += x[i, o * n + a] * (y[i, o * n + a] + c[i, o * n + a])
                inward += x[i, o * n + a] * x_bar[i, o * n + a]
            for a in range(n):
                k = o * n + a
                h = y[i, k] + c[i, k] + turning(rates, x, i, o, a, n)
                x_bar[i, k] -= gamma * (along * x_bar[i, k] + inward * h) + turning(rates, h_bar, i, o, a, n)
        for o in range(x.shape[1] // n):
            for p in range(n // 2):
                k = o * n + 2 * p
                rates_bar[o * (n // 2) + p] += h_bar[i, k] * x[i, k + 1] - h_bar[i, k + 1] * x[i, k]
    return gamma_bar


@compiled
def turned(u, blocks, out):
    """u'_α = Σ_β M_αβ u_β. Arrays (B, token, part, head, 2, pair), blocks (token, part, 2, 2, pair)."""
    for b in range(u.shape[0]):
        for t in range(u.shape[1]):
            for s in range(u.shape[2]):
                for h in range(u.shape[3]):
                    for p in range(u.shape[5]):
                        first, second = u[b, t, s, h, 0, p], u[b, t, s, h, 1, p]
                        out[b, t, s, h, 0, p] = blocks[t, s, 0, 0, p] * first + blocks[t, s, 0, 1, p] * second
                        out[b, t, s, h, 1, p] = blocks[t, s, 1, 0, p] * first + blocks[t, s, 1, 1, p] * second


@compiled
def turned_bar(u, blocks, bar, u_bar, blocks_bar):
    """Derivative of `turned`."""
    for b in range(u.shape[0]):
        for t in range(u.shape[1]):
            for s in range(u.shape[2]):
                M, M_bar = blocks[t, s], blocks_bar[t, s]
                for h in range(u.shape[3]):
                    old, old_bar, new_bar = u[b, t, s, h], u_bar[b, t, s, h], bar[b, t, s, h]
                    for p in range(u.shape[5]):
                        old_bar[0, p] = M[0, 0, p] * new_bar[0, p] + M[1, 0, p] * new_bar[1, p]
                        old_bar[1, p] = M[0, 1, p] * new_bar[0, p] + M[1, 1, p] * new_bar[1, p]
                    for p in range(u.shape[5]):
                        M_bar[0, 0, p] += new_bar[0, p] * old[0, p]
                        M_bar[0, 1, p] += new_bar[0, p] * old[1, p]
                        M_bar[1, 0, p] += new_bar[1, p] * old[0, p]
                        M_bar[1, 1, p] += new_bar[1, p] * old[1, p]
