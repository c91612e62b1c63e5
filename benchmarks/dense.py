"""Dense Kuramoto networks, T = 10, peers at tolerance 1e-6, ours at the tolerance that makes our error no larger.

"simulate" is the whole public call with its labelled result, "engine" the integration of a network laid out before.
Errors: largest phase difference at T from DOP853 at tolerance 1e-12. The first call of a peer includes its compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.network import dense_network
from benchmarks.peers import DENSE, compare
from benchmarks.timing import Row


def run(sizes: Sequence[int] = (100, 1000), peers: dict[str, Callable] = DENSE, T: float = 10.0) -> list[Row]:
    """Rows for every size and peer."""
    return [row for N in sizes for row in compare("dense", f"N = {N}", dense_network(N, T), peers)]
