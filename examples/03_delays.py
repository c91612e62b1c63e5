"""What do the lengths of the links do to a network in which signals travel at a finite speed?

You will see the rhythm of a network slow down, then fall apart, as signals take longer: the delay of each link is its
length over one conduction speed. The black curve is the frequency Ω = ω − K ⟨sin(Ω τ)⟩ of nodes in step, averaged over the
links with the weights they have; nodes in step are stable while most links pull forward, cos(Ω τ) > 0.

A graph without lengths is laid out in the plane, and scaled to a mean link of 100 mm. Links shorter than a twentieth of the
mean count as that, so that steps need not be shorter than their delays.

Source: Earl and Strogatz 2003 (equal delays); Cabral et al. 2011 (tract lengths).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import xarray as xr
from scipy.optimize import brentq

from analysis import effective_frequency, order_parameter
from oscillators import Kuramoto, simulate


def main(out="out", graph=None, small=False):
    """Simulate one network at several conduction speeds, draw its frequency and order, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    if graph is None:
        graph = nx.karate_club_graph()
        graph.name = "Karate club"
    omega, K = 2 * np.pi * 10.0, 20.0  # rad / s
    network, mean, unit = with_lengths(graph)
    share_strength(network, K)
    delays = np.linspace(4e-3, 24e-3, 3 if small else 6)  # mean delays, s
    t = np.linspace(0, 1 if small else 2, 201)
    theta = np.random.default_rng(4).uniform(-0.5, 0.5, len(network))

    runs = []
    for delay in delays:
        speed = mean / delay
        for _, _, link in network.edges(data=True):
            link["delay"] = link["length"] / speed
        dt = min(2e-3, min(nx.get_edge_attributes(network, "delay").values()))
        runs.append(simulate(Kuramoto(omega), network, theta, t, dt=dt, history=lambda s: theta + omega * s))
    run = xr.concat(runs, xr.Variable("mean_delay", delays, {"units": "s"}), combine_attrs="drop_conflicts")
    run.to_netcdf(Path(out) / "03_delays.nc")

    late = run.theta.isel(time=slice(100, None))
    hertz = effective_frequency(late).mean("node") / (2 * np.pi)
    fine = np.linspace(0, delays[-1], 100)
    theory = np.array([frequency_in_step(network, omega, K, delay / mean) for delay in fine]) / (2 * np.pi)
    draw(Path(out) / "03_delays.png", network.name, delays, hertz, order_parameter(late), fine, theory, mean, unit)
    middle = 1
    speed = mean / delays[middle]
    per_ms = {"mm": "m/s", "m": "km/s"}.get(unit, f"{unit or 'length'}/ms")
    what = f"rhythm at {speed / 1000:.3g} {per_ms}, mean delay {1000 * delays[middle]:.0f} ms (Hz)"
    expected = np.interp(delays[middle], fine, theory)
    return [(network.name, len(graph), graph.number_of_edges(), what, f"{float(hertz[middle]):.2f}", f"{expected:.2f}")]


def with_lengths(graph):
    """The graph with both directions of each link, a `length` on each, their mean and their unit."""
    network, unit = graph.to_directed(), graph.graph.get("length_unit", "")
    links = [link for _, _, link in network.edges(data=True)]
    if not all(link.get("length", 0) > 0 for link in links):
        place, unit = nx.spring_layout(graph, seed=5), "mm"
        for u, v, link in network.edges(data=True):
            link["length"] = float(np.linalg.norm(place[u] - place[v]))
        scale = 100.0 / np.mean([link["length"] for link in links])
        for link in links:
            link["length"] *= scale
    mean = np.mean([link["length"] for link in links])
    for link in links:
        link["length"] = max(link["length"], mean / 20)
    return network, mean, unit


def share_strength(network, K):
    """Scale the weights of the links into each node to the sum K (of their sizes)."""
    total = dict.fromkeys(network, 0.0)
    for _, v, link in network.edges(data=True):
        total[v] += abs(link.setdefault("weight", 1.0))
    for _, v, link in network.edges(data=True):
        link["weight"] *= K / total[v] if total[v] else 0.0


def frequency_in_step(network, omega, K, slowness):
    """Root of Ω = ω − Σ w sin(Ω τ) / N over all links, τ = length · slowness; the one next to ω."""
    weight, length = np.array([(link["weight"], link["length"]) for _, _, link in network.edges(data=True)]).T

    def excess(frequency):
        return frequency - omega + weight @ np.sin(frequency * length * slowness) / len(network)

    return brentq(excess, omega - 1.01 * K, omega + 1.01 * K)


def draw(path, name, delays, hertz, r, fine, theory, mean, unit):
    """Frequency and order over the mean delay, with the conduction speed on top."""
    figure, (top, low) = plt.subplots(2, 1, figsize=(6.5, 5), sharex=True, layout="constrained")
    top.plot(1000 * fine, theory, color="black", linewidth=1, label="theory (in step)")
    top.plot(1000 * delays, hertz, "o", color="C0", label="measured")
    top.set(ylabel="frequency (Hz)")
    top.set_title(f"{name}: delay = length / conduction speed (mean length {mean:.3g} {unit})", fontsize=11)
    top.legend(frameon=False)
    low.errorbar(1000 * delays, r.mean("time"), r.std("time"), fmt="o", color="C0", capsize=3)
    low.set(xlabel="mean delay (ms)", ylabel="order parameter r", ylim=(0, 1.05))
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    print(*main(), sep="\n")
