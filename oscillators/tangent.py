"""How a small change of the state moves on: derivatives of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from oscillators.coupling import Diffusive, as_coupling
from oscillators.delayed import Delayed
from oscillators.gradients import integrate
from oscillators.system import System


def tangent_maps(system: System, coupling: Any, x: Any, t: Any, **how: Any) -> Tensor:
    """Derivatives M_k = ∂x(t_k)/∂x(t_k−1) along a run, for `analysis.lyapunov_spectrum`.

        run = simulate(system, K, x0, t)
        exponents = lyapunov_spectrum(tangent_maps(system, K, run.theta, t, dt=0.01), t)

    Args:
        system, coupling: as in `integrate`, without delays.
        x: states at the times t, (T + 1, node[, component]); amplitudes complex.
        t: T + 1 times at equal distances.
        how: further arguments of `integrate`: method, dt, a constant drive, ...

    Returns:
        (T, d, d) with all d numbers of a state in one row (complex ones as real pairs). On the sphere the directions along
        x itself are lost in each step: as many exponents as nodes are −inf, or very small.

    Note: all intervals run together, d derivatives after one another; memory grows as T.
    """
    coupling, t = as_coupling(coupling), np.asarray(t, np.float64)
    inner = coupling.coupling if isinstance(coupling, Diffusive) else coupling
    if isinstance(inner, Delayed):
        raise ValueError("`coupling` must have no delays, but has; the state of a delayed network is its whole past.")
    if callable(how.get("drive")):
        raise ValueError("`drive` must be constant, but is a function of t; all intervals run at the same time.")
    x = torch.as_tensor(np.asarray(x) if not isinstance(x, Tensor) else x)
    if t.ndim != 1 or len(t) < 2 or len(x) != len(t):
        raise ValueError(
            f"`t` must be the times of the {len(x)} states in `x`, at least two, but has shape {t.shape}; pass both in full."
        )
    gaps = np.diff(t)
    if not np.allclose(gaps, gaps[0], rtol=1e-6, atol=0.0) or gaps[0] <= 0:
        raise ValueError(
            f"`t` must increase by equal steps, but they lie between {gaps.min():g} and {gaps.max():g}; save the run at "
            "np.linspace."
        )
    with torch.enable_grad():
        start = x[:-1].detach().clone().requires_grad_()
        end = _numbers(integrate(system, coupling, start, [0.0, float(gaps.mean())], **how)[-1])
        rows = [
            _numbers(torch.autograd.grad(end[:, i].sum(), start, retain_graph=True)[0]) for i in range(end.shape[1])
        ]
    return torch.stack(rows, dim=1)


def _numbers(x: Tensor) -> Tensor:
    """All numbers of each state in a row, (T, d)."""
    return (torch.view_as_real(x) if x.is_complex() else x).flatten(1)
