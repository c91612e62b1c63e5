"""Sudoku boards with their solutions, from files in three formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from neural.akorn.boards import digits, legal
from oscillators import checks

Part = Literal["train", "test", "hard"]
SATNET, RELATIONAL = "github.com/locuslab/SATNet", "github.com/rasmusbergpalm/recurrent-relational-networks"
TRAINED = 9000  # of the 10,000 boards of SATNet, in the order of its files and of the archive


@dataclass(frozen=True)
class Boards:
    """Boards and their solutions, integers (B, size, size), 0 = blank; a slice is a part of them."""

    puzzles: Tensor
    solutions: Tensor

    def __len__(self) -> int:
        return len(self.puzzles)

    def __getitem__(self, rows: slice | Tensor) -> Boards:
        return Boards(self.puzzles[rows], self.solutions[rows])


def read_boards(folder: str | Path, part: Part) -> Boards:
    """Boards of 9 × 9 cells: 9,000 to train with, 1,000 like them to test, and harder ones, with 17 to 34 givens.

    Args:
        folder: with `sudoku_id.npz` and, for "hard", `sudoku_ood.npz` (each with puzzles and solutions); or the original
            files: `features.pt` and `labels.pt` of SATNet, and `test.csv` of the recurrent relational networks.

    Raises:
        FileNotFoundError: if none of them is there, with where to get them.
    """
    checks.one_of("part", part, get_args(Part))
    folder = Path(folder)
    readers: dict[str, Callable[[Path], Boards]] = {"sudoku_id.npz": read_archive, "features.pt": read_satnet}
    if part == "hard":
        readers = {"sudoku_ood.npz": read_archive, "test.csv": read_csv}
    for name, read in readers.items():
        if (folder / name).is_file():
            boards = read(folder / name)
            return boards if part == "hard" else boards[:TRAINED] if part == "train" else boards[TRAINED:]
    source = RELATIONAL if part == "hard" else SATNET
    raise FileNotFoundError(
        f"`folder` must have {' or '.join(readers)}, but {folder.resolve()} has neither; name another folder, or get the "
        f"original files: {source} says where they are."
    )


def read_archive(path: str | Path) -> Boards:
    """All boards of an .npz with `puzzles` and `solutions`, (B, 81)."""
    with np.load(path) as file:
        if not {"puzzles", "solutions"} <= set(file.files):
            raise ValueError(
                f"`path` must have puzzles and solutions, but {path} has {', '.join(file.files)}; rename them."
            )
        return _checked([torch.from_numpy(file[name].astype(np.int64)) for name in ("puzzles", "solutions")], path)


def read_csv(path: str | Path) -> Boards:
    """Boards of a csv of recurrent relational networks: two strings of 81 digits in a row, 0 = blank, no header."""
    rows = [line.strip().split(",") for line in Path(path).read_text(encoding="ascii").splitlines() if line.strip()]
    for number, row in enumerate(rows, 1):
        if len(row) != 2 or not all(len(text) == 81 and text.isdecimal() for text in row):
            raise ValueError(
                f"`path` must have two strings of 81 digits in a row, but row {number} of {path} is {','.join(row)[:40]!r}; "
                "programs that read numbers drop leading zeros."
            )
    cells = np.array([[list(text) for text in row] for row in rows], dtype=np.int64)
    return _checked([torch.from_numpy(cells[:, i]) for i in (0, 1)], path)


def read_satnet(path: str | Path) -> Boards:
    """All boards of SATNet's `features.pt` and, beside it, `labels.pt`: one-hot, (B, 9, 9, 9).

    Note: SATNet's `perm.pt` shuffles cells for another experiment, and is not read.
    """
    files = Path(path), Path(path).with_name("labels.pt")
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(
                f"`path` must be features.pt beside labels.pt, but there is no {file.resolve()}; {SATNET} says where they are."
            )
    both = [torch.load(file, map_location="cpu", weights_only=True) for file in files]
    return _checked([digits(onehot) for onehot in both], path)


def _checked(pair: list[Tensor], path: str | Path) -> Boards:
    """Boards of a file, if the solutions are complete, keep the rules, and agree with the givens."""
    puzzles, solutions = (cells.reshape(-1, 9, 9) for cells in pair)
    if len(puzzles) != len(solutions):
        raise ValueError(
            f"`path` must have a solution for every board, but {path} has {len(puzzles)} and {len(solutions)}."
        )
    wrong = ~legal(solutions, (3, 3)) | ((puzzles != 0) & (puzzles != solutions)).flatten(1).any(1)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"`path` must have solutions that keep the rules and the givens, but board {row} of {path} (from 0) does not; "
            "get the file again."
        )
    return Boards(puzzles, solutions)
