"""Couplings by a kernel on a ring, a line, a torus or a grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, like, namespace
from oscillators.coupling import Compiled, Coupling
from oscillators.kernels import field_kernel, function_kernel, widest_vectors


@dataclass(frozen=True)
class Stencil(Coupling):
    """Every node sees its neighbourhood through the same kernel (a cross-correlation, as in deep learning).

        h[i] = Σ_s kernel[s] g[i + s - centre],    centre = size // 2 on each axis

    Args:
        kernel: shape (k,) on a ring or line, (kh, kw) on a torus or grid; with channels (C, C, k) or (C, C, kh, kw),
            receiver first, and nodes (channel, node) or (channel, height, width).
        boundary: "periodic" or "zero" (nothing comes from outside).
    """

    kernel: Array
    boundary: str = "periodic"

    def __post_init__(self):
        kernel = checks.real_array("kernel", self.kernel)
        if (
            kernel.ndim not in (1, 2, 3, 4)
            or (kernel.ndim > 2 and kernel.shape[0] != kernel.shape[1])
            or 0 in kernel.shape
        ):
            raise ValueError(
                f"`kernel` must have shape (k,), (kh, kw), (C, C, k) or (C, C, kh, kw), but is {tuple(kernel.shape)}; give "
                "one weight per neighbour, the node itself in the middle."
            )
        object.__setattr__(self, "kernel", kernel)
        checks.one_of("boundary", self.boundary, ("periodic", "zero"))

    @property
    def channels(self) -> int:
        return self.kernel.shape[0] if self.kernel.ndim > 2 else 1

    @property
    def window(self) -> tuple[int, ...]:
        """Size of the kernel along the lattice axes."""
        return tuple(self.kernel.shape[-1 if self.kernel.ndim in (1, 3) else -2 :])

    @property
    def node_dims(self):
        lattice = ("node",) if len(self.window) == 1 else ("height", "width")
        return lattice if self.kernel.ndim <= 2 else ("channel", *lattice)

    def check_nodes(self, nodes):
        lattice = nodes[-len(self.window) :]
        if self.kernel.ndim > 2 and nodes[0] != self.channels:
            raise ValueError(
                f"`kernel` must have as many channels as `x0`, {nodes[0]}, but has {self.channels}; states are (..., channel, "
                "lattice)."
            )
        if any(k > n for k, n in zip(self.window, lattice, strict=True)):
            raise ValueError(
                f"`kernel` must not be larger than the lattice, but is {self.window} on {lattice}; crop it or use Dense."
            )

    def field(self, g):
        xp = namespace(g)
        axes = len(self.window)
        kernel = like(self.kernel, g)
        if self.kernel.ndim > 2:  # (..., C, lattice, m) -> (..., 1, C, lattice, m): receivers, then senders
            g = xp.expand_dims(g, axis=-3 - axes)
        correlate = self._by_fft if np.prod(self.window) > SHIFTED_TAPS else self._by_shifts
        h = correlate(xp, kernel, g, axes)
        return h if self.kernel.ndim <= 2 else xp.sum(h, axis=-2 - axes)

    def _by_shifts(self, xp, kernel, g, axes):
        lattice = g.shape[-1 - axes : -1]
        for axis, k in enumerate(self.window):
            g = _pad(xp, g, axis - axes - 1, k // 2, k - 1 - k // 2, self.boundary)
        total = None
        for tap in np.ndindex(*self.window):
            part = g[(..., *(slice(s, s + n) for s, n in zip(tap, lattice, strict=True)), slice(None))]
            weight = kernel[(..., *tap)]
            term = (weight[(..., *(None,) * (axes + 1))] if weight.ndim else weight) * part
            total = term if total is None else total + term
        return total

    def _by_fft(self, xp, kernel, g, axes):
        lattice = tuple(g.shape[-1 - axes : -1])
        size = (
            lattice
            if self.boundary == "periodic"
            else tuple(n + k - 1 for n, k in zip(lattice, self.window, strict=True))
        )
        where = tuple(range(-1 - axes, -1))
        seen = xp.fft.rfftn(g, s=size, axes=where)  # pads with zeros up to `size`
        h = xp.fft.irfftn(self._spectrum(xp, kernel, size, where) * seen, s=size, axes=where)
        for axis, k in zip(where, self.window, strict=True):
            h = xp.roll(h, k // 2, axis=axis)  # the transform puts the first tap, not the centre, at distance 0
        return h[(..., *(slice(0, n) for n in lattice), slice(None))]

    def _spectrum(self, xp, kernel, size, where):
        """Conjugate transform of the kernel; for NumPy, where it carries no gradient, it is kept."""
        if xp is not namespace():
            return xp.conj(xp.fft.rfftn(kernel[..., None], s=size, axes=where))
        if size not in self._spectra:
            self._spectra[size] = np.conj(np.fft.rfftn(kernel[..., None], s=size, axes=where))
        return self._spectra[size]

    @cached_property
    def _spectra(self) -> dict[tuple[int, ...], np.ndarray]:
        return {}

    def compiled(self, nodes):
        if np.prod(self.window) > COMPILED_TAPS:
            return None  # the engine calls `field`, which transforms
        lattice = (1, *nodes[-1:]) if len(self.window) == 1 else nodes[-2:]
        window = (1, *self.window) if len(self.window) == 1 else self.window
        meta = np.array([self.channels, *lattice, *window, self.boundary == "periodic"], np.int64)
        weight = np.ascontiguousarray(np.asarray(self.kernel, np.float64).reshape(1, -1))
        return Compiled(self.direct, meta, np.empty(0, np.int32), weight)

    def transposed(self, nodes):
        if np.prod(self.window) > COMPILED_TAPS:
            return None
        kernel = np.asarray(self.kernel, np.float64)
        axes = tuple(range(kernel.ndim - len(self.window), kernel.ndim))
        even = [(1 - k % 2, 0) for k in self.window]  # mirrored, the centre of an even window is one tap further
        kernel = np.pad(np.flip(kernel, axes), [(0, 0)] * axes[0] + even)
        return Stencil(kernel.swapaxes(0, 1) if axes[0] else kernel, self.boundary).compiled(nodes)

    @staticmethod
    @field_kernel
    def direct(meta, index, weight, g, h):
        # Two rows of the result at a time: what is loaded of a row of g serves both.
        C, H, W, kh, kw, periodic = meta[0], meta[1], meta[2], meta[3], meta[4], meta[5] != 0
        for q in range(g.shape[0]):
            for o in range(C):
                for y in range(0, H, 2):
                    two = y + 1 < H
                    out = h[q, (o * H + y) * W : (o * H + y + 1) * W]
                    below = h[q, (o * H + y + 1) * W : (o * H + y + 2) * W] if two else out[:0]
                    for i in range(W):
                        out[i] = 0.0
                    for i in range(len(below)):
                        below[i] = 0.0
                    for c in range(C):
                        for a in range(kh + two):
                            yy = y + a - kh // 2
                            if not periodic and (yy < 0 or yy >= H):
                                continue
                            yy %= H
                            row = g[q, (c * H + yy) * W : (c * H + yy + 1) * W]
                            k = (
                                (o * C + c) * kh + a
                            ) * kw  # the taps of this row for `out`; those for `below` end here
                            if 0 < a < kh and two:
                                _correlate_two(row, weight[k : k + kw], weight[k - kw : k], out, below, periodic)
                            elif a < kh:
                                _correlate(row, weight[k : k + kw], out, periodic)
                            else:
                                _correlate(row, weight[k - kw : k], below, periodic)


@function_kernel
def _correlate(row, taps, out, periodic):
    """out[i] += Σ_b taps[b] row[i + b - left]."""
    left, inner = len(taps) // 2, max(len(row) - len(taps) + 1, 0)
    middle = out[left : left + inner]
    for four in range(len(taps) // 4):
        b = 4 * four
        w0, w1, w2, w3, span = taps[b], taps[b + 1], taps[b + 2], taps[b + 3], row[b:]
        for i in range(len(middle)):
            two = (middle[i] + w0 * span[i]) + w1 * span[i + 1]
            middle[i] = (two + w2 * span[i + 2]) + w3 * span[i + 3]
    for b in range(len(taps) // 4 * 4, len(taps)):
        w0, span = taps[b], row[b:]
        for i in range(len(middle)):
            middle[i] = middle[i] + w0 * span[i]
    _correlate_ends(row, taps, out, left, inner, periodic)


@function_kernel
def _correlate_two(row, taps, taps2, out, out2, periodic):
    """The same with two sets of taps into two rows."""
    widest_vectors()
    left, inner = len(taps) // 2, max(len(row) - len(taps) + 1, 0)
    middle, middle2 = out[left : left + inner], out2[left : left + inner]
    for four in range(len(taps) // 4):
        b = 4 * four
        w0, w1, w2, w3, span = taps[b], taps[b + 1], taps[b + 2], taps[b + 3], row[b:]
        v0, v1, v2, v3 = taps2[b], taps2[b + 1], taps2[b + 2], taps2[b + 3]
        for i in range(len(middle)):
            r0, r1, r2, r3 = span[i], span[i + 1], span[i + 2], span[i + 3]
            middle[i] = (((middle[i] + w0 * r0) + w1 * r1) + w2 * r2) + w3 * r3
            middle2[i] = (((middle2[i] + v0 * r0) + v1 * r1) + v2 * r2) + v3 * r3
    for b in range(len(taps) // 4 * 4, len(taps)):
        w0, v0, span = taps[b], taps2[b], row[b:]
        for i in range(len(middle)):
            middle[i] = middle[i] + w0 * span[i]
            middle2[i] = middle2[i] + v0 * span[i]
    _correlate_ends(row, taps, out, left, inner, periodic)
    _correlate_ends(row, taps2, out2, left, inner, periodic)


@function_kernel
def _correlate_ends(row, taps, out, left, inner, periodic):
    """The sites at both ends of a row, whose window reaches beyond it."""
    W = len(row)
    for end in range(W - inner):
        i = end if end < left else end + inner
        total = out[i]
        for b in range(len(taps)):
            j = i + b - left
            if 0 <= j < W:
                total += taps[b] * row[j]
            elif periodic:
                total += taps[b] * row[j % W]
        out[i] = total


SHIFTED_TAPS = 64  # up to this many taps a sum of shifted arrays beats a transform in `field`
COMPILED_TAPS = 200  # and up to this many the compiled sum does (measured on 64² to 1024² sites)


def _pad(xp: Any, g: Array, axis: int, before: int, after: int, boundary: str) -> Array:
    n = g.shape[axis]
    first = xp.take(g, xp.arange(n - before, n), axis=axis)
    last = xp.take(g, xp.arange(0, after), axis=axis)
    if boundary == "zero":
        first, last = xp.zeros_like(first), xp.zeros_like(last)
    return xp.concat([first, g, last], axis=axis)
