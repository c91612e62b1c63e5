"""AKOrN, replayed: layers, attention, readouts, blocks, networks, baselines, training.

The published code has its channels first, counts E_0, ..., E_(T-1) after a leading 0, and leaves out the start; ours has
channels last and all states x_0, ..., x_T with their energies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn import (
    Attention,
    ClassifierAKOrN,
    ImageTransformer,
    MovingAverage,
    ObjectAKOrN,
    PairFrequency,
    Readout,
    SudokuAKOrN,
    SudokuTransformer,
    board_scores,
    digits,
    kuramoto_layer,
    simclr_loss,
    warmup,
)
from neural.akorn.positions import grid_coordinates, waves
from neural.akorn.readout import full_readout
from tests.replays.file import Golden, Output

SINGLE = 2e-6  # constants built in single precision


def layer(golden: Golden) -> dict[str, Any]:
    """States, energies and gradients of a Kuramoto layer, and one evaluation at the raw input."""
    meta = golden.meta
    own = _loaded(
        kuramoto_layer(meta["J"], meta["ch"], meta["n"], **_layer(meta), **_connectivity(meta)), golden.weights
    )
    x, c, gamma = (_leaf(golden, name) for name in ("x", "c", "gamma"))
    run = own.run(_last(x), _last(c), meta["T"], gamma, states=True, energies=True)
    weight, T = golden.tensor("loss_w"), meta["T"]
    xs, es = _states(run.states[1:]), _energies(run.energies)
    loss = (weight * xs[-1]).sum() + 0.01 * es[T].sum()
    names = ["x", "c", "gamma", *(f"weight/{name}" for name, _ in own.named_parameters())]
    gradients = torch.autograd.grad(loss, [x, c, gamma, *own.parameters()])
    normed = c if own.c_norm is None else _first(own.c_norm(_last(c)))
    return {
        "x_init": _states(run.states)[0],
        "c_normed": normed,
        "xs": xs,
        "es": es,
        "loss": loss,
        **_raw(own, x, c),
        **{f"grad/{name}": value for name, value in zip(names, gradients, strict=True)},
    }


def _raw(own: Any, x: Tensor, c: Tensor) -> dict[str, Tensor]:
    """Derivative and x · y of a state that is not normalised in a stimulus that is not scaled."""
    groups = _last(x).unflatten(-1, (-1, own.n))
    y = (own.connectivity(_last(x)) + _last(c)).view_as(groups)
    free = y - (y * groups).sum(-1, keepdim=True) * groups if own.tangent else y
    turned = own.omg(groups) if own.omg is not None else groups  # the published identity
    return {"dxdt_raw": _first((turned + free).flatten(-2)), "sim_raw": _first((groups * y).flatten(-2))}


def attention(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    positions = "gta" if meta["gta"] else "rope" if meta["rope"] else None
    own = _loaded(Attention(meta["ch"], meta["heads"], positions, meta["hw"], meta["weight"]), golden.weights)
    x = golden.tensor("x")
    if meta["weight"] == "conv":
        return {"y": _first(own(_last(x)))}
    return {"y": own(x.unflatten(1, tuple(meta["x_hw"]))).flatten(1, 2)}


def omega(golden: Golden) -> dict[str, Any]:
    """Ω x on maps (B, ch, H, W), tokens (B, token, ch) and vectors (B, ch)."""
    outputs = {}
    for i, (n, ch, shared, shape) in enumerate(golden.meta["cases"]):
        own = _loaded(PairFrequency(ch, n, shared), {"omg_param": golden.weights[f"{i}/omg_param"]})
        x = golden.tensor(f"{i}/x")
        x = _last(x) if len(shape) == 4 else x
        turned = own(x.unflatten(-1, (-1, n))).flatten(-2)
        outputs[f"{i}/omg_x"] = _first(turned) if len(shape) == 4 else turned
    return outputs


def matrices(golden: Golden) -> dict[str, Any]:
    outputs = {}
    for i, (height, width, ch, heads) in enumerate(golden.meta["cases"]):
        own = Attention(ch, heads, "gta", (height, width))
        outputs[f"{i}/mat_q"], outputs[f"{i}/mat_o"] = (Output(m, SINGLE, 1.0) for m in (own.mat_q, own.mat_o))
    return outputs


def table(golden: Golden) -> dict[str, Any]:
    return {
        str(i): Output(waves(grid_coordinates((height, width)), ch).T.view(ch, height, width), SINGLE, 1.0)
        for i, (ch, height, width) in enumerate(golden.meta["cases"])
    }


def readout(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = _loaded(
        Readout(meta["inch"], meta["outch"], meta["ro_N"], meta["kernel_size"], meta["padding"]), golden.weights
    )
    x = _leaf(golden, "x")
    y = _first(own(_last(x)))
    return {"y": y, "grad/x": torch.autograd.grad((golden.tensor("loss_w") * y).sum(), x)[0]}


def block(golden: Golden) -> dict[str, Any]:
    """A layer and its full readout, whose batch statistics are those of evaluation, then of training."""
    meta = golden.meta
    layer = kuramoto_layer(meta["J"], meta["ch"], meta["n"], **_layer(meta), **_connectivity(meta))
    read = full_readout(meta["ch"], meta["ro_N"], meta["ro_ksize"], meta["readout_norm"])
    own = _loaded(nn.ModuleDict({"klayer": layer, "readout": read}), golden.weights).eval()
    with torch.no_grad():
        start, c = (_last(golden.tensor(name)) for name in ("x", "c"))
        run = layer.run(start, c, meta["T"], golden.tensor("gamma"), states=True, energies=True)
        norms = read[0](run.x)
        after = read[1](norms)
        c_next = read[2](after)
        c_next_train = own["readout"].train()(run.x)
    return {
        "xs": _states(run.states[1:]),
        "es": _energies(run.energies),
        "readout_norms": _first(norms),
        "after_resblock": _first(after),
        "c_next": _first(c_next),
        "c_next_train": _first(c_next_train),
        **{f"after_train/{name}": value for name, value in own.named_buffers()},
    }


def sudoku(golden: Golden) -> dict[str, Any]:
    """Logits, states and energies of a board; loss over all cells, its gradient, and what is right."""
    own, boards = sudoku_network(golden)
    noise = _last(golden.tensor("noise"))
    run = own.run(boards, noise, T=golden.meta["T"], states=True, energies=True)
    solutions = digits(golden.tensor("solution"))
    loss = functional.cross_entropy(run.output.flatten(0, 2), solutions.flatten() - 1)
    gradients = torch.autograd.grad(loss, list(own.parameters()))
    score = board_scores(run.output, boards, solutions)
    return {
        "logits": run.output,
        **{f"xs/{i}": _states(states[1:] if i == 0 else states[-1:]) for i, states in enumerate(run.states)},
        **{f"es/{i}": _energies(energies) for i, energies in enumerate(run.energies)},
        "loss": loss,
        **{f"grad/{name}": grad for (name, _), grad in zip(own.named_parameters(), gradients, strict=True)},
        "num_blanks": score.blanks,
        "num_correct": score.right,
        "board_correct": score.solved,
    }


def sudoku_network(golden: Golden) -> tuple[SudokuAKOrN, Tensor]:
    """The network of a file's weights, and its boards."""
    meta, boards = golden.meta, digits(golden.tensor("board"))
    if "is_input" in golden.inputs and bool(((boards > 0) != (golden.tensor("is_input")[..., 0] > 0)).any()):
        raise ValueError("is_input must mark the cells that are not blank")
    own = SudokuAKOrN(
        meta["ch"],
        meta.get("n", 4),
        meta.get("L", 1),
        meta["T"],
        J=meta.get("J", "attn"),
        ksize=meta.get("ksize", 3),
        nonlinear=meta.get("nl", True),
        heads=meta["heads"],
        **_layer({"use_omega": True, "global_omg": True} | meta),
    )
    return _loaded(own, golden.weights), boards


def sudoku_transformer(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    positions = "gta" if meta["gta"] else "absolute"
    own = SudokuTransformer(
        meta["ch"], meta["heads"], meta["blocks"], meta["T"], mlp=meta["mlp_dim"], positions=positions
    )
    return {"logits": _loaded(own, golden.weights)(digits(golden.tensor("board")))}


def objects(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ObjectAKOrN(
        meta["ch"],
        meta["n"],
        meta["L"],
        meta["T"],
        imsize=meta["imsize"],
        psize=meta["psize"],
        J=meta["J"],
        ksize=meta.get("ksize", 1),
        positions="gta" if meta.get("gta", True) else "absolute",
        readout=not meta.get("no_ro", False),
        map_x=meta.get("use_ro_x", False),
        maxpool=meta.get("maxpool", True),
        rescale=meta.get("autorescale", True),
        heads=meta.get("heads", 8),
        **_layer({"use_omega": False, "c_norm": "gn"} | meta),
    )
    noise = golden.tensor("noise")
    run = _loaded(own, golden.weights).run(golden.tensor("image"), _last(noise), states=True, energies=True)
    start = noise + own.pemb_x if own.absolute else noise
    return {
        "z": run.output,
        "c": _first(run.c),
        "x": _first(run.x),
        "xs/0": start,
        **{f"xs/{i}": _states(states[1:]) for i, states in enumerate(run.states, 1)},
        **{f"es/{i}": _energies(energies) for i, energies in enumerate(run.energies, 1)},
    }


def object_transformer(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ImageTransformer(
        meta["ch"],
        meta["heads"],
        meta["blocks"],
        meta["T"],
        mlp=meta["mlp_dim"],
        imsize=meta["imsize"],
        psize=meta["psize"],
        positions="gta" if meta["gta"] else "absolute",
    )
    seen = _loaded(own, golden.weights).run(golden.tensor("image"), states=True)
    return {
        "z": seen.output,
        "feat": _first(seen.features),
        "pre_norm": _first(seen.x),
        **{f"xs/{i}": states.movedim(-1, 2) for i, states in enumerate(seen.states, 1)},
    }


def classification(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ClassifierAKOrN(
        meta["ch"],
        meta["n"],
        meta["out_classes"],
        meta["L"],
        meta["T"],
        J=meta["J"],
        ksizes=meta["ksizes"],
        ro_ksize=meta["ro_ksize"],
        ro_n=meta["ro_N"],
        norm=None if meta["norm"] in (None, "none") else meta["norm"],
        heads=meta.get("heads", 8),
        **_layer({"c_norm": "gn"} | meta),
    )
    own = _loaded(own, golden.weights).eval()
    run = own.run(golden.tensor("image"), _last(golden.tensor("noise")), states=True, energies=True)
    stride = meta["x_last_stride"]
    return {
        "logits": run.output,
        "c": run.c.mean((1, 2)),
        "x": run.x.mean((1, 2)),
        **{f"x_last/{i}": _states(states[-1:])[0, ..., ::stride, ::stride] for i, states in enumerate(run.states)},
        **{f"es/{i}": _energies(energies) for i, energies in enumerate(run.energies)},
    }


def similarity(golden: Golden) -> dict[str, Any]:
    outputs = {}
    for i, (_, _, temperature, normalize) in enumerate(golden.meta["cases"]):
        views = [_leaf(golden, f"{i}/{name}") for name in ("z1", "z2")]
        loss = simclr_loss(*views, temperature, normalize)
        outputs[f"{i}/loss"] = loss
        outputs[f"{i}/grad_z1"], outputs[f"{i}/grad_z2"] = torch.autograd.grad(loss, views)
    return outputs


def schedules(golden: Golden) -> dict[str, Any]:
    """Averages of one number that moves, and factors of a rate."""
    outputs = {}
    for i, (beta, every, after, _) in enumerate(golden.meta["ema_cases"]):
        weight = nn.ParameterList([torch.tensor(0.3, dtype=torch.float64)])
        average, values = MovingAverage(weight, beta, every, after), []
        for value in golden.tensor(f"{i}/traj"):
            weight[0].data.copy_(value)
            average.update(weight)
            values.append(float(average.network[0]))
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
    average = MovingAverage(own, ema["beta"], ema["update_every"], ema["update_after_step"])
    losses, norms = [], []
    for noise in golden.tensor("noise"):
        loss = functional.cross_entropy(own(boards, _last(noise)).flatten(0, 2), solutions)
        optimizer.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(own.parameters(), meta["clip_grad_norm"]))
        optimizer.step()
        average.update(own)
        losses.append(loss)
    final = own.state_dict() | {"x0": golden.weights["x0"]}  # which nothing reads
    return {
        "losses": torch.stack(losses),
        "gradnorm": torch.stack(norms),
        **{f"final/{name}": Output(value, 1e-7, 1.0) for name, value in final.items()},
        **{f"ema/{name}": Output(value, 1e-6, 1.0) for name, value in average.network.state_dict().items()},
    }


def _layer(meta: dict[str, Any]) -> dict[str, Any]:
    """Options of a layer by our names."""
    shared = meta.get("global_omg", False)
    return {
        "omega": ("global" if shared else "pair") if meta["use_omega"] else None,
        "omega_off": "identity",
        "c_norm": None if meta.get("c_norm") in (None, "none") else meta["c_norm"],
        "tangent": meta.get("apply_proj", meta.get("project", True)),
    }


def _connectivity(meta: dict[str, Any]) -> dict[str, Any]:
    positions = "gta" if meta["gta"] and meta["J"] == "attn" else None
    return {"ksize": meta["ksize"], "heads": meta["heads"], "positions": positions, "at": meta["hw"]}


def _loaded(module: Any, weights: dict[str, np.ndarray]) -> Any:
    module.double().load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    return module


def _leaf(golden: Golden, name: str) -> Tensor:
    return golden.tensor(name).requires_grad_()


def _last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _states(states: Tensor) -> Tensor:
    """(time, B, H, W, oscillator, n) as published, (time, B, ch, H, W)."""
    return states.flatten(-2).movedim(-1, 2)


def _energies(energies: Tensor) -> Tensor:
    """E_0, ..., E_T as published: 0, E_0, ..., E_(T-1)."""
    return torch.cat([torch.zeros_like(energies[:1]), energies[:-1]])


def _relative(replay: Callable[[Golden], dict[str, Any]]) -> Callable[[Golden], dict[str, Any]]:
    """Errors relative to 1 + the largest entry."""

    def outputs(golden: Golden) -> dict[str, Any]:
        found = replay(golden)
        scales = {name: 1.0 + float(np.abs(values).max()) for name, values in golden.outputs.items() if name in found}
        return {
            name: found[name] if isinstance(found[name], Output) else Output(found[name], scale=scale)
            for name, scale in scales.items()
        }

    return outputs


REPLAYS = {
    prefix: _relative(replay)
    for prefix, replay in {
        "klayer_": layer,
        "attention_": attention,
        "omega_layer": omega,
        "gta_matrices": matrices,
        "posenc2d": table,
        "readout_conv": readout,
        "kblock_": block,
        "sudoku_akorn": sudoku,
        "sudoku_itrsa": sudoku_transformer,
        "objdisc_akorn": objects,
        "objdisc_itrsa": object_transformer,
        "classification_": classification,
        "simclr_": similarity,
        "ema_": schedules,
        "sudoku_train": training,
    }.items()
}
