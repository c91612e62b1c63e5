"""A loss that KuraNet's authors tried beside `analysis.cluster_synchrony`."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

import analysis


def cohn(theta: Tensor, labels: Tensor, k: int) -> Tensor:
    """Cluster loss with a logarithmic repulsion of the mean phases ψ_l of the groups.

        (1/k) Σ_l V_l + (1/k²) Σ_{l, l'} [log 2 - log(|2 sin((ψ_l - ψ_l')/2)| + 1e-5)]

    Args:
        theta: phases, shape (..., node). labels: 0 ... k - 1, shape (node,).

    Returns:
        Shape (...). Each term l = l' adds log 2 + 5 log 10 = 12.2, so the loss is never near 0.
    """
    groups = [theta[..., labels == group] for group in range(k)]
    variance = torch.stack([analysis.circular_variance(group) for group in groups], dim=-1)
    psi = torch.stack([analysis.mean_phase(group) for group in groups], dim=-1)
    distance = 2 * torch.sin((psi[..., :, None] - psi[..., None, :]) / 2).abs()
    return variance.mean(-1) + (log(2) - torch.log(distance + 1e-5)).mean((-2, -1))
