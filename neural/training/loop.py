"""The loop over the steps, which is Lightning's."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from neural.akorn.schedule import MovingAverage
from neural.training.batches import Steps
from neural.training.callbacks import Average, Keep, Seeds
from neural.training.folder import LAST, read, steps_done
from neural.training.task import Task

UNSUPPORTED = ("accumulate_grad_batches", "fast_dev_run", "limit_train_batches", "overfit_batches")
LOGGERS = {"csv": CSVLogger, "tensorboard": TensorBoardLogger}


def fit(
    task: Any,
    train: Any,
    steps: int,
    *,
    folder: str | os.PathLike,
    seed: int = 0,
    val: Any = None,
    every: int = 500,
    ema: MovingAverage | None = None,
    compile: bool = False,
    workers: int = 0,
    log: Sequence[str] = ("csv",),
    progress: bool = False,
    **trainer: Any,
) -> Any:
    """Train a task for `steps` steps in all, from the folder's last checkpoint if there is one.

    The state after a step is kept in `last.ckpt` every `every` steps and, of a single process, every minute and when it is
    interrupted or fails. Ctrl-C stops at once (KeyboardInterrupt), and the same call goes on. A finished training is only
    loaded.

    Args:
        task: its network is trained in place.
        train: `train[k]` is batch k; with several processes, process r takes the batches r, r + processes, ...
        folder: for the checkpoint and the logs; one for each training.
        seed: of the random numbers of all steps.
        val: a sequence of batches, for example a list, that are scored every `every` steps.
        ema: average of the weights, with which the task is validated, kept and returned.
        compile: whether the loss is compiled by torch; worth its minutes on a GPU only.
        workers: processes that load batches beside the training.
        log: of "csv" and "tensorboard": files in `folder/logs`.
        trainer: options of Lightning's Trainer, for example accelerator="cuda", precision="bf16-mixed", devices=2,
            strategy="ddp", gradient_clip_val=1.0.

    Returns:
        The task, its network in evaluation mode on the CPU, with the averaged weights if `ema` is given.

    Raises:
        ValueError: if the folder holds the training of another task, or of other hyperparameters, seed or `ema`.
    """
    _check(steps, every, trainer)
    path, settings = Path(folder) / LAST, {"seed of fit": int(seed), "ema of fit": repr(ema)}
    done = steps_done(path, task, settings)
    if done >= steps:
        task.load_state_dict(read(path)["state_dict"])
        return task.cpu().eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    callbacks = [Seeds(seed), *([Average(ema)] if ema else []), Keep(path, every, steps, settings)]
    with _quiet(), _own_random_numbers(), _interruptible(), _compiled(task) if compile else nullcontext():
        engine = _trainer(steps, every, [_logger(name, path.parent) for name in log], callbacks, progress, trainer)
        batches = DataLoader(train, batch_size=None, sampler=Steps(engine, done, steps), num_workers=workers)
        scored = None if val is None else DataLoader(val, batch_size=None)
        engine.fit(task.train(), batches, scored, ckpt_path=str(path) if done else None, weights_only=True)
    return task.cpu().eval()


def _check(steps: int, every: int, trainer: dict[str, Any]) -> None:
    if steps < 1 or every < 1:
        raise ValueError(
            f"`steps` and `every` must be at least 1, but are {steps} and {every}; load what is trained by `load`."
        )
    wrong = [name for name in UNSUPPORTED if name in trainer]
    if wrong:
        raise TypeError(f"`trainer` must leave one batch to each step, but has {wrong[0]}; change `train` or `steps`.")


def _trainer(
    steps: int, every: int, loggers: list[Logger], callbacks: list[Callback], progress: bool, options: dict[str, Any]
) -> Trainer:
    """Lightning's Trainer for one pass of so many steps."""
    return Trainer(
        max_steps=steps,
        max_epochs=-1,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=min(50, steps),
        use_distributed_sampler=False,  # `Steps` knows the processes
        logger=loggers,
        callbacks=[*callbacks, *([TQDMProgressBar(refresh_rate=10)] if progress else [])],
        enable_progress_bar=progress,
        enable_checkpointing=False,  # `Keep` does it
        enable_model_summary=False,
        **options,
    )


def _logger(name: str, folder: Path) -> Logger:
    if name not in LOGGERS:
        raise ValueError(f"`log` must be of {', '.join(LOGGERS)}, but has {name!r}; drop it.")
    return LOGGERS[name](folder, name="logs")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hints on hardware, workers, resumption and compilation are not for the user of `fit`."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            warnings.filterwarnings("ignore", "Dynamo detected a call to a `functools.lru_cache`")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _compiled(task: Task) -> Iterator[None]:
    """The loss is compiled as long as it is trained; the network itself stays as it is, for tests with other options."""
    task.loss = torch.compile(task.loss)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del task.loss


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C as KeyboardInterrupt; Lightning would end the program."""
    try:
        yield
    except SystemExit as exit:
        if isinstance(exit.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
