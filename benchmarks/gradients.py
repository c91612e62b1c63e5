"""Gradient of R²(T) with respect to a dense K, T = 20, RK4 with dt = 0.05: discrete adjoint against peers, float64.

torchdiffeq: odeint "rk4" (the 3/8 rule) and autograd through its graph. diffrax: Tsit5 at the same step with its
RecursiveCheckpointAdjoint, compiled before. Errors: relative, in the norm of all of ∂R²/∂K, from RK4 at a tenth of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torchdiffeq

from benchmarks.timing import Row, interleaved
from oscillators import Dense, Kuramoto, integrate

Gradient = Callable[[], np.ndarray]


def network(N: int, members: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K, omega and theta0 of a network that synchronises; several initial states are a batch."""
    rng = np.random.default_rng(seed)
    theta0 = rng.uniform(-np.pi, np.pi, (members, N) if members > 1 else N)
    return rng.uniform(0.0, 6.0 / N, (N, N)), 0.5 * rng.normal(size=N), theta0


def coherence(theta):
    """R² summed over the batch, with the functions of the array's own library."""
    return (theta.cos().mean(-1) ** 2 + theta.sin().mean(-1) ** 2).sum()


def ours(K: np.ndarray, omega: np.ndarray, theta0: np.ndarray, T: float, dt: float) -> Gradient:
    system, start = Kuramoto(torch.tensor(omega)), torch.tensor(theta0)

    def gradient():
        weights = torch.tensor(K, requires_grad=True)
        theta = integrate(system, Dense(weights), start, [0.0, T], dt=dt)[-1]
        return torch.autograd.grad(coherence(theta), weights)[0].numpy()

    return gradient


def by_torchdiffeq(K: np.ndarray, omega: np.ndarray, theta0: np.ndarray, T: float, dt: float) -> Gradient:
    rates, start, times = torch.tensor(omega), torch.tensor(theta0), torch.tensor([0.0, T], dtype=torch.float64)

    def gradient():
        weights = torch.tensor(K, requires_grad=True)

        def law(t, theta):
            s, c = theta.sin(), theta.cos()
            return rates + c * (s @ weights.T) - s * (c @ weights.T)

        theta = torchdiffeq.odeint(law, start, times, method="rk4", options={"step_size": dt})[-1]
        return torch.autograd.grad(coherence(theta), weights)[0].numpy()

    return gradient


def by_diffrax(K: np.ndarray, omega: np.ndarray, theta0: np.ndarray, T: float, dt: float) -> Gradient:
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    steps = round(T / dt)

    def law(t, theta, weights):
        s, c = jnp.sin(theta), jnp.cos(theta)
        return omega + c * (s @ weights.T) - s * (c @ weights.T)

    def loss(weights):
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(law), diffrax.Tsit5(), 0.0, T, dt, jnp.array(theta0), args=weights, max_steps=steps + 1,
            adjoint=diffrax.RecursiveCheckpointAdjoint(),
        )  # fmt: skip
        theta = found.ys[-1]
        return (jnp.cos(theta).mean(-1) ** 2 + jnp.sin(theta).mean(-1) ** 2).sum()

    compiled = jax.jit(jax.grad(loss))
    return lambda: np.asarray(compiled(jnp.array(K)))


PEERS = {"torchdiffeq": by_torchdiffeq, "diffrax": by_diffrax}


def run(
    sizes: Sequence[tuple[int, int]] = ((64, 1), (100, 1), (64, 64), (100, 64)),
    peers: dict[str, Callable[..., Gradient]] = PEERS,
    T: float = 20.0,
    dt: float = 0.05,
) -> list[Row]:
    """Rows for every (nodes, members) and peer."""
    torch.set_num_threads(1)
    rows = []
    for N, members in sizes:
        parts = network(N, members)
        size = f"{N} x {N}" + (f", {members} members" if members > 1 else "")
        exact = ours(*parts, T, dt / 10)()
        mine = ours(*parts, T, dt)
        error = _off(mine(), exact)
        if not peers:
            rows.append(Row("gradient", size, None, "ms", our_error=error))
        for name, build in peers.items():
            try:
                theirs = build(*parts, T, dt)
            except ImportError as missing:
                rows.append(Row("gradient", size, None, "ms", name, our_error=error, note=f"no {missing.name}"))
                continue
            gap = _off(theirs(), exact)
            a, b = interleaved(mine, theirs, seconds=4.0)
            rows.append(Row("gradient", size, 1e3 * a, "ms", name, 1e3 * b, error, gap))
    return rows


def _off(gradient: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(gradient - exact) / np.linalg.norm(exact))
