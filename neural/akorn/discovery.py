"""Objects without labels: the features a network gives the cells of an image, clustered into segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor
from torch.nn import functional

from neural.akorn.channels import at_least_one
from neural.akorn.itrconv import ItrConv
from neural.akorn.objects import ObjectAKOrN
from neural.akorn.parts import NetworkRun, check_images
from neural.akorn.transformer import ImageTransformer
from oscillators import checks

Interpolation = Literal["bicubic", "bilinear"]
Network = ObjectAKOrN | ImageTransformer | ItrConv


def segment(
    network: Network,
    images: Tensor,
    k: int | Sequence[int],
    *,
    tiles: int = 1,
    interpolation: Interpolation = "bicubic",
    components: int | None = 128,
    **options: Any,
) -> Tensor:
    """Segments of images: `clusters` of their `features`, every cell enlarged to its share of the image.

    Args:
        network, images, tiles, interpolation, options: see `features`.
        k, components: see `clusters`.

    Returns:
        Labels 1, ..., k, shape (B, height, width), or (len(k), B, height, width) for several k.
    """
    found = features(network, images, tiles=tiles, interpolation=interpolation, **options)
    maps = clusters(found, k, components=components)
    large = functional.interpolate(maps.reshape(-1, 1, *maps.shape[-2:]).float(), images.shape[-2:], mode="nearest")
    return large.long().reshape(*maps.shape[:-2], *images.shape[-2:])


@torch.no_grad()
def features(
    network: Network, images: Tensor, *, tiles: int = 1, interpolation: Interpolation = "bicubic", **options: Any
) -> Tensor:
    """Unit vectors that a network gives the cells of images, on a finer grid by up-tiling.

    Args:
        network: `ObjectAKOrN` (its last stimulus is taken), `ImageTransformer` or `ItrConv` (after the last norm).
        images: (B, 3, height, width) in [0, 1].
        tiles: s: the network sees s² crops of an enlarged image, shifted by psize/s pixels, and the cells of all crops
            are interleaved. 1: the image as it is.
        interpolation: how the image is enlarged.
        options: of the network's `run`, the same for all crops: T; of an AKOrN also x0, or a generator, from which every
            crop draws a start of its own.

    Returns:
        Features, shape (B, s·height/psize, s·width/psize, ch).

    Raises:
        ValueError: if s does not divide psize, or an image to be tiled is not as large as the network's.

    Source: Miyato et al. 2025. Their code enlarges by "bicubic", as here; their text says bilinear.
    """
    check_images(images)
    seen = [network.run(view, **options) for view in crops(images, network.psize, tiles, interpolation)]
    cells = [functional.normalize(run.c if isinstance(run, NetworkRun) else run.features, dim=-1) for run in seen]
    size = tuple(network.psize * side for side in cells[0].shape[1:3])
    if tiles > 1 and size != tuple(images.shape[-2:]):
        raise ValueError(
            f"`images` must be as large as the network sees them to be tiled, {size}, but is {tuple(images.shape[-2:])}; "
            "resize them first."
        )
    return interleaved(torch.stack(cells))


def crops(images: Tensor, psize: int, tiles: int, interpolation: Interpolation = "bicubic") -> Tensor:
    """Images enlarged by psize − psize/s pixels, seen from s² corners: (..., height, width) -> (s², ..., height, width)."""
    checks.one_of("interpolation", interpolation, ("bicubic", "bilinear"))
    if tiles < 1 or psize % tiles:
        raise ValueError(f"`tiles` must divide the {psize} pixels of a patch, but is {tiles}; shifts are whole pixels.")
    shift, (height, width) = psize // tiles, images.shape[-2:]
    size = (height + psize - shift, width + psize - shift)
    large = functional.interpolate(images, size, mode=interpolation, align_corners=False)
    corners = [shift * i for i in range(tiles)]
    return torch.stack([large[..., top : top + height, left : left + width] for top in corners for left in corners])


def interleaved(cells: Tensor) -> Tensor:
    """The cells of s² crops as one finer grid: (s², B, h, w, ch) -> (B, s·h, s·w, ch)."""
    s = round(len(cells) ** 0.5)
    a_b = cells.unflatten(0, (s, s)).permute(2, 3, 0, 4, 1, 5)  # (B, h, a, w, b, ch)
    return a_b.flatten(3, 4).flatten(1, 2)


def clusters(features: Tensor, k: int | Sequence[int], *, components: int | None = 128) -> Tensor:
    """Average-linkage clusters of the cells of each image, by Euclidean distance, cut into at most k.

    Time and memory grow as the square of the number of cells, h·w.

    Args:
        features: (B, h, w, ch).
        k: number of clusters, 1 <= k <= h·w; several numbers cut the same tree, so that they cost little more than one.
        components: leading principal components of each image that are clustered, where there are more channels; None:
            the channels as they are.

    Returns:
        Labels 1, ..., k, shape (B, h, w), or (len(k), B, h, w) for several k; fewer where merges tie.

    Raises:
        ValueError: if features are not finite, or have fewer than two cells, or k is not in 1..h·w.
    """
    checks.real_array("features", features)
    B, h, w, _ = features.shape
    counts = _counts(k, h * w)
    vectors = features.detach().cpu().double().flatten(1, 2).numpy()
    labels = np.empty((len(counts), B, h * w), dtype=np.int64)
    for image, cells in enumerate(vectors):
        merges = tree(cells, components)
        labels[:, image] = [fcluster(merges, count, "maxclust") for count in counts]
    maps = torch.from_numpy(labels).unflatten(-1, (h, w)).to(features.device)
    return maps if np.ndim(k) else maps[0]


def tree(cells: np.ndarray, components: int | None = 128) -> np.ndarray:
    """The merges of cells (N, ch) as SciPy writes them, (N − 1, 4): two clusters, their distance, their size."""
    return linkage(principal(cells, components), "average")


def principal(cells: np.ndarray, components: int | None) -> np.ndarray:
    """Leading principal components of cells (N, ch) about their mean, unless there are no more channels than that."""
    if components is None:
        return cells
    at_least_one("components", components, "None clusters the channels as they are")
    if cells.shape[1] <= components:
        return cells
    u, s, _ = np.linalg.svd(cells - cells.mean(axis=0), full_matrices=False)
    return (u * s)[:, :components]


def _counts(k: int | Sequence[int], cells: int) -> list[int]:
    """Numbers of clusters as a list."""
    if cells < 2:
        raise ValueError(f"`features` must have at least two cells, but has {cells}; see a larger image.")
    counts = np.atleast_1d(np.asarray(k))
    if counts.dtype.kind not in "iu":
        raise TypeError(f"`k` must be an integer, or several, but is {k!r}; count clusters.")
    if counts.size == 0 or counts.min() < 1 or counts.max() > cells:
        raise ValueError(f"`k` must be in 1..{cells}, the number of cells, but is {k!r}; ask for other clusters.")
    return counts.tolist()
