"""Kernels on rings and tori: every oscillator acts on its neighbours.

Nodes are flat and count (channel, row, column) in row-major order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.waves.connectivity import Connectivity, Links, uniform
from oscillators import Stencil, checks
from oscillators.coupling import Coupling

Sharing = Literal["shared", "separate", "mixed"]


class Local(Connectivity):
    """The same kernel everywhere on rings or a torus (a cross-correlation), as the core's periodic `Stencil`.

        h[o, i] = Σ_c Σ_s w[o, c, s] x[c, i + s - centre]

    Args:
        lattice: (C, length): C rings, or (C, height, width): C tori.
        size: taps along each axis, odd and no more than the lattice has.
        sharing: "shared": weight (1, 1, *size), the same in every channel; "separate": (C, 1, *size), one per channel;
            "mixed": (C, inputs, *size), every channel acts on every other.
        inputs: channels of the sender, if "mixed". Here: C.
        bias: whether there is one, (channels of the weight,).

    Source: Keller and Welling 2023; Keller et al. 2024.
    """

    def __init__(
        self,
        lattice: Sequence[int],
        size: int | Sequence[int] = 3,
        sharing: Sharing = "shared",
        inputs: int | None = None,
        bias: bool = False,
    ):
        self.lattice = tuple(lattice)
        self.size = taps(self.lattice, size)
        checks.one_of("sharing", sharing, ("shared", "separate", "mixed"))
        C, space = self.lattice[0], math.prod(self.lattice[1:])
        self.inputs = C if inputs is None or sharing != "mixed" else inputs
        self.sharing = sharing
        self.groups = {"shared": (1, 1), "separate": (C, 1), "mixed": (C, self.inputs)}[sharing]
        super().__init__(C * space, self.find_links(), self.inputs * space)
        fan_in = self.groups[1] * math.prod(self.size)
        self.weight = uniform(self.weight_shape(), fan_in)
        self.bias = uniform(self.bias_shape(), fan_in) if bias else None

    def weight_shape(self) -> tuple[int, ...]:
        return (*self.groups, *self.size)

    def bias_shape(self) -> tuple[int, ...]:
        return self.groups[:1]

    def kernel(self) -> Tensor:
        """(C or 1, inputs or 1, *size)."""
        return self.weight

    def weights(self) -> Tensor:
        return self.kernel().flatten()

    def find_links(self) -> Links:
        """The links, by number of the weight."""
        return self._links(np.arange(math.prod((*self.groups, *self.size))).reshape(*self.groups, 1, -1))

    def _links(self, which: np.ndarray) -> Links:
        """which: number of the weight, (C or 1, inputs or 1, site or 1, tap)."""
        (C, *space), near = self.lattice, neighbours(self.lattice[1:], self.size)
        own = np.arange(C)[:, None] if self.sharing != "mixed" else np.arange(self.inputs)[None, :]
        sender = own[..., None, None] * len(near) + near  # (C or 1, inputs or 1, site, tap)
        full = (C, self.groups[1], *near.shape)
        start = np.arange(C * math.prod(space) + 1) * self.groups[1] * near.shape[1]
        sender, which = (np.broadcast_to(part, full).swapaxes(1, 2).ravel() for part in (sender, which))
        return Links.of(start, sender, which)

    def offset(self) -> Tensor | None:
        if self.bias is None:
            return None
        whole = self.bias.view(*self.bias.shape, *(1,) * (len(self.lattice) - self.bias.ndim))
        return whole.expand(self.lattice).flatten()

    def forward(self, x: Tensor) -> Tensor:
        axes = len(self.size)
        maps = x.reshape(-1, self.inputs, *self.lattice[1:])
        maps = maps.flatten(0, 1)[:, None] if self.sharing == "shared" else maps
        maps = functional.pad(maps, [k // 2 for k in reversed(self.size) for _ in range(2)], mode="circular")
        convolve = functional.conv1d if axes == 1 else functional.conv2d
        groups = self.lattice[0] if self.sharing == "separate" else 1
        return convolve(maps, self.kernel(), groups=groups).reshape(*x.shape[:-1], self.nodes)

    def coupling(self) -> Coupling:
        """The core's stencil, on nodes (channel, *lattice), or on the bare lattice if there is one channel."""
        kernel = self.kernel()
        if self.lattice[0] == 1:
            return Stencil(kernel[0, 0])
        if self.sharing != "mixed":
            own = torch.eye(self.lattice[0], dtype=kernel.dtype, device=kernel.device)
            kernel = own.view(*own.shape, *(1,) * len(self.size)) * kernel
        return Stencil(kernel)

    def symbol(self) -> Tensor:
        """ŵ(k) = Σ_a w_a exp(ik·(a - centre)) at the wave numbers of `torch.fft.fftfreq`: (C or 1, inputs or 1, *space)."""
        kernel, space = self.kernel(), self.lattice[1:]
        missing = [n - k for n, k in zip(space, self.size, strict=True)]
        whole = functional.pad(kernel, [p for gap in reversed(missing) for p in (0, gap)])
        axes = tuple(range(2, 2 + len(space)))
        return torch.fft.fftn(whole.roll([-(k // 2) for k in self.size], axes), dim=axes).conj().resolve_conj()

    def norm(self) -> float:
        """The largest |ŵ(k)|: exact, if channels do not mix."""
        if self.sharing == "mixed":
            return super().norm()
        return float(self.symbol().detach().abs().max())


class OneWay(Local):
    """Activity moves to the lower index: h_i = w x_(i + 1) on each ring. weight: (1,), or (C,) if separate."""

    def __init__(self, lattice: Sequence[int], sharing: Sharing = "shared"):
        if len(lattice) != 2 or sharing == "mixed":
            raise ValueError(
                f"`lattice` must be (C, length) and `sharing` 'shared' or 'separate', but they are {tuple(lattice)} and "
                f"{sharing!r}; use Local."
            )
        super().__init__(lattice, 3, sharing)
        self.weight = nn.Parameter(torch.ones(self.groups[0]))

    def kernel(self) -> Tensor:
        return functional.pad(self.weight[:, None, None], (2, 0))


class Untied(Local):
    """A kernel of its own at every site. weight: (C or 1, C or 1, *space, *size); bias: (C or 1, *space)."""

    def weight_shape(self) -> tuple[int, ...]:
        return (*self.groups, *self.lattice[1:], *self.size)

    def bias_shape(self) -> tuple[int, ...]:
        return (self.groups[0], *self.lattice[1:])

    def find_links(self) -> Links:
        sites, count = math.prod(self.lattice[1:]), math.prod(self.size)
        return self._links(np.arange(math.prod(self.weight_shape())).reshape(*self.groups, sites, count))

    def weights(self) -> Tensor:
        return self.weight.flatten()

    forward = Connectivity.forward
    coupling = Connectivity.coupling
    norm = Connectivity.norm


def taps(lattice: tuple[int, ...], size: int | Sequence[int]) -> tuple[int, ...]:
    """The taps of a kernel along each axis of the lattice (C, *space)."""
    if len(lattice) not in (2, 3) or min(lattice) < 1:
        raise ValueError(
            f"`lattice` must be (C, length) or (C, height, width), but is {lattice}; begin with the channels."
        )
    space = lattice[1:]
    found: tuple[int, ...] = (size,) * len(space) if isinstance(size, int) else tuple(size)
    if len(found) != len(space) or any(k < 1 or k % 2 == 0 for k in found):
        raise ValueError(f"`size` must be odd along each axis of {space}, but is {size}; a kernel has a middle.")
    if any(k > n for k, n in zip(found, space, strict=True)):
        raise ValueError(
            f"`size` must not exceed the lattice {space}, but is {found}; crop the kernel or use AllToAll."
        )
    return found


def neighbours(space: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """Number of the site under each tap of the kernel on a periodic lattice: (site, tap)."""
    along = [(np.arange(n)[:, None] + np.arange(k) - k // 2) % n for n, k in zip(space, size, strict=True)]
    if len(space) == 1:
        return along[0]
    rows, columns = along
    return (rows[:, None, :, None] * space[1] + columns[None, :, None, :]).reshape(math.prod(space), -1)
