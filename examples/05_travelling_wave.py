"""What becomes of a photograph that is written into the phases of a lattice of oscillators?

You will see a plane wave that travels to the right, bent by the picture as light is bent by glass. Neighbours pull each
other straight: the details fade first, and what remains is the wave, at exactly the speed that theory gives.

With nearest neighbours and a lag α, θ = q·x + Ω t solves the equations on a torus: Ω = ω − 2K sin α (cos q_x + cos q_y).
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from analysis import effective_frequency, plot
from oscillators import Kuramoto, Stencil, simulate


def main(out="out", small=False):
    """Simulate the lattice, draw it and its animation, and return what was found."""
    Path(out).mkdir(parents=True, exist_ok=True)
    size = 16 if small else 4  # pixels of the photograph to a side of a node
    photo = load_sample_image("china.jpg").mean(axis=-1)[: 427 // 16 * 16, : 640 // 16 * 16]
    height, width = (n // size for n in photo.shape)
    photo = photo.reshape(height, size, width, size).mean(axis=(1, 3)) / 255

    alpha, turns = 0.3, 5
    q = 2 * np.pi * turns / width
    theta = q * np.arange(width) + 2.5 * (photo - photo.mean())
    lattice = Stencil([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    T = 20 if small else 120
    run = simulate(Kuramoto(0.0, alpha), lattice, theta, np.linspace(0, T, T + 1), dt=0.1)
    run.to_netcdf(Path(out) / "05_travelling_wave.nc")

    dims = ("height", "width")
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.3), layout="constrained")
    plot.lattice_frames(run.isel(time=[0, 2, T // 6, T]), ax=axes)
    figure.colorbar(axes[0].images[0], ax=axes, label="phase (rad)", shrink=0.75).set_ticks(
        [-np.pi, 0, np.pi], labels=["−π", "0", "π"]
    )
    figure.savefig(Path(out) / "05_travelling_wave.png", dpi=150)
    plt.close(figure)
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    plot.animate(run.isel(time=slice(0, T // 2)), Path(out) / "05_travelling_wave.gif", dim=dims, fps=10, ax=ax)
    plt.close(figure)

    speed = -float(effective_frequency(run.theta.isel(time=slice(-T // 6, None)), dim=dims).mean()) / q
    theory = 2 * np.sin(alpha) * (np.cos(q) + 1) / q
    nodes, links = height * width, 2 * height * width
    return [("lattice, china.jpg", nodes, links, "speed of the wave (nodes / time)", f"{speed:.3f}", f"{theory:.3f}")]


if __name__ == "__main__":
    print(*main(), sep="\n")
