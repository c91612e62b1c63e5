"""What the KuraNet examples share: their command line, numbers that are measured once, the regimes, and the table.

All results of a preset lie in one folder: checkpoints of every seed, the numbers measured so far, figures, the weights of
the best seed, and `table.md`. A second call finds what is there and goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import matplotlib
import torch

from neural.kuranet.model import Horizon, KuraNet, run
from neural.kuranet.nodes import Nodes
from neural.kuranet.rows import all_logits
from neural.kuranet.subpopulation import subpopulations
from neural.kuranet.train import Recipe, Training, evaluate, train

Pair = tuple[float, float]
PROTOCOLS = ("sub-populations", "true network")
HEAD = ("task", "regime", "paper", "its control", "ours", "our control", "seeds", "command")


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


class Record:
    """The numbers of one task, in a file: what is there is not measured again."""

    def __init__(self, path: Path, settings: Any):
        settings = json.loads(json.dumps(settings))  # as a file gives them back
        self.path = path
        self.values = json.loads(path.read_text()) if path.exists() else {"settings": settings}
        if self.values["settings"] != settings:
            raise ValueError(
                f"`--out` must be a folder of this version of the preset, but {path} was measured with other settings; name "
                "another folder, or remove that file."
            )

    def __call__(self, name: str, measure: Callable[..., Any], *arguments: Any) -> Any:
        """The value of this name, measured if it is not there."""
        if name not in self.values:
            print(f"{self.path.stem}: {name} ...", file=sys.stderr)
            self.write(name, measure(*arguments))
        return self.values[name]

    def write(self, name: str, value: Any) -> None:
        self.values[name] = value
        replace_text(self.path, json.dumps(self.values, indent=1))


def replace_text(path: Path, text: str) -> None:
    """Write a file in one move: an interrupted write leaves it as it was."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def parser(document: str, program: str, tasks: Sequence[str], presets: dict[str, Any]) -> argparse.ArgumentParser:
    """The command line; what cannot be used ends the program with a sentence."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m examples.{program}", description=document, formatter_class=raw)
    parser.set_defaults(program=program, presets=presets, order=tasks)
    parser.add_argument("--preset", choices=presets, default="cpu", help="how much is trained and measured")
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks, metavar="TASK", help=", ".join(tasks))
    parser.add_argument("--seeds", type=at_least_one, default=3, help="trainings per task (default: 3; the paper: 10)")
    parser.add_argument("--out", type=Path, default=Path("out") / program, help="folder of all results")
    parser.add_argument("--device", type=available, choices=("cpu", "cuda"), default="cpu", help="where torch runs")
    return parser


def available(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise argparse.ArgumentTypeError(
            "must be a device of this machine, but is 'cuda', which torch does not find; use cpu"
        )
    return device


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, but is {text!r}; give for example 10")
    return int(text)


def run_studies(
    options: argparse.Namespace,
    study: Callable[..., list[Score]],
    summary: Callable[[list[Score]], list[Score]] = lambda scores: [],
) -> int:
    """Study one task after another and print the table; 0, 1 for input that cannot be used, 130 after Ctrl-C."""
    matplotlib.use("Agg")
    options.folder = options.out / options.preset
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{options.program}: `--out` must be a folder to write into, but {error}; name another.", file=sys.stderr)
        return 1
    status = study_tasks(options, study)
    scores = finished(options)
    text = table(scores + summary(scores))
    replace_text(options.folder / "table.md", text)
    print(text)
    print(f"table, figures and weights: {options.folder}/")
    return status


def study_tasks(options: argparse.Namespace, study: Callable[..., list[Score]]) -> int:
    """Study one task after another, and keep the lines of each."""
    preset = options.presets[options.preset]
    command = f"python -m examples.{options.program} --preset {options.preset} --seeds {options.seeds}"
    try:
        for task in options.tasks:
            settings = asdict(preset) | {"recipes": asdict(preset.recipes[task])}
            record = Record(options.folder / f"{task}.json", settings)
            scores = study(task, preset, record, options)
            record.write("rows", [score._replace(command=f"`{command} --tasks {task}`") for score in scores])
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"{options.program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.program}: stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def finished(options: argparse.Namespace) -> list[Score]:
    """The lines of all tasks studied so far, by this call or an earlier one."""
    files = [options.folder / f"{task}.json" for task in options.order]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    return [Score(*row) for values in found for row in values.get("rows", [])]


def table(scores: Sequence[Score]) -> str:
    """The lines as a table in Markdown."""
    rows = [HEAD, ["---"] * len(HEAD), *([number(cell) for cell in score] for score in scores)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def number(value: float | str | None) -> str:
    """A cell of the table."""
    if value is None or isinstance(value, str):
        return value or "–"
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"


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
