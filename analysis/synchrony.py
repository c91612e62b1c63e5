"""Synchrony: what phases do together in the course of time."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.checks import alike, require_several
from analysis.labels import Dim, labelled
from oscillators.arrays import Array, namespace, unit_vector


@labelled(theta="time node", t="time", gives="node", unit="rad / time")
def effective_frequency(theta: Array, t: Array | None = None, *, dim: Dim = "node") -> Array:
    """Mean angular velocity Ω_i = (θ_i(t_end) − θ_i(t_0)) / (t_end − t_0) of each node.

    Args:
        theta: unwrapped phases in radians, shape (..., T, N), T >= 2; array, tensor (differentiable) or DataArray.
        t: times, shape (T,); of a DataArray by default its coordinate `time`.
        dim: the dimension(s) of the nodes; the time is `time`.

    Returns:
        Ω in radians per unit of time, shape (..., N). Its error falls as 1/(t_end − t_0) for bounded fluctuations; drop
        the transient first.

    Raises:
        ValueError: without times, or if they do not match `theta`, or end where they begin.
    """
    if t is None:
        raise ValueError("`t` must be given where `theta` has no coordinate `time`, but is None; pass the times.")
    T = theta.shape[-2]
    require_several("theta", T, "times")
    if tuple(t.shape) != (T,):
        raise ValueError(f"`t` must have shape ({T},), one time per row of `theta`, but is {tuple(t.shape)}; cut it.")
    theta, t = alike(theta, t)
    if not t[-1] > t[0]:
        raise ValueError(f"`t` must increase, but runs from {float(t[0])} to {float(t[-1])}; sort times and phases.")
    return (theta[..., -1, :] - theta[..., 0, :]) / (t[-1] - t[0])


@labelled(theta="time node", gives="node node")
def phase_locking_value(theta: Array, *, dim: Dim = "node") -> Array:
    """Constancy in time of the phase difference of each pair, |mean over time of exp(i(θ_i − θ_j))|.

    Args:
        theta: phases in radians, shape (..., T, N).
        dim: the dimension(s) of the nodes; the time is `time`.

    Returns:
        Symmetric matrix with unit diagonal, entries in [0, 1] up to round-off, shape (..., N, N); of a DataArray with
        the dimensions (dim, dim + "_other"). 1: a fixed phase difference, whatever it is.

    Source: Lachaux et al. 1999, with the average over time instead of trials.
    """
    xp = namespace(theta)
    z = xp.exp(1j * theta)
    return xp.abs(xp.matmul(xp.matrix_transpose(z), xp.conj(z))) / theta.shape[-2]


@labelled(theta="time node", groups="node")
def metastability(theta: Array, groups: Any = None, *, dim: Dim = "node") -> Array:
    """Restlessness of order: variance in time of each community's order parameter r_c, averaged over communities.

        mean_c [ Σ_t (r_c(t) − ⟨r_c⟩)² / (T − 1) ]

    Args:
        theta: phases in radians, shape (..., T, N), T >= 2.
        groups: label of each node's community, shape (N,) (or that of the lattice); by default all form one.
        dim: the dimension(s) of the nodes; the time is `time`.

    Returns:
        Metastability, shape (...). 0: every community keeps its order.

    Raises:
        ValueError: with fewer than two times, or labels that do not match the nodes.

    Source: Shanahan 2010, who divides by T − 1.
    """
    require_several("theta", theta.shape[-2], "times")
    r = community_order(theta, groups)
    xp = namespace(r)
    return xp.mean(xp.var(r, axis=-2, correction=1), axis=-1)


@labelled(theta="time node", groups="node")
def chimera_index(theta: Array, groups: Any, *, dim: Dim = "node") -> Array:
    """Coexistence of order and disorder: variance across communities of their order parameters r_c, averaged in time.

        mean_t [ Σ_c (r_c(t) − ⟨r(t)⟩)² / (M − 1) ]

    Args:
        theta: phases in radians, shape (..., T, N).
        groups: label of each node's community, shape (N,) (or that of the lattice); M >= 2 different ones.
        dim: the dimension(s) of the nodes; the time is `time`.

    Returns:
        Chimera index, shape (...). 0: all communities equally ordered. (1/4) M/(M − 1) at most, where half of them (M
        even) are in step and half have no order.

    Raises:
        ValueError: with fewer than two communities, or labels that do not match the nodes.

    Source: Shanahan 2010, who divides by M − 1.
    """
    r = community_order(theta, groups)
    require_several("groups", r.shape[-1], "communities")
    xp = namespace(r)
    return xp.mean(xp.var(r, axis=-1, correction=1), axis=-1)


def community_order(theta: Array, groups: Any) -> Array:
    """Order parameter of each community, in the order of the sorted labels: (..., N) -> (..., M)."""
    N = theta.shape[-1]
    labels = np.zeros(N) if groups is None else np.asarray(groups.cpu() if hasattr(groups, "cpu") else groups)
    if labels.shape != (N,):
        raise ValueError(
            f"`groups` must have shape ({N},), one label per node, but is {labels.shape}; label each node."
        )
    _, member, size = np.unique(labels, return_inverse=True, return_counts=True)
    share = np.eye(len(size))[:, member] / size[:, None]  # (community, node): 1/size for members
    u, share = alike(unit_vector(theta), share)
    return namespace(u).linalg.vector_norm(share @ u, axis=-1)
