"""Training for object discovery: the loss is that of two views, on one process or several, and a checkpoint rebuilds it."""

from __future__ import annotations

import pytest
import torch
from torch import distributed, multiprocessing

pytest.importorskip("lightning", reason="training needs the extra `train`")
from neural import training
from neural.akorn import simclr_loss
from neural.akorn.objects_training import ObjectTask, gathered
from neural.scenes import tetrominoes

IMAGES = tetrominoes(16, 0).images
SMALL = {
    "akorn": {"ch": 16, "T": 2, "imsize": 32, "psize": 8, "c_norm": None, "omega_off": "identity"},
    "itrsa": {"ch": 16, "T": 2, "imsize": 32, "psize": 8, "positions": "gta"},
    "itrconv": {"ch": 16, "T": 2, "imsize": 32, "psize": 8, "ksize": 3},
}


@pytest.mark.parametrize("kind", SMALL)
def test_the_loss_compares_two_views_of_the_same_images(kind):
    task = ObjectTask(kind, SMALL[kind], temperature=0.3)
    torch.manual_seed(0)
    loss = task.loss((IMAGES,))
    torch.manual_seed(0)
    first, second = task.views(IMAGES)
    z = task.network(torch.cat([first, second]))
    torch.testing.assert_close(loss, simclr_loss(z[:16], z[16:], 0.3))


def test_views_are_as_large_as_the_images_of_the_network():
    task = ObjectTask("akorn", SMALL["akorn"] | {"imsize": 24})
    assert task.views(IMAGES)[0].shape == (16, 3, 24, 24)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_views_are_mirrored_as_often_as_asked(flip):
    """Images whose left half is white: where the white is says whether."""
    images = torch.zeros(16, 3, 32, 32, dtype=torch.uint8)
    images[..., :16] = 255
    for view in ObjectTask("akorn", SMALL["akorn"], scale=(0.9, 1.0), flip=flip).views(images):
        left, right = view[..., :8].mean((1, 2, 3)), view[..., -8:].mean((1, 2, 3))
        assert ((right > left) == (flip == 1)).all()


def test_a_seed_is_that_of_the_weights():
    one, again, other = (ObjectTask("akorn", SMALL["akorn"], seed=seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["patchfy.1.weight"], other["patchfy.1.weight"])


@pytest.mark.parametrize("kind", SMALL)
def test_a_training_learns_and_its_folder_gives_the_network_back(kind, tmp_path):
    """Sixteen images that hardly change: 60 steps suffice for the loss to fall by more than a third."""
    start = ObjectTask(kind, SMALL[kind] | {"ch": 32, "T": 4}, lr=5e-3, scale=(0.9, 1.0))
    torch.manual_seed(0)
    before = start.loss((IMAGES,)).item()
    trained = training.fit(start, training.Batches(IMAGES, size=16), 60, folder=tmp_path)
    torch.manual_seed(0)
    assert trained.loss((IMAGES,)).item() < before * 2 / 3
    loaded = training.load(tmp_path)
    assert isinstance(loaded, ObjectTask)
    for name, value in trained.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value)


def test_a_kind_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"`kind` must be one of 'akorn', 'itrsa', 'itrconv', but is 'slots'"):
        ObjectTask("slots")


def in_process(rank, port, z, folder):
    """Gradient of the loss with respect to the embeddings of one of two processes."""
    distributed.init_process_group("gloo", f"tcp://localhost:{port}", rank=rank, world_size=2)
    first, second = (part[2 * rank : 2 * rank + 2].clone().requires_grad_() for part in z)
    simclr_loss(gathered(first), gathered(second)).backward()
    torch.save((first.grad, second.grad), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_see_the_images_of_both(tmp_path):
    """Each has, of the mean over processes that data-parallel training takes, the gradient of the whole batch."""
    z = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = z.clone().requires_grad_()
    simclr_loss(whole[0], whole[1]).backward()
    multiprocessing.spawn(in_process, (free_port(), z, tmp_path), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    together = torch.stack([torch.cat(each) for each in zip(*parts, strict=True)]) / 2
    torch.testing.assert_close(together, whole.grad)


def free_port():
    import socket

    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]
