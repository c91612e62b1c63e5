"""Delayed Kuramoto networks, 5 links per node, every link with its own delay in [0.5, 1.5]; milliseconds per unit time.

jitcdde at atol = rtol = 1e-5 (its method is of order 3), ours with rk4 at the longest step that makes our error no larger.
Both start from the same smooth past, a cubic spline through a run of the network, so that no kink favours either.
Errors: largest phase difference from our rk4 run at a step of 0.005; that run and one at 0.01 differ by `its own` error.
The last row is a network of 10^4 nodes with 100 links per node: 10^6 links, rk4 at dt = 0.05.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from benchmarks.network import Last
from benchmarks.peers import elsewhere
from benchmarks.timing import Row, first_reaching, interleaved
from oscillators import Delayed, Edges, Kuramoto, simulate
from oscillators.engine import Run
from oscillators.methods import FIXED
from oscillators.problem import prepare

SHORTEST, LONGEST = 0.5, 1.5
STEPS = (0.5, 0.4, 0.25, 0.2, 0.125, 0.1, 0.0625, 0.05, 0.03125, 0.025, 0.02)  # long to short
REFERENCE = 0.005
TOLERANCE = 1e-5
LINKS = 6000  # beyond it, the generated code of jitcdde takes too long to compile
STACK = 1 << 30  # bytes: the generated code of large networks needs far more than the usual 8 MB


@dataclass(frozen=True)
class DelayedNetwork:
    """dθ_i/dt = ω_i + Σ_j K_ij sin(θ_j(t - τ_ij) - θ_i) with links one by one, and its past as a spline."""

    omega: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    tau: np.ndarray
    past: CubicHermiteSpline

    @property
    def coupling(self) -> Delayed:
        return Delayed(Edges(self.source, self.target, self.weight, len(self.omega)), self.tau)


def delayed_network(N: int, degree: int = 5, strength: float = 1.0, seed: int = 0) -> DelayedNetwork:
    """Random links; the past is a run of the network that began 6 longest delays before."""
    rng = np.random.default_rng(seed)
    target = np.repeat(np.arange(N), degree)
    source = (target + rng.integers(1, N, N * degree)) % N
    omega, tau = rng.normal(1.0, 0.3, N), rng.uniform(SHORTEST, LONGEST, N * degree)
    weight, theta0 = np.full(N * degree, strength / degree), rng.uniform(-np.pi, np.pi, N)
    t = np.arange(-6.0 * LONGEST, 0.01, 0.05)
    links = Delayed(Edges(source, target, weight, N), tau)
    theta = simulate(Kuramoto(omega), links, theta0, t, dt=0.05, history=theta0).theta.values
    keep = t >= -LONGEST - 0.26
    past = CubicHermiteSpline(t[keep], theta[keep], np.gradient(theta, t, axis=0, edge_order=2)[keep])
    return DelayedNetwork(omega, source, target, weight, tau, past)


class Ours:
    """The engine on a network laid out before; `history` is evaluated inside the clock."""

    def __init__(self, network: DelayedNetwork, T: float, dt: float, method: str = "rk4"):
        start = network.past(0.0)
        problem = prepare(Kuramoto(network.omega), network.coupling, start, None, network.past, None)
        self.last = Last()
        self.run = lambda: Run(problem, np.array([0.0, T]), self.last, FIXED[method], dt).go()

    def __call__(self) -> np.ndarray:
        self.run()
        return self.last.state[0, 0]


class Jitcdde:
    """jitcdde on the same network; every call runs on a thread with a large stack."""

    def __init__(self, network: DelayedNetwork, T: float, tolerance: float):
        self.network, self.T, self.tolerance = network, T, tolerance
        _on_large_stack(self._compile)

    def _compile(self) -> None:
        import symengine
        from jitcdde import jitcdde, t, y

        n, N = self.network, len(self.network.omega)
        terms: list[list] = [[] for _ in range(N)]
        for j, i, k, tau in zip(n.source.tolist(), n.target.tolist(), n.weight.tolist(), n.tau.tolist(), strict=True):
            terms[i].append(k * symengine.sin(y(j, t - tau) - y(i)))
        equations = [n.omega[i] + sum(terms[i]) for i in range(N)]
        self.dde = jitcdde(equations, n=N, max_delay=float(n.tau.max()), verbose=False)
        with elsewhere():
            self.dde.compile_C(simplify=False, chunk_size=30, extra_compile_args=["-Ofast", "-march=native", "-w"])
        self.dde.set_integration_parameters(atol=self.tolerance, rtol=self.tolerance, first_step=0.05)

    def reset(self) -> None:
        past = self.network.past
        self.dde.purge_past()
        self.dde.add_past_points([(time, past(time), past(time, 1)) for time in past.x])
        self.dde.initial_discontinuities_handled = True

    def __call__(self) -> np.ndarray:
        return _on_large_stack(lambda: self.dde.integrate(self.T))


def _on_large_stack(call: Callable):
    before, found = threading.stack_size(STACK), []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    threading.stack_size(before)
    thread.join()
    if not found:
        raise RuntimeError("jitcdde stopped on its thread; its error is printed above.")
    return found[0]


def run(
    sizes: Sequence[int] = (100, 300, 1000), T: float = 5.0, peers: bool = True, many: tuple[int, int] = (10_000, 100)
) -> list[Row]:
    """Rows for every size, then the network of many links (nodes, links per node)."""
    rows = [row for N in sizes for row in _beside(N, T, peers)]
    return [*rows, _many(*many)]


def _beside(N: int, T: float, peers: bool) -> list[Row]:
    network, size = delayed_network(N), f"N = {N}, {5 * N} links"
    exact = Ours(network, T, REFERENCE)()

    def error_of(dt: float) -> float:
        return float(np.abs(Ours(network, T, dt)() - exact).max())

    usual = Ours(network, T, 0.05)
    alone = Row(
        "delayed", size, 1e3 / T * interleaved(usual)[0], "ms", our_error=error_of(0.05),
        note=f"rk4, dt = 0.05; its own reference {error_of(2 * REFERENCE):.0e}",
    )  # fmt: skip
    if not peers:
        return [alone]
    if len(network.tau) > LINKS:
        return [alone, Row("delayed", size, None, "ms", "jitcdde", note=f"skipped: more than {LINKS} links to compile")]
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = Jitcdde(network, T, TOLERANCE)
    except ImportError:
        return [alone, Row("delayed", size, None, "ms", "jitcdde", note="not installed")]
    compiling = time.perf_counter() - begin
    peer.reset()
    peer_error = float(np.abs(peer() - exact).max())
    dt, our_error = first_reaching(error_of, STEPS, peer_error)
    ours, theirs = interleaved(Ours(network, T, dt), peer, rounds=(3, 51))
    note = f"rk4, dt = {dt:g}; jitcdde compiled in {compiling:.0f} s"
    scale = 1e3 / T
    return [alone, Row("delayed", size, scale * ours, "ms", "jitcdde", scale * theirs, our_error, peer_error, note)]


def _many(N: int, degree: int) -> Row:
    network, dt, T = delayed_network(N, degree), 0.05, 0.5
    ours = Ours(network, T, dt)
    seconds = interleaved(ours, seconds=1.0, rounds=(1, 5))[0]
    evaluations = 4 * round(T / dt) * len(network.tau)
    error = float(np.abs(ours() - Ours(network, T, dt / 2)()).max())
    note = f"{1e9 * seconds / evaluations:.3g} ns per link and evaluation; error against dt/2"
    return Row("delayed", f"N = {N}, {N * degree} links", 1e3 / T * seconds, "ms", our_error=error, note=note)
