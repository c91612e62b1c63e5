"""Complex-valued and rotating autoencoders, replayed: both modes, losses, gradients, running statistics, training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neural.autoencoders import CAE, CAEPlusPlus, CtCAE, autoencoder_from, load_published, published_weights
from neural.autoencoders.activations import to_complex, to_vectors
from neural.autoencoders.ctcae import angles
from neural.autoencoders.network import Autoencoder, Run
from tests.replays.autoencoders import compared, contrast_of, gradients, sample
from tests.replays.file import Golden, Output, Replay

LOSSES = {
    "total": "loss_total",
    "reconstruction": "loss_rec",
    "encoder": "loss_contrastive_enc",
    "decoder": "loss_contrastive_dec",
}


def colour_network(golden: Golden) -> dict[str, Any]:
    """CAE, CAE++ or CtCAE: both modes, the terms of the loss, gradients, running statistics."""
    network, images = colour(golden), golden.tensor("images")
    run = network.eval().run(images)
    outputs: dict[str, Any] = {f"eval/{name}": value for name, value in complex_outputs(run).items()}
    outputs["eval/phase"] = where_seen(golden, outputs["eval/phase"], outputs["eval/magnitude"])
    outputs |= {f"eval/enc_act_{i}": to_complex(z) for i, z in enumerate(run.encoder)}
    outputs |= {f"eval/dec_act_{i}": to_complex(z) for i, z in enumerate(run.decoder)}
    samples = {"encoder": sample(golden, "sample/enc_"), "decoder": sample(golden, "sample/dec_")}
    given = {"samples": samples} if isinstance(network, CtCAE) else {}
    outputs |= trained(golden, network, images, **given)
    run = colour(golden).train().run(images)
    for name, contrast in getattr(network, "contrasts", {}).items():
        z = getattr(run, name)[-1]
        if contrast is not None:
            found = compared(contrast, z[-1], angles(z), samples[name])
            outputs |= {f"train/{name[:3]}_{part}": found[part] for part in ("anchors", "positives", "negatives")}
    return outputs


def grey_network(golden: Golden) -> dict[str, Any]:
    """The first CAE."""
    return both_modes(golden, complex_outputs)


def rotating_network(golden: Golden) -> dict[str, Any]:
    """An autoencoder of rotating features."""
    return both_modes(golden, vector_outputs)


def trajectory(golden: Golden) -> dict[str, Any]:
    """Losses before every step of Adam. 1e-6: rounding grows to 1e-7 on the way."""
    network, images = colour(golden).train(), golden.tensor("images")
    optimizer = torch.optim.Adam(network.parameters(), lr=golden.meta["lr"], eps=golden.meta["adam_eps"])
    history = []
    for step in range(golden.meta["steps"]):
        samples = {name: sample(golden, f"sample/{name[:3]}_", step) for name in ("encoder", "decoder")}
        losses = network.losses(images, **({"samples": samples} if isinstance(network, CtCAE) else {}))
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    outputs = {"loss_rec": Output([losses["reconstruction"] for losses in history], 1e-6)}
    if isinstance(network, CtCAE):
        outputs["loss_contrastive"] = Output([losses["encoder"] + losses["decoder"] for losses in history], 1e-6)
    return outputs


REPLAYS: dict[str, Replay] = {
    "model_": colour_network,
    "model_original_": grey_network,
    "rf_model_": rotating_network,
    "train_trajectory_": trajectory,
}


def colour(golden: Golden) -> Any:
    """The network of a file."""
    meta = golden.meta
    lists = {name: [int(n) for n in meta[name].split(",")] for name in ("channels", "strides", "kernels")}
    options: dict[str, Any] = {"image": golden.inputs["images"].shape[1:], "linear": meta["d_linear"], **lists}
    if meta["variant"] == "ctcae":
        options["encoder_contrast"] = contrast_of(meta["enc"], meta["temperature"])
        options["decoder_contrast"] = contrast_of(
            meta["dec"], meta["temperature"], meta["patch_size"] if meta["patches"] else 1
        )
        options["weight"] = meta["loss_coeff_contrastive"]
    network = {"cae": CAE, "caepp": CAEPlusPlus, "ctcae": CtCAE}[meta["variant"]](**options).double()
    load_published(network, golden.weights)
    return network


def both_modes(golden: Golden, outputs_of: Any) -> dict[str, Any]:
    images = golden.tensor("images")
    network = autoencoder_from(golden.weights, image=images.shape[1:])
    outputs = {f"eval/{name}": value for name, value in outputs_of(network.eval().run(images)).items()}
    return outputs | trained(golden, network, images, outputs_of)


def trained(
    golden: Golden, network: Autoencoder, images: Tensor, outputs_of: Any = None, **options: Any
) -> dict[str, Any]:
    """Outputs, losses, gradients and running statistics of one pass in training mode."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    outputs_of = outputs_of or complex_outputs
    outputs = {f"train/{name}": value for name, value in outputs_of(network.train().run(images)).items()}
    network.load_state_dict(before)
    losses = network.losses(images, **options)
    losses["total"].backward()
    outputs |= {f"train/{LOSSES[name]}": value for name, value in losses.items()} | {"train/loss": losses["total"]}
    state = published_weights(network)
    outputs |= {f"train/buffer_after/{name}": value for name, value in state.items() if "running" in name}
    return outputs | gradients(
        golden, {f"train/grad/{name}": value.grad for name, value in parameters(network).items()}
    )


def parameters(network: Autoencoder) -> dict[str, Tensor]:
    """Parameters by their published names."""
    state = published_weights(network)
    ours = dict(network.named_parameters())
    return {theirs: ours[name] for name, theirs in zip(network.state_dict(), state, strict=True) if name in ours}


def complex_outputs(run: Run) -> dict[str, Tensor]:
    return {
        "reconstruction": run.reconstruction,
        "complex_output": to_complex(run.z),
        "magnitude": run.magnitude,
        "phase": run.phase,
        "latent": to_complex(run.latent),
    }


def vector_outputs(run: Run) -> dict[str, Tensor]:
    return {
        "reconstruction": run.reconstruction,
        "rotation_output": to_vectors(run.z),
        "latent": to_vectors(run.latent),
    }


def where_seen(golden: Golden, phase: Tensor, magnitude: Tensor) -> Tensor:
    """Phases, but the stored ones where the magnitude is 0: there they are the signs of zeros."""
    return torch.where(magnitude > 1e-9, phase, torch.from_numpy(golden.outputs["eval/phase"]))
