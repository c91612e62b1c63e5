"""Training with Lightning: one task, one folder, resumable at any step.

A `Task` is a network and the loss of a batch; `Batches` says what batch k is; `fit` runs as many steps as are missing in the
folder; `load` gives back the task of a folder. Random numbers and batch of step k depend on the seed and on k only, so that
an interrupted training, when it is called again, ends with the same weights as one that was not.
"""

try:
    import lightning.pytorch  # noqa: F401
except ImportError as error:
    raise ImportError("training needs Lightning; pip install 'oscillator-systems[train]'.") from error

from neural.training.batches import Batches
from neural.training.folder import load
from neural.training.loop import fit
from neural.training.task import Task

__all__ = ["Batches", "Task", "fit", "load"]
