"""First-order relatives without oscillators: wave-RNN, whose states travel along rings, and the identity RNN."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from neural.waves import fused
from neural.waves.cell import check_sequence
from neural.waves.connectivity import AllToAll, Connectivity, Links
from neural.waves.local import Local, Untied
from neural.waves.sequence import SequenceNetwork, network
from oscillators import checks

Activation = Literal["relu", "tanh", "identity"]
Start = Literal["shift", "identity", "random"]
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda a: a}


class WaveCell(nn.Module):
    """T steps of h <- φ(K h + b + g_t).

    Args:
        position: K: `Local` rings that mix channels (wave-RNN), `Untied`, or `AllToAll` (iRNN).
        activation: φ.
    """

    norm = None  # of the states: there is none

    def __init__(self, position: Connectivity, activation: Activation = "relu"):
        super().__init__()
        checks.one_of("activation", activation, ACTIVATIONS)
        self.position, self.activation = position, activation

    def run(self, drive: Tensor, start: Tensor | None = None) -> Tensor:
        """States after every step, (T, B, N), of a drive (T, B, N), from h_0 (B, N) or 0."""
        drive, start = self._ready(drive, start)
        if fused.usable(self, drive, [start]):
            return fused.orbit(self, drive, [start])[0]
        return portable(self, drive, start)

    def last(self, drive: Tensor, start: Tensor | None = None) -> Tensor:
        """The last state of `run`, (B, N)."""
        drive, start = self._ready(drive, start)
        if fused.usable(self, drive, [start]):
            return fused.orbit(self, drive, [start])[1]
        return portable(self, drive, start)[-1]

    @property
    def maps(self) -> tuple[Connectivity]:
        return (self.position,)

    @property
    def links(self) -> Links:
        return self.position.links

    @cached_property
    def links_back(self) -> Links:
        return self.links.back(self.position.nodes)

    def _ready(self, drive: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """The drive with the bias, and the start."""
        check_sequence("drive", drive)
        if drive.ndim != 3 or drive.shape[-1] != self.position.nodes:
            raise ValueError(
                f"`drive` must have shape (T, B, {self.position.nodes}), but is {tuple(drive.shape)}; one value per node."
            )
        if start is not None and start.shape != drive[0].shape:
            raise ValueError(
                f"`start` must have shape {tuple(drive[0].shape)}, but is {tuple(start.shape)}; one value per node."
            )
        bias = self.position.offset()
        return drive if bias is None else drive + bias, torch.zeros_like(drive[0]) if start is None else start


def portable(cell: WaveCell, drive: Tensor, h: Tensor) -> Tensor:
    """The states by torch's own operations."""
    phi, states = ACTIVATIONS[cell.activation], []
    for g in drive:
        h = phi(cell.position(h) + g)
        states.append(h)
    return torch.stack(states)


def wave_rnn(
    inputs: int,
    nodes: int,
    channels: int,
    outputs: int,
    *,
    size: int = 3,
    start: Start = "shift",
    single_source: bool = True,
    untied: bool = False,
    mlp: int | None = None,
    activation: Activation = "relu",
    **options: Any,
) -> SequenceNetwork:
    """wave-RNN: rings on which activity travels to lower indices.

    Args:
        nodes, channels: n sites on each of c rings, which mix.
        start: initial kernel: "shift" moves activity by one site per step, "identity" keeps it in place, "random".
        single_source: every input enters at site 0 of every ring with weight 1, without bias; else N(0, 0.001²).
        untied: a kernel of its own at every site.
        mlp: hidden units of a two-layer readout (published: 100); None: a linear one.
        activation, options: of `WaveCell` and `SequenceNetwork` (`every_step`).

    Note: with one source all inputs look alike at the start, and those more than n steps apart meet at the same site.
    Source: Keller, Muller, Sejnowski and Welling 2024.
    """
    checks.one_of("start", start, ("shift", "identity", "random"))
    act: Local = (Untied if untied else Local)((channels, nodes), size, "mixed", bias=True)
    if untied:
        nn.init.zeros_(act.bias)  # type: ignore[arg-type]
    if start != "random":
        tap = size // 2 + (start == "shift")
        with torch.no_grad():
            act.weight.zero_()
            act.weight[range(channels), range(channels), ..., tap] = 1.0
    built = network(inputs, WaveCell(act, activation), channels * nodes, outputs, None, mlp, **options)
    source(built.encode, nodes, single_source)
    return built


def identity_rnn(
    inputs: int,
    nodes: int,
    outputs: int,
    *,
    shift: bool = False,
    single_source: int | None = None,
    activation: Activation = "relu",
    **options: Any,
) -> SequenceNetwork:
    """iRNN: the control without waves, a dense map that begins as the identity.

    Args:
        shift: it begins as h_i <- h_(i + 1) instead.
        single_source: inputs enter at every so many nodes with weight 1; None: N(0, 0.001²).
        activation, options: of `WaveCell` and `SequenceNetwork`.

    Source: Le, Jaitly and Hinton 2015.
    """
    act = AllToAll(nodes, bias=True)
    with torch.no_grad():
        act.weight.copy_(torch.eye(nodes).roll(int(shift), 1))
        act.bias.zero_()  # type: ignore[union-attr]
    built = network(inputs, WaveCell(act, activation), nodes, outputs, **options)
    source(built.encode, single_source or nodes, single_source is not None)
    return built


def source(encode: Any, ring: int, single: bool) -> None:
    """Initial input map: weight 1 into the first site of each ring, without bias; or N(0, 0.001²)."""
    with torch.no_grad():
        if single:
            encode.bias.zero_()
            encode.weight.zero_()
            encode.weight[::ring] = 1.0
        else:
            encode.weight.normal_(0.0, 0.001)
