"""Do oscillators see what an image shows, and still see it when it is noisy, attacked or corrupted?

You will see AKOrN and its baselines learn CIFAR-10 and then be tested: on clean images; under random noise (ε = 64/255), FGSM
and PGD (ε = 8/255; gradients averaged over draws of the network, EoT); under the fifteen common corruptions at severity 5,
with the calibration error there (ECE, all kinds together). The folder then has a figure with reliability and accuracy by
corruption, one with the changed images, the checkpoints of all seeds, and `table.md`.

Tasks: `akorn` (convolutions, N = 2), `mix` and `mix4` (the last block attention, T = 6, 4, 2; N = 2 and 4), `resnet`
(ResNet-18) and `vit`. Presets: `paper` is the published recipe (400 epochs, Adam 1e-4, batch 128, averaged weights) and runs
AutoAttack too, for oscillators its version for random networks (EoT); `pretrain` begins all but `vit` with SimCLR (50 epochs,
batch 512), on the training images, or on those of `--pictures`: the paper has Tiny-ImageNet, whose folder `train` can be named
there. `cpu` is small enough for minutes: 16 channels, 1000 steps of 32 of 10,000 images without augmentation, smaller kernels
and larger steps of Adam, all chosen here. `small` shows in seconds that all runs. What the paper does not say and is chosen
here: the size of `vit`, and that pictures for SimCLR are 32 x 32.

Run with `--data FOLDER` (or the variable OSCILLATORS_DATA) where CIFAR-10 lies, in its binary version or as
cifar10_jpeg.npz. Images of the latter have been compressed, and the corruptions are made here: see `neural.robustness` for
what differs from CIFAR-10-C.

Source: Miyato et al. 2025, AKOrN (tables 4 and 14).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch

import analysis
from analysis import plot
from examples import report
from examples.report import Line
from neural import training
from neural.akorn import ClassifierAKOrN, MovingAverage
from neural.akorn.classifier_training import Classify, Pretrain, start_from
from neural.images import Labelled, cifar10, picture_folder
from neural.robustness import FIFTEEN, Verdict, auto_attack, corrupt, fgsm, judge, pgd, random_noise

TASKS = ("akorn", "mix", "mix4", "resnet", "vit")
COLUMNS = ("clean", "AutoAttack", "corruptions", "ECE of corruptions")
PAPER = {
    "akorn": (0.8891, 0.5891, 0.830, 0.013),
    "mix": (0.9123, 0.5156, 0.864, 0.014),
    "mix4": (0.9351, 0.0, 0.840, 0.064),
    "resnet": (0.9441, 0.0, 0.815, 0.089),
    "vit": (0.9144, 0.0, 0.810, 0.096),
}
REPOSITORY = {("akorn", "clean"): "0.84 to 0.85 (without SimCLR)"}
Network = tuple[str, dict[str, Any]]  # its kind and its options, as `Classify` takes them


def networks(
    ch: int = 64, ksizes: tuple[int, ...] = (9, 7, 5), width: int = 384, blocks: int = 6
) -> dict[str, Network]:
    """AKOrN, its variants and its baselines, of a width."""
    kernels = list(ksizes)
    mix = {"ch": ch, "J": ["conv", "conv", "attn"], "T": [6, 4, 2], "ksizes": kernels}
    vit = {"ch": width, "blocks": blocks, "T": 1, "imsize": 32, "psize": 4, "outputs": 10}
    return {
        "akorn": ("akorn", {"ch": ch, "ksizes": kernels}),
        "mix": ("akorn", mix),
        "mix4": ("akorn", mix | {"n": 4}),
        "resnet": ("resnet", {"ch": ch}),
        "vit": ("vit", vit),
    }


@dataclass(frozen=True)
class Preset:
    """How much is trained and measured.

    Args:
        networks: by task.
        steps, batch, lr: of the training. scale: least area of its crops (None: no augmentation).
        images: to train with. ema: of the weights.
        tested: images to test. attacked: of them, under FGSM and PGD. broken: of them, under AutoAttack.
        eot: draws over which gradients are averaged.
        pretrain, views: steps of SimCLR and images in each.
    """

    networks: dict[str, Network] = field(default_factory=networks)
    steps: int = 400 * 390
    batch: int = 128
    lr: float = 1e-4
    scale: float | None = 0.2
    images: int = 50_000
    ema: MovingAverage = MovingAverage(0.99, 10, 200)  # noqa: RUF009
    tested: int = 10_000
    attacked: int = 1000
    broken: int = 1000
    eot: int = 20
    pretrain: int = 0
    views: int = 512


PRESETS = {
    "cpu": Preset(
        networks(16, (5, 3, 3), 64, 3),
        steps=1000,
        batch=32,
        lr=1e-3,
        scale=None,
        images=10_000,
        ema=MovingAverage(0.97, 10, 100),
        tested=1000,
        attacked=100,
        broken=0,
        eot=2,
    ),
    "paper": Preset(),
    "pretrain": Preset(pretrain=50 * 97),
    "small": Preset(
        networks(8, (3, 3, 3), 16, 1),
        steps=3,
        batch=8,
        images=40,
        tested=12,
        attacked=4,
        broken=0,
        eot=1,
        pretrain=2,
        views=4,
    ),
}


def main(arguments=None):
    """Train and test the networks that the command line names."""
    parser = report.parser(__doc__, "akorn_cifar10", TASKS, PRESETS)
    report.add_training(parser)
    parser.add_argument("--pictures", type=Path, help="folder of folders of pictures for SimCLR (default: CIFAR-10)")
    options = parser.parse_args(arguments)

    def settings(preset, task):
        return {
            **report.preset_alone(preset, task),
            "networks": preset.networks[task],
            "pictures": str(options.pictures),
        }

    return report.run_studies(options, study, settings=settings)


def study(name, preset, record, options):
    """Train and test one network in all seeds, draw it, and return its lines of the table."""
    test = cifar10(options.data, train=False, count=preset.tested)
    found = []
    for seed in range(options.seeds):
        print(f"{name}: training, seed {seed} ...", file=sys.stderr)
        network = train(name, preset, seed, options).to(options.device)
        found.append(measure(network, test, preset, with_seed(record, seed), options))
    draw_tests(network, test, found[-1], options.folder / f"{name}.png", options)
    return [line(name, column, [each[column] for each in found], options) for column in found[0] if column != "kinds"]


def with_seed(record, seed):
    """A record whose names have the number of a seed."""
    return lambda name, *call: record(f"{name}, seed {seed}", *call)


def train(name, preset, seed, options):
    """The network of a seed; a finished training is loaded, an interrupted one goes on."""
    kind, network = preset.networks[name]
    folder = options.folder / f"{name}_seed{seed}"
    task = Classify(kind, network, preset.lr, preset.scale and (preset.scale, 1.0), seed)
    if preset.pretrain and kind != "vit":
        start_from(task.network, pretrain(kind, network, preset, seed, folder / "simclr", options))
    data = cifar10(options.data, count=preset.images)
    batches = training.Batches(*data, size=preset.batch, seed=seed)
    chosen = report.engine(options) | {"seed": seed, "ema": preset.ema}
    return training.fit(task, batches, preset.steps, folder=folder, **chosen).network


def pretrain(kind, network, preset, seed, folder, options):
    """The network after SimCLR."""
    pictures = options.pictures
    data = cifar10(options.data, count=preset.images) if pictures is None else picture_folder(pictures, 32)
    batches = training.Batches(*data, size=preset.views, seed=seed)
    chosen = report.engine(options) | {"seed": seed}
    task = Pretrain(kind, network, preset.lr, seed=seed)
    return training.fit(task, batches, preset.pretrain, folder=folder, **chosen).network


def measure(network, test, preset, record, options):
    """Shares of right decisions by test, the calibration error under corruptions, and the share for each of them.

    Args:
        record: of a name, a function and its arguments; what was measured earlier is not measured again.
    """
    some = test.take(slice(preset.attacked))
    attacks = {
        "noise": lambda images, labels: random_noise(images),
        "FGSM": partial(fgsm, network, eot=preset.eot),
        f"PGD, EoT {preset.eot}": partial(pgd, network, eot=preset.eot),
    }
    found = {"clean": record("clean", right, network, test, None, options)}
    found |= {name: record(name, right, network, some, attack, options) for name, attack in attacks.items()}
    if preset.broken:
        version = "rand" if isinstance(network, ClassifierAKOrN) else "standard"
        some = test.take(slice(preset.broken))
        found["AutoAttack"] = record("AutoAttack", unbroken, network, some, version, options)
    return found | record("corruptions", corrupted, network, test, options)


def right(network, test, change, options):
    """Share of right decisions about images, changed or not."""
    return judge(network, test, change, device=options.device).accuracy


def unbroken(network, test, version, options):
    """Share of images that withstand AutoAttack."""
    return auto_attack(network, *test.batch(slice(None), options.device), version=version).accuracy


def corrupted(network, test, options):
    """Mean accuracy and calibration error over all kinds at severity 5, and the accuracy for each kind."""
    kinds = {kind: verdict(network, test, kind, options) for kind in FIFTEEN}
    both = [torch.cat([getattr(each, name) for each in kinds.values()]) for name in ("confidence", "correct")]
    return {
        "corruptions": both[1].double().mean().item(),
        "ECE of corruptions": float(analysis.expected_calibration_error(*both)),
        "kinds": {kind: each.accuracy for kind, each in kinds.items()},
    }


def verdict(network, test, kind, options) -> Verdict:
    """What the network says of one kind of corrupted images."""
    return judge(network, Labelled(corrupt(test.images, kind), test.labels), device=options.device)


def line(name, column, values, options):
    """Mean and spread over seeds, beside what was published."""
    paper = PAPER[name][COLUMNS.index(column)] if column in COLUMNS else None
    seeds = ", ".join(map(report.number, values))
    mean = sum(values) / len(values)
    return Line(name, column, paper, REPOSITORY.get((name, column)), mean, seeds, report.hardware(options))


def draw_tests(network, test, found, file, options):
    """Reliability on clean images and in a fog, accuracy by corruption, and what the images look like."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained", width_ratios=(1, 1, 1.6))
    clean = judge(network, test, device=options.device)
    for ax, title, each in zip(axes, ("clean", "fog"), (clean, verdict(network, test, "fog", options)), strict=False):
        plot.reliability(each.confidence, each.correct, ax=ax)
        ax.set_title(title)
    axes[2].bar(list(found["kinds"]), list(found["kinds"].values()), color="C0")
    axes[2].axhline(found["clean"], color="black", linewidth=1, label="clean")
    axes[2].axhline(0.1, color="grey", linestyle="--", linewidth=1, label="chance")
    axes[2].tick_params(axis="x", rotation=90)
    axes[2].set(ylabel="accuracy", ylim=(0, 1), title="corruptions, severity 5")
    axes[2].legend(frameon=False)
    report.save(figure, file)
    draw_images(network, test, file.with_name(f"{file.stem}_images.png"), options)


def draw_images(network, test, file, options):
    """The first images, changed in every way."""
    images, labels = test.batch(slice(8), options.device)
    noisy = random_noise(images, generator=torch.Generator().manual_seed(0))
    rows = {"clean": images, "noise": noisy, "PGD": pgd(network, images, labels)}
    rows |= {kind: corrupt(test.images[:8], kind) / 255 for kind in FIFTEEN}
    figure, axes = plt.subplots(len(rows), 1, figsize=(5, 0.62 * len(rows)), layout="constrained")
    for ax, (name, row) in zip(axes, rows.items(), strict=True):
        ax.imshow(strip(row))
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
        ax.set(xticks=[], yticks=[])
    report.save(figure, file)


def strip(images):
    """Images side by side, (height, B · width, 3)."""
    return images.detach().cpu().permute(2, 0, 3, 1).flatten(1, 2).numpy()


if __name__ == "__main__":
    sys.exit(main())
