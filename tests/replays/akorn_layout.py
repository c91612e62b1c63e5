"""The published layout of AKOrN's arrays and options, and ours.

The published code has its channels first, counts E_0, ..., E_(T-1) after a leading 0, and leaves out the start; ours has
channels last and all states x_0, ..., x_T with their energies.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def published_states(states: Tensor) -> Tensor:
    """(time, B, H, W, oscillator, n) as published, (time, B, ch, H, W)."""
    return states.flatten(-2).movedim(-1, 2)


def published_energies(energies: Tensor) -> Tensor:
    """E_0, ..., E_T as published: 0, E_0, ..., E_(T-1)."""
    return torch.cat([torch.zeros_like(energies[:1]), energies[:-1]])


def layer_options(meta: dict[str, Any]) -> dict[str, Any]:
    """Options of a layer by our names."""
    shared = meta.get("global_omg", False)
    return {
        "omega": ("global" if shared else "pair") if meta["use_omega"] else None,
        "omega_learned": meta.get("learn_omg", True),
        "omega_off": "identity",
        "c_norm": named(meta.get("c_norm")),
        "tangent": meta.get("apply_proj", meta.get("project", True)),
    }


def options(meta: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What a file says of these options, by our names; of the others it leaves the published defaults, which are ours."""
    return {ours: meta[theirs] for theirs, ours in names.items() if theirs in meta}


def per_layer(value: Any, L: int) -> Any:
    """As the published classifier reads a list: of another length than L, its first entry is for all layers."""
    return value[0] if isinstance(value, list) and len(value) != L else value


def named(norm: str | None) -> str | None:
    """A normalisation, which files call "none" where there is none."""
    return None if norm == "none" else norm


def trained(module: Any) -> dict[str, Any]:
    """The parameters that are trained, by name."""
    return {name: value for name, value in module.named_parameters() if value.requires_grad}


def connectivity_options(meta: dict[str, Any]) -> dict[str, Any]:
    """Options of the connectivity of a single layer by our names."""
    positions = "gta" if meta.get("gta") and meta["J"] == "attn" else None
    return options(meta, {"ksize": "ksize", "heads": "heads", "hw": "at"}) | {"positions": positions}
