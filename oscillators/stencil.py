"""Couplings by a kernel on a ring, a line, a torus or a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import Array, namespace
from oscillators.coupling import Compiled, Coupling
from oscillators.kernels import field_kernel


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
                f"`kernel` must have shape (k,), (kh, kw), (C, C, k) or (C, C, kh, kw), but is {tuple(kernel.shape)}."
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
                f"`kernel` must have as many channels as `x0`, but has {self.channels} and `x0` {nodes[0]}."
            )
        if any(k > n for k, n in zip(self.window, lattice, strict=True)):
            raise ValueError(
                f"`kernel` must not be larger than the lattice, but is {self.window} on {lattice}; crop it or use Dense."
            )

    def field(self, g):
        xp = namespace(g)
        axes = len(self.window)
        kernel = xp.asarray(self.kernel)
        if self.kernel.ndim > 2:  # (..., C, lattice, m) -> (..., 1, C, lattice, m): receivers, then senders
            g = xp.expand_dims(g, axis=-3 - axes)
        correlate = self._by_fft if np.prod(self.window) > DIRECT_TAPS else self._by_shifts
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
        spectrum = xp.conj(xp.fft.fftn(_fit(xp, kernel[..., None], where, size), axes=where))
        h = xp.real(xp.fft.ifftn(spectrum * xp.fft.fftn(_fit(xp, g, where, size), axes=where), axes=where))
        for axis, k in zip(where, self.window, strict=True):
            h = xp.roll(h, k // 2, axis=axis)  # the transform puts the first tap, not the centre, at distance 0
        return h[(..., *(slice(0, n) for n in lattice), slice(None))]

    def compiled(self, nodes):
        if np.prod(self.window) > DIRECT_TAPS and np.prod(self.window) > FFT_GAIN * np.log2(np.prod(nodes)):
            return None  # the engine calls `field`, which transforms
        lattice = (1, *nodes[-1:]) if len(self.window) == 1 else nodes[-2:]
        window = (1, *self.window) if len(self.window) == 1 else self.window
        meta = np.array([self.channels, *lattice, *window, self.boundary == "periodic"], np.int64)
        weight = np.ascontiguousarray(np.asarray(self.kernel, np.float64).reshape(1, -1))
        return Compiled(self.direct, meta, np.empty(0, np.int32), weight)

    @staticmethod
    @field_kernel
    def direct(meta, index, weight, g, h):
        C, H, W, kh, kw, periodic = meta[0], meta[1], meta[2], meta[3], meta[4], meta[5]
        top, left = kh // 2, kw // 2
        right = kw - 1 - left
        inner = max(W - left - right, 0)  # sites whose whole window lies inside the row
        for q in range(g.shape[0]):
            for o in range(C):
                for y in range(H):
                    out = h[q, (o * H + y) * W : (o * H + y + 1) * W]
                    for i in range(W):
                        out[i] = 0.0
                    for c in range(C):
                        for a in range(kh):
                            yy = y + a - top
                            if yy < 0 or yy >= H:
                                if not periodic:
                                    continue
                                yy %= H
                            row = g[q, (c * H + yy) * W : (c * H + yy + 1) * W]
                            taps = weight[((o * C + c) * kh + a) * kw : ((o * C + c) * kh + a + 1) * kw]
                            middle = out[left : left + inner]
                            for four in range(kw // 4):
                                b = 4 * four
                                w0, w1, w2, w3 = taps[b], taps[b + 1], taps[b + 2], taps[b + 3]
                                span = row[b : b + inner + 3]
                                for i in range(inner):
                                    two = (middle[i] + w0 * span[i]) + w1 * span[i + 1]
                                    middle[i] = (two + w2 * span[i + 2]) + w3 * span[i + 3]
                            for b in range(kw // 4 * 4, kw):
                                span, w0 = row[b : b + inner], taps[b]
                                for i in range(inner):
                                    middle[i] = middle[i] + w0 * span[i]
                            for edge in range(W - inner):
                                i = edge if edge < left else edge + inner
                                total = out[i]
                                for b in range(kw):
                                    j = i + b - left
                                    if 0 <= j < W:
                                        total += taps[b] * row[j]
                                    elif periodic:
                                        total += taps[b] * row[j % W]
                                out[i] = total


DIRECT_TAPS = 64  # up to this many taps a sum of shifted arrays beats a transform in `field`
FFT_GAIN = 12.0  # a compiled direct sum costs about 1/12 of a transform's work per tap and per level (measured)


def _pad(xp: Any, g: Array, axis: int, before: int, after: int, boundary: str) -> Array:
    n = g.shape[axis]
    first = xp.take(g, xp.arange(n - before, n), axis=axis)
    last = xp.take(g, xp.arange(0, after), axis=axis)
    if boundary == "zero":
        first, last = xp.zeros_like(first), xp.zeros_like(last)
    return xp.concat([first, g, last], axis=axis)


def _fit(xp: Any, g: Array, axes: tuple[int, ...], size: tuple[int, ...]) -> Array:
    """Zeros behind g along each axis, up to `size`."""
    for axis, n in zip(axes, size, strict=True):
        shape = list(g.shape)
        shape[axis] = n - shape[axis]
        g = xp.concat([g, xp.zeros(shape, dtype=g.dtype)], axis=axis)
    return g
