"""Do waves help to remember?

You will see networks on three tasks that ask for memory. On `adding` two of 100 numbers are marked, and their sum is asked
for; on `copy` ten tokens are to be repeated after 50 steps; on `smnist` and `psmnist` a digit is shown pixel by pixel, row by
row or in one fixed random order. The wave-RNN keeps what it has seen as a wave that travels around its rings; the identity
RNN is the same network without waves; coRNN and the wave machine are oscillators, coupled all to all and to neighbours.

Presets: `cpu` trains for minutes on one core (digits of 14 x 14 pixels), `paper` has the published sizes and needs a GPU for
the digits, `small` shows in seconds that all runs. The folder then has for every task a checkpoint of every network and seed,
`*_waves.png` (the hidden state in space and time) and `table.md`. For the digits run with `--data FOLDER`, where MNIST lies.

Source: Keller, Muller, Sejnowski and Welling 2024 (wave-RNN); Keller and Welling 2023; Rusch and Mishra 2021.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.signal import hilbert

import analysis
from examples import report
from examples.report import Line
from neural import training
from neural.images import mnist
from neural.waves.tasks import Fresh, pixels
from neural.waves.training import Sequences

TASKS = ("adding", "copy", "smnist", "psmnist")
ORDER = 5544  # seed of the random order of pixels
WAVE, COPIES = {"nodes": 100, "channels": 27}, {"nodes": 100, "channels": 6}
DIGITS = {"inputs": 1, "outputs": 10}
PAPER = {  # by task, length or side, network: mean squared error, or percent
    ("adding", 100, "wave_rnn"): "4.0e-06",
    ("adding", 100, "identity_rnn"): "1.0e-05",
    ("smnist", 28, "wave_machine"): "98.6",
    ("smnist", 28, "cornn"): "99.3",
    ("psmnist", 28, "wave_machine"): "94.8",
    ("psmnist", 28, "cornn"): "96.6",
}


@dataclass(frozen=True)
class Run:
    """Networks, by their kind: arguments and rate of Adam; steps and batch; `length` of the sequences or side of the images."""

    networks: dict[str, tuple[dict[str, Any], float]]
    steps: int
    batch: int
    length: int
    train: int | None = None
    test: int = 1000


@dataclass(frozen=True)
class Preset:
    """How each task is trained."""

    runs: dict[str, Run] = field(default_factory=dict)


def adding(steps: int, wave: dict[str, int] = WAVE, length: int = 100, nodes: int = 100, **options: Any) -> Run:
    shape = {"inputs": 2, "outputs": 1}
    return Run(
        {"wave_rnn": (shape | wave, 1e-3), "identity_rnn": (shape | {"nodes": nodes}, 1e-3)},
        steps, 128, length, **options,
    )  # fmt: skip


def copying(steps: int, wave: dict[str, int] = COPIES, length: int = 50, nodes: int = 100, **options: Any) -> Run:
    shape = {"inputs": 10, "outputs": 10, "every_step": True}
    return Run(
        {"wave_rnn": (shape | wave, 1e-3), "identity_rnn": (shape | {"nodes": nodes}, 1e-3)},
        steps, 128, length, **options,
    )  # fmt: skip


def digits(
    nodes: dict[str, int], constants: dict[str, float], lr: float, steps: int, batch: int, side: int, **options: Any
):
    return Run(
        {kind: (DIGITS | {"nodes": count} | constants, lr) for kind, count in nodes.items()},
        steps, batch, side, **options,
    )  # fmt: skip


SMNIST = {"dt": 0.042, "gamma": 2.7, "epsilon": 4.7}
SHORT = {"dt": 0.1, "gamma": 0.4, "epsilon": 2.0}  # for 14 x 14 pixels
PSMNIST = {"dt": 0.076, "gamma": 0.4, "epsilon": 8.0}
PRESETS = {
    "cpu": Preset(
        {
            "adding": adding(300),
            "copy": copying(1000),
            "smnist": digits({"wave_machine": 256, "cornn": 64}, SHORT, 5e-3, 1000, 64, 14),
            "psmnist": digits({"wave_machine": 256, "cornn": 64}, SHORT, 5e-3, 1000, 64, 14),
        }
    ),
    "paper": Preset(
        {
            "adding": adding(60_000),
            "copy": copying(60_000),
            "smnist": digits({"wave_machine": 4096, "cornn": 128}, SMNIST, 2.1e-3, 57_000, 120, 28, test=10_000),
            "psmnist": digits({"wave_machine": 4096, "cornn": 128}, PSMNIST, 5.4e-3, 57_000, 120, 28, test=10_000),
        }
    ),
    "small": Preset(
        {
            "adding": adding(3, {"nodes": 12, "channels": 2}, 12, 8, test=20),
            "copy": copying(3, {"nodes": 12, "channels": 2}, 12, 8, test=20),
            "smnist": digits({"wave_machine": 9, "cornn": 4}, SMNIST, 1e-3, 3, 10, 4, train=40, test=20),
            "psmnist": digits({"wave_machine": 9, "cornn": 4}, PSMNIST, 1e-3, 3, 10, 4, train=40, test=20),
        }
    ),
}


def main(arguments=None):
    """Study the tasks that the command line names."""
    parser = report.parser(__doc__, "waves_sequences", TASKS, PRESETS)
    report.add_training(parser)
    return report.run_studies(parser.parse_args(arguments), study, settings=settings)


def settings(preset, task):
    """What the numbers of a task depend on."""
    return report.preset_alone(preset.runs[task], task)


def study(name, preset, record, options):
    """Train and measure the networks of a task with all seeds, draw their states, and return the lines of the table."""
    run = preset.runs[name]
    train, test = batches(name, run, options.data)
    rows = []
    for kind in run.networks:
        tasks = [train_one(name, kind, run, train(seed), test, seed, options) for seed in range(options.seeds)]
        found = [record(f"{kind}, seed {seed}", measured, task, test) for seed, task in enumerate(tasks)]
        draw_states(tasks[0].network, test[0][0], options.folder / f"{name}_{kind}_waves.png")
        rows.append(line(name, kind, run.length, found, options))
    return rows


def batches(name, run, folder):
    """Batches to train with, of a seed, and a list of those to test with."""
    if name in ("adding", "copy"):
        new = Fresh(name, run.length, run.test)[0]
        return (lambda seed: Fresh(name, run.length, run.batch, seed + 1)), parts(new, run.batch)
    order = ORDER if name == "psmnist" else None
    seen, new = (
        pixels(mnist(folder, part, n), run.length, order) for part, n in ((True, run.train), (False, run.test))
    )
    return (lambda seed: training.Batches(*seen, size=run.batch, seed=seed)), parts(new, run.batch)


def parts(whole, size):
    """A set in batches, the last one smaller: the states of one batch are in memory at a time."""
    return list(zip(*(tensor.split(size) for tensor in whole), strict=True))


def train_one(name, kind, run, train, test, seed, options):
    """The training of one seed; a finished one is loaded, an interrupted one goes on."""
    network, lr = run.networks[kind]
    print(f"{name}: training {kind}, seed {seed} ...", file=sys.stderr)
    return training.fit(
        Sequences(kind, network, lr=lr, seed=seed),
        train,
        run.steps,
        folder=options.folder / f"{name}_{kind}_seed{seed}",
        seed=seed,
        val=test,
        gradient_clip_val=1.0,
        **report.engine(options),
    )


def measured(task, test):
    """Scores of all test sequences: means over the batches, weighted by their sizes."""
    sizes = [len(batch[0]) for batch in test]
    found = [task.scores(batch) for batch in test]
    return {score: float(np.average([one[score] for one in found], weights=sizes)) for score in found[0]}


def line(name, kind, length, found, options):
    """The line of one network; what was published stands beside sequences of that length only."""
    score = "val_loss" if name == "adding" else "val_accuracy"
    values, what = [one[score] for one in found], f"{kind}, {'MSE' if name == 'adding' else '% right'}"
    ours = ", ".join(map(report.number, values)) if name == "adding" else report.percent(values)
    paper = PAPER.get((name, length, kind))
    return Line(name, what, paper, None, ours, str(len(found)), report.hardware(options))


@torch.no_grad()
def draw_states(network, sequences, file):
    """The hidden state of one sequence in space and time; on rings, of the first one, with the velocity of its wave."""
    y = network.states(sequences[:1].transpose(0, 1))[:, 0].numpy()  # (T, N)
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    ax.set(xlabel="step", ylabel="node")
    if hasattr(network.cell.position, "lattice"):
        y = y[:, : network.cell.position.lattice[-1]]
        if (y.std(0) > 0).all():  # every site has a phase
            theta = np.angle(hilbert(y - y.mean(0), axis=0))
            wave = analysis.wave_velocity(theta, np.arange(len(y)) * 1.0)
            ax.set(ylabel="site", title=f"{wave.velocity:.2f} ± {wave.error:.2f} sites per step")
    ax.imshow(y.T, aspect="auto", origin="lower", cmap="RdBu", vmin=-np.abs(y).max(), vmax=np.abs(y).max())
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
