"""What should happen: closed forms and self-consistent solutions that simulations are compared with.

Numbers and NumPy arrays in, NumPy out.
"""

from analysis.theory.amplitude import amplitude_death_range, limit_cycle_frequency, limit_cycle_radius
from analysis.theory.locking import (
    LockedStates,
    beat_frequency,
    delayed_locked_states,
    locked_phase_difference,
    locking_range,
    sakaguchi_frequency,
    two_phase_difference,
)
from analysis.theory.network import locked_order
from analysis.theory.ring import twisted_eigenvalues, twisted_frequency, twisted_state
from analysis.theory.simplicial import simplicial_branches, simplicial_fold
from analysis.theory.sphere import sphere_onset, sphere_order
from analysis.theory.transition import (
    critical_coupling,
    gaussian,
    lorentzian,
    lorentzian_order,
    ott_antonsen_order,
    stationary_order,
)

__all__ = [
    "LockedStates",
    "amplitude_death_range",
    "beat_frequency",
    "critical_coupling",
    "delayed_locked_states",
    "gaussian",
    "limit_cycle_frequency",
    "limit_cycle_radius",
    "locked_order",
    "locked_phase_difference",
    "locking_range",
    "lorentzian",
    "lorentzian_order",
    "ott_antonsen_order",
    "sakaguchi_frequency",
    "simplicial_branches",
    "simplicial_fold",
    "sphere_onset",
    "sphere_order",
    "stationary_order",
    "twisted_eigenvalues",
    "twisted_frequency",
    "twisted_state",
    "two_phase_difference",
]
