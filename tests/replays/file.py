"""Golden files, and what a replay says of their outputs."""

from __future__ import annotations

import json
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
        return float(np.abs(mine.astype(np.float64) - golden).max()) / (scale or 1.0)
