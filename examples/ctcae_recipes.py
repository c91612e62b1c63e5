"""How `ctcae_objects` trains: the published recipes, and narrow networks for one core of a processor.

What makes phases leave their start, at which all are 0, early: random phase biases (`spread`). Measured on two grey shapes with
the networks of `narrow(1)`, batch 16, 32 test images (1000 steps take 60 s of one core): with spread phases ARI-FG is 0.04 at
first, 0.51 after 250 steps, 0.62 after 500, 0.64 after 750 (a second seed: 0.10, then 0.52 after 250); without, 0.00 after 250,
0.03, 0.06, and 0.12 after 1000 (one seed). The first CAE, at a rate of 1e-3, had 0.03 after 1500.
Clusters of hue and position have 0.80 there, without any training.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import pi
from typing import Any

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


def published(side: int) -> dict[str, Model]:
    """The published networks for images of that side; and CtCAE with points on the circle, phases spread at first."""
    names = ("encoder_contrast", "decoder_contrast")
    circle = [asdict(replace(contrast, features="circle")) for contrast in CONTRASTS[side]]
    plain = {name: {"kind": name.lower(), "published": side} for name in ("CAE", "CAE++", "CtCAE")}
    ours = plain["CtCAE"] | {"network": dict(zip(names, circle, strict=True)), "spread": pi}
    return plain | {"CtCAE, circle, spread": ours}


def narrow(colours: int, **contrasts: Any) -> Model:
    """CtCAE, or without contrasts CAE++, for so many colours and one core of a processor; phases are spread at first."""
    network = {"image": [colours, 32, 32], "channels": [16, 16, 32, 32, 32], "linear": 32 * colours, **contrasts}
    return {"kind": "ctcae" if contrasts else "cae++", "network": network, "lr": 5e-3, "warmup": 100, "spread": pi}


def tiny(colours: int, **contrasts: Any) -> Model:
    """The same, with hardly any channels."""
    model = narrow(colours, **contrasts)
    return model | {"network": model["network"] | {"channels": [2] * 5, "linear": 4}}


FEW = {"images": 20_000, "tested": 100, "validated": 32, "guessed": 32}
GREY = {"kind": "grey", "lr": 1e-3, "warmup": 500}
ROTATING = {"kind": "rotating", "published": "4shapes", "lr": 1e-3, "warmup": 500}
CTCAE = {"encoder_contrast": None, "weight": 1e-2}  # 16 positions of an encoder's last map are few for 16 contrasts
ANGLE, CIRCLE = (asdict(replace(CONTRASTS[32][1], features=features)) for features in ("angle", "circle"))
PRESETS = {
    "cpu": {
        "2shapes": Recipe(
            {"CAE++": narrow(1) | {"spread": 0.0}, "CAE++, spread": narrow(1)}, 1500, 16, every=150, **FEW
        ),
        "tetrominoes": Recipe(
            {
                "CtCAE, angle": narrow(3, decoder_contrast=ANGLE, **CTCAE),
                "CtCAE, circle": narrow(3, decoder_contrast=CIRCLE, **CTCAE),
            },
            1500,
            16,
            every=150,
            **FEW,
        ),
    },
    "paper": {
        "2shapes": Recipe({"CAE": GREY, "CAE, spread": GREY | {"spread": pi}}, 10_000),
        "4shapes": Recipe({"rotating features": ROTATING}, 100_000, clip=0.1),
        "tetrominoes": Recipe(published(32), 50_000),
        "dsprites": Recipe(published(64), 100_000),
        "clevr": Recipe(published(96), 100_000),
    },
    "small": {
        task: Recipe(models, 3, 4, every=2, images=8, tested=4, validated=2, guessed=1)
        for task, models in {
            "2shapes": {"CAE++, spread": tiny(1)},
            "4shapes": {"rotating features": {"kind": "rotating", "network": {"hidden": 2, "linear": 4, "n": 3}}},
            "tetrominoes": {"CtCAE": tiny(3, encoder_contrast=None, decoder_contrast=CIRCLE)},
        }.items()
    },
}
