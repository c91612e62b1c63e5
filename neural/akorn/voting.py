"""Voting: many runs of the same board from different starts, of which the best by some criterion is believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import xarray as xr
from torch import Tensor

from neural.akorn.boards import conflicts, filled, legal
from neural.akorn.parts import NetworkRun
from neural.seeds import seed_of
from oscillators import checks

Criterion = Callable[[NetworkRun, Tensor], Tensor]  # of a run and its boards (B, ...); (B,), the lowest is believed


def last(run: NetworkRun, boards: Tensor) -> Tensor:
    """E of the state before the last step, in the last block, as first published."""
    return run.energies[-1][-2]


def total(run: NetworkRun, boards: Tensor) -> Tensor:
    """E_0 + ... + E_(T-1) of the last block, as the public code has it now."""
    return run.energies[-1][:-1].sum(0)


def doubt(run: NetworkRun, boards: Tensor) -> Tensor:
    """1 - mean over cells of the largest probability of a digit.

    Source: arXiv 2604.13521, C-voting.
    """
    return 1 - run.output.softmax(-1).amax(-1).flatten(1).mean(1)


def broken_rules(box: tuple[int, int]) -> Criterion:
    """A criterion that knows Sudoku: how many cells are in conflict once the answer is filled in (chosen here)."""
    return lambda run, boards: conflicts(filled(run.output, boards), box).flatten(1).sum(1).to(run.output.dtype)


CRITERIA: dict[str, Criterion] = {"last": last, "sum": total, "confidence": doubt}


class Votes(NamedTuple):
    """What the copies of B boards said.

    Args:
        logits: of the copy with the lowest criterion, (B, size, size, digit).
        mean: of the logits of all copies, (B, size, size, digit): the majority.
        criteria: (criterion, B, K), the one that decided first; NaN where a copy was not needed.
        answers: most likely digits, (B, K, size, size), int8; 0 where a copy was not needed.
    """

    logits: Tensor
    mean: Tensor
    criteria: Tensor
    answers: Tensor


@torch.no_grad()
def vote(
    network: Any,
    boards: Tensor,
    K: int,
    *,
    T: int | None = None,
    by: str | Criterion | Sequence[str | Criterion] = "sum",
    until_legal: bool = False,
    chunk: int = 1024,
    seed: int = 0,
) -> Votes:
    """Run K copies of every board and believe the one with the lowest criterion.

    Args:
        network: a `SudokuAKOrN` in evaluation mode.
        boards: integers (B, size, size), 0 = blank, on the device of the network.
        T: steps, if not those of the network.
        by: "last" or "sum" (energies), "confidence", or a function of (run, boards) that returns (B,) numbers; of several the
            first decides, and the others are noted.
        until_legal: whether a board gets no further copies once its best copy so far is a complete board that keeps the
            rules. With one solution that is the solution, and the board is solved; no solution is looked at.
        chunk: copies that run at once; the start of a copy depends on `seed`, its board and its number only, so that the
            result does not depend on `chunk`, except by rounding.

    Raises:
        FloatingPointError: if a criterion is not finite.
    """
    if K < 1 or chunk < 1:
        raise ValueError(f"`K` and `chunk` must be at least 1, but are {K} and {chunk}; published: K = 100.")
    criteria = [_criterion(one) for one in ([by] if isinstance(by, str) or callable(by) else by)]
    if not criteria:
        raise ValueError("`by` must name a criterion, but is empty; write by='sum'.")
    poll, k = _Poll(boards, K, len(criteria), network, until_legal), 0
    while k < K and len(poll.open):
        rows = poll.open
        copies = torch.arange(k, min(K, k + max(1, chunk // len(rows))))
        pairs = torch.cartesian_prod(copies, rows.cpu())
        values, logits = zip(
            *(_run(network, boards, some, T, criteria, seed) for some in pairs.split(chunk)), strict=True
        )
        by_copy = torch.cat(values, 1).split(len(rows), 1), torch.cat(logits).split(len(rows))
        for copy, value, said in zip(copies.tolist(), *by_copy, strict=True):
            poll.add(copy, rows, value, said)
        k += len(copies)
    return poll.votes()


def _criterion(by: str | Criterion) -> Criterion:
    if callable(by):
        return by
    checks.one_of("by", by, tuple(CRITERIA))
    return CRITERIA[by]


def _run(
    network: Any, boards: Tensor, pairs: Tensor, T: int | None, criteria: Sequence[Criterion], seed: int
) -> tuple[Tensor, Tensor]:
    """Criteria (criterion, pair) and logits (pair, ...) of (copy, board) pairs."""
    chosen = boards[pairs[:, 1].to(boards.device)]
    run = network.run(chosen, _starts(network, boards, pairs, seed), T=T, energies=True)
    values = torch.stack([by(run, chosen) for by in criteria])
    if not bool(values.isfinite().all()):
        wrong = values[~values.isfinite()][0].item()
        raise FloatingPointError(f"`by` must be finite, but is {wrong}; look for a smaller `T`, or at the weights.")
    return values, run.output


def _starts(network: Any, boards: Tensor, pairs: Tensor, seed: int) -> Tensor:
    """Normal numbers of each (copy, board) pair, (pair, size, size, ch)."""
    options = {"device": boards.device, "dtype": network.gamma.dtype}
    generator, shape = torch.Generator(boards.device), (*boards.shape[1:], network.ch)
    seeds = (seed_of(seed, board, copy) for copy, board in pairs.tolist())
    return torch.stack([torch.randn(shape, generator=generator.manual_seed(one), **options) for one in seeds])


class _Poll:
    """The votes so far, and the boards that need more."""

    def __init__(self, boards: Tensor, K: int, criteria: int, network: Any, until_legal: bool):
        B, size, _ = boards.shape
        options = {"device": boards.device, "dtype": network.gamma.dtype}
        self.boards, self.box, self.until_legal = boards, network.box, until_legal
        self.open = torch.arange(B, device=boards.device)
        self.criteria = torch.full((criteria, B, K), torch.nan, **options)
        self.answers = torch.zeros((B, K, size, size), dtype=torch.int8, device=boards.device)
        self.best = torch.full((B,), torch.inf, **options)
        self.logits, self.sum = torch.zeros((2, B, size, size, size), **options)

    def add(self, copy: int, rows: Tensor, values: Tensor, logits: Tensor) -> None:
        """Count a copy of the boards in `rows`, as far as they are still open."""
        wanted = torch.isin(rows, self.open)
        rows, values, logits = rows[wanted], values[:, wanted], logits[wanted]
        self.criteria[:, rows, copy] = values
        self.answers[rows, copy] = (logits.argmax(-1) + 1).to(torch.int8)
        self.sum[rows] += logits
        better = values[0] < self.best[rows]
        self.best[rows[better]], self.logits[rows[better]] = values[0, better], logits[better]
        if self.until_legal:
            solved = legal(filled(self.logits[rows], self.boards[rows]), self.box)
            self.open = rows[~solved]

    def votes(self) -> Votes:
        copies = (~self.criteria[0].isnan()).sum(1)
        return Votes(self.logits, self.sum / copies.view(-1, 1, 1, 1), self.criteria, self.answers)


def against_copies(votes: Votes, boards: Tensor, solutions: Tensor) -> Tensor:
    """Share of the boards that are solved by the best of the first k copies, for k = 1, ..., K, (criterion, K)."""
    right = _right(votes, boards, solutions).expand_as(votes.criteria)
    known = votes.criteria.nan_to_num(nan=torch.inf)
    best = [known[..., :k].argmin(-1, keepdim=True) for k in range(1, known.shape[-1] + 1)]
    return torch.cat([right.gather(-1, i).double().mean(1) for i in best], 1)


def concordance(votes: Votes, boards: Tensor, solutions: Tensor) -> Tensor:
    """How often a right answer has the lower criterion, of all pairs of a right and a wrong copy of one board.

    1: votes by it always find a right copy; 1/2: it tells nothing; below, they are worse than a single copy. Pairs with equal
    criteria count half.

    Returns:
        Shares, (criterion,); NaN if no board has both.
    """
    right = _right(votes, boards, solutions)
    wrong = ~right & ~votes.criteria[0].isnan()
    pairs = right[:, :, None] & wrong[:, None, :]
    gaps = votes.criteria[..., None, :] - votes.criteria[..., :, None]  # of wrong copies above right ones
    return ((gaps.sign() + 1) / 2)[:, pairs].mean(1)


def criteria_table(votes: Votes, boards: Tensor, solutions: Tensor) -> xr.Dataset:
    """`criterion`, the first one, and `solved` of every copy, (board, copy): does a low criterion mean a right answer?"""
    dims = ("board", "copy")
    return xr.Dataset(
        {
            "criterion": (dims, votes.criteria[0].cpu().numpy()),
            "solved": (dims, _right(votes, boards, solutions).cpu().numpy()),
        }
    )


def _right(votes: Votes, boards: Tensor, solutions: Tensor) -> Tensor:
    """Whether each copy solves its board, (B, K)."""
    blank, same = boards[:, None] == 0, votes.answers == solutions[:, None]
    return (same | ~blank).flatten(2).all(2) & ~votes.criteria[0].isnan()
