"""Rows of the couplings of a large network, a block at a time: made on all threads, and kept or made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from math import log
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from neural.kuranet.couplings import Kind
from neural.kuranet.model import KuraNet
from oscillators import checks

PRECISIONS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
ON_PROCESSOR, ON_ACCELERATOR = 2**18, 2**23  # numbers in a block: the first stay in the cache, the second fill a device


class Block(NamedTuple):
    """Some rows of the couplings before they are symmetrised: N = exp(level) E, |E| <= 1."""

    E: Tensor  # (rows, node)
    level: Tensor  # (rows,), float64


class Rows:
    """Rows of the couplings of a trained model as its normaliser makes them, N = exp(level + c) E.

        softmax     E_rc = exp(Z_rc - max_c Z_rc),    level_r = max_c Z_rc,         c = log(n / Σ_rc exp Z_rc)
        l2, l1      E_rc = Z_rc / max_c |Z_rc|,       level_r = -log ‖E_r‖,         c = 0
        none        E_rc = Z_rc / max_c |Z_rc|,       level_r = log max_c |Z_rc|,   c = 0

    The `degree` of "softmax" is left to who uses them.

    Args:
        model: in evaluation mode, in which a coupling depends on its two nodes only. A copy of it is used.
        x: features of all nodes, (node, m).
        keep: precision in which E stays in memory; None: a block is made anew whenever it is asked for.
        rows: rows of a block; None: as many as suit the device.
        progress: whether to show a bar of the pass over all rows that "softmax" and `keep` begin with.
    """

    def __init__(
        self,
        model: KuraNet,
        x: Tensor,
        keep: torch.dtype | None = None,
        rows: int | None = None,
        progress: bool = False,
    ):
        self.model, self.x, self.keep = deepcopy(model), checked_features(model, x), keep
        self.blocks = blocks(x, rows)
        self.c = 0.0
        if keep is not None:
            checks.one_of("keep", str(keep), [str(dtype) for dtype in PRECISIONS])
            self.E, self.level = square(x, keep), x.new_empty(len(x), dtype=torch.float64)
        if keep is not None or model.kind == "softmax":
            self._first_pass(progress)

    def __getitem__(self, rows: slice) -> Block:
        E, level = self._made(rows) if self.keep is None else (self.E[rows], self.level[rows])
        return Block(E, level + self.c)

    def _first_pass(self, progress: bool) -> None:
        """Keep what is kept, and find c."""
        mass = self.x.new_empty(len(self.x), dtype=torch.float64)
        visits = each(self._visit, self.blocks, self.x)
        for rows, found in tqdm(visits, "couplings", len(self.blocks), unit="block", disable=not progress):
            mass[rows] = found
        if self.model.kind == "softmax":
            self.c = log(len(self.x)) - float(mass.logsumexp(0))

    def _visit(self, rows: slice) -> Tensor:
        """Keep the rows, if any are kept; log Σ_c exp(level_r) E_rc, for "softmax"."""
        E, level = self._made(rows)
        if self.keep is not None:
            self.E[rows], self.level[rows] = E, level
        return level + E.sum(-1, dtype=torch.float64).log()

    def _made(self, rows: slice) -> Block:
        return relative(self.model.logits(self.x[rows], self.x), self.model.kind, self.keep)


def relative(Z: Tensor, kind: Kind, keep: torch.dtype | None = None) -> Block:
    """Whole rows of logits as E and its level, without c; E is rounded to `keep` first, so that norms are those of N."""
    if kind == "softmax":
        peak = Z.amax(-1, keepdim=True)
        return Block((Z - peak).exp().to(keep or Z.dtype), peak[..., 0].double())
    peak = Z.abs().amax(-1, keepdim=True)
    E = (Z / torch.where(peak > 0, peak, 1.0)).to(keep or Z.dtype)
    if kind == "none":
        return Block(E, peak[..., 0].double().log())
    norm = torch.linalg.vector_norm(E, {"l2": 2, "l1": 1}[kind], dim=-1, dtype=torch.float64)
    return Block(E, -torch.where(norm > 0, norm, 1.0).log())  # a row of zeros stays zero


def all_logits(model: KuraNet, x: Tensor, *, rows: int | None = None, progress: bool = False) -> Tensor:
    """Logits of all pairs of nodes with features x, (node, node): 0.4 GB for 10,000 nodes in single precision."""
    x = checked_features(model, x)
    Z, parts = square(x, x.dtype), blocks(x, rows)
    made = each(lambda rows: model.logits(x[rows], x), parts, x)
    for at, part in tqdm(made, "logits", len(parts), unit="block", disable=not progress):
        Z[at] = part
    return Z


def each(part: Callable[[slice], Any], parts: Sequence[slice], x: Tensor) -> Iterator[tuple[slice, Any]]:
    """Each block of rows in order, and what `part` makes of it (without gradients), on as many threads as torch may use."""
    with _spread(x.device) as spread:
        yield from zip(parts, spread(torch.no_grad()(part), parts), strict=True)


@contextmanager
def _spread(device: torch.device) -> Iterator[Callable]:
    """A `map` over threads, each of which computes alone: blocks are too small to be shared by several."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield map
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(threads)  # a worker's setting is also that of threads that torch has not met yet


def blocks(x: Tensor, rows: int | None) -> list[slice]:
    """The rows of a network with features x in blocks of `rows`."""
    if rows is None:
        rows = max(8, (ON_PROCESSOR if x.device.type == "cpu" else ON_ACCELERATOR) // len(x))
    elif not isinstance(rows, int) or rows < 1:
        raise ValueError(f"`rows` must be a whole number of at least 1, but is {rows}; a few dozen fit a cache.")
    return [slice(start, min(start + rows, len(x))) for start in range(0, len(x), rows)]


def square(x: Tensor, dtype: torch.dtype) -> Tensor:
    """An empty matrix between the nodes with features x."""
    try:
        return x.new_empty(len(x), len(x), dtype=dtype)
    except RuntimeError as error:
        size = len(x) ** 2 * dtype.itemsize / 1e9
        raise MemoryError(
            f"`keep` must fit in the memory of {x.device}, but {len(x)}² numbers of {dtype} are {size:.0f} GB; keep them in a "
            "lower precision, or None (blocks are then made anew at each step)."
        ) from error


def checked_features(model: KuraNet, x: Tensor) -> Tensor:
    """Features of one network of at least two nodes, and a model whose couplings do not depend on the other nodes."""
    if model.training:
        raise ValueError(
            "`model` must be in evaluation mode, but is in training mode, in which each coupling depends on all nodes; call "
            "model.eval()."
        )
    if not isinstance(x, Tensor) or x.ndim != 2 or len(x) < 2:
        raise ValueError(
            f"`x` must be a tensor of shape (node, features) with at least two nodes, but is "
            f"{tuple(x.shape) if isinstance(x, Tensor) else checks.shown(x)}; give one network."
        )
    with torch.no_grad():
        model.logits(x[:1], x[:1])  # the network checks precision, device and number of features
    return checks.real_array("x", x)
