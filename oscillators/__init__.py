"""What moves: systems, couplings, and the engine that integrates them.

dx/dt = law(t, x, h),    h = K[lift(x)] + c(t),    x <- project(x) after each step
"""

import importlib
from typing import Any

from oscillators.amplitude import StuartLandau
from oscillators.contract import check_system
from oscillators.coupling import Coupling, Dense, Diffusive, MeanField, as_coupling
from oscillators.delayed import Delayed
from oscillators.edges import Edges
from oscillators.files import read_graph
from oscillators.phase import InertialKuramoto, Kuramoto, PhaseSystem, Winfree
from oscillators.recorded import Recorded
from oscillators.simplicial import SimplicialKuramoto
from oscillators.simulate import simulate
from oscillators.sphere import SphereKuramoto
from oscillators.stencil import Stencil
from oscillators.sweep import sweep
from oscillators.system import System
from oscillators.topographic import TopographicOscillators

__all__ = [
    "Coupling",
    "Delayed",
    "Dense",
    "Diffusive",
    "Edges",
    "InertialKuramoto",
    "Kuramoto",
    "MeanField",
    "PhaseSystem",
    "Recorded",
    "SimplicialKuramoto",
    "SphereKuramoto",
    "Stencil",
    "StuartLandau",
    "System",
    "TopographicOscillators",
    "Winfree",
    "as_coupling",
    "check_system",
    "integrate",
    "read_graph",
    "simulate",
    "sweep",
    "tangent_maps",
]


_ON_TENSORS = {"integrate": "gradients", "tangent_maps": "tangent"}  # name -> module; torch is slow to load


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first named."""
    if name in _ON_TENSORS:
        return getattr(importlib.import_module(f"oscillators.{_ON_TENSORS[name]}"), name)
    raise AttributeError(f"module 'oscillators' has no attribute {name!r}")
