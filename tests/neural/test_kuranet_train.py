"""Training: what a step does, that an interrupted one goes on with the same bits, and what it refuses."""

from dataclasses import replace
from math import pi

import pytest
import torch

import analysis
from neural.kuranet import Horizon, Points, Recipe, evaluate, gaussians, oscillators, recipes, train
from neural.kuranet.train import Training

SHORT = Horizon(dt=0.1, burn_in=4, window=5)
SHORT_RECIPE = Recipe(lr=0.1, clip=1.0, epochs=2, nodes=5, momentum=0.5, horizon=SHORT, hidden=6)
RECIPES = {
    "sgd": SHORT_RECIPE,
    "adam": replace(SHORT_RECIPE, lr=0.01, optimizer="adam", momentum=0.0, cosine=True, standardised=True),
    "clusters": replace(recipes.CLUSTERS, nodes=5, hidden=6, epochs=2, horizon=Horizon(15.0, 0, 5)),
    "ours": replace(recipes.OUR_CLUSTERS, nodes=5, hidden=6, epochs=2, horizon=Horizon(15.0, 0, 5)),
}
DELAYED = oscillators("III", 32, 0)
DELAYED = replace(DELAYED, tau=DELAYED.tau % 4)  # within the short run
DATA = {"sgd": DELAYED, "adam": DELAYED, "clusters": gaussians(3, 32, 0), "ours": gaussians(3, 32, 0)}


def same(one, other):
    """Whether two trainings are in the same state, bit for bit."""
    return _bits(one.state()) == _bits(other.state())


def _bits(value):
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: _bits(entry) for key, entry in value.items()}
    return [_bits(entry) for entry in value] if isinstance(value, list) else value


def interrupted(recipe, data, path, after, error, monkeypatch):
    """A training that is stopped before its iteration number `after`, having saved at each of them."""
    step = Training.step

    def failing(self, nodes):
        if len(self.loss) == after:
            raise error
        step(self, nodes)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", failing)
        with pytest.raises(error):
            train(recipe, data, seed=3, path=path, every=0.0)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("after", [1, 6, 9])  # in the first epoch, at the start of the second, within it
def test_an_interrupted_training_goes_on_with_the_same_bits(name, after, tmp_path, monkeypatch):
    recipe, data, path = RECIPES[name], DATA[name], tmp_path / "training.pt"
    interrupted(recipe, data, path, after, KeyboardInterrupt, monkeypatch)
    resumed = train(recipe, data, seed=3, path=path)
    assert len(resumed.loss) == 12
    assert same(resumed, train(recipe, data, seed=3))


def test_a_finished_training_is_read_not_repeated(tmp_path):
    first = train(RECIPES["sgd"], DATA["sgd"], path=tmp_path / "training.pt")
    assert same(first, train(RECIPES["sgd"], DATA["sgd"], path=tmp_path / "training.pt"))


def test_a_write_that_fails_leaves_the_checkpoint_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "training.pt"
    training = train(RECIPES["sgd"], DATA["sgd"], path=path)
    before = path.read_bytes()

    def cut(state, part):
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(OSError, match="disk full"):
        training.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "change", [{"recipe": replace(RECIPES["sgd"], lr=0.2)}, {"seed": 1}, {"data": DATA["sgd"][:30]}]
)
def test_the_checkpoint_of_another_training_is_refused(change, tmp_path):
    asked = {"recipe": RECIPES["sgd"], "data": DATA["sgd"], "seed": 0, "path": tmp_path / "training.pt"}
    train(**asked)
    with pytest.raises(ValueError, match="`path` must hold a training with"):
        train(**asked | change)


def test_every_epoch_uses_every_node_once():
    training = Training(RECIPES["clusters"], DATA["clusters"][:30], 0)
    seen = []
    training.step = lambda nodes: (seen.append(nodes), training.loss.append(0.0))
    for _ in range(2):
        for nodes in training.networks():
            training.step(nodes)
    for epoch in (seen[:6], seen[6:]):
        rows = torch.cat([nodes.x for nodes in epoch])
        assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, DATA["clusters"][:30].x.tolist()))
    assert not torch.equal(seen[0].x, seen[6].x)


def test_a_seed_decides_everything():
    runs = [train(RECIPES["clusters"], DATA["clusters"], seed=seed) for seed in (1, 1, 2)]
    assert same(runs[0], runs[1])
    assert runs[0].loss[0] != runs[2].loss[0]


def test_a_step_clips_the_gradient():
    recipe = replace(RECIPES["clusters"], optimizer="sgd", lr=1.0, clip=1e-3)
    training = Training(recipe, DATA["clusters"], 0)
    before = [p.detach().clone() for p in training.model.parameters()]
    training.step(next(training.networks()))
    moved = torch.cat([(p - q).flatten() for p, q in zip(training.model.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)  # of single precision weights of order one


def test_a_cosine_falls_from_the_rate_to_zero():
    training = Training(RECIPES["adam"], DATA["adam"], 0)
    rates = []
    for nodes in training.networks():
        training.step(nodes)
        rates.append(training.optimizer.param_groups[0]["lr"])
    assert rates[0] == 0.01
    assert rates[3] == pytest.approx(0.01 * (1 + 2**-0.5) / 2)  # a quarter of the way: (1 + cos 45°)/2


def test_runs_may_start_anywhere_on_the_circle():
    theta = RECIPES["ours"].start(gaussians(2, 4000, 0), torch.Generator().manual_seed(0))
    assert 0 <= theta.min() < 0.01
    assert 2 * pi - 0.01 < theta.max() < 2 * pi
    assert analysis.order_parameter(theta) < 0.05  # three standard errors
    own = RECIPES["clusters"].start(gaussians(2, 4000, 0), torch.Generator().manual_seed(0))
    assert analysis.order_parameter(own) > 0.5


def test_the_number_of_steps_may_be_drawn_log_uniformly_from_a_growing_range():
    recipe, generator = recipes.OUR_CLUSTERS, torch.Generator().manual_seed(0)
    for progress, longest in ((0.0, 1), (0.25, 20), (0.5, 400), (1.0, 400)):  # it has grown after half of the training
        drawn = [recipe.draw_horizon(progress, generator).window - 1 for _ in range(3000)]
        assert 1 == min(drawn) <= max(drawn) <= longest
        half = sum(steps < longest**0.5 for steps in drawn) / len(drawn)
        assert longest == 1 or half == pytest.approx(0.5, abs=0.06)
    assert recipes.CLUSTERS.draw_horizon(0.0, generator) == recipes.CLUSTERS.horizon


def test_standardised_features_have_mean_zero_and_variance_one():
    data = DATA["adam"]
    model = Training(RECIPES["adam"], data, 0).model
    x = (data.x - model.center) / model.spread
    assert x.mean(0).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert x.std(0).tolist() == pytest.approx([0, 1, 1], abs=1e-6)  # b is 0 everywhere, and stays so
    assert model.spread[0] == 1.0


def test_training_makes_clusters():
    """A short training on two far groups: from a random network to one that keeps them apart."""
    data = gaussians(2, 400, 0)
    recipe = replace(recipes.CLUSTERS, lr=1e-2, nodes=20, hidden=16, epochs=3, horizon=Horizon(7.0, 0, 40))
    late = Horizon(7.0, 60, 10)
    trained, control = train(recipe, data, seed=1).model, Training(recipe, data, 1).model
    assert evaluate(trained, data, late, nodes=20).mean() < 0.05
    assert evaluate(control, data, late, nodes=20).mean() > 0.4


def test_evaluation_changes_nothing_and_uses_running_statistics():
    training = train(RECIPES["sgd"], DATA["sgd"])
    training.model.train()
    before = _bits(training.model.state_dict())
    one = evaluate(training.model, DATA["sgd"], SHORT, nodes=16)
    assert len(one) == 2
    assert _bits(training.model.state_dict()) == before
    assert training.model.training
    assert torch.equal(one, evaluate(training.model.eval(), DATA["sgd"], SHORT, nodes=16))


def test_history_has_loss_and_autocorrelation_of_every_iteration():
    training = train(RECIPES["sgd"], DATA["sgd"])
    assert len(training.loss) == len(training.c_x) == training.iterations == 12
    assert all(-1 <= c <= 1 for c in training.c_x)  # softmax couplings are positive and symmetric


def test_a_bar_shows_the_progress(capsys):
    train(RECIPES["sgd"], DATA["sgd"], progress=True)
    assert "12/12" in capsys.readouterr().err


def test_the_published_recipes_are_those_of_the_paper():
    names = {"I": "CASE_I", "II": "CASE_II", "III": "CASE_III", "clusters": "CLUSTERS", "image": "IMAGE"}
    rates = {task: getattr(recipes, name) for task, name in names.items()}
    assert {k: (r.lr, r.momentum, r.clip, r.epochs) for k, r in rates.items()} == {
        "I": (5e-4, 0, 1, 2), "II": (1e-2, 0, 1, 2), "III": (5e-2, 0.5, 5, 3), "clusters": (5e-5, 0, 10, 3),
        "image": (5e-4, 0, 10, 5),
    }  # fmt: skip
    assert all(r.horizon.truncated for r in rates.values())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recipe(lr=0.1, clip=1, epochs=1, optimizer="lbfgs"), "`optimizer` must be one of 'sgd', 'adam'"),
        (lambda: Recipe(lr=0.1, clip=1, epochs=1, optimizer="adam", momentum=0.5), "`momentum` must be 0 with 'adam'"),
        (
            lambda: train(recipes.CASE_I, DATA["sgd"]),
            "`data` must hold at least one network of 100 nodes, but holds 32",
        ),
        (lambda: evaluate(None, DATA["sgd"], SHORT), "`data` must hold at least one network of 100 nodes"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_points_with_a_feature_that_is_no_number_are_refused():
    data = Points(torch.full((5, 2), torch.nan), torch.arange(5) % 2, 2)
    with pytest.raises(ValueError, match="`x` must be finite"):
        train(replace(RECIPES["clusters"], nodes=5), data)


def test_a_growing_burn_in_reaches_its_length_after_its_share_of_the_training():
    recipe, generator = recipes.OUR_CASE_II, torch.Generator()
    grown = [recipe.draw_horizon(progress, generator).burn_in for progress in (0.0, 0.3, 0.6, 1.0)]
    full = recipe.horizon.burn_in
    assert grown == [0, round(full / 2), full, full]
    assert {recipe.draw_horizon(progress, generator).window for progress in (0.0, 0.5, 1.0)} == {recipe.horizon.window}
