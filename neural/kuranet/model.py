"""KuraNet: a learned coupling function, and the oscillators it couples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from neural.kuranet.couplings import Kind, normalize_couplings
from neural.kuranet.network import CouplingNetwork
from neural.kuranet.nodes import Nodes
from oscillators import Coupling, Delayed, Dense, Kuramoto, Recorded, checks, integrate


class KuraNet(nn.Module):
    """Couplings K of a network from the features of its nodes: K = normalised f(x_i, x_j), K[i, j] from j to i.

    Args:
        network: the coupling function f.
        kind, degree, symmetric: see `normalize_couplings`.
        per_node: whether the couplings act divided by the number of nodes, as the published XY model has it (with "l2").
        rows: what the first argument of f is. The published full model without `symmetric` has "senders", the published
            XY model "receivers".
        center, spread: f sees the features as (x - center)/spread; numbers or shape (m,).
    """

    center: Tensor
    spread: Tensor

    def __init__(
        self,
        network: CouplingNetwork,
        kind: Kind = "softmax",
        degree: float = 1.0,
        symmetric: bool = True,
        *,
        per_node: bool = False,
        rows: Literal["receivers", "senders"] = "receivers",
        center: Tensor | float = 0.0,
        spread: Tensor | float = 1.0,
    ):
        super().__init__()
        checks.one_of("rows", rows, ("receivers", "senders"))
        self.network = network
        self.kind, self.degree, self.symmetric, self.per_node, self.rows = kind, degree, symmetric, per_node, rows
        self.register_buffer("center", torch.as_tensor(center))
        self.register_buffer("spread", torch.as_tensor(spread))

    def logits(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Logits of the pairs [x_r, y_c], (..., rows, columns); y = x unless given."""
        seen = [(part - self.center) / self.spread for part in (x, y) if part is not None]
        Z = self.network(*seen)
        if not bool(Z.isfinite().all()):
            raise FloatingPointError(
                f"`network` must return finite logits, but {int((~Z.isfinite()).sum())} of {Z.numel()} are not; its weights "
                "have diverged: train with a lower learning rate."
            )
        return Z

    def couplings(self, x: Tensor) -> Tensor:
        """K of networks with features x: (..., node, m) -> (..., node, node), before any division by n."""
        if x.shape[-2] < 2:
            raise ValueError(f"`x` must hold at least two nodes, but holds {x.shape[-2]}; one alone has no couplings.")
        return self._normalised(self.logits(x))

    def from_logits(self, Z: Tensor) -> Tensor:
        """K as it acts in the run, from the logits of all pairs: (..., node, node)."""
        return self._acting(self._normalised(Z))

    def _normalised(self, Z: Tensor) -> Tensor:
        K = normalize_couplings(Z, self.kind, self.degree, self.symmetric)
        return K.mT if self.rows == "senders" else K

    def _acting(self, K: Tensor) -> Tensor:
        return K / K.shape[-1] if self.per_node else K

    def forward(self, x: Tensor) -> Tensor:
        """K as it acts in the run, (..., node, node)."""
        return self._acting(self.couplings(x))


@dataclass(frozen=True)
class Horizon:
    """How long a network runs and what of it counts. N saved states are N - 1 Euler steps.

    Args:
        dt: step, in units of time.
        burn_in: states before the window; 0: the window starts at once.
        window: states over which the loss is averaged, the first of them the last of the burn-in.
        truncated: whether only the window's own steps have a gradient, as in the published code; else all have.
    """

    dt: float = 0.1
    burn_in: int = 100
    window: int = 50
    truncated: bool = True

    def __post_init__(self):
        checks.positive("dt", self.dt, "the published runs have 0.1 and, for clusters, 15")
        if self.window < 2 or self.burn_in < 0:
            raise ValueError(
                f"`window` must be at least 2 states and `burn_in` at least 0, but they are {self.window} and {self.burn_in}; "
                "N states are N - 1 steps."
            )


class Run(NamedTuple):
    """Phases of a run, (time, node), in three parts; each begins with the last row of the part before it.

    The published code stores the parts one after another, with these repeated rows.
    """

    past: Tensor  # longest delay + 1 rows, during which delays are off (a single row without delays)
    burn_in: Tensor
    window: Tensor


def run(K: Tensor, nodes: Nodes, theta: Tensor, horizon: Horizon) -> Run:
    """Let a network run from the phases theta: dθ_i/dt = ω_i + b_i sin θ_i + Σ_j K_ij sin(θ_j(t - τ_j) - θ_i).

    The delays are switched off during as many steps as the longest of them has, then on: for the burn-in and the window.

    Args:
        K: (node, node), row = receiver; it is used in the precision of theta.
        theta: initial phases, (node,).
    """
    longest = int(nodes.tau.max())
    steps = max(horizon.burn_in, 1) + horizon.window - 2
    if longest > steps:
        raise ValueError(
            f"`tau` must be within the run of {steps} steps, but its largest entry is {longest}; run longer (`burn_in`, "
            "`window`), or shorten the delays."
        )
    K = K.to(theta.dtype)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not horizon.truncated):
        past = _walk(K, nodes, theta[None], longest + 1, horizon.dt, delays=False)
        burn_in = _walk(K, nodes, past, max(horizon.burn_in, 1), horizon.dt)
    window = _walk(K, nodes, torch.cat([past, burn_in[1:]]), horizon.window, horizon.dt)
    return Run(past, burn_in, window)


def _walk(K: Tensor, nodes: Nodes, past: Tensor, states: int, dt: float, delays: bool = True) -> Tensor:
    """So many states from the last row of `past`, which comes first: (time, node)."""
    if states == 1:
        return past[-1:]
    theta = past[-1]
    b, omega = nodes.b.to(theta), nodes.omega.to(theta)
    drive = torch.stack([-b, torch.zeros_like(b)], dim=-1)  # u(θ) × (-b, 0) = b sin θ
    coupling: Coupling = Dense(K)
    history = None
    if delays and bool(nodes.tau.any()):
        coupling, history = Delayed(coupling, nodes.tau.to(theta) * dt), before(past, dt)
    t = dt * np.arange(states)
    return integrate(Kuramoto(omega), coupling, theta, t, method="euler", dt=dt, drive=drive, history=history)


def before(past: Tensor, dt: float) -> Recorded:
    """Rows as states at the times ..., -2 dt, -dt, 0."""
    return Recorded(dt * np.arange(1 - len(past), 1), past)
