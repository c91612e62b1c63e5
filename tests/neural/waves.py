"""Maps and cells that the tests of wave networks share, in double precision."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from neural.waves import AllToAll, Connectivity, Constants, Diagonal, Local, OneWay, OscillatorCell, Sparse, Untied
from oscillators import as_coupling

N = 12  # nodes of every map
MAPS = {
    "all to all": lambda: AllToAll(N),
    "diagonal": lambda: Diagonal(N),
    "one number": lambda: Diagonal(N, shared=True),
    "sparse": lambda: Sparse(as_coupling(sp.random(N, N, 0.3, format="csr", rng=np.random.default_rng(0)))),
    "rings": lambda: Local((2, 6)),
    "rings, separate": lambda: Local((2, 6), 5, "separate"),
    "rings, mixed": lambda: Local((3, 4), 3, "mixed"),
    "torus": lambda: Local((1, 3, 4)),
    "torus, rows": lambda: Local((1, 3, 4), (1, 3)),
    "tori, mixed": lambda: Local((2, 3, 2), (3, 1), "mixed"),
    "one way": lambda: OneWay((2, 6)),
    "one way, separate": lambda: OneWay((2, 6), "separate"),
    "untied": lambda: Untied((1, 3, 4)),
    "untied, mixed": lambda: Untied((3, 4), 3, "mixed"),
}


def seeded(name: str, seed: int = 0) -> Connectivity:
    """A map with normal weights."""
    torch.manual_seed(seed)
    act = MAPS[name]().double()
    for weight in act.parameters():
        torch.nn.init.normal_(weight, 0.0, 0.4)
    return act


def cell(
    position: str | None, velocity: str | None = None, *, learned: str | None = "softplus", **options
) -> OscillatorCell:
    """A cell with learned constants of some published wave machine."""
    maps = [None if name is None else seeded(name, seed) for seed, name in enumerate((position, velocity))]
    return OscillatorCell(Constants(0.3, 1.2, 0.5, learned=learned), *maps, **options).double()


def normal(*shape: int, seed: int = 0, grad: bool = False) -> torch.Tensor:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return numbers.requires_grad_(grad)
