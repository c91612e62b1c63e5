"""Segmentations: labels of places, scored by the sets of equal label that they share with others, whatever their names.

A label map of an image has shape (height, width). Leading axes, such as those of images or of numbers of clusters, are
kept and broadcast: labels found with several numbers of clusters, (k, image, height, width), are scored at once against
the true ones, (image, height, width).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import device

from analysis.checks import integers, ratio
from analysis.labels import Dim, labelled
from oscillators.arrays import Array, namespace

IMAGE = ("height", "width")


@labelled(found="node", truth="node", integer=True)
def fg_ari(
    found: Array, truth: Any, *, background: int | None = 0, ignore: int = -1, empty: float = 1.0, dim: Dim = IMAGE
) -> Array:
    """Adjusted Rand index of the places of objects: agreement about which pairs of places belong together.

        ARI = (S − E) / ((A + B)/2 − E),   S = Σ_ij C(n_ij, 2),   A = Σ_i C(a_i, 2),   B = Σ_j C(b_j, 2),   E = A B / C(n, 2)

    n_ij places lie in cluster i and object j, a_i and b_j are their sums, n their number; E is what chance gives S.

    Args:
        found: clusters as integers, shape (..., height, width); array, tensor or DataArray.
        truth: objects as integers, of the same shape or fit for broadcasting.
        background: true label of the background, whose places do not count. None: they count as those of an object
            (ARI over all places, "ARI-FULL").
        ignore: true label of places that never count, such as overlaps.
        empty: score of an image without objects.
        dim: the dimension(s) of the places.

    Returns:
        Score of each image, shape (...), at most 1, and 0 on average for clusters by chance. A single object scores 1 in
        one cluster and 0 in several.

    Raises:
        TypeError: if labels are not integers.
        ValueError: if the shapes do not fit.

    Note: an image without objects scores 1 in the tables of AKOrN; pass empty=nan to leave it out of a mean by nanmean.
    Source: Hubert & Arabie 1985; without background Greff et al. 2019.
    """
    shared, _, labels = image_overlaps(found, truth)
    shared = shared[..., (labels != background) & (labels != ignore)]  # (..., cluster, object); None differs from all
    n = shared.sum(axis=(-2, -1))
    S, A, B = pairs(shared).sum((-2, -1)), pairs(shared.sum(-1)).sum(-1), pairs(shared.sum(-2)).sum(-1)
    E = A * (B / np.maximum(pairs(n), 1))  # in this order equal to A where A = B = C(n, 2)
    score = np.nan_to_num(ratio(S - E, (A + B) / 2 - E), nan=1.0)  # 0/0: one set in both, or only sets of one place
    return of_kind(found, np.where(n > 0, score, empty))


@labelled(found="node", truth="node", integer=True)
def mean_best_overlap(
    found: Array, truth: Any, *, background: int = 0, ignore: int = -1, empty: float = np.nan, dim: Dim = IMAGE
) -> Array:
    """Mean over objects of the largest overlap |i ∩ j| / |i ∪ j| of object j with any cluster i.

    Args:
        found: clusters as integers, shape (..., height, width); array, tensor or DataArray.
        truth: objects as integers, of the same shape or fit for broadcasting: instances for MBO_i, classes for MBO_c.
        background: true label of the background, which is no object; its places count in the size of a cluster.
        ignore: label of places that do not count where it is true, and are in no cluster where it is found.
        empty: score of an image without objects.
        dim: the dimension(s) of the places.

    Returns:
        Score of each image, shape (...), in [0, 1]; NaN without objects. The score of a data set is their nanmean
        (a DataArray's `mean`).

    Raises:
        TypeError: if labels are not integers.
        ValueError: if the shapes do not fit.

    Note: the text of AKOrN seeks the best object of each cluster, its code the best cluster of each object, as here and
    in the literature. Its code writes −1 for an image without objects, and leaves it out of the mean.
    Source: Pont-Tuset et al. 2017.
    """
    shared, clusters, labels = image_overlaps(found, truth)
    shared, labels = shared[..., labels != ignore], labels[labels != ignore]
    union = shared.sum(-1, keepdims=True) + shared.sum(-2, keepdims=True) - shared
    overlap = (shared / np.maximum(union, 1))[..., clusters != ignore, :]
    best = overlap.max(axis=-2, initial=0.0)  # (..., label)
    present = (shared.sum(-2) > 0) & (labels != background)
    score = ratio((best * present).sum(-1), present.sum(-1))
    return of_kind(found, np.where(present.any(-1), score, empty))


def symmetric_best_dice(a: Any, b: Any, *, ignore: int | None = None) -> float:
    """Likeness of two labelings, the smaller of BD(a, b) and BD(b, a), BD = mean_i max_j 2|a_i ∩ b_j| / (|a_i| + |b_j|).

    a_i are the sets of equal label in a, b_j those in b. Names of labels do not matter.

    Args:
        a: integer labels, such as `phase_clusters` of an image; any shape; array, tensor or DataArray.
        b: integer labels of the same shape, such as the true segments.
        ignore: a label, such as that of the background, whose set takes no part in either labeling; its places still
            count in the sizes of the sets they belong to in the other labeling.

    Returns:
        Score in [0, 1]. 1: the same sets.

    Raises:
        TypeError: if labels are not integers.
        ValueError: if the shapes differ, or nothing is left to compare.

    Source: Scharr et al. 2016 (leaf segmentation).
    """
    a, b = integers("a", a), integers("b", b)
    if a.shape != b.shape:
        raise ValueError(f"`b` must have the shape of `a`, {a.shape}, but is {b.shape}; give one label per place.")
    shared, names_a, names_b = overlaps(a.ravel(), b.ravel())
    dice = 2 * shared / (shared.sum(axis=1, keepdims=True) + shared.sum(axis=0))
    dice = dice[names_a != ignore][:, names_b != ignore]  # None differs from every label
    if dice.size == 0:
        raise ValueError(f"`a` and `b` must hold labels to compare, but hold none other than {ignore}; pass segments.")
    return float(min(dice.max(axis=1).mean(), dice.max(axis=0).mean()))


def image_overlaps(found: Array, truth: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`overlaps` of the clusters and objects of each image, after a look at their labels."""
    found, truth = integers("found", found), integers("truth", truth)
    images = zip(found.shape[-2::-1], truth.shape[-2::-1], strict=False)
    if found.shape[-1:] != truth.shape[-1:] or any(m != n and 1 not in (m, n) for m, n in images):
        raise ValueError(
            f"`truth` must label the {found.shape[-1]} places of `found` in each image, but their shapes (..., place) are "
            f"{truth.shape} and {found.shape}; give both the same images."
        )
    return overlaps(found, truth)


def overlaps(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes |a_i ∩ b_j| for all pairs of labels, (..., N), (..., N) -> (..., i, j), and the sorted labels i and j."""
    names_a, names_b = np.unique(a), np.unique(b)
    a, b = np.broadcast_arrays(np.searchsorted(names_a, a), np.searchsorted(names_b, b))
    table = len(names_a) * len(names_b)
    rows = np.arange(a.size // a.shape[-1])[:, None]
    cells = rows * table + (a * len(names_b) + b).reshape(len(rows), -1)
    counts = np.bincount(cells.ravel(), minlength=len(rows) * table)
    return counts.reshape(*a.shape[:-1], len(names_a), len(names_b)), names_a, names_b


def pairs(n: np.ndarray) -> np.ndarray:
    """Number of pairs C(n, 2); floating point, for products of pairs of a large image overflow integers."""
    return n * (n - 1) / 2


def of_kind(found: Array, score: np.ndarray) -> Array:
    """Scores as an array of the kind of the labels, on their device."""
    return namespace(found).asarray(score, device=device(found))
