"""How strong must the coupling be until oscillators fall into step?

You will see two transitions. Left: a mean field of many oscillators with Lorentzian frequencies, on Kuramoto's curve
r = √(1 − 2Δ/K). Right: a real network with Gaussian frequencies, whose threshold is that of the mean field divided by
the largest eigenvalue of its matrix; a small network blurs it. All couplings, and several draws of the frequencies, run as
one ensemble.

Source: Kuramoto 1975; Restrepo, Ott and Hunt 2005 (approximation by the density of frequencies).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from scipy.sparse.linalg import eigs
from scipy.special import ndtri

from analysis import order_parameter, plot
from analysis.theory import critical_coupling, gaussian, locked_order, lorentzian_order
from oscillators import Edges, Kuramoto, MeanField, as_coupling, simulate


def main(out="out", graph=None, small=False):
    """Simulate both transitions, draw them, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    if graph is None:
        graph = nx.davis_southern_women_graph()
        graph.name = "Southern women"
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    rows = [mean_field(left, out, N=200 if small else 2000), network(right, out, graph, draws=2 if small else 8)]
    figure.savefig(Path(out) / "01_synchronisation.png", dpi=150)
    plt.close(figure)
    return rows


def mean_field(ax, out, N, width=0.5):
    """Lorentzian frequencies of half-width Δ, all to all; every coupling is a member of the ensemble."""
    K = np.linspace(0.25, 4.0, 16)
    omega = width * np.tan(np.pi * ((np.arange(N) + 0.5) / N - 0.5))  # quantiles: no luck in the draw
    theta = np.random.default_rng(1).uniform(-np.pi, np.pi, (len(K), N))
    t = np.linspace(0, 60, 121)
    run = simulate(Kuramoto(omega), MeanField(K[:, None]), theta, t, dt=0.05, observe={"r": order_parameter})
    run = run.rename(run="K").assign_coords(K=K)
    run.to_netcdf(Path(out) / "01_mean_field.nc")

    r = run.r.isel(time=slice(60, None)).mean("time")
    plot.transition(r, threshold=2 * width, theory=lambda K: lorentzian_order(K, width), ax=ax)
    ax.set(title=f"mean field, N = {N}, Lorentzian Δ = {width}", xlabel="coupling K (rad / time)")
    what = f"coupling at r = 1/2 (threshold {2 * width:.3g})"
    return "all to all", N, N * (N - 1) // 2, what, at_half(K, r), f"{2 * width / (1 - 0.5**2):.3g}"


def network(ax, out, graph, draws, sigma=1.0):
    """Gaussian frequencies on a graph; every pair of draw and coupling is a member of the ensemble."""
    A = nx.to_scipy_sparse_array(graph, dtype=float).T.tocoo()
    N = len(graph)
    largest = (np.linalg.eigvals(A.toarray()) if N < 1000 else eigs(A, k=1, which="LR")[0]).real.max()
    threshold = critical_coupling(gaussian(sigma)) / largest if largest > 1e-9 else np.inf
    # A graph without loops has no threshold; its strongest node gives a scale.
    unit = threshold if np.isfinite(threshold) else sigma / abs(A).sum(axis=1).max()
    K = unit * np.linspace(0.25, 4.0, 16)

    rng = np.random.default_rng(2)
    omega = rng.permuted(np.tile(sigma * ndtri((np.arange(N) + 0.5) / N), (draws, 1, 1)), axis=-1)
    theta = rng.uniform(-np.pi, np.pi, (draws, len(K), N))
    links = as_coupling(A)
    weight = np.tile(K[:, None] * links.weight, (draws, 1, 1))
    sent = abs(A).sum(axis=0)  # the order that links transmit: nodes count by what they send
    observe = {"r": lambda theta: abs(np.exp(1j * theta) @ sent) / sent.sum()}
    coupling = Edges(links.source, links.target, weight, N)
    run = simulate(Kuramoto(omega), coupling, theta, np.linspace(0, 60, 61), dt=0.05, observe=observe)
    run = run.rename(run_0="draw", run_1="K").assign_coords(K=K)
    run.to_netcdf(Path(out) / "01_network.nc")

    r = run.r.isel(time=slice(20, None)).mean("time")
    fine = np.linspace(K[0], K[-1], 61)
    expected = np.array([sent @ locked_order(k * A, sigma) for k in fine]) / sent.sum()
    line = threshold if np.isfinite(threshold) else None
    plot.transition(r, threshold=line, theory=lambda k: np.interp(k, fine, expected), ax=ax)
    ax.set(title=f"{graph.name}, N = {N}, Gaussian σ = {sigma:g}", xlabel="coupling per unit of weight K (rad / time)")
    what = f"coupling at r = 1/2 (threshold {threshold:.3g})"
    return graph.name, N, graph.number_of_edges(), what, at_half(K, r.mean("draw")), at_half(fine, expected)


def at_half(K, r):
    """Coupling at which r first reaches 1/2, between two of those given, in words."""
    r = np.asarray(r)
    above = int(np.argmax(r > 0.5))
    return f"{np.interp(0.5, r[above - 1 : above + 1], K[above - 1 : above + 1]):.3g}" if above else f"> {K[-1]:.3g}"


if __name__ == "__main__":
    print(*main(), sep="\n")
