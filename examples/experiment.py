"""What the KuraNet examples share beyond `report`: trainings of all seeds, the regimes, and their lines of the table."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, NamedTuple

import torch

from examples import report
from examples.report import Record, number
from neural.kuranet.model import Horizon, KuraNet, run
from neural.kuranet.nodes import Nodes
from neural.kuranet.rows import all_logits
from neural.kuranet.subpopulation import subpopulations
from neural.kuranet.train import Recipe, Training, evaluate, train

Pair = tuple[float, float]
PROTOCOLS = ("sub-populations", "true network")


@dataclass(frozen=True)
class Preset:
    """How much is trained and measured.

    Args:
        recipes: how each task is trained.
        nodes: to train with, and as many to test.
        networks: of test nodes in the regime Data, at most. size: nodes of each.
        large: nodes of the single network of Size and of Data+Size.
        subset, steps: of the published protocol for it, in which random sub-populations take turns.
    """

    recipes: dict[str, Recipe]
    nodes: int = 10_000
    networks: int = 100
    size: int = 100
    large: int = 10_000
    subset: int = 500
    steps: int = 5000


@dataclass(frozen=True)
class Task:
    """What is learned, and what the paper reports.

    Args:
        data: what is run, and counts, in the networks of the regime Data; large: in a single large network.
        paper: loss after training and of the control, by regime.
    """

    name: str
    train: Nodes
    test: Nodes
    recipe: Recipe
    data: Horizon
    large: Horizon
    paper: dict[str, Pair]


def published(data: Pair, size: Pair, data_size: Pair) -> dict[str, Pair]:
    """Losses that the paper reports, after training and of the control, by the regimes of the table.

    It has sub-populations only; the true network is held to the same numbers.
    """
    large = {
        f"{name}, {protocol}": pair
        for name, pair in (("Size", size), ("Data+Size", data_size))
        for protocol in PROTOCOLS
    }
    return {"Data": data, **large}


class Score(NamedTuple):
    """A line of the table."""

    task: str
    regime: str
    paper: float | str | None
    paper_control: float | str | None
    ours: float | str | None
    control: float | str | None
    seeds: str
    command: str = ""


def run_studies(
    options: argparse.Namespace,
    study: Callable[..., list[Score]],
    summary: Callable[[list[Score]], list[Score]] = lambda scores: [],
) -> int:
    """Study one task after another and print the table; see `report.run_studies`."""
    # A training that is stuck has gradients below the smallest normal number, on which a processor is 25 times slower.
    torch.set_flush_denormal(True)
    return report.run_studies(options, study, summary, settings, Score)


def settings(preset: Preset, task: str) -> dict[str, Any]:
    """What the numbers of a task depend on."""
    return asdict(preset) | {"recipes": asdict(preset.recipes[task])}


def every(losses: Sequence[float]) -> str:
    """Every seed in a cell, and the best and the worst of them."""
    best, worst = number(min(losses)), number(max(losses))
    return f"best {best}, worst {worst}: {', '.join(map(number, losses))}"


def mean_scores(name: str, scores: Sequence[Score], paper: dict[str, Pair]) -> list[Score]:
    """One line for each regime, the mean over tasks; none for a single task."""
    lines: list[Score] = []
    if len({score.task for score in scores}) < 2:
        return lines
    for regime in dict.fromkeys(score.regime for score in scores):
        of = [score for score in scores if score.regime == regime]
        ours, control = ([getattr(score, column) for score in of] for column in ("ours", "control"))
        mean = [None if None in column else fmean(column) for column in (ours, control)]
        lines.append(Score(name, regime, *paper.get(regime, (None, None)), *mean, f"mean of {len(of)} tasks"))
    return lines


def train_seeds(task: Task, options: argparse.Namespace) -> list[Training]:
    """The trainings of all seeds; a finished one is loaded, an interrupted one goes on."""
    trainings = []
    for seed in range(options.seeds):
        print(f"{task.name}: training, seed {seed} ...", file=sys.stderr)
        path = options.folder / f"{task.name}_seed{seed}.pt"
        trainings.append(train(task.recipe, task.train, seed=seed, path=path, device=options.device, progress=True))
    return trainings


def untrained(task: Task, seed: int, device: Any = "cpu") -> KuraNet:
    """The random control: a fresh coupling function, in evaluation mode."""
    return task.recipe.model(task.train, torch.Generator().manual_seed(seed)).to(device).eval()


def regimes(
    task: Task, trainings: Sequence[Training], preset: Preset, record: Record, options: argparse.Namespace
) -> tuple[int, list[Score]]:
    """The seed with the lowest loss of the regime Data, and the lines of all regimes.

    Data: small networks of test nodes. Size: all training nodes in one network. Data+Size: all test nodes in one network; an
    untrained coupling function knows neither, so it is measured on these only.
    """
    controls = [untrained(task, seed, options.device) for seed in range(len(trainings))]
    known = (task, task.data, preset)
    losses = [record(f"Data, seed {s}", in_networks, one.model, *known) for s, one in enumerate(trainings)]
    chance = [record(f"Data, control {s}", in_networks, model, *known) for s, model in enumerate(controls)]
    best = losses.index(min(losses))
    paper = task.paper.get("Data", (None, None))
    scores = [Score(task.name, "Data", *paper, losses[best], fmean(chance), every(losses))]

    control = record("Data+Size, control 0", as_one, controls[0], task, task.test, preset)
    for regime, nodes in (("Size", task.train), ("Data+Size", task.test)):
        ours = record(f"{regime}, seed {best}", as_one, trainings[best].model.eval(), task, nodes, preset)
        for protocol in PROTOCOLS:
            name = f"{regime}, {protocol}"
            paper = task.paper.get(name, (None, None))
            scores.append(Score(task.name, name, *paper, ours[protocol], control[protocol], f"seed {best}"))
    return best, scores


def in_networks(model: KuraNet, task: Task, horizon: Horizon, preset: Preset) -> float:
    """Mean loss of small networks of test nodes."""
    nodes = task.test[: preset.networks * preset.size]
    return evaluate(model, nodes, horizon, nodes=preset.size).mean().item()


@torch.no_grad()
def as_one(model: KuraNet, task: Task, nodes: Nodes, preset: Preset) -> dict[str, float]:
    """Loss of a single large network, by both protocols: of the last state, and of all that count."""
    device, generator = next(model.parameters()).device, torch.Generator().manual_seed(0)
    nodes = nodes[: preset.large].to(device)
    theta = nodes.start(generator).to(device)
    Z = all_logits(model, nodes.x, progress=True)
    turns = {"steps": preset.steps, "size": preset.subset, "dt": task.data.dt}
    (last,) = deque(subpopulations(model, nodes, theta, generator, Z=Z, **turns), maxlen=1)
    whole = run(model.from_logits(Z), nodes, theta, task.large).window
    return {"sub-populations": nodes.loss(last[None]).item(), "true network": nodes.loss(whole).item()}


def keep_weights(task: Task, training: Training, options: argparse.Namespace) -> None:
    """The weights of the best seed, by the names of the published state dict."""
    torch.save(training.model.state_dict(), options.folder / f"{task.name}.pt")
