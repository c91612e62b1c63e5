"""Published checkpoints become networks, with a report of what was read, assumed and left."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neural.akorn import (
    ClassifierAKOrN,
    ImageTransformer,
    ObjectAKOrN,
    SudokuAKOrN,
    SudokuTransformer,
    network_from,
)
from neural.checkpoints import load_akorn

DATA = Path(__file__).parents[1] / "data" / "akorn"


def weights(name):
    with np.load(DATA / f"{name}.npz") as file:
        return {key.removeprefix("weight/"): file[key] for key in file.files if key.startswith("weight/")}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sudoku_akorn_L2_noomega", {"ch": 12, "n": 4, "L": 2, "heads": 3, "nonlinear": False, "omega": None}),
        ("sudoku_itrsa", {"ch": 16, "blocks": 2, "mlp": 32, "positions": "absolute"}),
        ("objdisc_akorn_mixed", {"J": ["conv", "attn"], "omega": "pair", "c_norm": "sandb", "map_x": True, "ksize": 3}),
        ("objdisc_akorn_conv", {"J": ["conv"], "c_norm": None, "omega": None, "omega_off": "identity"}),
        ("objdisc_itrsa", {"blocks": 2, "imsize": 16, "psize": 4}),
        ("classification_mix", {"ch": 4, "ksizes": [5, 3, 1], "ro_n": 2, "norm": "bn", "omega": "global"}),
    ],
)
def test_shapes_tell_the_architecture(name, options):
    loaded = network_from(weights(name))
    assert {key: loaded.options[key] for key in options} == options
    assert "T" in loaded.assumed
    assert loaded.unused == (("x0",) if name.startswith("sudoku_akorn") else ())
    for key, value in loaded.network.state_dict().items():
        assert np.array_equal(value.numpy(), weights(name)[key])
    assert not loaded.network.training


NETWORKS = {
    "sudoku": lambda: SudokuAKOrN(16, 2, 2, box=(2, 2), heads=2, omega="pair", c_norm="gn"),
    "sudoku without attention": lambda: SudokuAKOrN(16, 4, J="conv", ksize=5, positions=None),
    "sudoku rope": lambda: SudokuAKOrN(16, 4, positions="rope", heads=4, omega="antisymmetric"),
    "sudoku transformer": lambda: SudokuTransformer(16, 2, 3, positions="gta", mlp=24),
    "objects": lambda: ObjectAKOrN(16, 4, 2, imsize=32, J=["attn", "conv"], ksize=3, heads=2, omega="global"),
    "objects without readout": lambda: ObjectAKOrN(16, 4, imsize=16, heads=2, readout=False, positions="absolute"),
    "image transformer": lambda: ImageTransformer(16, 2, 2, imsize=32, positions="gta", outputs=5),
    "classifier": lambda: ClassifierAKOrN(4, 2, 6, 4, J=["conv", "attn", "attn", "conv"], ksizes=3, norm=None, heads=2),
}


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_our_own_weights_come_back(build):
    network = build()
    loaded = network_from(network.state_dict())
    assert type(loaded.network) is type(network)
    assert loaded.unused == ()
    assert {k: v.shape for k, v in loaded.network.state_dict().items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }


@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_files_are_read(tmp_path, suffix):
    path, state = DATA / "objdisc_itrsa.npz", weights("objdisc_itrsa")
    if suffix == ".pth":
        path = tmp_path / "checkpoint_3.pth"
        tensors = {f"module.{key}": torch.as_tensor(value) for key, value in state.items()}
        torch.save({"epoch": 3, "model_state_dict": tensors, "optimizer_state_dict": {}, "loss": 0.5}, path)
    loaded = load_akorn(path, T=2)
    assert np.array_equal(loaded.network.pos_embed.detach().numpy(), state["pos_embed"])
    assert loaded.unused == (() if suffix == ".npz" else ("epoch", "optimizer_state_dict", "loss"))


@pytest.mark.parametrize("which", ["ema", "online"])
def test_averaged_checkpoints_hold_two_networks(which):
    plain = {key: torch.as_tensor(value) for key, value in weights("objdisc_akorn_conv").items()}
    inner = {"initted": torch.tensor(True), "step": torch.tensor(7)}
    inner |= {f"ema_model.module.{key}": value for key, value in plain.items()}
    inner |= {f"online_model.module.{key}": value + 1 for key, value in plain.items()}
    loaded = network_from({"epoch": 3, "model_state_dict": inner}, which)
    added = 1 if which == "online" else 0
    assert torch.equal(loaded.network.patchfy[1].bias, plain["patchfy.1.bias"] + added)
    assert {"epoch", "initted", "step"} <= set(loaded.unused)
    assert len(loaded.unused) == 3 + len(plain)


def test_an_early_shared_frequency_keeps_its_length():
    state = SudokuAKOrN(16, 4, heads=2, omega_init=0.5).state_dict()
    state["layers.0.0.omg.omg_param"] = torch.tensor([0.1, 0.2, 0.2, 0.4])
    omega = network_from(state).network.layers[0][0].omg.omg_param
    torch.testing.assert_close(omega.norm(), torch.tensor(0.5))


def test_what_is_given_is_not_assumed():
    loaded = network_from(weights("sudoku_itrsa"), T=3, heads=4)
    assert loaded.assumed == ()
    assert loaded.network.T == 3


def test_the_precision_is_that_of_the_weights_and_not_of_the_counts():
    state = dict(sorted(weights("classification_mix").items(), key=lambda entry: "num_batches" not in entry[0]))
    assert network_from(state).network.gamma.dtype is torch.float64


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda w: w.pop("layers.0.2.weight"), {"map_x": True}, "does not in layers.0.2.weight"),
        (lambda w: w, {"ch": 8}, r"must fit ObjectAKOrN\(ch=8, .*does not in .*patchfy.1.weight"),
        (lambda w: w.clear(), {}, "must hold the weights of an AKOrN network or baseline"),
        (lambda w: w, {"which": "best"}, "`which` must be one of"),
    ],
)
def test_another_architecture_is_refused_by_its_keys(change, options, message):
    state = weights("objdisc_akorn_mixed")
    change(state)
    with pytest.raises(ValueError, match=message):
        network_from(state, **options)


def test_the_two_copies_of_a_shared_layer_must_agree():
    state = weights("classification_mix")
    state["layers.1.0.1.bias"] = state["layers.1.0.1.bias"] + 1
    with pytest.raises(ValueError, match=r"same `layers.1.0.0.bias` and `layers.1.0.1.bias`"):
        network_from(state)


@pytest.mark.parametrize("source", ["model.pth", torch.nn.Linear(2, 2)])
def test_what_is_no_state_dict_is_named(source):
    with pytest.raises(TypeError, match=r"`source` must be a state dict, but is (str|Linear); write torch\.load"):
        network_from(source)
