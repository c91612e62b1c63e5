"""Trainings can be stopped anywhere, and end as if they had not been."""

import csv
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

pytest.importorskip("lightning")

from neural import training
from neural.akorn import MovingAverage
from neural.seeds import seed_of

STEPS, EVERY = 23, 5


class Line(training.Task):
    """A line through noisy points; the loss draws random numbers, and the network has running statistics."""

    def __init__(self, lr=0.01, width=4, warmup=0, stop=()):
        super().__init__()
        self.save_hyperparameters(ignore="stop")
        self.stop = list(stop)
        with torch.random.fork_rng(()):
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 1))

    def loss(self, batch):
        x, y = batch
        loss = (self.network(x + 0.1 * torch.randn_like(x)) - y).square().mean()
        if self.stop and self.global_step == self.stop[0]:
            raise self.stop.pop(0) and KeyboardInterrupt
        return loss


@pytest.fixture
def batches():
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    return training.Batches(x, x.sum(1, keepdim=True), size=8, seed=1)


def run(task, batches, folder, **options):
    options = {"val": [batches[0]], "every": EVERY, "ema": MovingAverage(0.9, 2, 3), "log": ()} | options
    return training.fit(task, batches, STEPS, folder=folder, accelerator="cpu", **options)


def same(one, other):
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(value, other) for (_, value), other in pairs)


@pytest.mark.parametrize("stop", [(2,), (EVERY,), (7, 11, 22)])
def test_an_interrupted_training_ends_with_the_same_weights(stop, batches, tmp_path):
    whole = run(Line(), batches, tmp_path / "whole")
    for step in stop:
        with pytest.raises(KeyboardInterrupt):
            run(Line(stop=[step]), batches, tmp_path / "parts")
        assert torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)["global_step"] == step
    assert same(run(Line(), batches, tmp_path / "parts"), whole)


def test_a_training_that_goes_on_ends_like_a_longer_one(batches, tmp_path):
    whole = run(Line(), batches, tmp_path / "whole")
    options = {"ema": MovingAverage(0.9, 2, 3), "log": (), "accelerator": "cpu"}
    training.fit(Line(), batches, 9, folder=tmp_path / "parts", **options)
    assert same(run(Line(), batches, tmp_path / "parts", val=None), whole)


def test_an_interrupted_validation_keeps_no_half_exchanged_weights(batches, tmp_path, monkeypatch):
    def stopped(task, batch):
        raise KeyboardInterrupt

    whole = run(Line(), batches, tmp_path / "whole")
    monkeypatch.setattr(Line, "scores", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(Line(), batches, tmp_path / "parts")
    monkeypatch.undo()
    assert same(run(Line(), batches, tmp_path / "parts"), whole)


def test_an_update_that_is_interrupted_is_not_kept(batches, tmp_path, monkeypatch):
    whole = run(Line(), batches, tmp_path / "whole")
    step, calls = torch.optim.Adam.step, []

    def torn(optimizer, closure=None):
        calls.append(step(optimizer, closure))
        if len(calls) == 8:
            raise KeyboardInterrupt
        return calls[-1]

    monkeypatch.setattr(torch.optim.Adam, "step", torn)
    with pytest.raises(KeyboardInterrupt):
        run(Line(), batches, tmp_path / "parts")
    monkeypatch.undo()
    assert torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)["global_step"] == EVERY
    assert same(run(Line(), batches, tmp_path / "parts"), whole)


def test_a_finished_training_is_only_loaded(batches, tmp_path, monkeypatch):
    first = run(Line(), batches, tmp_path)
    monkeypatch.setattr(Line, "loss", lambda *_: pytest.fail("trained twice"))
    again = run(Line(), batches, tmp_path)
    assert same(first, again)
    assert not again.training


def test_a_checkpoint_builds_its_network_alone(batches, tmp_path):
    trained = run(Line(width=6), batches, tmp_path)
    for path in (tmp_path, tmp_path / "last.ckpt"):
        found = training.load(path)
        assert type(found).__name__ == "Line"
        assert found.hparams["width"] == 6
        assert same(found, trained)


def test_a_training_is_a_plain_loop(batches, tmp_path):
    ema, task = MovingAverage(0.9, 2, 3), Line()
    trained = run(Line(), batches, tmp_path, seed=5, ema=ema, gradient_clip_val=0.5)
    optimizer = torch.optim.Adam(task.network.parameters(), lr=0.01)
    average = AveragedModel(task, avg_fn=ema, use_buffers=True)
    with torch.random.fork_rng(()):
        for k in range(STEPS):
            torch.manual_seed(seed_of(5, k, 0))
            optimizer.zero_grad()
            task.loss(batches[k]).backward()
            nn.utils.clip_grad_norm_(task.parameters(), 0.5)
            optimizer.step()
            if k % 2 == 0:
                average.update_parameters(task)
    assert same(trained, average.module)


def test_the_averaged_weights_are_returned_and_kept(batches, tmp_path):
    plain = run(Line(), batches, tmp_path / "plain", ema=None)
    averaged = run(Line(), batches, tmp_path / "averaged")
    kept = torch.load(tmp_path / "averaged" / "last.ckpt", weights_only=True)
    assert not same(plain, averaged)
    assert torch.equal(kept["current_model_state"]["network.0.weight"], plain.network[0].weight)
    assert torch.equal(kept["state_dict"]["network.0.weight"], averaged.network[0].weight)


def test_training_learns_and_writes_what_it_finds(batches, tmp_path):
    run(Line(lr=0.05), batches, tmp_path, log=("csv", "tensorboard"), ema=None)
    with (tmp_path / "logs" / "version_0" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    scores = [float(row["val_loss"]) for row in rows if row["val_loss"]]
    assert [row["step"] for row in rows if row["loss"]] == [str(STEPS - 1)]
    assert len(scores) == STEPS // EVERY
    assert scores[-1] < scores[0]
    assert list((tmp_path / "logs").rglob("events.*"))


def test_a_rate_rises_over_its_warm_up(batches, tmp_path):
    rates = []

    class Seen(Line):
        def on_train_batch_end(self, *_):
            rates.append(self.optimizers().param_groups[0]["lr"])

    run(Seen(lr=0.5, warmup=4), batches, tmp_path)
    assert rates[:4] == [0.25 + 0.125, 0.5, 0.5, 0.5]  # after the scheduler's step: factors of iterations 1, 2, ...


def test_the_loss_is_compiled_while_it_is_trained(batches, tmp_path, monkeypatch):
    compiled, plain = [], run(Line(), batches, tmp_path / "plain")
    monkeypatch.setattr(torch, "compile", lambda function: lambda batch: compiled.append(1) or function(batch))
    task = run(Line(), batches, tmp_path / "compiled", compile=True)
    assert len(compiled) == STEPS + STEPS // EVERY  # also of the validation
    assert "loss" not in vars(task)
    assert same(task, plain)


def test_the_callers_random_numbers_are_left_alone(batches, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run(Line(), batches, tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_every_pass_has_all_rows_once_in_an_order_of_its_own():
    rows = torch.arange(12)
    batches = training.Batches(rows, -rows, size=4, seed=0)
    passes = [torch.cat([batches[k][0] for k in range(3 * i, 3 * i + 3)]) for i in range(2)]
    assert all(torch.equal(one.sort().values, rows) for one in passes)
    assert not torch.equal(*passes)
    assert torch.equal(batches[0][0], passes[0][:4])  # whatever was asked for before
    assert torch.equal(batches[1][1], -batches[1][0])
    assert len(batches) == 3


def test_two_processes_share_the_batches(tmp_path):
    """In a program of its own, since Lightning starts it twice."""
    file = Path(__file__).with_name("two_processes.py")
    command = [sys.executable, str(file), str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": os.getcwd()}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    seen = [set(map(int, (tmp_path / f"rank{rank}").read_text().split())) for rank in (0, 1)]
    assert seen == [{0, 2, 4, 6}, {1, 3, 5, 7}]


def test_ctrl_c_leaves_the_handler_as_it_was(batches, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(Line(stop=[3]), batches, tmp_path)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_failure_keeps_what_was_reached(batches, tmp_path):
    class Fails(Line):
        def loss(self, batch):
            if self.global_step == 4:
                raise FloatingPointError("`theta` is not finite")
            return super().loss(batch)

    with pytest.raises(FloatingPointError, match="`theta` is not finite"):
        run(Fails(), batches, tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4


def test_a_folder_of_another_training_is_refused(batches, tmp_path):
    run(Line(), batches, tmp_path)
    with pytest.raises(ValueError, match=r"`folder` must be of the same training, but .* has width = 4, not 6"):
        run(Line(width=6), batches, tmp_path)

    class Other(Line):
        pass

    with pytest.raises(ValueError, match=r"has task = 'tests\.neural.test_training:Line', not '.*Other'"):
        run(Other(), batches, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "has seed of fit = 0, not 1"),
        ({"ema": None}, r"has ema of fit = 'MovingAverage\(beta=0.9, every=2, after=3\)', not 'None'"),
    ],
)
def test_a_folder_of_other_random_numbers_or_averages_is_refused(options, message, batches, tmp_path):
    run(Line(), batches, tmp_path)
    with pytest.raises(ValueError, match=message):
        run(Line(), batches, tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every": 0}, ValueError, "`steps` and `every` must be at least 1, but are 23 and 0"),
        ({"accumulate_grad_batches": 2}, TypeError, "one batch to each step, but has accumulate_grad_batches"),
        ({"limit_train_batches": 2}, TypeError, "one batch to each step, but has limit_train_batches"),
    ],
)
def test_options_that_cannot_be_kept_are_named(options, error, message, batches, tmp_path):
    with pytest.raises(error, match=message):
        run(Line(), batches, tmp_path, **options)


def test_an_unknown_log_is_named(batches, tmp_path):
    with pytest.raises(ValueError, match="`log` must be of csv, tensorboard, but has 'paper'"):
        run(Line(), batches, tmp_path, log=("paper",))


def test_nothing_to_load_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`path` must be a checkpoint or a folder with last\.ckpt"):
        training.load(tmp_path)


def test_only_tasks_are_loaded(batches, tmp_path):
    run(Line(), batches, tmp_path)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    torch.save(checkpoint | {"task": "os:system"}, tmp_path / "last.ckpt")
    with pytest.raises(TypeError, match=r"names os\.system; nothing is loaded"):
        training.load(tmp_path)


@pytest.mark.parametrize(
    ("tensors", "size", "says"),
    [
        ((torch.zeros(3), torch.zeros(4)), 2, r"`tensors` must have as many rows as each other, but have \[3, 4\]"),
        ((torch.zeros(3),), 4, "`size` must lie between 1 and the 3 rows, but is 4"),
    ],
)
def test_batches_that_cannot_be_made_are_named(tensors, size, says):
    with pytest.raises(ValueError, match=says):
        training.Batches(*tensors, size=size)


def test_a_task_without_a_loss_is_named():
    with pytest.raises(NotImplementedError, match="Task must define `loss"):
        training.Task().loss(None)


def test_without_lightning_a_sentence_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("lightning")] + ["lightning.pytorch"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "neural.training")
    with pytest.raises(ImportError, match=r"pip install 'oscillator-systems\[train\]'"):
        importlib.import_module("neural.training")


def test_networks_do_not_need_lightning():
    code = "import sys, neural.akorn, neural.kuranet; print([m for m in sys.modules if m.startswith('lightning')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
