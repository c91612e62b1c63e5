"""How `akorn_sudoku` trains and measures: the published recipe, and small networks on 4 × 4 cells for one core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from neural.akorn import MovingAverage

PAPER = {  # percent: in distribution, out of it with the T of the training, out of it with more steps
    "akorn": ("99.8 ± 0.1", "16.6 ± 2.1", "51.7 ± 3.3"),
    "itrsa": ("99.7 ± 0.3", "14.1 ± 2.7", "34.4 ± 5.4"),
}
PAPER_VOTES = {"last": ("61.1 ± 14.7", None), "sum": (None, "81.6 ± 1.5")}  # paper, repository; K = 100


@dataclass(frozen=True)
class Preset:
    """How much is trained and measured.

    Args:
        box: height and width of a box of a board.
        networks, rates: options of the network, and rate of Adam, by task.
        steps, batch, ema: of the training.
        boards: to train with, to test with, and harder ones; all there are, if None.
        times: steps T of the tests, the first is that of the training; of AKOrN, and of the baseline.
        votes: copies of a board, and their steps T.
        drawn: least and largest T of a batch of the training, drawn anew; None: that of the network.
    """

    box: tuple[int, int]
    networks: dict[str, dict[str, Any]]
    rates: dict[str, float]
    steps: int
    batch: int
    boards: tuple[int | None, int | None, int | None]
    times: dict[str, tuple[int, ...]]
    votes: tuple[int, int]
    drawn: tuple[int, int] | None = None
    ema: MovingAverage = field(default_factory=MovingAverage)


PAPER_RUN = Preset(
    (3, 3),
    {"akorn": {"ch": 512, "n": 4, "T": 16}, "itrsa": {"ch": 512, "T": 16}},
    {"akorn": 1e-3, "itrsa": 5e-4},
    steps=9000,
    batch=100,
    boards=(None, None, None),
    times={"akorn": (16, 32, 64, 128), "itrsa": (16, 32)},
    votes=(100, 128),
)
CPU = Preset(
    (2, 2),
    {"akorn": {"ch": 64, "n": 4, "T": 8, "heads": 4}, "itrsa": {"ch": 64, "T": 8, "heads": 4}},
    {"akorn": 2e-3, "itrsa": 1e-3},
    steps=2000,
    batch=50,
    boards=(20_000, 1000, 1000),
    times={"akorn": (8, 16, 32), "itrsa": (8, 16, 32)},
    votes=(30, 8),
    ema=MovingAverage(0.9),
)
SYMMETRIC = {  # no attention and no Ω: in small steps a Lyapunov function would fall
    "ch": 32,
    "n": 4,
    "T": 16,
    "J": "dense",
    "symmetric": True,
    "positions": "absolute",
    "gamma": 0.5,
    "omega": None,
}
PRESETS = {
    "cpu": CPU,
    "paper": PAPER_RUN,
    "ours": replace(
        CPU,
        networks={name: options | {"T": 16} for name, options in CPU.networks.items()},
        steps=1200,
        times={"akorn": (16, 32, 64), "itrsa": (16, 32, 64)},
        drawn=(4, 24),
        votes=(30, 32),
    ),
    "symmetric": replace(
        CPU,
        networks=CPU.networks | {"akorn": SYMMETRIC},
        rates=CPU.rates | {"akorn": 3e-3},
        steps=400,
        times=CPU.times | {"akorn": (16, 24, 48)},
        drawn=(8, 20),
        votes=(30, 24),
    ),
    "small": replace(
        CPU,
        networks={"akorn": {"ch": 16, "T": 2, "heads": 2}, "itrsa": {"ch": 16, "T": 2, "heads": 2}},
        steps=4,
        batch=20,
        boards=(100, 50, 20),
        times={"akorn": (2, 4), "itrsa": (2, 4)},
        votes=(3, 4),
    ),
}
