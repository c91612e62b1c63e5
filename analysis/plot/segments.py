"""Pictures of segments over the image that they divide."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from analysis.checks import integers
from analysis.plot.reading import axes_or_new, plain


def segment_map(image: Any, labels: Any, *, alpha: float = 0.6, ax: Axes | None = None) -> Axes:
    """Segments as colours over their image in grey; places with a label of 0 or less show the image.

    Args:
        image: shape (3, height, width), or (height, width) for grey, in [0, 1].
        labels: integers, shape (height, width): 1, 2, ... for clusters or objects, 0 background, −1 ignored.
        alpha: how much of the image the colours cover.
        ax: where to draw; by default a new figure.

    Raises:
        TypeError: if labels are not integers.
        ValueError: if the image has other axes, or the labels another size.
    """
    picture, labels = colours(image), integers("labels", labels)
    if labels.shape != picture.shape[:2]:
        raise ValueError(
            f"`labels` must have the size of the image, {picture.shape[:2]}, but is {labels.shape}; resize the image."
        )
    ax = axes_or_new(ax)
    ax.imshow(picture.mean(axis=-1), cmap="gray", vmin=0, vmax=1)
    cover = plt.get_cmap("tab20")(2 * (labels - 1) % 19)  # nineteen colours, the ten dark ones first
    cover[..., 3] = alpha * (labels > 0)
    ax.imshow(cover, interpolation="nearest")
    ax.set_axis_off()
    return ax


def segment_maps(images: Any, **maps: Any) -> np.ndarray:
    """Images in the first column, and each kind of segments over them in a column of its own.

    Args:
        images: shape (B, 3, height, width), or (B, height, width) for grey, in [0, 1]; one row for each.
        maps: labels, shape (B, height, width), by the title of their column, such as truth=masks.

    Returns:
        Array of Axes, shape (B, 1 + number of maps).
    """
    images, rows = plain(images), len(images)
    axes = plt.subplots(rows, 1 + len(maps), figsize=(2 * (1 + len(maps)), 2 * rows), squeeze=False)[1]
    for i, image in enumerate(images):
        axes[i, 0].imshow(colours(image))
        axes[i, 0].set_axis_off()
        for ax, labels in zip(axes[i, 1:], maps.values(), strict=True):
            segment_map(image, labels[i], ax=ax)
    for ax, title in zip(axes[0], ("image", *maps), strict=True):
        ax.set_title(title)
    return axes


def colours(image: Any) -> np.ndarray:
    """An image (3, height, width) or (height, width) as matplotlib wants it, (height, width, 3)."""
    image = plain(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and len(image) != 3):
        raise ValueError(
            f"`image` must have shape (3, height, width) or (height, width), but is {image.shape}; permute it."
        )
    return np.clip(np.moveaxis(np.broadcast_to(image, (3, *image.shape[-2:])), 0, -1), 0, 1)
