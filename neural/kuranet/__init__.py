"""KuraNet: couplings learned from the features of the nodes, for networks that synchronise (Ricci et al. 2021)."""

from neural.kuranet.couplings import normalize_couplings
from neural.kuranet.data import circles, gaussians, halves, image, moons, oscillators, spirals
from neural.kuranet.large import Streamed
from neural.kuranet.losses import cohn
from neural.kuranet.model import Horizon, KuraNet, Run, run
from neural.kuranet.network import CouplingNetwork
from neural.kuranet.nodes import Oscillators, Points
from neural.kuranet.recipes import CASE_I, CASE_II, CASE_III, CLUSTERS, IMAGE
from neural.kuranet.rows import all_logits
from neural.kuranet.subpopulation import subpopulations
from neural.kuranet.train import Recipe, Training, evaluate, train

__all__ = [
    "CASE_I",
    "CASE_II",
    "CASE_III",
    "CLUSTERS",
    "IMAGE",
    "CouplingNetwork",
    "Horizon",
    "KuraNet",
    "Oscillators",
    "Points",
    "Recipe",
    "Run",
    "Streamed",
    "Training",
    "all_logits",
    "circles",
    "cohn",
    "evaluate",
    "gaussians",
    "halves",
    "image",
    "moons",
    "normalize_couplings",
    "oscillators",
    "run",
    "spirals",
    "subpopulations",
    "train",
]
