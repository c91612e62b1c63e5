"""UnICORNN: layers of undamped, independent oscillators, each with its own step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from neural.waves.cell import Orbit, OscillatorCell, check_sequence
from neural.waves.connectivity import Diagonal
from oscillators import checks


class OwnSteps(nn.Module):
    """Δt_i = Δt sigmoid(c_i) for each node, γ = α, ε = 0."""

    def __init__(self, nodes: int, dt: float, alpha: float):
        super().__init__()
        self.dt = checks.positive("dt", dt, "a step moves the time")
        checks.not_negative("alpha", checks.real_array("alpha", alpha), "an oscillator is pulled back")
        self.alpha = float(alpha)
        self.c = nn.Parameter(torch.empty(nodes).uniform_(-0.1, 0.1))

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        steps = self.dt * torch.sigmoid(self.c)
        return steps, torch.full_like(steps, self.alpha), torch.zeros_like(steps)


class UndampedLayer(nn.Module):
    """T steps of z <- z - Δt_i (tanh(w y + x_t) + α y), y <- y + Δt_i z.

    With y = -Y and z = -Z it is an `OscillatorCell` of weight -w, without damping; undoing its steps is exact.
    """

    def __init__(self, nodes: int, dt: float, alpha: float):
        super().__init__()
        self.cell = OscillatorCell(OwnSteps(nodes, dt, alpha), Diagonal(nodes))
        nn.init.uniform_(self.cell.position.weight, -1.0, 0.0)  # type: ignore[union-attr, arg-type]

    def run(self, x: Tensor) -> Orbit:
        """y and z after every step, (T, B, N), of an input (T, B, N)."""
        Y, Z = self.cell.run(x)
        return Orbit(-Y, -Z)


class UnICORNN(nn.Module):
    """Undamped independent controlled oscillatory network: layers l of oscillators, x = A_l (output of layer l - 1) + a_l.

    Args:
        dt: one for all layers, or one for each.
        alpha: stiffness.
        dropout: after every layer, one mask per (batch, node) for all times.

    Source: Rusch and Mishra 2021 (UnICORNN).
    """

    def __init__(
        self,
        inputs: int,
        nodes: int,
        outputs: int,
        layers: int,
        dt: float | Sequence[float],
        alpha: float,
        dropout: float = 0.0,
    ):
        super().__init__()
        steps = [dt] * layers if isinstance(dt, int | float) else list(dt)
        if len(steps) != layers or layers < 1:
            raise ValueError(
                f"`dt` must be one step or one for each of {layers} layers, but is {dt}; add or drop some."
            )
        self.encode = nn.ModuleList(nn.Linear(inputs if l == 0 else nodes, nodes) for l in range(layers))
        self.layers = nn.ModuleList(UndampedLayer(nodes, step, alpha) for step in steps)
        self.readout = nn.Linear(nodes, outputs)
        self.dropout = dropout
        for encode in self.encode:
            nn.init.kaiming_uniform_(encode.weight, a=8)  # type: ignore[arg-type]
        nn.init.kaiming_normal_(self.readout.weight)
        for module in (*self.encode, self.readout):
            nn.init.zeros_(module.bias)

    def forward(self, u: Tensor) -> Tensor:
        """Outputs (B, outputs) of a sequence (T, B, inputs)."""
        check_sequence("u", u)
        y = u
        for encode, layer in zip(self.encode, self.layers, strict=True):
            y = layer.run(encode(y)).y  # type: ignore[operator]
            y = y * nn.functional.dropout(torch.ones_like(y[0]), self.dropout, self.training)
        return self.readout(y[-1])
