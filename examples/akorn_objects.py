"""Do oscillators find the objects of a scene that nobody has marked?

You will see AKOrN and its baselines learn from scenes without labels (two random views of a scene are to be alike), and then
the features of their patches clustered: do the clusters fall on objects? The folder has the segments of AKOrN and of ItrSA
over test scenes, energy and score against the number of steps T, the score against the number of clusters, the checkpoints of
all seeds, and `table.md`: FG-ARI (agreement on which pixels of objects belong together; 0 by chance, 1 at best) and MBO (mean
best overlap), on the grid of patches and on one four times as fine (up-tiling). Clusters of the hues of pixels are the
control: some scenes need no network.

Networks: AKOrN with attention or convolutions, and, without oscillators, ItrSA and ItrConv. Presets: `paper` is the published
recipe; `cpu` has width 64 and steps for minutes, `small` shows in seconds that all runs. Differences chosen here are named
where the presets are. `cpu` gives, on the patches' own grid, an FG-ARI (percent, three seeds) of 66.6 ± 0.8 with AKOrN and
64.1 ± 0.4 with ItrSA after two steps, the other way round after four (63.7 and 66.4), and of 76.5 with hues: so short a
training stays below its control.

Tetrominoes and multi-dSprites are drawn here unless `--data FOLDER` (or the variable OSCILLATORS_DATA) has the published .h5
files; CLEVR and CLEVRTex are studied where the folder has them.

Source: Miyato et al. 2025, AKOrN (tables 1, 10 and 11).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans

import analysis
from analysis import plot
from examples import report
from examples.report import Line
from neural import training
from neural.akorn import MovingAverage, ObjectAKOrN, segment
from neural.akorn.objects_training import ObjectTask
from neural.akorn.stimulus import StimulusNorm
from neural.scenes import multi_dsprites, read_clevrtex, read_hdf5, tetrominoes

Network = tuple[str, dict[str, Any]]  # its kind and its options, as `ObjectTask` takes them

DRAWN = {"tetrominoes": tetrominoes, "dsprites": multi_dsprites}
FILES = {  # to train and to test
    "tetrominoes": ("tetrominoes.h5", "tetrominoes_test.h5"),
    "dsprites": ("multi_dsprites_colored_on_grayscale.h5", "multi_dsprites_colored_on_grayscale_test.h5"),
    "clevr": ("clevr6_with_masks_train.h5", "clevr6_with_masks_and_factors_test.h5"),
    "clevrtex": ("clevrtex_full", "clevrtex_full"),
}
SEEN = {
    "tetrominoes": lambda scenes: scenes.cropped(1, 1, 32),
    "dsprites": None,
    "clevr": lambda scenes: scenes.cropped(29, 64, 192).resized(128, images="nearest", masks="nearest"),
}
PUBLISHED = {  # FG-ARI and MBO by task, network and grid: of the paper; of the repository
    ("tetrominoes", "AKOrN attn", 1): (("86.19", "55.06"), ("88.6 ± 1.7", "56.4 ± 0.9")),
    ("tetrominoes", "AKOrN attn", 4): (("92.72", "56.40"), ("93.1 ± 0.3", "56.3 ± 0.0")),
    ("tetrominoes", "AKOrN conv", 1): (("75.37", "53.88"), ("76.4 ± 0.8", "51.9 ± 1.5")),
    ("tetrominoes", "ItrSA", 1): (("86.81", "51.74"), ("85.8 ± 0.8", "54.9 ± 3.4")),
    ("tetrominoes", "ItrConv", 1): (("55.56", "48.82"), ("59.0 ± 2.9", "51.6 ± 2.2")),
    ("dsprites", "AKOrN attn", 1): (("79.98", "65.57"), ("78.3 ± 1.3", "63.0 ± 1.8")),
    ("dsprites", "AKOrN attn", 4): (("88.57", "62.81"), ("87.1 ± 1.0", "60.2 ± 1.9")),
    ("dsprites", "AKOrN conv", 1): (("73.35", "56.80"), ("63.8 ± 7.7", "50.7 ± 4.7")),
    ("dsprites", "ItrSA", 1): (("69.42", "64.67"), ("68.1 ± 1.4", "63.0 ± 1.2")),
    ("dsprites", "ItrConv", 1): (("20.46", "31.25"), ("29.1 ± 6.2", "38.5 ± 5.2")),
    ("clevr", "AKOrN attn", 1): (("90.93", "43.55"), ("91.0 ± 0.5", "45.5 ± 1.4")),
    ("clevr", "AKOrN attn", 4): (("93.64", "43.76"), ("94.6 ± 0.7", "44.7 ± 0.7")),
    ("clevr", "AKOrN conv", 1): (("65.08", "47.03"), ("59.0 ± 4.3", "44.4 ± 2.0")),
    ("clevr", "ItrSA", 1): (("80.15", "36.76"), ("82.5 ± 1.7", "39.4 ± 1.9")),
    ("clevr", "ItrConv", 1): (("56.41", "33.98"), ("49.3 ± 5.1", "29.7 ± 3.0")),
    ("clevrtex", "AKOrN attn", 1): (("75.79", "54.94"), ("75.6 ± 0.2", "55.0 ± 0.0")),
    ("clevrtex", "AKOrN attn, L = 2", 1): (("81.50", "54.08"), ("80.5 ± 1.5", "54.9 ± 0.6")),
    ("clevrtex", "AKOrN attn, L = 2", 4): (("87.28", "55.40"), ("87.7 ± 1.0", "55.3 ± 2.1")),
    ("clevrtex", "ItrSA", 1): (("66.07", "43.41"), ("65.7 ± 0.3", "44.6 ± 0.9")),
    ("clevrtex", "ItrSA, L = 2", 1): (("75.33", "48.44"), ("76.3 ± 0.4", "48.5 ± 0.1")),
}
SCORES = {"FG-ARI": analysis.fg_ari, "MBO": analysis.mean_best_overlap}


def networks(
    ch: int = 128,
    imsize: int = 32,
    psize: int = 4,
    ksize: int = 5,
    T: int = 8,
    c_norm: StimulusNorm | None = None,
) -> dict[str, Network]:
    """AKOrN and its baselines for one set of scenes, with as many channels and steps."""
    patches = {"ch": ch, "T": T, "imsize": imsize, "psize": psize}
    akorn = patches | {"c_norm": c_norm, "omega_off": "identity"}  # without Ω, as published
    return {
        "AKOrN attn": ("akorn", akorn),
        "ItrSA": ("itrsa", patches | {"positions": "gta"}),
        "AKOrN conv": ("akorn", akorn | {"J": "conv", "ksize": ksize}),
        "ItrConv": ("itrconv", patches | {"ksize": ksize}),
    }


def textured() -> dict[str, Network]:
    """The networks for CLEVRTex."""
    attention = networks(256, 128, 8, c_norm="gn")
    akorn, itrsa = attention["AKOrN attn"][1], attention["ItrSA"][1]
    return {
        "AKOrN attn": ("akorn", akorn),
        "AKOrN attn, L = 2": ("akorn", akorn | {"L": 2}),
        "ItrSA": ("itrsa", itrsa),
        "ItrSA, L = 2": ("itrsa", itrsa | {"blocks": 2}),
    }


def quick() -> dict[str, Network]:
    """Width 64 and two steps, or four with attention; the stimulus is normalised, with which AKOrN learns faster."""
    two, four = (networks(64, T=T, c_norm="gn") for T in (2, 4))
    attention = ("AKOrN attn", "ItrSA")
    return {name: two[name] for name in attention} | {f"{name}, T = 4": four[name] for name in attention} | two


@dataclass(frozen=True)
class Recipe:
    """How the networks of one set of scenes are trained and tested.

    Args:
        networks: by name, "AKOrN attn" and "ItrSA" among them.
        steps, batch, lr: of the training. scale: least area of its crops.
        images: to train with, where they are drawn; tested: to test with.
        clusters: into which the patches of a scene are cut; ground and objects.
        ema: of the weights.
    """

    networks: dict[str, Network]
    steps: int
    clusters: int
    batch: int = 256
    lr: float = 1e-3
    scale: float = 0.08
    images: int = 60_000
    tested: int = 320
    ema: MovingAverage = MovingAverage(0.998, 10, 200)  # noqa: RUF009


@dataclass(frozen=True)
class Preset:
    """Recipes by task; `finest`: the finest grid, in parts of a patch; `T`: numbers of steps that are drawn."""

    recipes: dict[str, Recipe]
    finest: int = 4
    T: tuple[int, ...] = field(default=(1, 2, 4, 8, 16, 32))


PRESETS = {
    "cpu": Preset(
        {"tetrominoes": Recipe(quick(), 1200, 4, batch=32, lr=2e-3, images=20_000, ema=MovingAverage(0.99, 10, 200))}
    ),
    "paper": Preset(
        {
            "tetrominoes": Recipe(networks(), 50 * 234, 4),
            "dsprites": Recipe(networks(imsize=64, ksize=7), 50 * 234, 7),
            "clevr": Recipe(networks(256, 128, 8, 7), 300 * 195, 11),
            "clevrtex": Recipe(textured(), 500 * 156, 11, tested=5000),
        }
    ),
    "small": Preset(
        {
            "tetrominoes": Recipe(networks(16, T=2), 2, 4, batch=4, images=8, tested=8),
            "dsprites": Recipe(networks(16, 64, 16, T=2), 2, 7, batch=4, images=8, tested=8),
        },
        finest=2,
        T=(1, 2, 3),
    ),
}


def main(arguments=None):
    """Study the scenes that the command line names."""
    parser = report.parser(__doc__, "akorn_objects", tuple(FILES), PRESETS)
    parser.set_defaults(tasks=None)
    report.add_training(parser)
    options = parser.parse_args(arguments)
    recipes = PRESETS[options.preset].recipes
    if options.tasks is None:
        options.tasks = [task for task in recipes if task in DRAWN or (options.data / FILES[task][0]).exists()]
    unknown = [task for task in options.tasks if task not in recipes]
    if unknown:
        parser.error(
            f"argument --tasks: must be of the preset {options.preset}, which has {', '.join(recipes)}, not {unknown[0]}"
        )
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
    train, test = (folder / name for name in FILES[task])
    if task == "clevrtex":
        return read_clevrtex(train, "train").images, read_clevrtex(test, "test")[: recipe.tested]
    if task in DRAWN and not train.is_file():
        return DRAWN[task](recipe.images, 1).images, DRAWN[task](recipe.tested, 0)
    held_back = read_hdf5(test, "test", limit=recipe.tested, change=SEEN[task])
    return read_hdf5(train, "train", change=SEEN[task]).images, held_back


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
