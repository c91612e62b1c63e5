"""Activations: vectors of n components per unit (n = 2: complex numbers), kept together with their length.

    z of shape (n + 1, B, ...): components 0 ... n - 1, and last the magnitude

A linear map with real weights acts on all n + 1 entries alike, so that a network needs one convolution per layer; and the
magnitude is known wherever an activation is made, so that nobody takes a root for it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def from_complex(z: Tensor) -> Tensor:
    """(B, ...) complex -> (3, B, ...)."""
    if not z.is_complex():
        raise TypeError(f"`z` must be complex, but has dtype {z.dtype}; pass torch.polar(magnitude, phase).")
    return torch.stack([z.real, z.imag, z.abs()])


def to_complex(z: Tensor) -> Tensor:
    """(3, B, ...) -> (B, ...) complex."""
    return torch.complex(*plane(z))


def from_vectors(x: Tensor) -> Tensor:
    """(B, n, ...) -> (n + 1, B, ...)."""
    return torch.cat([x.movedim(1, 0), torch.linalg.vector_norm(x, dim=1)[None]])


def to_vectors(z: Tensor) -> Tensor:
    """(n + 1, B, ...) -> (B, n, ...)."""
    return z[:-1].movedim(0, 1)


def magnitude(z: Tensor) -> Tensor:
    """Length of every activation, (n + 1, B, ...) -> (B, ...)."""
    return z[-1]


def phase(z: Tensor) -> Tensor:
    """Phase in (-π, π] of complex activations, 0 where the magnitude is 0: (3, B, ...) -> (B, ...)."""
    re, im = plane(z)
    return torch.where(magnitude(z) > 0, torch.atan2(im, re), 0.0)


def plane(z: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of complex activations."""
    if len(z) != 3:
        raise ValueError(f"`z` must have 2 components, but has {len(z) - 1}; vectors of more have no phase.")
    return z[0], z[1]
