"""The scan of a cell in compiled loops, forward and backward; on the processor, in single or double precision.

`orbit` keeps all states. `last` keeps one in √T and takes the steps between them again on the way back; or one in K and
undoes them:

    y = y' - Δt z',    z = (z' + Δt γ y - Δt s) / (1 - Δt ε),    s = σ(W y + 𝒲 z + g) by iteration

Undoing a damped step multiplies rounding by 1/|λ| of its faster mode, so K is chosen from the constants, and each stretch
must end where it began; one that does not (or where the iteration would not converge) is computed forward again instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neural.waves import kernels, stability
from neural.waves.connectivity import AllToAll, Links
from neural.waves.constants import Step
from oscillators.tensors import memory

if TYPE_CHECKING:
    from neural.waves.cell import OscillatorCell

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}  # of a state that was met again, relative to the largest entry


def usable(cell: OscillatorCell, drive: Tensor, *start: Tensor) -> bool:
    """Whether the loops can run: else `neural.waves.cell.portable` does."""
    tensors = (
        drive,
        *start,
        *(p for act in (cell.position, cell.velocity) if act is not None for p in act.parameters()),
    )
    return (
        cell.norm is None
        and not torch.compiler.is_compiling()
        and drive.dtype in TOLERANCE
        and all(t.device.type == "cpu" and t.dtype == drive.dtype for t in tensors)
    )


def orbit(cell: OscillatorCell, step: Step, drive: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    """y and z after every step, (T, B, N) each, and after the last, (B, N) each; all states are kept."""
    maps, weight = _maps(cell, drive)
    return _Orbit.apply(maps, cell.linear, drive, y, z, weight, _rows(step, drive))


def last(cell: OscillatorCell, step: Step, drive: Tensor, y: Tensor, z: Tensor, *, undo: bool) -> tuple[Tensor, ...]:
    """y and z after the last step, (B, N) each; some states are kept."""
    maps, weight = _maps(cell, drive)
    K = 0.0 if not undo else stability.segment_length(cell, TOLERANCE[drive.dtype], torch.finfo(drive.dtype).eps)
    return _Last.apply(maps, cell.linear, K, drive, y, z, weight, _rows(step, drive))


class Maps(NamedTuple):
    """The links of [W | 𝒲] from sender to receiver, and back; None: it is a matrix (N, 2N), because one of them is dense."""

    there: Links | None = None
    back: Links | None = None


def _maps(cell: OscillatorCell, drive: Tensor) -> tuple[Maps, Tensor]:
    """[W | 𝒲], and its weights."""
    acts = (cell.position, cell.velocity)
    given = [act for act in acts if act is not None]
    if not given:
        N = drive.shape[-1]
        return Maps(Links.none(N), Links.none(2 * N)), drive.new_empty(0)
    if any(isinstance(act, AllToAll) for act in given):
        zero = torch.zeros_like(given[0].matrix())
        return Maps(), torch.cat([zero if act is None else act.matrix() for act in acts], 1)
    return Maps(cell.links, cell.links_back), torch.cat([act.weights() for act in given])


def _rows(step: Step, drive: Tensor) -> Tensor:
    """The step as (6, N)."""
    return torch.stack([part.to(drive.dtype).expand(drive.shape[-1]) for part in step])


Pair = tuple[Tensor, Tensor] | list[Tensor]  # y and z


class _Scan(NamedTuple):
    """T steps, as the loops read them."""

    maps: Maps
    linear: bool
    drive: Tensor
    weight: Tensor
    c: Tensor

    def forward(self, start: Pair, orbit: Pair) -> None:
        arrays = memory(self.weight, self.c, self.drive)
        kernels.forward(self.maps.there, *arrays[:2], self.linear, arrays[2], memory(*start), memory(*orbit))

    def backward(self, start: Pair, orbit: Pair, orbit_bar: Sequence[Tensor | None], last: Pair, bars: _Bars) -> float:
        """Returns how far the steps, if they had to be undone, end from the start."""
        none = self.drive.new_empty(0, *self.drive.shape[1:])
        given = [none if bar is None else bar for bar in orbit_bar]
        pairs = (memory(*pair) for pair in (start, orbit, given, last))
        weight, c, drive = memory(self.weight, self.c, self.drive)
        return kernels.backward(*self.maps, weight, c, self.linear, drive, *pairs, *memory(*bars))

    def part(self, steps: slice) -> _Scan:
        return self._replace(drive=self.drive[steps])


class _Bars(NamedTuple):
    """Cotangents that the loops fill (`drive`) or add to (the others); empty where none is wanted."""

    drive: Tensor
    weight: Tensor
    c: Tensor

    @staticmethod
    def of(scan: _Scan, *, weight: bool, constants: bool) -> _Bars:
        W, c = scan.weight, scan.c
        return _Bars(
            torch.empty_like(scan.drive, memory_format=torch.contiguous_format),
            torch.zeros_like(W) if weight else W.new_empty((0,) * W.ndim),
            torch.zeros_like(c) if constants else c.new_empty(0, c.shape[1]),
        )


class _Orbit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, linear: bool, drive, y0, z0, weight, c) -> tuple[Tensor, ...]:
        y, z = (torch.empty_like(drive, memory_format=torch.contiguous_format) for _ in range(2))
        _Scan(maps, linear, drive, weight, c).forward((y0, z0), (y, z))
        ctx.maps, ctx.linear = maps, linear
        ctx.save_for_backward(drive, weight, c, y0, z0, y, z)
        ctx.set_materialize_grads(False)
        return y, z, y[-1].clone(), z[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, y_bar, z_bar, *last_bar):
        drive, weight, c, y0, z0, y, z = ctx.saved_tensors
        scan, dense = _Scan(ctx.maps, ctx.linear, drive, weight, c), ctx.maps.there is None
        last = [torch.zeros_like(y0) if bar is None else bar.clone().contiguous() for bar in last_bar]
        bars = _Bars.of(scan, weight=not dense, constants=ctx.needs_input_grad[6])
        scan.backward((y0, z0), (y, z), (y_bar, z_bar), last, bars)
        weight_bar = _outer(bars.drive, (y0, z0), (y, z)) if dense else bars.weight
        return None, None, bars.drive, *last, weight_bar, bars.c if ctx.needs_input_grad[6] else None


class _Last(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Maps, linear: bool, K: float, drive, y0, z0, weight, c) -> tuple[Tensor, ...]:
        scan, T = _Scan(maps, linear, drive, weight, c), len(drive)
        ctx.length = min(T, int(min(K, T))) if K >= 2 else math.isqrt(T - 1) + 1
        state: tuple[Tensor, Tensor] = (y0, z0)
        kept: list[Tensor] = []
        for first in range(0, T, ctx.length):
            kept += state
            new = torch.empty_like(y0)[None], torch.empty_like(z0)[None]
            scan.part(slice(first, first + ctx.length)).forward(state, new)
            state = new[0][0], new[1][0]
        ctx.maps, ctx.linear, ctx.undo = maps, linear, K >= 2
        ctx.save_for_backward(drive, weight, c, *kept, *state)
        return state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *last_bar):
        drive, weight, c, *kept = ctx.saved_tensors
        scan, moments = _Scan(ctx.maps, ctx.linear, drive, weight, c), list(zip(kept[::2], kept[1::2], strict=True))
        last = [bar.clone().contiguous() for bar in last_bar]
        bars = _Bars.of(scan, weight=True, constants=ctx.needs_input_grad[7])
        for k in reversed(range(len(moments) - 1)):
            steps = slice(k * ctx.length, (k + 1) * ctx.length)
            _stretch(
                scan.part(steps), moments[k], moments[k + 1], last, bars._replace(drive=bars.drive[steps]), ctx.undo
            )
        return None, None, None, bars.drive, *last, bars.weight, bars.c if ctx.needs_input_grad[7] else None


def _stretch(scan: _Scan, start: Pair, end: Pair, last: list[Tensor], bars: _Bars, undo: bool) -> None:
    """The derivative of one stretch: by undoing its steps, or, where that fails, by taking them again."""
    none, sums = (None, None), (*last, bars.weight, bars.c)
    if undo:
        before = [x.clone() for x in sums]
        if scan.backward(start, [x[None] for x in end], none, last, bars) <= TOLERANCE[scan.drive.dtype]:
            return
        for x, old in zip(sums, before, strict=True):
            x.copy_(old)
    again = torch.empty_like(scan.drive), torch.empty_like(scan.drive)
    scan.forward(start, again)
    scan.backward(start, again, none, last, bars)


def _outer(h: Tensor, start: Pair, orbit: Pair) -> Tensor:
    """Σ over times and members of h (y, z)ᵀ of the step before: the derivative of the matrix, (N, 2N)."""
    found = [h[0].T @ x0 + h[1:].flatten(0, 1).T @ x[:-1].flatten(0, 1) for x0, x in zip(start, orbit, strict=True)]
    return torch.cat(found, 1)
