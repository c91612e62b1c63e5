"""Weights of published models as ours, and back: the same numbers under the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from neural.akorn.published import Loaded, network_from
from neural.kuranet.network import CouplingNetwork
from oscillators import checks


def load_kuranet(source: str | os.PathLike | Mapping[str, Any]) -> CouplingNetwork:
    """The coupling network of published KuraNet weights, in evaluation mode, in their precision.

    Args:
        source: a state dict with entries `layers.0.weight`, ... (whatever stands before `layers.` is dropped); or a file:
            .npz with them as `weight/layers.0.weight`, ..., or what torch.save wrote of them.
    """
    given = source if isinstance(source, Mapping) else _read(Path(source))
    weights = {"layers." + name.rpartition("layers.")[2]: torch.as_tensor(value) for name, value in given.items()}
    first = weights.get("layers.0.weight")
    if first is None or first.ndim != 2 or first.shape[1] % 2:
        raise ValueError(
            "`source` must hold `layers.0.weight` of shape (hidden, 2 features), but holds "
            f"{checks.shown(sorted(given)) if first is None else tuple(first.shape)}; pass a coupling network's state dict."
        )
    network = CouplingNetwork(first.shape[1] // 2, len(first), generator=torch.Generator()).to(first.dtype)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"`source` must hold a coupling network's state dict, but does not fit; {error}") from error
    return network.eval()


def save_kuranet(network: CouplingNetwork, path: str | os.PathLike) -> None:
    """Write the weights of a coupling network as `load_kuranet` reads them: .npz, or a state dict by torch.save."""
    weights: dict[str, Tensor] = network.state_dict()
    if Path(path).suffix == ".npz":
        np.savez_compressed(path, **{f"weight/{name}": value.cpu().numpy() for name, value in weights.items()})  # type: ignore[arg-type]
    else:
        torch.save(weights, path)


def load_akorn(
    source: str | os.PathLike | Mapping[str, Any], which: Literal["ema", "online"] = "ema", **options: Any
) -> Loaded:
    """A network of AKOrN or a baseline from published weights, with a report; see `neural.akorn.network_from`.

    Args:
        source: a state dict, or a file: .npz with `weight/...`, or what torch.save wrote of the weights or the training.
    """
    given = source if isinstance(source, Mapping) else _read(Path(source))
    return network_from({name.removeprefix("weight/"): value for name, value in given.items()}, which, **options)


def _read(path: Path) -> dict[str, Any]:
    if path.suffix != ".npz":
        return torch.load(path, map_location="cpu", weights_only=True)
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name.startswith("weight/")}
