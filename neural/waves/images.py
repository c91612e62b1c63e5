"""Neural Wave Machine for sequences of images: every frame drives a sheet of oscillators, whose positions give the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.waves.cell import Orbit, check_sequence
from neural.waves.connectivity import AllToAll, Connectivity
from neural.waves.local import Local, OneWay, Sharing, Untied
from neural.waves.sheet import DrivenSheet


class ImageRun(NamedTuple):
    """What the model made of frames x_1, ..., x_T, with H = nodes of the sheet and P = pixels.

    Args:
        probs: its predictions of x_2, ..., x_T and x_1, (T, B, P).
        orbit: positions and velocities after each frame, (T, B, H).
        start: y_0 and z_0.
        drive: what each frame is to the sheet, (T, B, H).
        encoded: mean and log-variance of its latent variables, (T, B, 2H) each; (T, B, H) and None if deterministic.
        latent: the sample of them, or their mean.
    """

    probs: Tensor
    orbit: Orbit
    start: Orbit
    drive: Tensor
    encoded: tuple[Tensor, Tensor | None]
    latent: Tensor


class ImageSequenceModel(nn.Module):
    """Frames in, next frames out: x_t -> drive s_t of a sheet of oscillators -> positions y_t -> p(x_(t+1)).

        s_t = layer norm of the first half of z ~ N(μ(x_t), σ(x_t)²)
        y_t: positions of a `DrivenSheet` with the signal s_t,    p_t = sigmoid(decoder(y_t))

    Args:
        pixels: of a frame, P.
        lattice: (capsules, length) for rings, (capsules, height, width) for tori.
        size, sharing, untied: of the three local maps; `one_way`: all three only from the neighbour of higher index.
        dense: all three maps from every node to every other, the globally coupled control.
        deep: encoder and decoder with two hidden layers (6H, 4H; 2H, 3H), as published for rings; else linear.
        variational: False: no noise and no KL term; the encoder has H outputs, which drive the sheet (chosen here).
        options: of `DrivenSheet`: steps_per_input, norm, dt, gamma, epsilon, learned.

    Note: half of z drives nothing, yet is in the KL term: so it is published. On small images the variational model may
    learn nothing (its KL term vanishes); lower `kl_weight` in `loss`, or take variational=False.
    Source: Keller and Welling 2023.
    """

    def __init__(
        self,
        pixels: int,
        lattice: Sequence[int],
        *,
        size: int | Sequence[int] = 3,
        sharing: Sharing = "shared",
        one_way: bool = False,
        untied: bool = False,
        dense: bool = False,
        deep: bool = False,
        variational: bool = True,
        **options: Any,
    ):
        super().__init__()
        self.pixels, self.nodes, self.variational = pixels, math.prod(lattice), variational
        maps = (_map(lattice, size, sharing, one_way, untied, dense) for _ in range(3))
        self.sheet = DrivenSheet(lattice, *maps, **options)
        outputs = 4 * self.nodes if variational else self.nodes
        self.encoder, self.decoder = (_deep if deep else _linear)(pixels, self.nodes, outputs)

    def forward(
        self, frames: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> ImageRun:
        """What follows each frame.

        Args:
            frames: (T, B, ...), P numbers in [0, 1] each.
            noise: normal numbers (T + 1, B, 2H), the first for the start; None: drawn from the generator.
        """
        frames = self._flat(frames)
        mean, log_variance = self.encode(frames)
        if log_variance is not None:
            shape = (len(frames) + 1, *mean.shape[1:])
            if noise is not None and noise.shape != shape:
                raise ValueError(
                    f"`noise` must have shape {shape}, but has {tuple(noise.shape)}; the first is for the start."
                )
            noise = (
                torch.randn(shape, generator=generator, dtype=mean.dtype, device=mean.device)
                if noise is None
                else noise
            )
            latent = mean + torch.exp(log_variance / 2) * noise[1:]
            first = mean[0] + torch.exp(log_variance[0] / 2) * noise[0]
        else:
            latent, first = mean, mean[0]
        start = Orbit(self.drive(first), torch.zeros_like(first[..., : self.nodes]))
        drive = self.drive(latent)
        orbit = self.sheet.run(drive, start)
        return ImageRun(self.decode(orbit.y), orbit, start, drive, (mean, log_variance), latent)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance of the latent variables, as in `ImageRun`, of flat frames (..., P)."""
        if not self.variational:
            return self.encoder(frames), None
        mean, log_variance = self.encoder(frames).chunk(2, dim=-1)
        return mean, log_variance

    def drive(self, latent: Tensor) -> Tensor:
        """The first H latent variables, (..., H), with mean 0 and variance 1 over the sheet."""
        return functional.layer_norm(latent[..., : self.nodes], (self.nodes,))

    def decode(self, y: Tensor) -> Tensor:
        """Probabilities of the pixels, (..., P), of positions (..., H)."""
        return torch.sigmoid(self.decoder(y))

    @torch.no_grad()
    def forecast(self, frames: Tensor, steps: int) -> Tensor:
        """Closed loop: the frames that follow, (steps, B, P), each seen by the model as its next input; without noise."""
        if steps < 1:
            raise ValueError(
                f"`steps` must be at least 1, but is {steps}; the first frame follows those that are given."
            )
        mean, _ = self.encode(self._flat(frames))
        drives = self.drive(mean)
        state = self.sheet.run(drives, Orbit(drives[0], torch.zeros_like(drives[0]))).at(-1)
        found = [self.decode(state.y)]
        for _ in range(steps - 1):
            state = self.sheet.run(self.drive(self.encode(found[-1])[0])[None], state).at(-1)
            found.append(self.decode(state.y))
        return torch.stack(found)

    def _flat(self, frames: Tensor) -> Tensor:
        check_sequence("frames", frames)
        flat = frames.flatten(2)
        if flat.shape[-1] != self.pixels or not flat.is_floating_point():
            raise ValueError(
                f"`frames` must have {self.pixels} pixels, numbers in [0, 1], but are {frames.dtype} of {tuple(frames.shape)}; "
                "(T, B, ...) is meant; divide bytes by 255."
            )
        return flat


class Loss(NamedTuple):
    """Terms of a run, for each frame: -log p(x_(t+1)), (T, B, P); KL of the latent variables, (T, B, 2H) or 0."""

    misfit: Tensor
    kl: Tensor

    def total(self, kl_weight: float = 1.0) -> Tensor:
        """Mean over frames and members of the sum of both."""
        return (self.misfit.sum(-1) + kl_weight * self.kl.sum(-1)).mean()


def loss(run: ImageRun, frames: Tensor) -> Loss:
    """How badly a run predicts each next frame (after the last comes the first), and KL(N(μ, σ²), N(0, 1))."""
    missed = misfit(run.probs, frames.roll(-1, 0))
    mean, log_variance = run.encoded
    if log_variance is None:
        return Loss(missed, missed.new_zeros(1))
    return Loss(missed, (mean**2 + log_variance.exp() - 1 - log_variance) / 2)


def misfit(probs: Tensor, frames: Tensor) -> Tensor:
    """-log p of every pixel of frames (T, B, ...), with probabilities (T, B, P): (T, B, P)."""
    return functional.binary_cross_entropy(probs.clamp(0, 1), frames.flatten(2), reduction="none")


def log_weights(run: ImageRun, frames: Tensor) -> Tensor:
    """Log importance weight of each frame, log p(x_(t+1) | z) + log p(z) - log q(z | x_t), (T, B).

    A sequence has the sum over its frames; its likelihood is estimated from S runs by logsumexp over them of the sums, minus
    log S. (The published code combines runs frame by frame, and leaves out log S.)
    """
    mean, log_variance = run.encoded
    if log_variance is None:
        raise ValueError(
            "`run` must be of a variational model, but has no variance; a deterministic one has no weights."
        )
    prior = -(run.latent**2) / 2
    posterior = -((run.latent - mean) ** 2) / (2 * log_variance.exp()) - log_variance / 2
    return (prior - posterior).sum(-1) - loss(run, frames).misfit.sum(-1)


def _map(lattice: Sequence[int], size: Any, sharing: Sharing, one_way: bool, untied: bool, dense: bool) -> Connectivity:
    """One of the maps; every local weight begins as 1/(sites of a capsule), so that there is hardly any coupling."""
    if dense:
        return AllToAll(math.prod(lattice))
    if one_way:
        return OneWay(lattice, sharing)
    act: Local = (Untied if untied else Local)(lattice, size, sharing)
    nn.init.constant_(act.weight, 1 / math.prod(lattice[1:]))
    return act


def _deep(pixels: int, H: int, outputs: int) -> tuple[nn.Sequential, nn.Sequential]:
    encoder = nn.Sequential(
        nn.Linear(pixels, 6 * H), nn.ReLU(), nn.Linear(6 * H, 4 * H), nn.ReLU(), nn.Linear(4 * H, outputs)
    )
    decoder = nn.Sequential(
        nn.Linear(H, 2 * H), nn.ReLU(), nn.Linear(2 * H, 3 * H), nn.ReLU(), nn.Linear(3 * H, pixels)
    )
    return encoder, decoder


def _linear(pixels: int, H: int, outputs: int) -> tuple[nn.Sequential, nn.Sequential]:
    return nn.Sequential(nn.Linear(pixels, outputs)), nn.Sequential(nn.Linear(H, pixels))
