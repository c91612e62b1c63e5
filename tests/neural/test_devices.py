"""Every task is trained on another device as on the processor: no tensor is left behind, none is forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from neural.akorn import vote
from neural.akorn.classifier_training import Classify, Pretrain
from neural.akorn.objects_training import ObjectTask
from neural.akorn.sudoku_small import small_boards
from neural.akorn.sudoku_training import SudokuTask
from neural.autoencoders.training import AutoencoderTask
from neural.training import Task
from neural.waves.image_training import TurningTask
from neural.waves.training import Sequences
from tests.elsewhere import second_device

DRAW = torch.Generator().manual_seed(0)
BOARDS = small_boards(6, (6, 10), "train")
BOARD = {"ch": 16, "T": 2, "heads": 2, "box": (2, 2)}
PICTURES = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=DRAW)
PATCHES = {"ch": 16, "T": 2, "imsize": 32, "psize": 8}
LABELS = torch.arange(6) % 3
MASKS = torch.randint(0, 3, (6, 32, 32), generator=DRAW)
AUTO = {"image": [3, 32, 32], "channels": [2] * 5, "linear": 4}
CONTRAST = {"anchors": 8, "positives": 1, "top_k": 2, "negatives": 4, "bottom_m": 8}
NUMBERS = torch.rand(4, 12, 1, generator=DRAW)
SHEET = (1, 16, 3, 0.1, 1.0, 1.0)  # inputs, nodes, outputs, dt, gamma, epsilon

TASKS: dict[str, tuple[Callable[[], Task], tuple[Tensor, ...]]] = {
    "sudoku": (lambda: SudokuTask("akorn", BOARD, steps=(1, 3)), (BOARDS.puzzles, BOARDS.solutions)),
    "sudoku, transformer": (lambda: SudokuTask("transformer", BOARD), (BOARDS.puzzles, BOARDS.solutions)),
    "objects": (lambda: ObjectTask("akorn", PATCHES, flip=0.5), (PICTURES,)),
    "objects, convolutions": (lambda: ObjectTask("akorn", PATCHES | {"J": "conv", "ksize": 3}), (PICTURES,)),
    "objects, itrconv": (lambda: ObjectTask("itrconv", PATCHES | {"ksize": 3}), (PICTURES,)),
    "classes": (lambda: Classify("akorn", {"ch": 16, "T": 1}), (PICTURES, LABELS)),
    "views": (lambda: Pretrain("resnet", {"ch": 8}), (PICTURES, LABELS)),
    "amplitudes and phases": (lambda: AutoencoderTask("cae++", AUTO), (PICTURES, MASKS)),
    "contrasts": (
        lambda: AutoencoderTask("ctcae", AUTO | {"encoder_contrast": None, "decoder_contrast": CONTRAST}),
        (PICTURES, MASKS),
    ),
    "rotating": (
        lambda: AutoencoderTask("rotating", {"image": [3, 32, 32], "hidden": 2, "linear": 4, "n": 3}),
        (PICTURES, MASKS),
    ),
    "wave machine": (lambda: Sequences("wave_machine", dict(zip(NAMES, SHEET, strict=True))), (NUMBERS, LABELS[:4])),
    "cornn": (lambda: Sequences("cornn", dict(zip(NAMES, SHEET, strict=True))), (NUMBERS, LABELS[:4])),
    "wave-RNN": (
        lambda: Sequences("wave_rnn", {"inputs": 1, "nodes": 8, "channels": 2, "outputs": 3}),
        (NUMBERS, LABELS[:4]),
    ),
    "turning images": (lambda: TurningTask(64, (4, 4), frames=6), (torch.rand(3, 1, 8, 8, generator=DRAW),)),
}
WITHOUT_DRAWS = ("sudoku, transformer", "amplitudes and phases", "rotating", "wave machine", "cornn", "wave-RNN")
NAMES = ("inputs", "nodes", "outputs", "dt", "gamma", "epsilon")


def gradient(name: str, device: str) -> tuple[Tensor, list[Tensor], dict[str, float]]:
    """Loss, its gradient and the scores of a task on a device."""
    make, batch = TASKS[name]
    task, batch = make().to(device), tuple(part.to(device) for part in batch)
    torch.manual_seed(1)
    loss = task.loss(batch)
    assert loss.device == torch.device(device)
    loss.backward()
    slopes = [p.grad.cpu() for p in task.network.parameters() if p.grad is not None]
    scores = task.eval().scores(batch)
    return loss.detach().cpu(), slopes, {key: float(value.detach()) for key, value in scores.items()}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_the_same_loss_gradient_and_scores_elsewhere(name):
    here = gradient(name, "cpu")
    with second_device() as device:
        there = gradient(name, device)
    if device.startswith("cuda") and name not in WITHOUT_DRAWS:  # a GPU draws other numbers
        return
    # single precision, other sums: compiled loops here, operations there
    torch.testing.assert_close(there[0], here[0], rtol=1e-4, atol=1e-6)
    assert len(there[1]) == len(here[1])
    for mine, theirs in zip(here[1], there[1], strict=True):
        torch.testing.assert_close(theirs, mine, rtol=0, atol=1e-3 * float(mine.abs().max()) + 1e-7)
    assert there[2] == pytest.approx(here[2], rel=1e-3, abs=1e-4)


def test_votes_are_those_of_the_processor(elsewhere):
    network = SudokuTask("akorn", BOARD).network.eval()
    here = vote(network, BOARDS.puzzles, 3)
    there = vote(network.to(elsewhere), BOARDS.puzzles.to(elsewhere), 3)
    torch.testing.assert_close(there.criteria.cpu(), here.criteria, rtol=1e-4, atol=1e-4)


def test_the_pretended_device_notices_what_an_accelerator_would():
    with second_device() as device:
        x = torch.ones(3, device=device)
        assert x.device == torch.device(device)
        assert float((x + 1).sum() + torch.tensor(1.0)) == 7.0
        with pytest.raises(RuntimeError, match="same device"):
            x + torch.ones(3)
        with pytest.raises(RuntimeError, match="device"):
            torch.rand(3, device=device, generator=torch.Generator())
        view = x[1:]
        view += 1
        assert x.cpu().tolist() == [1.0, 2.0, 2.0]
