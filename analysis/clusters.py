"""Clusters: groups of phases that are in step with themselves and apart from each other."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from array_api_compat import device

from analysis.checks import alike, integers, plain, require_positive
from analysis.labels import Dim, labelled
from analysis.order import direction, splay
from analysis.points import k_means
from oscillators.arrays import Array, namespace, unit_vector


@labelled(theta="node", labels="node")
def cluster_synchrony(
    theta: Array, labels: Any, *, k: int | None = None, normalize: str = "bound", dim: Dim = "node"
) -> Array:
    """Distance of k groups from being each in step and all in splay, ℓ = ((1/k) Σ_l V_l + S(ψ)) / B_k.

    V_l is the circular variance of group l, ψ_l its mean phase, S the distance `splay` of the mean phases from equal
    spacing, and B_k = 1 + (k/2) Σ_{g=1..⌊k/2⌋} 1/g² the sum of the largest values of both terms.

    Args:
        theta: phases in radians, shape (..., N); array, tensor (differentiable) or DataArray.
        labels: group of each node, an integer in 0..k−1, shape (N,), or (..., N) where runs have their own.
        k: number of groups, at least 2, by default the largest label + 1. Give it where a group may be absent: an empty
            one counts with V = 1 and ψ = 0.
        normalize: "bound" divides by B_k, "paper" by 2.
        dim: the dimension(s) of the nodes.

    Returns:
        ℓ, shape (...), in [0, 1] up to round-off if divided by the bound. 0: each group is in step, and the groups are
        equally spaced in any order. A group without resultant has ψ = 0 with gradient 0, as in `mean_phase`.

    Raises:
        TypeError: if labels are not integers.
        ValueError: if they do not match the nodes or lie outside 0..k−1, if k < 2, or for another normalisation.

    Note: the published code divides by B_k, which is the default here; eq. 5 of the paper divides by 2, which is B_k for
    k = 2 only and lets ℓ exceed 1 for more groups.

    Source: Ricci et al. 2021 (KuraNet), eq. 5.
    """
    labels = integers("labels", labels)
    k = int(labels.max()) + 1 if k is None else operator.index(k)
    theta, share = alike(theta, group_shares(labels, k, tuple(theta.shape)))
    xp = namespace(theta)
    x, y = xp.cos(theta)[..., None, :] @ share, xp.sin(theta)[..., None, :] @ share  # (..., 1, k)
    z = xp.stack([x, y], axis=-1)[..., 0, :, :]  # (..., k, 2): mean unit vector of each group
    variance = 1 - xp.mean(xp.linalg.vector_norm(z, axis=-1), axis=-1)
    return (variance + splay(direction(z))) / divisor(k, normalize)


def group_shares(labels: np.ndarray, k: int, shape: tuple[int, ...]) -> np.ndarray:
    """Weight 1/n_l of each member of group l, 0 of others, (..., N) -> (..., N, k); labels are held to the phases."""
    if k < 2:
        raise ValueError(f"`k` must be at least 2 groups, but is {k}; of a single group take `circular_variance`.")
    runs = zip(labels.shape[-2::-1], shape[-2::-1], strict=False)
    if labels.shape[-1:] != shape[-1:] or labels.ndim > len(shape) or any(n not in (1, m) for n, m in runs):
        raise ValueError(
            f"`labels` must have shape ({shape[-1]},), one per node, or fit the phases of shape {shape}, but is "
            f"{labels.shape}; label each node."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= k:
        raise ValueError(f"`labels` must be in 0..{k - 1}, but run from {low} to {high}; number from 0, or raise `k`.")
    member = labels[..., None] == np.arange(k)
    return member / np.maximum(member.sum(axis=-2, keepdims=True), 1)  # an empty group: all weights 0


def divisor(k: int, normalize: str) -> float:
    """What the two terms of the cluster loss are divided by."""
    if normalize not in ("bound", "paper"):
        raise ValueError(f'`normalize` must be "bound" or "paper", but is {normalize!r}; choose one.')
    return 2.0 if normalize == "paper" else 1 + k / 2 * sum(1 / g**2 for g in range(1, k // 2 + 1))


@labelled(theta="node", gives="node")
def phase_clusters(
    theta: Array, k: int, *, rng: int | np.random.Generator | None = None, restarts: int = 10, dim: Dim = "node"
) -> Array:
    """Cluster of each phase, found by k-means of the points (cos θ, sin θ), so that no cut at 2π exists.

    Args:
        theta: phases in radians, shape (..., N); array, tensor or DataArray. Every row is clustered by itself.
        k: number of clusters, 1 <= k <= N.
        rng: seed or Generator for the first centres.
        restarts: how many first centres are tried; the tightest clusters win.
        dim: the dimension(s) of the nodes.

    Returns:
        Integers in 0..k−1, shape (..., N), numbered by the mean phase of the clusters from −π to π; fewer of them where
        fewer than k phases differ.

    Raises:
        ValueError: if k is not in 1..N, or a phase is not finite.
    """
    N, k = theta.shape[-1], operator.index(k)
    if not 1 <= k <= N:
        raise ValueError(f"`k` must be in 1..{N}, the number of nodes, but is {k}; ask for fewer clusters.")
    require_positive(restarts=restarts)
    rows = plain(theta)
    if not np.isfinite(rows).all():
        raise ValueError("`theta` must be finite, but holds infinity or NaN; cut the run where it fails.")
    rng = np.random.default_rng(rng)
    labels = [_by_phase(row, k, restarts, int(rng.integers(2**31))) for row in rows.reshape(-1, N)]
    return namespace(theta).asarray(np.reshape(labels, rows.shape), device=device(theta))


def _by_phase(theta: np.ndarray, k: int, restarts: int, seed: int) -> np.ndarray:
    """Clusters of one row of phases, numbered by their mean phase."""
    labels, centres = k_means(unit_vector(theta), k, restarts, seed)
    return np.argsort(np.argsort(direction(centres)))[labels]
