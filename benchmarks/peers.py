"""How each peer solves a network. Every function returns a call that gives the phases at T, or raises ImportError."""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.network import TOLERANCES, Network, by_engine, by_simulate
from benchmarks.timing import Row, first_reaching, interleaved

SYMBOLIC_LINKS = 20_000  # beyond it, generated code takes too long to compile

Solve = Callable[[], np.ndarray]


class Skipped(Exception):
    """A peer that cannot take part, and why."""


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """An empty working directory: the compilers of JiTCODE and JiTCDDE obey a pyproject.toml where they are called."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def scipy_rk45(network: Network, tolerance: float) -> Solve:
    def solve():
        span, t = (0.0, network.T), network.t
        return solve_ivp(network.law, span, network.theta0, t_eval=t, rtol=tolerance, atol=tolerance).y[:, -1]

    return solve


def diffrax_tsit5(network: Network, tolerance: float) -> Solve:
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    K, omega, start = jnp.array(network.K), jnp.array(network.omega), jnp.array(network.theta0)

    def law(t, theta, _):
        s, c = jnp.sin(theta), jnp.cos(theta)
        return omega + c * (K @ s) - s * (K @ c)

    term, method = diffrax.ODETerm(law), diffrax.Tsit5()
    control = diffrax.PIDController(rtol=tolerance, atol=tolerance)

    @jax.jit
    def solve(theta0):
        found = diffrax.diffeqsolve(
            term, method, 0.0, network.T, None, theta0, stepsize_controller=control, max_steps=100_000
        )
        return found.ys[-1]

    return lambda: np.asarray(solve(start))


def _torch_law(network: Network):
    import torch

    torch.set_num_threads(1)
    KT, omega = torch.tensor(np.ascontiguousarray(network.K.T)), torch.tensor(network.omega)

    def law(t, theta):
        s, c = torch.sin(theta), torch.cos(theta)
        return omega + c * (s @ KT) - s * (c @ KT)

    return torch, law


def torchdiffeq_dopri5(network: Network, tolerance: float) -> Solve:
    from torchdiffeq import odeint

    torch, law = _torch_law(network)
    start, t = torch.tensor(network.theta0), torch.tensor([0.0, network.T], dtype=torch.float64)

    def solve():
        with torch.no_grad():
            return odeint(law, start, t, rtol=tolerance, atol=tolerance, method="dopri5")[-1].numpy()

    return solve


def torchode_tsit5(network: Network, tolerance: float) -> Solve:
    import torchode

    torch, law = _torch_law(network)
    term = torchode.ODETerm(law)
    control = torchode.IntegralController(atol=tolerance, rtol=tolerance, term=term)
    solver = torchode.AutoDiffAdjoint(torchode.Tsit5(term=term), control)
    problem = torchode.InitialValueProblem(
        y0=torch.tensor(network.theta0)[None],
        t_start=torch.zeros(1, dtype=torch.float64),
        t_end=torch.full((1,), network.T, dtype=torch.float64),
    )

    def solve():
        with torch.no_grad():
            return solver.solve(problem).ys[0, -1].numpy()

    return solve


def jitcode_dopri5(network: Network, tolerance: float) -> Solve:
    import symengine
    from jitcode import jitcode, y

    rows = network.links()
    count = sum(map(len, rows))
    if count > SYMBOLIC_LINKS:
        raise Skipped(f"{count} links, more than the {SYMBOLIC_LINKS} whose code compiles in reasonable time")

    def equations():
        for i, row in enumerate(rows):
            yield network.omega[i] + sum(k * symengine.sin(y(j) - y(i)) for j, k in row)

    ode = jitcode(equations, n=len(rows), verbose=False)
    ode.generate_f_C(chunk_size=100)
    with elsewhere():
        ode.compile_C(extra_compile_args=["-Ofast", "-march=native", "-w"])
    ode.set_integrator("dopri5", rtol=tolerance, atol=tolerance)

    def solve():
        ode.set_initial_value(network.theta0.copy(), 0.0)
        return [ode.integrate(time) for time in network.t[1:]][-1]

    return solve


DENSE = {
    "SciPy RK45": scipy_rk45,
    "diffrax Tsit5": diffrax_tsit5,
    "torchdiffeq dopri5": torchdiffeq_dopri5,
    "torchode Tsit5": torchode_tsit5,
    "JiTCODE dopri5": jitcode_dopri5,
}
SPARSE = {"SciPy RK45": scipy_rk45, "JiTCODE dopri5": jitcode_dopri5}


def compare(what: str, size: str, network: Network, peers: dict[str, Callable], tolerance: float = 1e-6) -> list[Row]:
    """Ours alone at the tolerance, then beside each peer, with our tolerance such that our error is not above its own."""
    exact = network.reference()

    def error(solve: Solve) -> float:
        return float(np.abs(solve() - exact).max())

    whole, bare = by_simulate(network, tolerance), by_engine(network, tolerance)
    mistakes = [error(whole), error(bare)]
    times = interleaved(whole, bare)
    rows = [
        Row(f"{what}, {part}", size, 1e3 * t, "ms", our_error=e, note=f"tolerance {tolerance:.0e}")
        for part, t, e in zip(("simulate", "engine"), times, mistakes, strict=True)
    ]
    for name, build in peers.items():
        rows += _beside(what, size, network, name, build, tolerance, error)
    return rows


def _beside(what, size, network, name, build, tolerance, error) -> list[Row]:
    begin = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = build(network, tolerance)
            peer_error = error(peer)
    except ImportError:
        return [Row(what, size, None, "ms", name, note="not installed")]
    except Skipped as reason:
        return [Row(what, size, None, "ms", name, note=f"skipped: {reason}")]
    first = time.perf_counter() - begin
    own, our_error = first_reaching(lambda tol: error(by_engine(network, tol)), TOLERANCES, peer_error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, bare, theirs = interleaved(by_simulate(network, own), by_engine(network, own), peer)
    note = f"our tolerance {own:.1e}, its {tolerance:.0e}; its first call {first:.1f} s"
    return [
        Row(f"{what}, {part}", size, 1e3 * t, "ms", name, 1e3 * theirs, our_error, peer_error, note)
        for part, t in (("simulate", whole), ("engine", bare))
    ]
