"""Graphs: couplings in all their forms, the field they make, and how they sort the features of the nodes."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device, is_array_api_obj

from analysis.checks import alike, plain, ratio, real_array
from analysis.labels import Dim, is_labelled, labelled
from oscillators.arrays import Array, namespace


def read_coupling(K: Any) -> Any:
    """Any coupling as an array, a tensor, a scipy.sparse array or an object with a method `field`.

    K[i, j] is the action of j on i; an edge u → v of a graph (attribute `weight`, nodes in its own order) is K[v, u].
    A scalar K is the mean field: every entry is K/N.
    """
    networkx = sys.modules.get("networkx")
    if networkx is not None and isinstance(K, networkx.Graph):
        return networkx.to_scipy_sparse_array(K, dtype=float).T
    if is_sparse(K) or (hasattr(K, "field") and not is_array_api_obj(K)):
        return K
    return real_array("K", K.data if is_labelled(K) else K)


def local_field(K: Any, g: Array) -> Array:
    """Field h_i = Σ_j K_ij g_j of the lifted states g: (..., N, m) -> (..., N, m).

    Args:
        K: (N, N) or (..., N, N) array or tensor, scipy.sparse, networkx graph, scalar (mean field, K/N), or an object
            with a method `field(g)` of this same shape (of the lattice's shape if it has several `node_dims`).
        g: lifted states, shape (..., N, m).

    Raises:
        ValueError: if K does not have the shape (N, N).
        TypeError: if K is complex, or nothing of the above.
    """
    K = read_coupling(K)
    if hasattr(K, "field") and not is_array_api_obj(K):
        return K.field(g)
    N = g.shape[-2]
    if K.ndim and tuple(K.shape[-2:]) != (N, N):
        raise ValueError(
            f"`K` must have shape (N, N) with N = {N} nodes (from the state), but is {tuple(K.shape)}; "
            "give one row and one column to each node, lattices in row-major order."
        )
    if is_sparse(K):
        return sparse_product(K, g)
    g, K = alike(g, K)
    if K.ndim == 0:
        xp = namespace(g)
        return xp.broadcast_to(K * xp.mean(g, axis=-2, keepdims=True), g.shape)
    return K @ g


def is_sparse(K: Any) -> bool:
    """Whether K is a scipy.sparse matrix or array; scipy is not imported for the question."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and sparse.issparse(K)


def sparse_product(K: Any, g: Array) -> Array:
    """Σ_j K_ij g_j for a scipy.sparse K, with gradient to g: the batch joins the columns, (N, B m)."""
    xp = namespace(g)
    columns = xp.reshape(xp.moveaxis(g, -2, 0), (g.shape[-2], -1))
    if hasattr(xp, "sparse_coo_tensor"):  # torch
        coo = K.tocoo()
        place = {"dtype": g.dtype, "device": device(g), "check_invariants": True}
        product = xp.sparse_coo_tensor(np.stack([coo.row, coo.col]), coo.data, coo.shape, **place) @ columns
    else:
        product = xp.asarray(K.astype(g.dtype) @ np.asarray(columns))  # scipy.sparse cannot multiply lazy arrays
    return xp.moveaxis(xp.reshape(product, (g.shape[-2], *g.shape[:-2], g.shape[-1])), 0, -2)


def graph_autocorrelation(x: Array, K: Any, *, dim: Dim = "node") -> Array:
    """Likeness of coupled nodes, C = Σ_ij K_ij ⟨x_i − x̄, x_j − x̄⟩ / Σ_ij K_ij |x_i − x̄|².

    x̄ is the mean over nodes. The denominator weights the deviation of the receiving node i; features of several
    components enter by their Euclidean inner product, unscaled.

    Args:
        x: features of the nodes, shape (N,) or (..., N, m); of a DataArray the dimension `component`, if present.
        K: coupling as for `phase_energy`; usually the symmetrised one.
        dim: the dimension(s) of the nodes.

    Returns:
        C, shape (...). 0 for uniform K; |C| <= 1 for symmetric K >= 0; NaN (zero gradient) where the denominator is 0,
        such as for equal features.

    Note: the published code adds 1e-6 to the ratio; this is eq. 7 of the paper, without it.

    Source: Ricci et al. 2021 (KuraNet), eq. 7.
    """
    if is_labelled(x):
        return _graph_autocorrelation(x if "component" in x.dims else x.expand_dims(component=1), K, dim=dim)
    x = real_array("x", x)
    scalar = x.ndim == (1 if isinstance(dim, str) else len(dim))
    return _graph_autocorrelation(x[..., None] if scalar else x, K, dim=dim)


@labelled(x="node component")
def _graph_autocorrelation(x: Array, K: Any, *, dim: Dim = "node") -> Array:
    """Likeness of coupled nodes."""
    xp = namespace(x)
    d = x - xp.mean(x, axis=-2, keepdims=True)
    field, weight = local_field(K, d), local_field(K, xp.ones_like(d[..., :1]))
    field, weight, d = alike(field, weight, d)
    xp = namespace(d)
    return ratio(xp.sum(d * field, axis=(-2, -1)), xp.sum(d**2 * weight, axis=(-2, -1)))


class FanInMap(NamedTuple):
    """Centres of the bins along both features, and the mean fan-in of each bin, (omega, tau)."""

    omega: np.ndarray
    tau: np.ndarray
    values: np.ndarray


def fan_in_map(K: Any, omega: Any, tau: Any, *, bins: int = 30, fewest: int = 5) -> FanInMap:
    """Mean pull ⟨k_j⟩ = (1/N) Σ_i K_ij that each source j exerts, averaged over bins of its frequency and delay.

    Args:
        K: couplings of one or many networks, K[i, j] from j to i, shape (..., N, N); array or tensor.
        omega: natural frequencies, shape (..., N), rad / time.
        tau: delays, or any other feature, shape (..., N).
        bins: bins along each feature, over the range of the samples.
        fewest: bins with fewer samples are NaN: a single rare source would win the map.

    Returns:
        (omega, tau, values), shapes (bins,), (bins,) and (bins, bins), as `plot.fan_in` takes them.

    Raises:
        ValueError: if the shapes do not match, or no bin holds enough samples.

    Source: Ricci et al. 2021 (KuraNet), whose fan-in this is; the smallest number of samples is chosen here.
    """
    K, omega, tau = plain(K), plain(omega), plain(tau)
    for name, feature in (("omega", omega), ("tau", tau)):
        if K.shape != (*feature.shape, *feature.shape[-1:]):
            raise ValueError(
                f"`{name}` must have shape (..., N) for `K` of shape (..., N, N), but they are {feature.shape} and "
                f"{K.shape}; give one feature to each node of each network."
            )
    samples = omega.ravel(), tau.ravel()
    count, *edges = np.histogram2d(*samples, bins)
    total = np.histogram2d(*samples, bins, weights=K.mean(axis=-2).ravel())[0]
    if (count < fewest).all():
        raise ValueError(
            f"`fewest` must be at most {int(count.max())} for these samples, but is {fewest}; add networks."
        )
    values = np.where(count >= fewest, total / np.maximum(count, 1), np.nan)
    along_omega, along_tau = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    return FanInMap(along_omega, along_tau, values)
