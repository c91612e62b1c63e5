"""Attacks on a small classifier, replayed."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from neural.robustness import fgsm, pgd
from tests.replays.file import Golden


def attacks(golden: Golden) -> dict[str, Any]:
    """FGSM and PGD from the images; the classifier is conv, ReLU, linear."""
    meta, weights = golden.meta, {name: torch.from_numpy(value.copy()) for name, value in golden.weights.items()}
    convolution, linear = weights["0.weight"], weights["3.weight"]
    network = nn.Sequential(
        nn.Conv2d(convolution.shape[1], len(convolution), convolution.shape[-1], stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(linear.shape[1], len(linear)),
    )
    network.double().load_state_dict(weights)
    images, labels = golden.tensor("image"), golden.tensor("label")
    steps, alpha, eot = meta["num_iter"], meta["alpha"], meta["eot"]
    return {
        "fgsm": fgsm(network.eval(), images, labels, meta["eps"]),
        "pgd": pgd(network.eval(), images, labels, meta["eps"], steps=steps, alpha=alpha, eot=eot),
    }


REPLAYS = {"attacks_": attacks}
