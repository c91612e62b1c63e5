"""Golden files, and what a replay says of their outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Golden:
    """A golden file: its description, and its arrays by their names without the prefix."""

    name: str
    meta: dict[str, Any]
    weights: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    @staticmethod
    def read(path: Path) -> Golden:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        meta = json.loads(str(arrays.pop("meta")))
        parts = [
            {k.removeprefix(p): v for k, v in arrays.items() if k.startswith(p)} for p in ("weight/", "in/", "out/")
        ]
        if sum(map(len, parts)) != len(arrays):
            raise ValueError("every array must be called weight/..., in/... or out/...")
        return Golden(path.stem, meta, *parts)

    def tensor(self, name: str) -> torch.Tensor:
        """An input as a tensor of its own."""
        return torch.from_numpy(self.inputs[name].copy())

    def leaf(self, name: str) -> torch.Tensor:
        """An input that requires a gradient."""
        return self.tensor(name).requires_grad_()

    def load(self, module: Any, prefix: str = "") -> Any:
        """The module in double precision with the weights of the file whose names begin with the prefix."""
        own = {
            k.removeprefix(prefix): torch.from_numpy(v.copy()) for k, v in self.weights.items() if k.startswith(prefix)
        }
        module.double().load_state_dict(own)
        return module


@dataclass(frozen=True)
class Output:
    """The library's value of an output.

    Args:
        tolerance: of the error divided by `scale`. 1e-9: the same formulas in double precision, in another order.
        scale: None: the largest entry of the golden array.
    """

    value: Any
    tolerance: float = 1e-9
    scale: float | None = None

    def error(self, golden: np.ndarray) -> float:
        mine = self.value.detach().cpu().numpy() if isinstance(self.value, torch.Tensor) else np.asarray(self.value)
        if mine.shape != golden.shape:
            raise ValueError(f"the file has shape {golden.shape}, the library gives {mine.shape}")
        scale = float(np.abs(golden).max()) if self.scale is None else self.scale
        return float(np.abs(mine.astype(np.result_type(mine, np.float64)) - golden).max()) / (scale or 1.0)


Replay = Callable[[Golden], dict[str, Any]]  # the library's values of the outputs, by name


def relative(replays: dict[str, Replay]) -> dict[str, Replay]:
    """The replays with errors relative to 1 + the largest entry, where they do not say otherwise."""
    return {prefix: _relative(replay) for prefix, replay in replays.items()}


def _relative(replay: Replay) -> Replay:
    def outputs(golden: Golden) -> dict[str, Any]:
        found = replay(golden)
        scales = {name: 1.0 + float(np.abs(values).max()) for name, values in golden.outputs.items() if name in found}
        return {
            name: found[name] if isinstance(found[name], Output) else Output(found[name], scale=scale)
            for name, scale in scales.items()
        }

    return outputs
