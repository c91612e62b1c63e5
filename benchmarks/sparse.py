"""Sparse Kuramoto network of the NetworkDynamics benchmark: N = 1000, 4000 directed links, T = 20; peers at 1e-6.

Watts-Strogatz graph of degree 4, ω uniform in [-1/2, 1/2]. Total strength per node K = 0.012 (that benchmark: almost
uncoupled) and K = 2 Kc with Kc = 2/π. States wanted at 10 times, as in that benchmark (JiTCODE's dopri5 starts anew at
each), or at T only. Ours at the tolerance that makes our error, at T, no larger than the peer's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from benchmarks.network import sparse_network
from benchmarks.peers import SPARSE, compare
from benchmarks.timing import Row

STRENGTHS = {"K = 0.012": 0.012, "K = 2 Kc": 4.0 / math.pi}
SAVES = {"10 saves": 11, "1 save": 2}


def run(N: int = 1000, peers: dict[str, Callable] = SPARSE, T: float = 20.0) -> list[Row]:
    """Rows for both strengths, both numbers of saves and every peer."""
    rows = []
    for name, strength in STRENGTHS.items():
        for saves, count in SAVES.items():
            network = sparse_network(N, strength, np.linspace(0.0, T, count))
            rows += compare(f"{name}, {saves}", f"N = {N}, {4 * N} links", network, peers)
    return rows
