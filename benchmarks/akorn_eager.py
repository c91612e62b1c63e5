"""The layer of AKOrN as it was published: maps with the channels first, one operation of torch after the other.

Written anew from the equations (Miyato et al. 2025). Energies, which the published loop sums up on the way, are left out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from neural.akorn import Attention, Convolution, KuramotoLayer

Map = Callable[[Tensor], Tensor]


def steps(layer: KuramotoLayer, x: Tensor, c: Tensor, T: int, gamma: Tensor | float) -> Tensor:
    """T steps with the weights of one of our layers; x and c have shape (B, ch, height, width)."""
    act, n = connection(layer.connectivity), layer.n
    c = c if layer.c_norm is None else functional.group_norm(c, layer.ch // n, *layer.c_norm.parameters())
    x = normalized(x, n)
    for _ in range(T):
        y = act(x) + c
        radial = (grouped(x, n) * grouped(y, n)).sum(2, keepdim=True)
        d = turned(x, layer.omg.omg_param.norm(dim=-1)) + (grouped(y, n) - radial * grouped(x, n)).flatten(1, 2)
        x = normalized(x + gamma * d, n)
    return x


def grouped(x: Tensor, n: int) -> Tensor:
    """(B, ch, ...) -> (B, oscillator, n, ...)."""
    return x.unflatten(1, (-1, n))


def normalized(x: Tensor, n: int) -> Tensor:
    return functional.normalize(grouped(x, n), dim=2).flatten(1, 2)


def turned(x: Tensor, omega: Tensor) -> Tensor:
    """Ω x with one ω for all pairs of channels."""
    first, second = x[:, 0::2], x[:, 1::2]
    return torch.stack([omega * second, -omega * first], dim=2).flatten(1, 2)


def connection(act: Attention | Convolution) -> Map:
    """J with its bias."""
    if isinstance(act, Convolution):
        return lambda x: functional.conv2d(x, act.weight, act.bias, padding=act.weight.shape[-1] // 2)
    return lambda x: attention(act, x)


def attention(act: Attention, x: Tensor) -> Tensor:
    """Heads interleaved in the channels, blocks on the feature pairs of every token."""
    q, k, v = (split(part, act.heads) for part in act.W_qkv(x).chunk(3, dim=1))
    q, k, v = (blocks(M, u) for M, u in ((act.mat_q, q), (act.mat_k, k), (act.mat_v, v)))
    o = blocks(act.mat_o, functional.scaled_dot_product_attention(q, k, v))
    return act.W_o(o.permute(0, 3, 1, 2).reshape(x.shape))


def split(u: Tensor, heads: int) -> Tensor:
    """(B, δ · heads, height, width) -> (B, head, token, δ)."""
    return u.flatten(2).unflatten(1, (-1, heads)).permute(0, 2, 3, 1)


def blocks(M: Tensor, u: Tensor) -> Tensor:
    return torch.einsum("tpij,bhtpj->bhtpi", M, u.unflatten(-1, (-1, 2))).flatten(-2)
