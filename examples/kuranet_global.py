"""Can a network learn who should couple to whom, so that oscillators stay together?

You will see three cases. A coupling function reads the features of two oscillators (field b, frequency ω, delay τ) and says
how strongly they couple; it is trained by the gradient through the run of 100 oscillators that start in step.

    I      frequencies differ: the best couplings join opposite frequencies
    II     fields differ, too
    III    what an oscillator sends arrives late: the best couplings listen to few, with fitting delays

Presets: `paper` is the published recipe and protocol; `cpu` differs in the number of steps of the sub-populations (1000, not
5000); `ours` trains with our own recipe and is measured as `cpu`; `small` shows in seconds that all runs. For every case
the folder then has `*_training.png` (losses of all seeds; loss over the autocorrelation of frequencies that the couplings
make, with r²), `*_phases.png` (trained and control), for case III `*_fan_in.png`, the weights of the best seed, and
`table.md`.

Source: Ricci et al. 2021, KuraNet (table I, figures 1 and 2).
"""

from __future__ import annotations

import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch

import analysis
from analysis import plot
from examples import experiment, report
from examples.experiment import Preset, Score, Task, published
from neural.kuranet import Horizon, oscillators, recipes, run

CASES = ("I", "II", "III")
PAPER = {
    "I": published((0.0667, 0.7412), (0.0681, 0.9172), (0.0682, 0.9144)),
    "II": published((0.1527, 0.7370), (0.1823, 0.8969), (0.1890, 0.9378)),
    "III": published((0.3800, 0.8920), (0.7026, 0.9707), (0.6855, 0.9753)),
}
PAPER_R2 = {"I": 0.81, "II": 0.64, "III": 0.14}
PUBLISHED = {"I": recipes.CASE_I, "II": recipes.CASE_II, "III": recipes.CASE_III}
OURS = {"I": recipes.OUR_CASES, "II": recipes.OUR_CASE_II, "III": recipes.OUR_CASE_III}
SMALL = {case: replace(recipe, nodes=20, epochs=1) for case, recipe in PUBLISHED.items()}
PRESETS = {
    "cpu": Preset(PUBLISHED, steps=1000),
    "paper": Preset(PUBLISHED),
    "ours": Preset(OURS, steps=1000),
    "small": Preset(SMALL, nodes=100, networks=2, size=20, large=100, subset=50, steps=20),
}
DATA = Horizon(burn_in=1000, window=50)
LARGE = Horizon(burn_in=350, window=50)


def main(arguments=None):
    """Study the cases that the command line names."""
    options = report.parser(__doc__, "kuranet_global", CASES, PRESETS).parse_args(arguments)
    return experiment.run_studies(options, study)


def study(case, preset, record, options):
    """Train and measure one case, draw what was learned, and return its lines of the table."""
    rng = np.random.default_rng(CASES.index(case))
    nodes = oscillators(case, preset.nodes, rng), oscillators(case, preset.nodes, rng)
    task = Task(case, *nodes, preset.recipes[case], DATA, LARGE, PAPER[case])

    trainings = experiment.train_seeds(task, options)
    best, scores = experiment.regimes(task, trainings, preset, record, options)
    experiment.keep_weights(task, trainings[best], options)

    r2 = [np.corrcoef(training.c_x, training.loss)[0, 1] ** 2 for training in trainings]
    listed = " ".join(f"{value:.2f}" for value in r2)
    scores.append(Score(case, "r² of loss and C_x", PAPER_R2[case], None, float(r2[best]), None, listed))
    draw_training(trainings, best, options.folder / f"{case}_training.png")
    draw_phases(task, trainings[best].model, preset, options.folder / f"{case}_phases.png")
    if case == "III":
        peak = draw_fan_in(task, trainings[best].model, preset, options.folder / "III_fan_in.png")
        scores.append(Score(case, "maximum of fan-in at (ω, τ)", "(2.00, 21.00)", None, peak, None, f"seed {best}"))
    return scores


def draw_training(trainings, best, file):
    """Loss of every seed, and of the best one over the autocorrelation of its couplings."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    for seed, training in enumerate(trainings):
        left.plot(training.loss, color="C0" if seed == best else "lightgrey", zorder=2 if seed == best else 1)
    left.set(xlabel="iteration", ylabel="circular variance V", title=f"{len(trainings)} seeds, the best in colour")
    plot.loss_against_autocorrelation(trainings[best].c_x, trainings[best].loss, ax=right)
    right.set(xlabel="graph autocorrelation C_x", ylabel="circular variance V")
    report.save(figure, file)


@torch.no_grad()
def draw_phases(task, model, preset, file, states=300):
    """Phases about their mean in a network of test nodes, coupled as trained, and untrained."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained", sharey=True)
    nodes = task.test[: preset.size]
    device = next(model.parameters()).device
    for ax, (name, f) in zip(
        axes, {"trained": model, "control": experiment.untrained(task, 0, device)}.items(), strict=True
    ):
        K = f.eval()(nodes.x.to(device)).cpu()
        theta = run(K, nodes, torch.zeros(len(nodes)).double(), Horizon(burn_in=0, window=states)).window
        V = float(nodes.loss(theta[-50:]))
        plot.phases(theta - analysis.mean_phase(theta)[:, None], 0.1 * np.arange(states), ax=ax)
        ax.set(title=f"{name}: V = {V:.3f}", ylabel="phase about the mean (rad)")
    report.save(figure, file)


@torch.no_grad()
def draw_fan_in(task, model, preset, file):
    """Whom the others listen to, by frequency and delay; returns the place of the maximum, in words."""
    networks = list(task.test.batches(preset.size))[: preset.networks]
    device = next(model.parameters()).device
    K = torch.stack([model.eval()(nodes.x.to(device)).cpu() for nodes in networks])
    features = (torch.stack([getattr(nodes, name) for nodes in networks]) for name in ("omega", "tau"))
    bins = min(30, int(np.sqrt(K.shape[0] * K.shape[1] / 10)))  # some ten oscillators in each
    found = analysis.fan_in_map(K, *features, bins=bins)
    figure, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
    plot.fan_in(*found, ax=ax)
    ax.set(ylabel="delay τ (steps)")
    report.save(figure, file)
    i, j = np.unravel_index(np.nanargmax(found.values), found.values.shape)
    return f"({found.omega[i]:.2f}, {found.tau[j]:.2f})"


if __name__ == "__main__":
    sys.exit(main())
