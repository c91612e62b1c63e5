"""Stability: how fast neighbouring runs part."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from array_api_compat import device

from analysis.checks import alike, real_array
from oscillators.arrays import Array, namespace


def lyapunov_spectrum(M: Array | xr.DataArray, t: Any) -> Any:
    """Lyapunov exponents λ_i = 1/(t_T − t_0) Σ_k log |R_k,ii| from the derivatives of a run, M_k Q_k−1 = Q_k R_k, Q_0 = 1.

    Args:
        M: M_k = ∂x(t_k)/∂x(t_k−1), shape (..., T, d, d), as `oscillators.tangent_maps` returns them; array, tensor
            (differentiable) or DataArray.
        t: times, shape (T + 1,).

    Returns:
        All d exponents in 1/time, largest first, shape (..., d); of a DataArray along `exponent`. A positive one: chaos; of
        a system that is free to turn as a whole, one is 0. Their error falls as 1/(t_T − t_0): drop the transient first.
        −inf where a derivative is singular.

    Raises:
        ValueError: if the shapes do not match, or times do not increase.

    Source: Benettin et al. 1980; Eckmann and Ruelle 1985.
    """
    if isinstance(M, xr.DataArray):
        found = lyapunov_spectrum(M.values, t)
        lead = M.dims[:-3]
        return xr.DataArray(
            found, {d: M[d] for d in lead if d in M.coords}, (*lead, "exponent"), attrs={"units": "1 / time"}
        )
    M, t = alike(real_array("M", M), real_array("t", t))
    _check(M, t)
    xp = namespace(M)
    Q = xp.broadcast_to(xp.eye(M.shape[-1], dtype=M.dtype, device=device(M)), (*M.shape[:-3], *M.shape[-2:]))
    total = 0.0
    with np.errstate(divide="ignore"):  # log 0 of a singular derivative
        for k in range(M.shape[-3]):
            Q, R = xp.linalg.qr(M[..., k, :, :] @ Q)
            total = total + xp.log(xp.abs(xp.linalg.diagonal(R)))
    return xp.sort(total / (t[-1] - t[0]), axis=-1, descending=True)


def _check(M: Array, t: Array) -> None:
    if M.ndim < 3 or M.shape[-1] != M.shape[-2] or 0 in M.shape:
        raise ValueError(
            f"`M` must have shape (..., T, d, d), one square matrix per interval, but has {tuple(M.shape)}; stack them."
        )
    T = M.shape[-3]
    if tuple(t.shape) != (T + 1,):
        raise ValueError(
            f"`t` must have shape ({T + 1},), the ends of the {T} intervals of `M`, but is {tuple(t.shape)}; pass all times."
        )
    if not bool((t[1:] > t[:-1]).all()):
        raise ValueError("`t` must increase, but does not; sort times and matrices.")
