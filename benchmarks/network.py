"""The Kuramoto networks that several topics solve, their reference solution, and our two ways to solve them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx
import numpy as np
import scipy.sparse
from scipy.integrate import solve_ivp

from oscillators import Kuramoto, as_coupling, simulate
from oscillators.engine import Run
from oscillators.methods import ADAPTIVE
from oscillators.problem import prepare

METHOD = "dopri5"
TOLERANCES = 10.0 ** np.arange(-3.0, -12.5, -0.25)  # loose to tight


@dataclass(frozen=True)
class Network:
    """dθ_i/dt = ω_i + Σ_j K_ij sin(θ_j - θ_i) from θ0 at time 0, wanted at times of which T is the last."""

    omega: np.ndarray
    K: Any  # dense array, or scipy.sparse in CSR
    theta0: np.ndarray
    t: np.ndarray

    @property
    def T(self) -> float:
        return float(self.t[-1])

    def law(self, t: float, theta: np.ndarray) -> np.ndarray:
        """The factored NumPy law: two products with K."""
        s, c = np.sin(theta), np.cos(theta)
        return self.omega + c * (self.K @ s) - s * (self.K @ c)

    def links(self) -> list[list[tuple[int, float]]]:
        """Senders and weights of every receiver."""
        rows = scipy.sparse.csr_array(self.K)
        ends = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
        return [list(zip(rows.indices[a:b].tolist(), rows.data[a:b].tolist(), strict=True)) for a, b in ends]

    def reference(self) -> np.ndarray:
        """Phases at T to about 1e-11: DOP853 at tolerance 1e-12."""
        return solve_ivp(self.law, (0, self.T), self.theta0, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


def dense_network(N: int, T: float = 10.0, seed: int = 0) -> Network:
    """Half of all pairs coupled by 2/N, frequencies of a standard normal distribution."""
    rng = np.random.default_rng(seed)
    A = np.triu(rng.random((N, N)) < 0.5, 1).astype(float)
    return Network(rng.normal(size=N), 2.0 * (A + A.T) / N, rng.uniform(-np.pi, np.pi, N), np.array([0.0, T]))


def sparse_network(N: int, strength: float, t: np.ndarray, seed: int = 0) -> Network:
    """Watts-Strogatz graph of degree 4 (a fifth of the links rewired), strength/4 per link, ω sorted in [-1/2, 1/2]."""
    rng = np.random.default_rng(seed)
    graph = networkx.watts_strogatz_graph(N, 4, 0.2, seed=seed)
    K = strength / 4 * networkx.to_scipy_sparse_array(graph, dtype=float, format="csr")
    return Network(np.sort(rng.uniform(-0.5, 0.5, N)), K, rng.uniform(0.0, 2.0 * np.pi, N), t)


def by_simulate(network: Network, tolerance: float) -> Callable[[], np.ndarray]:
    """The whole public call: checks, layout, integration, labels."""
    system = Kuramoto(network.omega)

    def solve():
        found = simulate(system, network.K, network.theta0, network.t, method=METHOD, rtol=tolerance, atol=tolerance)
        return found.theta.values[-1]

    return solve


def by_engine(network: Network, tolerance: float) -> Callable[[], np.ndarray]:
    """The integration alone, of a network laid out before."""
    problem = prepare(Kuramoto(network.omega), as_coupling(network.K), network.theta0, None, None, None)
    last = Last()

    def solve():
        Run(problem, network.t, last, ADAPTIVE[METHOD], rtol=tolerance, atol=tolerance).go()
        return last.state[0, 0]

    return solve


class Last:
    """A sink that keeps the newest state only."""

    state: np.ndarray

    def __call__(self, members: slice, first: int, states: np.ndarray) -> None:
        if len(states):
            self.state = states[-1]
