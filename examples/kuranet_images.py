"""Can the pixels of a photograph fall into step, object by object?

You will see photographs turn into phases: a coupling function reads colour and place of two pixels and says how strongly
they attract or repel each other. It is trained on one half of the pixels of an image, with the objects that a person
marked, in random networks; then all pixels become one network, and k-means of its phases gives a segmentation.

Presets: `paper` is the published recipe (networks of 1000 pixels, 5 epochs), Size and Data+Size with 10,000 pixels, and a
segmentation of all 154,401 pixels by their true network: it wants `--device cuda` with 60 GB. `cpu` differs in this: it
trains networks of 200 pixels for one epoch, which are as many iterations, at the learning rate of the published
demonstration; it tests 5 networks, its large ones have 3000 pixels, its sub-populations take 1000 steps, not 5000, and
every sixth row and column is segmented. `small` shows in seconds that all runs. For every image the folder then has
`*_segments.png`, the weights of the best seed, and `table.md`, in which the control of the symmetric best Dice is k-means
of the colours. In large networks the step is √n, because couplings fall as 1/√n.

Run with `--data FOLDER` (or the variable OSCILLATORS_DATA) where bsds8.npz lies.

Source: Ricci et al. 2021, KuraNet (table II, figure 4); images: Berkeley segmentation data set (Arbeláez et al. 2011).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans

import analysis
from analysis import plot
from examples import experiment, report
from examples.experiment import Score, Task, published
from neural.kuranet import Horizon, halves, image, recipes
from neural.kuranet.large import Streamed
from oscillators import Kuramoto, integrate

IMAGES = ("90076", "118020", "124084", "189011", "229036", "247003", "296028", "317080", "361010")
PAPER = published((0.0376, 0.7464), (0.0088, 0.8363), (0.0093, 0.8360)) | {"symmetric best Dice": (0.7001, 0.3719)}
DATA = Horizon(dt=15.0, burn_in=1000, window=50)


@dataclass(frozen=True)
class Preset(experiment.Preset):
    """With a segmentation of every so many rows and columns; nodes are at most half of the pixels."""

    nodes: int = 77_200
    size: int = 1000
    stride: int = 1


DEMONSTRATION = replace(recipes.IMAGE, lr=5e-3, momentum=0.5, nodes=200, epochs=1)
SMALL = replace(recipes.IMAGE, nodes=20, epochs=1, horizon=Horizon(dt=5.0, burn_in=20, window=10))
PRESETS = {
    "cpu": Preset(dict.fromkeys(IMAGES, DEMONSTRATION), networks=5, large=3000, steps=1000, stride=6),
    "paper": Preset(dict.fromkeys(IMAGES, recipes.IMAGE)),
    "small": Preset(
        dict.fromkeys(IMAGES, SMALL), nodes=100, networks=2, size=20, large=100, subset=50, steps=20, stride=40
    ),
}


def main(arguments=None):
    """Study the images that the command line names."""
    parser = report.parser(__doc__, "kuranet_images", IMAGES, PRESETS)
    parser.add_argument("--data", type=Path, default=report.DATA, help="folder of bsds8.npz")
    options = parser.parse_args(arguments)
    if not (options.data / "bsds8.npz").is_file():
        print(
            f"kuranet_images: there is no {options.data / 'bsds8.npz'}; name its folder with --data.", file=sys.stderr
        )
        return 1
    return experiment.run_studies(options, study, lambda scores: experiment.mean_scores("mean", scores, PAPER))


def study(name, preset, record, options):
    """Train and measure one image, segment it, and return its lines of the table."""
    pixels, picture, index = read(options.data / "bsds8.npz", name, preset.stride)
    trained, tested = (half[: preset.nodes] for half in halves(pixels, seed=0))
    large = Horizon(dt=sqrt(preset.large), burn_in=150, window=50)
    task = Task(name, trained, tested, preset.recipes[name], DATA, large, {})

    trainings = experiment.train_seeds(task, options)
    best, scores = experiment.regimes(task, trainings, preset, record, options)
    experiment.keep_weights(task, trainings[best], options)

    coarse = pixels[index.ravel()]
    theta = phases(trainings[best].model.eval(), coarse)
    segments = analysis.phase_clusters(theta, coarse.k, rng=0)
    colours = KMeans(coarse.k, n_init=10, random_state=0).fit_predict(coarse.x[:, :3])
    dice = [analysis.symmetric_best_dice(found, coarse.labels) for found in (segments, colours)]
    scores.append(Score(name, "symmetric best Dice", None, None, *dice, f"seed {best}"))
    maps = {"objects": coarse.labels, f"phases, Dice {dice[0]:.2f}": segments, f"colours, Dice {dice[1]:.2f}": colours}
    maps = {title: np.asarray(labels).reshape(index.shape) for title, labels in maps.items()}
    draw_segments(picture, theta.view(index.shape), maps, options.folder / f"{name}_segments.png")
    return scores


def read(archive, name, stride):
    """All pixels as nodes, the photograph, and the numbers of the pixels in every so many rows and columns."""
    pixels = image(archive, name)
    with np.load(archive) as file:
        picture = file[f"image/{name}"]
    return pixels, picture, torch.arange(len(pixels)).view(picture.shape[:2])[::stride, ::stride]


@torch.no_grad()
def phases(model, pixels, steps=250):
    """Phases of a single network of all pixels at the end of a run; its step grows with √n, as its couplings fall."""
    device = next(model.parameters()).device
    pixels = pixels.to(device)
    keep = torch.float32 if len(pixels) <= 20_000 else torch.bfloat16
    coupling = Streamed(model, pixels.x, keep=keep, progress=True)
    theta = pixels.start(torch.Generator().manual_seed(0)).to(device)
    dt = sqrt(len(pixels))
    return integrate(Kuramoto(torch.zeros_like(theta)), coupling, theta, [0.0, steps * dt], method="euler", dt=dt)[
        -1
    ].cpu()


def draw_segments(picture, theta, maps, file):
    """The photograph, its phases, and labels of its pixels."""
    figure, axes = plt.subplots(1, 5, figsize=(16, 2.6), layout="constrained")
    axes[0].imshow(picture)
    axes[0].set_title("photograph")
    plot.lattice(theta, ax=axes[1])
    axes[1].set_title("phases")
    for ax, (title, labels) in zip(axes[2:], maps.items(), strict=True):
        ax.imshow(labels, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
        ax.set_title(title)
    for ax in axes:
        ax.set_axis_off()
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
