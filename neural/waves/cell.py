"""The oscillator cell: T steps of coupled, driven, damped oscillators over any connectivity."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from neural.waves import fused, stability
from neural.waves.connectivity import Connectivity, Links
from neural.waves.constants import DAMPING, Damping, Step, one_step
from oscillators import checks

Checkpoint = Literal["repeat", "undo"]


class Orbit(NamedTuple):
    """Positions y and velocities z: after every step, (T, B, N), or of one moment, (B, N)."""

    y: Tensor
    z: Tensor

    def at(self, t: int) -> Orbit:
        """The moment after step t; -1: the last."""
        return Orbit(self.y[t], self.z[t])


class OscillatorCell(nn.Module):
    """T steps of oscillators that feel each other's positions and velocities and a drive g through a squashed field.

        s = tanh(W y + 𝒲 z + b + g_t)
        z <- z + Δt (s - γ y - ε z),    y <- y + Δt z

    It is the core's `TopographicOscillators` in steps of Δt; `neural.waves.continuous` is the same network in
    continuous time.

    Args:
        constants: a module that returns (Δt, γ, ε), each one number or (N,): `Constants`.
        position, velocity: W and 𝒲; None: no such action.
        damping: where the velocity of -ε z is taken: "explicit" (as published), "semi_implicit" (at the end of the step),
            "exact" (the linear part moves exactly).
        linear: leave out tanh; see `neural.waves.linear` for what is then possible.
        norm: a module for the position after each step, (B, N) -> (B, N); an `nn.LayerNorm` over all nodes is compiled, too.

    Warns:
        RuntimeWarning: if an uncoupled oscillator would grow; the message names the constant.

    Source: Rusch and Mishra 2021 (coRNN); Keller and Welling 2023 (Neural Wave Machines).
    """

    def __init__(
        self,
        constants: nn.Module,
        position: Connectivity | None = None,
        velocity: Connectivity | None = None,
        *,
        damping: Damping = "explicit",
        linear: bool = False,
        norm: nn.Module | None = None,
    ):
        super().__init__()
        checks.one_of("damping", damping, DAMPING)
        if position is not None and velocity is not None and position.nodes != velocity.nodes:
            raise ValueError(
                f"`position` and `velocity` must have the same nodes, but have {position.nodes} and {velocity.nodes}; "
                "make both for one sheet."
            )
        self.constants, self.position, self.velocity, self.norm = constants, position, velocity, norm
        self.damping, self.linear = damping, linear
        dt, gamma, epsilon = constants()
        stability.warn_if_unstable(dt, gamma, epsilon, damping)

    def run(self, drive: Tensor, start: Orbit | None = None) -> Orbit:
        """The orbit of a drive.

        Args:
            drive: g_1, ..., g_T, (T, B, N).
            start: y_0 and z_0, (B, N) each. Here: 0.

        Returns:
            y and z after every step, (T, B, N) each.
        """
        drive, start = self._checked(drive, start)
        step, drive = self.step(), self.offset(drive)
        if fused.usable(self, drive, start):
            return Orbit(*fused.orbit(self, drive, start, step)[:2])
        return portable(self, step, drive, start)

    def last(self, drive: Tensor, start: Orbit | None = None, *, checkpoint: Checkpoint | None = None) -> Orbit:
        """The last moment of `run`, (B, N).

        Args:
            checkpoint: of all T moments keep for the backward pass only 2√T, and "repeat" the steps between them; or even
                fewer, and "undo" them, which is exact without damping, and iterates if velocities act (with a norm they
                are repeated); see `neural.waves.fused`. Where its compiled loops do not run, as on a GPU, all are kept.
                Without gradients (`torch.no_grad`) hardly any are.
        """
        if checkpoint is not None:
            checks.one_of("checkpoint", checkpoint, ("repeat", "undo"))
        drive, start = self._checked(drive, start)
        step, drive = self.step(), self.offset(drive)
        if fused.usable(self, drive, start):
            if checkpoint is None and torch.is_grad_enabled():
                return Orbit(*fused.orbit(self, drive, start, step)[2:])
            return Orbit(*fused.last(self, drive, start, step, undo=checkpoint == "undo"))
        return portable(self, step, drive, start).at(-1)

    @torch.no_grad()
    def undo(self, drive: Tensor, end: Orbit) -> Orbit:
        """The start from which a drive (T, B, N) led to `end`: the steps taken back, each by iteration.

        Only for short sequences, unless there is no damping: every step multiplies rounding by 1/|λ| of the faster mode.

        Raises:
            ValueError: if a step cannot be undone: the iteration does not contract (`neural.waves.stability.contraction`),
            or the cell has a `norm`.
        """
        drive, end = self._checked(drive, end)
        q = stability.contraction(self)
        if self.norm is not None or q >= 1:
            raise ValueError(
                f"`velocity` must be weak enough for steps to be undone (q < 1) and `norm` None, but q = {q:.3g} and norm is "
                f"{self.norm}; keep the orbit of `run` instead."
            )
        step, (y, z) = Step(*(part.to(drive.dtype) for part in self.step())), end
        for g in self.offset(drive).flip(0):
            y, z = undone(self, step, g, y, z)
        return Orbit(y, z)

    @property
    def maps(self) -> tuple[Connectivity | None, Connectivity | None]:
        return self.position, self.velocity

    @property
    def activation(self) -> str:
        return "identity" if self.linear else "tanh"

    @cached_property
    def links(self) -> Links:
        """Who acts on whom by position and, as senders N, ..., 2N - 1, by velocity."""
        if self.position is None or self.velocity is None:
            act = self.velocity if self.position is None else self.position
            none = Links.none(act.nodes)  # type: ignore[union-attr]
            return none.beside(act.links, act.nodes, 0) if self.position is None else act.links  # type: ignore[union-attr]
        return self.position.links.beside(self.velocity.links, self.position.nodes, len(self.position.weights()))

    @cached_property
    def links_back(self) -> Links:
        return self.links.back(2 * (len(self.links.start) - 1))

    def step(self) -> Step:
        """The linear part of one step."""
        dt, gamma, epsilon = self.constants()
        return one_step(dt, gamma, epsilon, self.damping)

    def field(self, y: Tensor, z: Tensor) -> Tensor | float:
        """W y + 𝒲 z."""
        acting = [act(x) for act, x in ((self.position, y), (self.velocity, z)) if act is not None]
        return sum(acting) if acting else 0.0

    def squash(self, a: Tensor) -> Tensor:
        """tanh, or nothing if `linear`."""
        return a if self.linear else torch.tanh(a)

    def offset(self, drive: Tensor) -> Tensor:
        """The drive with the biases of the maps."""
        given = [act.offset() for act in (self.position, self.velocity) if act is not None]
        biases = [bias for bias in given if bias is not None]
        return drive + torch.stack(biases).sum(0) if biases else drive

    def _checked(self, drive: Tensor, start: Orbit | None) -> tuple[Tensor, Orbit]:
        check_sequence("drive", drive)
        nodes = next((act.nodes for act in (self.position, self.velocity) if act is not None), drive.shape[-1])
        if drive.ndim != 3 or drive.shape[-1] != nodes:
            raise ValueError(
                f"`drive` must have shape (T, B, {nodes}), but is {tuple(drive.shape)}; one value per node."
            )
        if start is None:
            zero = torch.zeros_like(drive[0])
            return drive, Orbit(zero, zero)
        if any(part.shape != drive[0].shape for part in start):
            shapes = [tuple(part.shape) for part in start]
            raise ValueError(
                f"`start` must be y and z of shape {tuple(drive[0].shape)}, but they are {shapes}; reshape them."
            )
        return drive, Orbit(*start)


def undone(cell: OscillatorCell, step: Step, g: Tensor, y: Tensor, z: Tensor, most: int = 60) -> Orbit:
    """The moment before (y, z) = M (y₀, z₀) + F s: y₀ and z₀ <- M⁻¹((y, z) - F s(y₀, z₀)), until rounding is reached."""
    det, y0, z0, last = step.yy * step.zz - step.yz * step.zy, y, z, float("inf")
    for _ in range(most):
        s = cell.squash(g + cell.field(y0, z0))
        p, q = y - step.ys * s, z - step.zs * s
        new = (step.zz * p - step.yz * q) / det, (step.yy * q - step.zy * p) / det
        change = float(max((new[0] - y0).abs().max(), (new[1] - z0).abs().max()))
        y0, z0 = new
        if not change < last:
            break
        last = change
    return Orbit(y0, z0)


def portable(cell: OscillatorCell, step: Step, drive: Tensor, start: Orbit) -> Orbit:
    """The orbit by torch's own operations: any device and precision, gradients by autograd."""
    step = Step(*(part.to(drive.dtype) for part in step))
    y, z = start
    orbit = []
    for g in drive:
        s = cell.squash(g + cell.field(y, z))
        y, z = step.yy * y + step.yz * z + step.ys * s, step.zy * y + step.zz * z + step.zs * s
        y = y if cell.norm is None else cell.norm(y)
        orbit.append((y, z))
    return Orbit(*(torch.stack(parts) for parts in zip(*orbit, strict=True)))


def check_sequence(name: str, value: Tensor) -> None:
    """Raise unless it is a sequence (T, ...) of finite numbers with at least one step."""
    if value.ndim < 2 or len(value) == 0:
        raise ValueError(
            f"`{name}` must have shape (T, B, ...) with at least one step, but is {tuple(value.shape)}; the time comes first."
        )
    if not torch.compiler.is_compiling() and not torch.isfinite(value.detach().sum()):
        checks.real_array(name, value)  # says what is not finite; a sum may overflow without
