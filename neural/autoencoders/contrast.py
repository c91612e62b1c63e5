"""The contrastive objective of CtCAE: units of like magnitudes should have like phases, units of unlike ones should not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from oscillators import checks

POSITIONS = 2**21  # in one image, at most: keys have 64 bits


class Sample(NamedTuple):
    """What one evaluation compares; the same in all images.

    Args:
        anchors: positions in the map (of patches), row by row, (anchor,).
        positives, negatives: ranks among the positions ordered from like to unlike; the anchor has rank 0.
    """

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


@dataclass(frozen=True)
class Contrast:
    """Contrast of phases between positions that the magnitudes of one image call like or unlike.

        d_ij = 1 - ⟨u_i, u_j⟩,  u = magnitudes of a position / their length;  f = phases of a position / their length
        ℓ = -mean over images, anchors i and positives k of  log softmax_(k' in positives, negatives) (⟨f_i, f_k'⟩/τ)_k

    Positives of an anchor are drawn from the `top_k` positions nearest to it, negatives from the `bottom_m` farthest.

    Args:
        anchors: number of anchors, or all positions if there are fewer.
        positives, top_k, negatives, bottom_m: how many are drawn, and from how many.
        temperature: τ.
        patch: side of the squares of pixels that count as one position.
        features: what is contrasted. "angle", as published: the phases as numbers, which jump at ±π. "circle", chosen here:
            their cosines and sines, 0 where the magnitude is 0.

    Equal distances are ordered by position. Where all magnitudes of a position vanish it is at distance 1 from all others.
    Gradients reach phases only.

    Source: Stanić et al. 2023 (CtCAE).
    """

    anchors: int
    positives: int
    top_k: int
    negatives: int
    bottom_m: int
    temperature: float = 0.05
    patch: int = 1
    features: Literal["angle", "circle"] = "angle"

    def __post_init__(self):
        checks.one_of("features", self.features, ("angle", "circle"))
        checks.positive("temperature", self.temperature, "the published one is 0.05")
        for few, many in (("positives", "top_k"), ("negatives", "bottom_m")):
            if not 0 < getattr(self, few) <= getattr(self, many):
                raise ValueError(
                    f"`{few}` must be in 1..{many} = {getattr(self, many)}, but is {getattr(self, few)}; they are distinct."
                )
        if self.anchors < 1 or self.patch < 1:
            raise ValueError(
                f"`anchors` and `patch` must be at least 1, but are {self.anchors} and {self.patch}; raise them."
            )

    @property
    def equal(self) -> float:
        """The loss where all features are equal, log(positives + negatives)."""
        return math.log(self.positives + self.negatives)

    def __call__(
        self,
        magnitude: Tensor,
        phase: Tensor,
        sample: Sample | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The loss ℓ of a map.

        Args:
            magnitude, phase: (B, C, H, W), phases in radians.
            sample: what to compare; None: drawn from `generator`.
        """
        if magnitude.ndim != 4 or magnitude.shape != phase.shape:
            raise ValueError(
                "`magnitude` and `phase` must be maps of one shape (B, C, H, W), but are "
                f"{tuple(magnitude.shape)} and {tuple(phase.shape)}; take both from one activation."
            )
        address, feature = self.positions(magnitude, phase)
        sample = self.sample(address.shape[-1], generator) if sample is None else sample
        sample = Sample(*(part.to(phase.device) for part in sample))
        partners = torch.cat(self.partners(address, sample), -1)  # (B, anchor, k)
        logits = similarities(feature, sample.anchors).gather(-1, partners) / self.temperature
        return -logits.log_softmax(-1)[..., : len(sample.positives)].mean()

    def positions(self, magnitude: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """Addresses and features of positions, (B, C, H, W) -> (B, d, N)."""
        if self.features == "circle":
            seen = (magnitude > 0).to(phase)
            phase = torch.cat([phase.cos() * seen, phase.sin() * seen], dim=1)
        return self.columns(magnitude.detach()), self.columns(phase)

    def columns(self, x: Tensor) -> Tensor:
        """Patches as vectors in the order (channel, row, column): (B, C, H, W) -> (B, C · patch², N)."""
        self.tiles(x.shape[-2:])
        return (x if self.patch == 1 else functional.pixel_unshuffle(x, self.patch)).flatten(2)

    def tiles(self, sides: Sequence[int]) -> int:
        """Number N of positions of a map with these sides, which must be multiples of the patch's."""
        if any(n % self.patch for n in sides):
            raise ValueError(
                f"`patch` must divide the sides of the map, {tuple(sides)}, but is {self.patch}; choose a divisor."
            )
        return math.prod(sides) // self.patch**2

    def check(self, N: int) -> None:
        """Raise unless the ranks that are drawn exist among N positions."""
        if not (self.top_k < N and self.bottom_m <= N):
            raise ValueError(
                f"`top_k` must be less than the number N = {N} of positions and `bottom_m` at most N, but they are "
                f"{self.top_k} and {self.bottom_m}; lower them, or take smaller patches."
            )

    def sample(self, N: int, generator: torch.Generator | None = None) -> Sample:
        """Draw what to compare among N positions."""
        self.check(N)

        def some(n: int, of: int) -> Tensor:
            device = None if generator is None else generator.device
            return torch.randperm(of, generator=generator, device=device)[:n]

        low = N - self.bottom_m
        return Sample(
            some(self.anchors, N), 1 + some(self.positives, self.top_k), low + some(self.negatives, self.bottom_m)
        )

    @staticmethod
    def partners(address: Tensor, sample: Sample) -> tuple[Tensor, Tensor]:
        """Positions of the positives and negatives of every anchor, (B, anchor, k) each."""
        similarity = similarities(address, sample.anchors)
        own = sample.anchors[:, None].expand(len(address), -1, 1)
        ordered = ordered_keys(similarity.scatter_(-1, own, 2.0))  # more similar to itself than anything
        return position(ordered[..., sample.positives]), position(ordered[..., sample.negatives])


def unit(x: Tensor) -> Tensor:
    """x / max(‖x‖, 1e-12), (B, d, N); one pass less, forward and backward, than a norm and a quotient."""
    return x * (x * x).sum(1, keepdim=True).clamp_min(1e-24).rsqrt()


def similarities(x: Tensor, anchors: Tensor) -> Tensor:
    """⟨u_i, u_j⟩ of anchors i and all positions j, u = x / max(‖x‖, 1e-12): (B, d, N) -> (B, anchor, N)."""
    if x.shape[1] < x.shape[2] or torch.is_autocast_enabled(x.device.type):
        u = unit(x)
        return u.index_select(-1, anchors).mT @ u
    products = Gram.apply(
        x
    )  # few positions with many components: lengths are on the diagonal, and no vector is divided
    scale = products.diagonal(dim1=-2, dim2=-1).clamp_min(1e-24).rsqrt()
    return products.index_select(1, anchors) * scale.index_select(-1, anchors)[..., None] * scale[:, None]


class Gram(torch.autograd.Function):
    """xᵀ x, whose gradient is one product where autograd's rule has two: ∂x = x (∂ + ∂ᵀ)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.mT @ x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> Tensor:
        return ctx.saved_tensors[0] @ (bar + bar.mT)


def ordered_keys(similarity: Tensor) -> Tensor:
    """Whole numbers that hold a similarity, in steps of 2^-40, and the position: sorted along it, the most similar first.

    No two are equal, so that the order is the same by every method of sorting.
    """
    N = similarity.shape[-1]
    keys = (similarity * -(2.0**40)).long().mul_(POSITIONS).add_(torch.arange(N, device=similarity.device))
    if keys.device.type != "cpu":
        return keys.sort().values
    keys.numpy().sort()  # in place, several times faster than torch's
    return keys


def position(keys: Tensor) -> Tensor:
    return keys & (POSITIONS - 1)
