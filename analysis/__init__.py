"""What happened: observables of oscillator systems as pure functions of arrays.

NumPy in, NumPy out; tensor in, tensor out with gradient; DataArray in, DataArray out. Theory to compare with is in
`analysis.theory`, pictures are in `analysis.plot`; both load on first use.
"""

import importlib
from typing import Any

from analysis.clusters import cluster_synchrony, phase_clusters, symmetric_best_dice
from analysis.energy import lyapunov_function, phase_energy, sphere_energy
from analysis.graphs import fan_in_map, graph_autocorrelation
from analysis.order import (
    circular_variance,
    daido_moment,
    local_order_parameter,
    mean_phase,
    order_parameter,
    splay,
)
from analysis.synchrony import chimera_index, effective_frequency, metastability, phase_locking_value

__all__ = [
    "chimera_index",
    "circular_variance",
    "cluster_synchrony",
    "daido_moment",
    "effective_frequency",
    "fan_in_map",
    "graph_autocorrelation",
    "local_order_parameter",
    "lyapunov_function",
    "mean_phase",
    "metastability",
    "order_parameter",
    "phase_clusters",
    "phase_energy",
    "phase_locking_value",
    "sphere_energy",
    "splay",
    "symmetric_best_dice",
]


def __getattr__(name: str) -> Any:
    """Import `analysis.theory` and `analysis.plot` when they are first named: matplotlib and SciPy are slow to load."""
    if name in ("plot", "theory"):
        return importlib.import_module(f"analysis.{name}")
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
