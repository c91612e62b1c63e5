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
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from neural.waves import kernels, kernels_backward, stability
from neural.waves.connectivity import AllToAll, Connectivity, Links
from neural.waves.constants import Step
from neural.waves.norm import SheetNorm
from oscillators.tensors import memory

if TYPE_CHECKING:
    from neural.waves.cell import OscillatorCell
    from neural.waves.first_order import WaveCell


Cell: TypeAlias = "OscillatorCell | WaveCell"
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-3}  # of a state that was met again, relative to the largest entry
LAYER_NORMS = (nn.LayerNorm, SheetNorm)  # exactly: a subclass may compute something else
Parts = Sequence[Tensor]  # of a state: (y, z), or (h,)


def usable(cell: Cell, drive: Tensor, start: Parts) -> bool:
    """Whether the loops can run: else the cell steps in torch's own operations."""
    norm: Any = cell.norm
    layer_norm = type(norm) in LAYER_NORMS and math.prod(norm.normalized_shape) == drive.shape[-1]
    modules = (norm, *cell.maps)
    tensors = (drive, *start, *(p for module in modules if module is not None for p in module.parameters()))
    return (
        (norm is None or layer_norm)
        and not torch.compiler.is_compiling()
        and drive.dtype in TOLERANCE
        and all(t.device.type == "cpu" and t.dtype == drive.dtype for t in tensors)
    )


def orbit(cell: Cell, drive: Tensor, start: Parts, step: Step | None = None) -> list[Tensor]:
    """Each part of the state after every step, (T, B, N), and then after the last, (B, N); all states are kept.

    step: of second order; None: of first.
    """
    law, tensors = _law(cell, drive, step)
    found = _Orbit.apply(law, drive, *tensors, *start)
    return [*(part.transpose(1, 2) for part in found[: len(start)]), *found[len(start) :]]


def last(cell: OscillatorCell, drive: Tensor, start: Parts, step: Step, *, undo: bool) -> tuple[Tensor, ...]:
    """y and z after the last step, (B, N) each; some states are kept, and none where there are no gradients."""
    law, tensors = _law(cell, drive, step)
    K = 0.0 if torch.is_grad_enabled() else float("inf")
    if undo and cell.norm is None:
        K = stability.segment_length(cell, TOLERANCE[drive.dtype], torch.finfo(drive.dtype).eps)
    return _Last.apply(law, K, drive, *tensors, *start)


class Maps(NamedTuple):
    """The links of [W | 𝒲] from sender to receiver, and back; None: it is a matrix (N, 2N), because one of them is dense."""

    there: Links | None = None
    back: Links | None = None


class _Law(NamedTuple):
    """What a step is, beside its tensors: the maps, the number of the activation, and the ε of the layer norm."""

    maps: Maps
    sigma: int
    eps: float


def _law(cell: Cell, drive: Tensor, step: Step | None) -> tuple[_Law, tuple[Tensor, Tensor, Tensor]]:
    """The step of a cell, and its tensors: weights of the maps, constants (6, N) or (0, N), layer norm (2, N) or (2, 0)."""
    (maps, weight), N = _maps(cell, drive), drive.shape[-1]
    parts = [] if step is None else [part.to(drive.dtype).expand(N) for part in step]
    c = torch.stack(parts) if parts else drive.new_empty(0, N)
    sigma = kernels.ACTIVATIONS[cell.activation]
    norm: Any = cell.norm
    if norm is None:
        return _Law(maps, sigma, 0.0), (weight, c, drive.new_empty(2, 0))
    w, b = norm.weight, norm.bias
    w = drive.new_ones(N) if w is None else w.flatten()
    b = drive.new_zeros(N) if b is None else b.flatten()
    return _Law(maps, sigma, norm.eps), (weight, c, torch.stack([w, b]))


def _maps(cell: Cell, drive: Tensor) -> tuple[Maps, Tensor]:
    """[W | 𝒲], and its weights."""
    given: list[Connectivity] = [act for act in cell.maps if act is not None]
    if not given:
        N = drive.shape[-1]
        return Maps(Links.none(N), Links.none(2 * N)), drive.new_empty(0)
    if any(isinstance(act, AllToAll) for act in given):
        zero = torch.zeros_like(given[0].matrix())
        return Maps(), torch.cat([zero if act is None else act.matrix() for act in cell.maps], 1)
    return Maps(cell.links, cell.links_back), torch.cat([act.weights() for act in given])


class _Scan(NamedTuple):
    """T steps, as the loops read them."""

    law: _Law
    drive: Tensor
    weight: Tensor
    c: Tensor
    norm: Tensor

    def forward(self, start: Parts, orbit: Parts, squashed: Tensor) -> None:
        """orbit: room for parts (T or 1, N, B); squashed: for (T or 0, N, B)."""
        weight, c, norm, drive, s = memory(self.weight, self.c, self.norm, self.drive, squashed)
        maps, sigma, eps = self.law
        kernels.forward(maps.there, weight, c, sigma, norm, eps, drive, memory(*start), memory(*orbit), s)

    def backward(self, start: Parts, orbit: Parts, squashed: Tensor, orbit_bar: Any, last: Parts, bars: _Bars) -> float:
        """Returns how far the steps, if they had to be undone, end from the start."""
        none = orbit[0].new_empty(0, *orbit[0].shape[1:])
        given = [none if bar is None else bar for bar in orbit_bar]
        weight, c, norm, drive, s = memory(self.weight, self.c, self.norm, self.drive, squashed)
        maps, sigma, eps = self.law
        pairs = memory(*start), memory(*orbit), s, memory(*given), memory(*last)
        return kernels_backward.backward(*maps, weight, c, sigma, norm, eps, drive, *pairs, *memory(*bars))

    def part(self, steps: slice) -> _Scan:
        return self._replace(drive=self.drive[steps])

    def room(self, moments: int | None = None) -> Tensor:
        """For one part of the orbit, at so many moments or at all, (T, N, B)."""
        T, B, N = self.drive.shape
        return self.drive.new_empty(T if moments is None else moments, N, B)


class _Bars(NamedTuple):
    """Cotangents that the loops fill (`drive`) or add to (the others); empty where none is wanted."""

    drive: Tensor
    weight: Tensor
    c: Tensor
    norm: Tensor

    @staticmethod
    def of(scan: _Scan, *, weight: bool, constants: bool) -> _Bars:
        W, c = scan.weight, scan.c
        return _Bars(
            torch.empty_like(scan.drive, memory_format=torch.contiguous_format),
            torch.zeros_like(W) if weight else W.new_empty((0,) * W.ndim),
            torch.zeros_like(c) if constants else c.new_empty(0, c.shape[1]),
            torch.zeros_like(scan.norm),
        )


class _Orbit(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, law: _Law, drive, weight, c, norm, *start) -> tuple[Tensor, ...]:
        scan = _Scan(law, drive, weight, c, norm)
        orbit = [scan.room() for _ in start]
        squashed = scan.room() if len(start) > 1 else orbit[0]  # of first order, the state is the squashed field
        scan.forward(start, orbit, squashed)
        ctx.law = law
        ctx.save_for_backward(weight, c, norm, squashed, *start, *orbit)
        ctx.set_materialize_grads(False)
        return *orbit, *(part[-1].T.contiguous() for part in orbit)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *bars_of):
        weight, c, norm, squashed, *states = ctx.saved_tensors
        order = len(states) // 2
        drive = torch.empty_like(squashed.mT, memory_format=torch.contiguous_format)  # only its shape is needed
        start, orbit, orbit_bar, last_bar = states[:order], states[order:], bars_of[:order], bars_of[order:]
        scan, dense = _Scan(ctx.law, drive, weight, c, norm), ctx.law.maps.there is None
        last = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in start]
        for bar, given in zip(last, last_bar, strict=True):
            if given is not None:
                bar.copy_(given)
        bars = _Bars.of(scan, weight=not dense, constants=ctx.needs_input_grad[3])
        scan.backward(start, orbit, squashed, orbit_bar, last, bars)
        weight_bar = _outer(bars.drive, start, orbit) if dense else bars.weight
        return None, bars.drive, weight_bar, bars.c if ctx.needs_input_grad[3] else None, bars.norm, *last


class _Last(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, law: _Law, K: float, drive, weight, c, norm, *start) -> tuple[Tensor, ...]:
        scan, T = _Scan(law, drive, weight, c, norm), len(drive)
        ctx.length = min(T, int(min(K, T))) if K >= 2 else math.isqrt(T - 1) + 1
        state: Parts = start
        kept: list[Tensor] = []
        for first in range(0, T, ctx.length):
            kept += state
            new, none = [scan.room(1) for _ in start], scan.room(0)
            scan.part(slice(first, first + ctx.length)).forward(state, new, none)
            state = [part[0].T.contiguous() for part in new]
        ctx.law, ctx.undo = law, K >= 2
        ctx.save_for_backward(drive, weight, c, norm, *kept, *state)
        return tuple(state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *last_bar):
        drive, weight, c, norm, *kept = ctx.saved_tensors
        scan, moments = _Scan(ctx.law, drive, weight, c, norm), list(zip(kept[::2], kept[1::2], strict=True))
        last = [bar.clone().contiguous() for bar in last_bar]
        bars = _Bars.of(scan, weight=True, constants=ctx.needs_input_grad[4])
        for k in reversed(range(len(moments) - 1)):
            steps = slice(k * ctx.length, (k + 1) * ctx.length)
            _stretch(
                scan.part(steps), moments[k], moments[k + 1], last, bars._replace(drive=bars.drive[steps]), ctx.undo
            )
        return None, None, bars.drive, bars.weight, bars.c if ctx.needs_input_grad[4] else None, bars.norm, *last


def _stretch(scan: _Scan, start: Parts, end: Parts, last: list[Tensor], bars: _Bars, undo: bool) -> None:
    """The derivative of one stretch: by undoing its steps, or, where that fails, by taking them again."""
    none, sums = (None, None), (*last, bars.weight, bars.c)  # a norm is never undone
    if undo:
        before = [x.clone() for x in sums]
        moment = [x.T[None] for x in end]
        if scan.backward(start, moment, scan.room(0), none, last, bars) <= TOLERANCE[scan.drive.dtype]:
            return
        for x, old in zip(sums, before, strict=True):
            x.copy_(old)
    again, squashed = [scan.room(), scan.room()], scan.room()
    scan.forward(start, again, squashed)
    scan.backward(start, again, squashed, none, last, bars)


def _outer(h: Tensor, start: Parts, orbit: Parts) -> Tensor:
    """Σ over times and members of h xᵀ of the step before, for each part: the derivative of the matrix, (N, parts N).

    h: (T, B, N); orbit: (T, N, B).
    """
    found = [h[0].T @ x0 + torch.einsum("tbi,tjb->ij", h[1:], x[:-1]) for x0, x in zip(start, orbit, strict=True)]
    return torch.cat(found, 1)
