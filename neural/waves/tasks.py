"""Sequences that ask for memory: sums of marked numbers, tokens to be repeated, and images pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from neural.images import Labelled
from neural.seeds import seed_of
from oscillators import checks

TOKENS = 10  # of the copy task: 0 is blank, 9 asks for the answer, 1 to 8 are remembered
REMEMBERED = 10  # tokens


class Fresh:
    """Batches that are drawn anew, batch k from the seed and k.

    Args:
        task: "adding" or "copy".
        length: steps T of "adding"; delay of "copy", whose sequences have T = length + 10 steps.
        size: sequences of a batch.
    """

    def __init__(self, task: str, length: int, size: int, seed: int = 0):
        checks.one_of("task", task, ("adding", "copy"))
        self.draw, self.length, self.size, self.seed = {"adding": adding, "copy": copy}[task], length, size, seed

    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        return self.draw(self.size, self.length, torch.Generator().manual_seed(seed_of(self.seed, k)))


def adding(count: int, T: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Numbers in [0, 1] of which two are marked, one in each half, (count, T, 2); and their sum, (count, 1).

    To say 1 always has the mean squared error 1/6; below 0.05 the task counts as solved.
    """
    if T < 2:
        raise ValueError(f"`length` must be at least 2, but is {T}; each half has a marked number.")
    values = torch.rand(count, T, generator=generator)
    places = torch.stack([torch.randint(0, T // 2, (count,), generator=generator),
                          torch.randint(T // 2, T, (count,), generator=generator)], 1)  # fmt: skip
    marks = torch.zeros(count, T).scatter_(1, places, 1.0)
    return torch.stack([values, marks], -1), values.gather(1, places).sum(1, keepdim=True)


def copy(count: int, delay: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ten tokens of 1 to 8, one-hot, blanks, the sign to answer, blanks (count, T, 10); and blanks, the ten tokens (count, T).

    T = delay + 10; the sign, 9, stands at step T - 11, and the answer takes the last ten steps.
    """
    if delay <= REMEMBERED:
        raise ValueError(f"`length` must exceed {REMEMBERED}, but is {delay}; the sign comes after the tokens.")
    seen = torch.zeros(count, delay + REMEMBERED, dtype=torch.long)
    said = seen.clone()
    tokens = torch.randint(1, 9, (count, REMEMBERED), generator=generator)
    seen[:, :REMEMBERED], seen[:, delay - 1], said[:, delay:] = tokens, 9, tokens
    return functional.one_hot(seen, TOKENS).float(), said


def pixels(images: Labelled, side: int = 28, permuted: int | None = None) -> tuple[Tensor, Tensor]:
    """Images as sequences of grey values in [0, 1], row by row, (B, side², 1), and their labels.

    Args:
        side: to which they are reduced by area.
        permuted: seed of the one order of pixels that all images share; None: row by row.
    """
    grey = functional.adaptive_avg_pool2d(images.images.float() / 255, side).flatten(1)
    if permuted is not None:
        grey = grey[:, torch.randperm(side * side, generator=torch.Generator().manual_seed(permuted))]
    return grey[..., None], images.labels
