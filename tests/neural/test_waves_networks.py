"""Networks for sequences: sizes, starting values, published layouts, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural.checkpoints import load_waves
from neural.waves import (
    Constants,
    ImageSequenceModel,
    OscillatorCell,
    SequenceNetwork,
    UnICORNN,
    WaveCell,
    cornn,
    identity_rnn,
    join_cornn,
    network_from,
    split_cornn,
    wave_machine,
    wave_rnn,
)
from neural.waves.connectivity import AllToAll
from neural.waves.first_order import portable
from tests.neural.waves import N, normal, seeded

CONSTANTS = {"dt": 0.042, "gamma": 2.7, "epsilon": 4.7}


def size(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_sizes_are_the_published_ones():
    assert size(cornn(1, 256, 10, **CONSTANTS)) == 134_154
    assert size(cornn(1, 128, 10, **CONSTANTS)) == 34_314
    assert size(cornn(96, 128, 10, **CONSTANTS)) == 46_474
    assert size(cornn(9, 64, 1, **CONSTANTS)) == 8_897
    assert size(wave_machine(1, 16 * 16, 10, **CONSTANTS)) == 3_102
    assert size(wave_machine(1, 64 * 64, 10, **CONSTANTS)) == 49_182
    assert size(wave_rnn(2, 100, 27, 1)) == 13_015
    assert size(UnICORNN(1, 256, 10, 3, 0.19, 30.65)) == 136_202
    assert size(UnICORNN(96, 128, 10, 3, 0.126, 13.0)) == 47_498
    assert size(UnICORNN(6, 32, 5, 2, [2.81e-5, 0.0343], 0.0)) == 1_573
    assert size(UnICORNN(2, 128, 1, 3, 0.011, 9.0)) == 34_305


@pytest.mark.parametrize(("layout", "first", "recurrent"), [("concat", 19, 19), ("split", 3, 8), ("text", 3, 16)])
def test_the_layouts_of_cornn_differ_in_their_first_weights_only(layout, first, recurrent):
    torch.manual_seed(0)
    network = cornn(3, 8, 2, **CONSTANTS, layout=layout)
    for weight, fan_in in ((network.encode.weight, first), (network.cell.velocity.weight, recurrent)):
        assert 0.8 / fan_in**0.5 < weight.abs().max() <= 1 / fan_in**0.5


@pytest.mark.parametrize("layout", ["concat", "split", "text"])
def test_every_layout_of_cornn_becomes_ours_and_back(layout):
    network = cornn(3, 5, 2, **CONSTANTS).double()
    ours = network.state_dict()
    published = join_cornn(ours, layout)
    again = split_cornn(published)
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[name], ours[name]) for name in ours)
    loaded = network_from(published, **CONSTANTS)
    u = normal(7, 2, 3)
    assert torch.equal(loaded(u), network(u))
    if layout == "concat":  # columns are input, velocity, position
        whole = published["cell.i2h.weight"]
        assert torch.equal(whole[:, 3:8], ours["cell.velocity.weight"])
        assert torch.equal(whole[:, 8:], ours["cell.position.weight"])


def test_weights_come_from_files_too(tmp_path):
    network = cornn(3, 5, 2, **CONSTANTS)
    published = join_cornn(network.state_dict(), "split")
    np.savez(tmp_path / "w.npz", **{f"weight/{name}": value.numpy() for name, value in published.items()})
    torch.save(published, tmp_path / "w.pt")
    u = normal(4, 2, 3).float()
    for file in ("w.npz", "w.pt"):
        assert torch.equal(load_waves(tmp_path / file, **CONSTANTS)(u), network(u))


def test_a_wave_rnn_begins_as_a_shift_from_one_source():
    network = wave_rnn(2, 6, 3, 1, start="shift")
    torch.nn.init.zeros_(network.cell.position.bias)
    u = torch.zeros(6, 1, 2)
    u[0, 0, 1] = 1.0
    states = network.states(u)[:, 0].view(6, 3, 6)
    sites = [int(s[0].argmax()) for s in states]
    assert sites == [0, 5, 4, 3, 2, 1]  # toward lower indices
    assert bool((states.sum((1, 2)) == 3).all())  # one on every ring


@pytest.mark.parametrize("name", ["rings, mixed", "untied, mixed", "all to all", "sparse"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
def test_the_compiled_scan_of_a_wave_cell_is_the_portable_one_with_its_gradients(name, activation):
    def by_torch(own, drive, start):
        bias = own.position.offset()
        return portable(own, drive if bias is None else drive + bias, start)

    own, drive = WaveCell(seeded(name), activation), normal(6, 70, N, grad=True)  # a block of members, and some more
    begin, weight = normal(70, N, seed=1, grad=True), normal(6, 70, N, seed=2)
    runs = own.run(drive, begin), by_torch(own, drive, begin)  # each is differentiated once
    torch.testing.assert_close(*runs, rtol=1e-12, atol=1e-12)
    found = [torch.autograd.grad((run * weight).sum(), [drive, begin, *own.parameters()]) for run in runs]
    last = own.last(drive, begin)
    found.append(torch.autograd.grad((last * weight[-1]).sum(), [drive, begin, *own.parameters()]))
    found.append(
        torch.autograd.grad((by_torch(own, drive, begin)[-1] * weight[-1]).sum(), [drive, begin, *own.parameters()])
    )
    for pair in (found[:2], found[2:]):
        for ours, theirs in zip(*pair, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_starting_kernels_and_inputs_of_a_wave_rnn():
    still = wave_rnn(2, 6, 3, 1, start="identity", single_source=False)
    torch.testing.assert_close(still.cell.position.matrix(), torch.eye(18))
    assert 0 < still.encode.weight.abs().max() < 0.006  # normal, deviation 0.001
    free = wave_rnn(2, 6, 3, 1, start="random", untied=True)
    assert free.cell.position.weight.unique().numel() == 3 * 3 * 6 * 3
    assert not free.cell.position.bias.any()
    shifted = identity_rnn(2, 5, 1, shift=True)
    h = shifted.cell.position(torch.arange(5.0))
    assert h.tolist() == [1, 2, 3, 4, 0]


def test_outputs_after_every_step_end_with_that_of_the_last():
    torch.manual_seed(0)
    network = wave_machine(2, 9, 4, **CONSTANTS, every_step=True).double()
    u = normal(6, 3, 2)
    whole = network(u)
    network.every_step = False
    torch.testing.assert_close(whole[-1], network(u), rtol=1e-13, atol=1e-13)
    assert whole.shape == (6, 3, 4)


@pytest.mark.parametrize("checkpoint", ["repeat", "undo"])
def test_a_network_that_keeps_less_has_the_same_gradients(checkpoint):
    grads = []
    for kept in (None, checkpoint):
        torch.manual_seed(0)
        network = wave_machine(2, 16, 3, **CONSTANTS, checkpoint=kept).double()
        network(normal(90, 2, 2)).sum().backward()
        grads.append([p.grad for p in network.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)  # undone to 1e-8 of the largest state at worst


def test_tokens_are_embedded_and_padding_learns_nothing():
    network = wave_machine(4, 9, 1, **CONSTANTS, vocabulary=(11, 1), bias=False)
    tokens = torch.tensor([[2, 1], [5, 1], [1, 3]])
    network(tokens).sum().backward()
    assert network.embedding.weight.grad[1].abs().sum() == 0
    assert network.embedding.weight.grad[5].abs().sum() > 0


def test_undamped_layers_are_reversible_and_their_gradient_is_that_of_the_graph():
    torch.manual_seed(0)
    layer = UnICORNN(2, 6, 1, 1, 0.19, 3.0).double().layers[0]
    gradients = []
    for checkpoint in (None, "undo"):
        x = normal(60, 2, 6, grad=True)
        end = layer.cell.last(x, checkpoint=checkpoint)
        total = (end.y * normal(2, 6, seed=1) + end.z * normal(2, 6, seed=2)).sum()
        gradients.append(torch.autograd.grad(total, [x, *layer.parameters()]))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12 * float(a.abs().max()))


def test_dropout_of_unicornn_is_one_mask_for_all_times():
    torch.manual_seed(0)
    network, seen = UnICORNN(1, 40, 2, 2, 0.19, 1.0, dropout=0.5), []
    network.encode[1].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    u = normal(5, 3, 1).float()
    network.train()(u)
    network.eval()(u)
    ratio = seen[0] / seen[1]
    assert set(ratio.round(decimals=4).unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cornn(1, 4, 2, **CONSTANTS)(torch.zeros(0, 2, 1)),
            "`u` must have shape .T, B, .... with at least one step",
        ),
        (lambda: cornn(1, 4, 2, **CONSTANTS)(torch.full((3, 2, 1), float("nan"))), "`u` must be finite"),
        (lambda: cornn(1, 4, 2, **(CONSTANTS | {"dt": -0.1})), "`dt` must be one positive number"),
        (lambda: cornn(1, 4, 2, **CONSTANTS, layout="rows"), "`layout` must be one of"),
        (lambda: wave_machine(1, 17, 2, **CONSTANTS), "`nodes` must be a square number .* but is 17; use 16 or 25"),
        (lambda: wave_machine(1, 4, 2, **CONSTANTS), "`size` must not exceed the lattice"),
        (lambda: wave_machine(1, -4, 2, **CONSTANTS), "`nodes` must be a square number"),
        (lambda: cornn(1, 0, 2, **CONSTANTS), "`nodes` must be at least 1"),
        (lambda: cornn(1, 4, 2, **CONSTANTS)(torch.zeros(3, 2)), "`u` must be numbers .T, B, 1."),
        (lambda: cornn(1, 4, 2, **CONSTANTS)(torch.zeros(3, 2, 5)), "`u` must be numbers .T, B, 1."),
        (lambda: cornn(1, 4, 2, **CONSTANTS)(torch.zeros(3, 2, 1, dtype=torch.long)), "`u` must be numbers"),
        (lambda: wave_machine(1, 9, 2, **CONSTANTS, topology="plane"), "`topology` must be one of"),
        (lambda: cornn(1, 4, 2, **CONSTANTS, checkpoint="undo", every_step=True), "`checkpoint` must be None"),
        (lambda: wave_rnn(1, 4, 2, 1, start="spin"), "`start` must be one of"),
        (lambda: WaveCell(AllToAll(3), "sine"), "`activation` must be one of"),
        (lambda: WaveCell(AllToAll(3)).run(torch.zeros(2, 1, 4)), "`drive` must have shape"),
        (lambda: WaveCell(AllToAll(3)).run(torch.zeros(2, 1, 3), torch.zeros(3)), "`start` must have shape"),
        (lambda: UnICORNN(1, 4, 2, 2, [0.1], 1.0), "`dt` must be one step or one for each of 2 layers"),
        (lambda: network_from({"w": torch.zeros(2)}), "`source` must hold the weights of a wave network"),
        (lambda: network_from(join_cornn(cornn(1, 3, 2, **CONSTANTS).state_dict(), "split")), "`options` must tell"),
        (
            lambda: cornn(3, 4, 2, **CONSTANTS, vocabulary=(9, None))(torch.zeros(3, 2)),
            "`u` must be tokens",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


RINGS = {"lattice": (2, 6), "one_way": True, "norm": True, "variational": False}
COMPILED = {
    "cornn": lambda: cornn(2, 6, 3, **CONSTANTS),
    "cornn, exact": lambda: cornn(2, 6, 3, **CONSTANTS, damping="exact", every_step=True),
    "wave machine": lambda: wave_machine(2, 9, 3, **CONSTANTS),
    "wave rnn": lambda: wave_rnn(2, 6, 2, 3),
    "undamped": lambda: UnICORNN(2, 4, 3, 2, 0.1, 1.0),
    "sparse": lambda: SequenceNetwork(
        torch.nn.Linear(2, N), OscillatorCell(Constants(**CONSTANTS), seeded("sparse").float()), torch.nn.Linear(N, 3)
    ),
    "rings of images": lambda: ImageSequenceModel(2, **RINGS),
    "untied torus of images": lambda: ImageSequenceModel(2, (1, 3, 4), untied=True, variational=False),
}


@pytest.mark.parametrize("name", COMPILED)
def test_a_network_is_one_graph_to_the_compiler(name):
    torch.manual_seed(0)
    network, u = COMPILED[name](), torch.rand(4, 2, 2)
    outputs = lambda: network(u).probs if name.endswith("images") else network(u)  # noqa: E731
    torch.compiler.reset()
    whole = torch.compile(outputs, backend="eager", fullgraph=True)()  # a break of the graph is an error
    weights = list(network.parameters())
    found, expected = (torch.autograd.grad(y.square().sum(), weights) for y in (whole, outputs()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)  # single precision, other order of sums


def test_any_cell_with_a_run_makes_a_network():
    class Sum(torch.nn.Module):
        def run(self, drive):
            return drive.cumsum(0)

    network = SequenceNetwork(torch.nn.Identity(), Sum(), torch.nn.Identity())
    assert network(torch.ones(3, 1, 2)).tolist() == [[3, 3]]
