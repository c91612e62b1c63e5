"""Can points be clustered by oscillators that fall into step?

You will see points of a plane turn into phases: a coupling function reads two points and says how strongly they attract or
repel each other, so that every group gets one phase and the groups spread over the circle. Two groups: moons, circles,
spirals. k groups: GMM2 to GMM10, Gaussian clouds on a circle.

Beside the random control (untrained) stands the block control, which is told the groups: couplings β within and -β between
them, with the β of row-normalised couplings (1/√n), or the largest coupling that was learned.

Presets: `paper` is the published recipe and protocol; `cpu` differs in the number of steps of the sub-populations (1000, not
5000) and in the landscape (40 × 40 places, not 100 × 100); `ours` trains with our own recipe and is measured as `cpu`;
`small` shows in seconds that all runs. For every task the folder then has `*_landscape.png` (the phase that an oscillator
would take anywhere in the plane, and those of the points), `*_phases.png` (phases and mean fields of the groups over time
and at the end, trained and control), the weights of the best seed, and `table.md`.

Note: moons, circles and spirals have no public recipe; they train with that of the Gaussians. In the large network the step
grows with √n, so that it lasts as long as the small one.
Source: Ricci et al. 2021, KuraNet (table II, figure 3).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from math import pi, sqrt

import matplotlib.pyplot as plt
import numpy as np
import torch

from analysis import plot
from examples import experiment, report
from examples.experiment import Score, Task, published
from neural.kuranet import Horizon, circles, gaussians, moons, recipes, run, spirals

GAUSSIANS = {f"GMM{k}": k for k in range(2, 11)}
TASKS = ("moons", "circles", "spirals", *GAUSSIANS)
PAPER = {
    "moons": published((0.0154, 0.5), (0.0012, 0.5), (0.0011, 0.5)),
    "circles": published((0.0257, 0.5), (0.0015, 0.5), (0.0021, 0.5)),
    "spirals": published((0.0182, 0.5), (0.0096, 0.5), (0.0094, 0.5)),
}
PAPER_GAUSSIANS = published((0.0144, 0.4904), (0.0069, 0.5424), (0.0073, 0.5711))
DATA = Horizon(dt=15.0, burn_in=1000, window=100)
FIRST = Horizon(dt=15.0, burn_in=0, window=100)


@dataclass(frozen=True)
class Preset(experiment.Preset):
    """With a landscape of so many places along each side."""

    places: int = 100


PUBLISHED = dict.fromkeys(TASKS, recipes.CLUSTERS)
SMALL = dict.fromkeys(
    TASKS, replace(recipes.CLUSTERS, nodes=20, epochs=1, horizon=Horizon(dt=5.0, burn_in=0, window=20))
)
PRESETS = {
    "cpu": Preset(PUBLISHED, steps=1000, places=40),
    "paper": Preset(PUBLISHED),
    "ours": Preset(dict.fromkeys(TASKS, recipes.OUR_CLUSTERS), steps=1000, places=40),
    "small": Preset(SMALL, nodes=100, networks=2, size=20, large=100, subset=50, steps=20, places=4),
}


def main(arguments=None):
    """Study the tasks that the command line names."""
    options = report.parser(__doc__, "kuranet_clusters", TASKS, PRESETS).parse_args(arguments)
    return experiment.run_studies(options, study, gaussian_means)


def study(name, preset, record, options):
    """Train and measure one task, draw what was learned, and return its lines of the table."""
    recipe = preset.recipes[name]
    rng = np.random.default_rng(TASKS.index(name))
    nodes = draw(name, preset.nodes, rng), draw(name, preset.nodes, rng)
    large = Horizon(dt=15.0 * sqrt(preset.large / preset.size), burn_in=150, window=50)
    task = Task(name, *nodes, recipe, DATA, large, PAPER.get(name, {}))

    trainings = experiment.train_seeds(task, options)
    best, scores = experiment.regimes(task, trainings, preset, record, options)
    experiment.keep_weights(task, trainings[best], options)
    model = trainings[best].model

    first = [
        record(f"first {FIRST.window} states, seed {seed}", experiment.in_networks, training.model, task, FIRST, preset)
        for seed, training in enumerate(trainings)
    ]
    scores.insert(1, Score(name, "Data, first 100 states", None, None, min(first), None, experiment.every(first)))
    for what, beta in (("1/√n", preset.size**-0.5), ("largest learned", largest_coupling(model, task, preset))):
        loss = record(f"block control, β {what}, seed {best}", block_control, beta, task, preset)
        scores.append(Score(name, f"Data, block control, β {what}", None, None, None, loss, f"β = {beta:.3f}"))
    draw_landscape(task, model, preset, options.folder / f"{name}_landscape.png")
    draw_phases(task, model, preset, options.folder / f"{name}_phases.png")
    return scores


def draw(name, size, rng):
    """Points of a task."""
    if name in GAUSSIANS:
        return gaussians(GAUSSIANS[name], size, rng)
    return {"moons": moons, "circles": circles, "spirals": spirals}[name](size, rng)


def gaussian_means(scores):
    """Lines of the table for the mean over all Gaussian tasks, once there are several."""
    found = [score for score in scores if score.task in GAUSSIANS]
    return experiment.mean_scores("GMM mean", found, PAPER_GAUSSIANS)


@torch.no_grad()
def largest_coupling(model, task, preset):
    """max |K_ij| in a network of test nodes."""
    device = next(model.parameters()).device
    return float(model.eval().couplings(task.test.x[: preset.size].to(device)).abs().max())


def block_control(beta, task, preset):
    """Mean loss in the regime Data of couplings β within groups and -β between them."""
    generator, n = torch.Generator().manual_seed(0), preset.size
    losses = []
    for nodes in task.test[: preset.networks * n].batches(n):
        same = nodes.labels[:, None] == nodes.labels
        K = beta * (2.0 * same - 1.0) / n
        losses.append(nodes.loss(run(K, nodes, nodes.start(generator), task.data).window))
    return torch.stack(losses).mean().item()


@torch.no_grad()
def draw_landscape(task, model, preset, file):
    """The final phase that an oscillator of a network of test nodes would have at every place of the plane.

    Every place makes a network of its own, with all couplings anew; all start from the same phases.
    """
    device, places = next(model.parameters()).device, preset.places
    nodes = task.test[: preset.size]
    theta = nodes.start(torch.Generator().manual_seed(0))
    low, high = nodes.x.min(0).values, nodes.x.max(0).values
    sides = [
        torch.linspace(float(a - 0.1 * (b - a)), float(b + 0.1 * (b - a)), places)
        for a, b in zip(low, high, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*sides, indexing="xy"), dim=-1)  # (places, places, 2)
    rows = []
    for row in grid:
        x = nodes.x.expand(places, -1, -1).clone()
        x[:, 0] = row
        K = model.eval()(x.to(device)).cpu()
        rows.append(run(K, nodes, theta.expand(places, -1), FIRST).window[-1, :, 0])
    final = run(model(nodes.x.to(device)).cpu(), nodes, theta, FIRST).window[-1]

    figure, ax = plt.subplots(figsize=(5.5, 4.6), layout="constrained")
    plot.landscape(grid, torch.stack(rows), ax=ax)
    plot.landscape(nodes.x, final, nodes.labels, ax=ax)
    ax.set(title=f"{task.name}: phases after {FIRST.window - 1} steps, marks are groups", xlabel="x", ylabel="y")
    report.save(figure, file)


@torch.no_grad()
def draw_phases(task, model, preset, file):
    """Phases over time and at the end, coloured by group, with the mean field of every group as an arrow."""
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 7), layout="constrained", width_ratios=(2, 1))
    nodes = task.test[: preset.size]
    device = next(model.parameters()).device
    control = experiment.untrained(task, 0, device)
    for (over_time, disc), (name, f) in zip(axes, {"trained": model, "control": control}.items(), strict=True):
        K = f.eval()(nodes.x.to(device)).cpu()
        theta = run(K, nodes, nodes.start(torch.Generator().manual_seed(0)), FIRST).window
        disc.add_patch(plt.Circle((0, 0), 1, fill=False, color="lightgrey"))
        for group in range(nodes.k):
            of, colour = theta[:, nodes.labels == group], f"C{group}"
            plot.phases(of - pi, ax=over_time)
            for line in over_time.lines[-of.shape[1] :]:
                line.set_color(colour)
            disc.plot(torch.cos(of[-1]), torch.sin(of[-1]), "o", color=colour, markersize=4)
            disc.plot([0, torch.cos(of[-1]).mean()], [0, torch.sin(of[-1]).mean()], color=colour, linewidth=2)
        over_time.set(
            title=f"{name}: ℓ = {float(nodes.loss(theta[-1:])):.4f} at the end", xlabel="step", ylabel="phase − π (rad)"
        )
        disc.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", title="at the end, with mean fields")
        disc.axis("off")
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
