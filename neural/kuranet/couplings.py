"""From logits to couplings: how much a network may couple in all."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from oscillators import checks

Kind = Literal["softmax", "l2", "l1", "none"]


def normalize_couplings(Z: Tensor, kind: Kind = "softmax", degree: float = 1.0, symmetric: bool = True) -> Tensor:
    """Couplings K from logits Z, (..., n, n) -> (..., n, n), row = receiver.

        softmax    N = degree · n · exp(Z) / Σ_ij exp(Z_ij)     K > 0, average degree (1/n) Σ_ij K_ij = degree
        l2         N_ij = Z_ij / √(Σ_j Z_ij²)                   signs are kept
        l1         N_ij = Z_ij / Σ_j |Z_ij|                     signs are kept, Σ_j |N_ij| = 1
        none       N = Z

    and K = (N + Nᵀ)/2 if symmetric, else K = N.

    Args:
        Z: logits, row feature first.
        degree: average degree, for softmax.

    Note: "softmax" is called `node` in the published code, "l2" `graph` (with a factor 1/n in the dynamics, see
    `KuraNet`); "l1" is the wording of the paper. A row of zeros stays zero.
    Source: Ricci et al. 2021, KuraNet.
    """
    checks.one_of("kind", kind, ("softmax", "l2", "l1", "none"))
    if kind == "softmax":
        N = degree * Z.shape[-1] * torch.softmax(Z.flatten(-2), dim=-1).view(Z.shape)
    elif kind == "none":
        N = Z
    else:
        N = torch.nn.functional.normalize(Z, p={"l2": 2.0, "l1": 1.0}[kind], dim=-1)
    return (N + N.mT) / 2 if symmetric else N
