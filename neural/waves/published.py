"""Published weights of wave networks as ours, and back. Every step is differentiable: gradients flow to published names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from neural.waves.first_order import identity_rnn, wave_rnn
from neural.waves.images import ImageSequenceModel
from neural.waves.sequence import cornn, wave_machine
from neural.waves.unicornn import UnICORNN
from oscillators import checks

Weights = dict[str, Tensor]
Layout = Literal["concat", "split", "text"]


def split_cornn(weights: Mapping[str, Tensor]) -> Weights:
    """coRNN in any of its three published layouts -> ours.

    concat  cell.i2h.weight = [V | 𝒲 | W]       input, velocity, position
    split   cell.i2h.weight = V, cell.h2h1.weight = W, cell.h2h2.weight = 𝒲
    text    rnn.i2h.weight = V, rnn.h2h.weight = [𝒲 | W]
    """
    own = {name: value for name, value in weights.items() if name.split(".")[0] in ("embedding", "readout")}
    prefix = "rnn" if "rnn.i2h.weight" in weights else "cell"
    V, n = weights[f"{prefix}.i2h.weight"], len(weights[f"{prefix}.i2h.bias"])
    if "cell.h2h1.weight" in weights:
        velocity, position = weights["cell.h2h2.weight"], weights["cell.h2h1.weight"]
    elif prefix == "rnn":
        velocity, position = weights["rnn.h2h.weight"].split(n, 1)
    else:
        V, velocity, position = V.split([V.shape[1] - 2 * n, n, n], 1)
    return own | {
        "encode.weight": V,
        "encode.bias": weights[f"{prefix}.i2h.bias"],
        "cell.velocity.weight": velocity,
        "cell.position.weight": position,
    }


def join_cornn(weights: Mapping[str, Tensor], layout: Layout) -> Weights:
    """Our coRNN in a published layout; see `split_cornn`."""
    checks.one_of("layout", layout, ("concat", "split", "text"))
    own = {name: value for name, value in weights.items() if name.split(".")[0] in ("embedding", "readout")}
    V, b = weights["encode.weight"], weights["encode.bias"]
    velocity, position = weights["cell.velocity.weight"], weights["cell.position.weight"]
    if layout == "concat":
        return own | {"cell.i2h.weight": torch.cat([V, velocity, position], 1), "cell.i2h.bias": b}
    if layout == "split":
        maps = {"cell.h2h1.weight": position, "cell.h2h2.weight": velocity}
        return own | {"cell.i2h.weight": V, "cell.i2h.bias": b} | maps
    return own | {"rnn.i2h.weight": V, "rnn.i2h.bias": b, "rnn.h2h.weight": torch.cat([velocity, position], 1)}


def wave_machine_weights(weights: Mapping[str, Tensor]) -> Weights:
    """Sequence-classifying wave machine -> ours; kernels (1, 1, 3, 3), (1, 1, 1, 3), or one number."""
    own = {}
    for name, value in weights.items():
        new = name.removeprefix("rnn.").replace("cell.Wx", "encode")
        new = new.replace("cell.Wz", "cell.velocity").replace("cell.Wy", "cell.position")
        new = new if new.endswith(("weight", "bias")) else f"{new}.weight"
        own[new] = value[:, :, 0] if value.ndim == 4 and value.shape[2] == 1 else value
    return own


def wave_rnn_weights(weights: Mapping[str, Tensor]) -> Weights:
    """wave-RNN or iRNN -> ours; untied kernels (1, c, c, n, f) with biases (1, c, n)."""
    own = {name.replace("cell.Wx", "encode").replace("cell.Wy", "cell.position"): v for name, v in weights.items()}
    if own["cell.position.weight"].ndim == 5:
        for name in ("cell.position.weight", "cell.position.bias"):
            own[name] = own[name][0]
    return own


def unicornn_weights(weights: Mapping[str, Tensor]) -> Weights:
    """UnICORNN -> ours, whose oscillators are mirrored: y = -Y, and the weight has the other sign."""
    own = {}
    for name, value in weights.items():
        new = name.replace("DIs.", "encode.").replace(".fc.", ".").replace("classifier.", "readout.")
        new = new.replace("RNNs.", "layers.").replace(".c_", ".cell.constants.c")
        own[new.replace(".weight_hh", ".cell.position.weight")] = -value if name.endswith("weight_hh") else value
    return own


SHEET = {
    "coupling": "sheet.cell.position",
    "damping": "sheet.cell.velocity",
    "driving": "sheet.driving",
    "dt": "sheet.cell.constants.dt",
    "gamma": "sheet.cell.constants.gamma",
    "alpha": "sheet.cell.constants.epsilon",
    "b_bar": "sheet.b_bar",
    "ln_h": "sheet.cell.norm",
}


def image_weights(weights: Mapping[str, Tensor]) -> Weights:
    """Image-sequence model -> ours. Fixed one-sided kernels become their factor; the unused `grouper` is dropped."""
    own = {}
    for name, value in weights.items():
        part, _, rest = name.partition(".")
        group, _, kind = rest.partition(".")
        if part == "rnn" and kind in ("mult", "conv.weight"):
            if kind == "mult" or f"rnn.{group}.mult" not in weights:
                own[f"{SHEET[group]}.weight"] = value.flatten() if kind == "mult" else _untied(value)
        elif part == "rnn":
            own[".".join(filter(None, (SHEET[group], kind)))] = value
        elif part in ("encoder", "decoder"):  # the published encoder begins with a layer that flattens
            layer, _, kind = kind.partition(".")
            own[f"{part}.{int(layer) - (part == 'encoder')}.{kind}"] = value
        elif part != "grouper":
            own[name] = value
    return own


def _untied(kernel: Tensor) -> Tensor:
    """(1, C, C, *space, k²) -> (C, C, *space, k, k); other kernels as they are."""
    if kernel.ndim < 6:
        return kernel
    side = math.isqrt(kernel.shape[-1])
    return kernel[0].unflatten(-1, (side, side))


def physics_weights(weights: Mapping[str, Tensor]) -> Weights:
    """Cell of the physical-dynamics model -> our sheet: kernels (kh, kw, in, out) -> (out, in, kh, kw), channels of b first."""
    own = {"sheet.b_bar": weights["CORNN_0/b_bar"].movedim(-1, 0)}
    for name, ours in (("Coupling", "coupling"), ("DampingCoupling", "damping"), ("ForcingCoupling", "driving")):
        own[f"{SHEET[ours]}.weight"] = weights[f"CORNN_0/~/{name}Net/w"].permute(3, 2, 0, 1)
    return own | {SHEET[name]: weights[f"CORNN_0/{name}"].reshape(1) for name in ("dt", "gamma", "alpha")}


def network_from(source: Mapping[str, Any], **options: Any) -> nn.Module:
    """The network of published weights, in evaluation mode, in their precision.

    Args:
        source: a state dict.
        options: what no shape tells: dt, gamma, epsilon of coRNN and sequence-classifying wave machines; dt, alpha of
            UnICORNN; others of the networks.

    Raises:
        ValueError: if the weights are of none of these networks, or of another than the options say.
    """
    weights = {name: torch.as_tensor(value) for name, value in source.items()}
    for sign, read, build in (
        ("i2h.weight", split_cornn, _cornn),
        ("Wz", wave_machine_weights, _wave_machine),
        ("Wy", wave_rnn_weights, _wave_rnn),
        ("RNNs.", unicornn_weights, _unicornn),
        ("rnn.coupling.", image_weights, _images),
    ):
        if any(sign in name for name in weights):
            return _loaded(build, read(weights), options)
    raise ValueError(
        f"`source` must hold the weights of a wave network, but holds {checks.shown(sorted(source))}; pass its state dict."
    )


def _loaded(build: Any, own: Weights, options: dict[str, Any]) -> nn.Module:
    try:
        network = build(own, options)
    except TypeError as error:
        raise ValueError(f"`options` must tell what no shape does, but {error}; pass it by name.") from error
    try:
        network.to(next(iter(own.values())).dtype).load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(f"`source` must fit the options, but does not: {error}; correct them.") from error
    return network.eval()


def _sizes(own: Weights) -> tuple[int, int, int, dict[str, Any]]:
    """Inputs, nodes, outputs, and the vocabulary if there is one."""
    nodes, inputs = own["encode.weight"].shape
    words = {} if "embedding.weight" not in own else {"vocabulary": (len(own["embedding.weight"]), None)}
    readout = own["readout.weight" if "readout.weight" in own else "readout.2.weight"]
    return inputs, nodes, len(readout), words


def _cornn(own: Weights, options: dict[str, Any]) -> nn.Module:
    inputs, nodes, outputs, words = _sizes(own)
    return cornn(inputs, nodes, outputs, **(words | options))


def _wave_machine(own: Weights, options: dict[str, Any]) -> nn.Module:
    inputs, nodes, outputs, words = _sizes(own)
    kernel = own["cell.position.weight"]
    found = {"topology": {4: "torus", 3: "rings", 1: "uncoupled"}[kernel.ndim], "bias": "cell.position.bias" in own}
    return wave_machine(inputs, nodes, outputs, size=kernel.shape[-1], **(words | found | options))


def _wave_rnn(own: Weights, options: dict[str, Any]) -> nn.Module:
    inputs, nodes, outputs, _ = _sizes(own)
    mlp = {"mlp": len(own["readout.0.weight"])} if "readout.0.weight" in own else {}
    kernel = own["cell.position.weight"]
    if kernel.ndim == 2:
        return identity_rnn(inputs, nodes, outputs, **(mlp | options))
    found = {"size": kernel.shape[-1], "untied": kernel.ndim == 4} | mlp
    return wave_rnn(inputs, nodes // len(kernel), len(kernel), outputs, **(found | options))


def _unicornn(own: Weights, options: dict[str, Any]) -> nn.Module:
    nodes, inputs = own["encode.0.weight"].shape
    layers = sum(name.endswith("constants.c") for name in own)
    return UnICORNN(inputs, nodes, len(own["readout.weight"]), layers, **options)


def _images(own: Weights, options: dict[str, Any]) -> nn.Module:
    H, space = own["decoder.0.weight"].shape[1], tuple(own["sheet.b_bar"].shape[1:])
    kernel, lattice = own["sheet.cell.position.weight"], (H // math.prod(space), *space)
    untied, one_way = kernel.ndim == 2 + 2 * len(space), kernel.ndim == 1
    kind = "shared" if len(kernel) == 1 else "mixed" if untied else "separate"
    found = {
        "size": 3 if one_way else tuple(kernel.shape[-len(space) :]),
        "sharing": kind,
        "one_way": one_way,
        "untied": untied,
        "norm": "sheet.cell.norm.weight" in own,
        "deep": "decoder.2.weight" in own,
    }
    return ImageSequenceModel(own["encoder.0.weight"].shape[1], lattice, **(found | options))
