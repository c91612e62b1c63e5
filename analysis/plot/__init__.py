"""Pictures of phases, of their order, of what order depends on, and of what networks make of it.

Every function takes labelled data (of a Dataset its variable `theta`), arrays or tensors, draws into `ax` or into a new
figure, and returns the Axes, or the path of the file it wrote. Phases are wrapped here and nowhere else.
"""

from analysis.plot.motion import animate, lattice, lattice_frames, order, phase_disc, phases
from analysis.plot.reading import wrap
from analysis.plot.relation import fan_in, landscape, loss_against_autocorrelation, transition
from analysis.plot.scores import accuracy_against_energy, reliability, score_against_clusters
from analysis.plot.segments import segment_map, segment_maps

__all__ = [
    "accuracy_against_energy",
    "animate",
    "fan_in",
    "landscape",
    "lattice",
    "lattice_frames",
    "loss_against_autocorrelation",
    "order",
    "phase_disc",
    "phases",
    "reliability",
    "score_against_clusters",
    "segment_map",
    "segment_maps",
    "transition",
    "wrap",
]
