"""Every observable once, as the contract tests call it: state in, number out, everything else fixed.

A new observable is tested by adding it here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import analysis

HEIGHT, WIDTH = 3, 4
N = HEIGHT * WIDTH
T = 5
TIMES = np.array([0.0, 0.3, 0.5, 1.1, 2.0])
GROUPS = np.arange(N) % 3
_rng = np.random.default_rng(20)
K = _rng.normal(size=(N, N))
DRIVE = _rng.normal(size=(N, 3))


@dataclass(frozen=True)
class Member:
    """An observable with its fixed arguments, and what must hold of it."""

    name: str
    call: Callable[..., Any]  # (state, **keywords); phases (run, time, node), unit vectors (run, time, node, component)
    vectors: bool = False
    gives_nodes: int = 0  # how many node axes the result has
    rotates: bool = False  # a common shift of all phases leaves it unchanged
    symmetric: bool = False  # a permutation of the nodes leaves it unchanged


def _timed(theta: Any, **keywords: Any) -> Any:
    return analysis.effective_frequency(theta, TIMES, **keywords)


MEMBERS = [
    Member("order_parameter", analysis.order_parameter, rotates=True, symmetric=True),
    Member("mean_phase", analysis.mean_phase, symmetric=True),
    Member("daido_moment", lambda s, **k: analysis.daido_moment(s, 2, **k), symmetric=True),
    Member(
        "local_order_parameter", lambda s, **k: analysis.local_order_parameter(s, K, **k), gives_nodes=1, rotates=True
    ),
    Member("circular_variance", analysis.circular_variance, rotates=True, symmetric=True),
    Member("splay", analysis.splay, rotates=True, symmetric=True),
    Member("cluster_synchrony", lambda s, **k: analysis.cluster_synchrony(s, GROUPS, **k), rotates=True),
    Member("phase_energy", lambda s, **k: analysis.phase_energy(s, K, **k), rotates=True),
    Member("lyapunov_function", lambda s, **k: analysis.lyapunov_function(s, K, DRIVE, **k), vectors=True),
    Member("sphere_energy", lambda s, **k: analysis.sphere_energy(s, K, DRIVE, **k), vectors=True),
    Member("effective_frequency", _timed, gives_nodes=1, rotates=True),
    Member("phase_locking_value", analysis.phase_locking_value, gives_nodes=2, rotates=True),
    Member("metastability", lambda s, **k: analysis.metastability(s, GROUPS, **k), rotates=True),
    Member("chimera_index", lambda s, **k: analysis.chimera_index(s, GROUPS, **k), rotates=True),
    Member("graph_autocorrelation", lambda s, **k: analysis.graph_autocorrelation(s, K, **k), vectors=True),
]

OF_OTHER_KIND = [  # labels, scores of labels, maps, waves on one axis: tested alone
    "analytic_signal",
    "circular_correlation",
    "direction_index",
    "dispersion_ridge",
    "expected_calibration_error",
    "fan_in_map",
    "fg_ari",
    "long_wave_fraction",
    "lyapunov_spectrum",
    "mean_best_overlap",
    "phase_clusters",
    "phase_gradient",
    "point_clusters",
    "roll_equivariance",
    "separability",
    "spectral_contrast",
    "symmetric_best_dice",
    "wave_fraction",
    "wave_velocity",
    "winding_number",
]


def random_state(member: Member, seed: int = 0) -> np.ndarray:
    """Phases (2, T, N), or unit vectors (2, T, N, 3)."""
    state = np.random.default_rng(seed).normal(size=(2, T, N, 3) if member.vectors else (2, T, N))
    return state / np.linalg.norm(state, axis=-1, keepdims=True) if member.vectors else 2 * state
