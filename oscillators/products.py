"""The product of a matrix with several rows at once, h_q = K g_q, with every sum in a register.

K lies in panels of PANEL receivers, each (sender, receiver), so that receivers are the lanes of vectors. A tile is the field
at one panel in up to ROWS rows: every vector of K that is loaded is multiplied by ROWS numbers g. Every sum runs over the
senders in their order, whatever else is in its tile: its bits depend on K and on its own row only.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from oscillators.kernels import field_kernel, widest_vectors

_WIDE = get_host_cpu_features().get("avx512f", False)  # 32 registers of 8 numbers; else the 16 of 4 are filled
LANES, VECTORS, ROWS = (8, 4, 4) if _WIDE else (4, 3, 4)  # numbers in a vector, vectors of a panel, rows of a tile
PANEL = LANES * VECTORS
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def panels(K: np.ndarray) -> np.ndarray:
    """K (any, receiver, sender) as `rows_product` reads it, (any, W); receivers that do not exist have weight 0."""
    n = K.shape[-1]
    count = -(-n // PANEL)
    packed = _aligned_zeros((len(K), count, n, PANEL))
    for panel in range(count):
        receivers = K[:, panel * PANEL : (panel + 1) * PANEL]
        packed[:, panel, :, : receivers.shape[1]] = receivers.swapaxes(1, 2)
    return packed.reshape(len(K), -1)


def _aligned_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes: a vector load then never crosses a cache line."""
    size = int(np.prod(shape))
    buffer = np.zeros(size + 7)
    start = -(buffer.ctypes.data // 8) % 8
    return buffer[start : start + size].reshape(shape)


@field_kernel
def rows_product(meta, index, weight, g, h):
    """h = K g for each row of g; weight: K in panels."""
    widest_vectors()
    rows, n = g.shape
    for lo in range(0, n, PANEL):
        vectors = min(VECTORS, (n - lo + LANES - 1) // LANES)
        for q in range(0, rows, ROWS):
            _tile(weight, lo * n, g, q * n, h, q * n + lo, n, min(ROWS, rows - q), vectors, n - lo)


def _typed_tile(typing_context, weight, panel, g, row, h, place, n, rows, vectors, width):
    """One tile, from K at weight[panel:] and rows at g[row:] to h[place:]; width: receivers from here to the last."""

    def make(context, builder, signature, args):
        K, shown, felt = (
            builder.gep(context.make_array(signature.args[k])(context, builder, args[k]).data, [args[k + 1]])
            for k in (0, 2, 4)
        )
        n, rows, vectors, width = args[6:]
        for r, v in product(range(1, ROWS + 1), range(1, VECTORS + 1)):
            chosen = builder.and_(*(builder.icmp_signed("==", a, _INDEX(b)) for a, b in ((rows, r), (vectors, v))))
            with builder.if_then(chosen):
                sums = _sums(builder, K, shown, n, r, v)
                for k, l in product(range(r), range(v)):
                    start = builder.add(builder.mul(n, _INDEX(k)), _INDEX(l * LANES))
                    room = builder.sub(width, _INDEX(l * LANES))
                    _store(builder, builder.load(sums[k][l]), builder.gep(felt, [start]), room)
        return context.get_dummy_value()

    integers = (types.int64,) * 5
    return types.none(weight, types.int64, g, types.int64, h, *integers), make


def _sums(builder: Any, K: Any, g: Any, n: Any, rows: int, vectors: int) -> list[list[Any]]:
    """Σ_j K_ij g_qj for so many rows and vectors of receivers, in the places of local variables."""
    zero = ir.Constant(_VECTOR, None)
    sums = [[cgutils.alloca_once_value(builder, zero) for _ in range(vectors)] for _ in range(rows)]
    starts = [builder.gep(g, [builder.mul(n, _INDEX(k))]) for k in range(rows)]
    with cgutils.for_range(builder, n) as sender:
        first = builder.gep(K, [builder.mul(sender.index, _INDEX(PANEL))])
        weights = [
            builder.load(
                builder.bitcast(builder.gep(first, [_INDEX(l * LANES)]), _VECTOR.as_pointer()), align=8 * LANES
            )
            for l in range(vectors)
        ]
        for start, row in zip(starts, sums, strict=True):
            shown = _everywhere(builder, builder.load(builder.gep(start, [sender.index])))
            for weight, total in zip(weights, row, strict=True):
                term = builder.fmul(weight, shown, flags=("contract",))
                builder.store(builder.fadd(builder.load(total), term, flags=("contract",)), total)
    return sums


def _everywhere(builder: Any, value: Any) -> Any:
    """A vector that holds the value in every lane."""
    none = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(builder.insert_element(none, value, ir.IntType(32)(0)), none, lanes)


def _store(builder: Any, vector: Any, place: Any, room: Any) -> None:
    """Store the lanes for which there is room."""
    lanes = ir.Constant(ir.VectorType(_INDEX, LANES), list(range(LANES)))
    mask = builder.icmp_signed("<", lanes, _everywhere(builder, room))
    place = builder.bitcast(place, _VECTOR.as_pointer())
    parts = (vector, place, ir.IntType(32)(8), mask)
    kind = ir.FunctionType(ir.VoidType(), [part.type for part in parts])
    store = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{LANES}f64.p0")
    builder.call(store, parts)


_tile: Any = intrinsic(_typed_tile)
