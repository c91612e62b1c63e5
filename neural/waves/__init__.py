"""Wave networks: oscillators on sheets that learn, and their relatives.

coRNN (Rusch and Mishra 2021), Neural Wave Machines (Keller and Welling 2023), wave-RNN (Keller et al. 2024) and the exactly
solvable complex network (Muller, Budzinski and others).
"""

from neural.waves.cell import Orbit, OscillatorCell
from neural.waves.connectivity import AllToAll, Connectivity, Diagonal, Sparse
from neural.waves.constants import Constants
from neural.waves.continuous import continuous
from neural.waves.first_order import WaveCell, identity_rnn, wave_rnn
from neural.waves.images import ImageSequenceModel
from neural.waves.latent import equivariance_error, induced
from neural.waves.linear import multipliers
from neural.waves.local import Local, OneWay, Untied
from neural.waves.physics import PhysicsModel
from neural.waves.published import join_cornn, network_from, split_cornn
from neural.waves.segmentation import segment
from neural.waves.sequence import SequenceNetwork, cornn, wave_machine
from neural.waves.sheet import DrivenSheet
from neural.waves.solvable import complex_coupling, design_input, evolve, kuramoto_step, modes, power_law_ring
from neural.waves.stability import Stability, diagnose, position_bound
from neural.waves.unicornn import UnICORNN

__all__ = [
    "AllToAll",
    "Connectivity",
    "Constants",
    "Diagonal",
    "DrivenSheet",
    "ImageSequenceModel",
    "Local",
    "OneWay",
    "Orbit",
    "OscillatorCell",
    "PhysicsModel",
    "SequenceNetwork",
    "Sparse",
    "Stability",
    "UnICORNN",
    "Untied",
    "WaveCell",
    "complex_coupling",
    "continuous",
    "cornn",
    "design_input",
    "diagnose",
    "equivariance_error",
    "evolve",
    "identity_rnn",
    "induced",
    "join_cornn",
    "kuramoto_step",
    "modes",
    "multipliers",
    "network_from",
    "position_bound",
    "power_law_ring",
    "segment",
    "split_cornn",
    "wave_machine",
    "wave_rnn",
]
