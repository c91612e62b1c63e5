"""Attacks on classifiers: images that differ from given ones by at most ε in every channel of every pixel.

Random noise, FGSM and PGD are written here, as published with AKOrN. AutoAttack is its authors' own code, the package
`pyautoattack` (extra `attack`): version "standard" runs APGD-CE, targeted APGD-DLR, targeted FAB and Square; version "rand"
is meant for networks whose logits are random, as AKOrN's are, and runs APGD-CE and APGD-DLR on gradients averaged over 20
draws (EoT). The published script calls "standard"; the paper reports EoT. PGD with EoT is neither, and not AutoAttack.

A network is any function from images to logits. Where logits are random, so are attacks and their success: they draw from
torch's global numbers, unless the function holds a generator of its own.

Sources: Goodfellow et al. 2015 (FGSM); Madry et al. 2018 (PGD); Athalye et al. 2018 (EoT); Croce & Hein 2020 (AutoAttack).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from neural.akorn.parts import check_images
from oscillators import checks

Network = Callable[[Tensor], Tensor]  # images (B, 3, height, width) in [0, 1] to logits (B, classes)


class Attacked(NamedTuple):
    """What is left after AutoAttack.

    Args:
        images: (B, 3, height, width).
        holds: whether the network was right in the first draw and in each that ended an attack, (B,).
    """

    images: Tensor
    holds: Tensor

    @property
    def accuracy(self) -> float:
        """Robust accuracy."""
        return self.holds.double().mean().item()


def random_noise(images: Tensor, eps: float = 64 / 255, generator: torch.Generator | None = None) -> Tensor:
    """images + ε s, clipped to [0, 1], with independent random signs s.

    Args:
        images: (B, 3, height, width) in [0, 1].
        eps: ε.
        generator: source of the signs, on any device.
    """
    _check(images, eps)
    device = images.device if generator is None else generator.device
    noise = torch.randn(images.shape, generator=generator, device=device, dtype=images.dtype)
    return (images + eps * noise.sign().to(images.device)).clamp(0, 1)


def fgsm(network: Network, images: Tensor, labels: Tensor, eps: float = 8 / 255, *, eot: int = 1) -> Tensor:
    """One step of length ε along the sign of the gradient of the loss: pgd with steps = 1, alpha = eps."""
    return pgd(network, images, labels, eps, steps=1, alpha=eps, eot=eot)


def pgd(
    network: Network,
    images: Tensor,
    labels: Tensor,
    eps: float = 8 / 255,
    *,
    steps: int = 20,
    alpha: float | None = None,
    eot: int = 1,
) -> Tensor:
    """Projected gradient ascent of the cross-entropy, from the images themselves.

        x <- clip(x + α sign(mean over draws of ∇ loss(x)), to within ε of the images and to [0, 1])

    Args:
        network: logits of images, in evaluation mode.
        images: (B, 3, height, width) in [0, 1].
        labels: (B,), whole numbers.
        eps, steps, alpha: ε, number of steps, and α (None: ε/3, as published).
        eot: draws of a random network over which the gradient is averaged.

    Returns:
        The attacked images, without a gradient.
    """
    _check(images, eps, network)
    _check_labels(labels, images)
    if steps < 1 or eot < 1:
        raise ValueError(
            f"`steps` and `eot` must be at least 1, but are {steps} and {eot}; give for example 20 and 10."
        )
    alpha = eps / 3 if alpha is None else alpha
    low, high = (images - eps).clamp(min=0).detach(), (images + eps).clamp(max=1).detach()
    x = images.detach()
    for _ in range(steps):
        x = (x + alpha * ascent(network, x, labels, eot).sign()).clamp(low, high)
    return x


def ascent(network: Network, images: Tensor, labels: Tensor, eot: int = 1) -> Tensor:
    """Gradient of the summed cross-entropy with respect to the images, averaged over draws of a random network."""
    images = images.detach().requires_grad_()
    total = torch.zeros_like(images)
    with torch.enable_grad():
        for _ in range(eot):
            loss = functional.cross_entropy(network(images), labels, reduction="sum")
            total += torch.autograd.grad(loss, images)[0]
    return total / eot


def auto_attack(
    network: Network,
    images: Tensor,
    labels: Tensor,
    eps: float = 8 / 255,
    *,
    version: Literal["rand", "standard", "plus"] = "rand",
    batch: int = 250,
    seed: int = 0,
) -> Attacked:
    """AutoAttack in the maximum norm, by its authors' package.

    Args:
        network, images, labels: see `pgd`; at least four classes.
        eps: ε.
        version: which attacks are run, see the top of this file.
        batch: images at a time.
        seed: of the attacks and of the network's draws; torch's global numbers are left as they were.

    Raises:
        ModuleNotFoundError: without the extra `attack`.
    """
    from pyautoattack import AutoAttack

    checks.one_of("version", version, ("rand", "standard", "plus"))
    _check(images, eps, network)
    _check_labels(labels, images)
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        attack = AutoAttack(network, eps=eps, version=version, seed=seed, device=images.device)
        attacked, seen = attack.run_standard_evaluation(images, labels, batch_size=batch)
    return Attacked(attacked, seen == labels)


def _check(images: Tensor, eps: float, network: Network | None = None) -> None:
    check_images(images)
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        raise ValueError(f"`images` must lie in [0, 1], but reach from {low:g} to {high:g}; divide bytes by 255.")
    checks.not_negative("eps", checks.real_array("eps", eps), "it is the largest change of a channel, such as 8/255")
    if getattr(network, "training", False):
        raise ValueError("`network` must be in evaluation mode, but is in training mode; call network.eval().")


def _check_labels(labels: Tensor, images: Tensor) -> None:
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"`labels` must be whole numbers of shape ({len(images)},), but are {labels.dtype} of shape "
            f"{tuple(labels.shape)}; pass one class for each image."
        )
