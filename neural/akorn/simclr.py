"""The loss of object discovery: two views of an image should be each other's nearest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def simclr_loss(first: Tensor, second: Tensor, temperature: float = 0.1, normalize: bool = True) -> Tensor:
    """Mean cross-entropy of finding the other view of an image among all other views.

        -log( exp(⟨z_i, z_j⟩/τ) / Σ_(k ≠ i) exp(⟨z_i, z_k⟩/τ) ),    i, j the two views of an image

    Args:
        first, second: embeddings of the views, (image, d).
        temperature: τ.
        normalize: whether embeddings are divided by their length first.

    Source: Chen et al. 2020, SimCLR.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            f"`second` must have the shape (image, d) of `first`, {tuple(first.shape)}, but is {tuple(second.shape)}; pass the "
            "two views of the same images."
        )
    z = torch.cat([first, second])
    z = functional.normalize(z, dim=-1) if normalize else z
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(own, -torch.inf)
    return functional.cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(first)))
