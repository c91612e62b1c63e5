"""Layer norm of the positions of a sheet."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class SheetNorm(nn.LayerNorm):
    """Layer norm of all positions of a sheet together; weight and bias (C, *space)."""

    def __init__(self, lattice: Sequence[int]):
        super().__init__(list(lattice))

    def forward(self, y: Tensor) -> Tensor:
        return super().forward(y.unflatten(-1, self.normalized_shape)).flatten(-len(self.normalized_shape))
