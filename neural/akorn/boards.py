"""Sudoku boards: integers, 0 where a cell is blank."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_boards(boards: Tensor, box: tuple[int, int]) -> None:
    """Raise unless boards (B, size, size) hold 0 to size, and no given twice in a row, column or box.

    Args:
        box: height and width of a box; size = height · width.
    """
    size = box[0] * box[1]
    if not isinstance(boards, Tensor):
        raise TypeError(f"`boards` must be a tensor, but is {type(boards).__name__}; write torch.as_tensor(boards).")
    if boards.ndim != 3 or boards.shape[1:] != (size, size):
        raise ValueError(
            f"`boards` must have shape (B, {size}, {size}) for boxes of {box[0]} x {box[1]}, but is {tuple(boards.shape)}; "
            "one-hot boards become integers by `digits`."
        )
    if boards.dtype not in INTEGERS:
        raise TypeError(f"`boards` must hold integers, but has dtype {boards.dtype}; write boards.long().")
    if torch.compiler.is_compiling():
        return
    wrong = (boards < 0) | (boards > size)
    if bool(wrong.any()):
        raise ValueError(_message(boards, wrong, f"digits from 0 (blank) to {size}", "correct it"))
    wrong = conflicts(boards, box)
    if bool(wrong.any()):
        raise ValueError(_message(boards, wrong, "no digit twice in a row, column or box", "no solution has it"))


def digits(onehot: Tensor) -> Tensor:
    """Boards (B, size, size) from one-hot vectors, (B, size, size, size), all zero where a cell is blank."""
    return torch.where(onehot.sum(-1) > 0, onehot.argmax(-1) + 1, 0)


def filled(logits: Tensor, boards: Tensor) -> Tensor:
    """The givens of boards (B, size, size), and the most likely digits in their blank cells."""
    return torch.where(boards > 0, boards, logits.argmax(-1) + 1)


def conflicts(boards: Tensor, box: tuple[int, int]) -> Tensor:
    """Cells whose digit stands once more in their row, column or box, (B, size, size)."""
    height, width = box
    given = torch.nn.functional.one_hot(boards.long(), height * width + 1)[..., 1:]
    boxes = given.unflatten(2, (-1, width)).unflatten(1, (-1, height))  # (B, box row, row, box column, column, digit)
    counts = [given.sum(axis, keepdim=True).expand_as(given) for axis in (1, 2)]
    counts.append(boxes.sum((2, 4), keepdim=True).expand_as(boxes).reshape(given.shape))
    return (given * torch.stack(counts).amax(0)).amax(-1) > 1


def legal(boards: Tensor, box: tuple[int, int]) -> Tensor:
    """Whether boards (B, size, size) are complete and break no rule, (B,)."""
    return ((boards > 0) & ~conflicts(boards, box)).flatten(1).all(1)


class Scores(NamedTuple):
    """How boards were solved, each (B,)."""

    solved: Tensor  # whether all blank cells are right
    right: Tensor  # number of blank cells that are right
    blanks: Tensor  # number of blank cells


def board_scores(logits: Tensor, boards: Tensor, solutions: Tensor) -> Scores:
    """Blank cells in which the most likely digit is the solution's; givens do not count.

    Args:
        logits: (B, size, size, digit), the digit d at index d - 1.
        boards, solutions: integers (B, size, size), 0 = blank.
    """
    blank = boards == 0
    right = (logits.argmax(-1) + 1 == solutions) & blank
    return Scores((right == blank).flatten(1).all(1), right.flatten(1).sum(1), blank.flatten(1).sum(1))


def _message(boards: Tensor, wrong: Tensor, rule: str, repair: str) -> str:
    board, row, column = (int(i) for i in wrong.nonzero()[0])
    value = int(boards[board, row, column])
    return f"`boards` must have {rule}, but board {board} has {value} in row {row}, column {column} (counted from 0); {repair}."
