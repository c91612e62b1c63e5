"""One training iteration of KuraNet with 100 nodes: ours beside the published formulas, one operation of torch after another.

Published: the coupling function on a list of all pairs, and Euler steps with the matrix of all sines, recorded during the
window. Both have the same weights, networks of nodes, optimiser and precision of the coupling function. Errors: relative, in
the norm of the gradient of all weights in the first iteration, from the published formulas in double precision.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import torch
from torch import Tensor, nn

import analysis
from benchmarks.timing import Row, interleaved
from neural.kuranet import CASE_I, CASE_III, Oscillators, Recipe, Training, oscillators

RECIPES = {"I": CASE_I, "III": CASE_III}


class Published:
    """Training with the weights that a training of ours starts from."""

    def __init__(self, training: Training, dtype: torch.dtype = torch.float32):
        self.recipe, self.dtype = training.recipe, dtype
        self.layers = copy.deepcopy(training.model.network.layers).to(dtype)
        self.optimizer = self.recipe.optimiser(self.layers)

    def couplings(self, x: Tensor) -> Tensor:
        n = len(x)
        pairs = torch.cat([x[:, None].expand(n, n, -1), x[None].expand(n, n, -1)], dim=-1)
        Z = self.layers(pairs.reshape(n * n, -1))
        K = n * torch.softmax(Z.flatten(), dim=0).view(n, n)
        return (K + K.T) / 2

    def walk(self, rows: list[Tensor], nodes: Oscillators, K: Tensor, steps: int, tau: Tensor) -> None:
        omega, b, sender = nodes.omega.to(self.dtype), nodes.b.to(self.dtype), torch.arange(len(nodes))
        longest = int(tau.max())
        for _ in range(steps):
            theta = rows[-1]
            past = torch.stack(rows[-1 - longest :])[longest - tau, sender]
            pull = (K * torch.sin(past[None] - theta[:, None])).sum(dim=1)
            rows.append(theta + self.recipe.horizon.dt * (omega + b * theta.sin() + pull))

    def step(self, nodes: Oscillators) -> None:
        K, horizon = self.couplings(nodes.x.to(self.dtype)), self.recipe.horizon
        rows = [torch.zeros(len(nodes), dtype=self.dtype)]
        with torch.no_grad():
            self.walk(rows, nodes, K, int(nodes.tau.max()), torch.zeros_like(nodes.tau))
            self.walk(rows, nodes, K, horizon.burn_in - 1, nodes.tau)
        self.walk(rows, nodes, K, horizon.window - 1, nodes.tau)
        loss = analysis.circular_variance(torch.stack(rows[-horizon.window :])).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.layers.parameters(), self.recipe.clip)
        self.optimizer.step()


def run(cases: Sequence[str] = ("I", "III"), nodes: int = 100, seconds: float = 4.0) -> list[Row]:
    """A row for each case."""
    torch.set_num_threads(1)
    return [_row(case, RECIPES[case], nodes, seconds) for case in cases]


def _row(case: str, recipe: Recipe, n: int, seconds: float) -> Row:
    data = oscillators(case, 10 * n, seed=0)
    training = Training(replace(recipe, nodes=n), data, seed=0)
    theirs, exact = Published(training), Published(training, torch.float64)
    first, *_ = networks = list(data.batches(n))
    for one in (training, theirs, exact):
        one.step(first)
    error, gap = (
        _off(_gradient(layers), _gradient(exact.layers)) for layers in (training.model.network.layers, theirs.layers)
    )
    mine, others = cycle(networks), cycle(networks)
    a, b = interleaved(lambda: training.step(next(mine)), lambda: theirs.step(next(others)), seconds=seconds)
    return Row(
        "training iteration", f"Case {case}, {n} nodes", 1e3 * a, "ms", "published formulas", 1e3 * b, error, gap
    )


def _gradient(layers: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten().double() for p in layers.parameters()])


def _off(gradient: Tensor, exact: Tensor) -> float:
    return float((gradient - exact).norm() / exact.norm())
