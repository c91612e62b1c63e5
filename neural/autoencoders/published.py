"""Published weights of complex-valued and rotating autoencoders as our networks, and back. Three codes, three sets of names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from neural.autoencoders.cae import CAE, CAEPlusPlus, GreyCAE
from neural.autoencoders.network import Autoencoder
from neural.autoencoders.rotating import RotatingAutoencoder
from oscillators import checks

Rules = tuple[tuple[str, str], ...]

COLOUR: Rules = (  # ours -> published, the first that fits
    (r"(encoder|decoder)\.convolutions\.(\d+)\.norm\.", r"\1.conv_norm_layers.\2."),
    (r"(encoder|decoder)\.convolutions\.(\d+)\.map\.", r"\1.conv_layers.\2.conv."),
    (r"(encoder|decoder)\.convolutions\.", r"\1.conv_layers."),
    (r"encoder\.dense\.norm\.", "encoder.linear_output_norm."),
    (r"encoder\.dense\.map\.", "encoder.linear_output_layer.fc."),
    (r"encoder\.dense\.", "encoder.linear_output_layer."),
    (r"decoder\.dense\.norm\.", "decoder.linear_input_norm."),
    (r"decoder\.dense\.map\.", "decoder.linear_input_layer.fc."),
    (r"decoder\.dense\.", "decoder.linear_input_layer."),
)


def _with_linear(convolutions: str) -> Rules:
    """Of the two codes whose dense layers are called `linear`; their lists of convolutions have different names."""
    return (
        (r"decoder\.convolutions\.([024])\.map\.", rf"decoder.{convolutions}.\1.conv_tran."),
        (r"(encoder|decoder)\.convolutions\.(\d+)\.map\.", rf"\1.{convolutions}.\2.conv."),
        (r"(encoder|decoder)\.convolutions\.", rf"\1.{convolutions}."),
        (r"(encoder|decoder)\.dense\.map\.", r"\1.linear.fc."),
        (r"(encoder|decoder)\.dense\.", r"\1.linear."),
    )


GREY: Rules = (
    (r"(encoder|decoder)\.convolutions\.(\d+)\.norm\.", r"\1.channel_norm.\2."),
    (r"(encoder|decoder)\.dense\.norm\.", r"\1.channel_norm.5."),
    *_with_linear("conv_model"),
)
ROTATING: Rules = (*_with_linear("convolutional"), (r"preprocess\.", "preprocess_model.0."))
ANYTHING_BEFORE = re.compile(r"^.*?(?=(encoder|decoder|output_model|preprocess_model|output_weight|output_bias)(\.|$))")


def published_names(network: Autoencoder) -> dict[str, str]:
    """Name of every parameter and buffer in the published code, by ours."""
    rules = ROTATING if isinstance(network, RotatingAutoencoder) else GREY if isinstance(network, GreyCAE) else COLOUR
    return {name: _renamed(name, rules) for name in network.state_dict()}


def load_published(network: Autoencoder, weights: Mapping[str, Any]) -> None:
    """Copy published weights into a network of the same shapes, strictly.

    Args:
        weights: a state dict, or a dictionary with one as "state_dict" or "model_state_dict"; whatever stands before the
            published names (`module.`, `model.`, ...) is dropped.

    Raises:
        ValueError: if names or shapes are not those of the network.
    """
    bare, names = bare_weights(weights), published_names(network)
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    lacking = [name for name in names.values() if name not in bare]
    surplus = bare.keys() - set(names.values())
    other = [names[ours] for ours in names if names[ours] in bare and bare[names[ours]].shape != shapes[ours]]
    if lacking or surplus or other:
        raise ValueError(
            f"`weights` must fit this {type(network).__name__}, but lack {_listed(lacking)}, have {_listed(surplus)} besides, "
            f"and other shapes in {_listed(other)}; build the network of their options."
        )
    network.load_state_dict({ours: bare[name] for ours, name in names.items()})


def published_weights(network: Autoencoder) -> dict[str, Tensor]:
    """State dict under the published names."""
    names = published_names(network)
    return {names[ours]: value for ours, value in network.state_dict().items()}


def autoencoder_from(weights: Mapping[str, Any], **options: Any) -> Autoencoder:
    """The network of published weights, in evaluation mode and in their precision.

    Args:
        weights: see `load_published`. CtCAE has the weights of CAE++ and returns as one; for its loss build a `CtCAE` and
            call `load_published`.
        options: what no shape tells, and what should not be guessed: `strides` (else 2, 1, 2, 1, ...), `image` (else square).
    """
    bare = bare_weights(weights)
    build, found = _shapes(bare, options)
    network = build(**found | options).to(bare[next(name for name in bare if name.endswith("conv.weight"))].dtype)
    load_published(network, bare)
    return network.eval()


def bare_weights(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors by the published names alone."""
    state = weights.get("state_dict", weights.get("model_state_dict", weights))
    return {ANYTHING_BEFORE.sub("", name): torch.as_tensor(value) for name, value in state.items()}


def _listed(names: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    first, rest = sorted(names)[:3], len(names) - 3
    return (", ".join(first) or "nothing") + (f" and {rest} more" if rest > 0 else "")


def _shapes(bare: dict[str, Tensor], options: dict[str, Any]) -> tuple[type[Autoencoder], dict[str, Any]]:
    """The class of the weights, and what their shapes tell."""
    if "encoder.conv_model.0.conv.weight" in bare:
        hidden, C = bare["encoder.conv_model.0.conv.weight"].shape[:2]
        linear, size = bare["encoder.linear.fc.weight"].shape
        return GreyCAE, {"hidden": hidden, "linear": linear, "image": _image(C, size // (2 * hidden), 8)}
    if "encoder.convolutional.0.rotation_bias" in bare:
        return RotatingAutoencoder, _rotating(bare)
    if "encoder.conv_layers.0.conv.weight" in bare:
        return CAE if "output_model.weight" in bare else CAEPlusPlus, _colour(bare, options)
    raise ValueError(
        "`weights` must be those of a complex-valued or rotating autoencoder, but hold "
        f"{checks.shown(sorted(bare))}; pass what torch.load returns."
    )


def _colour(bare: dict[str, Tensor], options: dict[str, Any]) -> dict[str, Any]:
    layers = [bare[name] for i in range(len(bare)) if (name := f"encoder.conv_layers.{i}.conv.weight") in bare]
    strides = options.get("strides", [2 - i % 2 for i in range(len(layers))])
    linear, size = bare["encoder.linear_output_layer.fc.weight"].shape
    channels, factor = [len(weight) for weight in layers], int(torch.tensor(strides).prod())
    return {
        "channels": channels,
        "kernels": [weight.shape[-1] for weight in layers],
        "strides": strides,
        "linear": linear,
        "image": _image(layers[0].shape[1], size // channels[-1], factor),
    }


def _rotating(bare: dict[str, Tensor]) -> dict[str, Any]:
    hidden, C = bare["encoder.convolutional.0.conv.weight"].shape[:2]
    linear, size = bare["encoder.linear.fc.weight"].shape
    features = "encoder.convolutional.5.conv.weight" in bare
    image = _image(C, size // (2 * hidden), 8)
    return {
        "hidden": hidden,
        "linear": linear,
        "n": bare["encoder.convolutional.0.rotation_bias"].shape[1],
        "features": features,
        "image": (C, *(side - 2 * features for side in image[1:])),
    }


def _image(C: int, cells: int, factor: int) -> tuple[int, int, int]:
    """Square image of which the last map has so many cells."""
    side = round(cells**0.5) * factor
    return C, side, side


def _renamed(name: str, rules: Rules) -> str:
    for ours, theirs in rules:
        if re.match(ours, name):
            return re.sub(f"^{ours}", theirs, name)
    return name
