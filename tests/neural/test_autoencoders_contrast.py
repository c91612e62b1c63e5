"""The contrast of phases: its value, who is compared with whom, and what it is blind to."""

import math

import pytest
import torch

from benchmarks.contrastive import published_contrast
from neural.autoencoders import Contrast, Sample
from neural.autoencoders.contrast import similarities

DOUBLE = {"dtype": torch.float64}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def maps(rng, *shape):
    """Magnitudes in [0, 1) and phases in (-3, 3)."""
    magnitude, phase = torch.rand(2, *shape, generator=rng, **DOUBLE)
    return magnitude, 6 * phase - 3


def naive(contrast, magnitude, phase, sample):
    """Loops over images and anchors, exactly as the text has it."""
    terms = []
    for A, P in zip(*(x.mT for x in contrast.positions(magnitude, phase)), strict=True):
        u, f = (x / x.norm(dim=1, keepdim=True).clamp_min(1e-12) for x in (A, P))
        for i in sample.anchors.tolist():
            others = [j for j in sorted(range(len(u)), key=lambda j: float(1 - u[i] @ u[j])) if j != i]
            ranked = [i, *others]
            chosen = [ranked[r] for r in [*sample.positives.tolist(), *sample.negatives.tolist()]]
            logits = torch.stack([f[i] @ f[j] for j in chosen]) / contrast.temperature
            terms.append(-logits.log_softmax(0)[: len(sample.positives)].mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize("features", ["angle", "circle"])
@pytest.mark.parametrize("patch", [1, 2])
def test_the_contrast_is_its_definition(features, patch, rng):
    contrast = Contrast(5, 2, 3, 4, 6, temperature=0.1, patch=patch, features=features)
    magnitude, phase = maps(rng, 2, 3, 6, 6)
    sample = contrast.sample((6 // patch) ** 2, rng)
    found = contrast(magnitude, phase, sample)
    assert torch.allclose(found, naive(contrast, magnitude, phase, sample), atol=1e-12)


@pytest.mark.parametrize("side", [6, 8])  # 9 positions of 12 components, fewer than components; and 16
def test_the_published_formulation_gives_the_same_value_and_gradient(side, rng):
    contrast, (magnitude, phase) = Contrast(5, 2, 3, 4, 6, patch=2), maps(rng, 2, 3, side, side)
    sample, phase = contrast.sample(side**2 // 4, rng), phase.requires_grad_()
    mine, theirs = contrast(magnitude, phase, sample), published_contrast(contrast, magnitude, phase, sample)
    assert torch.allclose(mine, theirs, atol=1e-12)
    assert torch.allclose(*(torch.autograd.grad(loss, phase)[0] for loss in (mine, theirs)), atol=1e-12)


@pytest.mark.parametrize("features", ["angle", "circle"])
def test_equal_features_give_the_logarithm_of_their_number(features, rng):
    magnitude, _ = maps(rng, 2, 3, 5, 5)
    contrast = Contrast(9, 2, 3, 5, 8, features=features)
    found = contrast(magnitude, torch.full_like(magnitude, 0.4), generator=rng)
    assert float(found) == pytest.approx(math.log(7), abs=1e-12)


def test_no_gradient_reaches_magnitudes(rng):
    magnitude, phase = (x.requires_grad_() for x in maps(rng, 2, 3, 5, 5))
    for features in ("angle", "circle"):
        loss = Contrast(9, 2, 3, 5, 8, features=features)(magnitude, phase, generator=rng)
        of_magnitude, of_phase = torch.autograd.grad(loss, (magnitude, phase), allow_unused=True)
        assert of_magnitude is None
        assert of_phase.abs().max() > 0


def test_the_gradient_is_that_of_the_value(rng):
    contrast, (magnitude, phase) = Contrast(3, 1, 2, 3, 4), maps(rng, 1, 2, 3, 3)
    sample = contrast.sample(9, rng)
    assert torch.autograd.gradcheck(lambda phase: contrast(magnitude, phase, sample), phase.requires_grad_())


def test_an_anchor_is_never_its_own_partner_among_equals():
    contrast, N = Contrast(8, 1, 4, 1, 3), 8
    for address in (torch.zeros(1, N, 2), torch.ones(1, N, 2), torch.zeros(1, N, 9)):  # all at distance 1, 0, 1
        sample = Sample(torch.arange(N), torch.tensor([1, 2, 3]), torch.tensor([N - 1]))
        positives, negatives = contrast.partners(address.mT, sample)
        for i in range(N):
            others = [j for j in range(N) if j != i]  # ties in the order of positions
            assert positives[0, i].tolist() == others[:3]
            assert negatives[0, i].tolist() == others[-1:]


def test_nothing_anywhere_has_a_loss_and_no_gradient_that_is_not_finite():
    phase = torch.zeros(2, 3, 5, 5, requires_grad=True)
    for features in ("angle", "circle"):
        loss = Contrast(9, 2, 3, 5, 8, features=features)(torch.zeros(2, 3, 5, 5), phase)
        loss.backward()
        assert loss.item() == pytest.approx(math.log(7), abs=1e-6)  # single precision
        assert torch.isfinite(phase.grad).all()


def test_points_on_the_circle_have_no_cut_and_no_origin(rng):
    magnitude, phase = maps(rng, 2, 3, 5, 5)
    circle, angle = (Contrast(9, 2, 3, 5, 8, features=features) for features in ("circle", "angle"))
    sample = circle.sample(25, rng)
    for shift in (2 * math.pi, 0.9):
        assert torch.allclose(circle(magnitude, phase + shift, sample), circle(magnitude, phase, sample), atol=1e-10)
        assert abs(float(angle(magnitude, phase + shift, sample) - angle(magnitude, phase, sample))) > 0.1


def test_points_on_the_circle_ignore_phases_without_magnitude(rng):
    magnitude, phase = maps(rng, 2, 3, 5, 5)
    magnitude[:, 1] = 0
    other = phase.clone()
    other[:, 1] += 1.0
    contrast = Contrast(9, 2, 3, 5, 8, features="circle")
    sample = contrast.sample(25, rng)
    assert torch.equal(contrast(magnitude, phase, sample), contrast(magnitude, other, sample))


def test_a_generator_decides_the_sample():
    contrast = Contrast(10, 3, 6, 5, 20)

    def drawn(seed):
        return contrast.sample(64, torch.Generator().manual_seed(seed))

    assert all(torch.equal(a, b) for a, b in zip(drawn(0), drawn(0), strict=True))
    assert not torch.equal(drawn(0).anchors, drawn(1).anchors)


def test_samples_are_distinct_and_in_their_ranges(rng):
    contrast = Contrast(10, 3, 6, 5, 20)
    for _ in range(50):
        anchors, positives, negatives = (set(part.tolist()) for part in contrast.sample(64, rng))
        assert (len(anchors), len(positives), len(negatives)) == (10, 3, 5)
        assert anchors <= set(range(64))
        assert positives <= set(range(1, 7))
        assert negatives <= set(range(44, 64))
    assert len(contrast.sample(25, rng).anchors) == 10
    assert len(Contrast(100, 1, 5, 5, 9).sample(25, rng).anchors) == 25  # no more than there are positions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positives": 4}, "`positives` must be in 1..top_k = 3, but is 4"),
        ({"negatives": 0}, "`negatives` must be in 1..bottom_m = 6, but is 0"),
        ({"temperature": 0.0}, "`temperature` must be one positive number"),
        ({"anchors": 0}, "`anchors` and `patch` must be at least 1, but are 0 and 1"),
        ({"features": "phase"}, "`features` must be one of 'angle', 'circle', but is 'phase'"),
    ],
)
def test_impossible_contrasts_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Contrast(**{"anchors": 5, "positives": 2, "top_k": 3, "negatives": 4, "bottom_m": 6} | options)


def test_maps_that_are_too_small_are_refused(rng):
    contrast = Contrast(5, 1, 2, 4, 10)
    with pytest.raises(
        ValueError, match=r"`top_k` must be less than the number N = 9 .* `bottom_m` at most N, .* 2 and 10"
    ):
        contrast(*maps(rng, 2, 3, 3, 3))
    with pytest.raises(ValueError, match=r"`patch` must divide the sides of the map, \(5, 6\), but is 2"):
        Contrast(5, 1, 2, 4, 10, patch=2)(*maps(rng, 2, 3, 5, 6))


def test_maps_of_two_shapes_are_refused(rng):
    magnitude, phase = maps(rng, 2, 3, 5, 5)
    for other in (phase[:1], phase[..., :4]):
        with pytest.raises(ValueError, match=r"must be maps of one shape \(B, C, H, W\), but are \(2, 3, 5, 5\) and"):
            Contrast(5, 1, 2, 4, 10)(magnitude, other)
    with pytest.raises(ValueError, match=r"must be maps of one shape .* \(3, 5, 5\) and \(3, 5, 5\)"):
        Contrast(5, 1, 2, 4, 10)(magnitude[0], phase[0])


def test_memory_grows_with_anchors_times_positions_only(rng):
    """The largest tensor of 16 images with 1024 positions has at most B · anchors · N entries."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            self.size = max([self.size, *(x.numel() for x in tree_leaves(out) if isinstance(x, torch.Tensor))])
            return out

    magnitude, phase = maps(rng, 4, 3, 32, 32)
    phase.requires_grad_()
    with Largest() as largest:
        Contrast(10, 1, 5, 20, 500)(magnitude, phase, generator=rng).backward()
    assert largest.size == 4 * 10 * 1024


def test_products_of_few_positions_have_a_first_derivative_and_no_wrong_second():
    x = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)  # fewer positions than components
    anchors = torch.tensor([0, 2])
    assert torch.autograd.gradcheck(lambda x: similarities(x, anchors), x)
    (slope,) = torch.autograd.grad(similarities(x, anchors).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
