"""Can oscillators solve Sudoku, and do they know when they have?

You will see a board turn into oscillators: every cell is a group of them, held by the stimulus of its digit, and attention
couples all cells. They are trained on boards with many givens for T steps. Then they get harder boards and more steps than
in the training (test-time extension), and several starts per board, of which the one with the lowest energy is believed
(energy voting). The baseline ItrSA is the same attention with shared weights, without oscillators.

Presets: `paper` is the published recipe on 9 × 9 cells and needs a GPU; `cpu` learns 4 × 4 cells in minutes on one core, and
is tested on solutions that it has never seen, with as many givens as in the training, and harder ones (4 or 5 givens); `ours`
does the same with a number of steps that is drawn anew for every batch; `symmetric` has, in the place of attention and Ω, one
symmetric matrix between all oscillators; `small` shows in seconds that all runs. For every task the folder then has a
checkpoint of every seed, `*_steps.png` (accuracy and energy against T), and for AKOrN `akorn_votes.png` (accuracy against the
number of copies) and `akorn_energy.png` (is a low energy a right answer?); and `table.md`. With 9 × 9 cells run with
`--data FOLDER` (or the variable OSCILLATORS_DATA) where sudoku_id.npz and sudoku_ood.npz lie, or SATNet's and the recurrent
relational networks' original files.

"Pairs told right" are those of a right and a wrong copy of one board of which the right one is lower: 50 % by chance.
Attention is no gradient of an energy, and on 4 × 4 cells its energy tells nothing, or the contrary: in blank cells wrong
copies lie closer to the stimulus that blanks share. Confidence tells right from wrong. With `symmetric` the network learns
less, but votes by energy help (three seeds: 50 % of the hard boards are solved by single copies, 66 % by the last energy, 58 %
by the sum); not for its symmetry, it seems: a matrix without it does so too (one seed). A drawn T makes more steps safe, which
a fixed one does not. The line `rules` believes the copy that breaks fewest rules of Sudoku; it is no energy voting, and an
upper bound of it.

Source: Miyato et al. 2025, AKOrN (tables 3 and 13, figures 6, 7, 18), and their repository. Note: there the numbers of the
repository with votes belong to energies summed over T, those of the paper to the last energy.
"""

from __future__ import annotations

import math
import sys

import matplotlib.pyplot as plt
import torch

from analysis import plot
from examples import report
from examples.akorn_sudoku_recipes import PAPER, PAPER_VOTES, PRESETS
from examples.report import Line
from neural import training
from neural.akorn import board_scores, broken_rules, vote
from neural.akorn.sudoku_data import Boards, read_boards
from neural.akorn.sudoku_small import small_boards
from neural.akorn.sudoku_training import SudokuTask
from neural.akorn.voting import against_copies, concordance, criteria_table

TASKS = ("akorn", "itrsa")
VOTES = ("sum", "last", "confidence", "rules")  # of which the first one decides what is drawn
VOTED = 1000  # hard boards that are voted on, at most


def main(arguments=None):
    """Study the networks that the command line names."""
    parser = report.parser(__doc__, "akorn_sudoku", TASKS, PRESETS)
    report.add_training(parser)
    return report.run_studies(parser.parse_args(arguments), study)


def study(name, preset, record, options):
    """Train and measure one network with all seeds, draw what it found, and return its lines of the table."""
    train, test, hard = boards(preset, options.data)
    tasks = [train_one(name, preset, train, test, seed, options) for seed in range(options.seeds)]
    found = []
    for seed, task in enumerate(tasks):
        network = task.network.to(options.device)
        scores = {
            part: record(f"{part}, seed {seed}", over_times, name, network, some, preset, options.device)
            for part, some in (("test", test), ("hard", hard))
        }
        if name == "akorn":
            scores["votes"] = record(f"votes, seed {seed}", votes, network, hard[:VOTED], preset, options)
        found.append(scores)
    draw_steps(found[0], preset.times[name], options.folder / f"{name}_steps.png")
    if name == "akorn":
        draw_votes(found[0]["votes"], options.folder / "akorn_votes.png")
    return lines(name, preset, found, options)


def boards(preset, folder):
    """Boards to train with, to test with, and harder ones."""
    if preset.box == (2, 2):
        counts = preset.boards
        return (
            small_boards(counts[0], (6, 10), "train"),
            small_boards(counts[1], (6, 10), "test", seed=1),
            small_boards(counts[2], (4, 5), "test", seed=2),
        )
    return tuple(
        read_boards(folder, part)[:count] for part, count in zip(("train", "test", "hard"), preset.boards, strict=True)
    )


def train_one(name, preset, train, test, seed, options):
    """The training of one seed; a finished one is loaded, an interrupted one goes on."""
    network = preset.networks[name] | {"box": preset.box}
    model = "akorn" if name == "akorn" else "transformer"
    print(f"{name}: training, seed {seed} ...", file=sys.stderr)
    return training.fit(
        SudokuTask(model, network, lr=preset.rates[name], steps=preset.drawn, seed=seed),
        training.Batches(train.puzzles, train.solutions, size=preset.batch, seed=seed),
        preset.steps,
        folder=options.folder / f"{name}_seed{seed}",
        seed=seed,
        val=training.Batches(test.puzzles, test.solutions, size=min(100, len(test))),
        ema=preset.ema,
        gradient_clip_val=1.0,
        **report.engine(options),
    )


@torch.no_grad()
def over_times(name, network, some, preset, device, chunk=500):
    """Share of solved boards, and mean energy of a board after 0, 1, ... steps, for all times."""
    solved, energy = [], []
    generator = torch.Generator(device).manual_seed(0)
    times = preset.times[name]
    for part in parts(some, chunk):
        puzzles, solutions = part.puzzles.to(device), part.solutions.to(device)
        if name == "akorn":
            logits, energies = zip(*network.extend(puzzles, times, generator=generator), strict=True)
            energy.append(torch.cat([energies[0], *(more[1:] for more in energies[1:])]).cpu())
        else:
            logits = [network(puzzles, T=T) for T in times]
        solved.append(torch.stack([board_scores(one, puzzles, solutions).solved for one in logits]).cpu())
    means = torch.cat(solved, 1).double().mean(1)
    return {"solved": means.tolist(), "energy": torch.cat(energy, 1).mean(1).tolist() if energy else None}


def parts(some: Boards, chunk):
    return (some[i : i + chunk] for i in range(0, len(some), chunk))


def votes(network, some, preset, options):
    """Share of hard boards that are solved by votes of 1, ..., K copies, by criterion, by their mean, and by any.

    "concordance": how often a right copy is lower than a wrong one of the same board, by criterion.
    """
    by = [broken_rules(preset.box) if name == "rules" else name for name in VOTES]
    puzzles, solutions = some.puzzles.to(options.device), some.solutions.to(options.device)
    K, T = preset.votes
    found = vote(network, puzzles, K, T=T, by=by)
    each = criteria_table(found, puzzles, solutions)
    if 0 < each.solved.mean() < 1:
        draw_energy(each, options.folder / "akorn_energy.png")
    return {
        "by": dict(zip(VOTES, against_copies(found, puzzles, solutions).tolist(), strict=True)),
        "concordance": dict(zip(VOTES, concordance(found, puzzles, solutions).tolist(), strict=True)),
        "single": float(each.solved.mean()),
        "mean": board_scores(found.mean, puzzles, solutions).solved.double().mean().item(),
        "any": float(each.solved.any("copy").mean()),
    }


def lines(name, preset, found, options):
    """The lines of one network."""
    paper = PAPER[name] if preset.box == (3, 3) else (None, None, None)
    hardware, seeds = report.hardware(options), len(found)
    times = preset.times[name]
    shown = [("test", 0, paper[0]), ("hard", 0, paper[1]), ("hard", -1, paper[2])]
    rows = [
        (f"{part} boards, T = {times[i]}", value, None, [scores[part]["solved"][i] for scores in found])
        for part, i, value in shown
    ]
    if name == "akorn":
        K, T = preset.votes
        what = f"hard boards, T = {T}"
        of = [scores["votes"] for scores in found]
        rows.append((f"{what}, mean of single copies", None, None, [one["single"] for one in of]))
        rows.append((f"{what}, mean of {K} logits", None, None, [one["mean"] for one in of]))
        for by in VOTES:
            published = PAPER_VOTES.get(by, (None, None)) if preset.box == (3, 3) else (None, None)
            rows.append((f"{what}, {K} votes by {by}", *published, [one["by"][by][-1] for one in of]))
            told = [one["concordance"][by] for one in of]
            if not math.isnan(sum(told)):  # with every seed some boards have right and wrong copies
                rows.append((f"{what}, pairs told right by {by}", None, None, told))
        rows.append((f"{what}, any of {K} copies", None, None, [one["any"] for one in of]))
    return [
        Line(name, f"{what} (%)", paper, repository, report.percent(values), str(seeds), hardware)
        for what, paper, repository, values in rows
    ]


def draw_steps(scores, times, file):
    """Accuracy and energy against T."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
    for part, style in (("test", "o-"), ("hard", "s--")):
        axes[0].plot(times, [100 * share for share in scores[part]["solved"]], style, label=f"{part} boards")
        if scores[part]["energy"]:
            axes[1].plot(scores[part]["energy"], style[1:], label=f"{part} boards")
    axes[0].set_xscale("log", base=2)
    axes[0].set(xlabel="steps T", ylabel="solved boards (%)")
    axes[0].legend()
    axes[1].set(xlabel="step", ylabel="mean energy E", title="" if scores["test"]["energy"] else "no energy")
    report.save(figure, file)


def draw_votes(scores, file):
    """Accuracy against the number of copies."""
    figure, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    for by, shares in scores["by"].items():
        ax.plot(range(1, len(shares) + 1), [100 * share for share in shares], label=f"votes by {by}")
    ax.axhline(100 * scores["mean"], color="grey", linestyle=":", label="mean of all logits")
    ax.set(xlabel="copies K", ylabel="solved hard boards (%)", xscale="log")
    ax.legend()
    report.save(figure, file)


def draw_energy(each, file):
    """Whether copies with a low energy are right."""
    figure, ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    plot.accuracy_against_energy(each.criterion, each.solved, ax=ax)
    report.save(figure, file)


if __name__ == "__main__":
    sys.exit(main())
