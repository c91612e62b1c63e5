"""What the training examples share: their command line, numbers that are measured once, and the table of results.

All results of a preset lie in one folder: trainings, the numbers measured so far, figures, and `table.md`. A second call finds
what is there and goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import torch

DATA = Path(os.environ.get("OSCILLATORS_DATA", Path(__file__).parents[2] / "shared" / "data"))


class Line(NamedTuple):
    """A line of the table: what was published, and what was measured here."""

    task: str
    measured: str
    paper: float | str | None
    repository: float | str | None
    ours: float | str | None
    seeds: float | str | None
    hardware: str
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
    """Write a file in one move: an interrupted write leaves it as it was. Of several processes the first one writes."""
    if not first_process():
        return
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def first_process() -> bool:
    """Whether this is the process that writes and prints, of several that train together."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def parser(document: str, program: str, tasks: Sequence[str], presets: dict[str, Any]) -> argparse.ArgumentParser:
    """The command line; what cannot be used ends the program with a sentence."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m examples.{program}", description=document, formatter_class=raw)
    parser.set_defaults(program=program, presets=presets, order=tasks)
    parser.add_argument("--preset", choices=presets, default="cpu", help="how much is trained and measured")
    parser.add_argument("--tasks", nargs="+", choices=tasks, default=tasks, metavar="TASK", help=", ".join(tasks))
    parser.add_argument("--seeds", type=at_least_one, default=3, help="trainings per task (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("out") / program, help="folder of all results")
    parser.add_argument("--device", type=available, choices=("cpu", "cuda"), default="cpu", help="where torch runs")
    return parser


def add_training(parser: argparse.ArgumentParser) -> None:
    """The options of trainings with Lightning, and the folder of the data."""
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true", help="of the training")
    parser.add_argument("--compile", action="store_true", help="compile the network; worth its minutes on a GPU")
    parser.add_argument("--devices", type=at_least_one, default=1, help="processes that train together (default: 1)")


def choose_tasks(
    parser: argparse.ArgumentParser, options: argparse.Namespace, recipes: Iterable[str], ready: Callable[[str], bool]
) -> None:
    """Without `--tasks` those of the preset that are ready; one that the preset has not ends the program with a sentence."""
    if options.tasks is None:
        options.tasks = [task for task in recipes if ready(task)]
    unknown = [task for task in options.tasks if task not in recipes]
    if unknown:
        parser.error(
            f"argument --tasks: must be of the preset {options.preset}, which has {', '.join(recipes)}, not {unknown[0]}"
        )


def engine(options: argparse.Namespace) -> dict[str, Any]:
    """Options of `neural.training.fit` that stand on the command line."""
    return {
        "accelerator": options.device,
        "devices": options.devices,
        "strategy": "ddp" if options.devices > 1 else "auto",
        "precision": options.precision,
        "compile": options.compile,
        "progress": sys.stderr.isatty(),
    }


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


def preset_alone(preset: Any, task: str) -> dict[str, Any]:
    """What the numbers of a task depend on."""
    return asdict(preset)


def run_studies(
    options: argparse.Namespace,
    study: Callable[..., list[Any]],
    summary: Callable[[list[Any]], list[Any]] = lambda lines: [],
    settings: Callable[[Any, str], dict[str, Any]] = preset_alone,
    kind: Any = Line,
) -> int:
    """Study one task after another and print the table; 0, 1 for input that cannot be used, 130 after Ctrl-C.

    Args:
        study: of (task, preset, record, options); returns its lines of the table, whose `command` is filled in here.
        summary: more lines, from all lines so far.
        settings: of (preset, task); numbers measured with other settings are refused.
        kind: of the lines.
    """
    matplotlib.use("Agg")
    options.folder = options.out / options.preset
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"{options.program}: `--out` must be a folder to write into, but {error}; name another.", file=sys.stderr)
        return 1
    status = _study_tasks(options, study, settings)
    lines = [kind(*values) for values in _finished(options)]
    text = table(kind, lines + summary(lines))
    replace_text(options.folder / "table.md", text)
    if first_process():
        print(text)
        print(f"table, figures and weights: {options.folder}/")
    return status


def _study_tasks(options: argparse.Namespace, study: Callable[..., list[Any]], settings: Callable[..., Any]) -> int:
    """Study one task after another, and keep the lines of each."""
    preset, chosen = options.presets[options.preset], special(options)
    command = f"python -m examples.{options.program} --preset {options.preset} --seeds {options.seeds} --tasks"
    extra = "".join(f" --{name} {value}".removesuffix(" True") for name, value in chosen.items())
    numerics = {"precision": chosen["precision"]} if "precision" in chosen else {}
    try:
        for task in options.tasks:
            record = Record(options.folder / f"{task}.json", settings(preset, task) | numerics)
            lines = study(task, preset, record, options)
            record.write("rows", [line._replace(command=f"`{command} {task}{extra}`") for line in lines])
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"{options.program}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.program}: stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def special(options: argparse.Namespace) -> dict[str, Any]:
    """Options of the training that are not as they are by default."""
    usual = {"device": "cpu", "precision": "32-true", "compile": False, "devices": 1}
    return {name: value for name, value in vars(options).items() if name in usual and value != usual[name]}


def _finished(options: argparse.Namespace) -> list[list[Any]]:
    """The lines of all tasks studied so far, by this call or an earlier one."""
    files = [options.folder / f"{task}.json" for task in options.order]
    found = [json.loads(file.read_text()) for file in files if file.exists()]
    return [row for values in found for row in values.get("rows", [])]


def table(kind: Any, lines: Sequence[Any]) -> str:
    """Lines of a kind (a NamedTuple) as a table in Markdown, under the names of its fields."""
    head = [name.replace("_", " ") for name in kind._fields]
    rows = [head, ["---"] * len(head), *([number(cell) for cell in line] for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def number(value: float | str | None) -> str:
    """A cell of the table."""
    if value is None or isinstance(value, str):
        return value or "–"
    return f"{value:.4f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"


def save(figure: Any, file: Path) -> None:
    """Write a figure, cut to what is drawn, and forget it."""
    figure.savefig(file, dpi=150, bbox_inches="tight")
    plt.close(figure)


def curve(folder: Path, score: str) -> tuple[list[int], list[float]]:
    """Steps and values of a score in the logs of a training and of its resumptions."""
    found = {}
    for file in sorted(folder.glob("logs/version_*/metrics.csv"), key=lambda file: file.stat().st_mtime):
        with file.open() as rows:
            found |= {int(row["step"]) + 1: float(row[score]) for row in csv.DictReader(rows) if row.get(score)}
    steps = sorted(found)
    return steps, [found[step] for step in steps]


def percent(values: Sequence[float]) -> str:
    """Mean and standard deviation over seeds of shares in [0, 1], in percent."""
    mean = f"{100 * fmean(values):.1f}"
    return f"{mean} ± {100 * stdev(values):.1f}" if len(values) > 1 else mean


def hardware(options: argparse.Namespace) -> str:
    """What a command ran on."""
    if options.device == "cuda":
        return f"{options.devices} × {torch.cuda.get_device_name()}"
    return f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}, {platform.machine()}"
