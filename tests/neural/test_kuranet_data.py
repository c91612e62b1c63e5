"""The data sets against the distributions they are drawn from."""

import numpy as np
import pytest
import torch

from neural.kuranet import circles, gaussians, halves, image, moons, oscillators, spirals

MANY = 20_000  # samples: means of unit variance are known to 0.007, tested to five times that


@pytest.mark.parametrize(("case", "low", "high"), [("I", -1, 1), ("II", -1, 1), ("III", 2, 4)])
def test_frequencies_are_uniform_in_their_interval(case, low, high):
    omega = oscillators(case, MANY, 0).omega
    assert low <= omega.min() < low + 0.01
    assert high - 0.01 < omega.max() <= high
    assert omega.mean().item() == pytest.approx((low + high) / 2, abs=0.025)


def test_fields_exist_in_case_two_only_and_are_independent_of_frequencies():
    nodes = oscillators("II", MANY, 0)
    assert np.corrcoef(nodes.omega, nodes.b)[0, 1] == pytest.approx(0, abs=0.035)
    assert nodes.b.std().item() == pytest.approx(3**-0.5, abs=0.01)
    assert not oscillators("I", 100, 0).b.any()
    assert not oscillators("III", 100, 0).b.any()


def test_delays_exist_in_case_three_only_and_are_negative_binomial():
    tau = oscillators("III", MANY, 0).tau
    assert 0 <= int(tau.min()) < int(tau.max()) <= 40
    assert tau.double().mean().item() == pytest.approx(15, abs=0.2)
    assert tau.double().var().item() == pytest.approx(30, abs=1.5)
    assert not oscillators("II", 100, 0).tau.any()


@pytest.mark.parametrize("k", [2, 7])
def test_gaussians_surround_their_centres_on_a_circle(k):
    points = gaussians(k, MANY, 0)
    for label in range(k):
        group = points.x[points.labels == label].double()
        angle = 2 * np.pi * label / k
        assert len(group) == pytest.approx(MANY / k, rel=0.1)
        assert group.mean(0).tolist() == pytest.approx([10 * np.cos(angle), 10 * np.sin(angle)], abs=0.1)
        assert group.var(0).tolist() == pytest.approx([1, 1], abs=0.15)


def test_spirals_have_radius_two_phi_plus_pi():
    points = spirals(MANY, 0, noise=0.0)
    x, y = points.x.double().T.numpy() * np.where(points.labels == 0, 1, -1)
    phi = (np.hypot(x, y) - np.pi) / 2
    assert np.cos(phi) == pytest.approx(x / np.hypot(x, y), abs=1e-5)
    assert np.sin(phi) == pytest.approx(y / np.hypot(x, y), abs=1e-5)
    assert np.mean((phi / (2 * np.pi)) ** 2) == pytest.approx(0.5, abs=0.02)  # u is uniform
    assert (spirals(MANY, 0).x - points.x).std().item() == pytest.approx(0.5, rel=0.02)


def test_circles_have_their_radii_and_moons_their_halves():
    ring = circles(1000, 0, noise=0.0)
    assert ring.x.norm(dim=1).numpy() == pytest.approx(np.where(ring.labels == 0, 1.0, 0.5), abs=1e-6)
    half = moons(1000, 0, noise=0.0)
    upper = half.x[half.labels == 0]
    assert upper.norm(dim=1).numpy() == pytest.approx(np.ones(len(upper)), abs=1e-6)
    assert bool((upper[:, 1] >= -1e-6).all())


@pytest.mark.parametrize("draw", [lambda s: oscillators("III", 50, s), lambda s: gaussians(3, 50, s), lambda s: moons(50, s),
                                  lambda s: circles(50, s), lambda s: spirals(50, s)])  # fmt: skip
def test_a_seed_gives_the_same_nodes_and_a_generator_goes_on(draw):
    assert torch.equal(draw(1).x, draw(1).x)
    assert not torch.equal(draw(1).x, draw(2).x)
    rng = np.random.default_rng(0)
    assert not torch.equal(draw(rng).x, draw(rng).x)
    assert draw(0).x.dtype == torch.float32


@pytest.fixture
def picture(tmp_path):
    colour = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    np.savez(tmp_path / "images.npz", **{"image/7": colour, "group/7": np.eye(3, 4, dtype=np.uint8) * 2})
    return tmp_path / "images.npz"


def test_pixels_have_colour_and_place_between_zero_and_one(picture):
    points = image(picture, "7")
    assert points.k == 3
    assert points.labels.view(3, 4).diagonal().tolist() == [2, 2, 2]
    first, last = points.x[0].tolist(), points.x[-1].tolist()
    assert first == pytest.approx([0, 1 / 255, 2 / 255, 0, 0])
    assert last == pytest.approx([33 / 255, 34 / 255, 35 / 255, 1, 1])
    assert points.x[1, 3:].tolist() == pytest.approx([1 / 3, 0])  # one column further: x first, then y


def test_halves_share_no_node(picture):
    points = image(picture, "7")
    one, other = halves(points, 0)
    assert (len(one), len(other)) == (6, 6)
    both = torch.cat([one.x, other.x])
    assert torch.equal(both[both[:, 0].argsort()], points.x)


def test_unknown_names_are_refused(picture):
    with pytest.raises(ValueError, match=r"`name` must be an image of .*; choose one of 7"):
        image(picture, "8")
    with pytest.raises(ValueError, match="`case` must be one of 'I', 'II', 'III'"):
        oscillators("IV", 10, 0)
