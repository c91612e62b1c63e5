"""What is clustered to find objects: the phases of an output, weighted by magnitude, or the directions of its vectors."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

import analysis
from neural.autoencoders import activations
from neural.autoencoders.network import Run
from oscillators import checks

PIXELS = ("height", "width")


def phase_features(
    magnitude: Tensor,
    phase: Tensor,
    *,
    threshold: float | None = 0.1,
    weighting: Literal["published", "plain"] = "published",
) -> Tensor:
    """Features of pixels, w (cos φ, sin φ) of every channel, where w = min(|z|/threshold, 1) mistrusts small magnitudes.

    Args:
        magnitude, phase: |z| and φ of the output, (B, C, H, W).
        threshold: magnitude from which w = 1; None: w = 1 everywhere.
        weighting: "published": w multiplies the angle too, w (cos wφ, sin wφ), as the code of CAE and CtCAE has it, which
            differs where |z| is below the threshold, as on dark backgrounds; "plain": the radius alone.

    Returns:
        (B, H, W, 2 C), in the order X_1, Y_1, X_2, ...
    """
    checks.one_of("weighting", weighting, ("published", "plain"))
    if threshold is not None:
        checks.positive("threshold", threshold, "None trusts all magnitudes alike")
    w = torch.ones_like(magnitude) if threshold is None else (magnitude / threshold).clamp(max=1.0)
    angle = w * phase if weighting == "published" else phase
    points = torch.stack([w * angle.cos(), w * angle.sin()], dim=-1)  # (B, C, H, W, 2)
    return points.movedim(1, -2).flatten(-2)


def rotation_features(z: Tensor, *, threshold: float = 0.1) -> Tensor:
    """Features of pixels, the mean direction Σ_c z_c/‖z_c‖ / count over the channels whose magnitude exceeds the threshold.

    Args:
        z: activations of the output, (n + 1, B, C, H, W).

    Returns:
        (B, H, W, n); 0 where no channel counts.
    """
    size = activations.magnitude(z)
    seen = size > threshold
    units = z[:-1] * (seen / torch.where(seen, size, 1.0))  # (n, B, C, H, W)
    count = seen.sum(1).to(size) + 1e-8 if z.shape[2] > 1 else 1.0
    return (units.sum(2) / count).movedim(0, -1)


def object_features(run: Run, **options: Any) -> Tensor:
    """Features of the output of a run: `phase_features` of complex numbers, `rotation_features` of longer vectors."""
    if len(run.z) == 3:
        return phase_features(run.magnitude, run.phase, **options)
    return rotation_features(run.z, **options)


def colour_features(images: Tensor) -> dict[str, Tensor]:
    """What must be beaten: features of pixels that know no network, (B, H, W, d) each.

    "RGB"; "hue": colours over the largest of a pixel; "hue and position": beside it, where a pixel is not black, 0.7 of row and
    column over the side; "phases 0": `phase_features` of images without phases, which tell colours apart as hue does.

    Args:
        images: (B, C, H, W) in [0, 1].
    """
    largest = images.amax(1, keepdim=True)
    hue = images / largest.clamp_min(1 / 255)
    rows, columns = (torch.arange(n, device=images.device) / n for n in images.shape[-2:])
    place = 0.7 * (largest > 0) * torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    colours = {"RGB": images, "hue": hue, "hue and position": torch.cat([hue, place], 1)}
    found = {name: value.movedim(1, -1) for name, value in colours.items()}
    return found | {"phases 0": phase_features(images, torch.zeros_like(images))}


def resultant(run: Run) -> Tensor:
    """Length of the mean direction of the active units of each output, (B,): 1 while all point one way, 0 without any."""
    active = run.magnitude > 0
    units = run.z[:-1] / torch.where(active, run.magnitude, 1.0)
    return (units.sum((2, 3, 4)) / active.sum((1, 2, 3)).clamp_min(1)).norm(dim=0)


def clusters_asked(truth: np.ndarray) -> np.ndarray:
    """Number of different labels of each image, as published scores ask for: (B, H, W) -> (B,).

    The background counts, and so do overlaps where they have a label of their own, -1.
    """
    return np.array([len(np.unique(image)) for image in truth])


def clusters_guessed(features: Tensor, truth: Any, most: int = 8, rng: int = 0) -> np.ndarray:
    """Number of clusters, from 2 to `most`, of the largest mean silhouette; no truth tells it: (B,).

    Args:
        features: (B, H, W, d).
        truth: labels, (B, H, W), of which only the sign is used: negative ones take no part.
        most: largest number.
        rng: seed.

    An image with fewer different features has no more clusters than those; one without any difference has 1.
    Source: Rousseeuw 1987.
    """
    x, part = features.detach().cpu().numpy(), as_labels(truth, features) >= 0
    return np.array([_guessed(pixels[some], most, rng) for pixels, some in zip(x, part, strict=True)])


def _guessed(x: np.ndarray, most: int, rng: int) -> int:
    from sklearn.metrics import silhouette_score

    counts = range(2, 1 + min(most, len(np.unique(x, axis=0)), len(x) - 1))
    found = {k: analysis.point_clusters(x, k, rng=rng, restarts=3) for k in counts}
    return max(found, key=lambda k: silhouette_score(x, found[k]), default=1)


def segments(
    features: Tensor,
    truth: Any,
    k: Any = None,
    *,
    rng: int | np.random.Generator | None = 0,
    restarts: int = 10,
) -> np.ndarray:
    """Clusters of the pixels of every image, (B, H, W), each image by itself; -1 where the truth is negative.

    Args:
        features: (B, H, W, d).
        truth: labels, (B, H, W): 0 background, 1, 2, ... objects, negative where pixels take no part, as at overlaps.
        k: number of clusters, one for all or one for each image; None: `clusters_asked`.
        rng, restarts: see `analysis.point_clusters`.
    """
    labels = as_labels(truth, features)
    empty = np.flatnonzero((labels < 0).all((1, 2)))
    if len(empty):
        raise ValueError(f"`truth` must leave pixels to cluster, but all of image {empty[0]} are negative; drop it.")
    k = clusters_asked(labels) if k is None else k
    x = features.detach().cpu().numpy()
    return analysis.point_clusters(x, k, among=labels >= 0, rng=rng, restarts=restarts, dim=PIXELS)


def object_scores(features: Tensor, truth: Any, k: Any = None, **options: Any) -> dict[str, np.ndarray]:
    """Scores of every image by name, (B,) each: "ari_fg", "ari_full", "mbo", and the fields of `analysis.separability`.

    An image of one object scores an ARI of 1 if its pixels are in one cluster, else 0.

    Args:
        features, truth, k, options: see `segments`.
    """
    labels = as_labels(truth, features)
    found = segments(features, labels, k, **options)
    apart = analysis.separability(features.detach().cpu().flatten(1, 2).numpy(), found.reshape(len(found), -1))
    return {
        "ari_fg": analysis.fg_ari(found, labels),
        "ari_full": analysis.fg_ari(found, labels, background=None),
        "mbo": analysis.mean_best_overlap(found, labels),
        **apart._asdict(),
    }


def as_labels(truth: Any, features: Tensor) -> np.ndarray:
    """Labels of the pixels of the features."""
    labels = np.asarray(truth.detach().cpu() if isinstance(truth, Tensor) else truth)
    if labels.shape != features.shape[:-1]:
        raise ValueError(
            f"`truth` must have the shape {tuple(features.shape[:-1])} of the pixels of `features`, but is {labels.shape}; "
            "label every pixel, at the size of the output."
        )
    return labels
