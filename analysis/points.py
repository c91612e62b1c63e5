"""Clusters of points in space, such as the features of pixels, and how far apart they lie."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from analysis.checks import integers, plain, require_positive
from analysis.labels import Dim, labelled
from oscillators.arrays import Array, namespace


@labelled(x="node component", among="node", gives="node")
def point_clusters(
    x: Array,
    k: Any,
    *,
    among: Any = None,
    rng: int | np.random.Generator | None = None,
    restarts: int = 10,
    dim: Dim = "node",
) -> Array:
    """Cluster of each point, found by k-means; the points of every image are clustered by themselves.

    Args:
        x: points, shape (..., N, d); array, tensor or DataArray. Of pixels pass dim=("height", "width") and (..., H, W, d).
        k: number of clusters, at least 1: one for all, or one for each image, shape (...).
        among: whether a point takes part, booleans of shape (..., N); None: all do.
        rng: seed or Generator for the first centres.
        restarts: how many first centres are tried (k-means++); the tightest clusters win.
        dim: the dimension(s) of the points.

    Returns:
        Integers in 0..k−1, shape (..., N), in no order; −1 where a point takes no part. Fewer than k where fewer points differ.

    Raises:
        ValueError: if an image has fewer points than clusters, or a point is not finite.
    """
    points = plain(x)
    if not np.isfinite(points).all():
        raise ValueError("`x` must be finite, but holds infinity or NaN; cut the run where it fails.")
    require_positive(restarts=restarts)
    shape, d = points.shape[:-1], points.shape[-1]
    part = np.broadcast_to(True if among is None else plain(among).astype(bool), shape).reshape(-1, shape[-1])
    number = np.broadcast_to(integers("k", k), shape[:-1]).ravel()
    labels, rng = np.full(part.shape, -1), np.random.default_rng(rng)
    for row, chosen, few, found in zip(points.reshape(-1, shape[-1], d), part, number, labels, strict=True):
        found[chosen] = k_means(row[chosen], int(few), restarts, int(rng.integers(2**31)))[0]
    return namespace(x).asarray(labels.reshape(shape), device=device(x))


def k_means(points: np.ndarray, k: int, restarts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and centres of points (N, d)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if not 1 <= k <= len(points):
        raise ValueError(f"`k` must be in 1..{len(points)}, the number of points, but is {k}; ask for fewer clusters.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer than k different points
        found = KMeans(k, n_init=restarts, random_state=seed).fit(points)
    return found.labels_, found.cluster_centers_


class Separability(NamedTuple):
    """Mean squares of differences per dimension, one of each for every image.

    Args:
        inter_min, inter_max, inter_mean, inter_std: over pairs of different cluster centres; NaN with a single cluster.
        intra: of points from the centre of their cluster; clusters weigh equally.
    """

    inter_min: np.ndarray
    inter_max: np.ndarray
    inter_mean: np.ndarray
    inter_std: np.ndarray
    intra: np.ndarray


def separability(x: Any, labels: Any) -> Separability:
    """How far clusters of points lie apart, and how wide they are.

        inter_ij = mean_a (c_ia - c_ja)²,   intra = mean_i mean_(p in i, a) (x_pa - c_ia)²,   c_i the mean of cluster i

    These are squared distances, averaged over the d dimensions, not angles.

    Args:
        x: points, shape (..., N, d). labels: their clusters as integers, shape (..., N); a negative label takes no part.

    Raises:
        TypeError: if labels are not integers.
        ValueError: if the shapes do not fit, or an image has no cluster.
    """
    points, clusters = plain(x), integers("labels", labels)
    if points.shape[:-1] != clusters.shape:
        raise ValueError(
            f"`labels` must have the shape {points.shape[:-1]} of the points `x`, but is {clusters.shape}; label each point."
        )
    rows = zip(points.reshape(-1, *points.shape[-2:]), clusters.reshape(-1, clusters.shape[-1]), strict=True)
    found = np.array([_separability(row, names) for row, names in rows])
    return Separability(*found.T.reshape(5, *clusters.shape[:-1]))


def _separability(x: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """The five numbers of one image."""
    members = [x[labels == name] for name in np.unique(labels[labels >= 0])]
    if not members:
        raise ValueError("`labels` must hold a cluster in every image, but are all negative in one; leave it out.")
    centres = np.array([points.mean(axis=0) for points in members])
    intra = np.mean([np.square(points - c).mean() for points, c in zip(members, centres, strict=True)])
    squares = np.square(centres[:, None] - centres).mean(axis=-1)
    inter = squares[~np.eye(len(centres), dtype=bool)]
    if not inter.size:
        return (np.nan, np.nan, np.nan, np.nan, intra)
    return inter.min(), inter.max(), inter.mean(), inter.std(), intra
