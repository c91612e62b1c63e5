"""How do I simulate a system of my own, and what does a compiled kernel buy?

You will see rotators that hesitate: each turns slowly past one angle, as a neuron before it fires. The system has a law
only, and runs at once; its twin has a kernel below the law, and runs at full speed. Both give the same numbers, and
`check_system` says whether law and kernel tell the same story. In step, the network turns with √(ω² − a²), as one node.

Source: Shinomoto and Kuramoto 1986 (active rotators).
"""

import time
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from analysis import effective_frequency, plot
from oscillators import PhaseSystem, as_coupling, check_system, simulate
from oscillators.arrays import Array, cross, namespace, unit_vector
from oscillators.kernels import law_kernel


@dataclass(frozen=True)
class ActiveRotators(PhaseSystem):
    """Phase oscillators that slow down at one angle: dθ_i/dt = ω_i − a_i sin θ_i + u(θ_i) × h_i."""

    omega: Array
    a: Array

    def law(self, t, theta, h):
        return self.omega - self.a * namespace(theta).sin(theta) + cross(unit_vector(theta), h)


@dataclass(frozen=True)
class FastRotators(ActiveRotators):
    """The same rotators; the kernel is the law once more, for rows of numbers."""

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):  # g: (cos θ, sin θ), the lifted state; p: the fields in their order
        for i in range(out.shape[1]):
            out[0, i] = p[0, i] - p[1, i] * g[1, i] + g[0, i] * h[1, i] - g[1, i] * h[0, i]


def main(out="out", graph=None, small=False):
    """Run both systems on one network, draw the phases, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    if graph is None:
        graph = nx.karate_club_graph()
        graph.name = "Karate club"
    N, omega, a = len(graph), 1.1, 1.0
    law, kernel = ActiveRotators(omega, a), FastRotators(omega, a)
    check_system(kernel)
    A = nx.to_scipy_sparse_array(graph, dtype=float).T
    coupling = as_coupling(20 / abs(A).sum(axis=1).max() * A)  # the best connected node receives 20 in all

    period = 2 * np.pi / np.sqrt(omega**2 - a**2)
    t = np.linspace(0, (2 if small else 8) * period, 2001)
    theta = np.random.default_rng(3).uniform(-1.0, 1.0, N)
    simulate(kernel, coupling, theta, t[:2], dt=0.02)  # compile, or load what was compiled before
    runs, seconds = [], []
    for system in (law, kernel):
        start = time.perf_counter()
        runs.append(simulate(system, coupling, theta, t, dt=0.02))
        seconds.append(time.perf_counter() - start)
    difference = float(abs(runs[0].theta - runs[1].theta).max())
    runs[1].to_netcdf(Path(out) / "02_your_own_system.nc")

    figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
    plot.phases(runs[1], ax=ax)
    for line in ax.lines:
        line.set(color="C0", alpha=0.5)
    ax.set_title(f"{graph.name}: {N} active rotators; law {seconds[0]:.2f} s, kernel {seconds[1] * 1000:.0f} ms")
    figure.savefig(Path(out) / "02_your_own_system.png", dpi=150)
    plt.close(figure)

    late = runs[1].theta.isel(time=slice(1000, None))
    rows = [("rotation of active rotators (rad / time)", f"{float(effective_frequency(late).mean()):.4f}")]
    rows += [(f"law with kernel: times faster (differs by {difference:.0e} rad)", f"{seconds[0] / seconds[1]:.0f}")]
    theory = (f"{np.sqrt(omega**2 - a**2):.4f}", "> 1")
    links = graph.number_of_edges()
    return [(graph.name, N, links, *row, expected) for row, expected in zip(rows, theory, strict=True)]


if __name__ == "__main__":
    print(*main(), sep="\n")
