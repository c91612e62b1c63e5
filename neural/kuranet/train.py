"""Training a coupling function: one network of nodes per iteration, resumable at any of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from math import cos, pi
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from tqdm import tqdm

import analysis
from neural.kuranet.couplings import Kind
from neural.kuranet.model import Horizon, KuraNet, run
from neural.kuranet.network import CouplingNetwork, Init
from neural.kuranet.nodes import Nodes
from oscillators import checks


@dataclass(frozen=True)
class Recipe:
    """How a coupling function is built and trained.

    Args:
        lr: learning rate. cosine: whether it falls to 0 over the training as (1 + cos)/2.
        clip: largest L2 norm of the whole gradient.
        epochs: passes over the data, shuffled anew each time.
        nodes: size of a network; one network is one iteration.
        optimizer: "sgd" (with `momentum`) or "adam".
        horizon: what is run, and what of it counts.
        kind, per_node: see `KuraNet`. hidden, init: see `CouplingNetwork`.
        standardised: whether features are shifted and scaled to mean 0 and variance 1 over the training nodes.
        uniform: whether a run starts at phases uniform on the circle instead of where its nodes start by themselves.
        growth: share of the training over which runs grow to the length of the horizon (0: they have it at once): the
            burn-in in equal parts from 0; with `varied`, the window by equal factors from a single step instead.
        varied: whether each window is as long as a number of steps drawn log-uniformly from 1 to that of the horizon.
    """

    lr: float
    clip: float
    epochs: int
    nodes: int = 100
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.0
    cosine: bool = False
    horizon: Horizon = field(default_factory=Horizon)
    kind: Kind = "softmax"
    per_node: bool = False
    hidden: int = 128
    init: Init = "default"
    standardised: bool = False
    uniform: bool = False
    growth: float = 0.0
    varied: bool = False

    def __post_init__(self):
        checks.one_of("optimizer", self.optimizer, ("sgd", "adam"))
        if self.momentum and self.optimizer == "adam":
            raise ValueError(
                f"`momentum` must be 0 with 'adam', but is {self.momentum}; its first moment is one already."
            )

    def model(self, data: Nodes, generator: torch.Generator) -> KuraNet:
        """An untrained model for data of this kind; in evaluation mode it is the random control."""
        network = CouplingNetwork(data.x.shape[-1], self.hidden, self.init, generator=generator)
        center, spread = _scale(data.x) if self.standardised else (0.0, 1.0)
        return KuraNet(network, self.kind, per_node=self.per_node, center=center, spread=spread)

    def start(self, nodes: Nodes, generator: torch.Generator) -> Tensor:
        """Initial phases of an iteration, (node,)."""
        if self.uniform:
            return 2 * pi * torch.rand(len(nodes), generator=generator, dtype=torch.float64)
        return nodes.start(generator)

    def draw_horizon(self, progress: float, generator: torch.Generator) -> Horizon:
        """The horizon of an iteration, when this share of the training is done."""
        grown = min(1.0, progress / self.growth) if self.growth else 1.0
        if not self.varied:
            return replace(self.horizon, burn_in=round(self.horizon.burn_in * grown))
        u = torch.rand((), generator=generator, dtype=torch.float64).item()
        return replace(self.horizon, window=int(self.horizon.window ** (u * grown)) + 1)

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.Adam(model.parameters(), lr=self.lr)
        return torch.optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum)


class Training:
    """A training in progress: model, optimiser, random numbers, and what happened so far.

    Attributes:
        model: the `KuraNet`.
        loss, c_x: after each iteration its loss, and the autocorrelation of the features on its couplings.
    """

    def __init__(self, recipe: Recipe, data: Nodes, seed: int, device: Any = "cpu"):
        _check_size(data, recipe.nodes)
        self.recipe, self.data, self.seed, self.device = recipe, data, seed, device
        self.generator = torch.Generator().manual_seed(seed)
        self.model = recipe.model(data, self.generator).to(device)
        self.optimizer = recipe.optimiser(self.model)
        self.epoch_start = self.generator.get_state()
        self.loss: list[float] = []
        self.c_x: list[float] = []

    @property
    def iterations(self) -> int:
        """Of the whole training."""
        return self.recipe.epochs * (len(self.data) // self.recipe.nodes)

    def networks(self) -> Iterator[Nodes]:
        """Those of this epoch that are still to come."""
        done = len(self.loss) % (len(self.data) // self.recipe.nodes)
        now = self.generator.get_state()
        if done == 0:
            self.epoch_start = now
        self.generator.set_state(self.epoch_start)
        networks = list(self.data.shuffled(self.generator).batches(self.recipe.nodes))
        if done > 0:
            self.generator.set_state(now)
        yield from networks[done:]

    def step(self, nodes: Nodes) -> None:
        """One iteration with one network."""
        theta = self.recipe.start(nodes, self.generator).to(self.device)
        horizon = self.recipe.draw_horizon(len(self.loss) / self.iterations, self.generator)
        nodes = nodes.to(self.device)
        self.model.train()
        K = self.model(nodes.x)
        loss = nodes.loss(run(K, nodes, theta, horizon).window)
        self.optimizer.zero_grad()
        loss.backward()
        if not nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip).isfinite():
            raise FloatingPointError(
                f"`recipe` must keep the gradient finite, but it is not in iteration {len(self.loss)}: the run has diverged; "
                "lower `lr`, or the step of the `horizon`."
            )
        if self.recipe.cosine:
            self.optimizer.param_groups[0]["lr"] = self.recipe.lr * (1 + cos(pi * len(self.loss) / self.iterations)) / 2
        self.optimizer.step()
        self.loss.append(loss.item())
        self.c_x.append(analysis.graph_autocorrelation(nodes.x, K.detach()).item())

    def state(self) -> dict[str, Any]:
        """All that an interrupted training needs to go on with the same bits (on a processor)."""
        return {
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "size": len(self.data),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epoch_start": self.epoch_start,
            "loss": self.loss,
            "c_x": self.c_x,
        }

    def save(self, path: Path) -> None:
        """Write the state in one move: an interrupted write leaves the file as it was."""
        part = path.with_name(path.name + ".part")
        torch.save(self.state(), part)
        os.replace(part, path)

    def load(self, path: Path) -> None:
        """Go on from a saved state of the same training."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, mine in (("recipe", asdict(self.recipe)), ("seed", self.seed), ("size", len(self.data))):
            if state[name] != mine:
                raise ValueError(
                    f"`path` must hold a training with {name} {checks.shown(mine)}, but {path} has "
                    f"{checks.shown(state[name])}; give another path, or remove the file."
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.epoch_start, self.loss, self.c_x = state["epoch_start"], state["loss"], state["c_x"]


def train(
    recipe: Recipe,
    data: Nodes,
    *,
    seed: int = 0,
    path: str | os.PathLike | None = None,
    every: float = 5.0,
    device: Any = "cpu",
    progress: bool = False,
) -> Training:
    """Train a coupling function, from the start or from where the file at `path` stands.

    Args:
        data: training nodes.
        seed: of the initial weights, the shuffling and the initial phases.
        path: checkpoint, written every so many seconds and at the end. Interrupted at any time, the training goes on from
            there, with the same bits on a processor.
        progress: whether to show a bar.
    """
    training = Training(recipe, data, seed, device)
    path = None if path is None else Path(path)
    if path is not None and path.exists():
        training.load(path)
    saved = time.monotonic()
    with tqdm(total=training.iterations, initial=len(training.loss), disable=not progress) as bar:
        while len(training.loss) < training.iterations:
            for nodes in training.networks():
                training.step(nodes)
                bar.update()
                bar.set_postfix(loss=f"{training.loss[-1]:.3f}", refresh=False)
                if path is not None and time.monotonic() - saved >= every:
                    training.save(path)
                    saved = time.monotonic()
    if path is not None:
        training.save(path)
    return training


@torch.no_grad()
def evaluate(model: KuraNet, data: Nodes, horizon: Horizon, *, nodes: int = 100, seed: int = 0) -> Tensor:
    """Loss of each network of so many nodes, in order, with the running statistics of the model: (networks,).

    `Horizon(burn_in=1000)` and test nodes give the regime "Data" of the paper.
    """
    _check_size(data, nodes)
    generator = torch.Generator().manual_seed(seed)
    device, training = next(model.parameters()).device, model.training
    model.eval()
    losses = []
    for network in data.batches(nodes):
        theta, network = network.start(generator).to(device), network.to(device)
        losses.append(network.loss(run(model(network.x), network, theta, horizon).window))
    model.train(training)
    return torch.stack(losses)


def _check_size(data: Nodes, nodes: int) -> None:
    if len(data) < nodes:
        raise ValueError(
            f"`data` must hold at least one network of {nodes} nodes, but holds {len(data)}; draw more, or lower `nodes`."
        )


def _scale(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the features, (m,); 1 for a feature that does not vary."""
    spread = x.std(dim=0)
    return x.mean(dim=0), torch.where(spread > 0, spread, torch.ones_like(spread))
