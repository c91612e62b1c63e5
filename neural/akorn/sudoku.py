"""AKOrN for Sudoku: an oscillator group for every cell, clamped by nothing but the stimulus of its digit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from neural.akorn.boards import check_boards
from neural.akorn.channels import at_least_one, on_last
from neural.akorn.parts import Connection, NetworkRun, initialize, kuramoto_layer, start
from neural.akorn.positions import grid_coordinates, waves
from neural.akorn.readout import Readout, full_readout


class SudokuAKOrN(nn.Module):
    """Logits of the digits of a board: embed the givens, let the oscillators run, read out.

        c = Emb[board],  x = c on given cells, noise on blanks;  L times: x <- layer(x, c), c <- readout(x);  W ReLU(c)

    Args:
        ch, n: channels of a cell, and components of an oscillator.
        L, T: blocks, and steps of each.
        box: height and width of a box; boards have height · width digits and as many rows.
        J, positions: connectivity, "attn", "conv" or "dense"; "gta", "rope", "absolute" (tables added to c and x) or None.
        gamma: initial step; it is trained.
        nonlinear: whether the readout ends in a residual network, or is the `Readout` alone.
        options: of `kuramoto_layer`: heads, ksize, symmetric, omega, omega_init, omega_learned, omega_off, c_norm, step, ...
        generator: source of the weights.

    The defaults are the published run. Parameters bear the published names; the published `x0`, which nothing reads, is
    dropped when a state dict is loaded.
    Source: Miyato et al. 2025, AKOrN.
    """

    def __init__(
        self,
        ch: int = 512,
        n: int = 4,
        L: int = 1,
        T: int = 16,
        *,
        box: tuple[int, int] = (3, 3),
        J: Connection = "attn",
        positions: Literal["gta", "rope", "absolute"] | None = "gta",
        gamma: float = 1.0,
        nonlinear: bool = True,
        generator: torch.Generator | None = None,
        **options: Any,
    ):
        super().__init__()
        at_least_one("L", L, "a network has blocks")
        self.ch, self.T, self.box, self.size = ch, T, (box[0], box[1]), box[0] * box[1]
        self.gamma = nn.Parameter(torch.full((1,), gamma))
        self.embedding = nn.Embedding(self.size + 1, ch)
        grid = (self.size, self.size)
        self.absolute = positions == "absolute"
        if positions == "absolute":
            table = waves(grid_coordinates(grid), ch).T.unflatten(1, grid).to(self.gamma.dtype)
            self.pemb_x, self.pemb_c = nn.Parameter(table.clone()), nn.Parameter(table.clone())
        elif J == "attn":
            options |= {"positions": positions}
        settings: dict[str, Any] = {"omega": "global", "omega_init": 0.5, "at": grid, "generator": generator} | options
        self.layers: Any = nn.ModuleList(
            nn.ModuleList(
                [
                    kuramoto_layer(J, ch, n, **settings),
                    full_readout(ch, n) if nonlinear else nn.Sequential(Readout(ch, ch, n)),
                ]
            )
            for _ in range(L)
        )
        self.out = nn.Sequential(nn.ReLU(), nn.Conv2d(ch, self.size, 1))
        self.register_load_state_dict_pre_hook(_drop_unread)
        initialize(self, generator)

    def forward(self, boards: Tensor, x0: Tensor | None = None, **options: Any) -> Tensor:
        """Logits (B, size, size, digit), the digit d at index d - 1; arguments as for `run`."""
        return self.run(boards, x0, **options).output

    def run(
        self,
        boards: Tensor,
        x0: Tensor | None = None,
        *,
        T: int | None = None,
        generator: torch.Generator | None = None,
        states: bool = False,
        energies: bool = False,
        checkpoint: bool = False,
    ) -> NetworkRun:
        """Solve boards.

        Args:
            boards: integers (B, size, size), 0 = blank.
            x0: oscillators of the blank cells, (B, size, size, ch); None: normal numbers from `generator`.
            T: steps of every block, if not those of the network.
            states, energies, checkpoint: see `KuramotoLayer.run`.
        """
        c, x = self._begin(boards, x0, generator)
        runs = []
        for layer, readout in self.layers:
            run = layer.run(
                x, c, self.T if T is None else T, self.gamma, states=states, energies=energies, checkpoint=checkpoint
            )
            runs.append(run)
            x, c = run.x, readout(run.x)
        return NetworkRun.of(self._logits(c), c, x, runs)

    def extend(
        self,
        boards: Tensor,
        times: Sequence[int],
        x0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Solve boards with several T: from one start, each time with all steps before.

        Args:
            boards, x0, generator: as in `run`.
            times: increasing numbers of steps.

        Yields:
            For each of the times, logits (B, size, size, digit) and energies of the states since the time before,
            (steps + 1, B). They are those of `run`, to rounding.

        Raises:
            ValueError: if `times` do not increase; if the network has several blocks, whose later ones start where the first
                one ends.
        """
        if len(self.layers) > 1:
            raise ValueError(f"`L` must be 1 to go on from a state, but is {len(self.layers)}; call `run` for each T.")
        if any(done >= T for done, T in pairwise([0, *times])):
            raise ValueError(f"`times` must increase from at least 1, but are {list(times)}; sort them.")
        c, x = self._begin(boards, x0, generator)
        layer, readout = self.layers[0]
        for done, T in pairwise([0, *times]):
            x, _, energies = layer.run(x, c, T - done, self.gamma, energies=True)
            yield self._logits(readout(x)), energies

    def _begin(self, boards: Tensor, x0: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Stimulus and first state, (B, size, size, ch)."""
        check_boards(boards, self.box)
        c = self.embedding(boards.long())
        x = torch.where((boards > 0)[..., None], c, start(c, x0, generator))
        if self.absolute:
            c, x = c + self.pemb_c.movedim(0, -1), x + self.pemb_x.movedim(0, -1)
        return c, x

    def _logits(self, c: Tensor) -> Tensor:
        return on_last(self.out[1], self.out[0](c))


def _drop_unread(network: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    state.pop(prefix + "x0", None)
