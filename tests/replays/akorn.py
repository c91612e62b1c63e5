"""AKOrN, replayed: layers, attention, readouts, blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from neural.akorn import Attention, PairFrequency, Readout, kuramoto_layer
from neural.akorn.positions import grid_coordinates, waves
from neural.akorn.readout import full_readout
from tests.replays.akorn_layout import (
    connectivity_options,
    first,
    last,
    layer_options,
    named,
    options,
    published_energies,
    published_states,
    trained,
)
from tests.replays.file import Golden, Output, relative

SINGLE = 2e-6  # constants built in single precision


def layer(golden: Golden) -> dict[str, Any]:
    """States, energies and gradients of a Kuramoto layer, and one evaluation at the raw input."""
    meta = golden.meta
    own = golden.load(
        kuramoto_layer(meta["J"], meta["ch"], meta["n"], **layer_options(meta), **connectivity_options(meta))
    )
    x, c, gamma = (golden.leaf(name) for name in ("x", "c", "gamma"))
    run = own.run(last(x), last(c), meta["T"], gamma, states=True, energies=True)
    weight, T = golden.tensor("loss_w"), meta["T"]
    xs, es = published_states(run.states[1:]), published_energies(run.energies)
    loss = (weight * xs[-1]).sum() + 0.01 * es[T].sum()
    parameters = trained(own)
    names = ["x", "c", "gamma", *(f"weight/{name}" for name in parameters)]
    gradients = torch.autograd.grad(loss, [x, c, gamma, *parameters.values()])
    normed = c if own.c_norm is None else first(own.c_norm(last(c)))
    return {
        "x_init": published_states(run.states)[0],
        "c_normed": normed,
        "xs": xs,
        "es": es,
        "loss": loss,
        **_raw(own, x, c),
        **{f"grad/{name}": value for name, value in zip(names, gradients, strict=True)},
    }


def _raw(own: Any, x: Tensor, c: Tensor) -> dict[str, Tensor]:
    """Derivative and x · y of a state that is not normalised in a stimulus that is not scaled."""
    groups = last(x).unflatten(-1, (-1, own.n))
    y = (own.connectivity(last(x)) + last(c)).view_as(groups)
    free = y - (y * groups).sum(-1, keepdim=True) * groups if own.tangent else y
    turned = own.omg(groups) if own.omg is not None else groups  # the published identity
    return {"dxdt_raw": first((turned + free).flatten(-2)), "sim_raw": first((groups * y).flatten(-2))}


def attention(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    positions = "gta" if meta.get("gta") else "rope" if meta.get("rope") else None
    own = golden.load(Attention(meta["ch"], meta["heads"], positions, meta["hw"], meta["weight"]))
    x = golden.tensor("x")
    if meta["weight"] == "conv":
        return {"y": first(own(last(x)))}
    return {"y": own(x.unflatten(1, tuple(meta.get("x_hw", meta["hw"])))).flatten(1, 2)}


def omega(golden: Golden) -> dict[str, Any]:
    """Ω x on maps (B, ch, H, W), tokens (B, token, ch) and vectors (B, ch)."""
    outputs = {}
    for i, (n, ch, shared, shape) in enumerate(golden.meta["cases"]):
        own = golden.load(PairFrequency(ch, n, shared), prefix=f"{i}/")
        x = golden.tensor(f"{i}/x")
        x = last(x) if len(shape) == 4 else x
        turned = own(x.unflatten(-1, (-1, n))).flatten(-2)
        outputs[f"{i}/omg_x"] = first(turned) if len(shape) == 4 else turned
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
    sizes = options(meta, {"kernel_size": "ksize", "padding": "padding", "stride": "stride"})
    own = golden.load(Readout(meta["inch"], meta["outch"], meta["ro_N"], **sizes))
    x = golden.leaf("x")
    y = first(own(last(x)))
    return {"y": y, "grad/x": torch.autograd.grad((golden.tensor("loss_w") * y).sum(), x)[0]}


def block(golden: Golden) -> dict[str, Any]:
    """A layer and its full readout, whose batch statistics are those of evaluation, then of training."""
    meta = golden.meta
    layer = kuramoto_layer(meta["J"], meta["ch"], meta["n"], **layer_options(meta), **connectivity_options(meta))
    read = full_readout(meta["ch"], meta["ro_N"], meta["ro_ksize"], named(meta["readout_norm"]))
    own = golden.load(nn.ModuleDict({"klayer": layer, "readout": read})).eval()
    with torch.no_grad():
        start, c = (last(golden.tensor(name)) for name in ("x", "c"))
        run = layer.run(start, c, meta["T"], golden.tensor("gamma"), states=True, energies=True)
        norms = read[0](run.x)
        after = read[1](norms)
        c_next = read[2](after)
        c_next_train = own["readout"].train()(run.x)
    return {
        "xs": published_states(run.states[1:]),
        "es": published_energies(run.energies),
        "readout_norms": first(norms),
        "after_resblock": first(after),
        "c_next": first(c_next),
        "c_next_train": first(c_next_train),
        **{f"after_train/{name}": value for name, value in own.named_buffers()},
    }


REPLAYS = relative(
    {
        "klayer_": layer,
        "attention_": attention,
        "omega_layer": omega,
        "gta_matrices": matrices,
        "posenc2d": table,
        "readout_conv": readout,
        "kblock_": block,
    }
)
