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
from tests.replays.akorn_layout import (
    first,
    last,
    layer_options,
    named,
    options,
    per_layer,
    published_energies,
    published_states,
    trained,
)
from tests.replays.file import Golden, relative

# Options of the networks as files name them, and as we do
SUDOKU = {"n": "n", "L": "L", "J": "J", "ksize": "ksize", "nl": "nonlinear", "heads": "heads"}
TRANSFORMER = {"heads": "heads", "blocks": "blocks", "mlp_dim": "mlp"}
OBJECTS = {
    **{name: name for name in ("L", "T", "imsize", "psize", "J", "ksize", "maxpool", "heads")},
    "use_ro_x": "map_x",
    "autorescale": "rescale",
}
BLOCKS = {"T": "T", "J": "J", "ksizes": "ksizes"}
CLASSIFIER = {"out_classes": "classes", "ro_ksize": "ro_ksize", "ro_N": "ro_n", "heads": "heads"}


def positions(meta: dict[str, Any], default: bool) -> str:
    """Where tokens are: by GTA, or else by tables that are added."""
    return "gta" if meta.get("gta", default) else "absolute"


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
        T=meta["T"],
        **options(meta, SUDOKU),
        **layer_options({"use_omega": True, "global_omg": True} | meta),
    )
    return golden.load(own), boards


def sudoku_transformer(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = SudokuTransformer(meta["ch"], T=meta["T"], **options(meta, TRANSFORMER), positions=positions(meta, False))
    return {"logits": golden.load(own)(digits(golden.tensor("board")))}


def objects(golden: Golden) -> dict[str, Any]:
    meta = golden.meta
    own = ObjectAKOrN(
        meta["ch"],
        meta["n"],
        **options(meta, OBJECTS),
        positions=positions(meta, True),
        readout=not meta.get("no_ro", False),
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
    size = options(meta, {"imsize": "imsize", "psize": "psize"})
    own = ImageTransformer(
        meta["ch"],
        T=meta["T"],
        **size,
        **options(meta, TRANSFORMER),
        positions=positions(meta, False),
        rescale=False,
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
    blocks = {name: per_layer(value, meta["L"]) for name, value in options(meta, BLOCKS).items()}
    own = ClassifierAKOrN(
        meta["ch"],
        meta["n"],
        L=meta["L"],
        **blocks,
        **options(meta, CLASSIFIER),
        norm=named(meta.get("norm", "bn")),
        **layer_options({"use_omega": True, "global_omg": True, "c_norm": "gn"} | meta),
    )
    own = golden.load(own).eval()
    run = own.run(golden.tensor("image"), last(golden.tensor("noise")), states=True, energies=True)
    stride = meta.get("x_last_stride", 1)
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
