"""Does a sheet of oscillators foresee how a pendulum swings, and do local couplings suffice?

You will see networks that watch films of a pendulum or of a mass on a spring. Each frame drives a sheet of oscillators, whose
positions and velocities are decoded into the next frame. After the observed frames they close their eyes and go on alone. In
the network `local` every oscillator acts on its neighbours, all by the same 3 x 3 kernels; in `global` all act on all, in `cpu`
on a larger sheet with three times the parameters of the whole. Encoder, decoder, batches, steps and rate are the same.
As we measured it (`cpu`, pendulum, five seeds), the local network forecasts better with closed eyes, and its seeds agree more;
with open eyes the global one foresees the next frame better, in films longer than those it was trained with, too.

The folder then has, for each body, `*_films.png` (true frames | forecast | latent sheet), `*_curves.png` (errors during the
trainings, and of each frame after them, of all seeds), the weights, and `table.md`: parameters (in brackets: of the sheet),
errors of the next frame and of the closed loop, within the length of the films to train with and later, each beside that of
persistence (that the next frames are the last one seen); for how many frames the forecast is valid, and how many steps of
training halve the error of persistence.

Presets: `cpu` has frames of 16 x 16 pixels, `paper` the published sizes, `small` shows in seconds that all runs.

Source: Keller and Welling 2023 (Neural Wave Machines), with the bodies of Toth et al. 2020.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from statistics import fmean, median, stdev
from typing import Any

import matplotlib.pyplot as plt
import torch

from examples import report
from examples.report import Line
from neural import training
from neural.waves.bodies import Windows, motion, places, starts
from neural.waves.physics import valid_prediction_time
from neural.waves.physics_training import PhysicsTask, films

ERRORS = {"next_frame": "next frame", "closed_loop": "closed loop"}


@dataclass(frozen=True)
class Preset:
    """How much is trained.

    Args:
        networks: their lattice, and whether all act on all.
        side, width: of the frames; channels of the convolutions.
        paths, length, dt: bodies to train and to test with; frames of the former, and the time between two.
        frames, observed, horizon: of a film to train with; that the start is read from; that are foreseen after those.
        steps, batch, lr, every: of the training; steps from one test to the next. falls: whether the rate falls to 0.
    """

    networks: dict[str, tuple[tuple[int, int, int], bool]] = field(
        default_factory=lambda: {"local": ((1, 12, 12), False), "global": ((1, 16, 16), True)}
    )
    side: int = 16
    width: int = 8
    paths: tuple[int, int] = (500, 64)
    length: int = 128
    dt: float = 0.2
    frames: int = 18
    observed: int = 6
    horizon: int = 24
    steps: int = 2000
    batch: int = 16
    lr: float = 1e-3
    every: int = 100
    falls: bool = True


PUBLISHED: dict[str, tuple[tuple[int, int, int], bool]] = {"local": ((1, 23, 23), False), "global": ((1, 23, 23), True)}
TINY: dict[str, tuple[tuple[int, int, int], bool]] = {"local": ((1, 3, 3), False), "global": ((1, 4, 4), True)}
PRESETS = {
    "cpu": Preset(),
    "paper": Preset(PUBLISHED, 32, 64, (500, 200), 256, 0.1, 60, 31, 89, 500_000, 8, 1.5e-4, 5000, False),
    "small": Preset(TINY, 8, 2, (6, 3), 12, 0.2, 6, 2, 5, 4, 2, 1e-3, 2),
}


def main(arguments=None):
    """Study the bodies that the command line names."""
    parser = report.parser(__doc__, "waves_physics", ("pendulum", "spring"), PRESETS)
    report.add_training(parser)
    return report.run_studies(parser.parse_args(arguments), study)


def study(kind, preset, record, options):
    """Train and measure the networks with all seeds, draw what they foresee, and return the lines of the table."""
    train, test = paths(kind, preset)
    still = record("persistence", persistence, preset, test)
    trained, found = {}, {}
    for name in preset.networks:
        trained[name] = [fit(kind, name, preset, train, test, seed, options) for seed in range(options.seeds)]
        found[name] = [record(f"{name}, seed {k}", measure, task, test) for k, task in enumerate(trained[name])]
    logs = {name: [folder(kind, name, seed, options) for seed in range(options.seeds)] for name in trained}
    draw_films(
        {name: tasks[0].network for name, tasks in trained.items()}, test[:1], options.folder / f"{kind}_films.png"
    )
    draw_curves(logs, found, still, options.folder / f"{kind}_curves.png")
    trained_for = preset.frames - preset.observed
    rows = [
        row for name in trained for row in summary(name, trained[name][0], found[name], logs[name], still, trained_for)
    ]
    rows += wins(found, trained_for)
    return [Line(kind, what, None, None, value, str(options.seeds), report.hardware(options)) for what, value in rows]


def paths(kind, preset):
    """Where bodies are, (count, frames, 2), to train and to test with."""
    sizes = zip(preset.paths, (preset.length, preset.observed + preset.horizon), strict=True)
    orbits = [motion(kind, starts(kind, count, k), frames, preset.dt) for k, (count, frames) in enumerate(sizes)]
    return [torch.from_numpy(places(kind, orbit[..., 0])).float() for orbit in orbits]


def folder(kind, name, seed, options):
    """Of a training."""
    return options.folder / f"{kind}_{name}_seed{seed}"


def fit(kind, name, preset, train, test, seed, options):
    """The training of a seed; a finished one is loaded, an interrupted one goes on."""
    print(f"{kind}: training {name}, seed {seed} ...", file=sys.stderr)
    lattice, dense = preset.networks[name]
    network: dict[str, Any] = {"dense": dense, "width": preset.width, "observed": preset.observed}
    return training.fit(
        PhysicsTask(preset.side, lattice, network, preset.lr, preset.steps if preset.falls else None, seed),
        Windows(train, preset.frames, preset.batch, seed),
        preset.steps,
        folder=folder(kind, name, seed, options),
        seed=seed,
        val=[(test,)],
        every=preset.every,
        **report.engine(options),
    ).to(options.device)


def persistence(preset, test):
    """Squared errors by frame of the guess that nothing moves after the last frame seen."""
    frames, seen = films(test, preset.side), preset.observed
    return {
        "next_frame": by_frame(frames[seen - 1 : -1], frames[seen:]),
        "closed_loop": by_frame(frames[seen - 1], frames[seen:]),
    }


def measure(task, test):
    """Squared errors by frame on bodies to test with, and for how many frames each forecast is valid."""
    frames = films(test.to(task.device), task.network.side)
    found, later = task.foretell(frames), frames[task.network.observed :]
    errors = {name: by_frame(guess, later) for name, guess in found.items()}
    return errors | {"valid": valid_prediction_time(found["closed_loop"], later).tolist()}


def by_frame(guess, frames):
    """Mean squared error of each frame."""
    return ((guess - frames) ** 2).flatten(1).mean(1).tolist()


def summary(name, task, found, logs, still, trained_for):
    """What the table says of a network."""
    yield f"{name}: parameters (of the sheet)", f"{size(task.network):,} ({size(task.network.sheet):,})"
    for what, error, part in parts(trained_for):
        mine = thousandths([fmean(one[error][part]) for one in found])
        yield (
            f"{name}: {what}, squared error (1/1000)",
            f"{mine} (persistence {thousandths([fmean(still[error][part])])})",
        )
    valid = ", ".join(f"{median(one['valid']):.0f}" for one in found)
    yield f"{name}: frames for which the median forecast is valid", f"{valid} of {len(found[0]['closed_loop'])}"
    steps = ", ".join(half(*report.curve(log, "next_frame"), fmean(still["next_frame"])) for log in logs)
    yield f"{name}: steps until the next frame has half the error of persistence", steps


def parts(trained_for):
    """The errors of the table: their name there, their name, and the frames after those observed that they are of."""
    for error, what in ERRORS.items():
        yield what, error, slice(trained_for)
        yield f"{what}, later than trained", error, slice(trained_for, None)


def size(module):
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def half(steps, errors, still):
    """The first step tested with less than half the error of persistence."""
    return next((str(step) for step, error in zip(steps, errors, strict=True) if error < still / 2), "never")


def wins(found, trained_for):
    """In how many seeds the local network errs less than each other one."""
    local, *others = found
    for name in others:
        for what, error, part in parts(trained_for):
            pairs = zip(found[local], found[name], strict=True)
            less = sum(fmean(a[error][part]) < fmean(b[error][part]) for a, b in pairs)
            yield f"seeds in which {local} beats {name}: {what}", f"{less} of {len(found[local])}"


@torch.no_grad()
def draw_films(networks, test, file, columns=8):
    """Rows: true frames, and for each network its forecast and its sheet, after the frames that it has seen."""
    network = next(iter(networks.values()))
    frames = films(test.to(next(network.parameters()).device), network.side)
    later = frames[network.observed :]
    rows = {"true frames": later}
    for name, network in networks.items():
        seen = frames[: network.observed]
        found = network.forecast(seen, len(later))
        sheet = network(torch.cat([seen, found[:-1]])).orbit.y[network.observed - 1 :]  # once more, for its positions
        rows |= {f"{name}:\nforecast": found, f"{name}:\nlatent sheet": sheet.unflatten(-1, network.sheet.lattice)}
    times = torch.linspace(0, len(later) - 1, columns).long().tolist()
    figure, axes = plt.subplots(len(rows), columns, figsize=(1.2 * columns, 1.25 * len(rows)), layout="constrained")
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for ax, t in zip(line, times, strict=True):
            picture = pictures[t, 0].cpu()
            ax.imshow((picture.movedim(0, -1) if len(picture) == 3 else picture.flatten(0, -2)).numpy(), cmap="RdBu")
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for ax, t in zip(axes[0], times, strict=True):
        ax.set_title(f"+{t + 1}", fontsize=9)
    report.save(figure, file)


def draw_curves(logs, found, still, file):
    """Errors during the trainings of all seeds, and after them by frame; dashed those of persistence."""
    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharey="row")
    for (during, after), (error, what) in zip(axes, ERRORS.items(), strict=True):
        for k, name in enumerate(logs):
            for seed, (log, one) in enumerate(zip(logs[name], found[name], strict=True)):
                during.plot(*report.curve(log, error), f"C{k}", alpha=0.7, label=name if seed == 0 else None)
                after.plot(range(1, len(one[error]) + 1), one[error], f"C{k}", alpha=0.7)
        during.axhline(fmean(still[error]), color="grey", linestyle="dashed", label="persistence")
        after.plot(range(1, len(still[error]) + 1), still[error], color="grey", linestyle="dashed")
        during.set(xlabel="step", ylabel=f"{what}, squared error", yscale="log")
        after.set(xlabel="frame after those observed")
    axes[0, 0].legend(frameon=False)
    report.save(figure, file)


def thousandths(values):
    """Mean and standard deviation over seeds, in thousandths."""
    mean = f"{1e3 * fmean(values):.2f}"
    return f"{mean} ± {1e3 * stdev(values):.2f}" if len(values) > 1 else mean


if __name__ == "__main__":
    sys.exit(main())
