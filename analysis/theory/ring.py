"""Twisted states of identical phases on a ring.

The coupling is circulant: `kernel[d]` is the action of the d-th next node, K[i, (i + d) mod N] = kernel[d].
"""

from __future__ import annotations

from typing import Any

import numpy as np


def twisted_state(N: int, q: int) -> np.ndarray:
    """The q-twisted state θ_j = 2π q j / N: phases that wind q times around the ring, shape (N,), rad."""
    if N < 1:
        raise ValueError(f"`N` must be at least 1, but is {N}; pass the number of nodes.")
    return 2 * np.pi * q * np.arange(N) / N


def twisted_frequency(kernel: Any, q: int) -> float:
    """Rotation of the q-twisted state added to ω, Σ_d kernel_d sin(2π q d / N); 0 for a symmetric kernel.

    Args:
        kernel: first row of the circulant coupling, shape (N,), rad / time.
        q: winding number.

    Returns:
        Ω − ω in rad / time.
    """
    kernel = ring_kernel(kernel)
    return float(kernel @ np.sin(twisted_state(len(kernel), q)))


def twisted_eigenvalues(kernel: Any, q: int) -> np.ndarray:
    """Growth rates of the Fourier modes about the q-twisted state.

        λ_m = Σ_d kernel_d cos(2π q d / N) (exp(2πi m d / N) − 1),    m = 0 … N − 1

    Args:
        kernel: first row of the circulant coupling, shape (N,), rad / time.
        q: winding number.

    Returns:
        λ, complex, shape (N,); λ_0 = 0 belongs to the common rotation. Stable if all others have negative real parts:
        for nearest neighbours if |q| < N/4.

    Source: Wiley, Strogatz and Girvan 2006.
    """
    kernel = ring_kernel(kernel)
    weight = kernel * np.cos(twisted_state(len(kernel), q))
    return len(kernel) * np.fft.ifft(weight) - np.sum(weight)


def ring_kernel(kernel: Any) -> np.ndarray:
    """The kernel as a vector of floats, or a refusal."""
    kernel = np.asarray(kernel, dtype=float)
    if kernel.ndim != 1 or kernel.size == 0:
        raise ValueError(f"`kernel` must have shape (N,), but is {kernel.shape}; pass the first row of the coupling.")
    return kernel
