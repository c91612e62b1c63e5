"""Couplings that are never one matrix, against the matrix."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import analysis
from benchmarks import large
from neural.kuranet import CouplingNetwork, Horizon, KuraNet, Oscillators, run
from neural.kuranet.large import Streamed
from neural.kuranet.rows import all_logits
from neural.kuranet.subpopulation import subpopulations
from oscillators import Delayed, Dense, Diffusive, Kuramoto, integrate, simulate

N = 23
ROUND_OFF = 1e-12  # sums of some dozen numbers of order one, in another order
KINDS = ("softmax", "l2", "l1", "none")
ROUNDING = {torch.float64: ROUND_OFF, torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}  # a few ulp


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model(kind="softmax", symmetric=True, **options):
    """Couplings of every size and both signs (softmax: ratios of up to some thousands), no row like another."""
    g = generator()
    network = CouplingNetwork(3, 11, generator=g).double()
    with torch.no_grad():
        for value in network.parameters():
            value += 0.6 * torch.randn(value.shape, generator=g)
    return KuraNet(network, kind, 1.7, symmetric, **options).eval()


def nodes(n=N, longest=4):
    g = generator(1)
    omega, b = torch.randn(2, n, generator=g, dtype=torch.float64)
    return Oscillators(omega, b, torch.randint(0, longest + 1, (n,), generator=g))


def states(*shape, seed=2):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def close(mine, theirs, tolerance=ROUND_OFF):
    assert torch.isfinite(theirs).all()
    assert float((mine - theirs).abs().max()) <= tolerance * float(theirs.abs().max())


@pytest.mark.parametrize("keep", [None, *ROUNDING])
@pytest.mark.parametrize("sense", ["symmetric", "receivers", "senders"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_field_is_that_of_the_matrix(kind, sense, keep):
    made = model(kind, per_node=kind == "l2") if sense == "symmetric" else model(kind, False, rows=sense)
    x, g = nodes().x, states(2, 3, N, 2)
    K = made(x).detach()
    close(Streamed(made, x, keep=keep, rows=5).field(g), K @ g, ROUNDING[keep or torch.float64])


@pytest.mark.parametrize("rows", [1, 7, N, 100, None])
def test_blocks_of_any_size_make_the_same_field(rows):
    made, x, g = model(), nodes().x, states(N, 2)
    close(Streamed(made, x, rows=rows).field(g), made(x).detach() @ g)
    close(Streamed(made, x, rows=rows, keep=torch.float64).field(g), made(x).detach() @ g)


def test_training_goes_on_without_them():
    made, x, g = model(), nodes().x, states(N, 2)
    streamed = Streamed(made, x, rows=4)
    before = streamed.field(g)
    made.train()(x)
    torch.nn.init.zeros_(made.network.layers[6].weight)
    assert torch.equal(streamed.field(g), before)


def test_features_are_shifted_and_scaled_as_in_training():
    made, x, g = (
        model(center=torch.tensor([0.5, -1.0, 2.0]), spread=torch.tensor([2.0, 0.5, 3.0])),
        nodes().x,
        states(N, 2),
    )
    close(Streamed(made.double(), x, rows=4).field(g), made(x).detach() @ g)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_of_all_pairs_are_those_of_the_network(kind):
    made, x = model(kind, False, rows="senders", per_node=True), nodes().x
    Z = all_logits(made, x, rows=6)
    close(Z, made.network(x).detach())
    close(made.from_logits(Z), made(x).detach())


def test_single_precision_weights_serve_a_state_in_double_precision():
    made, x, g = model("l2").float(), nodes().x.float(), states(N, 2)
    for keep in (None, torch.float32):
        field = Streamed(made, x, keep=keep, rows=4).field(g)
        assert field.dtype == torch.float64
        close(field, made(x).detach().double() @ g, 1e-5)  # single precision logits


@pytest.mark.parametrize("threads", [1, 3])
def test_the_field_does_not_depend_on_the_number_of_threads(threads):
    made, x, g, before = model(), nodes().x, states(N, 2), torch.get_num_threads()
    fields = []
    try:
        for count in (2, threads):
            torch.set_num_threads(count)
            fields.append(Streamed(made, x, rows=3).field(g))
            assert torch.get_num_threads() == count
            with ThreadPoolExecutor(1) as another:  # the workers' own setting has not leaked
                assert another.submit(torch.get_num_threads).result() == count
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*fields)


@pytest.mark.parametrize("keep", [None, torch.float64])
def test_runs_are_those_of_the_matrix_with_drive_and_delays(keep):
    made, own, theta = model(), nodes(), states(N)
    K, streamed = made(own.x).detach(), Streamed(made, own.x, keep=keep, rows=4)
    drive = torch.stack([-own.b, torch.zeros(N).double()], dim=-1)
    system, tau, t = Kuramoto(own.omega), 0.1 * own.tau.double(), [0.0, 0.5, 1.0]
    options = {"method": "rk4", "dt": 0.1, "drive": drive}
    close(integrate(system, streamed, theta, t, **options), integrate(system, K, theta, t, **options))
    late = {**options, "history": theta}
    mine, theirs = (integrate(system, Delayed(k, tau), theta, t, **late) for k in (streamed, Dense(K)))
    close(mine, theirs)
    assert not torch.allclose(theirs, integrate(system, K, theta, t, **options))  # the delays do something


def test_simulate_takes_them_too():
    made, own, theta = model("l2"), nodes(), states(N).numpy()
    streamed = Streamed(made, own.x, keep=torch.float64, rows=4)
    for wrap in (lambda K: K, Diffusive):
        mine, theirs = (
            simulate(Kuramoto(own.omega), wrap(K), theta, [0.0, 1.0], method="rk4", dt=0.1).theta.values
            for K in (streamed, Dense(made(own.x).detach()))
        )
        close(torch.tensor(mine), torch.tensor(theirs))


@pytest.mark.parametrize("gradient", ["discrete", "backprop"])
def test_the_gradient_with_respect_to_the_state_passes_through(gradient):
    made, own = model(symmetric=False), nodes()
    found = []
    for K in (Streamed(made, own.x, rows=4), Dense(made(own.x).detach())):
        theta = states(N).requires_grad_()
        end = integrate(Kuramoto(own.omega), K, theta, [0.0, 1.0], dt=0.1, gradient=gradient)[-1]
        found += torch.autograd.grad(end.sin().sum(), theta)
    close(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_observables_need_no_matrix(kind):
    made, x = model(kind, False), nodes().x
    streamed, K = Streamed(made, x, rows=4), made(x).detach()
    close(streamed.fan_in(), K.mean(0))
    assert streamed.total() == pytest.approx(float(K.sum()), rel=ROUND_OFF)
    close(analysis.graph_autocorrelation(x, streamed), analysis.graph_autocorrelation(x, K))


@pytest.mark.parametrize("keep", list(ROUNDING))
def test_the_average_degree_survives_rounding(keep):
    assert Streamed(model(), nodes().x, keep=keep, rows=4).total() == pytest.approx(1.7 * N, rel=ROUND_OFF)


@pytest.mark.parametrize("kind", ["l2", "l1", "none"])
def test_rows_of_zeros_stay_zero(kind):
    made = model(kind)
    torch.nn.init.zeros_(made.network.layers[6].weight)
    assert Streamed(made, nodes().x, rows=4).field(states(N, 2)).abs().max() == 0


def test_a_bar_shows_the_pass_over_all_rows(capsys):
    Streamed(model(), nodes().x, progress=True)
    all_logits(model(), nodes().x, progress=True)
    shown = capsys.readouterr().err
    assert "couplings: 100%" in shown
    assert "logits: 100%" in shown


@pytest.mark.parametrize("longest", [0, 4])
def test_subpopulations_of_all_nodes_are_the_whole_network(longest):
    made, own, theta = model("l2", False, rows="senders", per_node=True), nodes(longest=longest), states(N)
    horizon = Horizon(dt=0.1, burn_in=8, window=5)
    whole = run(made(own.x).detach(), own, theta, horizon)
    rows = torch.stack(list(subpopulations(made, own, theta, generator(), steps=11, size=N, dt=0.1)))
    close(rows, torch.cat([whole.burn_in, whole.window[1:]])[1:])


def test_a_subpopulation_moves_as_a_network_of_its_own():
    made, own, theta = model(), nodes(longest=0), states(N)
    (after,) = subpopulations(made, own, theta, generator(), steps=1, size=6, dt=0.1)
    moved = (after != theta).nonzero()[:, 0]
    assert len(moved) == 6
    alone = run(made(own[moved].x).detach(), own[moved], theta[moved], Horizon(dt=0.1, burn_in=0, window=2))
    close(after[moved], alone.window[1])


def test_logits_may_be_given_and_seeds_repeat():
    made, own, theta = model(symmetric=False), nodes(), states(N)
    runs = [
        list(subpopulations(made, own, theta, generator(seed), steps=9, size=6, Z=Z))
        for seed, Z in ((0, None), (0, all_logits(made, own.x)), (1, None))
    ]
    close(runs[0][-1], runs[1][-1])
    assert not torch.allclose(runs[0][-1], runs[2][-1])


def test_bad_input_is_named():
    made, x, theta = model(), nodes().x, states(N)
    with pytest.raises(ValueError, match="`model` must be in evaluation mode"):
        Streamed(model().train(), x)
    with pytest.raises(ValueError, match=r"`x` must be a tensor of shape .* but is \(3,\)"):
        Streamed(made, x[0])
    with pytest.raises(ValueError, match=r"at least two nodes, but is \(1, 3\)"):
        Streamed(made, x[:1])
    with pytest.raises(ValueError, match="`x` must be finite"):
        Streamed(made, x * float("nan"))
    with pytest.raises(TypeError, match="`x` must have the dtype and device of the network"):
        Streamed(model("l2"), x.float())
    with pytest.raises(ValueError, match=r"`keep` must be one of .*float16"):
        Streamed(made, x, keep=torch.int8)
    with pytest.raises(ValueError, match="`rows` must be a whole number of at least 1, but is 0"):
        Streamed(made, x, rows=0)
    with pytest.raises(MemoryError, match=r"`keep` must fit .* 4000 GB"):
        Streamed(made, x[:1].expand(10**6, 3), keep=torch.float32)
    with pytest.raises(ValueError, match="`x` must have one row per node of `x0`, but has 23 for 7 nodes"):
        integrate(Kuramoto(0.0), Streamed(made, x), theta[:7], [0.0, 1.0], dt=0.1)
    with pytest.raises(ValueError, match="`size` must be 2 to 23"):
        next(subpopulations(made, nodes(), theta, generator(), steps=1))


def test_a_network_that_diverged_is_named():
    made = model()
    torch.nn.init.constant_(made.network.layers[6].weight, 1e308)
    with pytest.raises(FloatingPointError, match="`network` must return finite logits"):
        Streamed(made, nodes().x)


@pytest.mark.parametrize("keep", [None, torch.float64, torch.bfloat16])
def test_another_device_makes_the_same_field(keep, elsewhere):
    made, x, g = model(), nodes().x, states(N, 2)
    there = Streamed(made.to(elsewhere), x.to(elsewhere), keep=keep, rows=5)
    close(there.field(g.to(elsewhere)).cpu(), made.cpu()(x).detach() @ g, ROUNDING[keep or torch.float64])
    with pytest.raises(TypeError, match=f"must be on the device of the couplings, {elsewhere}"):
        there.field(g)


def test_the_benchmark_measures_what_it_says():
    rows = large.run(sizes=(40,), pixels=50, steps=5, published=10, subset=4, model=model().float())
    errors = {row.what: row.our_error for row in rows if row.our_error is not None}
    assert errors["logits"] < 1e-5  # single precision
    assert errors["field, float32"] < 1e-5
    assert errors["field, bfloat16"] < 1e-2
    assert errors["field, made anew"] < 1e-5
    assert [row.size for row in rows].count("n = 50") == 2
