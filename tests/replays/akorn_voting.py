"""AKOrN, replayed: voting among copies of a board."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neural.akorn import board_scores, digits, vote
from neural.akorn.parts import NetworkRun
from tests.replays.file import Golden, relative


class Recorded:
    """Stands for a network: the copies of one board said and felt what the file holds."""

    box, ch = (3, 3), 1
    gamma = torch.ones(1, dtype=torch.float64)

    def __init__(self, golden: Golden):
        self.logits, es = golden.tensor("preds"), golden.tensor("es")
        self.energies = torch.cat(
            [es[1:], torch.zeros_like(es[:1])]
        )  # E_0, ..., E_(T-1), and an E_T that nothing reads

    def run(self, boards: Tensor, x0: Tensor, **options: Any) -> NetworkRun:
        return NetworkRun(self.logits, x0, x0, (), (self.energies,))


def voting(golden: Golden) -> dict[str, Any]:
    """What each copy, the mean of all, and the copy with the lowest criterion have right."""
    board, solution = digits(golden.tensor("board")), digits(golden.tensor("solution"))
    recorded = Recorded(golden)
    copies = len(recorded.logits)
    outputs = {}
    for by in ("last", "sum"):
        votes = vote(recorded, board, copies, by=by)
        outputs |= {f"{by}/criterion": votes.criteria[0, 0], f"{by}/selected": votes.criteria[0].argmin(1)}
        outputs |= _named(by, votes.logits, board, solution, ("num_blanks", "num_correct", "board_correct"))
    outputs |= _named("mean_logit", votes.mean, board, solution, ("num_correct", "board_correct"))
    boards, solutions = (x.expand(copies, -1, -1) for x in (board, solution))
    return outputs | _named("each", recorded.logits, boards, solutions, ("num_correct", "board_correct"))


def _named(what: str, logits: Tensor, boards: Tensor, solutions: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
    score = board_scores(logits, boards, solutions)
    values = {"board_correct": score.solved, "num_correct": score.right, "num_blanks": score.blanks}
    return {f"{what}/{name}": values[name] for name in names}


REPLAYS = relative({"energy_vote": voting})
