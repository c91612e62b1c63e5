"""How much more power can a grid carry before its machines fall out of step?

You will see the frequencies of all buses after the load and the generation have been raised by a common factor. Up to a
critical factor every bus returns to the frequency of the grid; beyond it, some run away. The dashed line is the factor at
which the angle that linear power flow gives to the most loaded line has a sine of 1. All factors run as one ensemble.

Run with `--data FOLDER` (or the variable OSCILLATORS_DATA) where power_grids.npz lies; inertia and damping are chosen here.

Source: Filatrella, Nielsen and Pedersen 2008 (swing equation); Dörfler, Chertkov and Bullo 2013 (criterion).
"""

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from oscillators import InertialKuramoto, read_graph, simulate

DATA = os.environ.get("OSCILLATORS_DATA", Path(__file__).parents[2] / "shared" / "data")


def main(out="out", graph=None, small=False, data=DATA):
    """Simulate a grid under growing load, draw its frequencies, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    if graph is None:
        archive = Path(data) / "power_grids.npz"
        if not archive.is_file():
            print(f"07_power_grid: skipped, there is no {archive}; name its folder with --data or OSCILLATORS_DATA.")
            return []
        graph = read_graph(f"{archive}:ieee39")
    power = np.array([graph.nodes[bus]["injection"] for bus in graph])
    power -= power.mean()  # loss-free

    incidence = nx.incidence_matrix(graph, oriented=True).toarray()
    angles = np.linalg.pinv(nx.laplacian_matrix(graph).toarray()) @ power  # linear power flow, factor 1
    critical = 1 / abs(incidence.T @ angles).max()
    factors = critical * np.linspace(0.5, 1.5, 5 if small else 41)
    angles = np.outer(np.minimum(factors, critical), angles)
    x0 = np.stack([angles, np.zeros_like(angles)], axis=-1)
    grid = InertialKuramoto(factors[:, None] * power, mass=1.0, damping=1.0)
    t = np.linspace(0, 10 if small else 60, 61)
    run = simulate(grid, graph, x0, t, method="dopri5").rename(run="factor").assign_coords(factor=factors)
    run.to_netcdf(Path(out) / "07_power_grid.nc")

    spread = abs(run.v.isel(time=slice(30, None))).mean("time")
    lost = spread.max("node").values > 0.05
    measured = factors[lost][0] if lost.any() else np.nan
    figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
    ax.plot(factors, spread, ".", color="C0", markersize=4)
    ax.axvline(critical, color="black", linestyle="--", linewidth=1, label="linear criterion")
    ax.set(
        xlabel="load factor",
        ylabel="mean deviation |v| of each bus (rad / time)",
        title=f"{graph.name}, {len(graph)} buses",
    )
    ax.legend(frameon=False)
    figure.savefig(Path(out) / "07_power_grid.png", dpi=150)
    plt.close(figure)
    what = "load factor at which step is lost"
    return [(graph.name, len(graph), graph.number_of_edges(), what, f"{measured:.3g}", f"{critical:.3g}")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=DATA, help="folder of power_grids.npz")
    print(*main(data=parser.parse_args().data), sep="\n")
