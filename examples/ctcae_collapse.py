"""What makes the phases of an autoencoder part?

You will see CtCAE trained on small images of two grey shapes from its published start, at which the phase of every active
unit is 0, and then with one thing changed at a time: the start (phase biases drawn, offsets of the norms, random phases of the
images), or the contrast of its encoder (weight λ, temperature τ, points on the circle). `table.md` has, along the training, the
resultant (length of the mean direction of the active units; 1: nothing has parted) and ARI-FG (agreement on which pixels of
objects belong together; 0 by chance, 1 at best). The figure has the curves.

Without phases at the start all activations are real numbers and stay so: a network and its complex conjugate have the same
loss, and no gradient leads from one to the other.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from math import pi
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from examples import report
from examples.ctcae_objects import draw_curves, fit, folders, read, settings
from examples.ctcae_recipes import PRESETS as OBJECTS
from neural.autoencoders import ComplexBlock
from neural.autoencoders.ctcae import PUBLISHED as CONTRASTS
from neural.autoencoders.training import AutoencoderTask

SCORES = {"resultant": "resultant", "ari_fg": "ARI_FG", "val_loss": "error"}


class Line(NamedTuple):
    """A line of the table: means over seeds after each of the steps."""

    change: str
    steps: str
    resultant: str
    ARI_FG: str
    error: str
    seeds: str
    hardware: str
    command: str = ""


class Start(AutoencoderTask):
    """An autoencoder with another start.

    Args:
        offset: first bias of all norms; 0 as published.
        inputs: phases of the images in the training are drawn from [0, inputs), in radians.
    """

    def __init__(self, offset: float = 0.0, inputs: float = 0.0, **options: Any):
        super().__init__(**options)
        self.inputs = inputs
        for block in self.network.modules():
            if isinstance(block, ComplexBlock):
                nn.init.constant_(block.norm.bias, offset)

    def loss(self, batch):
        images = batch[0] / 255
        return self.network.losses(images, phases=self.inputs * torch.rand_like(images))["total"]


def starts(model):
    """A small CtCAE for grey shapes from its published start, and with changes."""
    encoder = asdict(CONTRASTS[32][0])
    contrasts = {"encoder_contrast": encoder, "decoder_contrast": None}
    layers = {"image": [1, 16, 16], "channels": [16, 32, 32], "strides": [2, 2, 1]}
    none = changed(model | {"kind": "ctcae", "spread": 0.0}, **layers, **contrasts)
    heavy = changed(none, weight=1e-2)
    return {
        "none": none,
        "phase biases in ±0.1": none | {"spread": 0.1},
        "phase biases in ±π": none | {"spread": pi},
        "norms offset by 1": none | {"offset": 1.0},
        "image phases in [0, 1)": none | {"inputs": 1.0},
        "λ = 1e-2": heavy,
        "λ = 1e-2, τ = 0.5": changed(heavy, encoder_contrast=encoder | {"temperature": 0.5}),
        "λ = 1e-2, circle": changed(heavy, encoder_contrast=encoder | {"features": "circle"}),
        "±π, norms offset by 1": none | {"spread": pi, "offset": 1.0},
        "±π, λ = 1e-2": heavy | {"spread": pi},
    }


def changed(model, **network):
    """The model with other options of its network."""
    return model | {"network": model["network"] | network}


def recipe(preset, **options):
    """That of the example of objects, for all starts and images of 16 × 16."""
    base = OBJECTS[preset]["2shapes"]
    return {"2shapes": replace(base, models=starts(base.models["CAE++, spread"]), side=16, **options)}


PRESETS = {"cpu": recipe("cpu", steps=600, every=150), "small": recipe("small", steps=2, every=1)}


def main(arguments=None):
    """Train from every start."""
    parser = report.parser(__doc__, "ctcae_collapse", ("2shapes",), PRESETS)
    report.add_training(parser)
    return report.run_studies(parser.parse_args(arguments), study, settings=settings, kind=Line)


def study(task, preset, record, options):
    """Train from every start and return the lines of the table."""
    images, test = read(task, preset[task], options.data)
    found = {name: folders(task, name, options) for name in preset[task].models}
    for name in found:
        for seed in range(options.seeds):
            fit(task, name, images, test, preset[task], seed, options, build=Start)
    draw_curves(found, options.folder / f"{task}_curves.png")
    return [line(name, each, options) for name, each in found.items()]


def line(name, folders, options):
    """A line of the table: the curves, as means over seeds."""
    curves = {column: [report.curve(folder, score) for folder in folders] for score, column in SCORES.items()}
    means = {column: np.mean([values for _, values in each], axis=0) for column, each in curves.items()}
    cells = {column: ", ".join(f"{value:.3f}" for value in values) for column, values in means.items()}
    steps = ", ".join(map(str, curves["error"][0][0]))
    return Line(name, steps, **cells, seeds=str(len(folders)), hardware=report.hardware(options))


if __name__ == "__main__":
    sys.exit(main())
