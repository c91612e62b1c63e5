"""Training on films of bodies: pieces of paths, errors that are measured, a training that goes on."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("lightning", reason="training needs the extra `train`")
from neural import training
from neural.waves.bodies import Windows, motion, paint, places, starts
from neural.waves.physics import misfit
from neural.waves.physics_training import PhysicsTask, films


def pendulums(count: int = 4, frames: int = 9) -> torch.Tensor:
    """Places, (count, frames, 2)."""
    return torch.from_numpy(
        places("pendulum", motion("pendulum", starts("pendulum", count, 0), frames, 0.2)[..., 0])
    ).float()


def task(**options) -> PhysicsTask:
    return PhysicsTask(8, (1, 3, 4), {"width": 2, "observed": 3}, **options)


def test_a_window_is_a_piece_of_one_path_and_starts_anywhere():
    paths = 100 * torch.arange(3)[:, None] + torch.arange(10)
    pieces = torch.cat([Windows(paths, 4, 8)[k][0] for k in range(40)])
    assert pieces.shape == (320, 4)
    assert bool((pieces.diff() == 1).all())
    assert set(pieces[:, 0].tolist()) == {100 * path + first for path in range(3) for first in range(7)}


def test_windows_depend_on_the_seed_and_their_number_only():
    paths = torch.arange(500.0).reshape(5, 100)
    first, later = (Windows(paths, 4, 3, seed=4)[k][0] for k in (0, 7))
    assert torch.equal(Windows(paths, 4, 3, seed=4)[7][0], later)
    assert not torch.equal(first, later)
    assert not torch.equal(Windows(paths, 4, 3, seed=5)[7][0], later)


def test_small_frames_are_those_of_32_pixels_reduced_by_area():
    where = pendulums(2, 5)
    whole = paint(where)  # (B, T, 3, 32, 32)
    blocks = whole.unflatten(-1, (8, 4)).unflatten(-3, (8, 4)).mean((-3, -1))
    torch.testing.assert_close(films(where, 8), blocks.transpose(0, 1))
    torch.testing.assert_close(films(where, 64), paint(where, 64).transpose(0, 1))


def test_what_differs_between_frames_reaches_the_sheet():
    network = PhysicsTask(8, (1, 3, 4), {"width": 16}).network
    signal = network.encode(films(pendulums(8, 20), 8)).detach().flatten(0, 1)
    assert float(signal.std(0).max()) > 5e-4  # about 2e-3, and 1e-5 with the weights that torch begins with


def test_every_next_frame_is_learned_those_at_the_start_too():
    mine, where = task(), pendulums()
    frames = films(where, 8)
    torch.testing.assert_close(mine.loss((where,)), misfit(mine.network(frames).frames, frames))


def test_errors_are_those_after_the_frames_that_the_start_is_read_from():
    mine, where = task(), pendulums()
    frames, network = films(where, 8), mine.network
    with torch.no_grad():  # what is seen changes what is foreseen
        network.encoder[-1].weight *= 30
        network.decoder.first.weight *= 100
        network.sheet.cell.constants.dt.zero_()
    shown = [frames[:3]]
    with torch.no_grad():
        foreseen = torch.stack([network(frames[:t]).frames[-1] for t in range(3, 9)])
        for _ in range(6):
            shown.append(network(torch.cat(shown)).frames[-1:])
    alone = torch.cat(shown[1:])
    found = mine.scores((where,))
    assert abs(found["next_frame"] - found["closed_loop"]) > 1e-3
    torch.testing.assert_close(found["next_frame"], ((foreseen - frames[3:]) ** 2).mean())
    torch.testing.assert_close(found["closed_loop"], ((alone - frames[3:]) ** 2).mean())


def test_the_rate_falls_to_nothing_or_stays():
    assert isinstance(task().configure_optimizers(), torch.optim.Adam)
    (optimizer,), (schedule,) = task(lr=0.1, steps=4).configure_optimizers()
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule["scheduler"].step()
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025])
    assert optimizer.param_groups[0]["lr"] == 0


def test_a_training_that_stopped_goes_on_to_the_same_weights(tmp_path):
    windows = Windows(pendulums(), 6, 2)
    ends = []
    for name, stops in (("whole", [4]), ("parts", [2, 4])):
        for steps in stops:
            ended = training.fit(
                task(lr=1e-2, steps=4), windows, steps, folder=tmp_path / name, val=[(pendulums(),)], every=2
            )
        ends.append(ended.network.state_dict())
    whole, parts = ends
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert training.load(tmp_path / "parts").network.sheet.lattice == (1, 3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Windows(torch.zeros(2, 5), 6, 1), "`frames` must lie between 1 and the 5 of the paths, but is 6"),
        (lambda: Windows(torch.zeros(2, 5), 0, 1), "`frames` must lie between 1 and the 5 of the paths, but is 0"),
        (lambda: PhysicsTask(12, (1, 3, 3)), "`side` must be a multiple of 8, but is 12"),
        (lambda: task().loss((torch.full((1, 4, 2), float("nan")),)), "`frames` must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
