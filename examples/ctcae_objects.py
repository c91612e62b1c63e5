"""Do phases find the objects of an image that nobody has marked?

You will see autoencoders of complex numbers learn to reconstruct scenes: magnitudes are the image, and the phases, of which
no loss asks anything (CtCAE: which a contrast pulls apart), should agree in an object and differ between objects. The folder
has phase maps (hue: phase, brightness: magnitude), curves of the training, the checkpoints of all seeds, and `table.md`:
ARI-FG (agreement on which pixels of objects belong together; 0 by chance, 1 at best) and ARI-full (with the background), both
told the true number K of segments, as published; ARI-FG with K guessed by the silhouette; the error; squared distances between
clusters and in them; and the resultant, the length of the mean direction of active units (1: nothing has parted).

Controls always stand there: k-means of RGB, of hue, of hue and position; untrained networks; and in the column "phases 0" the
trained network's magnitudes without phases. Features of pixels have a pair of numbers for each colour, 0 where it is absent,
so that a good reconstruction names colours without any phase: on Tetrominoes images with phases 0 score as hue does, 0.73 to
0.80. Only what exceeds it is owed to phases. Grey shapes have no such help.

Presets: `paper` has the published recipes; `cpu` has narrow networks, Tetrominoes of 16 × 16 and minutes of one core for each
training, and `small` shows in seconds that all runs. Scenes are drawn here unless `--data FOLDER` (or the variable
OSCILLATORS_DATA) has the published .h5 files; CLEVR is studied where the folder has it.

Source: Löwe et al. 2022 (CAE), 2023 (rotating features); Stanić et al. 2023 (CAE++, CtCAE; their tables, five seeds).
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch

from analysis import plot
from examples import report
from examples.ctcae_recipes import PAPER, PRESETS
from neural import training
from neural.autoencoders import (
    clusters_guessed,
    colour_features,
    direction_colours,
    object_features,
    object_scores,
    phase_features,
    resultant,
    segments,
    settle,
)
from neural.autoencoders.training import AutoencoderTask
from neural.scenes import has_published, multi_dsprites, read_published, shapes, tetrominoes

DRAWN = {
    "2shapes": partial(shapes, kinds=("square", "circle")),
    "4shapes": shapes,
    "tetrominoes": tetrominoes,
    "dsprites": multi_dsprites,
}
TASKS = (*DRAWN, "clevr")


class Score(NamedTuple):
    """A line of the table; `paper` has ARI-FG, ARI-full and error."""

    task: str
    network: str
    paper: str | None
    ARI_FG: str
    phases_0: str | None
    K_guessed: str
    ARI_full: str
    error: str | None
    inter_min: str
    intra: str
    resultant: str | None
    seeds: str | None
    hardware: str
    command: str = ""


COLUMNS = {  # of the table, and the scores in them
    "ARI_FG": "ari_fg",
    "phases_0": "phases 0",
    "K_guessed": "K guessed",
    "ARI_full": "ari_full",
    "error": "error",
    "inter_min": "inter_min",
    "intra": "intra",
    "resultant": "resultant",
}
CURVES = {"ari_fg": "ARI-FG", "resultant": "length of the mean direction", "val_loss": "error"}


def main(arguments=None):
    """Study the scenes that the command line names."""
    parser = report.parser(__doc__, "ctcae_objects", TASKS, PRESETS)
    parser.set_defaults(tasks=None)
    report.add_training(parser)
    options = parser.parse_args(arguments)
    recipes = PRESETS[options.preset]
    report.choose_tasks(parser, options, recipes, lambda task: task in DRAWN or has_published(task, options.data))
    return report.run_studies(options, study, settings=settings, kind=Score)


def settings(preset, task):
    """What the numbers of a task depend on."""
    return asdict(preset[task])


def study(task, preset, record, options):
    """Train and test all networks of a task, draw them, and return the lines of the table."""
    recipe = preset[task]
    train, test = read(task, recipe, options.data)
    controls = record("controls", control_scores, test, recipe.guessed)
    lines = [line(task, name, [found], options) for name, found in controls.items()]
    networks = {}
    for name, model in recipe.models.items():
        trained = [fit(task, name, train, test, recipe, seed, options) for seed in range(options.seeds)]
        fresh = untrained(model, train[: recipe.batch])
        lines.append(
            line(task, f"{name}, untrained", [record(f"{name}, untrained", measure, fresh, test, recipe)], options)
        )
        each = [record(f"{name}, seed {s}", measure, one, test, recipe) for s, one in enumerate(trained)]
        lines.append(line(task, name, each, options))
        networks[name] = trained[0]
    draw_phases(networks, test[:6], options.folder / f"{task}_phases.png")
    draw_curves({name: folders(task, name, options) for name in networks}, options.folder / f"{task}_curves.png")
    return lines


def read(task, recipe, folder):
    """Images to train with, and scenes to test with."""

    def seen(scenes):
        return scenes.resized(recipe.side, masks="nearest" if task == "clevr" else "bicubic") if recipe.side else scenes

    if task in DRAWN and not has_published(task, folder):
        return seen(DRAWN[task](recipe.images, 1)).images, seen(DRAWN[task](recipe.tested, 0))
    held_back = read_published(task, folder, "test", limit=recipe.tested, change=seen)
    return read_published(task, folder, change=seen).images, held_back


def fit(task, name, images, test, recipe, seed, options, build=AutoencoderTask):
    """The network of a seed; a finished training is loaded, an interrupted one goes on."""
    print(f"{task}: {name}, training, seed {seed} ...", file=sys.stderr)
    some = test[: recipe.validated]
    trained = training.fit(
        build(**recipe.models[name], seed=seed),
        training.Batches(images, size=recipe.batch, seed=seed),
        recipe.steps,
        folder=folders(task, name, options)[seed],
        seed=seed,
        val=[(some.images, some.masks)],
        every=recipe.every,
        gradient_clip_val=recipe.clip,
        **report.engine(options),
    )
    return trained.network.to(options.device)


def folders(task, name, options):
    """The folders of the trainings of all seeds."""
    stem = f"{task}_{name.replace(' ', '_').replace(',', '')}"
    return [options.folder / f"{stem}_seed{seed}" for seed in range(options.seeds)]


def untrained(model, images):
    """A new network whose running statistics are those of some images."""
    network = AutoencoderTask(**model).network.eval()
    settle(network, images / 255)
    return network


@torch.no_grad()
def measure(network, scenes, recipe):
    """Mean scores of the objects that a network finds, by the names in the table."""
    found = [scored(network, part, recipe) for part in blocks(scenes)]
    return {name: mean(np.concatenate([each[name] for each in found])) for name in found[0]}


def scored(network, scenes, recipe):
    """Scores of each image."""
    images = scenes.images.to(next(network.parameters()).device) / 255
    run = network.run(images)
    found = feature_scores(object_features(run), scenes.masks, recipe.guessed)
    if len(run.z) == 3:
        still = phase_features(run.magnitude, torch.zeros_like(run.magnitude))
        found["phases 0"] = object_scores(still, scenes.masks)["ari_fg"]
    error = (run.reconstruction - images).square().mean((1, 2, 3))
    return found | {"error": error.cpu().numpy(), "resultant": resultant(run).cpu().numpy()}


def feature_scores(features, masks, guessed):
    """Scores of clusters of the features of pixels; with a guessed K of so many images only."""
    few = features[:guessed], masks[:guessed]
    blind = object_scores(*few, clusters_guessed(*few))["ari_fg"]
    return object_scores(features, masks) | {"K guessed": blind}


def control_scores(scenes, guessed):
    """Scores of clusters of features that know no network."""
    features = colour_features(scenes.images / 255)
    found = {name: feature_scores(each, scenes.masks, guessed) for name, each in features.items()}
    return {name: {score: mean(values) for score, values in each.items()} for name, each in found.items()}


def mean(values):
    """Mean over images; those of a single cluster have no distances, which are NaN."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def blocks(scenes, size=64):
    """Scenes in parts that fit into memory."""
    return [scenes[start : start + size] for start in range(0, len(scenes), size)]


def line(task, name, found, options):
    """A line of the table: means and spreads over seeds, beside what was published."""
    cells = {column: cell([each[score] for each in found if score in each]) for column, score in COLUMNS.items()}
    seeds = str(len(found)) if "resultant" in found[0] else None
    return Score(task, name, PAPER.get((task, name)), **cells, seeds=seeds, hardware=report.hardware(options))


def cell(values):
    """Mean and standard deviation over seeds."""
    if not values:
        return None
    both = (np.mean(values), np.std(values, ddof=1)) if len(values) > 1 else (values[0],)
    return " ± ".join(report.number(round(float(value), 9)) for value in both)


@torch.no_grad()
def draw_phases(networks, scenes, file):
    """Images, objects, and of each network the directions and their clusters."""
    colours, images = scenes.images.expand(-1, 3, -1, -1) / 255, scenes.images / 255
    columns = {"image": colours, "objects": scenes.masks}
    for name, network in networks.items():
        run = network.run(images.to(next(network.parameters()).device))
        columns[name] = direction_colours(run.z).cpu()
        columns[f"clusters, {name}"] = segments(object_features(run), scenes.masks) + 1
    axes = plt.subplots(len(scenes), len(columns), figsize=(1.6 * len(columns), 1.7 * len(scenes)), squeeze=False)[1]
    for column, (title, values) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(title, fontsize=8)
        for ax, image, value in zip(column, colours, values, strict=True):
            if value.ndim == 2:
                plot.segment_map(image, value, ax=ax)
            else:
                ax.imshow(value.movedim(0, -1).numpy())
                ax.set_axis_off()
    report.save(axes.flat[0].figure, file)


def draw_curves(folders, file):
    """ARI-FG, mean direction and error during the trainings of all seeds."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    for ax, (score, label) in zip(axes, CURVES.items(), strict=True):
        for k, (name, seeds) in enumerate(folders.items()):
            for seed, folder in enumerate(seeds):
                ax.plot(*report.curve(folder, score), f"C{k}", alpha=0.7, label=name if seed == 0 else None)
        ax.set(xlabel="step", ylabel=label)
    axes[0].legend(frameon=False, fontsize=8)
    axes[2].set_yscale("log")
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
