"""The fixed signatures of compiled kernels, and the vectorised sine and cosine they share.

Kernels see arrays component-major: a state is (components, nodes), so that every row is one contiguous vector.
The time loops take kernels as typed function arguments; therefore they are compiled once, for every system and coupling.

    lift(x, g)                            g   = what a node shows the others
    tangent(x, dx, dg)                    dg  = d(lift)/dx applied to dx
    law(t, x, g, h, p, table, out)        out = dx/dt;  p: one row per parameter, table: integers of the system
    project(x)                            x  <- the nearest state on the manifold
    field(meta, index, weight, g, h)      h   = K[g], row by row: rows may be components or members of an ensemble

and their vector-Jacobian products, which take the cotangent of a result (its `bar`) to those of the arguments. All of them
add to what is there, but for the cotangent of the field, which is set, and that of a projected state, which is replaced:

    lift_vjp(x, g, gbar, xbar)
    tangent_vjp(x, dx, dgbar, xbar, dxbar)
    law_vjp(t, x, g, h, p, table, bar, xbar, gbar, hbar, pbar)
    project_vjp(x, xbar)                  x: before the projection
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, typeof_impl

F1, F2 = types.float64[::1], types.float64[:, ::1]
F3, F4 = types.float64[:, :, ::1], types.float64[:, :, :, ::1]
I1, I2, L1 = types.int32[::1], types.int32[:, ::1], types.int64[::1]

LIFT = types.void(F2, F2)
TANGENT = types.void(F2, F2, F2)
LAW = types.void(types.float64, F2, F2, F2, F2, I2, F2)
PROJECT = types.void(F2)
FIELD = types.void(L1, I1, F1, F2, F2)
LIFT_VJP = types.void(F2, F2, F2, F2)
TANGENT_VJP = types.void(F2, F2, F2, F2, F2)
LAW_VJP = types.void(types.float64, F2, F2, F2, F2, I2, F2, F2, F2, F2, F2)
PROJECT_VJP = types.void(F2, F2)

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


def _kernel(function: Callable) -> Any:
    """Compile `function` when a run first needs it; the machine code is kept on disk. In a class, put @staticmethod above."""
    return njit(**_OPTIONS)(function)


def _forget_stale_code() -> None:
    """Remove machine code on disk that was compiled from other sources than these.

    numba compares a cached function with its own file only. It would go on using code into which an older version of
    a function from another file was compiled, and nobody would be told. The kernels of `neural` use functions of this file
    and of each other's.
    """
    folder = Path(__file__).parent
    files = sorted([*folder.glob("*.py"), *folder.parent.glob("neural/*/kernels*.py")])
    sources = repr([(file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files])
    note = folder / "__pycache__" / "compiled-from.txt"
    with suppress(OSError):  # where the folder cannot be written there is no code to remove
        if not (note.exists() and note.read_text() == sources):
            for index in (*note.parent.glob("*.nbi"), *folder.parent.glob("neural/*/__pycache__/*.nbi")):
                index.unlink(missing_ok=True)
            note.parent.mkdir(exist_ok=True)
            note.write_text(sources)


_forget_stale_code()


class Address(types.WrapperAddressProtocol):
    """A compiled kernel as an argument of a loop: its address is looked up once, not at every call."""

    def __init__(self, kernel: Any, signature: Any):
        self.kernel, self.of = kernel, signature  # the kernel is kept alive with its address
        self.type = types.FunctionType(signature)
        kernel.compile(signature)
        compiled = kernel.get_compile_result(signature)
        self.address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)

    def __wrapper_address__(self) -> int:
        return self.address

    def signature(self) -> Any:
        return self.of


@typeof_impl.register(Address)
def _type_of(address, context):
    return address.type  # made once: a call of a loop asks for that of every kernel


_addresses: dict[tuple[int, int], Address] = {}  # by identity: numba hashes a signature type by type


def compiled(kernel: Any, signature: Any) -> Address:
    """The kernel, compiled for its signature (or loaded from disk) on first use."""
    key = id(kernel), id(signature)  # both live as long as their address
    if key not in _addresses:
        _addresses[key] = Address(kernel, signature)
    return _addresses[key]


# One name per signature, so that a reader sees what a kernel is for.
lift_kernel = tangent_kernel = law_kernel = project_kernel = field_kernel = function_kernel = vjp_kernel = _kernel

# pi/2 in three parts: the first two end in zero bits, so that q * part is exact for |q| < 2**20 (and far beyond with
# fused multiply-add). The polynomials are minimax fits on [-pi/4, pi/4] (see tests/oscillators/test_kernels.py).
_P1, _P2, _P3 = 1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21
_S1, _S2, _S3 = -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04
_S4, _S5, _S6 = 2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10
_C1, _C2, _C3 = 4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05
_C4, _C5, _C6 = -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11
_ROUND = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the low bits


def _widest_vectors(typing_context):
    """Let the function that contains this call use vectors of 512 bits where the machine has them.

    LLVM holds back to 256 bits on several processors, for fear of lower clock rates; code of pure arithmetic loses a
    third by it.
    """

    def mark(context, builder, signature, args):
        set.add(
            builder.function.attributes, '"prefer-vector-width"="512"'
        )  # their own `add` knows a fixed list of names
        return context.get_dummy_value()

    return types.none(), mark


widest_vectors: Any = intrinsic(_widest_vectors)
_INLINE: dict[str, Any] = {name: value for name, value in _OPTIONS.items() if name != "cache"} | {"inline": "always"}


@njit(**_INLINE)
def sincos(x):
    """(sin x, cos x) without branch or table, so that a loop over it becomes vector code.

    Error below 1 unit in the last place for |x| <= 1e5 (measured against 200-bit values, with fused multiply-add).
    """
    widest_vectors()
    w = x * (2.0 / math.pi) + _ROUND
    n = np.float64(w).view(np.int64)  # quadrant in the low bits
    q = w - _ROUND
    u = x - q * _P1
    r = u - q * _P2
    tail = ((u - r) - q * _P2) - q * _P3  # what r lacks of the reduced argument
    z = r * r
    half = 0.5 * z
    near = 1.0 - half
    s = r + (r * (z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * _S6)))))) + tail * near)
    rest = z * z * (_C1 + z * (_C2 + z * (_C3 + z * (_C4 + z * (_C5 + z * _C6))))) - r * tail
    c = near + (((1.0 - near) - half) + rest)
    odd = (n & 1) != 0
    a = c if odd else s
    b = s if odd else c
    sin = np.int64(((n & 2) << 62) ^ np.float64(a).view(np.int64)).view(np.float64)
    cos = np.int64((((n + 1) & 2) << 62) ^ np.float64(b).view(np.int64)).view(np.float64)
    return sin, cos


_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@njit(**_INLINE)
def tanh(x):
    """tanh x = m / (m + 2) with m = exp(2x) - 1, without a branch; relative error at most 4e-16."""
    widest_vectors()
    y = 2.0 * min(max(x, -20.0), 20.0)  # beyond, tanh is 1 to the last place
    w = y * (1.0 / math.log(2.0)) + _ROUND
    k = w - _ROUND
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW  # |r| <= ln(2)/2: the Taylor series of exp(r) - 1 to r^13 is exact to 2^-56
    p = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0)
    p = 1.0 / 39916800.0 + r * p
    p = 1.0 / 3628800.0 + r * p
    p = 1.0 / 362880.0 + r * p
    p = 1.0 / 40320.0 + r * p
    p = 1.0 / 5040.0 + r * p
    p = 1.0 / 720.0 + r * p
    p = 1.0 / 120.0 + r * p
    p = 1.0 / 24.0 + r * p
    p = 1.0 / 6.0 + r * p
    p = 0.5 + r * p
    p = r + r * (r * p)
    scale = np.int64((np.float64(w).view(np.int64) + 1023) << 52).view(np.float64)  # 2^k from the low bits of w
    m = scale * p + (scale - 1.0)
    return m / (m + 2.0)


@njit(**_OPTIONS)
def copy_lift(x, g):
    for a in range(x.shape[0]):
        xa, ga = x[a], g[a]
        for i in range(len(xa)):
            ga[i] = xa[i]


@njit(**_OPTIONS)
def copy_tangent(x, dx, dg):
    for a in range(x.shape[0]):
        da, ga = dx[a], dg[a]
        for i in range(len(da)):
            ga[i] = da[i]


@njit(**_OPTIONS)
def copy_lift_vjp(x, g, gbar, xbar):
    for a in range(gbar.shape[0]):
        ga, xa = gbar[a], xbar[a]
        for i in range(len(ga)):
            xa[i] += ga[i]


@njit(**_OPTIONS)
def copy_tangent_vjp(x, dx, dgbar, xbar, dxbar):
    copy_lift_vjp(x, dx, dgbar, dxbar)


@njit(**_OPTIONS)
def first_lift(x, g):
    xa, ga = x[0], g[0]
    for i in range(len(xa)):
        ga[i] = xa[i]


@njit(**_OPTIONS)
def first_tangent(x, dx, dg):
    da, ga = dx[0], dg[0]
    for i in range(len(da)):
        ga[i] = da[i]


@njit(**_OPTIONS)
def unit_vector_lift(x, g):
    theta, c, s = x[0], g[0], g[1]
    for i in range(len(theta)):
        s[i], c[i] = sincos(theta[i])


@njit(**_OPTIONS)
def unit_vector_lift_vjp(x, g, gbar, xbar):
    c, s, cbar, sbar, bar = g[0], g[1], gbar[0], gbar[1], xbar[0]
    for i in range(len(bar)):
        bar[i] += c[i] * sbar[i] - s[i] * cbar[i]


@njit(**_OPTIONS)
def unit_vector_tangent(x, dx, dg):
    theta, dtheta, dc, ds = x[0], dx[0], dg[0], dg[1]
    for i in range(len(theta)):
        s, c = sincos(theta[i])
        dc[i] = -dtheta[i] * s
        ds[i] = dtheta[i] * c


@njit(**_OPTIONS)
def unit_vector_tangent_vjp(x, dx, dgbar, xbar, dxbar):
    theta, dtheta, dcbar, dsbar, bar, dbar = x[0], dx[0], dgbar[0], dgbar[1], xbar[0], dxbar[0]
    for i in range(len(theta)):
        s, c = sincos(theta[i])
        dbar[i] += c * dsbar[i] - s * dcbar[i]
        bar[i] -= dtheta[i] * (c * dcbar[i] + s * dsbar[i])


@njit(**_OPTIONS)
def keep(x):
    """The projection of a system whose state space is flat: nothing to do."""


@njit(**_OPTIONS)
def keep_vjp(x, xbar):
    """Likewise."""


@njit(**(_OPTIONS | {"fastmath": {"contract", "reassoc", "nsz"}}))
def fast_sum(x):
    """Sum in whatever order the vector units like; the order depends on the length only."""
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    return total
