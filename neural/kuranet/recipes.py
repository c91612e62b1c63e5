"""Ready recipes for 10,000 training nodes: the published ones, and ours, which need no lucky seed.

Published: of ten seeds the best is reported. Moons, circles and spirals have no public configuration; they train with that
of the Gaussians, whose published gradient is the continuous adjoint of Euler steps and is exact here.

Ours: Adam with a falling rate, standardised features, exact gradients of every step. With the fields of Case II runs become
longer during the training, with the delays of Case III the loss counts from the first step. Clusters start anywhere on the
circle and run for 1 to 400 steps, short ones first: these have no antipodal states to be caught in, long ones sharpen the
borders. Networks of 50 nodes train faster, with h ∝ √n.
"""

from dataclasses import replace
from math import sqrt

from neural.kuranet.model import Horizon
from neural.kuranet.train import Recipe

CASE_I = Recipe(lr=5e-4, clip=1.0, epochs=2)
CASE_II = Recipe(lr=1e-2, clip=1.0, epochs=2)
CASE_III = Recipe(lr=5e-2, momentum=0.5, clip=5.0, epochs=3)
CLUSTERS = Recipe(
    lr=5e-5,
    clip=10.0,
    epochs=3,
    optimizer="adam",
    horizon=Horizon(dt=15.0, burn_in=0, window=100),
    kind="l2",
    per_node=True,
    init="xavier",
)
IMAGE = Recipe(
    lr=5e-4,
    clip=10.0,
    epochs=5,
    nodes=1000,
    horizon=Horizon(dt=15.0, burn_in=200, window=50),
    kind="l2",
    per_node=True,
    init="xavier",
)

OUR_CASES = Recipe(
    lr=1e-3,
    clip=1.0,
    epochs=6,
    optimizer="adam",
    cosine=True,
    standardised=True,
    horizon=Horizon(truncated=False),
)
OUR_CASE_II = replace(OUR_CASES, epochs=5, growth=0.6, horizon=Horizon(burn_in=250, window=50, truncated=False))
OUR_CASE_III = replace(OUR_CASES, horizon=Horizon(burn_in=0, window=150, truncated=False))
OUR_CLUSTERS = Recipe(
    lr=1e-3,
    clip=10.0,
    epochs=10,
    nodes=50,
    optimizer="adam",
    cosine=True,
    standardised=True,
    uniform=True,
    varied=True,
    growth=0.5,
    horizon=Horizon(dt=15.0 * sqrt(50 / 100), burn_in=0, window=400),
    kind="l2",
    per_node=True,
    init="xavier",
)
