"""Couplings that act after a delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from oscillators import checks
from oscillators.arrays import Array
from oscillators.coupling import Coupling, Dense, Diffusive, as_coupling
from oscillators.edges import Edges


@dataclass(frozen=True)
class Delayed(Coupling):
    """A coupling whose senders are seen as they were: h_i(t) = Σ_j K_ij g_j(t - τ_ij).

    Args:
        coupling: anything `as_coupling` takes.
        tau: delay in units of time, never rounded to steps: one number, (node,) per sender, or per link: (node, node)
            with row = receiver for `Dense` and `Edges`, or one entry per link of `Edges` (the meaning of a list whose
            length is both the number of links and of nodes). Links with τ = 0 act at once.

    A run needs a `history` of the state up to the longest delay.
    """

    coupling: Any
    tau: Array

    def __post_init__(self):
        coupling = as_coupling(self.coupling)
        if isinstance(coupling, Delayed):
            raise ValueError("`coupling` must not be Delayed already, but is; add its `tau` to yours, or drop yours.")
        if isinstance(coupling, Diffusive):
            raise ValueError("`coupling` must not be Diffusive, but is; write Diffusive(Delayed(K, tau)).")
        tau = checks.real_array("tau", self.tau)
        checks.not_negative("tau", tau, "a delay looks back, drop the sign")
        object.__setattr__(self, "coupling", coupling)
        object.__setattr__(self, "tau", tau)
        if self.per_link:
            nodes = self.coupling.nodes if isinstance(self.coupling, Edges) else self.coupling.K.shape[-1]
            links = self.coupling.source.shape if tau.ndim == 1 else (nodes, nodes)
            if tuple(tau.shape) != links:
                raise ValueError(
                    f"`tau` must have shape {links} (one per link), but has {tuple(tau.shape)}; one number is a delay for all."
                )

    @property
    def per_link(self) -> bool:
        """Whether each link has a delay of its own (else each sender has one)."""
        if isinstance(self.coupling, Edges) and self.tau.ndim == 1:
            return self.tau.shape == self.coupling.source.shape or self.tau.shape != (self.coupling.nodes,)
        return isinstance(self.coupling, Dense | Edges) and self.tau.ndim == 2

    @property
    def node_dims(self):
        return self.coupling.node_dims

    def field(self, g):
        raise TypeError(
            "`coupling` must act at once, but is Delayed: it has no field of one moment; run it with simulate, which keeps "
            "its history."
        )

    def check_nodes(self, nodes):
        self.coupling.check_nodes(nodes)
        if not self.per_link and not isinstance(self.coupling, Dense | Edges) and np.ndim(self.tau) > len(nodes):
            raise ValueError(
                f"`tau` must be one number or one per sender for {type(self.coupling).__name__}, which has no links to delay "
                f"one by one, but has shape {tuple(self.tau.shape)}; couple by Dense or Edges."
            )
        if not self.per_link:
            checks.broadcastable("tau", self.tau, nodes, "one number, one per sender, or one per link")

    def coords(self):
        return self.coupling.coords()

    def links(self) -> tuple[Edges, np.ndarray]:
        """The links one by one, with the delay of each."""
        edges, tau = self.coupling, np.asarray(self.tau)
        if isinstance(edges, Dense):
            K = np.asarray(edges.K)
            target, source = np.nonzero((K != 0).reshape(-1, *K.shape[-2:]).any(axis=0))
            edges = Edges(source, target, K[..., target, source], K.shape[-1])
        return edges, tau if tau.ndim == 1 else tau[edges.target, edges.source]
