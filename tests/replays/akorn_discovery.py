"""AKOrN, replayed: up-tiling, components, clusters, and the scores of segments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from analysis import fg_ari, mean_best_overlap
from neural.akorn.discovery import clusters, crops, interleaved, principal, tree
from tests.replays.akorn_layout import first, last
from tests.replays.file import Golden, relative


def scores(golden: Golden) -> dict[str, Any]:
    """Scores of each image, −1 where there is no object to overlap with, and their means."""
    outputs = {}
    for i in range(len(golden.meta["cases"])):
        found, truth = golden.inputs[f"{i}/pred"], golden.inputs[f"{i}/gt"]
        ari, overlap = fg_ari(found, truth), mean_best_overlap(found, truth)
        outputs |= {f"{i}/fgari_per_image": ari, f"{i}/fgari": ari.mean()}
        outputs |= {f"{i}/mbo_per_image": np.nan_to_num(overlap, nan=-1.0), f"{i}/mbo": np.nanmean(overlap)}
    return outputs


def segments(golden: Golden) -> dict[str, Any]:
    """Crops and their interleaved cells; components but for their signs, clusters but for their names."""
    meta, count = golden.meta, golden.meta["pca_dim"]
    views = crops(golden.tensor("image"), meta["psize"], meta["scale"])
    tiled = interleaved(torch.stack([last(golden.tensor(f"feat/{i}")) for i in range(len(views))]))
    components = np.stack([principal(cells, count) for cells in tiled.flatten(1, 2).numpy()])  # (B, cell, component)
    expected = np.moveaxis(golden.outputs["pca"], 1, -1).reshape(components.shape)
    signs = np.sign((components * expected).sum(axis=1, keepdims=True))
    one = components[0, :40]
    return {
        **{f"crop/{i}": view for i, view in enumerate(views)},
        "tiled": first(tiled),
        "pca": first(torch.from_numpy(signs * components).view(*tiled.shape[:3], -1)),
        "pca_gram": one @ one.T,
        "labels": renamed(clusters(tiled, meta["n_clusters"], components=count)[0].numpy(), golden.outputs["labels"]),
        "linkage_heights": tree(tiled[0].flatten(0, 1).numpy(), count)[:, 2],
    }


def renamed(labels: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The labels, each set called as the other labels call its first place."""
    _, place, member = np.unique(labels, return_index=True, return_inverse=True)
    return like.ravel()[place][member].reshape(labels.shape)


REPLAYS = relative({"fgari_mbo": scores, "uptile_pca_cluster": segments})
