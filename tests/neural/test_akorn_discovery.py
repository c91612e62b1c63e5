"""Features of the published networks become segments of their images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import AgglomerativeClustering
from sklearn.decomposition import PCA

from analysis import fg_ari, mean_best_overlap
from neural.akorn import ImageTransformer, ItrConv, ObjectAKOrN, clusters, features, segment
from neural.akorn.discovery import crops, interleaved, principal

ROUND_OFF = 1e-12


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def akorn(**options):
    return ObjectAKOrN(8, 2, 1, 2, imsize=16, psize=4, heads=2, generator=seeded(), **options).double()


NETWORKS = {
    "akorn": akorn,
    "itrsa": lambda **options: ImageTransformer(8, 2, 1, 2, imsize=16, psize=4, generator=seeded(), **options).double(),
    "itrconv": lambda: ItrConv(8, 3, 2, imsize=16, psize=4, generator=seeded()).double(),
}
IMAGES = torch.rand(2, 3, 16, 16, generator=seeded(1), dtype=torch.float64)


def start(name, seed=2):
    return {"generator": seeded(seed)} if name == "akorn" else {}


# ---- features


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("tiles", [1, 2, 4])
def test_features_are_unit_vectors_on_the_grid_of_patches(name, tiles):
    found = features(NETWORKS[name](), IMAGES, tiles=tiles, **start(name))
    assert found.shape == (2, 4 * tiles, 4 * tiles, 8)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(found.shape[:-1], dtype=torch.float64))
    assert not found.requires_grad


def test_features_are_the_last_stimulus_of_an_akorn_and_the_normed_map_of_a_baseline():
    network, x0 = akorn(), torch.randn(2, 4, 4, 8, generator=seeded(3), dtype=torch.float64)
    c = network.run(IMAGES, x0, T=5).c
    torch.testing.assert_close(features(network, IMAGES, x0=x0, T=5), c / c.norm(dim=-1, keepdim=True))
    for name in ("itrsa", "itrconv"):
        seen = NETWORKS[name]().run(IMAGES).features
        torch.testing.assert_close(features(NETWORKS[name](), IMAGES), seen / seen.norm(dim=-1, keepdim=True))


def test_each_crop_draws_its_start_from_the_generator():
    network, views = akorn(), crops(IMAGES, 4, 2)
    generator = seeded(4)
    cells = [features(network, view, generator=generator) for view in views]
    found = features(network, IMAGES, tiles=2, generator=seeded(4))
    torch.testing.assert_close(found, interleaved(torch.stack(cells)))
    assert (found != features(network, IMAGES, tiles=2, generator=seeded(5))).any()


def test_a_network_on_its_own_grid_sees_images_of_another_size():
    for size, network in (((24, 8), akorn(rescale=False)), ((16, 16), akorn())):
        images = torch.rand(1, 3, 24, 8, generator=seeded(), dtype=torch.float64)
        assert features(network, images).shape == (1, size[0] // 4, size[1] // 4, 8)
    assert features(akorn(rescale=False), images, tiles=2).shape == (1, 12, 4, 8)


# ---- up-tiling


def test_one_tile_is_the_image_as_it_is():
    for interpolation in ("bicubic", "bilinear"):
        assert torch.equal(crops(IMAGES, 4, 1, interpolation), IMAGES[None])


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_crops_of_a_slope_are_slopes_one_shift_further(interpolation):
    H, psize, s = 32, 8, 4
    rows = torch.arange(H, dtype=torch.float64)[:, None].expand(H, H)
    views = crops(torch.stack([rows, rows.T])[None], psize, s, interpolation).unflatten(0, (s, s))
    shift = psize // s
    place = torch.arange(H + psize - shift, dtype=torch.float64)
    slope = (place + 0.5) * H / len(place) - 0.5  # where the enlarged pixels lie in the image
    inner = slice(8, 24)  # away from the edges, which are continued flat
    for a in range(s):
        for b in range(s):
            down, right = views[a, b, 0, :, inner, inner]
            torch.testing.assert_close(down[:, 0], slope[a * shift :][inner], atol=0.05, rtol=0)  # cubics ripple by 4 %
            torch.testing.assert_close(right[0], slope[b * shift :][inner], atol=0.05, rtol=0)


def test_cells_of_crops_are_interleaved():
    cells = torch.randn(9, 2, 3, 4, 5, generator=seeded())
    grid = interleaved(cells)
    assert grid.shape == (2, 9, 12, 5)
    for a in range(3):
        for b in range(3):
            assert torch.equal(grid[:, a::3, b::3], cells[3 * a + b])


# ---- clusters


def test_clusters_are_those_of_scikit_learn():
    found = torch.nn.functional.normalize(torch.randn(3, 8, 9, 5, generator=seeded(), dtype=torch.float64), dim=-1)
    for k in (1, 2, 7):
        for cells, labels in zip(found, clusters(found, k), strict=True):
            model = AgglomerativeClustering(k, linkage="average")
            expected = model.fit_predict(cells.flatten(0, 1).numpy()).reshape(8, 9)
            assert fg_ari(labels.numpy(), expected, background=None) == 1
            assert sorted(labels.unique().tolist()) == list(range(1, k + 1))


def test_several_cuts_are_those_of_one_at_a_time():
    found = torch.randn(2, 4, 6, 3, generator=seeded())
    many = clusters(found, range(2, 7))
    assert many.shape == (5, 2, 4, 6)
    for k, labels in zip(range(2, 7), many, strict=True):
        assert torch.equal(labels, clusters(found, k))
    assert mean_best_overlap(many, many[2]).shape == (5, 2)


def test_components_keep_what_the_leading_directions_span():
    cells = np.random.default_rng(0).normal(size=(30, 7)) * [9, 5, 3, 0.1, 0.1, 0.1, 0.1]
    expected = PCA(3).fit_transform(cells)
    found = principal(cells, 3)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=ROUND_OFF)  # their signs are free
    for components in (7, 8, None):
        assert principal(cells, components) is cells


def test_components_decide_what_is_clustered():
    found = torch.tensor([[-3.0, 0.0], [-1.2, 1.7], [1.2, 1.7], [3.1, 0.0]]).view(1, 2, 2, 2)
    along, whole = (clusters(found, 3, components=count)[0].flatten().tolist() for count in (1, 2))
    assert along[0] == along[1]  # the two on the left are nearest along the first axis,
    assert whole[1] == whole[2]  # the two on top in the plane


# ---- segments


def test_halves_of_an_image_are_its_segments():
    images = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    images[..., 8:] = torch.tensor([1.0, 0.2, 0.5]).view(3, 1, 1)
    network = ItrConv(8, 1, 2, imsize=16, psize=4, generator=seeded()).double()  # a cell sees no other
    found = segment(network, images, 2)
    assert found.dtype == torch.int64
    np.testing.assert_array_equal(found[0] == found[0, 0, 0], (images[0, 0] == 0).numpy())


@pytest.mark.parametrize("tiles", [1, 2])
def test_segments_are_clusters_as_large_as_the_image(tiles):
    network = NETWORKS["itrsa"]()
    cells = clusters(features(network, IMAGES, tiles=tiles), [3, 5])
    side = 4 // tiles
    expected = cells.repeat_interleave(side, dim=-1).repeat_interleave(side, dim=-2)
    assert torch.equal(segment(network, IMAGES, [3, 5], tiles=tiles), expected)
    assert torch.equal(segment(network, IMAGES, 3, tiles=tiles), expected[0])


# ---- bad input


@pytest.mark.parametrize(
    ("images", "options", "error", "says"),
    [
        (IMAGES, {"tiles": 3}, ValueError, "`tiles` must divide the 4 pixels of a patch, but is 3"),
        (IMAGES, {"tiles": 0}, ValueError, "`tiles` must divide"),
        (IMAGES, {"interpolation": "nearest"}, ValueError, "`interpolation` must be"),
        (IMAGES[..., :12], {"tiles": 2}, ValueError, r"`images` must be as large .* \(16, 16\), but is \(16, 12\)"),
        (IMAGES / 0, {}, ValueError, "`images` must be finite"),
        (IMAGES[0], {"tiles": 2}, ValueError, "`images` must have shape"),
        ((255 * IMAGES).byte(), {}, TypeError, "`images` must be floating point"),
    ],
)
def test_images_that_cannot_be_tiled_or_seen_are_refused(images, options, error, says):
    with pytest.raises(error, match=says):
        features(NETWORKS["itrsa"](), images, **options)


@pytest.mark.parametrize(
    ("cells", "k", "error", "says"),
    [
        (torch.ones(1, 2, 2, 3), 0, ValueError, r"`k` must be in 1\.\.4, the number of cells, but is 0"),
        (torch.ones(1, 2, 2, 3), [2, 5], ValueError, r"`k` must be in 1\.\.4, the number of cells, but is \[2, 5\]"),
        (torch.ones(1, 2, 2, 3), [], TypeError, "`k` must be an integer"),
        (torch.ones(1, 2, 2, 3), 2.0, TypeError, "`k` must be an integer"),
        (torch.ones(1, 1, 1, 3), 1, ValueError, "`features` must have at least two cells"),
        (torch.ones(1, 2, 2, 3) / 0, 2, ValueError, "`features` must be finite"),
    ],
)
def test_features_that_cannot_be_clustered_are_refused(cells, k, error, says):
    with pytest.raises(error, match=says):
        clusters(cells, k)


def test_a_number_of_components_below_one_is_named():
    with pytest.raises(ValueError, match="`components` must be an integer and at least 1, but is 0; None clusters"):
        clusters(torch.ones(1, 2, 2, 3), 2, components=0)
