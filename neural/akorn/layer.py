"""The Kuramoto layer: oscillators on spheres that act on each other and follow a stimulus, for T steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from neural.akorn.channels import at_least_one, oscillator_count
from neural.akorn.connectivity import Connectivity
from neural.akorn.steps import SPHERE, Step, euler, exponential, unit, untangent
from neural.akorn.stimulus import StimulusNorm, stimulus_norm
from oscillators import checks, integrate

Field = Callable[[Tensor], Tensor]  # J[x] of oscillators (B, *grid, oscillator, n)

_recomputed = partial(recompute, use_reentrant=False)


class Run(NamedTuple):
    """What a layer did.

    Args:
        x: the last state, (B, *grid, ch).
        states: x_0, ..., x_T of unit vectors, (T + 1, B, *grid, oscillator, n), or None.
        energies: E of the same states, (T + 1, B), or None.
    """

    x: Tensor
    states: Tensor | None
    energies: Tensor | None


class KuramotoLayer(nn.Module):
    """T Euler steps of oscillators x_i on the sphere, driven by a stimulus c (the core's `SphereKuramoto`).

        y = J[x] + c,    x <- Π(x + γ (Ω_i x_i + y_i - ⟨y_i, x_i⟩ x_i)),    E = -Σ_i ⟨x_i, y_i⟩

    Maps have their channels last: (B, *grid, ch), where oscillator i has the channels n i, ..., n i + n - 1.

    Args:
        connectivity: J with its own bias: `Convolution`, `Attention`, or any map of (B, *grid, ch) onto itself.
        ch, n: channels, and components of an oscillator; n divides ch.
        omega: natural frequencies Ω, `PairFrequency` or `Antisymmetric`; None: none.
        omega_off: what the published code puts in the place of a missing Ω x is x itself ("identity"), by which the step γ
            acts as γ/(1 + γ), for γ > -1; "zero" is none.
        c_norm: how c is scaled before it acts: "gn", "sandb", or None.
        tangent: whether y is projected; the state is normalised in any case.
        step: "euler", or "exponential": along the great circle, x cos γ|d| + d/|d| sin γ|d|.

    Note: E is published without ½, with the bias of J, and may rise; `analysis.lyapunov_function` may not.
    Source: Miyato et al. 2025, AKOrN.
    """

    def __init__(
        self,
        connectivity: nn.Module,
        ch: int,
        n: int,
        *,
        omega: nn.Module | None = None,
        omega_off: Literal["zero", "identity"] = "zero",
        c_norm: StimulusNorm | None = None,
        tangent: bool = True,
        step: Literal["euler", "exponential"] = "euler",
    ):
        super().__init__()
        self.ch, self.n, self.oscillators = ch, n, oscillator_count(ch, n)
        checks.one_of("omega_off", omega_off, ("zero", "identity"))
        checks.one_of("step", step, ("euler", "exponential"))
        if step == "exponential" and not (tangent and omega_off == "zero"):
            raise ValueError(
                "`step` must be 'euler' without `tangent` or with omega_off='identity', but is 'exponential'; a great circle "
                "follows a tangent."
            )
        self.connectivity = connectivity
        self.omg: Any = omega
        self.c_norm = stimulus_norm(c_norm, ch, n)
        self.slowed = omega is None and omega_off == "identity"
        self.tangent = tangent
        self.step: Step = exponential if step == "exponential" else euler if tangent else untangent

    def forward(self, x: Tensor, c: Tensor, T: int, gamma: Tensor | float = 1.0, *, checkpoint: bool = False) -> Tensor:
        """The state after T steps; see `run`."""
        return self.run(x, c, T, gamma, checkpoint=checkpoint).x

    def run(
        self,
        x: Tensor,
        c: Tensor,
        T: int,
        gamma: Tensor | float = 1.0,
        *,
        states: bool = False,
        energies: bool = False,
        checkpoint: bool = False,
    ) -> Run:
        """T steps from x in the stimulus c.

        Args:
            x: (B, *grid, ch); it is normalised first. An oscillator at zero goes to its field, or stays if there is none.
            c: of the same shape.
            T: number of steps.
            gamma: step, one number, in units of time.
            states, energies: whether all of them are wanted. The last energy costs one more field.
            checkpoint: keep only about √T states for the backward pass, and compute the steps between them twice.
        """
        self._check(x, c, T)
        if math.prod(getattr(gamma, "shape", ())) != 1:
            raise ValueError(f"`gamma` must be one number, but has shape {tuple(gamma.shape)}; all members step alike.")  # type: ignore[union-attr]
        field, c = self._field(c)
        omega = None if self.omg is None else self.omg.prepare(self.oscillators)
        gamma = gamma / (1 + gamma) if self.slowed else gamma
        x = unit(x.unflatten(-1, (-1, self.n)))
        rows: list[Tensor] = [x]
        E: list[Tensor] = []

        def steps(x: Tensor, count: int) -> tuple[Tensor, list[Tensor], list[Tensor]]:
            new, found = [], []
            for _ in range(count):
                y = field(x)
                if energies:
                    found.append(energy(x, y, c))
                x = self.step(x, y, c, omega, gamma)
                if states:
                    new.append(x)
            return x, new, found

        length = math.isqrt(T - 1) + 1 if checkpoint else T
        for done in range(0, T, length):
            count = min(length, T - done)
            x, new, found = _recomputed(steps, x, count) if checkpoint else steps(x, count)
            rows += new
            E += found
        if energies:
            E.append(energy(x, field(x), c))
        return Run(x.flatten(-2), torch.stack(rows) if states else None, torch.stack(E) if energies else None)

    def _field(self, c: Tensor) -> tuple[Field, Tensor]:
        """J without its bias, and the stimulus with it, (B, *grid, oscillator, n)."""
        act: Any = self.connectivity
        c = self._stimulus(c)
        if isinstance(act, Connectivity):
            act, bias = act.prepare(tuple(c.shape[1:-2]), len(c))
            c = c + bias.view(c.shape[-2:])
        return lambda x: act(x.flatten(-2)).view_as(x), c

    def _stimulus(self, c: Tensor) -> Tensor:
        """c as it acts, (B, *grid, oscillator, n)."""
        return (c if self.c_norm is None else self.c_norm(c)).unflatten(-1, (-1, self.n))

    def solve(self, x: Tensor, c: Tensor, t: Any, **options: Any) -> Tensor:
        """The same network in continuous time, by the core's `integrate`: any method, tolerance and gradient it has.

        A learned step γ is t = γ · torch.arange(T + 1) with method="euler", whose derivative is exact at O(√T) memory.

        Args:
            x, c: as in `run`.
            t: increasing times to save.
            options: of `oscillators.integrate`, for example method="dopri5", rtol=1e-6.

        Returns:
            States (time, B, *grid, oscillator, n).
        """
        if not self.tangent:
            raise ValueError("`tangent` must be True for a flow on the sphere, but is False; call `run`.")
        self._check(x, c, 1)
        x = unit(x.unflatten(-1, (-1, self.n)))
        drive = self._stimulus(c).reshape(len(c), -1, self.n)
        coupling = NodeField(self, tuple(c.shape[1:-1]))
        states = integrate(SPHERE, coupling, x.reshape(drive.shape), t, drive=drive, **options)
        return states.view(len(states), *x.shape)

    def _check(self, x: Tensor, c: Tensor, T: int) -> None:
        if x.ndim < 3 or x.shape[-1] != self.ch:
            raise ValueError(
                f"`x` must have shape (B, *grid, {self.ch}), but is {tuple(x.shape)}; put the channels last."
            )
        if c.shape != x.shape:
            raise ValueError(
                f"`c` must have the shape of `x`, {tuple(x.shape)}, but is {tuple(c.shape)}; use one grid."
            )
        if not x.is_floating_point():
            raise TypeError(f"`x` must be floating point, but has dtype {x.dtype}; write x.float().")
        at_least_one("T", T, "the start itself is x / |x|")


class NodeField(nn.Module):
    """J[x] + Ω x of a layer as a coupling of the core: one node per oscillator, (..., node, n) -> (..., node, n)."""

    def __init__(self, layer: KuramotoLayer, grid: Sequence[int]):
        super().__init__()
        self.connectivity, self.omg, self.grid = layer.connectivity, layer.omg, grid

    def forward(self, g: Tensor) -> Tensor:
        lead, nodes, n = math.prod(g.shape[:-2]), *g.shape[-2:]
        x = g.reshape(lead, *self.grid, nodes // math.prod(self.grid), n)
        h = self.connectivity(x.flatten(-2)).view_as(x)
        return (h if self.omg is None else h + self.omg(x)).reshape(g.shape)


def energy(x: Tensor, y: Tensor, c: Tensor) -> Tensor:
    """E = -Σ_i ⟨x_i, y_i + c_i⟩ of each member, (B, ...) -> (B,)."""
    return -(x * (y + c)).flatten(1).sum(-1)
