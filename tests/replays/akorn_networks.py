"""AKOrN, replayed: networks and their baselines."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from neural.akorn import (
    ClassifierAKOrN,
    ImageTransformer,
    ObjectAKOrN,
    SudokuAKOrN,
    SudokuTransformer,
    board_scores,
    digits,
)
from tests.replays.akorn_layout import first, last, layer_options, named, published_energies, published_states, trained
from tests.replays.file import Golden, relative


def sudoku(golden: Golden) -> dict[str, Any]:
    """Logits, states and energies of a board; loss over all cells, its gradient, and what is right."""
    own, boards = sudoku_network(golden)
    noise = last(golden.tensor("noise"))
    run = own.run(boards, noise, T=golden.meta["T"], states=True, energies=True)
    solutions = digits(golden.tensor("solution"))
    loss = functional.cross_entropy(run.output.flatten(0, 2), solutions.flatten() - 1)
    parameters = trained(own)
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    score = board_scores(run.output, boards, solutions)
    return {
        "logits": run.output,
        **{f"xs/{i}": published_states(states[1:] if i == 0 else states[-1:]) for i, states in enumerate(run.states)},
        **{f"es/{i}": published_energies(energies) for i, energies in enumerate(run.energies)},
        "loss": loss,
        **{f"grad/{name}": grad for name, grad in zip(parameters, gradients, strict=True)},
        "num_blanks": score.blanks,
        "num_correct": score.right,
        "board_correct": score.solved,
    }


def sudoku_network(golden: Golden) -> tuple[SudokuAKOrN, Tensor]:
    """The network of a file's weights, and its boards."""
    meta, boards = golden.meta, digits(golden.tensor("board"))
    if "is_input" in golden.inputs and bool(((boards > 0) != (golden.tensor("is_input")[..., 0] > 0)).any()):
        raise ValueError("is_input must mark the cells that are not blank")
    own = SudokuAKOrN(
        meta["ch"],
        meta.get("n", 4),
        meta.get("L", 1),
        meta["T"],
        J=meta.get("J", "attn"),
        ksize=meta.get("ksize", 3),
        nonlinear=meta.get("nl", True),
        heads=meta["heads"],
        **layer_options({"use_omega": True, "global_omg": True} | meta),
    )
    return golden.load(own), boards


def sudoku_transformer(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    positions = "gta" if meta["gta"] else "absolute"
    own = SudokuTransformer(
        meta["ch"], meta["heads"], meta["blocks"], meta["T"], mlp=meta["mlp_dim"], positions=positions
    )
    return {"logits": golden.load(own)(digits(golden.tensor("board")))}


def objects(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ObjectAKOrN(
        meta["ch"],
        meta["n"],
        meta["L"],
        meta["T"],
        imsize=meta["imsize"],
        psize=meta["psize"],
        J=meta["J"],
        ksize=meta.get("ksize", 1),
        positions="gta" if meta.get("gta", True) else "absolute",
        readout=not meta.get("no_ro", False),
        map_x=meta.get("use_ro_x", False),
        maxpool=meta.get("maxpool", True),
        rescale=meta.get("autorescale", True),
        heads=meta.get("heads", 8),
        **layer_options({"use_omega": False, "c_norm": "gn"} | meta),
    )
    noise = golden.tensor("noise")
    run = golden.load(own).run(golden.tensor("image"), last(noise), states=True, energies=True)
    start = noise + own.pemb_x if own.absolute else noise
    return {
        "z": run.output,
        "c": first(run.c),
        "x": first(run.x),
        "xs/0": start,
        **{f"xs/{i}": published_states(states[1:]) for i, states in enumerate(run.states, 1)},
        **{f"es/{i}": published_energies(energies) for i, energies in enumerate(run.energies, 1)},
    }


def object_transformer(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ImageTransformer(
        meta["ch"],
        meta["heads"],
        meta["blocks"],
        meta["T"],
        mlp=meta["mlp_dim"],
        imsize=meta["imsize"],
        psize=meta["psize"],
        positions="gta" if meta["gta"] else "absolute",
    )
    seen = golden.load(own).run(golden.tensor("image"), states=True)
    return {
        "z": seen.output,
        "feat": first(seen.features),
        "pre_norm": first(seen.x),
        **{f"xs/{i}": states.movedim(-1, 2) for i, states in enumerate(seen.states, 1)},
    }


def classification(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ClassifierAKOrN(
        meta["ch"],
        meta["n"],
        meta["out_classes"],
        meta["L"],
        meta["T"],
        J=meta["J"],
        ksizes=meta["ksizes"],
        ro_ksize=meta["ro_ksize"],
        ro_n=meta["ro_N"],
        norm=named(meta["norm"]),
        heads=meta.get("heads", 8),
        **layer_options({"c_norm": "gn"} | meta),
    )
    own = golden.load(own).eval()
    run = own.run(golden.tensor("image"), last(golden.tensor("noise")), states=True, energies=True)
    stride = meta["x_last_stride"]
    return {
        "logits": run.output,
        "c": run.c.mean((1, 2)),
        "x": run.x.mean((1, 2)),
        **{
            f"x_last/{i}": published_states(states[-1:])[0, ..., ::stride, ::stride]
            for i, states in enumerate(run.states)
        },
        **{f"es/{i}": published_energies(energies) for i, energies in enumerate(run.energies)},
    }


REPLAYS = relative(
    {
        "sudoku_akorn": sudoku,
        "sudoku_itrsa": sudoku_transformer,
        "objdisc_akorn": objects,
        "objdisc_itrsa": object_transformer,
        "classification_": classification,
    }
)
