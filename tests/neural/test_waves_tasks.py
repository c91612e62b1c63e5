"""Sequences that ask for memory: what is shown, what is asked for."""

from __future__ import annotations

import pytest
import torch

from neural.images import Labelled
from neural.waves.tasks import Fresh, adding, copy, pixels


def test_one_number_of_each_half_is_marked_and_the_answer_is_their_sum():
    u, target = adding(200, 10, torch.Generator().manual_seed(0))
    assert u.shape == (200, 10, 2)
    assert bool((u[:, :5, 1].sum(1) == 1).all())
    assert bool((u[:, 5:, 1].sum(1) == 1).all())
    torch.testing.assert_close(target[:, 0], (u[..., 0] * u[..., 1]).sum(1))
    assert {int(k) for k in u[..., 1].nonzero()[:, 1]} == set(range(10))  # every step is marked now and then


def test_ten_tokens_are_asked_for_after_the_delay():
    u, said = copy(50, 15, torch.Generator().manual_seed(0))
    seen = u.argmax(-1)
    assert u.shape == (50, 25, 10)
    assert set(seen[:, :10].unique().tolist()) == set(range(1, 9))
    assert bool((seen[:, 14] == 9).all())
    assert int((seen[:, 10:] == 0).sum()) == 50 * 14  # all others are blank
    assert torch.equal(said[:, 15:], seen[:, :10])
    assert not said[:, :15].any()


def test_batches_depend_on_the_seed_and_their_number_only():
    batches = Fresh("adding", 8, 3, seed=4)
    first, later = batches[0], batches[7]
    assert torch.equal(Fresh("adding", 8, 3, seed=4)[7][0], later[0])
    assert not torch.equal(first[0], later[0])
    assert not torch.equal(Fresh("adding", 8, 3, seed=5)[7][0], later[0])


def test_pixels_come_row_by_row_or_in_one_order():
    images = Labelled(torch.arange(2 * 16).reshape(2, 1, 4, 4).to(torch.uint8), torch.tensor([3, 5]))
    grey, labels = pixels(images, 2)
    assert labels.tolist() == [3, 5]
    torch.testing.assert_close(grey[0, :, 0], torch.tensor([2.5, 4.5, 10.5, 12.5]) / 255)
    mixed, _ = pixels(images, 4, permuted=1)
    assert torch.equal(mixed.sort(1).values, pixels(images, 4)[0])
    assert torch.equal(mixed[0].argsort(0), mixed[1].argsort(0))  # the same for all
    assert not torch.equal(mixed, pixels(images, 4)[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Fresh("sort", 8, 3), "`task` must be one of"),
        (lambda: Fresh("adding", 1, 3)[0], "`length` must be at least 2, but is 1"),
        (lambda: Fresh("copy", 10, 3)[0], "`length` must exceed 10, but is 10"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
