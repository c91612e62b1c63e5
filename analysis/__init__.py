"""What happened: observables of oscillator systems as pure functions of arrays.

NumPy in, NumPy out; tensor in, tensor out with gradient; DataArray in, DataArray out. Theory to compare with is in
`analysis.theory`, pictures are in `analysis.plot`; both load on first use.
"""

import importlib
from typing import Any

from analysis.calibration import expected_calibration_error
from analysis.clusters import cluster_synchrony, phase_clusters
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
from analysis.points import point_clusters, separability
from analysis.segmentation import fg_ari, mean_best_overlap, symmetric_best_dice
from analysis.spectra import analytic_signal, direction_index, dispersion_ridge, spectral_contrast
from analysis.stability import lyapunov_spectrum
from analysis.synchrony import chimera_index, effective_frequency, metastability, phase_locking_value
from analysis.waves import (
    circular_correlation,
    long_wave_fraction,
    phase_gradient,
    roll_equivariance,
    wave_fraction,
    wave_velocity,
    winding_number,
)

__all__ = [
    "analytic_signal",
    "chimera_index",
    "circular_correlation",
    "circular_variance",
    "cluster_synchrony",
    "daido_moment",
    "direction_index",
    "dispersion_ridge",
    "effective_frequency",
    "expected_calibration_error",
    "fan_in_map",
    "fg_ari",
    "graph_autocorrelation",
    "local_order_parameter",
    "long_wave_fraction",
    "lyapunov_function",
    "lyapunov_spectrum",
    "mean_best_overlap",
    "mean_phase",
    "metastability",
    "order_parameter",
    "phase_clusters",
    "phase_energy",
    "phase_gradient",
    "phase_locking_value",
    "point_clusters",
    "roll_equivariance",
    "separability",
    "spectral_contrast",
    "sphere_energy",
    "splay",
    "symmetric_best_dice",
    "wave_fraction",
    "wave_velocity",
    "winding_number",
]


def __getattr__(name: str) -> Any:
    """Import `analysis.theory` and `analysis.plot` when they are first named: matplotlib and SciPy are slow to load."""
    if name in ("plot", "theory"):
        return importlib.import_module(f"analysis.{name}")
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
