"""Does a sheet of oscillators see that digits turn, and is a wave on it a rotation?

You will see wave machines learn films of digits that turn once in 18 frames: each frame drives the sheet, whose positions give
the next one. Then they close their eyes after half a turn and go on alone. The folder has, for each task, the wave on the
latent sheet as an animation (`*_wave.gif`), `*_induced.png` (transformation | latent sheet | reconstruction: the last
positions are moved along the lattice, and the decoder is asked what that means), the weights, and `table.md`: errors of the
next frame and of the closed loop beside that of the frame before (persistence), velocity and winding number of the latent
wave, its equivariance, and the share of the motion that the best induced wave explains.

Tasks: `torus`, one sheet whose neighbours act on each other; `rings`, capsules on which activity moves one way, with deep maps
from and to images; `rolled`, the same rings, which have also to foresee the second half of the film when their positions after
the first are only rolled, once around the ring in a turn. The torus foresees the motion, but a wave that is induced in it is no
rotation. On the rings it is: three quarters of the motion, which nobody asked for, and nearly all in `rolled`, where it was.

Presets: `cpu` trains on the 8 x 8 digits of scikit-learn, `paper` on MNIST (`--data`) with the published sizes, `small` shows
in seconds that all runs.

Source: Keller and Welling 2023 (Neural Wave Machines). Their errors are likelihoods of MNIST; none is published for small
digits, and the models here have no noise.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

import analysis
from analysis import plot
from examples import report
from examples.report import Line
from neural import training
from neural.images import mnist
from neural.waves import equivariance_error, induced
from neural.waves.image_training import TurningTask
from neural.waves.turning import turned

FRAMES, SEEN = 18, 9  # of a turn; before the eyes are closed
RINGS = {"one_way": True, "deep": True, "norm": True, "steps_per_input": 3}  # the last is chosen here; published: 1


@dataclass(frozen=True)
class Run:
    """The lattice (capsules, ...), and steps and rate of the training."""

    lattice: tuple[int, ...]
    steps: int
    lr: float


@dataclass(frozen=True)
class Preset:
    """How much is trained.

    Args:
        torus, rings: `rings` is of two tasks.
        images: to train with, and to test with. mnist: whether digits are MNIST's.
    """

    torus: Run
    rings: Run
    images: tuple[int, int]
    batch: int = 50
    mnist: bool = False


PRESETS = {
    "cpu": Preset(Run((1, 12, 12), 3000, 3e-3), Run((8, 18), 1000, 1e-3), (1500, 297)),
    "paper": Preset(
        Run((1, 36, 36), 50 * 375, 1e-3), Run((24, 54), 50 * 375, 1e-3), (48_000, 1000), batch=128, mnist=True
    ),
    "small": Preset(Run((1, 4, 4), 4, 3e-3), Run((2, 6), 4, 1e-3), (40, 8), batch=10),
}


def main(arguments=None):
    """Study the lattices that the command line names."""
    parser = report.parser(__doc__, "waves_digits", ("torus", "rings", "rolled"), PRESETS)
    report.add_training(parser)
    return report.run_studies(parser.parse_args(arguments), study)


def study(task, preset, record, options):
    """Train and measure one lattice with all seeds, draw the first, and return its lines of the table."""
    train, test = digits(preset, options.data)
    networks = [fit(task, preset, train, seed, options) for seed in range(options.seeds)]
    found = [record(f"seed {seed}", measure, network, test) for seed, network in enumerate(networks)]
    draw_wave(networks[0], test[:1], options.folder / f"{task}_wave.gif")
    draw_induced(networks[0], test[:1], found[0]["best velocity"], options.folder / f"{task}_induced.png")
    rows = [(name, [one[name] for one in found]) for name in found[0] if name != "best velocity"]
    listed = "; ".join(str(tuple(one["best velocity"])) for one in found)
    lines = [
        Line(task, name, None, None, spread(values), str(len(found)), report.hardware(options)) for name, values in rows
    ]
    return [*lines, Line(task, "best induced velocity", None, None, listed, str(len(found)), report.hardware(options))]


def digits(preset, folder):
    """Digits to train and to test with, (B, 1, height, width)."""
    if preset.mnist:
        return tuple(
            mnist(folder, part).batch(slice(n))[0] for part, n in zip((True, False), preset.images, strict=True)
        )
    images = functional.pad(torch.from_numpy(load_digits().images).float() / 16, (1, 1, 1, 1))[:, None]
    train, test = preset.images
    return images[:train], images[-test:]


def fit(task, preset, images, seed, options):
    """The network of a seed; a finished training is loaded, an interrupted one goes on."""
    print(f"{task}: training, seed {seed} ...", file=sys.stderr)
    run, maps = (preset.torus, {}) if task == "torus" else (preset.rings, RINGS)
    velocity = -run.lattice[-1] / FRAMES if task == "rolled" else None  # to lower indices, as activity moves there
    network = {"variational": False} | maps
    fresh = TurningTask(images[0].numel(), run.lattice, network, run.lr, FRAMES, velocity=velocity, seed=seed)
    batches, folder = training.Batches(images, size=preset.batch, seed=seed), options.folder / f"{task}_seed{seed}"
    trained = training.fit(fresh, batches, run.steps, folder=folder, seed=seed, **report.engine(options))
    return trained.network.to(options.device)


@torch.no_grad()
def measure(network, images):
    """Errors, the latent wave, and what induced waves explain, on digits to test with."""
    film = turned(images.to(next(network.parameters()).device), FRAMES).flatten(2)
    run = network(film)
    later, lattice = film[SEEN:], network.sheet.lattice
    seen = run.orbit.y[SEEN - 1]
    errors = {v: float(equivariance_error(network.decode, seen, later, lattice, v)) for v in velocities(lattice)}
    best, still = min(errors, key=errors.get), (0.0,) * (len(lattice) - 1)
    return {
        "next frame, squared error": float(((run.probs - film.roll(-1, 0)) ** 2).mean()),
        "next frame, persistence": float(((film - film.roll(-1, 0)) ** 2).mean()),
        "closed loop, squared error": float(((network.forecast(film[:SEEN], FRAMES - SEEN) - later) ** 2).mean()),
        "motion explained by the best induced wave": 1 - errors[best] / errors[still],
        "best velocity": best,
    } | wave(network, film)


def velocities(lattice):
    """Velocities of induced waves that are tried, in sites per frame, along each axis."""
    one = np.arange(-12, 13) / 4 if len(lattice) == 2 else range(-2, 3)
    return list(product(map(float, one), repeat=len(lattice) - 1))


def wave(network, film):
    """Velocity and winding number of the latent wave along the last axis, while digits turn for four turns."""
    theta, y = phases(network, film)
    with np.errstate(divide="ignore", invalid="ignore"):  # a row that stands still or is in step has no velocity
        found = analysis.wave_velocity(theta, np.arange(theta.shape[-2]))
    turning = np.isfinite(found.velocity)
    moved = {step: analysis.roll_equivariance(y, step).mean() for step in (0, -1)}
    return {
        "speed of the latent wave, median (sites/frame)": float(np.median(np.abs(found.velocity[turning]))),
        "winding number of the latent wave, mean size": float(np.abs(analysis.winding_number(theta)).mean()),
        "roll equivariance, one site per frame : none": float(moved[-1] / moved[0]),
    }


@torch.no_grad()
def phases(network, film):
    """Phases and positions of the sheet over the last three of four turns, (member, row, time, site of the last axis)."""
    y = network(film.repeat(4, 1, 1)).orbit.y[FRAMES:].unflatten(-1, network.sheet.lattice).cpu().double().numpy()
    y = np.moveaxis(y.reshape(*y.shape[:2], -1, y.shape[-1]), 0, -2)  # (B, row, T, site)
    waves = analysis.analytic_signal(np.swapaxes(y - y.mean(-2, keepdims=True), -2, -1))
    return np.swapaxes(np.angle(waves), -2, -1), y


def draw_wave(network, image, file):
    """The phases of the sheet while a digit turns once."""
    theta = phases(network, turned(image.to(next(network.parameters()).device), FRAMES).flatten(2))[0][0]
    figure, ax = plt.subplots(figsize=(3, 3), layout="constrained")
    plot.animate(theta.swapaxes(0, 1)[:FRAMES], file, np.arange(FRAMES), dim=("height", "width"), fps=6, ax=ax)
    plt.close(figure)


@torch.no_grad()
def draw_induced(network, image, velocity, file, columns=6):
    """Rows: the digit as it turns on, the latent sheet that is moved along its lattice, and what the decoder makes of it."""
    film, shape = turned(image.to(next(network.parameters()).device), FRAMES), image.shape[-2:]
    y = network(film.flatten(2)).orbit.y[SEEN - 1]
    moved = induced(y, network.sheet.lattice, list(velocity), columns)
    lattice = moved[:, 0].unflatten(-1, network.sheet.lattice).flatten(1, -2)
    rows = {
        "transformation": film[SEEN : SEEN + columns, 0, 0],
        "latent sheet": lattice,
        "reconstruction": network.decode(moved)[:, 0].unflatten(-1, shape),
    }
    figure, axes = plt.subplots(3, columns, figsize=(1.4 * columns, 4.4), layout="constrained")
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for ax, picture in zip(line, pictures.cpu().numpy(), strict=True):
            ax.imshow(picture, cmap="RdBu" if name == "latent sheet" else "gray")
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    report.save(figure, file)


def spread(values):
    """Mean and standard deviation over seeds."""
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


if __name__ == "__main__":
    sys.exit(main())
