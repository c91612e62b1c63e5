"""Start-up: the first call in a new process, with an empty and with a filled cache of machine code.

Cold: NUMBA_CACHE_DIR is a fresh folder. Cached: a second process with the same folder. The budget is 5 s and 0.5 s.
Compilations: how many functions numba compiles when K, ω, τ, N, dt, the tolerances or the members of a second run differ.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

from benchmarks.timing import Row

SCRIPT = """
import json, sys, time
begin = time.perf_counter()
import numpy as np
import oscillators as o
imported = time.perf_counter()
from numba.core import event

def once(kind, N, K, omega, dt, tau, members=()):
    theta = np.linspace(0.0, 6.0, N) * np.ones((*members, 1))
    system = o.Kuramoto(omega * np.linspace(-1.0, 1.0, N))
    if kind == "adaptive":
        return o.simulate(system, o.Dense(K * np.ones((N, N)) / N), theta, [0.0, 1.0], method="dopri5", rtol=dt, atol=dt)
    if kind == "fixed":
        return o.simulate(system, o.MeanField(K), theta, [0.0, 1.0], method="rk4", dt=dt)
    ring = np.arange(N)
    links = o.Delayed(o.Edges(ring, (ring + 1) % N, np.full(N, K), N), tau * np.linspace(1.0, 2.0, N))
    return o.simulate(system, links, theta, [0.0, 1.0], method="rk4", dt=dt, history=theta)

kind = sys.argv[1]
once(kind, 50, 1.0, 1.0, 0.01, 0.3)
first = time.perf_counter()
once(kind, 50, 1.0, 1.0, 0.01, 0.3)
second = time.perf_counter()
with event.install_recorder("numba:compile") as recorder:
    for change in (dict(N=70), dict(K=2.0), dict(omega=3.0), dict(dt=0.02), dict(tau=0.4), dict(members=(3,))):
        once(kind, **(dict(N=50, K=1.0, omega=1.0, dt=0.01, tau=0.3) | change))
print(json.dumps([imported - begin, first - imported, second - first, len(recorder.buffer)]))
"""
BUDGET = {"cold": 5000.0, "cached": 500.0}  # milliseconds


def run(kinds: tuple[str, ...] = ("adaptive", "fixed", "delayed")) -> list[Row]:
    """Rows for every kind of run, cold and cached."""
    rows = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            for state, budget in BUDGET.items():
                imported, first, second, compiled = _process(kind, folder)
                note = f"import {1e3 * imported:.0f} ms, next call {1e3 * second:.2g} ms, {compiled} compilations later"
                rows.append(Row("first call", f"{kind}, {state}", 1e3 * first, "ms", "budget", budget, note=note))
    return rows


def _process(kind: str, folder: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, kind],
        env=os.environ | {"NUMBA_CACHE_DIR": folder},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
