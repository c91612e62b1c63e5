"""AKOrN, replayed: losses, schedules, steps of training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from neural.akorn import MovingAverage, digits, simclr_loss, warmup
from tests.replays.akorn_layout import last
from tests.replays.akorn_networks import sudoku_network
from tests.replays.file import Golden, Output, relative


def similarity(golden: Golden) -> dict[str, Any]:
    outputs = {}
    for i, (_, _, temperature, normalize) in enumerate(golden.meta["cases"]):
        views = [golden.leaf(f"{i}/{name}") for name in ("z1", "z2")]
        loss = simclr_loss(*views, temperature, normalize)
        outputs[f"{i}/loss"] = loss
        outputs[f"{i}/grad_z1"], outputs[f"{i}/grad_z2"] = torch.autograd.grad(loss, views)
    return outputs


def schedules(golden: Golden) -> dict[str, Any]:
    """Averages of one number that moves, and factors of a rate."""
    outputs = {}
    for i, (beta, every, after, _) in enumerate(golden.meta["ema_cases"]):
        weight = nn.ParameterList([torch.tensor(0.3, dtype=torch.float64)])
        average, values = AveragedModel(weight, avg_fn=MovingAverage(beta, every, after)), []
        for step, value in enumerate(golden.tensor(f"{i}/traj")):
            weight[0].data.copy_(value)
            if step % every == 0:
                average.update_parameters(weight)
            values.append(average.module[0].item())
        outputs[f"{i}/ema"] = Output(values, 1e-6, 1.0)
    rates = [warmup(k, golden.meta["warmup_iters"]) for k in range(len(golden.outputs["warmup_lr"]))]
    return outputs | {"warmup_lr": Output(rates, 1e-6, 1.0)}


def training(golden: Golden) -> dict[str, Any]:
    """Steps of Adam with clipped gradients on the same boards, and averages of the weights."""
    meta = golden.meta
    own, boards = sudoku_network(golden)
    solutions = digits(golden.tensor("solution")).flatten() - 1
    optimizer = torch.optim.Adam(own.parameters(), lr=meta["lr"])
    ema = meta["ema"]
    average = AveragedModel(own, avg_fn=MovingAverage(ema["beta"], ema["update_every"], ema["update_after_step"]))
    losses, norms = [], []
    for step, noise in enumerate(golden.tensor("noise")):
        loss = functional.cross_entropy(own(boards, last(noise)).flatten(0, 2), solutions)
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(own.parameters(), meta["clip_grad_norm"]))
        optimizer.step()
        if step % ema["update_every"] == 0:
            average.update_parameters(own)
        losses.append(loss)
    final = own.state_dict() | {"x0": golden.weights["x0"]}  # which nothing reads
    return {
        "losses": torch.stack(losses),
        "gradnorm": torch.stack(norms),
        **{f"final/{name}": Output(value, 1e-7, 1.0) for name, value in final.items()},
        **{f"ema/{name}": Output(value, 1e-6, 1.0) for name, value in average.module.state_dict().items()},
    }


REPLAYS = relative({"simclr_": similarity, "ema_": schedules, "sudoku_train": training})
