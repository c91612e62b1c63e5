"""Starts of a training: phases that have parted, and running statistics that fit the images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from neural.autoencoders.blocks import ComplexBlock
from neural.autoencoders.network import Autoencoder
from oscillators import checks


def spread_phases(network: Autoencoder, width: float = math.pi, *, generator: torch.Generator | None = None) -> None:
    """Draw all phase biases uniformly from ±width, in place, where they start at 0 as published.

    With b_φ = 0 all activations are real numbers, and remain so: no gradient leads to other phases, because the network and its
    complex conjugate have the same loss. Only rounding does, through the imaginary parts of 1e-8 of `stable_angle`.

    Raises:
        ValueError: if the network has no phases (rotating features), or the width is not positive.
    """
    checks.positive("width", width, "π draws from the whole circle")
    blocks = [block for block in network.modules() if isinstance(block, ComplexBlock)]
    if not blocks:
        raise ValueError(
            f"`network` must have phases, but is a {type(network).__name__}; the biases of its directions are random."
        )
    for block in blocks:
        nn.init.uniform_(block.phase_bias, -width, width, generator=generator)


@torch.no_grad()
def settle(network: Autoencoder, images: Tensor) -> None:
    """Set the running statistics to those of some images, in place; a new network has means 0 and variances 1.

    Args:
        images: (B, C, H, W), as `run` takes them.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta, training = [norm.momentum for norm in norms], network.training
    for norm in norms:
        norm.momentum = 1.0
    network.train().run(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)
