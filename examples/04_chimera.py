"""Can identical oscillators with identical coupling be both in step and out of step?

You will see a chimera on a ring: nodes on one side share a phase and a frequency, nodes on the other side drift, each at
its own pace. Every node acts on all others, nearer ones more strongly, with a phase lag close to a quarter turn. The black
curve is the frequency that the self-consistent field of infinitely many oscillators gives.

Source: Kuramoto and Battogtokh 2002; Abrams and Strogatz 2004 (kernel, parameters and start).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import root

from analysis import effective_frequency, plot
from oscillators import Kuramoto, Stencil, simulate


def main(out="out", small=False):
    """Simulate the ring, draw a moment and the frequencies, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    A, beta = 0.995, 0.18
    N, T = (64, 100) if small else (256, 800)
    x = 2 * np.pi * (np.arange(N) - N // 2) / N
    system = Kuramoto(omega=0.0, alpha=np.pi / 2 - beta)
    ring = Stencil((1 + A * np.cos(x)) / N)
    theta = 6 * np.exp(-0.76 * x**2) * np.random.default_rng(1).uniform(-0.5, 0.5, N)

    run = simulate(system, ring, theta, np.linspace(0, T, 2 * T + 1), dt=0.1)
    run = run.assign_coords(position=("node", x))
    run.to_netcdf(Path(out) / "04_chimera.nc")
    frequency = effective_frequency(run.theta.isel(time=slice(T, None)))
    detuning, theory = self_consistent_frequency(x, A, beta)
    middle = float(np.angle(np.exp(1j * x) @ (frequency - frequency.min()).values))  # of the drifting nodes
    place = plot.wrap(x - middle)

    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    left.scatter(place, plot.wrap(run.theta.isel(time=-1).values), s=9, color="C0")
    left.set(
        title=f"phases at t = {T}", xlabel="position on the ring (rad)", ylabel="phase (rad)", ylim=(-np.pi, np.pi)
    )
    left.set_yticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    right.plot(x, np.roll(theory, N // 2), color="black", linewidth=1, label="theory (N → ∞)")
    right.plot(place, frequency, "o", color="C0", markersize=3, label="measured")
    right.set(title="mean frequencies", xlabel="position on the ring (rad)", ylabel="Ω (rad / time)")
    right.legend(frameon=False, loc="lower center")
    for ax in (left, right):
        ax.set_xticks([-np.pi, 0, np.pi], ["−π", "0", "π"])
    figure.savefig(Path(out) / "04_chimera.png", dpi=150)
    plt.close(figure)
    locked = float(frequency.min())
    return [
        ("ring", N, N * (N - 1) // 2, "chimera: frequency in step (rad / time)", f"{locked:.4f}", f"{-detuning:.4f}")
    ]


def self_consistent_frequency(x, A, beta):
    """Detuning Δ of the locked nodes from ω, and the frequency at each position.

    The field is H = c + a cos x with real c: H = e^{iβ} ⟨(1 + A cos(x − y)) (Δ − √(Δ² − |H|²)) / H̄⟩. Nodes with |H| >= Δ
    lock at ω − Δ, the others drift at ω − Δ + √(Δ² − |H|²).
    """

    def gap(unknown):
        c, a, delta = unknown[0], unknown[1] + 1j * unknown[2], unknown[3]
        H = c + a * np.cos(x)
        shown = np.exp(1j * beta) * (delta - np.sqrt(delta**2 - abs(H) ** 2 + 0j)) / H.conj()
        apart = shown.mean() - c, A * (shown * np.cos(x)).mean() - a
        return [apart[0].real, apart[0].imag, apart[1].real, apart[1].imag]

    c, re, im, delta = root(gap, [0.6, 0.2, -0.1, 0.7]).x
    drift = np.sqrt(np.maximum(delta**2 - abs(c + (re + 1j * im) * np.cos(x)) ** 2, 0))
    return delta, drift - delta


if __name__ == "__main__":
    print(*main(), sep="\n")
