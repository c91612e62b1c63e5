"""Do oscillators find the objects of a scene that nobody has marked?

You will see AKOrN and its baselines learn from scenes without labels (two random views of a scene are to be alike), and then
the features of their patches clustered: do the clusters fall on objects? The folder has the segments of AKOrN and of ItrSA
over test scenes, energy and score against the number of steps T, the score against the number of clusters, the checkpoints of
all seeds, and `table.md`: FG-ARI (agreement on which pixels of objects belong together; 0 by chance, 1 at best) and MBO (mean
best overlap), on the grid of patches and on one four times as fine (up-tiling). Clusters of the hues of pixels are the
control: some scenes need no network.

Networks: AKOrN with attention or convolutions, and, without oscillators, ItrSA and ItrConv. Presets: `paper` is the published
recipe; `cpu` has width 64 and steps for minutes, `small` shows in seconds that all runs. Differences chosen here are named
in `akorn_objects_recipes`. `cpu` gives, on the patches' own grid, an FG-ARI (percent, three seeds) of 66.6 ± 0.8 with AKOrN and
64.1 ± 0.4 with ItrSA after two steps, the other way round after four (63.7 and 66.4), and of 76.5 with hues: so short a
training stays below its control.

Tetrominoes and multi-dSprites are drawn here unless `--data FOLDER` (or the variable OSCILLATORS_DATA) has the published .h5
files; CLEVR and CLEVRTex are studied where the folder has them.

Source: Miyato et al. 2025, AKOrN (tables 1, 10 and 11).
"""

from __future__ import annotations

import sys
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans

import analysis
from analysis import plot
from examples import report
from examples.akorn_objects_recipes import PRESETS, PUBLISHED
from examples.report import Line
from neural import training
from neural.akorn import ObjectAKOrN, segment
from neural.akorn.objects_training import ObjectTask
from neural.scenes import has_published, multi_dsprites, read_published, tetrominoes

DRAWN = {"tetrominoes": tetrominoes, "dsprites": multi_dsprites}
TASKS = (*DRAWN, "clevr", "clevrtex")
RESIZED = {"clevr": lambda scenes: scenes.resized(128, images="nearest", masks="nearest")}
SCORES = {"FG-ARI": analysis.fg_ari, "MBO": analysis.mean_best_overlap}


def main(arguments=None):
    """Study the scenes that the command line names."""
    parser = report.parser(__doc__, "akorn_objects", TASKS, PRESETS)
    parser.set_defaults(tasks=None)
    report.add_training(parser)
    options = parser.parse_args(arguments)
    recipes = PRESETS[options.preset].recipes
    report.choose_tasks(parser, options, recipes, lambda task: task in DRAWN or has_published(task, options.data))
    return report.run_studies(options, study, settings=settings)


def settings(preset, task):
    """What the numbers of a task depend on."""
    return report.preset_alone(preset, task) | {"recipes": report.preset_alone(preset.recipes[task], task)}


def study(task, preset, record, options):
    """Train and test all networks of a task, draw two of them, and return the lines of the table."""
    recipe = preset.recipes[task]
    train, test = read(task, recipe, options.data)
    lines, first = [], {}
    for name in recipe.networks:
        trained = [fit(task, name, train, recipe, seed, options) for seed in range(options.seeds)]
        first[name] = trained[0]
        for tiles in (1, preset.finest):
            each = [
                record(f"{name}, grid × {tiles}, seed {s}", measure, one, test, recipe.clusters, tiles)
                for s, one in enumerate(trained)
            ]
            lines += [line(task, name, tiles, score, [found[score] for found in each], options) for score in SCORES]
    control = record("hues", control_scores, test, recipe.clusters)
    lines += [Line(task, f"hues of pixels, {s}", None, None, report.percent([control[s]]), "–", "") for s in SCORES]
    pair = {name: first[name] for name in ("AKOrN attn", "ItrSA")}
    draw_segments(pair, test[:6], recipe.clusters, preset.finest, options.folder / f"{task}_segments.png")
    draw_curves(pair, test[:64], recipe.clusters, preset.T, options.folder / f"{task}_curves.png")
    return lines


def read(task, recipe, folder):
    """Images to train with, and scenes to test with."""
    if task in DRAWN and not has_published(task, folder):
        return DRAWN[task](recipe.images, 1).images, DRAWN[task](recipe.tested, 0)
    change = RESIZED.get(task)
    test = read_published(task, folder, "test", limit=recipe.tested, change=change)
    return read_published(task, folder, "train", change=change).images, test


def fit(task, name, images, recipe, seed, options):
    """The network of a seed; a finished training is loaded, an interrupted one goes on."""
    print(f"{task}: {name}, training, seed {seed} ...", file=sys.stderr)
    kind, network = recipe.networks[name]
    fresh = ObjectTask(kind, network, recipe.lr, scale=[recipe.scale, 1.0], seed=seed)
    batches = training.Batches(images, size=recipe.batch, seed=seed)
    folder = options.folder / f"{task}_{name.replace(' ', '_')}_seed{seed}"
    trained = training.fit(
        fresh, batches, recipe.steps, folder=folder, seed=seed, ema=recipe.ema, **report.engine(options)
    )
    return trained.network.to(options.device)


def measure(network, scenes, k, tiles):
    """Mean scores of the segments of scenes, on a grid `tiles` times as fine as the patches."""
    found = np.concatenate([segments(network, part.images, k, tiles=tiles) for part in blocks(scenes)], axis=-3)
    return scores(found, scenes)


def segments(network, images, k, **options):
    """Segments of images uint8, from random starts of seed 0 where the network has oscillators."""
    device = next(network.parameters()).device
    start = {"generator": torch.Generator().manual_seed(0)} if isinstance(network, ObjectAKOrN) else {}
    return segment(network, images.to(device) / 255, k, **start, **options).cpu().numpy()


def scores(found, scenes):
    """Means over scenes of all scores of labels."""
    return {name: float(np.nanmean(score(found, scenes.masks.numpy()))) for name, score in SCORES.items()}


def control_scores(scenes, k):
    """Scores of k-means of the hues of an image's pixels: their colours divided by the largest channel."""
    pixels = scenes.images.movedim(1, -1).flatten(1, 2).numpy()
    hues = pixels / np.maximum(pixels.max(-1, keepdims=True), 1)
    found = [KMeans(min(k, len(np.unique(each, axis=0))), n_init=10, random_state=0).fit_predict(each) for each in hues]
    return scores(np.stack(found).reshape(scenes.masks.shape), scenes)


def blocks(scenes, size=64):
    """Scenes in parts that fit into memory."""
    return [scenes[start : start + size] for start in range(0, len(scenes), size)]


def line(task, name, tiles, score, values, options):
    """A line of the table: mean and spread over seeds, beside what was published."""
    place = list(SCORES).index(score)
    paper, repository = (each[place] for each in PUBLISHED.get((task, name, tiles), ((None, None), (None, None))))
    measured = f"{name}, {score}" + (f", grid × {tiles}" if tiles > 1 else "")
    return Line(task, measured, paper, repository, report.percent(values), str(len(values)), report.hardware(options))


def draw_segments(networks, scenes, k, tiles, file):
    """Scenes, their objects, and the segments of each network."""
    found = {name: segments(network, scenes.images, k, tiles=tiles) for name, network in networks.items()}
    axes = plot.segment_maps(scenes.images / 255, truth=scenes.masks, **found)
    report.save(axes.flat[0].figure, file)


def draw_curves(networks, scenes, k, T, file):
    """The energy of AKOrN after each step, and the scores of networks against the number of steps and of clusters."""
    figure, (energy, steps, clusters) = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    akorn, images = networks["AKOrN attn"], scenes.images.to(next(networks["AKOrN attn"].parameters()).device) / 255
    with torch.no_grad():
        run = akorn.run(images, T=max(T), energies=True, generator=torch.Generator().manual_seed(0))
    energy.plot(run.energies[-1].mean(1).cpu())
    energy.set(xlabel="step", ylabel="energy of AKOrN, last block")
    counts = list(range(2, min(3 * k, (akorn.imsize // akorn.psize) ** 2) + 1))
    for name, network in networks.items():
        ari = partial(analysis.fg_ari, truth=scenes.masks.numpy())
        steps.plot(T, [ari(segments(network, scenes.images, k, T=t)).mean() for t in T], "o-", label=name)
        cuts = ari(segments(network, scenes.images, counts))
        plot.score_against_clusters(counts, cuts, name="FG-ARI", label=name, ax=clusters)
    steps.set(xlabel="steps T", ylabel="FG-ARI", xscale="log")
    steps.set_xticks(T, T)
    steps.minorticks_off()
    steps.legend(frameon=False)
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
