"""Couplings between so many nodes that their matrix is never built: they act block of rows by block."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neural.kuranet.model import KuraNet
from neural.kuranet.rows import Rows, each
from oscillators.coupling import Coupling


class Streamed(Coupling):
    """Couplings of a trained `KuraNet` as an operator: h = K g without K.

        K = a N + b Nᵀ,    h_r += a N_r g,    h += b N_rᵀ g_r    for each block of rows r

    (a, b) = (1/2, 1/2) with `symmetric`, else (1, 0), or (0, 1) where the rows are senders; times the degree of "softmax",
    and divided by n with `per_node`. N is what the normaliser makes of the logits (`neural.kuranet.rows`).

    Args:
        model: in evaluation mode. It is copied, a constant of the run: gradients flow to the state, not to its weights.
        x: features of all nodes, (node, m), in the precision and on the device of the model.
        keep: precision in which N stays in memory, n² numbers: torch.float64, float32, float16 or bfloat16. None: nothing
            stays, and each field computes all logits anew.
        rows: rows of a block; None: as many as suit the device.
        progress: whether to show a bar while the couplings are made.

    Products are those of the state's precision, whatever `keep` is, and do not depend on the number of threads. The
    couplings may act after a delay, `Delayed(Streamed(...), tau)` with one tau per sender.

    Its tensors are no fields of a dataclass: they keep their own precision beside a state of another.
    """

    def __init__(
        self,
        model: KuraNet,
        x: Tensor,
        *,
        keep: torch.dtype | None = None,
        rows: int | None = None,
        progress: bool = False,
    ):
        self.N = Rows(model, x, keep, rows, progress)
        share = (model.degree if model.kind == "softmax" else 1.0) / (len(x) if model.per_node else 1)
        a = 0.5 if model.symmetric else float(model.rows == "receivers")
        self.a, self.b = share * a, share * (1 - a)

    def field(self, g: Any) -> Any:
        x = self.N.x
        if isinstance(g, np.ndarray):
            return self.field(torch.tensor(g, device=x.device)).cpu().numpy()
        if g.device != x.device:
            raise TypeError(
                f"`x0` must be on the device of the couplings, {x.device}, but is on {g.device}; pass x0.to({str(x.device)!r})."
            )
        self.check_nodes((g.shape[-2],))
        return _Product.apply(g, self._product, self.a, self.b)

    def check_nodes(self, nodes: tuple[int, ...]) -> None:
        if nodes != (len(self.N.x),):
            raise ValueError(
                f"`x` must have one row per node of `x0`, but has {len(self.N.x)} for {' x '.join(map(str, nodes))} nodes; "
                "give the features of these nodes."
            )

    def fan_in(self) -> Tensor:
        """How strongly each node pulls, (1/n) Σ_i K_ij, shape (node,), float64."""
        ones = torch.ones(len(self.N.x), 1, dtype=torch.float64, device=self.N.x.device)
        return self._product(ones, self.b, self.a)[:, 0] / len(ones)

    def total(self) -> float:
        """Σ_ij K_ij."""
        return len(self.N.x) * float(self.fan_in().sum())

    def _product(self, g: Tensor, a: float, b: float) -> Tensor:
        """(a N + b Nᵀ) g: (..., node, m) -> (..., node, m)."""
        G = g.mT.reshape(-1, g.shape[-2])  # vectors (any, node): products with rows of E are fastest so
        H = torch.zeros_like(G)
        rounded = _Rounded()

        def part(rows: slice) -> tuple[Any, Any]:
            E, level = self.N[rows]
            E, s = rounded(E, G.dtype), level.exp().to(G.dtype)
            return a * s * (G @ E.T) if a else 0.0, b * (s * G[:, rows]) @ E if b else 0.0

        for rows, (along, across) in each(part, self.N.blocks, G):
            H[:, rows] += along
            H += across
        return H.view(g.mT.shape).mT


class _Rounded(threading.local):
    """Blocks in another precision. Each thread uses its memory again: to get new memory takes longer than to fill it."""

    memory: Tensor | None = None

    def __call__(self, E: Tensor, dtype: torch.dtype) -> Tensor:
        if E.dtype == dtype:
            return E
        if self.memory is None or len(self.memory) < E.numel():
            self.memory = E.new_empty(E.numel(), dtype=dtype)
        return self.memory[: E.numel()].view(E.shape).copy_(E)


class _Product(torch.autograd.Function):
    """h = (a N + b Nᵀ) g; its derivative is the transposed operator."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, product: Callable, a: float, b: float) -> Tensor:
        ctx.product, ctx.a, ctx.b = product, a, b
        return product(g, a, b)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *bars: Tensor) -> tuple[Tensor, None, None, None]:
        return ctx.product(bars[0], ctx.b, ctx.a), None, None, None
