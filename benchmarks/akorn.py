"""Layers of AKOrN beside the published formulas run eagerly: forward and backward pass, float32.

"attention": the Sudoku layer (ch 512, n 4, 81 tokens, 8 heads, GTA, T 16). "convolution": the three of the CIFAR-10 network
(n 2, T 3). "eager": the published formulas in torch's operations, on the same weights. Our error: the largest relative
difference between the two of the state and of all gradients, in the norm. Memory: the most bytes of tensors that live at
one time, of a Sudoku layer of 128 channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks import akorn_eager
from benchmarks.living import most_memory
from benchmarks.timing import Row, interleaved
from neural.akorn import KuramotoLayer, kuramoto_layer

Gradients = list[Tensor]


@dataclass(frozen=True)
class Case:
    """A layer and what it sees."""

    J: str
    ch: int
    side: int
    batch: int
    T: int
    ksize: int = 1

    def __str__(self) -> str:
        kernel = f", k {self.ksize}" if self.J == "conv" else ""
        return f"ch {self.ch}, {self.side} x {self.side}{kernel}, T {self.T}, batch {self.batch}"

    def layer(self) -> KuramotoLayer:
        torch.manual_seed(0)
        if self.J == "attn":
            return kuramoto_layer("attn", self.ch, 4, positions="gta", at=(self.side, self.side), omega="global")
        return kuramoto_layer("conv", self.ch, 2, ksize=self.ksize, omega="global", c_norm="gn")

    def maps(self) -> tuple[Tensor, Tensor]:
        """State and stimulus, (B, ch, height, width)."""
        x, c = torch.randn(2, self.batch, self.ch, self.side, self.side)
        return x, c


CASES = (
    *(Case("attn", 512, 9, batch, 16) for batch in (4, 8)),
    *(Case("conv", *sizes, batch, 3, k) for batch in (8, 32) for *sizes, k in ((64, 32, 9), (128, 16, 7), (256, 8, 5))),
)
MEMORY = Case("attn", 128, 9, 1, 64)


def both(case: Case, **options: bool) -> tuple[Callable[[], Gradients], Callable[[], Gradients]]:
    """Ours and eager: a forward and a backward pass, and their results with the channels first."""
    layer = case.layer()
    x, c = case.maps()
    last = x.movedim(1, -1).contiguous(), c.movedim(1, -1).contiguous().requires_grad_()
    c.requires_grad_()
    gamma = torch.ones(1, requires_grad=True)
    weights = [gamma, *layer.parameters()]

    def ours() -> Gradients:
        new = layer(*last, case.T, gamma, **options)
        c_bar, *bars = torch.autograd.grad((new * last[0]).sum(), [last[1], *weights])
        return [new.detach().movedim(-1, 1), c_bar.movedim(-1, 1), *bars]

    def eager() -> Gradients:
        new = akorn_eager.steps(layer, x, c, case.T, gamma)
        return [new.detach(), *torch.autograd.grad((new * x).sum(), [c, *weights])]

    return ours, eager


def speed(case: Case, seconds: float) -> Row:
    ours, eager = both(case)
    error = max(float((a - b).norm() / b.norm()) for a, b in zip(ours(), eager(), strict=True))
    a, b = interleaved(ours, eager, seconds=seconds)
    what = "attention" if case.J == "attn" else "convolution"
    return Row(what, str(case), 1e3 * a, "ms", "eager", 1e3 * b, error)


def memory(case: Case, T: int) -> Row:
    """Checkpoints and T steps beside the steps of the case, eager."""
    ours, _ = both(replace(case, T=T), checkpoint=True)
    _, eager = both(case)
    sizes = [most_memory(call) / 1e6 for call in (ours, eager)]
    return Row("memory", f"ch {case.ch}, T {T}", sizes[0], "MB", f"eager T {case.T}", sizes[1], note="checkpoints")


def run(cases: Sequence[Case] = CASES, memory_of: Case = MEMORY, long: int = 1024, seconds: float = 8.0) -> list[Row]:
    """Rows for every case, and the memory of as many steps and of a long run."""
    torch.set_num_threads(1)
    return [*(speed(case, seconds) for case in cases), *(memory(memory_of, T) for T in (memory_of.T, long))]
