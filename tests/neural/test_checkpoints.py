"""Published weights in, ours out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from neural.checkpoints import load_kuranet, save_kuranet
from neural.kuranet import CouplingNetwork

GOLDEN = Path(__file__).parents[1] / "data" / "kuranet" / "coupling_node_eval.npz"


def test_published_weights_give_published_logits():
    with np.load(GOLDEN) as file:
        Z = load_kuranet(GOLDEN)(torch.from_numpy(file["in/x"]))
        assert Z.detach().numpy() == pytest.approx(file["out/logits"], abs=1e-12)


@pytest.mark.parametrize("name", ["weights.npz", "weights.pt"])
def test_weights_survive_a_file(name, tmp_path):
    network = load_kuranet(GOLDEN)
    save_kuranet(network, tmp_path / name)
    back = load_kuranet(tmp_path / name).state_dict()
    assert all(torch.equal(value, back[key]) for key, value in network.state_dict().items())


def test_a_state_dict_may_carry_the_name_of_a_larger_module():
    network = CouplingNetwork(3, 8, generator=torch.Generator().manual_seed(0))
    back = load_kuranet({f"model.{key}": value for key, value in network.state_dict().items()})
    assert torch.equal(back.layers[3].weight, network.layers[3].weight)
    assert not back.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("layers.3.weight"), "does not fit; .*Missing key.*layers.3.weight"),
        (lambda weights: weights.update({"layers.9.weight": torch.zeros(1)}), "does not fit; .*Unexpected key"),
        (lambda weights: weights.clear(), r"`source` must hold `layers.0.weight` .*, but holds \[\]"),
        (lambda weights: weights.update({"layers.0.weight": torch.zeros(8, 5)}), "2 features"),
    ],
)
def test_other_weights_are_refused(change, message):
    weights = CouplingNetwork(3, 8, generator=torch.Generator().manual_seed(0)).state_dict()
    change(weights)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        load_kuranet(weights)


def test_a_file_that_holds_no_weights_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="`source` must be a file of weights"):
        load_kuranet(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ValueError, match=r"`source` must be what torch.save wrote of weights, but .*text\.pt is not"):
        load_kuranet(tmp_path / "text.pt")
    np.savez(tmp_path / "other.npz", x_train=np.zeros(3))
    with pytest.raises(ValueError, match=r"`source` must hold entries `weight/\.\.\.`, but .*other\.npz holds"):
        load_kuranet(tmp_path / "other.npz")
