"""The folder of a training, and the checkpoint in it."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from neural.training.task import Task, name_of

LAST = "last.ckpt"


def load(path: str | os.PathLike) -> Any:
    """The task of a checkpoint, its network (`.network`) in evaluation mode; `fit` need not know it.

    Args:
        path: a checkpoint, or the folder of a training. No code in it is run; the task's class is imported by its name.
    """
    path = Path(path)
    path = path / LAST if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a checkpoint or a folder with {LAST}, but is {path}; train first.")
    module, _, name = read(path)["task"].partition(":")
    kind = getattr(import_module(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        raise TypeError(
            f"`path` must be the checkpoint of a Task, but {path} names {module}.{name}; nothing is loaded."
        )
    return kind.load_from_checkpoint(path, map_location="cpu", weights_only=True).eval()


def steps_done(path: Path, task: Task, settings: dict[str, Any]) -> int:
    """Steps that a folder's checkpoint of this task and these settings has behind it; 0 without one."""
    if not path.is_file():
        return 0
    checkpoint = read(path)
    kept = {"task": checkpoint["task"], **checkpoint["hyper_parameters"], **checkpoint.get("settings", settings)}
    asked = {"task": name_of(task), **task.hparams, **settings}
    wrong = sorted(name for name in kept.keys() | asked.keys() if kept.get(name) != asked.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"`folder` must be of the same training, but {path} has {name} = {kept.get(name)!r}, not {asked.get(name)!r}; name "
            "another folder, or remove that file."
        )
    return checkpoint["global_step"]


def read(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)
