"""Where do vectors on a sphere settle when their neighbours and a stimulus pull them different ways?

You will see the energy V = −½ ⟨x, K x⟩ − ⟨c, x⟩ of a network of unit vectors fall, from several starts, while a stimulus c
pulls some of the nodes. It falls at the rate at which the nodes move, dV/dt = −Σ |dx_i/dt|²: adding up what was
dissipated gives the dashed curves.

The coupling must be symmetric; that of a directed graph is made so, (K + Kᵀ)/2, and scaled so that the best connected
node receives 1.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from scipy.integrate import cumulative_simpson

from analysis import lyapunov_function
from oscillators import SphereKuramoto, as_coupling, simulate


def main(out="out", graph=None, small=False):
    """Simulate several starts, draw their energies, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    if graph is None:
        graph = nx.florentine_families_graph()
        graph.name = "Florentine families"
    A = nx.to_scipy_sparse_array(graph, dtype=float)
    A = (A + A.T) / 2
    coupling = as_coupling(A / abs(A).sum(axis=1).max())
    N, n, starts = len(graph), 3, 2 if small else 6
    rng = np.random.default_rng(6)
    x = rng.normal(size=(starts, N, n))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    c = 0.5 * rng.normal(size=(N, n)) * (rng.random(N) < 0.5)[:, None]  # every second node sees its stimulus

    system, t = SphereKuramoto(), np.linspace(0, 20, 401)
    run = simulate(system, coupling, x, t, dt=0.02, drive=c)
    run["energy"] = lyapunov_function(run.x, coupling, c)
    run.to_netcdf(Path(out) / "06_sphere_energy.nc")

    velocity = system.law(t, run.x.values, coupling.field(run.x.values) + c)
    dissipated = cumulative_simpson((velocity**2).sum(axis=(-2, -1)), x=t, initial=0)
    theory = run.energy.isel(time=0).values[:, None] - dissipated
    figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    colours = plt.cm.viridis(np.linspace(0, 0.85, starts))
    for energy, expected, colour in zip(run.energy.values, theory, colours, strict=True):
        ax.plot(t, energy, color=colour, linewidth=3, alpha=0.6)
        ax.plot(t, expected, color="black", linewidth=1, linestyle="--")
    ax.plot([], [], color=colours[0], linewidth=3, alpha=0.6, label="measured energy")
    ax.plot([], [], color="black", linewidth=1, linestyle="--", label="start − dissipated")
    ax.legend(frameon=False)
    ax.set(xlabel="time", ylabel="energy V", xlim=(0, t[-1]), title=f"{graph.name}, vectors with n = {n}")
    figure.savefig(Path(out) / "06_sphere_energy.png", dpi=150)
    plt.close(figure)

    first, last = run.energy.values[0, [0, -1]]
    what = f"energy lost from V = {first:.3f}, run 1 of {starts}"
    network = (graph.name, N, graph.number_of_edges())
    rise = max(float(np.diff(run.energy.values, axis=-1).max()), 0.0)
    return [
        (*network, what, f"{first - last:.4f}", f"{dissipated[0, -1]:.4f}"),
        (*network, f"largest rise of energy, {starts} runs", f"{rise:.1g}", "0"),
    ]


if __name__ == "__main__":
    print(*main(), sep="\n")
