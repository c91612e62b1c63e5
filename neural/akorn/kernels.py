"""Compiled loops of a layer on CPU tensors: each reads its arrays once. Their equations stand where they are called.

Arrays are contiguous, in single or double precision; those of a derivative end in `bar`, and sums are added to.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from numba import njit
from torch import Tensor

compiled: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def usable(*tensors: Tensor) -> bool:
    """Whether the loops can run on these tensors: else torch's own operations, or its compiler, do."""
    kinds = (torch.float32, torch.float64)
    return not torch.compiler.is_compiling() and all(
        t.device.type == "cpu" and t.dtype in kinds and t.dtype == tensors[0].dtype for t in tensors
    )


@compiled
def euler_step(x, y, c, rates, gamma, axes, out):
    """x' = v/‖v‖ with v = x + γ (Ω x + h - ⟨x, h⟩ x), h = y + c. Arrays (cell, oscillator, n).

    rates: (oscillator, n // 2), Ω of the planes; (0, 0) without. axes: a tuple of n entries, so that n is a constant.
    """
    n, one = len(axes), x.dtype.type(1)
    for i in range(x.shape[0]):
        for o in range(x.shape[1]):
            along = square = x.dtype.type(0)
            for a in range(n):
                along += x[i, o, a] * (y[i, o, a] + c[i, o, a])
            for a in range(n):
                v = x[i, o, a] + gamma * (y[i, o, a] + c[i, o, a] - along * x[i, o, a])
                if len(rates) > 0 and a % 2 == 1:
                    v -= gamma * rates[o, a // 2] * x[i, o, a - 1]
                elif len(rates) > 0 and a + 1 < n:
                    v += gamma * rates[o, a // 2] * x[i, o, a + 1]
                out[i, o, a] = v
                square += v * v
            scale = one / math.sqrt(square)
            for a in range(n):
                out[i, o, a] *= scale


@compiled
def euler_step_bar(x, y, c, rates, gamma, axes, new, bar, x_bar, h_bar, rates_bar):
    """Derivative of `euler_step`, whose result is `new`; returns that of γ, in double precision."""
    n, one = len(axes), x.dtype.type(1)
    gamma_bar = 0.0
    for i in range(x.shape[0]):
        for o in range(x.shape[1]):
            along = radial = square = x.dtype.type(0)
            for a in range(n):
                along += x[i, o, a] * (y[i, o, a] + c[i, o, a])
                radial += new[i, o, a] * bar[i, o, a]
            turning = x.dtype.type(0)  # ⟨∂v, d⟩ with v = x + γ d
            inward = x.dtype.type(0)  # ⟨x, ∂v⟩
            for a in range(n):
                d = y[i, o, a] + c[i, o, a] - along * x[i, o, a]
                if len(rates) > 0 and a % 2 == 1:
                    d -= rates[o, a // 2] * x[i, o, a - 1]
                elif len(rates) > 0 and a + 1 < n:
                    d += rates[o, a // 2] * x[i, o, a + 1]
                v = x[i, o, a] + gamma * d
                square += v * v
                v_bar = bar[i, o, a] - radial * new[i, o, a]
                h_bar[i, o, a] = v_bar
                turning += v_bar * d
                inward += v_bar * x[i, o, a]
            scale = one / math.sqrt(square)
            gamma_bar += scale * turning
            inward *= scale
            for a in range(n):
                x_bar[i, o, a] = scale * h_bar[i, o, a]
                h_bar[i, o, a] = x_bar[i, o, a]
            for a in range(n):
                v_bar = h_bar[i, o, a]
                if len(rates) > 0 and a + 1 < n and a % 2 == 0:
                    w_bar = h_bar[i, o, a + 1]
                    rates_bar[o, a // 2] += gamma * (v_bar * x[i, o, a + 1] - w_bar * x[i, o, a])
                    x_bar[i, o, a + 1] += gamma * rates[o, a // 2] * v_bar
                    x_bar[i, o, a] -= gamma * rates[o, a // 2] * w_bar
            for a in range(n):
                x_bar[i, o, a] -= gamma * (along * h_bar[i, o, a] + inward * (y[i, o, a] + c[i, o, a]))
                h_bar[i, o, a] = gamma * (h_bar[i, o, a] - inward * x[i, o, a])
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
                for h in range(u.shape[3]):
                    for p in range(u.shape[5]):
                        first, second = u[b, t, s, h, 0, p], u[b, t, s, h, 1, p]
                        up, down = bar[b, t, s, h, 0, p], bar[b, t, s, h, 1, p]
                        u_bar[b, t, s, h, 0, p] = blocks[t, s, 0, 0, p] * up + blocks[t, s, 1, 0, p] * down
                        u_bar[b, t, s, h, 1, p] = blocks[t, s, 0, 1, p] * up + blocks[t, s, 1, 1, p] * down
                        blocks_bar[t, s, 0, 0, p] += up * first
                        blocks_bar[t, s, 0, 1, p] += up * second
                        blocks_bar[t, s, 1, 0, p] += down * first
                        blocks_bar[t, s, 1, 1, p] += down * second
