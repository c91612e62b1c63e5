"""The nodes of a network: what the coupling function sees of them, what moves them, and what they are to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from math import pi
from typing import Any, Self

import torch
from torch import Tensor

import analysis
from oscillators import checks


class Nodes(ABC):
    """Base of both kinds, frozen dataclasses of tensors with the nodes on the first axis.

    Both have features `x` (node, m) for the coupling function, and for the run frequencies `omega` (rad / time), fields `b`
    (1 / time) and delays `tau` (whole steps), (node,) each.
    """

    x: Any
    omega: Any
    b: Any
    tau: Any

    @abstractmethod
    def shuffled(self, generator: torch.Generator) -> Self:
        """As many nodes in random order."""

    @abstractmethod
    def start(self, generator: torch.Generator) -> Tensor:
        """Initial phases, (node,), in double precision."""

    @abstractmethod
    def loss(self, theta: Tensor) -> Tensor:
        """What the run is to make small, averaged over its rows: (time, node) -> ()."""

    def batches(self, nodes: int) -> Iterator[Self]:
        """Networks of so many nodes, in order; the last incomplete one is dropped."""
        for start in range(0, len(self) - nodes + 1, nodes):
            yield self[start : start + nodes]

    def to(self, device: Any) -> Self:
        return self._each(lambda value: value.to(device))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Self:
        return self._each(lambda value: value[index])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same with every tensor changed."""
        own: Any = self
        new = {f.name: getattr(own, f.name) for f in fields(own)}
        return replace(own, **{name: change(value) for name, value in new.items() if isinstance(value, Tensor)})


@dataclass(frozen=True)
class Oscillators(Nodes):
    """Oscillators that are to stay together: dθ_i/dt = ω_i + b_i sin θ_i + Σ_j K_ij sin(θ_j(t - τ_j) - θ_i).

    Their features are (b, ω, τ), their loss is the circular variance, and they start at θ = 0.

    Args:
        omega, b: rad / time, shape (node,).
        tau: delay of what the node sends, in whole steps, shape (node,).
    """

    omega: Tensor
    b: Tensor
    tau: Tensor

    def __post_init__(self):
        if not len(self.omega) == len(self.b) == len(self.tau):
            raise ValueError(
                f"`omega`, `b` and `tau` must have one entry per node, but have {len(self.omega)}, {len(self.b)} and "
                f"{len(self.tau)}; give each shape (node,)."
            )
        if self.tau.is_floating_point() or (self.tau < 0).any():
            raise ValueError(f"`tau` must be whole steps, 0 or more, but is {checks.shown(self.tau)}; pass tau.long().")

    @property
    def x(self) -> Tensor:
        return torch.stack([self.b, self.omega, self.tau.to(self.omega.dtype)], dim=-1)

    def shuffled(self, generator: torch.Generator) -> Oscillators:
        """New oscillators of the same ω, b and τ, each in an order of its own."""
        b, omega, tau = (v[torch.randperm(len(v), generator=generator)] for v in (self.b, self.omega, self.tau))
        return Oscillators(omega, b, tau)

    def start(self, generator: torch.Generator) -> Tensor:
        """Equal phases, (node,)."""
        return torch.zeros(len(self), dtype=torch.float64)

    def loss(self, theta: Tensor) -> Tensor:
        """Mean circular variance of the rows, (time, node) -> ()."""
        return analysis.circular_variance(theta).mean()


@dataclass(frozen=True)
class Points(Nodes):
    """Points whose groups are to become clusters of equal phase, the clusters spread over the circle.

    The XY model, dθ_i/dt = (1/n) Σ_j K_ij sin(θ_j - θ_i): no frequencies, fields or delays. The loss is
    `analysis.cluster_synchrony`; the run starts at independent normal phases of mean π and variance 1.

    Args:
        x: features, shape (node, m).
        labels: group of each node, 0 ... k - 1, shape (node,).
        k: number of groups (of the whole set, so that a batch may lack one).
    """

    x: Tensor
    labels: Tensor
    k: int

    def __post_init__(self):
        if self.k < 2:
            raise ValueError(f"`k` must be at least 2, but is {self.k}; one group is synchronised by any K > 0.")
        if self.labels.is_floating_point() or self.labels.shape != self.x.shape[:1]:
            raise ValueError(
                f"`labels` must be integers of shape ({len(self.x)},), one per node of `x`, but have dtype "
                f"{self.labels.dtype} and shape {tuple(self.labels.shape)}; pass labels.long()."
            )
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.k:
            raise ValueError(
                f"`labels` must be 0 ... {self.k - 1}, but reach from {low} to {high}; renumber them with "
                "np.unique(labels, return_inverse=True)[1]."
            )

    @property
    def omega(self) -> Tensor:
        return self.x.new_zeros(len(self))

    @property
    def b(self) -> Tensor:
        return self.x.new_zeros(len(self))

    @property
    def tau(self) -> Tensor:
        return self.labels.new_zeros(len(self))

    def shuffled(self, generator: torch.Generator) -> Points:
        """The same points in another order."""
        return self[torch.randperm(len(self), generator=generator)]

    def start(self, generator: torch.Generator) -> Tensor:
        """Independent normal phases of mean π and variance 1, (node,)."""
        return pi + torch.randn(len(self), generator=generator, dtype=torch.float64)

    def loss(self, theta: Tensor) -> Tensor:
        """Mean cluster synchrony loss of the rows, (time, node) -> ()."""
        return analysis.cluster_synchrony(theta, self.labels, k=self.k).mean()
