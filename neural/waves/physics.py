"""Neural Wave Machine for films of moving bodies: a convolutional encoder drives the sheet, a decoder paints the next frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from neural.waves.cell import Orbit, check_sequence
from neural.waves.connectivity import AllToAll, Connectivity
from neural.waves.local import Local
from neural.waves.sheet import DrivenSheet, interleaved, separate


class Prediction(NamedTuple):
    """Means of the frames after each frame seen, (T, B, 3, side, side), and the orbit of the sheet."""

    frames: Tensor
    orbit: Orbit


class PhysicsModel(nn.Module):
    """Films of moving bodies, as published for springs, pendulums and bodies that attract each other.

        s_t = encoder(x_t),    y_t, z_t: a `DrivenSheet`,    x_(t+1) ~ N(decoder(y_t, z_t), ½)

    The start of the sheet is read from the first frames backward in time.

    Args:
        side: of a frame, a multiple of 8.
        lattice: (C, height, width) of the sheet, whose channels mix.
        inputs: channels of the signal.
        dense: all act on all, the globally coupled control.
        width: channels of the convolutions.
        observed: frames that the start is read from.

    Source: Keller and Welling 2023.
    """

    def __init__(
        self,
        side: int = 32,
        lattice: Sequence[int] = (1, 23, 23),
        *,
        inputs: int = 1,
        dense: bool = False,
        width: int = 64,
        observed: int = 31,
    ):
        super().__init__()
        if side % 8 or side < 8:
            raise ValueError(f"`side` must be a multiple of 8, but is {side}; it is halved three times.")
        lattice, space = tuple(lattice), math.prod(lattice[1:])
        maps = (_map(lattice, channels, dense) for channels in (lattice[0], lattice[0], inputs))
        self.sheet = DrivenSheet(lattice, *maps, bias_channels=lattice[0])
        self.encoder = _encoder(side, inputs * space, width)
        self.start = ResetFirstGRU(inputs * space, 2 * math.prod(lattice))
        self.decoder = _Decoder(side, 2 * math.prod(lattice), width)
        self.side, self.observed = side, observed

    def forward(self, frames: Tensor) -> Prediction:
        """What follows each of the frames (T, B, 3, side, side), all of which are seen."""
        signal = self.encode(frames)
        orbit = self.sheet.run(signal, self._start(signal))
        return Prediction(self.decode(orbit), orbit)

    def encode(self, frames: Tensor) -> Tensor:
        """The signal of each frame, (T, B, inputs · sites)."""
        check_sequence("frames", frames)
        if frames.shape[2:] != (3, self.side, self.side):
            raise ValueError(
                f"`frames` must have shape (T, B, 3, {self.side}, {self.side}), but are {tuple(frames.shape)}; put channels "
                "before height and width."
            )
        return self.encoder(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def decode(self, orbit: Orbit) -> Tensor:
        """Frames of positions and velocities (..., N) each, (..., 3, side, side)."""
        state = interleaved(orbit, self.sheet.lattice)
        return self.decoder(state.flatten(0, -2)).unflatten(0, state.shape[:-1])

    @torch.no_grad()
    def forecast(self, frames: Tensor, steps: int) -> Tensor:
        """The frames that follow, (steps, B, 3, side, side), each seen by the model as its next input."""
        signal = self.encode(frames)
        state = self.sheet.run(signal, self._start(signal)).at(-1)
        found = [self.decode(state)]
        for _ in range(steps - 1):
            state = self.sheet.run(self.encode(found[-1][None]), state).at(-1)
            found.append(self.decode(state))
        return torch.stack(found)

    def _start(self, signal: Tensor) -> Orbit:
        return separate(self.start(signal[: self.observed].flip(0)), self.sheet.lattice)


class ResetFirstGRU(nn.Module):
    """A gated recurrent unit that resets before its matrix product, (T, B, inputs) -> last state (B, nodes).

    z, r = sigmoid(W x + U h + b),    a = tanh(W' x + U' (r h) + b'),    h <- (1 - z) h + z a
    """

    def __init__(self, inputs: int, nodes: int):
        super().__init__()
        self.encode = nn.Linear(inputs, 3 * nodes)
        self.gates, self.candidate = nn.Linear(nodes, 2 * nodes, bias=False), nn.Linear(nodes, nodes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        nodes = self.candidate.in_features
        h = x.new_zeros(x.shape[1], nodes)
        for zr, a in zip(*self.encode(x).split([2 * nodes, nodes], -1), strict=True):
            z, r = torch.sigmoid(zr + self.gates(h)).chunk(2, -1)
            h = (1 - z) * h + z * torch.tanh(a + self.candidate(r * h))
        return h


def misfit(predicted: Tensor, frames: Tensor) -> Tensor:
    """-log p of the frames after each prediction, per pixel and channel: (x - x̂)² + ½ log π; both (T, ...)."""
    return ((frames[1:] - predicted[:-1]) ** 2).mean() + math.log(math.pi) / 2


def valid_prediction_time(predicted: Tensor, frames: Tensor, threshold: float = 0.025) -> Tensor:
    """First time at which the squared error exceeds this share of the frame's mean square; T if never. (T, B, ...) -> (B,)."""
    error = ((predicted - frames) ** 2).flatten(2).mean(-1) / (frames**2).flatten(2).mean(-1)
    past = torch.cat([error > threshold, torch.ones_like(error[:1], dtype=torch.bool)])
    return past.int().argmax(0)


def _map(lattice: tuple[int, ...], inputs: int, dense: bool) -> Connectivity:
    """From `inputs` channels of the lattice; kernels begin near the mean of their neighbourhood, as published."""
    if dense and inputs == lattice[0]:
        return AllToAll(math.prod(lattice))
    act = Local(lattice, 3, "mixed", inputs)
    nn.init.trunc_normal_(act.weight, 1 / 9, 0.1, 1 / 9 - 0.2, 1 / 9 + 0.2)
    return act


def _encoder(side: int, outputs: int, width: int) -> nn.Sequential:
    """Frames halved three times; as published, an odd row of padding comes at the end."""
    layers: list[nn.Module] = []
    for block in range(3):
        layers += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(width if block else 3, width, 3, 2), nn.LeakyReLU(0.01)]
        layers += [nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.01)]
    layers += [nn.Conv2d(width, outputs, 3, 1, 1), nn.Flatten(), nn.Linear((side // 8) ** 2 * outputs, outputs)]
    return _begun(nn.Sequential(*layers))


def _begun(network: nn.Sequential) -> nn.Sequential:
    """Convolutions begin such that what differs between frames neither fades nor grows from layer to layer.

    Source: He et al. 2015; chosen here, since torch's own weights leave a thousandth of it after seven layers.
    """
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, 0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


class _Decoder(nn.Module):
    """From a state: a small image with two learned constant channels, doubled three times."""

    def __init__(self, side: int, inputs: int, width: int):
        super().__init__()
        small, channels = side // 8, inputs // 4
        self.first, self.constant = (
            nn.Linear(inputs, small * small * channels),
            nn.Parameter(torch.ones(2, small, small)),
        )
        layers: list[nn.Module] = []
        for block in range(3):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width if block else channels + 2, width, 3, 1, 1)]
            layers += [nn.LeakyReLU(0.01), nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.01)]
        self.rest = _begun(nn.Sequential(*layers, nn.Conv2d(width, 3, 3, 1, 1), nn.Sigmoid()))
        self.small = (channels, small, small)

    def forward(self, state: Tensor) -> Tensor:
        image = self.first(state).unflatten(-1, self.small)
        return self.rest(torch.cat([image, self.constant.expand(len(state), -1, -1, -1)], 1))
