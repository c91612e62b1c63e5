"""What moves: systems, couplings, and the engine that integrates them.

dx/dt = law(t, x, h),    h = K[lift(x)] + c(t),    x <- project(x) after each step
"""

from oscillators.amplitude import StuartLandau
from oscillators.contract import check_system
from oscillators.coupling import Coupling, Dense, Diffusive, MeanField, as_coupling
from oscillators.delayed import Delayed
from oscillators.edges import Edges
from oscillators.files import read_graph
from oscillators.phase import InertialKuramoto, Kuramoto, PhaseSystem, Winfree
from oscillators.simplicial import SimplicialKuramoto
from oscillators.simulate import simulate
from oscillators.sphere import SphereKuramoto
from oscillators.stencil import Stencil
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
    "SimplicialKuramoto",
    "SphereKuramoto",
    "Stencil",
    "StuartLandau",
    "System",
    "TopographicOscillators",
    "Winfree",
    "as_coupling",
    "check_system",
    "read_graph",
    "simulate",
]
