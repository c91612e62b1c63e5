"""Published AKOrN checkpoints as our networks. Weights bear the same names; what their shapes do not tell must be told."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from neural.akorn.classifier import ClassifierAKOrN
from neural.akorn.objects import ObjectAKOrN
from neural.akorn.sudoku import SudokuAKOrN
from neural.akorn.transformer import ImageTransformer, SudokuTransformer
from oscillators import checks

Weights = dict[str, Tensor]


class Loaded(NamedTuple):
    """A network from a checkpoint.

    Args:
        network: in evaluation mode, in the precision of the weights.
        options: those it was built with: read from the shapes, or given.
        assumed: options that neither shapes nor caller told; they have the defaults of the network.
        unused: keys of the checkpoint that went nowhere.
    """

    network: nn.Module
    options: dict[str, Any]
    assumed: tuple[str, ...]
    unused: tuple[str, ...]


def network_from(source: Mapping[str, Any], which: Literal["ema", "online"] = "ema", **options: Any) -> Loaded:
    """The network of a published checkpoint.

    Args:
        source: what torch.load returns: a state dict, or {"model_state_dict": a state dict, ...}; keys as they are, or
            behind `module.`, `ema_model.`, `online_model.`.
        which: of two sets of weights, the averaged or the last.
        options: of the network, for what no shape tells: steps T; heads without positions; n of a classifier; ...

    Raises:
        TypeError: if the source is no mapping, a file name for example.
        ValueError: if the weights are not of AKOrN or its baselines, or of another network than the options say.
    """
    checks.one_of("which", which, ("ema", "online"))
    if not isinstance(source, Mapping):
        raise TypeError(
            f"`source` must be a state dict, but is {type(source).__name__}; write torch.load(file), or network.state_dict()."
        )
    weights, unused = _weights(source, which)
    build, read, silent = _kind(weights)
    found = read(weights) | options
    network = build(**found).to(next(value.dtype for value in weights.values() if value.is_floating_point()))
    expected = network.state_dict()
    wrong = [name for name, value in expected.items() if name not in weights or weights[name].shape != value.shape]
    if wrong:
        raise ValueError(
            f"`source` must fit {build.__name__}({_spelled(found)}), but does not in {', '.join(wrong)}; correct the options."
        )
    network.load_state_dict({name: weights[name] for name in expected})
    unused += [name for name in weights if name not in expected]
    mixes = {"conv", "dense"} & set(np.ravel(found.get("J", "attn")))  # of attention there is no symmetric kind
    assumed = [name for name in silent if name not in found and (mixes or name != "symmetric")]
    return Loaded(network.eval(), found, tuple(assumed), tuple(unused))


def _weights(source: Mapping[str, Any], which: str) -> tuple[Weights, list[str]]:
    """State dict under its own names, and the keys that are none of it."""
    state = source.get("model_state_dict", source)
    outside = [name for name in source if state is not source and name != "model_state_dict"]
    averaged = any(name.startswith("ema_model.") for name in state)
    weights: Weights = {}
    for name, value in state.items():
        if averaged and not name.startswith("ema_model." if which == "ema" else "online_model."):
            outside.append(name)
        else:
            bare = name.removeprefix("ema_model.").removeprefix("online_model.").removeprefix("module.")
            value = torch.as_tensor(value)
            weights[bare] = _frequency(value) if bare.endswith("omg_param") else value
    _check_twins(weights)
    return weights, outside


def _frequency(value: Tensor) -> Tensor:
    """An early version stored a shared ω as a vector of any length; its norm is ω."""
    return value if value.ndim == 2 or len(value) == 2 else value.norm() * torch.full_like(value[:2], 0.5**0.5)


def _check_twins(weights: Weights) -> None:
    """The transitions of a classifier are stored twice."""
    for name, value in weights.items():
        twin = name.replace(".0.0.", ".0.1.")
        if name.count(".0.0.") == 1 and twin in weights and not torch.equal(value, weights[twin]):
            raise ValueError(
                f"`source` must hold the same `{name}` and `{twin}`, but they differ; c and x share this layer."
            )


Kind = tuple[Callable[..., nn.Module], Callable[[Weights], dict[str, Any]], tuple[str, ...]]


def _kind(weights: Weights) -> Kind:
    """The network, what its shapes tell, and what they may not."""
    for signs, kind in (
        (
            ("embedding.weight", "layers.0.1.0.invconv.weight"),
            (SudokuAKOrN, _sudoku, ("T", "heads", "tangent", "symmetric")),
        ),
        (("embedding.weight", "out.1.weight"), (SudokuTransformer, _sudoku_transformer, ("T", "heads"))),
        (("conv0.weight",), (ClassifierAKOrN, _classifier, ("T", "n", "heads", "tangent", "symmetric"))),
        (("patchfy.1.weight", "out.0.gamma"), (ImageTransformer, _image_transformer, ("T", "heads"))),
        (
            ("patchfy.1.weight", "gamma"),
            (ObjectAKOrN, _objects, ("T", "n", "heads", "imsize", "maxpool", "tangent", "symmetric")),
        ),
    ):
        if all(sign in weights for sign in signs):
            return kind
    raise ValueError(
        f"`source` must hold the weights of an AKOrN network or baseline, but holds {checks.shown(sorted(weights))}; pass "
        "what torch.load returns."
    )


def _sudoku(weights: Weights) -> dict[str, Any]:
    cells, ch = weights["embedding.weight"].shape
    side = math.isqrt(cells - 1)
    return {
        "ch": ch,
        "n": len(weights["layers.0.1.0.invconv.weight"]) // ch,
        "L": _count(weights, "layers"),
        "J": _connection(weights, "layers.0.0."),
        "nonlinear": "layers.0.1.2.fn.2.weight" in weights,
        **({"box": (side, side)} if side * side == cells - 1 else {}),
        **_layer(weights, "layers.0.0.", ch),
        **_positions(weights, "layers.0.0.connectivity.", ch),
    }


def _sudoku_transformer(weights: Weights) -> dict[str, Any]:
    cells, ch = weights["embedding.weight"].shape
    side = math.isqrt(cells - 1)
    return {
        "ch": ch,
        "mlp": len(weights["transformer_encoder.0.mlp.0.weight"]),
        "blocks": _count(weights, "transformer_encoder"),
        **({"box": (side, side)} if side * side == cells - 1 else {}),
        **_positions(weights, "transformer_encoder.0.attn.", ch, "pos_embed"),
    }


def _image_transformer(weights: Weights) -> dict[str, Any]:
    ch, _, psize, _ = weights["patchfy.1.weight"].shape
    return {
        "ch": ch,
        "psize": psize,
        "mlp": len(weights["transformer_encoder.0.mlp.0.weight"]),
        "blocks": _count(weights, "transformer_encoder"),
        "outputs": len(weights["out.5.weight"]),
        **_positions(weights, "transformer_encoder.0.attn.", ch, "pos_embed"),
        **_imsize(weights, psize),
    }


def _objects(weights: Weights) -> dict[str, Any]:
    ch, _, psize, _ = weights["patchfy.1.weight"].shape
    L = _count(weights, "layers")
    kinds = [_connection(weights, f"layers.{l}.0.") for l in range(L)]
    attentive = kinds.index("attn") if "attn" in kinds else 0
    read = weights.get("layers.0.1.invconv.weight")
    return {
        "ch": ch,
        "psize": psize,
        "L": L,
        "J": kinds,
        "readout": read is not None,
        "map_x": "layers.0.2.weight" in weights,
        **({} if read is None else {"n": len(read) // ch}),
        **_layer(weights, f"layers.{kinds.index('conv') if 'conv' in kinds else 0}.0.", ch),
        **_positions(weights, f"layers.{attentive}.0.connectivity.", ch),
        **_imsize(weights, psize),
    }


def _classifier(weights: Weights) -> dict[str, Any]:
    ch, L = len(weights["conv0.weight"]), _count(weights, "layers")
    kernels = [weights.get(f"layers.{l}.2.connectivity.weight") for l in range(L)]
    read = weights["layers.0.3.0.invconv.weight"]
    normed, running = (f"layers.0.3.2.fn.0.{name}" in weights for name in ("weight", "running_mean"))
    return {
        "ch": ch,
        "classes": len(weights["out.weight"]),
        "L": L,
        "J": [_connection(weights, f"layers.{l}.2.") for l in range(L)],
        "ksizes": [1 if kernel is None else kernel.shape[-1] for kernel in kernels],
        "ro_ksize": read.shape[-1],
        "ro_n": len(read) // ch,
        "norm": "bn" if running else "gn" if normed else None,
        **{name: value for name, value in _layer(weights, "layers.0.2.", ch).items() if name != "ksize"},
    }


def _layer(weights: Weights, prefix: str, ch: int) -> dict[str, Any]:
    """Frequencies, normalisation of the stimulus and kernel of a layer."""
    omega, kernel = weights.get(prefix + "omg.omg_param"), weights.get(prefix + "connectivity.weight")
    kind = "antisymmetric" if prefix + "omg.A" in weights else None
    found: dict[str, Any] = {
        "omega": kind if omega is None else "global" if omega.ndim == 1 else "pair",
        "omega_off": "identity",
        "c_norm": "gn"
        if prefix + "c_norm.weight" in weights
        else "sandb"
        if prefix + "c_norm.scale" in weights
        else None,
    }
    return found if kernel is None or kernel.ndim == 2 else found | {"ksize": kernel.shape[-1]}


def _positions(weights: Weights, prefix: str, ch: int, table: str = "pemb_c") -> dict[str, Any]:
    """Encoding of positions, and with rotations the number of heads: their blocks are ch/(2 heads)."""
    blocks = weights.get(prefix + "mat_q")
    if blocks is None:
        return {"positions": "absolute" if table in weights else None}
    return {"positions": "gta" if prefix + "mat_v" in weights else "rope", "heads": ch // (2 * blocks.shape[1])}


def _imsize(weights: Weights, psize: int) -> dict[str, Any]:
    """Side of the image, from the tokens of its encoding."""
    tokens = [len(value) for name, value in weights.items() if name.endswith("mat_q")]
    tokens += [value.shape[-1] ** 2 for name, value in weights.items() if name in ("pemb_c", "pos_embed")]
    return {"imsize": psize * math.isqrt(tokens[0])} if tokens else {}


def _connection(weights: Weights, prefix: str) -> str:
    if prefix + "connectivity.W_qkv.weight" in weights:
        return "attn"
    return "dense" if weights[prefix + "connectivity.weight"].ndim == 2 else "conv"


def _count(weights: Weights, name: str) -> int:
    """Number of the entries of a list of modules."""
    return 1 + max(int(key.split(".")[1]) for key in weights if key.startswith(name + "."))


def _spelled(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())
