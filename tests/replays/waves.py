"""Wave networks, replayed: recurrent networks, image sequences, the exactly solvable network, measures of waves.

Gradients are those of the published weights: these are leaves, and our weights are made of them by differentiable steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from neural.waves import published
from neural.waves.cell import Orbit
from neural.waves.first_order import identity_rnn
from neural.waves.first_order import wave_rnn as wave_rnn_network
from neural.waves.images import log_weights, loss
from neural.waves.latent import induced
from neural.waves.local import Local, OneWay, Untied
from neural.waves.sheet import DrivenSheet, interleaved, separate
from neural.waves.unicornn import UndampedLayer
from tests.replays.file import Golden

Leaves = dict[str, Tensor]
CONSTANTS = ("dt", "gamma", "epsilon")


class Call(nn.Module):
    """A function of a network as its forward pass, so that its weights can be given."""

    def __init__(self, network: nn.Module, function: Callable[..., Any]):
        super().__init__()
        self.network, self.function = network, function

    def forward(self, *given: Any) -> Any:
        return self.function(self.network, *given)


def with_weights(network: nn.Module, weights: Mapping[str, Tensor], function: Callable[..., Any], *given: Any) -> Any:
    """function(network, *given) with these weights."""
    return functional_call(Call(network, function), {f"network.{name}": w for name, w in weights.items()}, given)


def leaves(golden: Golden) -> Leaves:
    return {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in golden.weights.items()}


def gradients(golden: Golden, total: Tensor, weights: Leaves, **inputs: Tensor) -> dict[str, Tensor]:
    """Those the file has: `grad/...` of weights, and of inputs by name; zero for weights that do nothing."""
    wanted = {f"grad/{name}": leaf for name, leaf in weights.items()} | inputs
    wanted = {name: leaf for name, leaf in wanted.items() if name in golden.outputs}
    found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if grad is None else grad
        for (name, leaf), grad in zip(wanted.items(), found, strict=True)
    }


def sequence(golden: Golden, read: Callable[[Any], Leaves], **options: Any) -> dict[str, Any]:
    """A network that reads a sequence, or tokens: states, outputs, gradients."""
    weights = leaves(golden)
    network: Any = published.network_from(golden.weights, **options)
    u = golden.tensor("text") if "text" in golden.inputs else golden.tensor("x").requires_grad_()

    def forward(network: Any, u: Tensor) -> Any:
        drive = network.drive(u)
        found = network.cell.run(drive)
        y = found if isinstance(found, Tensor) else found.y
        return found, network.readout(y if network.every_step else y[-1]), network.embedding and network.embedding(u)

    orbit, outputs, embedded = with_weights(network, read(weights), forward, u)
    total = (golden.tensor("cotangent") * outputs).sum()
    y, z = (orbit, None) if isinstance(orbit, Tensor) else orbit
    named = {
        "logits": outputs,
        "output": outputs,
        "hy": y,
        "hz": z,
        "hidden": y,
        "hy_last": y[-1],
        "embedded": embedded,
    }
    inputs = {"grad_x": u} if u.is_floating_point() else {}
    return kept(golden, named | {"loss": total} | gradients(golden, total, weights, **inputs))


def kept(golden: Golden, named: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the file has, too."""
    return {name: value for name, value in named.items() if name in golden.outputs}


def cornn(golden: Golden) -> dict[str, Any]:
    constants = {name: golden.meta[name] for name in CONSTANTS}
    found = sequence(golden, published.split_cornn, **constants)
    if golden.name.startswith("cornn_text"):  # row of the padding gets no gradient
        found["grad/embedding.weight"][golden.meta["pad_idx"]] = 0.0
    return found


def wave_machine(golden: Golden) -> dict[str, Any]:
    constants = {name: golden.meta[name] for name in CONSTANTS}
    found = sequence(golden, published.wave_machine_weights, **constants)
    if "grad/embedding.weight" in found:
        found["grad/embedding.weight"][golden.meta["pad_idx"]] = 0.0
    return found


def wave_rnn(golden: Golden) -> dict[str, Any]:
    """States, outputs and gradients; the published starting values."""
    every_step = golden.outputs.get("output", golden.outputs["hidden"]).ndim == 3
    found = sequence(golden, published.wave_rnn_weights, every_step=every_step, activation=golden.meta["act"])
    return found | _starting_values(golden)


def impulse(golden: Golden) -> dict[str, Any]:
    """States of a wave-RNN without a readout, (T, channel, position)."""
    n, c = golden.meta["n_hid"], golden.meta["n_ch"]
    zeros = {"readout.weight": np.zeros((1, n * c)), "readout.bias": np.zeros(1)}
    network: Any = published.network_from(golden.weights | zeros, activation=golden.meta["act"])
    return {"hidden": network.states(golden.tensor("x"))[:, 0].unflatten(-1, (c, n))}


def _starting_values(golden: Golden) -> dict[str, Any]:
    meta, init = golden.meta, golden.meta.get("init", "")
    if not init:
        return {}
    single = "single-source" in init
    n, c = meta["n_hid"], meta["n_ch"]
    if golden.weights["cell.Wy.weight"].ndim == 2:
        built = identity_rnn(meta["n_inp"], n * c, 1, shift="shift" in init, single_source=n if single else None)
    else:
        kind = next(k for k in ("shift", "identity", "random") if k in init or k == "random")
        untied = golden.weights["cell.Wy.weight"].ndim == 5
        built = wave_rnn_network(
            meta["n_inp"], n, c, 1, size=meta["ksize"], start=kind, single_source=single, untied=untied
        )
    values = {
        name.replace("encode", "cell.Wx").replace("cell.position", "cell.Wy"): v
        for name, v in built.state_dict().items()
    }
    shaped = {f"init/{name}": value for name, value in values.items()}
    return {name: shaped[name].reshape(golden.outputs[name].shape) for name in golden.outputs if name in shaped}


def unicornn(golden: Golden) -> dict[str, Any]:
    """The recurrence of one layer with its input given: states, last state, adjoint."""
    weights = leaves(golden)
    own = published.unicornn_weights({f"RNNs.0.{name}": value for name, value in weights.items()})
    own = {name.removeprefix("layers.0."): value for name, value in own.items()}
    layer = UndampedLayer(len(weights["c_"]), golden.meta["dt"], golden.meta["alpha"]).double()
    x = golden.tensor("x").requires_grad_()
    y, z = with_weights(layer, own, lambda layer, x: layer.run(x), x)
    total = (golden.tensor("cotangent") * y).sum()
    bars = torch.autograd.grad(total, [x, weights["weight_hh"], weights["c_"]])
    found = dict(zip(("grad_x", "grad_weight_hh", "grad_c"), bars, strict=True))
    return found | {"hy": y, "hy_last": y[-1], "hz_last": z[-1]}


def sheet(golden: Golden) -> dict[str, Any]:
    """The cell of image sequences alone: states (position, velocity) from a start, gradients."""
    meta, weights = golden.meta, leaves(golden)
    lattice = (meta["n_caps"], *meta["cap_shape"])
    own = published.image_weights({f"rnn.{name}": value for name, value in weights.items()})
    network = DrivenSheet(
        lattice,
        *(local(meta, lattice) for _ in range(3)),
        norm=meta["layernorm"],
        steps_per_input=meta["n_internal_steps"],
    ).double()
    signal = golden.tensor("drive").requires_grad_()
    start = Orbit(*golden.tensor("h0").chunk(2, -1))
    own = {name.removeprefix("sheet."): value for name, value in own.items()}
    state = torch.cat(with_weights(network, own, lambda n, *given: n.run(*given), signal, start), -1)
    total = (golden.tensor("cotangent") * state).sum()
    return {"state": state, "loss": total, **gradients(golden, total, weights, grad_z=signal)}


def local(meta: Mapping[str, Any], lattice: tuple[int, ...]) -> Local:
    sharing: Any = "shared" if meta["share_over_caps"] else "separate"
    if meta["forward_only"]:
        return OneWay(lattice, sharing)
    if meta.get("locally_connected"):
        return Untied(lattice, meta["kernel_shape"], "shared" if sharing == "shared" else "mixed")
    return Local(lattice, meta["kernel_shape"], sharing)


def image_sequence(golden: Golden) -> dict[str, Any]:
    """Encoding, orbit, predictions, loss and its gradients, importance weights, induced waves."""
    weights = leaves(golden)
    network: Any = published.network_from(golden.weights, steps_per_input=golden.meta["n_internal_steps"])
    frames = golden.tensor("x").movedim(1, 0)
    own = published.image_weights(weights)
    run, speeds = with_weights(network, own, _run_and_roll, frames, golden.tensor("eps"))
    terms = loss(run, frames)
    total = terms.total()
    found = {
        "encoder_raw_first": torch.cat(run.encoded, -1)[0],
        "h0": torch.cat(run.start, -1),
        "drive": run.drive.movedim(0, 1),
        "state": torch.cat(run.orbit, -1).movedim(0, 1),
        "probs": run.probs.movedim(0, 1),
        "kl": terms.kl.movedim(0, 1),
        "neg_log_px": terms.misfit.movedim(0, 1),
        "loss": total,
        "avg_kl": terms.kl.sum(-1).mean(),
        "avg_neg_log_px": terms.misfit.sum(-1).mean(),
        "log_weight": log_weights(run, frames).movedim(0, 1),
        **speeds,
    }
    return kept(golden, found) | gradients(golden, total, weights)


def _run_and_roll(network: Any, frames: Tensor, noise: Tensor) -> Any:
    run = network(frames, noise)
    if len(network.sheet.lattice) > 2:
        return run, {}
    waves = {
        name: network.decode(induced(run.orbit.y[-1], network.sheet.lattice, speed, len(frames) - 1)).movedim(0, 1)
        for name, speed in (("roll_dt1", 1.0), ("roll_dt05", 0.5))
    }
    return run, waves


def physics(golden: Golden) -> dict[str, Any]:
    """The cell of the physical-dynamics model, whose states count (height, width, channel, component)."""
    meta = golden.meta
    own = published.physics_weights({name: torch.from_numpy(value) for name, value in golden.weights.items()})
    out, inputs, *size = own["sheet.driving.weight"].shape
    lattice = (out, meta["spatial_height"], meta["spatial_width"])
    maps = [Local(lattice, size, "mixed", c) for c in (out, out, inputs)]
    network = DrivenSheet(lattice, *maps, bias_channels=out).double()
    network.load_state_dict({name.removeprefix("sheet."): value for name, value in own.items()})
    signal = golden.tensor("drive").unflatten(-1, (*lattice[1:], inputs)).movedim(-1, -3).flatten(-3)
    return {"state": interleaved(network.run(signal, separate(golden.tensor("h0"), lattice)), lattice)}


REPLAYS = {
    "cornn_": cornn,
    "nwm_seq_": wave_machine,
    "nwm_cell_": sheet,
    "nwm_vae_": image_sequence,
    "nwm_phys_": physics,
    "unicornn_": unicornn,
    "wrnn_": wave_rnn,
    "wrnn_impulse": impulse,
    "irnn_": wave_rnn,
}
