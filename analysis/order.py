"""Order: how far the phases of one instant agree."""

from __future__ import annotations

import operator

import numpy as np
from array_api_compat import device

from analysis.checks import ratio
from analysis.graphs import local_field, read_coupling
from analysis.labels import Dim, labelled
from oscillators.arrays import Array, namespace, unit_vector


@labelled(theta="node")
def order_parameter(theta: Array, *, dim: Dim = "node") -> Array:
    """Phase coherence r = |mean over nodes of exp(iθ)|.

    Args:
        theta: phases in radians, shape (..., N); array, tensor (differentiable) or DataArray.
        dim: the dimension(s) of the nodes; ("height", "width") for a lattice.

    Returns:
        r in [0, 1] up to round-off, shape (...). 1: all phases equal. About 0.89/√N: independent uniform phases.
        The gradient is zero at r = 1, and by choice zero at r = 0, where r has a cusp.

    Raises:
        ValueError: if there is no node, or `theta` lacks the dimension.
        TypeError: if `theta` is not real.

    Source: Kuramoto 1984; see Acebrón et al. 2005 for the conventions used here.
    """
    return namespace(theta).linalg.vector_norm(resultant(theta), axis=-1)


@labelled(theta="node", unit="rad")
def mean_phase(theta: Array, *, dim: Dim = "node") -> Array:
    """Phase ψ of the mean field r exp(iψ) = mean over nodes of exp(iθ).

    Args and errors: as `order_parameter`.

    Returns:
        ψ in [−π, π], shape (...). Where r is below the round-off of the dtype there is no mean phase: ψ is then 0 with
        gradient 0 (chosen here), so that a sum over many states stays differentiable.
    """
    return direction(resultant(theta))


@labelled(theta="node")
def daido_moment(theta: Array, m: int = 1, *, dim: Dim = "node") -> Array:
    """Complex moment Z_m = mean over nodes of exp(imθ).

    |Z_m| = 1 for m equally spaced clusters of any sizes, whatever the order parameter |Z_1|.

    Args:
        theta: phases as for `order_parameter`, shape (..., N).
        m: harmonic, an integer of either sign.
        dim: the dimension(s) of the nodes.

    Returns:
        Z_m, complex, shape (...); the gradient of |Z_m| is finite everywhere.

    Raises:
        TypeError: if m is not an integer: a fractional harmonic would change when a phase turns by 2π.

    Source: Daido 1992.
    """
    xp = namespace(theta)
    return xp.mean(xp.exp(1j * operator.index(m) * theta), axis=-1)


@labelled(theta="node", gives="node")
def local_order_parameter(theta: Array, K: object, *, dim: Dim = "node") -> Array:
    """Phase coherence among the neighbours of each node, r_i = |Σ_j |K_ij| exp(iθ_j)| / Σ_j |K_ij|.

    Args:
        theta: phases as for `order_parameter`, shape (..., N).
        K: coupling, K[i, j] from j to i: (N, N) array or tensor, scipy.sparse, networkx graph (u → v gives K[v, u]) or
            a scalar (everybody is a neighbour).
        dim: the dimension(s) of the nodes; K counts the nodes of a lattice in row-major order.

    Returns:
        r_i in [0, 1], shape (..., N); NaN, with zero gradient, for a node on which nobody acts.

    Raises:
        TypeError: if K is known only by its field, which does not tell |K_ij|.
        ValueError: if K does not have the shape (N, N).
    """
    coupling = read_coupling(K)
    if hasattr(coupling, "field"):
        raise TypeError(f"`K` must be a matrix, but is a {type(K).__name__}; pass the array, sparse matrix or graph.")
    xp = namespace(theta)
    pull = local_field(abs(coupling), unit_vector(theta))
    weight = local_field(abs(coupling), xp.ones_like(theta)[..., None])
    return ratio(namespace(pull).linalg.vector_norm(pull, axis=-1), weight[..., 0])


@labelled(theta="node")
def circular_variance(theta: Array, *, dim: Dim = "node") -> Array:
    """Circular variance V = 1 − r of the phases.

    Args and errors: as `order_parameter`.

    Returns:
        V in [0, 1] up to round-off, shape (...). 0: all phases equal.

    Source: Mardia and Jupp 2000, section 2.3.
    """
    return 1 - namespace(theta).linalg.vector_norm(resultant(theta), axis=-1)


@labelled(psi="node")
def splay(psi: Array, *, dim: Dim = "node") -> Array:
    """Distance of k phases from the splay state, S = Σ_{g=1..⌊k/2⌋} |Σ_l exp(igψ_l)|² / (2 g² k).

    The phases are usually the mean phases of k groups.

    Args:
        psi: phases in radians, shape (..., k).
        dim: the dimension(s) of the phases.

    Returns:
        S >= 0, shape (...). 0: equally spaced, in any order (and always for k = 1, which has no harmonic to cancel).
        (k/2) Σ_g 1/g²: all equal.

    Source: the splay term of the cluster loss of KuraNet (Ricci et al. 2021), without its final division.
    """
    xp = namespace(psi)
    k = psi.shape[-1]
    g = xp.asarray(np.arange(1, k // 2 + 1), dtype=psi.dtype, device=device(psi))[:, None]
    total = xp.sum(unit_vector(g * psi[..., None, :]), axis=-2)  # (..., harmonic, 2)
    return xp.sum(xp.sum(total**2, axis=-1) / (2 * g[:, 0] ** 2 * k), axis=-1)


def resultant(theta: Array) -> Array:
    """Mean unit vector (r cos ψ, r sin ψ) of the phases: (..., N) -> (..., 2)."""
    return namespace(theta).mean(unit_vector(theta), axis=-2)


def direction(z: Array) -> Array:
    """Angle of mean unit vectors, (..., 2) -> (...); 0 with gradient 0 where z is below the round-off of its dtype."""
    xp = namespace(z)
    undefined = xp.linalg.vector_norm(z, axis=-1) <= xp.finfo(z.dtype).eps
    x = xp.where(undefined, xp.ones_like(z[..., 0]), z[..., 0])
    return xp.atan2(xp.where(undefined, xp.zeros_like(x), z[..., 1]), x)
