"""Networks for sequences: an input map before the loop, a cell, a readout. coRNN, wave machines, wave-RNN."""

from __future__ import annotations

import math
from typing import Any, Literal

from torch import Tensor, nn

from neural.waves.cell import Checkpoint, OscillatorCell, check_sequence
from neural.waves.connectivity import AllToAll, Connectivity, Diagonal
from neural.waves.constants import Constants
from neural.waves.local import Local
from oscillators import checks

Topology = Literal["torus", "rings", "uncoupled"]


class SequenceNetwork(nn.Module):
    """Sequence in, decision out: outputs = readout(y_T), where y is the orbit of the drive encode(u).

    Args:
        encode: the input map (..., inputs) -> (..., N); it acts on the whole sequence at once.
        cell: an `OscillatorCell`, a `WaveCell`, or any module whose `run(drive)` gives states (T, B, N), and `last(drive)`, if
            it has it, the last one.
        readout: (..., N) -> (..., outputs).
        embedding: for tokens: (T, B) integers -> (T, B, inputs).
        every_step: read out after every step, (T, B, outputs).
        checkpoint: "repeat" or "undo": keep only some moments for the backward pass, see `OscillatorCell.last`.
    """

    def __init__(
        self,
        encode: nn.Module,
        cell: Any,
        readout: nn.Module,
        *,
        embedding: nn.Embedding | None = None,
        every_step: bool = False,
        checkpoint: Checkpoint | None = None,
    ):
        super().__init__()
        if checkpoint is not None and (every_step or not isinstance(cell, OscillatorCell)):
            raise ValueError(
                "`checkpoint` must be None with `every_step`, or without an OscillatorCell, but is "
                f"{checkpoint!r}; then all states are kept."
            )
        self.embedding, self.encode, self.cell, self.readout = embedding, encode, cell, readout
        self.every_step, self.checkpoint = every_step, checkpoint

    def forward(self, u: Tensor) -> Tensor:
        """Outputs (B, outputs), or after every step (T, B, outputs), of a sequence u (T, B, inputs) or of tokens (T, B)."""
        if self.every_step or not hasattr(self.cell, "last"):
            y = self.states(u)
            return self.readout(y if self.every_step else y[-1])
        options = {"checkpoint": self.checkpoint} if self.checkpoint else {}
        found = self.cell.last(self.drive(u), **options)
        return self.readout(found if isinstance(found, Tensor) else found.y)

    def states(self, u: Tensor) -> Tensor:
        """Positions after every step, (T, B, N)."""
        found = self.cell.run(self.drive(u))
        return found if isinstance(found, Tensor) else found.y

    def drive(self, u: Tensor) -> Tensor:
        """The input as the cell feels it, (T, B, N)."""
        if self.embedding is not None:
            if u.is_floating_point() or u.ndim != 2 or len(u) == 0:
                raise ValueError(
                    f"`u` must be tokens (T, B), T >= 1, but has shape {tuple(u.shape)} and dtype {u.dtype}; number the words."
                )
            return self.encode(self.embedding(u))
        check_sequence("u", u)
        inputs = getattr(self.encode, "in_features", u.shape[-1])
        if u.ndim != 3 or u.shape[-1] != inputs or not u.is_floating_point():
            raise ValueError(
                f"`u` must be numbers (T, B, {inputs}), but has shape {tuple(u.shape)} and dtype {u.dtype}; the inputs of a "
                "step are the last axis, and bytes are divided by 255."
            )
        return self.encode(u)


def cornn(
    inputs: int,
    nodes: int,
    outputs: int,
    dt: float,
    gamma: float,
    epsilon: float,
    *,
    layout: Literal["concat", "split", "text"] = "concat",
    vocabulary: tuple[int, int] | None = None,
    damping: Any = "explicit",
    **options: Any,
) -> SequenceNetwork:
    """coRNN: oscillators that act all on all, by position and velocity.

    Args:
        dt, gamma, epsilon: fixed constants.
        layout: the published programs differ in their initial weights: uniform in ±1/√fan_in with fan_in = inputs + 2
            nodes ("concat"), of each matrix alone ("split"), or 2 nodes for the recurrent ones ("text").
        vocabulary: for tokens, (words, index of the padding); embedded in `inputs` dimensions.
        options: of `SequenceNetwork`.

    Source: Rusch and Mishra 2021.
    """
    checks.one_of("layout", layout, ("concat", "split", "text"))
    position, velocity = AllToAll(nodes), AllToAll(nodes)
    cell = OscillatorCell(Constants(dt, gamma, epsilon), position, velocity, damping=damping)
    built = network(inputs, cell, nodes, outputs, vocabulary, **options)
    fan_in = {"concat": inputs + 2 * nodes, "split": nodes, "text": 2 * nodes}[layout]
    _uniform(fan_in, position.weight, velocity.weight)
    if layout == "concat":
        _uniform(fan_in, *built.encode.parameters())
    return built


def wave_machine(
    inputs: int,
    nodes: int,
    outputs: int,
    dt: float,
    gamma: float,
    epsilon: float,
    *,
    topology: Topology = "torus",
    size: int = 3,
    bias: bool = True,
    vocabulary: tuple[int, int] | None = None,
    damping: Any = "explicit",
    **options: Any,
) -> SequenceNetwork:
    """Neural Wave Machine for sequences (NWM, LocoRNN): oscillators on a square sheet that act on their neighbours.

    Args:
        nodes: a square number s².
        topology: "torus": one kernel (size, size) on s × s; "rings": s rings of length s, one kernel; "uncoupled": each
            node acts on itself.
        bias: whether each kernel has a bias (beside that of the input map, as published; the text variant has none).
        vocabulary, options: as in `cornn`.

    Note: the published code rounds `nodes` down to a square in silence.
    Source: Keller and Welling 2023.
    """
    checks.one_of("topology", topology, ("torus", "rings", "uncoupled"))
    side = math.isqrt(max(nodes, 0))
    if topology != "uncoupled" and side * side != nodes:
        raise ValueError(
            f"`nodes` must be a square number for a square sheet, but is {nodes}; use {side**2} or {(side + 1) ** 2}."
        )

    def act() -> Connectivity:
        if topology == "uncoupled":
            return Diagonal(nodes, shared=True)
        return Local((1, side, side) if topology == "torus" else (side, side), size, bias=bias)

    cell = OscillatorCell(Constants(dt, gamma, epsilon), act(), act(), damping=damping)
    return network(inputs, cell, nodes, outputs, vocabulary, **options)


def network(
    inputs: int,
    cell: Any,
    nodes: int,
    outputs: int,
    vocabulary: tuple[int, int] | None = None,
    mlp: int | None = None,
    **options: Any,
) -> SequenceNetwork:
    """A cell between linear maps; before it an embedding of (words, padding), behind it a hidden layer of `mlp` units."""
    embedding = None if vocabulary is None else nn.Embedding(vocabulary[0], inputs, padding_idx=vocabulary[1])
    readout = nn.Linear(nodes, outputs) if mlp is None else two_layers(nodes, mlp, outputs)
    return SequenceNetwork(nn.Linear(inputs, nodes), cell, readout, embedding=embedding, **options)


def two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _uniform(fan_in: int, *weights: Tensor) -> None:
    for weight in weights:
        nn.init.uniform_(weight, -(fan_in**-0.5), fan_in**-0.5)
