"""The scheme behind the published numbers of large networks: at each step a few nodes are a network of their own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from neural.kuranet.model import KuraNet
from neural.kuranet.nodes import Nodes
from neural.kuranet.rows import checked_features
from oscillators import Dense, Kuramoto, checks


@torch.no_grad()
def subpopulations(
    model: KuraNet,
    nodes: Nodes,
    theta: Tensor,
    generator: torch.Generator,
    *,
    steps: int,
    size: int = 500,
    dt: float = 0.1,
    Z: Tensor | None = None,
) -> Iterator[Tensor]:
    """Phases (node,) after each of so many Euler steps, in which only `size` nodes B move, drawn anew for each step.

        θ_i += dt (ω_i + b_i sin θ_i + Σ_{j in B} K_ij sin(θ_j(t - τ_j) - θ_i))   for i in B;    the others stand still

    K is normalised within B, as if no other node were there. Delays count steps, of whoever; they are off during as many
    steps as the longest of them has, which come first and are not counted.

    Args:
        model: in evaluation mode.
        theta: initial phases, (node,).
        generator: draws B, on the processor.
        Z: logits of all pairs (`all_logits`), from which those of B are taken; None: they are computed at each step.

    Note: it is no approximation of the network of all nodes: a node moves in one of n/size steps, and with delays it meets
    pasts that the whole network would not have.
    """
    n, longest = len(checked_features(model, nodes.x)), int(nodes.tau.max())
    if not 2 <= size <= n:
        raise ValueError(f"`size` must be 2 to {n}, the number of nodes, but is {size}; the published runs have 500.")
    checks.positive("dt", dt, "the published runs have 0.1 and, for clusters, 15")
    past = theta.repeat(longest + 1, 1)  # row k % (longest + 1) is of step k
    for k in range(longest + steps):
        B = torch.randperm(n, generator=generator)[:size].to(theta.device)
        own, now = nodes[B], past[k % len(past)]
        seen = past[(k - own.tau) % len(past), B] if k >= longest else now[B]
        K = model.from_logits(model.logits(own.x) if Z is None else Z[B[:, None], B])
        after = now.clone()
        after[B] += dt * _velocity(own, K.to(theta), now[B], seen)
        past[(k + 1) % len(past)] = after
        if k >= longest:
            yield after


def _velocity(nodes: Nodes, K: Tensor, theta: Tensor, seen: Tensor) -> Tensor:
    """dθ/dt of nodes that see each other at the phases `seen`."""
    system = Kuramoto(nodes.omega.to(theta))
    b = nodes.b.to(theta)
    drive = torch.stack([-b, torch.zeros_like(b)], dim=-1)  # u(θ) × (-b, 0) = b sin θ
    return system.law(0.0, theta, Dense(K).field(system.lift(seen)) + drive)
