"""One time step of a wave network, forward and backward, batch 50: the compiled scan against an eager loop in torch.

Peer "eager": the loop as published programs have it, one convolution for positions and one for velocities in every step, under
autograd. Peer "dense": our own scan of a network of equal state, all acting on all. Errors: of the gradients, relative to the
eager loop's largest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.timing import Row, interleaved
from neural.waves import Constants, Local, OscillatorCell, SequenceNetwork, cornn

CONSTANTS = {"dt": 0.042, "gamma": 2.7, "epsilon": 4.7}


class Eager(nn.Module):
    """The readout of the last position, the input map and both convolutions inside the loop."""

    def __init__(self, network: SequenceNetwork):
        super().__init__()
        self.network = network

    def forward(self, u: Tensor) -> Tensor:
        cell: OscillatorCell = self.network.cell
        dt, gamma, epsilon = CONSTANTS.values()
        y = z = u.new_zeros(u.shape[1], cell.position.nodes)  # type: ignore[union-attr]
        for x in u:
            a = self.network.encode(x) + cell.field(y, z)
            z = z + dt * (torch.tanh(a) - gamma * y - epsilon * z)
            y = y + dt * z
        return self.network.readout(y)


def sheet(lattice: tuple[int, ...], checkpoint=None) -> SequenceNetwork:
    """A network on a lattice, of the seed 0."""
    torch.manual_seed(0)
    cell = OscillatorCell(Constants(**CONSTANTS), Local(lattice), Local(lattice))
    nodes = cell.position.nodes  # type: ignore[union-attr]
    return SequenceNetwork(nn.Linear(1, nodes), cell, nn.Linear(nodes, 10), checkpoint=checkpoint)


def gradient(network: nn.Module, u: Tensor, dtype: torch.dtype) -> Callable[[], list[Tensor]]:
    network, u = network.to(dtype), u.to(dtype)
    return lambda: list(torch.autograd.grad(network(u).sum(), list(network.parameters())))


def run(
    lattices: Sequence[tuple[int, ...]] = ((1, 16, 16), (16, 16), (1, 32, 32)),
    T: int = 50,
    batch: int = 50,
    seconds: float = 6.0,
) -> list[Row]:
    """Rows for every lattice, precision and peer."""
    torch.set_num_threads(1)
    rows, u = [], torch.randn(T, batch, 1, generator=torch.Generator().manual_seed(1))
    for lattice in lattices:
        for dtype in (torch.float32, torch.float64):
            ours = gradient(sheet(lattice), u, dtype)
            nodes = sheet(lattice).cell.position.nodes
            peers = {
                "eager": gradient(Eager(sheet(lattice)), u, dtype),
                "repeat": gradient(sheet(lattice, "repeat"), u, dtype),
                "undo": gradient(sheet(lattice, "undo"), u, dtype),
                "dense": gradient(cornn(1, nodes, 10, **CONSTANTS), u, dtype),
            }
            exact = peers["eager"]()
            error = _off(ours(), exact)
            times = interleaved(ours, *peers.values(), seconds=seconds)
            for name, theirs in zip(peers, times[1:], strict=True):
                gap = None if name == "dense" else _off(peers[name](), exact)
                size = f"{' x '.join(map(str, lattice))}, {str(dtype).removeprefix('torch.')}"
                rows.append(Row("step", size, 1e6 * times[0] / T, "µs", name, 1e6 * theirs / T, error, gap))
    return rows


def _off(gradients: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    return max(float((g - e).abs().max() / e.abs().max()) for g, e in zip(gradients, exact, strict=True))
