"""The oscillator cell: compiled and portable scans, what is kept, the same network in continuous time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from neural.waves import AllToAll, Constants, Local, OneWay, Orbit, OscillatorCell, continuous
from neural.waves.cell import portable
from neural.waves.fused import _Scan
from neural.waves.norm import SheetNorm
from oscillators import integrate, simulate
from tests.neural.waves import MAPS, N, cell, normal, seeded

SAME = 1e-12  # the same sums in another order
PAIRS = [
    *((name, None) for name in MAPS),
    (None, "rings"),
    ("torus", "torus"),
    ("rings", "all to all"),
    ("sparse", "diagonal"),
]


def start(B: int = 5) -> Orbit:
    return Orbit(normal(B, N, seed=1, grad=True), normal(B, N, seed=2, grad=True))


def derivatives(total: torch.Tensor, own: OscillatorCell, *others: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(total, [*others, *own.parameters()]))


def assert_same(ours, theirs, tolerance=SAME):
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance * float(1 + other.detach().abs().max()))


@pytest.mark.parametrize(("position", "velocity"), PAIRS)
@pytest.mark.parametrize("damping", ["explicit", "semi_implicit", "exact"])
def test_the_compiled_scan_is_the_portable_one_with_its_gradients(position, velocity, damping):
    own, drive, begin = cell(position, velocity, damping=damping), normal(7, 5, N, grad=True), start()
    weight = normal(2, 7, 5, N, seed=3)
    orbits = own.run(drive, begin), portable(own, own.step(), own.offset(drive), begin)
    assert_same(*orbits)
    found = (derivatives((torch.stack(list(orbit)) * weight).sum(), own, drive, *begin) for orbit in orbits)
    assert_same(*found)


@pytest.mark.parametrize(("position", "velocity"), PAIRS)
@pytest.mark.parametrize("checkpoint", [None, "repeat", "undo"])
def test_the_last_moment_has_the_same_gradient_whatever_is_kept(position, velocity, checkpoint):
    own, drive, begin = cell(position, velocity), normal(20, 5, N, grad=True), start()
    weight = normal(2, 5, N, seed=3)
    ends = own.last(drive, begin, checkpoint=checkpoint), own.run(drive, begin).at(-1)
    assert_same(*ends)
    found = (derivatives((torch.stack(list(end)) * weight).sum(), own, drive, *begin) for end in ends)
    assert_same(
        *found, tolerance=1e-9
    )  # undoing 20 steps multiplies rounding by 1.08 each, or by 2.6 where 𝒲 is strong


@pytest.mark.parametrize("checkpoint", [None, "repeat", "undo"])
def test_without_gradients_no_moment_is_kept(checkpoint, monkeypatch):
    own, drive, begin = cell("torus", "torus"), normal(20, 5, N), start()
    whole, rooms, room = own.run(drive, begin).at(-1), [], _Scan.room
    monkeypatch.setattr(_Scan, "room", lambda scan, *moments: rooms.append(moments) or room(scan, *moments))
    with torch.no_grad():
        assert_same(own.last(drive, begin, checkpoint=checkpoint), whole, tolerance=0)
    assert sum(*zip(*rooms, strict=True)) == 2 * len(rooms) // 3  # y and z of the last moment of each stretch
    assert checkpoint == "undo" or len(rooms) == 3  # one stretch, two parts and no squashed field


@pytest.mark.parametrize(("position", "velocity"), [("torus", None), ("torus", "torus"), ("all to all", None)])
def test_steps_that_can_be_undone_are_not_taken_again(position, velocity, monkeypatch):
    own, drive = cell(position, velocity), normal(20, 3, N, grad=True)
    if velocity is not None:
        with torch.no_grad():
            own.velocity.weight.mul_(0.3)  # q below 1
    total = own.last(drive, checkpoint="undo").y.sum()
    monkeypatch.setattr("neural.waves.fused._Scan.forward", None)  # what would take them again
    total.backward()
    assert bool(drive.grad.isfinite().all())


def test_steps_that_cannot_be_undone_are_taken_again():
    strong = cell("torus", "torus", learned=None)
    with torch.no_grad():
        strong.velocity.weight.mul_(20)  # q far above 1: the iteration diverges
    found = []
    for checkpoint in ("undo", None):
        drive = normal(30, 3, N, grad=True)
        found.append(torch.autograd.grad(strong.last(drive, checkpoint=checkpoint).y.sum(), drive)[0])
    assert_same([found[0]], [found[1]])


def test_a_stretch_that_does_not_end_where_it_began_is_taken_again(monkeypatch):
    own = OscillatorCell(Constants(0.076, 0.4, 8.0), seeded("torus")).double()  # rounding grows by 2.5 per step undone
    monkeypatch.setattr("neural.waves.stability.segment_length", lambda *_: float("inf"))  # as if 100 steps were safe
    found = []
    for checkpoint in ("undo", None):
        drive = normal(100, 3, N, grad=True)
        found.append(torch.autograd.grad(own.last(drive, checkpoint=checkpoint).y.sum(), drive)[0])
    assert_same([found[0]], [found[1]])


def test_many_members_are_worked_on_in_blocks():
    own, drive = cell("torus", "torus"), normal(3, 131, N)  # two blocks of 64 and three more
    whole = own.run(drive)
    for member in (0, 63, 64, 130):
        alone = own.run(drive[:, member : member + 1])
        assert torch.equal(whole.y[:, member], alone.y[:, 0])


@pytest.mark.parametrize("position", ["torus", "all to all"])
def test_single_precision_stays_single_and_close(position):
    own, drive = cell(position), normal(30, 4, N)
    exact = own.run(drive).y
    found = own.float().run(drive.float()).y
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5)  # 30 steps of 1e-7


def test_a_cell_without_maps_is_driven_alone():
    own = OscillatorCell(Constants(0.1, 1.0, 0.2)).double()
    drive = normal(4, 2, 3)
    assert_same(own.run(drive), portable(own, own.step(), drive, Orbit(*torch.zeros(2, 2, 3).double())))


def test_inputs_are_left_as_they_are():
    own, drive, begin = cell("torus", "torus"), normal(5, 2, N, grad=True), start(2)
    before = [x.detach().clone() for x in (drive, *begin)]
    own.last(drive, begin, checkpoint="undo").y.sum().backward()
    own.run(drive, begin).y.sum().backward()
    assert all(torch.equal(x, old) for x, old in zip((drive, *begin), before, strict=True))


@pytest.mark.parametrize("name", ["torus", "all to all"])
@pytest.mark.parametrize("damping", ["explicit", "semi_implicit", "exact"])
def test_undoing_the_steps_leads_back_to_the_start(name, damping):
    own = cell(name, name, damping=damping)
    with torch.no_grad():
        own.velocity.weight.mul_(0.3)  # q below 1
    drive, begin = normal(25, 3, N), Orbit(normal(3, N, seed=1), normal(3, N, seed=2))
    found = own.undo(drive, own.run(drive, begin).at(-1))
    assert_same(found, begin, 1e-10)  # 25 steps, each multiplies rounding by 1.2


def test_steps_with_strong_velocities_are_not_undone():
    own = cell("torus", "torus")
    with torch.no_grad():
        own.velocity.weight.mul_(20)
    with pytest.raises(ValueError, match="weak enough"):
        own.undo(normal(3, 2, N), start(2))


def at_step(own: OscillatorCell, dt: float) -> OscillatorCell:
    _, gamma, epsilon = own.constants()
    return OscillatorCell(
        Constants(dt, float(gamma), float(epsilon)), own.position, own.velocity, damping=own.damping
    ).double()


@pytest.mark.parametrize(
    ("position", "velocity", "damping"),
    [
        *itertools.product(["torus", "all to all"], [None, "torus"], ["explicit"]),
        ("torus", "torus", "semi_implicit"),
        ("torus", None, "exact"),
    ],
)
def test_the_orbit_tends_to_the_core_s_solution_at_first_order(position, velocity, damping):
    own = cell(position, velocity, damping=damping)
    g, begin = 0.5 * normal(N, seed=4), normal(N, 2, seed=5)
    with torch.no_grad():
        system, coupling = continuous(own)
        drive = torch.stack([g, torch.zeros(N)], -1)[:, : 1 if velocity is None else 2]
        exact = simulate(system, coupling, begin, [0.0, 2.0], method="dopri5", rtol=1e-11, atol=1e-12, drive=drive)
        errors = []
        for steps in (200, 400, 800):
            orbit = at_step(own, 2.0 / steps).last(g.expand(steps, 1, N), Orbit(*begin.T[:, None]))
            errors.append(np.abs(orbit.y[0].numpy() - exact.x.values[-1]).max())
    slopes = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(slopes, 1.0, atol=0.15)


def test_cell_and_system_share_their_parameters():
    own = cell("torus", "torus")
    system, coupling = continuous(own)
    states = integrate(system, coupling, normal(N, 2), [0.0, 0.5], method="rk4", dt=0.05)
    found = torch.autograd.grad(states[-1].sum(), list(own.parameters()), allow_unused=True)
    named = dict(zip((name for name, _ in own.named_parameters()), found, strict=True))
    assert named.pop("constants.dt") is None  # a step has no place in continuous time
    assert all(bool(grad.abs().sum() > 0) for grad in named.values())


def test_a_wave_forms_by_itself_on_a_one_way_ring_and_moves_to_lower_indices():
    D = 54
    own = OscillatorCell(Constants(1 / (1 + np.exp(1.95)), 1.0, 0.5), OneWay((1, D)), OneWay((1, D))).double()
    begin = Orbit(0.01 * normal(1, D), torch.zeros(1, D).double())
    y = own.run(torch.zeros(3000, 1, D).double(), begin).y[-600:, 0].detach().numpy()
    spectrum = np.abs(np.fft.fft2(y))
    frequency, mode = np.unravel_index(spectrum[:300, :].argmax(), (300, D))
    assert min(mode, D - mode) == 4  # the fastest mode of the linear theory
    assert 2 * np.pi * frequency / 600 == pytest.approx(0.105, rel=0.1)
    assert mode == 4  # exp(i(kx + ωt)): the crest moves to lower x
    assert np.abs(y).max() == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda own: own.run(torch.zeros(0, 2, N).double()),
            "`drive` must have shape .T, B, .... with at least one step",
        ),
        (lambda own: own.run(torch.zeros(3, 2, N + 1).double()), "`drive` must have shape .T, B, 12."),
        (lambda own: own.run(torch.full((3, 2, N), float("nan")).double()), "`drive` must be finite"),
        (lambda own: own.run(normal(3, 2, N), Orbit(normal(2, 3), normal(2, 3))), "`start` must be y and z of shape"),
        (lambda own: own.last(normal(3, 2, N), checkpoint="some"), "`checkpoint` must be one of"),
        (lambda own: OscillatorCell(own.constants, AllToAll(3), AllToAll(4)), "must have the same nodes"),
        (lambda own: OscillatorCell(own.constants, damping="none"), "`damping` must be one of"),
        (lambda own: continuous(cell("torus", linear=True)), "`cell` must have tanh"),
        (lambda own: Constants(0.0, 1.0, 1.0), "`dt` must be one positive number"),
        (lambda own: Constants(0.1, -1.0, 1.0), "`gamma` must be 0 or positive"),
        (lambda own: Constants(1.5, 1.0, 1.0, learned="relu"), "`dt` must be below 1"),
        (lambda own: Constants(0.5, 1.0, 1.0, learned="exp"), "`learned` must be one of"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(cell("torus", "torus"))


def test_learned_constants_begin_as_given_and_softplus_stays_alive():
    for learned in ("relu", "softplus"):
        values = Constants(0.2, 1.5, 0.3, learned=learned).double()()
        np.testing.assert_allclose([v.item() for v in values], [0.2, 1.5, 0.3], rtol=1e-6)  # kept in single precision
    dead = Constants(0.2, 1.0, 1.0, learned="relu")
    dead.gamma.data.fill_(-1.0)
    dead()[1].backward()
    assert dead.gamma.grad.item() == 0
    alive = Constants(0.2, 1.0, 1.0, learned="softplus")
    alive.gamma.data.fill_(-1.0)
    alive()[1].backward()
    assert alive.gamma.grad.item() > 0.2


@pytest.mark.parametrize("position", ["torus", "all to all", None])
@pytest.mark.parametrize("norm", [{}, {"bias": False}, {"elementwise_affine": False}])
@pytest.mark.parametrize("checkpoint", [None, "repeat", "undo"])
def test_a_layer_norm_is_compiled_with_its_gradients(position, norm, checkpoint, monkeypatch):
    own = cell(position, None, norm=torch.nn.LayerNorm(N, **norm).double())
    for weight in own.norm.parameters():
        torch.nn.init.normal_(weight, 1.0, 0.3)
    drive, begin, weight = normal(9, 5, N, grad=True), start(), normal(2, 5, N, seed=3)
    theirs = portable(own, own.step(), own.offset(drive), begin).at(-1)
    monkeypatch.setattr("neural.waves.cell.portable", None)
    ours = own.last(drive, begin, checkpoint=checkpoint)
    assert_same(ours, theirs)
    found = (derivatives((torch.stack(list(end)) * weight).sum(), own, drive, *begin) for end in (ours, theirs))
    assert_same(*found, tolerance=1e-10)


def test_the_norm_of_a_sheet_is_compiled_too(monkeypatch):
    own = cell("torus", None, norm=SheetNorm((1, 3, 4)).double())
    drive, begin = normal(4, 2, N), start(2)
    theirs = portable(own, own.step(), own.offset(drive), begin)
    monkeypatch.setattr("neural.waves.cell.portable", None)
    assert_same(own.run(drive, begin), theirs)


def test_a_layer_norm_with_a_rule_of_its_own_is_called():
    class Halved(torch.nn.LayerNorm):
        def forward(self, y):
            return super().forward(y) / 2

    own = cell("torus", None, norm=Halved(N).double())
    drive, begin = normal(4, 2, N), start(2)
    assert_same(own.run(drive, begin), portable(own, own.step(), own.offset(drive), begin))


def test_a_norm_is_applied_to_the_positions():
    norm = torch.nn.LayerNorm(N).double()
    own = OscillatorCell(Constants(0.1, 1.0, 0.2), Local((1, N)), norm=norm).double()
    y = own.run(normal(4, 2, N)).y
    torch.testing.assert_close(y.mean(-1), torch.zeros(4, 2).double(), atol=1e-12, rtol=0)
