"""The coupling network against the published formula: concatenated pairs through plain layers."""

import copy

import pytest
import torch

from neural.kuranet import CouplingNetwork, pairs, tiles

ROUND_OFF = 1e-12  # sums of a few hundred numbers of order one, and their derivatives


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(features=3, hidden=7, *, training=True, seed=0):
    """A network in double precision of which no parameter or statistic has a special value."""
    g = generator(seed)
    made = CouplingNetwork(features, hidden, generator=g).double().train(training)
    with torch.no_grad():
        for value in made.parameters():
            value += 0.3 * torch.randn(value.shape, generator=g)
        for layer in (made.layers[1], made.layers[4]):
            layer.running_mean += torch.randn(hidden, generator=g)
            layer.running_var += torch.rand(hidden, generator=g)
    return made


def features(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def close(mine, theirs, tolerance=ROUND_OFF):
    torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


def published(net, x, y):
    """Every pair's features side by side, through the layers."""
    rows, columns = x[..., :, None, :], y[..., None, :, :]
    shape = torch.broadcast_shapes(rows.shape, columns.shape)
    both = torch.cat([rows.expand(shape), columns.expand(shape)], dim=-1)
    return net.layers(both.flatten(0, -2)).view(shape[:-1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(9, 3), (4, 6, 3), (2, 2, 5, 3)])
@pytest.mark.parametrize("per_tile", [4, 1024])
def test_the_network_is_the_published_one_with_its_gradients_and_statistics(monkeypatch, training, shape, per_tile):
    monkeypatch.setattr(tiles, "PAIRS", per_tile)  # 4: rows are cut into tiles, too
    ours, theirs = network(training=training), network(training=training)
    x, same = features(*shape).requires_grad_(), features(*shape).requires_grad_()
    weight = features(*shape[:-1], shape[-2], seed=2)
    Z, expected = ours(x), published(theirs, same, same)
    close(Z, expected)
    (weight * Z).sum().backward()
    (weight * expected).sum().backward()
    close(x.grad, same.grad)
    for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        close(mine.grad, their.grad)
    for mine, their in zip(ours.buffers(), theirs.buffers(), strict=True):
        close(mine, their)


@pytest.mark.parametrize("training", [True, False])
def test_rows_and_columns_may_be_different_nodes(training):
    ours, theirs = network(training=training), network(training=training)
    x, y = features(4, 3), features(6, 3, seed=3)
    close(ours(x, y), published(theirs, x, y))


def test_in_evaluation_mode_a_pair_is_a_function_of_its_two_nodes():
    net, x = network(training=False), features(8, 3)
    close(net(x[2:5], x[4:]), net(x)[2:5, 4:])


@pytest.mark.parametrize("eps", [1e-5, None])
def test_the_definition_on_tensors_and_its_tiles_agree(eps):
    made = {"a": (2, 5, 4), "b": (2, 3, 4), "W": (4, 4), "gamma": (4,), "beta": (4,), "w": (4,)}
    values = [features(*shape, seed=seed).requires_grad_() for seed, shape in enumerate(made.values())]
    weight = features(2, 5, 3, seed=9)
    results = []
    for road in (pairs._all_pairs, pairs.PairLayers.apply):
        Z, mean, var = road(*values, eps)
        results.append([Z, mean, var, *torch.autograd.grad((weight * Z).sum(), values)])
    for ours, definition in zip(*results, strict=True):
        close(ours, definition)


@pytest.mark.parametrize("rows", [1, 3])
def test_an_accelerator_evaluates_rows_in_parts(monkeypatch, rows):
    a, b, W, gamma, beta, w = (features(*s) for s in [(1, 5, 4), (1, 6, 4), (4, 4), (4,), (4,), (4,)])
    monkeypatch.setattr(pairs, "VALUES", rows * b.numel())
    parts = pairs._by_rows(a, b, W, gamma, beta, w)
    close(parts, pairs._all_pairs(a, b, W, gamma, beta, w, None)[0])


def test_single_precision_stays_single_and_near_double():
    double, single = network(), network().float()
    x = features(20, 3)
    Z = single(x.float())
    assert Z.dtype == torch.float32
    close(Z.double(), double(x), 1e-4)  # logits of order 10, seven digits


def test_a_channel_that_never_varies_has_finite_gradients():
    net, x = network(), features(6, 3)
    with torch.no_grad():
        net.layers[4].weight[0] = 0.0
        net.layers[3].weight[1] = 0.0
    net(x).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters())


def test_a_mean_far_above_the_spread_loses_no_digits():
    """In single precision the variance of z is that of its deviations, not a difference of two large squares."""
    net = network(seed=4)
    with torch.no_grad():
        net.layers[3].weight += 20.0  # all y of about one size: z is large, and alike in all channels
    single = copy.deepcopy(net).float()
    x = features(30, 3)
    net(x)
    single(x.float())
    var, expected = single.layers[4].running_var.double(), net.layers[4].running_var
    close(var, expected, 1e-4)


def test_what_the_derivative_needs_is_freed_with_it():
    net = network()
    Z = net(features(6, 3))
    Z.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        Z.sum().backward()


def test_parameters_have_the_published_names():
    layer = ["weight", "bias"]
    norm = [*layer, "running_mean", "running_var", "num_batches_tracked"]
    names = [f"layers.{i}.{name}" for i, kind in ((0, layer), (1, norm), (3, layer), (4, norm)) for name in kind]
    assert list(CouplingNetwork(2, generator=generator()).state_dict()) == [*names, "layers.6.weight"]


def test_weights_come_from_the_given_generator_alone():
    before = torch.get_rng_state()
    one, same, other = (CouplingNetwork(2, generator=generator(seed)).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["layers.3.weight"], other["layers.3.weight"])


def test_initial_weights_have_the_published_distributions():
    default = CouplingNetwork(3, 128, generator=generator()).layers
    xavier = CouplingNetwork(3, 128, "xavier", generator=generator()).layers
    for layer, fan_in in ((0, 6), (3, 128), (6, 128)):
        assert default[layer].weight.abs().max().item() == pytest.approx(fan_in**-0.5, rel=0.05)  # uniform up to there
        fan_out = 1 if layer == 6 else 128
        std = 0.5 * (2 / (fan_in + fan_out)) ** 0.5
        assert xavier[layer].weight.std().item() == pytest.approx(std, rel=0.2)  # 128 numbers: 6 % standard error
    assert xavier[3].bias.abs().max().item() == pytest.approx(128**-0.5, rel=0.05)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (
            features(4, 3).index_fill(0, torch.tensor([2]), float("nan")),
            ValueError,
            "`x` must be finite, but entry 2, 0",
        ),
        (features(4, 3).float(), TypeError, "dtype and device of the network"),
        (features(4, 3).to("meta"), TypeError, "dtype and device of the network, torch.float64 on cpu"),
        (features(4, 2), ValueError, r"shape \(..., node, 3\)"),
        (features(3), ValueError, r"shape \(..., node, 3\)"),
        (features(0, 3), ValueError, "at least one node"),
        (features(1, 3), ValueError, "at least two pairs in training mode"),
        ([[1.0, 2.0, 3.0]], TypeError, "must be a tensor"),
    ],
)
def test_bad_features_are_refused(x, error, message):
    with pytest.raises(error, match=message):
        network()(x)


def test_rows_and_columns_must_belong_to_the_same_networks():
    with pytest.raises(ValueError, match="`y` must have the leading axes"):
        network()(features(2, 4, 3), features(4, 3))


def test_an_unknown_initialisation_is_refused():
    with pytest.raises(ValueError, match="`init` must be one of 'default', 'xavier'"):
        CouplingNetwork(3, init="kaiming")


@pytest.mark.parametrize("training", [True, False])
def test_another_device_gives_the_same_numbers(training, elsewhere):
    x = features(20, 3)
    here, there = network(training=training), network(training=training).to(elsewhere)
    Z, far = here(x), there(x.to(elsewhere))
    close(far.cpu(), Z)
    Z.square().sum().backward()
    far.square().sum().backward()
    for mine, theirs in zip(here.parameters(), there.parameters(), strict=True):
        close(theirs.grad.cpu(), mine.grad, 1e-9)
