"""Sudoku on 4 × 4 cells with boxes of 2 × 2: few enough to know all of them, and learned in a minute."""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from neural.akorn.boards import legal
from neural.akorn.sudoku_data import Boards
from oscillators import checks

BOX = (2, 2)


def small_grids() -> Tensor:
    """All 288 complete boards of 4 × 4 cells with boxes of 2 × 2."""
    rows = torch.tensor(list(permutations(range(1, 5))))  # (24, 4)
    halves = rows[torch.cartesian_prod(torch.arange(24), torch.arange(24))]  # (576, 2, 4): two rows
    boxes = halves.unflatten(2, (2, 2)).transpose(1, 2).flatten(2).sort(-1).values
    halves = halves[(boxes == torch.arange(1, 5)).flatten(1).all(1)]  # (96, 2, 4): those with complete boxes
    pairs = torch.cartesian_prod(torch.arange(96), torch.arange(96))
    grids = halves[pairs].flatten(1, 2)  # (9216, 4, 4)
    return grids[legal(grids, BOX)]


def small_boards(
    count: int, givens: tuple[int, int], part: Literal["train", "test"] = "train", seed: int = 0
) -> Boards:
    """Different boards of 4 × 4 cells that have one solution each.

    Args:
        count: of boards.
        givens: least and largest number of givens, drawn evenly; 4 are the fewest with which one solution is possible.
        part: solutions of "train" and "test" are not the same: 240 and 48 of the 288 (chosen here).

    Raises:
        ValueError: if there are fewer boards than `count`.
    """
    least, most = givens
    if not 4 <= least <= most <= 15:
        raise ValueError(
            f"`givens` must be two numbers from 4 to 15 in order, but are {givens}; give for example (6, 9)."
        )
    checks.one_of("part", part, ("train", "test"))
    grids = small_grids()
    order = torch.randperm(len(grids), generator=torch.Generator().manual_seed(0))
    own = order[:240] if part == "train" else order[240:]
    generator, found = torch.Generator().manual_seed(seed), torch.empty(0, 2, 16, dtype=torch.long)
    for _ in range(100):
        found = torch.cat([found, _draw(grids, own, givens, generator)])
        first = np.unique(found[:, 0].numpy(), axis=0, return_index=True)[1]
        found = found[np.sort(first)]  # each board once, in the order in which it was drawn
        if len(found) >= count:
            puzzles, solutions = found[:count].unflatten(2, (4, 4)).unbind(1)
            return Boards(puzzles, solutions)
    raise ValueError(
        f"`count` must not exceed the boards there are, but is {count}, and {len(found)} were found; ask for fewer."
    )


def _draw(
    grids: Tensor, own: Tensor, givens: tuple[int, int], generator: torch.Generator, tries: int = 20_000
) -> Tensor:
    """Boards with one solution and their solutions, (boards, 2, 16), from random givens of random grids."""
    solutions = grids.flatten(1)[own[torch.randint(len(own), (tries,), generator=generator)]]
    given = torch.randint(givens[0], givens[1] + 1, (tries, 1), generator=generator)
    shown = torch.rand(tries, 16, generator=generator).argsort(1) < given
    puzzles = solutions * shown
    onehot = (functional.one_hot(cells, 5)[..., 1:].float() for cells in (puzzles, grids.flatten(1)))
    agree = torch.einsum("bcd,gcd->bg", *onehot)  # givens of each board that each grid has
    return torch.stack([puzzles, solutions], 1)[(agree == given).sum(1) == 1]
