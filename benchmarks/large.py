"""Large KuraNets: couplings between 2000, 10,000 and 154,401 nodes, kept in memory or made anew, beside the exact matrix.

Case II after the published training (200 iterations, seed 4): symmetric softmax couplings, Euler steps of 0.1 from equal
phases. Exact: weights and matrix in double precision. Logits: beside the published layers on the concatenated features of
the pairs. Field: h = K u(θ) for θ in double precision, beside the product with the exact matrix; its error is relative to
its largest entry; the note has what becomes of it in 50 steps. Sub-populations: the published scheme, 5000 steps of 500 nodes,
beside a step of all nodes; its error is that of the circular variance V, averaged over the last tenth of the steps. 154,401
nodes are the pixels of an image (five features, "l2", untrained); times for all of them from 32 rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from analysis import circular_variance
from benchmarks.timing import Row, interleaved
from neural.kuranet import CouplingNetwork, KuraNet, Oscillators, Points, oscillators
from neural.kuranet.large import Streamed
from neural.kuranet.recipes import CASE_II
from neural.kuranet.rows import all_logits
from neural.kuranet.subpopulation import subpopulations
from neural.kuranet.train import train
from oscillators import Kuramoto, integrate
from oscillators.arrays import unit_vector

DT = 0.1
KEPT = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SAMPLE = 32  # rows that stand for all


def run(
    sizes: Sequence[int] = (2000, 10_000),
    pixels: int = 154_401,
    steps: int = 50,
    published: int = 5000,
    subset: int = 500,
    model: KuraNet | None = None,
) -> list[Row]:
    """Rows for every size. published: steps of the sub-population scheme, of `subset` nodes each; model: trained before."""
    model = model or train(CASE_II, oscillators("II", 10_000, seed=0), seed=4).model
    model.eval()
    rows = []
    for n in sizes:
        nodes = oscillators("II", n, seed=5)
        exact = deepcopy(model).double()
        exact_logits = all_logits(exact, nodes.x.double())
        K = exact.from_logits(exact_logits)
        seconds, Z = timed(lambda nodes=nodes: all_logits(model, nodes.x))
        rows.append(_logits(model, nodes.x, seconds, relative(Z, exact_logits)))
        rows += _fields(model, nodes, K, steps)
        rows.append(_subpopulations(model, nodes, K, Z, 8 * steps, published, subset))
    return [*rows, *_pixels(pixels, subset)]


def _logits(model: KuraNet, x: Tensor, seconds: float, error: float) -> Row:
    pairs = torch.cat([x[:SAMPLE, None].expand(-1, len(x), -1), x[None].expand(SAMPLE, -1, -1)], dim=-1).flatten(0, 1)
    with torch.no_grad():
        theirs, _ = timed(lambda: [model.network.layers(part) for part in pairs.split(4096)])
    note = f"{1e9 * seconds / len(x) ** 2:.3g} ns per pair; theirs from {SAMPLE} rows"
    return Row("logits", f"n = {len(x)}", seconds, "s", "published layers", theirs * len(x) / SAMPLE, error, note=note)


def _fields(model: KuraNet, nodes: Oscillators, K: Tensor, steps: int) -> list[Row]:
    """Fields and runs by couplings kept in every precision, and by couplings made anew."""
    size, rows = f"n = {len(nodes)}", []
    theta = phases(K, nodes, steps)
    g = unit_vector(theta)
    h = K @ g
    for name, keep in KEPT.items():
        seconds, streamed = timed(lambda keep=keep: Streamed(model, nodes.x, keep=keep))
        ours, theirs = interleaved(lambda s=streamed: s.field(g), lambda: K @ g, rounds=(3, 21))
        off = float((phases(streamed, nodes, steps) - theta).abs().max())
        memory = len(nodes) ** 2 * keep.itemsize / 1e9
        note = f"{memory:.2g} GB made in {seconds:.3g} s; phases after {steps} steps within {off:.1g}"
        error = relative(streamed.field(g), h)
        rows.append(Row(f"field, {name}", size, 1e3 * ours, "ms", "exact matrix", 1e3 * theirs, error, note=note))
    streamed = Streamed(model, nodes.x)
    ours, field = timed(lambda: streamed.field(g))
    error = relative(field, h)
    last = Row("field, made anew", size, 1e3 * ours, "ms", "exact matrix", 1e3 * theirs, error, note="nothing kept")
    return [*rows, last]


def _subpopulations(
    model: KuraNet, nodes: Oscillators, K: Tensor, Z: Tensor, steps: int, published: int, subset: int
) -> Row:
    """The published scheme from given logits, beside the run of all nodes."""
    theirs, theta = timed(lambda: phases(K, nodes, steps))
    moves = subpopulations(
        model, nodes, torch.zeros(len(nodes)).double(), generator(), steps=published, size=subset, Z=Z
    )
    tail = published // 10
    ours, found = timed(lambda: [float(circular_variance(theta)) for theta in moves][-tail:])
    V, exact = sum(found) / tail, float(circular_variance(theta))
    note = (
        f"V = {V:.4f} after {published} steps ({min(found):.4f} to {max(found):.4f}), {exact:.4f} after {steps} of all"
    )
    return Row(
        f"step of {subset} nodes", f"n = {len(nodes)}", 1e3 * ours / published, "ms", "of all", 1e3 * theirs / steps,
        abs(V - exact), note=note,
    )  # fmt: skip


def _pixels(n: int, subset: int) -> list[Row]:
    """What an image would take, from a few of its rows."""
    rng, size = generator(), f"n = {n}"
    nodes = Points(torch.rand(n, 5, generator=rng), torch.arange(n) % 4, 4)
    network = CouplingNetwork(5, init="xavier", generator=rng)
    model = KuraNet(network, "l2", per_node=True).eval()
    with torch.no_grad():
        seconds, _ = timed(lambda: model.logits(nodes.x[:SAMPLE], nodes.x))
    hours = seconds * n / SAMPLE / 3600
    memory = ", ".join(f"{n**2 * dtype.itemsize / 1e9:.0f} GB in {name}" for name, dtype in KEPT.items())
    moves = subpopulations(model, nodes, nodes.start(rng), rng, steps=11, size=subset, dt=15.0)
    next(moves)
    step, _ = timed(lambda: list(moves))
    return [
        Row("field, made anew", size, hours, "h", note=f"{SAMPLE} rows took {seconds:.3g} s; kept: {memory}"),
        Row(f"step of {subset} nodes", size, 100 * step, "ms", note="logits of the subset made at each step"),
    ]


def phases(K: Any, nodes: Oscillators, steps: int) -> Tensor:
    """Phases after so many Euler steps from equal phases."""
    b, omega = nodes.b.double(), nodes.omega.double()
    drive = torch.stack([-b, torch.zeros_like(b)], dim=-1)
    theta = torch.zeros_like(b)
    return integrate(Kuramoto(omega), K, theta, [0.0, steps * DT], method="euler", dt=DT, drive=drive)[-1]


def relative(value: Tensor, exact: Tensor) -> float:
    """Largest error, relative to the largest entry."""
    return float((value - exact).abs().max() / exact.abs().max())


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returned."""
    begin = time.perf_counter()
    result = call()
    return time.perf_counter() - begin, result


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
