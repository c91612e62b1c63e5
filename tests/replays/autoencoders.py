"""Layers of complex-valued and rotating autoencoders, contrasts of phases, and clusters of outputs, replayed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import analysis
from neural.autoencoders import (
    ComplexBlock,
    Contrast,
    RotatingBlock,
    Sample,
    phase_features,
    rotation_features,
    segments,
    stable_angle,
)
from neural.autoencoders.activations import from_complex, from_vectors, to_complex, to_vectors
from neural.autoencoders.blocks import Block
from neural.autoencoders.contrast import similarities
from tests.replays.file import Golden, Output, Replay

KINDS = {"conv": "symmetric", "conv_same": "same", "conv_transpose": "transposed", "conv_upsample": "nearest"}
CLUSTERS = {"inter_cluster_" + name: "inter_" + name for name in ("min", "max", "mean", "std")}


def angle(golden: Golden) -> dict[str, Any]:
    """The stable angle and its gradient."""
    z = torch.view_as_real(golden.tensor("z")).movedim(-1, 0).requires_grad_()
    found = stable_angle(z)
    found.sum().backward()
    return {"angle": found, "grad_in": torch.complex(*z.grad)}


def complex_layer(golden: Golden) -> dict[str, Any]:
    """A complex layer, with or without a norm."""
    block = layer(golden, ComplexBlock)
    z = golden.tensor("z").requires_grad_()
    psi, chi = block.response(from_complex(z))
    outputs: dict[str, Any] = {"m": block.gate(psi, chi), "phi": stable_angle(psi) + block.phase_bias}
    if "norm" not in golden.meta:
        return outputs
    found = to_complex(block.train(golden.meta["norm_mode"] == "train")(from_complex(z)))
    scalar = (golden.tensor("cot_real") * found.real + golden.tensor("cot_imag") * found.imag).sum()
    scalar.backward()
    return outputs | {"activation": found, "scalar": scalar, **gradients(golden, layer_gradients(block, z))}


def rotating_layer(golden: Golden) -> dict[str, Any]:
    """A layer of rotating features in both modes; in training the running statistics change."""
    block = layer(golden, RotatingBlock, n=golden.meta["rotation_dimensions"])
    z = golden.tensor("z").requires_grad_()
    with torch.no_grad():
        fixed = to_vectors(block.eval()(from_vectors(z)))
    found = to_vectors(block.train()(from_vectors(z)))
    scalar = (golden.tensor("cot") * found).sum()
    scalar.backward()
    return {"eval": fixed, "train": found, "scalar": scalar, **gradients(golden, layer_gradients(block, z))}


def contrastive(golden: Golden) -> dict[str, Any]:
    """The contrast of given features, and what it compares."""
    meta = golden.meta
    contrast = contrast_of(
        [meta[name] for name in ("n_anchors", "n_positives", "top_k", "n_negatives", "bottom_m")],
        meta["temperature"],
        meta["patch_size"] if meta["use_patches"] else 1,
    )
    addresses, features = golden.tensor("addresses"), golden.tensor("features").requires_grad_()
    found = compared(contrast, addresses, features, sample(golden))
    loss = contrast(addresses, features, sample(golden))
    loss.backward()
    tolerance = (
        1e-6 if meta["n_positives"] & (meta["n_positives"] - 1) else 1e-9
    )  # 1/n_positives was in single precision
    return {"loss": Output(loss, tolerance), "grad_features": Output(features.grad, tolerance), **found}


def evaluation(golden: Golden) -> dict[str, Any]:
    """Features of phases, their clusters, and the scores of the stored clusters."""
    meta, z, truth, stored = golden.meta, golden.tensor("complex_output"), golden.inputs["labels"], golden.outputs
    threshold = None if meta["phase_mask_threshold"] == -1 else meta["phase_mask_threshold"]
    features = phase_features(z.abs(), z.angle(), threshold=threshold)
    pairs = features.unflatten(-1, (-1, 2))  # (B, H, W, C, 2)
    clusters = stored["labels_pred"].astype(int)
    apart = analysis.separability(
        features.flatten(1, 2).numpy(), np.where(truth < 0, -1, clusters).reshape(len(truth), -1)
    )
    ari = {"fg": analysis.fg_ari(clusters, truth), "full": analysis.fg_ari(clusters, truth, background=None)}
    weight = torch.ones_like(z.real) if threshold is None else (z.abs() / threshold).clamp(max=1.0)
    return {
        "weight": weight,
        "cartesian": pairs.movedim((-1, -2), (1, 2)),
        "labels_pred": renamed(golden, segments(features, truth), np.array(meta["well_separated"])),
        "n_objects": [len(np.unique(image)) - 1 for image in truth],
        **{f"ari_{name}": value.mean() for name, value in ari.items()},
        **{f"ari_{name}_per_image": value for name, value in ari.items()},
        **{f"cluster/{name}": getattr(apart, ours).mean() for name, ours in CLUSTERS.items()},
        "cluster/intra_cluster_dist": apart.intra.mean(),
        "cluster/intra_cluster_dist_safe": np.nanmean(apart.intra),
        "cluster/intra_cluster_n_nan": np.isnan(apart.intra).sum(),
    }


def rotating_evaluation(golden: Golden) -> dict[str, Any]:
    """Directions, their clusters, and the scores of the stored clusters."""
    meta, truth = golden.meta, golden.inputs["labels"]
    features = rotation_features(
        from_vectors(golden.tensor("rotation_output")), threshold=meta["magnitude_mask_threshold"]
    )
    clusters = golden.outputs["labels_pred"].astype(int)
    return {
        "normalised": features.movedim(-1, 1).unsqueeze(2),
        "labels_pred": renamed(
            golden, segments(features, truth, meta["n_clusters"]), features.norm(dim=-1).numpy() > 0
        ),
        "ari": analysis.fg_ari(clusters, truth).mean(),
        "mbo_i": np.nanmean(analysis.mean_best_overlap(np.where(truth < 0, -1, clusters), truth)),
    }


REPLAYS: dict[str, Replay] = {
    "stable_angle": angle,
    "layer_": complex_layer,
    "rf_layer_": rotating_layer,
    "contrastive_": contrastive,
    "eval_": evaluation,
    "rf_eval_": rotating_evaluation,
}


def layer(golden: Golden, kind: type[Block], **options: Any) -> Any:
    """The layer of a file with its weights, in double precision."""
    meta, weights = golden.meta, golden.weights
    name = next(name for name in weights if name.endswith(("conv.weight", "fc.weight", "conv_tran.weight")))
    if meta["kind"] == "linear":
        block = kind.dense(*weights[name].shape[::-1], **options)
    else:
        flipped = meta["kind"] == "conv_transpose"
        c_in, c_out = weights[name].shape[:2] if flipped else weights[name].shape[1::-1]
        block = kind.convolution(KINDS[meta["kind"]], c_in, c_out, meta["kernel"], meta["stride"], **options)
    if not any(key.startswith("norm.") for key in weights):
        block.norm = nn.Identity()
    block.double().load_state_dict({key.replace(name, "map.weight"): torch.tensor(v) for key, v in weights.items()})
    block.published = name
    return block


def layer_gradients(block: Any, z: Tensor) -> dict[str, Tensor]:
    found = {name.replace("map.weight", block.published): p.grad for name, p in block.named_parameters()}
    return {"grad/in": z.grad, **{f"grad/{name}": grad for name, grad in found.items()}}


def contrast_of(numbers: list[int], temperature: float, patch: int = 1) -> Contrast | None:
    return Contrast(*numbers, temperature=temperature, patch=patch) if numbers[0] else None


def compared(contrast: Contrast, magnitude: Tensor, phase: Tensor, sample: Sample) -> dict[str, Tensor]:
    """What a contrast compares, in the layout of the files."""
    address, feature = contrast.positions(magnitude, phase)
    positives, negatives = contrast.partners(address, sample)
    batch, feature = torch.arange(len(feature))[:, None, None], feature.mT
    return {
        "anchors": feature[:, sample.anchors].movedim(-1, 1),
        "positives": feature[batch, positives].movedim(-1, 1),
        "negatives": feature[batch, negatives].movedim(-1, 1),
        "positive_idx": positives,
        "negative_idx": negatives,
        "address_distance": 1 - similarities(address, sample.anchors),
    }


def sample(golden: Golden, prefix: str = "", step: int | None = None) -> Any:
    """The indices of a file, or None."""
    names = [prefix + name for name in ("anchor_idx", "positive_rank", "negative_rank")]
    if names[0] not in golden.inputs:
        return None
    return Sample(*(golden.tensor(name) if step is None else golden.tensor(name)[step] for name in names))


def gradients(golden: Golden, found: dict[str, Tensor]) -> dict[str, Output]:
    """Gradients are compared relative to the largest of all: some are 0 but for rounding."""
    largest = max(float(np.abs(value).max()) for name, value in golden.outputs.items() if "grad/" in name)
    return {name: Output(value, scale=largest) for name, value in found.items()}


def renamed(golden: Golden, found: np.ndarray, unique: np.ndarray) -> np.ndarray:
    """Clusters by the stored names of those that they share most pixels with; the stored ones where none is unique."""
    stored = golden.outputs["labels_pred"].astype(int)
    names = np.empty_like(stored)
    for mine, theirs, image in zip(found, stored, names, strict=True):
        for label in np.unique(mine):
            image[mine == label] = np.bincount(theirs[mine == label]).argmax()
    return np.where(unique, names, stored)  # noise has many clusterings; a pixel without direction is as far from all
