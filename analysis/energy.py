"""Energies: what a symmetric coupling lets fall.

Two conventions live in the literature and differ by more than a factor as soon as there is a drive. They have two names
here: `lyapunov_function` (with ½, never rises along the flow of a symmetric coupling without rotation), of which
`phase_energy` is the case of phases, and `sphere_energy` (without ½, as published with AKOrN; it may rise).
"""

from __future__ import annotations

from typing import Any

from analysis.checks import alike
from analysis.graphs import local_field
from analysis.labels import Dim, labelled
from oscillators.arrays import Array, namespace, unit_vector


@labelled(theta="node")
def phase_energy(theta: Array, K: Any, *, dim: Dim = "node") -> Array:
    """Energy of coupled phases, E = −½ Σ_ij K_ij cos(θ_j − θ_i).

    For symmetric K and ω = 0 the Kuramoto flow is −grad E. Entries K_ii add the constant −½ Σ_i K_ii.

    Args:
        theta: phases in radians, shape (..., N); array, tensor (differentiable) or DataArray.
        K: coupling, K[i, j] from j to i: array or tensor (N, N), scipy.sparse, networkx graph (u → v gives K[v, u]),
            scalar (mean field, K/N), or an object with a method `field` that maps (..., N, 2) to its local field.
        dim: the dimension(s) of the nodes; K counts the nodes of a lattice in row-major order.

    Returns:
        E in the unit of K, shape (...).

    Raises:
        ValueError: if K does not have the shape (N, N), or there is no node.
    """
    return quadratic_form(unit_vector(theta), K, None, weight=-0.5)


@labelled(g="node component", c="node component")
def lyapunov_function(g: Array, K: Any, c: Array | None = None, *, dim: Dim = "node") -> Array:
    """Lyapunov function V = −½ ⟨g, K g⟩ − ⟨c, g⟩ of lifted states g in a constant drive c.

    Never rises along dx/dt of any system with symmetric K whose law is the projected field without rotation.

    Args:
        g: lifted states: unit vectors, or (cos θ, sin θ) of phases; shape (..., N, m).
        K: coupling as for `phase_energy`.
        c: drive, any shape that broadcasts to that of g; absent by default.
        dim: the dimension(s) of the nodes.

    Returns:
        V, shape (...).
    """
    return quadratic_form(g, K, c, weight=-0.5)


@labelled(x="node component", c="node component")
def sphere_energy(x: Array, K: Any, c: Array | None = None, convention: str = "akorn", *, dim: Dim = "node") -> Array:
    """Energy of unit vectors as published with AKOrN, E = −Σ_i x_i · (Σ_j K_ij x_j + c_i).

    No ½, so that each pair counts twice; a bias of the connectivity belongs to c. Published values belong to the state
    before the step. With a drive E may rise along the flow: what falls is `lyapunov_function`.

    Args:
        x: states on the sphere, shape (..., N, n).
        K: coupling as for `phase_energy`.
        c: drive, any shape that broadcasts to that of x; absent by default.
        convention: "akorn", the only one; it stands in the call so that no reader has to guess.
        dim: the dimension(s) of the nodes.

    Returns:
        E, shape (...).

    Raises:
        ValueError: for another convention.

    Source: Miyato et al. 2025 (AKOrN).
    """
    if convention != "akorn":
        raise ValueError(
            f'`convention` must be "akorn", but is {convention!r}; for the energy with ½ call `lyapunov_function`.'
        )
    return quadratic_form(x, K, c, weight=-1.0)


def quadratic_form(g: Array, K: Any, c: Any, *, weight: float) -> Array:
    """weight ⟨g, K g⟩ − ⟨c, g⟩, summed over nodes and components."""
    g, field, c = alike(g, local_field(K, g), c)
    return namespace(g).sum(g * (weight * field if c is None else weight * field - c), axis=(-2, -1))
