"""Every topic runs at a tiny size without peers, and what it times is right."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import akorn, contrastive, delayed, dense, ensemble, gradients, kuranet, rhs, sparse, startup, waves
from benchmarks.__main__ import TOPICS, main
from benchmarks.network import by_engine, dense_network
from benchmarks.peers import Skipped, compare
from benchmarks.timing import Row, first_reaching, interleaved, report, table
from neural.autoencoders import Contrast


def errors(rows: list[Row]) -> list[float]:
    return [row.our_error for row in rows if row.our_error is not None]


def test_dense_and_sparse_solutions_agree_with_the_reference():
    rows = [*dense.run(sizes=(8,), peers={}, T=2.0), *sparse.run(N=12, peers={}, T=2.0)]
    assert len(rows) == 10
    # Tolerance 1e-6 per step, some ten steps, contraction at most.
    assert max(errors(rows)) < 1e-4


def test_right_hand_sides_agree_with_the_numpy_law():
    rows = rhs.run(dense=(9,), mean_field=1000, lattice=16, seconds=0.01)
    # Values of order 1, sums of at most 1000 terms: round-off stays below 1e-12.
    assert max(errors(rows)) < 1e-12
    assert [row.unit for row in rows if row.ratio is None] == []


def test_delayed_solutions_agree_with_a_fine_step():
    rows = delayed.run(sizes=(6,), T=1.0, peers=False, many=(20, 3))
    # Order 4 at dt = 0.05 with frequencies near 1: some 1e-7 after one or two delays.
    assert max(errors(rows)) < 1e-5


def test_gradients_agree_with_a_fine_step_and_with_autograd():
    peers = {"torchdiffeq": gradients.by_torchdiffeq}
    rows = gradients.run(sizes=((6, 1), (5, 3)), peers=peers, T=1.0)
    # Order 4, fields up to K N = 6: some (6 * 0.05)^4 / 120.
    assert max(errors(rows)) < 1e-4
    assert max(row.peer_error for row in rows) < 1e-4


def test_training_iterations_agree_with_the_published_formulas():
    rows = kuranet.run(nodes=12, seconds=0.0)
    # Single precision of the coupling function, through a normalisation over 144 pairs; the run of the peer is single, too.
    assert max(errors(rows)) < 1e-4
    assert max(row.peer_error for row in rows) < 1e-3


def test_autoencoders_agree_with_the_published_formulation():
    maps = {"patches": (Contrast(3, 1, 2, 4, 6, patch=2), (2, 3, 8, 8))}
    contrasts = {"encoder_contrast": Contrast(2, 1, 1, 2, 2), "decoder_contrast": Contrast(5, 1, 5, 8, 50)}
    tiny = {"image": (3, 16, 16), "channels": (4, 4), "strides": (2, 2), "linear": 4}
    rows = contrastive.run(maps, {"tiny": tiny}, images=2, seconds=0.0, contrasts=contrasts)
    assert len(rows) == 3
    # Double precision; gradients pass ten layers with a norm each.
    assert max(errors(rows)) < 1e-9


def test_layers_agree_with_the_published_formulas():
    cases = akorn.Case("attn", 16, 3, 2, 3), akorn.Case("conv", 8, 6, 2, 3, 3)
    *speeds, short, long = akorn.run(cases, akorn.Case("attn", 16, 3, 1, 36), long=49, seconds=0.01)
    # Single precision, a few steps, sums of some hundred terms.
    assert max(errors(speeds)) < 1e-5
    assert len(speeds) == 2
    assert short.ours < long.ours < long.theirs


def test_gradients_of_wave_networks_agree_with_the_eager_loop():
    rows = waves.run(lattices=((1, 4, 5), (3, 4)), T=5, batch=3, seconds=0.0)
    assert [row.peer for row in rows[:4]] == ["eager", "repeat", "undo", "dense"]
    # Five steps, sums of at most 15 x 20 terms: some roundings.
    assert max(row.our_error for row in rows if "float64" in row.size) < 1e-13
    assert max(row.our_error for row in rows) < 1e-4


def test_members_of_the_timed_ensemble_equal_their_own_runs():
    rows = ensemble.run(sizes=(5,), T=0.5, members=4)
    assert errors(rows) == [0.0] * 4  # bit for bit


@pytest.mark.slow
def test_start_up_compiles_nothing_when_parameters_change():
    rows = startup.run(kinds=("fixed",))
    assert len(rows) == 2
    assert all(", 0 compilations later" in row.note for row in rows)


def test_a_peer_that_is_missing_or_cannot_take_part_is_a_row():
    def missing(network, tolerance):
        raise ImportError

    def too_large(network, tolerance):
        raise Skipped("too large")

    rows = compare("dense", "N = 4", dense_network(4, 0.5), {"A": missing, "B": too_large})
    assert [row.note for row in rows[2:]] == ["not installed", "skipped: too large"]
    assert "| not installed" in table(rows)


def test_our_tolerance_is_chosen_for_an_error_no_larger_than_the_peers():
    def seven_digits(network, tolerance):
        solve = by_engine(network, 1e-11)
        return lambda: solve() + 1e-7

    rows = compare("dense", "N = 6", dense_network(6, 1.0), {"off by 1e-7": seven_digits})[2:]
    assert len(rows) == 2
    for row in rows:
        assert row.our_error <= row.peer_error
        assert row.peer_error == pytest.approx(1e-7, rel=1e-2)  # the reference and the peer's run are exact to 1e-9


def test_the_first_knob_that_reaches_the_target_is_taken():
    assert first_reaching(lambda h: h**2, (0.5, 0.2, 0.1), 0.05) == (0.2, pytest.approx(0.04))
    assert first_reaching(lambda h: h**2, (0.5, 0.2), 1e-9) == (0.2, pytest.approx(0.04))  # none does: the last


def test_calls_take_turns_and_are_reset_before_each():
    order = []

    class Call:
        def __init__(self, name):
            self.name = name

        def reset(self):
            order.append("reset " + self.name)

        def __call__(self):
            order.append(self.name)

    times = interleaved(Call("a"), Call("b"), seconds=0.0, rounds=(2, 2))
    assert order == ["reset a", "a", "reset b", "b"] * 3
    assert len(times) == 2


def test_ratios_are_above_one_where_ours_is_better():
    assert Row("x", "", 1.0, "ms", "y", 3.0).ratio == pytest.approx(3.0)
    assert Row("x", "", 1.0, "GB/s", "y", 3.0).ratio == pytest.approx(1 / 3)
    assert Row("x", "", None, "ms", "y", 3.0).ratio is None


def test_tables_and_pages_name_the_machine_and_the_command(tmp_path, monkeypatch, capsys):
    import benchmarks.__main__ as entry

    for name in entry.ONE_THREAD:
        monkeypatch.setenv(name, "1")  # main sets them; monkeypatch puts them back
    monkeypatch.setattr(entry, "RESULTS", tmp_path)
    monkeypatch.setattr(dense, "run", lambda: [Row("dense", "N = 1", 2.0, "ms", our_error=0.5)])
    main(["dense", "--save"])
    page = (tmp_path / "dense.md").read_text()
    assert "| dense | N = 1 | 2 ms |" in page
    assert "python -m benchmarks dense --save" in page
    assert f"numpy {np.__version__}" in page
    assert "| dense | N = 1 | 2 ms |" in capsys.readouterr().out
    assert "cores" in report("dense", "why", [])


def test_an_unknown_topic_is_an_error(capsys):
    with pytest.raises(SystemExit):
        main(["fast"])
    message = capsys.readouterr().err
    assert all(name in message for name in (*TOPICS, "fast"))
