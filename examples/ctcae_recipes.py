"""How `ctcae_objects` trains: the published recipes, and narrow networks for one core of a processor.

What makes phases leave their start, at which all are 0, early: random phase biases (`spread`; `ctcae_collapse` compares it with
other changes). Measured on two grey shapes with the networks of `narrow()`, batch 16, 32 test images: with spread phases ARI-FG
is 0.04 at first, 0.51 after 250 steps, 0.62 after 500, 0.64 after 750 (a second seed: 0.10, then 0.52 after 250); without, 0.00
after 250, 0.03, 0.06, and 0.12 after 1000 (one seed). The first CAE, at a rate of 1e-3, had 0.03 after 1500. Clusters of hue
and position have 0.80 there, without any training.

Tetrominoes: `small_colour` sees 16 × 16 pixels, at 1.5 ms of one core for each image, instead of 5 with 32 × 32. After 4000
steps of 32 images (200 s) it had an ARI-FG of 0.63, 0.11 untrained, and an error of 0.0075 (points on the circle, one seed).
Narrow networks for 32 × 32, at a rate of 5e-3 and with λ = 1e-2, drew mean images after 1500 steps of 16: 0.29, error 0.06.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import pi
from typing import Any

from neural.autoencoders import Contrast
from neural.autoencoders.ctcae import PUBLISHED as CONTRASTS

PAPER = {  # ARI-FG, ARI-full, error
    ("tetrominoes", "CAE"): "0.12, 0.00, 4.6e-2",
    ("tetrominoes", "CAE++"): "0.84 ± 0.04, 0.78 ± 0.07, 5.1e-5",
    ("tetrominoes", "CtCAE"): "0.85 ± 0.05, 0.84 ± 0.09, 9.7e-5",
    ("dsprites", "CAE"): "0.10, 0.05, 8.2e-3",
    ("dsprites", "CAE++"): "0.54 ± 0.14, 0.51 ± 0.08, 1.6e-3",
    ("clevr", "CAE"): "0.18, 0.04, 1.5e-3",
    ("clevr", "CAE++"): "0.31, 0.27, 2.4e-4",
    ("clevr", "CtCAE"): "0.68, 0.54, 3.4e-4",
}
Model = dict[str, Any]  # options of `AutoencoderTask`, without the seed


@dataclass(frozen=True)
class Recipe:
    """How the networks of one set of scenes are trained and tested.

    Args:
        models: by name.
        steps, batch: of the training. clip: largest norm of its gradients. every: steps between validations.
        images: to train with, where they are drawn; tested: to test with; validated: of them, during the training;
            guessed: of them, with K guessed.
        side: of the images, in pixels; None: as drawn or published.
    """

    models: dict[str, Model]
    steps: int
    batch: int = 64
    clip: float | None = None
    every: int = 1000
    images: int = 60_000
    tested: int = 320
    validated: int = 64
    guessed: int = 64
    side: int | None = None


def published(side: int) -> dict[str, Model]:
    """The published networks for images of that side; and CtCAE with points on the circle, phases spread at first."""
    names = ("encoder_contrast", "decoder_contrast")
    circle = [asdict(replace(contrast, features="circle")) for contrast in CONTRASTS[side]]
    plain = {name: {"kind": name.lower(), "published": side} for name in ("CAE", "CAE++", "CtCAE")}
    ours = plain["CtCAE"] | {"network": dict(zip(names, circle, strict=True)), "spread": pi}
    return plain | {"CtCAE, circle, spread": ours}


def narrow() -> Model:
    """CAE++ for grey images and one core of a processor; phases are spread at first."""
    network = {"image": [1, 32, 32], "channels": [16, 16, 32, 32, 32], "linear": 32}
    return {"kind": "cae++", "network": network, "lr": 5e-3, "warmup": 100, "spread": pi}


def small_colour(features: str) -> Model:
    """CtCAE for colour images of 16 × 16; contrasts of a quarter of the published positions, in half the number."""
    contrast = asdict(Contrast(50, positives=1, top_k=5, negatives=50, bottom_m=125, features=features))
    layers = {"image": [3, 16, 16], "channels": [32, 64, 64], "strides": [2, 2, 1], "linear": 128}
    contrasts = {"encoder_contrast": None, "decoder_contrast": contrast, "weight": 1e-3}
    return {"kind": "ctcae", "network": layers | contrasts, "lr": 2e-3, "warmup": 200, "spread": pi}


def tiny(model: Model) -> Model:
    """The same, with hardly any channels."""
    network = model["network"]
    return model | {"network": network | {"channels": [2] * len(network["channels"]), "linear": 4}}


FEW: dict[str, Any] = {"images": 20_000, "tested": 100, "validated": 32, "guessed": 32}
SHORT: dict[str, Any] = {"steps": 3, "batch": 4, "every": 2, "images": 8, "tested": 4, "validated": 2, "guessed": 1}
GREY = {"kind": "grey", "lr": 1e-3, "warmup": 500}
ROTATING = {"kind": "rotating", "published": "4shapes", "lr": 1e-3, "warmup": 500}
PRESETS = {
    "cpu": {
        "2shapes": Recipe({"CAE++": narrow() | {"spread": 0.0}, "CAE++, spread": narrow()}, 1500, 16, every=150, **FEW),
        "tetrominoes": Recipe(
            {f"CtCAE, {features}": small_colour(features) for features in ("angle", "circle")},
            4000,
            32,
            every=250,
            side=16,
            **FEW,
        ),
    },
    "paper": {
        "2shapes": Recipe({"CAE": GREY, "CAE, spread": GREY | {"spread": pi}}, 10_000),
        "4shapes": Recipe({"rotating features": ROTATING}, 100_000, clip=0.1),
        "tetrominoes": Recipe(published(32), 50_000),
        "dsprites": Recipe(published(64), 100_000),
        "clevr": Recipe(published(96), 100_000, side=96),
    },
    "small": {
        "2shapes": Recipe({"CAE++, spread": tiny(narrow())}, **SHORT),
        "4shapes": Recipe(
            {"rotating features": {"kind": "rotating", "network": {"hidden": 2, "linear": 4, "n": 3}}}, **SHORT
        ),
        "tetrominoes": Recipe({"CtCAE": tiny(small_colour("circle"))}, side=16, **SHORT),
    },
}
