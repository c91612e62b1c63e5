"""Do waves of oscillators take a picture apart without having learned anything?

You will see white shapes on black: every pixel is an oscillator, its brightness its frequency. A first layer, in which all
pixels act on all, finds the ground by its phase; in a second one only near pixels act, and each object turns in its own rhythm.
The folder has the phases over the picture (`*_phases.png`: picture, both layers, what was found),
and `table.md`: Rand index over all pixels, share of pixels with the right label, and FG-ARI, with one random start, as
published, and with 16, whose similarities are averaged.

Pictures: two and three shapes that do not touch (32 x 32, drawn from a seed), and two of MNIST's digits side by side
(`--data`). Nothing is trained.

Source: Liboni et al. 2025; their pictures are others: 1000 of two shapes and 1000 of three, not published as files.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import maximum_filter
from sklearn.metrics import rand_score

import analysis
from analysis import plot
from examples import report
from examples.report import Line
from neural.images import mnist
from neural.scenes import shapes
from neural.waves.segmentation import FAR, NEAR, SAMPLES, foreground, propagate, segment

KINDS = {"two": ("square", "circle"), "three": ("square", "up", "circle")}
PAPER = {"two": 93, "three": 86}  # pixels with the right label (%)
GAP = 3  # pixels between objects that do not touch


@dataclass(frozen=True)
class Preset:
    """Pictures of each task, and the numbers of random starts that are compared."""

    pictures: int
    restarts: tuple[int, ...] = (1, 16)


PRESETS = {"cpu": Preset(50), "paper": Preset(1000), "small": Preset(2, (1, 2))}


def main(arguments=None):
    """Study the pictures that the command line names."""
    parser = report.parser(__doc__, "waves_segmentation", ("two", "three", "digits"), PRESETS)
    parser.add_argument("--data", type=Path, default=report.DATA, help="folder of the data")
    return report.run_studies(parser.parse_args(arguments), study)


def study(task, preset, record, options):
    """Segment all pictures of a task, draw one, and return the lines of the table."""
    lines = []
    for n in preset.restarts:
        images, masks = pictures(task, preset.pictures, options.data)
        each = [record(f"{n} starts, seed {seed}", measure, images, masks, n, seed) for seed in range(options.seeds)]
        for name in each[0]:
            paper = PAPER.get(task) if n == 1 and name == "pixels" else None
            ours = report.percent([scores[name] for scores in each])
            what = f"{name}, {n} start{'s' * (n > 1)} (%)"
            lines.append(Line(task, what, paper, None, ours, str(len(each)), report.hardware(options)))
    draw(images[0], int(masks[0].max()), options.folder / f"{task}_phases.png")
    return lines


def pictures(task, count, folder):
    """Brightness from -1 to 1 and labels of pictures, (count, height, width) each."""
    if task == "digits":
        pair = mnist(folder, train=False, count=2 * count).images[:, 0].numpy() / 255.0
        images = np.concatenate([pair[:count], pair[count:]], -1)  # side by side
        half = np.where(np.arange(images.shape[-1]) < pair.shape[-1], 1, 2)
        return np.where(images > 0.5, 1.0, -1.0), np.where(images > 0.5, half, 0)
    scenes = shapes(200 * count, 0, KINDS[task])  # about 3 in 100 of three shapes do not touch
    masks = scenes.masks.numpy()
    masks = masks[[apart(mask) for mask in masks]][:count]
    return np.where(masks > 0, 1.0, -1.0), masks.astype(int)


def apart(mask):
    """Whether objects have `GAP` pixels of ground between them."""
    others = [(maximum_filter(mask == k, 2 * GAP + 1) & (mask > 0) & (mask != k)).any() for k in np.unique(mask)[1:]]
    return bool((mask >= 0).all() and not any(others))


def measure(images, masks, n_restarts, seed):
    """Mean scores of the labels of pictures."""
    objects = int(masks.max())
    found = [segment(image, objects, n_restarts=n_restarts, rng=[seed, k]) for k, image in enumerate(images)]
    pairs = list(zip(masks, found, strict=True))
    return {
        "Rand index": float(np.mean([rand_score(mask.ravel(), labels.ravel()) for mask, labels in pairs])),
        "pixels": float(np.mean([right(mask, labels) for mask, labels in pairs])),
        "FG-ARI": float(analysis.fg_ari(np.stack(found), masks).mean()),
    }


def right(mask, labels):
    """Largest share of pixels with the right label, over all ways to name the objects."""
    objects = range(1, mask.max() + 1)
    return max((np.array([0, *names])[labels] == mask).mean() for names in permutations(objects))


def draw(image, objects, file):
    """The picture, the phases of its waves, and the segments."""
    x0 = np.exp(2j * np.pi * np.random.default_rng(0).random(image.shape))
    far = propagate(x0, image, FAR, SAMPLES - 1).x
    mask = foreground(far[-1])
    near = propagate(x0, image, NEAR, 120, mask).x
    figure, axes = plt.subplots(1, 6, figsize=(14, 2.6), layout="constrained")
    axes[0].imshow(image, cmap="gray")
    phases = {"layer 1": far[-1], **{f"layer 2, step {k}": near[k - 1] for k in (20, 80, 120)}}
    for ax, (name, x) in zip(axes[1:5], phases.items(), strict=True):
        theta = np.where(mask | (name == "layer 1"), np.angle(x), np.nan)
        ax.imshow(theta, cmap="twilight", vmin=-np.pi, vmax=np.pi, interpolation="nearest")
        ax.set_title(name)
    plot.segment_map((image + 1) / 2, segment(image, objects, rng=0), ax=axes[5])
    for ax, title in ((axes[0], "picture"), (axes[5], "found")):
        ax.set_title(title)
    for ax in axes:
        ax.set_axis_off()
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
