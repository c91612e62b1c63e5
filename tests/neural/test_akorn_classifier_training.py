"""Losses, augmentation and pretraining of classifiers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from neural.akorn.classifier_training import Augment, Classify, Pretrain, build, start_from
from neural.images import CLASSES

SMALL = {
    "akorn": {"ch": 8, "ksizes": 3, "T": 1},
    "resnet": {"ch": 4},
    "vit": {"ch": 16, "heads": 2, "T": 1, "imsize": 32, "psize": 8, "outputs": 10},
}


def batch(count=6):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return images, torch.arange(count) % len(CLASSES)


@pytest.mark.parametrize("kind", SMALL)
def test_the_loss_is_the_cross_entropy_of_images_between_zero_and_one(kind):
    torch.manual_seed(0)
    task = Classify(kind, SMALL[kind], scale=None).eval()
    images, labels = batch()
    torch.manual_seed(1)
    loss = task.loss((images, labels))
    torch.manual_seed(1)
    logits = task.network(images.float() / 255)
    assert logits.shape == (6, 10)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, labels))
    torch.manual_seed(1)
    scores = task.scores((images, logits.argmax(1)))
    assert scores["val_accuracy"] == 1
    assert not scores["val_loss"].requires_grad


def test_training_sees_changed_images_and_validation_does_not():
    torch.manual_seed(0)
    plain, changed = Classify("resnet", SMALL["resnet"], scale=None), Classify("resnet", SMALL["resnet"])
    changed.network.load_state_dict(plain.network.state_dict())
    plain, changed = plain.eval(), changed.eval()
    assert changed.loss(batch()) != plain.loss(batch())
    torch.testing.assert_close(changed.scores(batch())["val_loss"], plain.scores(batch())["val_loss"])


def test_every_weight_that_is_trained_gets_a_gradient():
    task = Classify("akorn", SMALL["akorn"]).train()
    task.loss(batch()).backward()
    trained = [(name, p) for name, p in task.network.named_parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for _, p in trained)
    assert len(trained) > 20


def test_crops_have_at_least_their_area():
    """Of an image whose colours are its coordinates, a crop shows a part of each axis; √area of the geometric mean."""
    row, column = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing="ij")
    image = torch.stack([row, column, row * 0])[None].expand(300, -1, -1, -1)
    augment = Augment(scale=(0.5, 1.0)).augment[:2]  # mirrored and cropped
    torch.manual_seed(0)
    crops = augment(image)
    sides = [crops[:, k].amax((1, 2)) - crops[:, k].amin((1, 2)) for k in (0, 1)]
    area = sides[0] * sides[1]
    assert area.min() > 0.40  # crops end on whole pixels: a pixel of 23 in each direction
    assert area.max() <= 1 + 1e-6
    assert area.mean().item() == pytest.approx(0.73, abs=0.05)
    mirrored = (crops[:, 1, 0, -1] < crops[:, 1, 0, 0]).double().mean()
    assert mirrored.item() == pytest.approx(0.5, abs=0.12)  # four deviations of 300


def test_augmentation_is_repeatable_and_stays_in_range():
    augment, images = Augment(), batch()[0] / 255
    torch.manual_seed(3)
    one = augment(images)
    torch.manual_seed(3)
    assert torch.equal(augment(images), one)
    assert one.shape == images.shape
    assert 0 <= one.min() <= one.max() <= 1
    assert not torch.equal(one, images)


@pytest.mark.parametrize("kind", ["akorn", "resnet"])
def test_a_classifier_starts_from_pretrained_weights_but_not_from_their_head(kind):
    torch.manual_seed(0)
    pretraining = Pretrain(kind, SMALL[kind], width=16)
    loss = pretraining.loss(batch())
    assert loss.isfinite()
    assert pretraining.network(batch()[0] / 255).shape == (6, 16)
    task = Classify(kind, SMALL[kind])
    head = task.network.out.weight.clone()
    start_from(task.network, pretraining.network)
    assert torch.equal(task.network.out.weight, head)
    theirs = pretraining.network.state_dict()
    mine = {name: value for name, value in task.network.state_dict().items() if not name.startswith("out.")}
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


class Pairs(nn.Module):
    """Views that are the images, and the images in another order."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, images):
        return images, images.roll(self.shift, 0)


def test_views_are_compared_by_image():
    task = Pretrain("resnet", SMALL["resnet"], width=16).eval()
    losses = []
    for shift in (0, 1):
        task.views = Pairs(shift)
        losses.append(task.loss(batch()))
    assert losses[0] < losses[1]


def test_a_seed_fixes_the_first_weights():
    for kind in ("akorn", "resnet"):
        for task in (Classify, Pretrain):
            one, other = (task(kind, SMALL[kind], seed=3).network.state_dict() for _ in range(2))
            assert all(torch.equal(value, other[name]) for name, value in one.items())
        first, second = (Classify(kind, SMALL[kind], seed=seed).network.out.weight for seed in (3, 4))
        assert not torch.equal(first, second)


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="`kind` must be one of 'akorn', 'resnet', 'vit', but is 'cnn'"):
        build("cnn", {})
    with pytest.raises(ValueError, match="`kind` must be one of 'akorn', 'resnet', but is 'vit'"):
        Pretrain("vit", SMALL["vit"])
    shallow, deep = build("akorn", SMALL["akorn"] | {"L": 2}), build("akorn", SMALL["akorn"])
    with pytest.raises(ValueError, match=r"`pretrained` must be a network of the same kind, but lacks layers\.2\."):
        start_from(deep, shallow)
