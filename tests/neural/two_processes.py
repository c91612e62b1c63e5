"""A training by two processes that write down which batches they saw: `python two_processes.py FOLDER`."""

import sys
from pathlib import Path

import torch
from torch import nn

from neural import training


class Numbered:
    """Batch k holds the number k."""

    def __len__(self):
        return 8

    def __getitem__(self, k):
        return (torch.tensor([[float(k)]]),)


class Seen(training.Task):
    def __init__(self, folder, lr=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.network = nn.Linear(1, 1)

    def loss(self, batch):
        with (Path(self.hparams["folder"]) / f"rank{self.global_rank}").open("a") as file:
            print(int(batch[0].item()), file=file)
        return self.network(batch[0]).square().mean()


if __name__ == "__main__":
    folder = sys.argv[1]
    options = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "log": ()}
    training.fit(Seen(folder), Numbered(), 4, folder=Path(folder) / "training", **options)
