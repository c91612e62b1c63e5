"""Medians of interleaved repeats, and the table they go into."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RATES = ("GB/s", "GFMA/s")  # more is better; of every other unit, less is
LIBRARIES = (
    "oscillator-systems", "numpy", "numba", "scipy", "jax", "diffrax", "torch", "torchdiffeq", "torchode", "jitcode",
    "jitcdde",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One comparison. Values are in `unit`; None: not measured (the note says why)."""

    what: str
    size: str
    ours: float | None
    unit: str
    peer: str = ""
    theirs: float | None = None
    our_error: float | None = None
    peer_error: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is: above 1 we win. For a bound, the fraction of it that we reach."""
        if self.ours is None or self.theirs is None:
            return None
        return self.ours / self.theirs if self.unit in RATES else self.theirs / self.ours


def interleaved(*calls: Callable, seconds: float = 2.0, rounds: tuple[int, int] = (3, 201)) -> list[float]:
    """Median seconds of each call. They take turns until `seconds` have passed, within the given numbers of rounds.

    A call with an attribute `reset` is reset before each turn, outside the clock. The first turn is thrown away.
    """
    spent = np.array([[_clock(call) for call in calls]])
    begin = time.perf_counter()
    while len(spent) <= rounds[0] or (time.perf_counter() - begin < seconds and len(spent) <= rounds[1]):
        spent = np.vstack([spent, [_clock(call) for call in calls]])
    return list(np.median(spent[1:], axis=0))


def _clock(call: Callable) -> float:
    if hasattr(call, "reset"):
        call.reset()
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def first_reaching(error_of: Callable[[float], float], knobs: Iterable[float], target: float) -> tuple[float, float]:
    """The first knob (tolerance or step, loose to tight) whose error is at most the target, and that error."""
    for knob in knobs:
        error = error_of(knob)
        if error <= target:
            break
    return knob, error


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = ("what", "size", "ours", "peer", "ratio", "our error", "peer error", "note")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join([*lines, f"\n{machine()}"])


def _cells(row: Row) -> tuple[str, ...]:
    ours, theirs = (f"{v:.3g} {row.unit}" if v is not None else "" for v in (row.ours, row.theirs))
    errors = [f"{e:.1e}" if e is not None else "" for e in (row.our_error, row.peer_error)]
    ratio = f"{row.ratio:.3g}" if row.ratio is not None else ""
    return row.what, row.size, ours, f"{row.peer} {theirs}".strip(), ratio, *errors, row.note


def machine() -> str:
    """CPU, cores, system and Python, in one line."""
    return f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    return " ".join(v.strip() for k, v in fields.items() if k.strip() in ("model name", "cpu MHz")) + " MHz"


def report(name: str, purpose: str, rows: Sequence[Row]) -> str:
    """The page that `--save` writes."""
    today = datetime.date.today().isoformat()
    return (
        f"# {name}\n\n{purpose.strip()}\n\n{table(rows)}\n\n"
        "Ratio: how many times faster ours is (for a bound: the fraction of it that we reach). "
        "Times are medians of interleaved repeats; every library has one thread.\n\n"
        f"{today}, `python -m benchmarks {name} --save`, {_versions()}\n"
    )


def _versions() -> str:
    installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    return ", ".join(f"{library} {installed[library]}" for library in LIBRARIES if library in installed)
