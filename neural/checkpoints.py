"""Weights of published models as ours, and back: the same numbers under the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from neural.akorn.published import Loaded, network_from
from neural.autoencoders import Autoencoder, autoencoder_from, published_weights
from neural.kuranet.network import CouplingNetwork
from neural.waves import published
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
    _write(network.state_dict(), path)


def load_akorn(
    source: str | os.PathLike | Mapping[str, Any], which: Literal["ema", "online"] = "ema", **options: Any
) -> Loaded:
    """A network of AKOrN or a baseline from published weights, with a report; see `neural.akorn.network_from`.

    Args:
        source: a state dict, or a file: .npz with `weight/...`, or what torch.save wrote of the weights or the training.
    """
    given = source if isinstance(source, Mapping) else _read(Path(source))
    return network_from({name.removeprefix("weight/"): value for name, value in given.items()}, which, **options)


def load_autoencoder(source: str | os.PathLike | Mapping[str, Any], **options: Any) -> Autoencoder:
    """A complex-valued or rotating autoencoder from published weights; see `neural.autoencoders.autoencoder_from`.

    Args:
        source: a state dict, or a file: .npz with `weight/...`, or what torch.save wrote of the weights or the training.
        options: what no shape tells: `strides`, `image`.
    """
    return autoencoder_from(source if isinstance(source, Mapping) else _read(Path(source)), **options)


def save_autoencoder(network: Autoencoder, path: str | os.PathLike) -> None:
    """Write the weights of an autoencoder under their published names: .npz, or a state dict by torch.save."""
    _write(published_weights(network), path)


def load_waves(source: str | os.PathLike | Mapping[str, Any], **options: Any) -> nn.Module:
    """A coRNN, wave machine, wave-RNN, iRNN or UnICORNN from published weights; see `neural.waves.network_from`.

    Args:
        source: a state dict, or a file: .npz with `weight/...`, or what torch.save wrote of the weights.
        options: what no shape tells: fixed constants, `dt`, `gamma` and `epsilon` (UnICORNN: `dt` and `alpha`).
    """
    given = source if isinstance(source, Mapping) else _read(Path(source))
    return published.network_from({name.removeprefix("weight/"): value for name, value in given.items()}, **options)


def _write(weights: dict[str, Tensor], path: str | os.PathLike) -> None:
    if Path(path).suffix == ".npz":
        np.savez_compressed(path, **{f"weight/{name}": value.cpu().numpy() for name, value in weights.items()})  # type: ignore[arg-type]
    else:
        torch.save(weights, path)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"`source` must be a file of weights, but {path} is none; check the path.")
    if path.suffix != ".npz":
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (UnpicklingError, KeyError, EOFError, RuntimeError) as error:
            raise ValueError(
                f"`source` must be what torch.save wrote of weights, but {path} is not: {error}."
            ) from error
    with np.load(path) as file:
        found = {name: file[name] for name in file.files if name.startswith("weight/")}
    if not found:
        raise ValueError(
            f"`source` must hold entries `weight/...`, but {path} holds {checks.shown(file.files)}; pass a file of weights."
        )
    return found
