"""Training on Sudoku: every cell is a classification, givens included."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from neural.akorn.boards import board_scores
from neural.akorn.sudoku import SudokuAKOrN
from neural.akorn.transformer import SudokuTransformer
from neural.training import Task
from oscillators import checks

NETWORKS: dict[str, Any] = {"akorn": SudokuAKOrN, "transformer": SudokuTransformer}


class SudokuTask(Task):
    """Cross-entropy of the digits of all cells.

    Args:
        model: "akorn" (`SudokuAKOrN`) or "transformer" (`SudokuTransformer`; several steps make it ItrSA).
        network: options of the network.
        lr: rate of Adam; published 1e-3, and 5e-4 for baselines.
        steps: least and largest number of steps, drawn anew for every batch; None: those of the network, as published.
        seed: of the first weights.

    Batches are (boards, solutions), integers (B, size, size).
    """

    def __init__(
        self,
        model: Literal["akorn", "transformer"] = "akorn",
        network: dict[str, Any] | None = None,
        lr: float = 1e-3,
        steps: tuple[int, int] | None = None,
        seed: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters()
        checks.one_of("model", model, NETWORKS)
        self.network = NETWORKS[model](**(network or {}), generator=torch.Generator().manual_seed(seed))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        boards, solutions = batch
        steps = self.hparams["steps"]
        T = None if steps is None else int(torch.randint(steps[0], steps[1] + 1, ()))
        return cross_entropy(self.network(boards, T=T), solutions)

    def scores(self, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        boards, solutions = batch
        logits = self.network(boards)
        solved = board_scores(logits, boards, solutions).solved
        return {"val_loss": cross_entropy(logits, solutions), "val_solved": solved.float().mean()}


def cross_entropy(logits: Tensor, solutions: Tensor) -> Tensor:
    """Of logits (B, size, size, digit), mean over all cells of all boards."""
    return functional.cross_entropy(logits.flatten(0, -2), solutions.flatten() - 1)
