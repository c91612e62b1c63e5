"""The layers of the coupling network that see pairs of nodes.

Their definition builds tensors of all pairs. On a processor the same numbers are made tile by tile: a tile of pairs
stays in the cache from one matrix product to the next, and of all pairs at most one array is kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu

from neural.kuranet.kernels import SLOPE
from neural.kuranet.tiles import Tiles

VALUES = 2**30  # of an array of all pairs on an accelerator


def pair_logits(
    a: Tensor, b: Tensor, W: Tensor, gamma: Tensor, beta: Tensor, w: Tensor, eps: float | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of all pairs of each network, and the mean and variance of z over all of them.

        Z_rc = w · φ(γ x + β),    x = (z − mean z)/√(var z + ε),    z_rc = W φ(a_r + b_c),    φ(p) = max(p, 0.01 p)

    Args:
        a, b: rows and columns, shape (networks, n, H) and (networks, k, H).
        W: (H, H). gamma, beta, w: (H,).
        eps: ε; None: no normalisation, x = z (mean and variance are then 0 and 1).

    Returns:
        Z (networks, n, k), differentiable; mean and variance (H,), without gradient.
    """
    if a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64):
        return PairLayers.apply(a, b, W, gamma, beta, w, eps)
    if eps is None and not torch.is_grad_enabled():
        return _by_rows(a, b, W, gamma, beta, w), torch.zeros_like(w), torch.ones_like(w)
    return _all_pairs(a, b, W, gamma, beta, w, eps)


def _all_pairs(a, b, W, gamma, beta, w, eps):
    x = leaky_relu(a[:, :, None] + b[:, None], SLOPE) @ W.T
    mean, var = torch.zeros_like(w), torch.ones_like(w)
    if eps is not None:
        var, mean = torch.var_mean(x, dim=(0, 1, 2), correction=0)
        x = (x - mean) * (var + eps).rsqrt()
    return leaky_relu(gamma * x + beta, SLOPE) @ w, mean.detach(), var.detach()


def _by_rows(a, b, W, gamma, beta, w):
    """Logits alone, some rows at a time."""
    rows = max(1, VALUES // b.numel())
    return torch.cat([_all_pairs(part, b, W, gamma, beta, w, None)[0] for part in a.split(rows, dim=1)], dim=1)


class PairLayers(torch.autograd.Function):
    """`pair_logits` on a processor.

    The derivative, with d = z − mean z, s = √(var z + ε), p = γ d/s + β and q = φ'(p) ∂Z:

        ∂β = w Σq,   ∂γ = w Σ q d/s,   ∂w = Σ q p   (as φ(p) = φ'(p) p),   ∂z = γ/s · (w q − [∂β + ∂γ d/s]/pairs)

    The bracket comes from the normalisation.
    """

    @staticmethod
    def forward(ctx: Any, a, b, W, gamma, beta, w, eps):
        tiles = Tiles(a, b, W)
        mean, var, rstd = torch.zeros_like(w), torch.ones_like(w), torch.ones_like(w)
        if eps is not None:
            mean, var = tiles.moments()
            rstd = (var + eps).rsqrt()
        ctx.save_for_backward(a, b, W, gamma, beta, w, mean, rstd, tiles.kept)
        ctx.mark_non_differentiable(mean, var)
        return tiles.logits(mean, gamma * rstd, beta, w), mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, Z_bar, _mean_bar, _var_bar):
        a, b, W, gamma, beta, w, mean, rstd, kept = ctx.saved_tensors
        tiles = Tiles(a, b, W, kept)
        scale = gamma * rstd
        q, qd = tiles.last_layer_sums(mean, scale, beta, Z_bar)
        gamma_bar, beta_bar, w_bar = w * rstd * qd, w * q, scale * qd + beta * q
        share = 0 * scale if kept is None else scale / Z_bar.numel()
        bracket = share * rstd * gamma_bar, share * beta_bar
        return *tiles.first_layers_bar(mean, scale, beta, Z_bar, scale * w, *bracket), gamma_bar, beta_bar, w_bar, None
