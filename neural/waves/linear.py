"""The cell without tanh: waves decouple in Fourier space, each mode a 2 x 2 recurrence with a known multiplier.

    (y, z)_k <- A_k (y, z)_k + F g_k,    A_k = M + F [ŵ_y(k), ŵ_z(k)]

so that all times follow in log₂ T passes (an associative scan), and μ(k), the eigenvalues of A_k, say which wave grows and
where it goes: |μ| per step, and -arg μ / k sites per step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neural.waves.cell import Orbit, OscillatorCell
from neural.waves.connectivity import Connectivity
from neural.waves.local import Local, Untied


def modes(cell: OscillatorCell, slope: float = 1.0) -> Tensor:
    """A_k at the wave numbers of `torch.fft.fftfreq`: complex (C or 1, *space, 2, 2).

    Args:
        slope: of tanh where the cell is linearised, in (0, 1].
    """
    given = [_symbol(act) for act in (cell.position, cell.velocity)]
    if all(symbol is None for symbol in given):
        raise ValueError("`cell` must have a Local map, but has none; without coupling there are no waves.")
    step = cell.step()
    zero = torch.zeros((), dtype=torch.complex128, device=step.yy.device)
    acts = torch.broadcast_tensors(*(zero if symbol is None else slope * symbol for symbol in given))
    rows = [
        torch.stack([own_y + force * acts[0], own_z + force * acts[1]], -1)
        for own_y, own_z, force in ((step.yy, step.yz, step.ys), (step.zy, step.zz, step.zs))
    ]
    return torch.stack(rows, -2)


def multipliers(cell: OscillatorCell, slope: float = 1.0) -> Tensor:
    """The two μ(k) of each mode exp(ikx), complex (C or 1, *space, 2)."""
    return torch.linalg.eigvals(modes(cell, slope))


def orbit(cell: OscillatorCell, drive: Tensor, start: Orbit | None = None) -> Orbit:
    """What `cell.run` gives for a linear cell on a periodic lattice, in log₂ T passes; arguments as there."""
    if not cell.linear or cell.norm is not None:
        raise ValueError("`cell` must be made with linear=True and without norm; tanh does not leave modes alone.")
    lattice = next(act.lattice for act in (cell.position, cell.velocity) if isinstance(act, Local))
    A, step, axes = modes(cell), cell.step(), tuple(range(-len(lattice) + 1, 0))
    g = torch.fft.fftn(cell.offset(drive).unflatten(-1, lattice), dim=axes)
    b = torch.stack([step.ys * g, step.zs * g], -1)
    if start is not None:
        x = torch.stack([torch.fft.fftn(part.unflatten(-1, lattice), dim=axes) for part in start], -1)
        b = torch.cat([b[:1] + torch.einsum("...ij,...j->...i", A, x), b[1:]])
    y, z = (torch.fft.ifftn(part, dim=axes).real.flatten(2) for part in scan(A, b).unbind(-1))
    return Orbit(y, z)


def scan(A: Tensor, b: Tensor) -> Tensor:
    """x_t = A x_(t - 1) + b_t from x_0 = 0, by doubling: A (..., n, n), b (T, ..., n) -> x (T, ..., n)."""
    x, reach = b, 1
    while reach < len(b):
        x = torch.cat([x[:reach], x[reach:] + torch.einsum("...ij,...j->...i", A, x[:-reach])])
        A, reach = A @ A, 2 * reach
    return x


def _symbol(act: Connectivity | None) -> Tensor | None:
    """ŵ(k) of a map that does not mix channels, (C or 1, *space)."""
    if act is None:
        return None
    if not isinstance(act, Local) or isinstance(act, Untied) or act.sharing == "mixed":
        raise ValueError(
            f"`cell` must have Local maps with sharing 'shared' or 'separate', but has {type(act).__name__}; only these leave "
            "waves exp(ikx) as they are."
        )
    return act.symbol()[:, 0]
