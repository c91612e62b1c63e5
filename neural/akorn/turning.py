"""2 × 2 blocks on the two halves of every feature pair."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neural.akorn import kernels
from oscillators.tensors import memory


def turn(u: Tensor, blocks: Tensor) -> Tensor:
    """Blocks on feature pairs, u'_α = Σ_β M_αβ u_β.

    Args:
        u: (B, token, part, head, 2, pair).
        blocks: M of each token and part, (token, part, 2, 2, pair), the same for all heads.
    """
    if kernels.usable(u, blocks):
        return _Turn.apply(u, blocks)
    first, second = blocks[:, :, None, :, 0], blocks[:, :, None, :, 1]
    return first * u[..., :1, :] + second * u[..., 1:, :]


class _Turn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, blocks: Tensor) -> Tensor:
        ctx.save_for_backward(u, blocks)
        out = torch.empty_like(u, memory_format=torch.contiguous_format)
        u_, blocks_, out_ = memory(u, blocks, out)
        kernels.in_parts(lambda b: kernels.turned(u_[b], blocks_, out_[b]), len(u), u.numel())
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, bar: Tensor) -> tuple[Tensor, Tensor]:
        u, blocks = ctx.saved_tensors
        u_bar = torch.empty_like(u, memory_format=torch.contiguous_format)
        u_, blocks_, *bars = memory(u, blocks, bar, u_bar)

        def part(b: slice) -> Tensor:
            blocks_bar = torch.zeros_like(blocks, memory_format=torch.contiguous_format)
            kernels.turned_bar(u_[b], blocks_, *(v[b] for v in bars), *memory(blocks_bar))
            return blocks_bar

        return u_bar, sum(kernels.in_parts(part, len(u), u.numel()))
