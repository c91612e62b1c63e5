"""Calls of `integrate` that cannot mean anything end in one sentence: `name` must condition, but is value; repair.

Every row of the tables: what is wrong, the call, and words that the sentence must contain in this order (argument,
condition, value, repair).
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from oscillators import (
    Coupling,
    Delayed,
    Diffusive,
    InertialKuramoto,
    Kuramoto,
    SphereKuramoto,
    StuartLandau,
    System,
    integrate,
)

N = 4
NAN, INF = float("nan"), float("inf")
DOUBLE = torch.float64
THETA, OMEGA = torch.linspace(0.0, 1.0, N, dtype=DOUBLE), torch.linspace(-1.0, 1.0, N, dtype=DOUBLE)
K, TIMES = torch.full((N, N), 0.1, dtype=DOUBLE), np.linspace(0.0, 0.2, 3)
PAIRS, Z = torch.stack([THETA, OMEGA], -1), torch.polar(torch.ones_like(THETA), THETA)
FORCE = torch.ones(N, 2, dtype=DOUBLE)


def run(system=Kuramoto(OMEGA), coupling=K, x0=THETA, t=TIMES, **arguments):  # noqa: B008
    """A call of integrate that is right except for what is given."""
    if not {"method", "dt"} & set(arguments):
        arguments["dt"] = 0.05
    return integrate(system, coupling, x0, t, **arguments)


def adaptive(**arguments):
    return run(method="dopri5", **arguments)


def adjoint(**arguments):
    return run(gradient="adjoint", **arguments)


def backprop(**arguments):
    return run(gradient="backprop", **arguments)


def delayed(tau=0.1, history=THETA, **arguments):
    return run(coupling=Delayed(K, tau), history=history, **arguments)


def amplitudes(x0=Z, **arguments):
    return run(StuartLandau(1.0, OMEGA), x0=x0, **arguments)


def graded(value) -> torch.Tensor:
    """A tensor whose gradient is asked for."""
    return torch.as_tensor(value, dtype=DOUBLE).clone().requires_grad_()


def later(good, bad):
    """A function of time that goes wrong after t = 0.04."""
    return lambda t: good if t < 0.04 else bad


class Module(torch.nn.Module):
    """A module with one parameter that returns what it is told."""

    def __init__(self, field, dtype=DOUBLE):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones((), dtype=dtype))
        self.field = field

    def forward(self, g):
        return self.field(self.scale * g)


def module(field, **arguments):
    return run(coupling=Module(field), **arguments)


class Hidden(torch.nn.Module):
    """A module with a tensor that is no parameter."""

    def __init__(self):
        super().__init__()
        self.weight = [graded(K)]

    def forward(self, g):
        return self.weight[0] @ g


class HiddenCoupling(Coupling):
    """A user's coupling that is no dataclass."""

    def __init__(self):
        self.K = graded(K)

    def field(self, g):
        return (self.K.detach().numpy() if isinstance(g, np.ndarray) else self.K) @ g


FREE = graded(1.3)


@dataclass(frozen=True)
class HiddenSystem(Kuramoto):
    """A user's law that reaches for a tensor outside."""

    def law(self, t, theta, h):
        return super().law(t, theta, h) * (FREE if isinstance(theta, torch.Tensor) else 1.3)


FIRST = [  # before anything moves
    ("a word", lambda: run(x0="abc"), "`x0` must hold numbers, but is 'abc'; pass an array"),
    ("objects", lambda: run(x0=np.array([None] * N)), "`x0` must hold numbers; pass an array"),
    ("integer phases", lambda: run(x0=torch.arange(N)), "`x0` must be floating point, but has dtype torch.int64; .double()"),
    ("integer array", lambda: run(x0=np.arange(N)), "`x0` must be floating point, but has dtype int64; astype(float)"),
    ("a list of integers", lambda: run(x0=[0, 1, 2, 3]), "`x0` must be floating point, but has dtype int64; astype(float)"),
    ("NaN", lambda: run(x0=THETA * NAN), "`x0` must be finite, but entry 0 is nan; clean"),
    ("complex phases", lambda: run(x0=Z), "`x0` must be real, but has dtype torch.complex128; its angle"),
    ("real amplitudes", lambda: amplitudes(THETA), "`x0` must be complex, but has dtype torch.float64; torch.complex(re, im)"),
    ("real list", lambda: amplitudes([1.0, 2.0, 3.0, 4.0]), "`x0` must be complex, but has dtype float64; torch.complex"),
    ("NaN amplitudes", lambda: amplitudes(Z * NAN), "`x0` must be finite, but entry 0, 0 is nan; clean"),
    ("a sparse state", lambda: run(x0=THETA.to_sparse()), "`x0` must be a dense tensor, but is; to_dense()"),
    ("a meta state", lambda: run(x0=THETA.to("meta")), "`x0` must be a dense tensor, but is on device meta; pass"),
    ("no node", lambda: run(Kuramoto(0.0), 1.0, THETA[:0]), "`x0` must have at least one node; has shape (0,); nothing"),
    ("no axis", lambda: run(Kuramoto(0.0), 1.0, THETA[0]), "`x0` must have at least 1 axes; has shape (); one entry per node"),
    ("phases for pairs", lambda: run(InertialKuramoto(OMEGA)), "`x0` must have shape (..., node, 2), but is (4,); torch.stack"),
    ("not unit", lambda: run(SphereKuramoto(), x0=FORCE), "`x0` must hold unit vectors, but one has length 1.41; divide"),
    ("fewer nodes", lambda: run(x0=THETA[:3]), "`K` must couple the 3 nodes of `x0`, but couples 4; check"),
    ("no system", lambda: run(OMEGA), "`system` must be a System, but is tensor; integrate(system, coupling, x0, t)"),
    ("omega of others", lambda: run(Kuramoto(OMEGA[:3])), "`omega` must broadcast to shape (4,), but has shape (3,); give"),
    ("NaN weights", lambda: run(coupling=K * NAN), "`K` must be finite, but entry 0, 0 is nan; clean"),
    ("no coupling", lambda: run(coupling=None), "`coupling` must be a number, matrix, graph or coupling, but is None; write"),
    ("a function", lambda: run(coupling=lambda g: g), "`coupling` must be a number, matrix, but is <function; write"),
    ("a class", lambda: run(coupling=torch.nn.Identity), "`coupling` must be a number; but is <class; write"),
    (
        "weights of other members",
        lambda: run(coupling=K.repeat(3, 1, 1), x0=THETA.repeat(2, 1)),
        "`K` must have the leading axes of `x0`, (2,), or none, but has (3,); give",
    ),
    ("precision of omega", lambda: run(Kuramoto(OMEGA.float())), "`omega` must have the dtype; has torch.float32; pass it as"),
    ("precision of K", lambda: run(coupling=K.float()), "`K` must have the dtype and device; float64; float32; pass it as"),
    ("precision of tau", lambda: delayed(torch.tensor(0.1)), "`tau` must have the dtype; but has torch.float32; pass it as"),
    ("precision of t", lambda: run(t=torch.linspace(0, 1, 3).requires_grad_()), "`t` must have the dtype; pass it as"),
    ("precision of the drive", lambda: run(drive=FORCE.float()), "`drive` must have the dtype; float32; pass it as"),
    ("precision of the past", lambda: delayed(history=THETA.float()), "`history` must have the dtype; pass it as"),
    ("precision of a module", lambda: run(coupling=Module(lambda g: g, torch.float32)), "`scale` must; the dtype; pass it as"),
    ("a device without numbers", lambda: run(Kuramoto(OMEGA.to("meta"))), "`omega` must be a dense tensor; meta; pass"),
    # times
    ("times that fall", lambda: run(t=[0.0, 0.2, 0.1]), "`t` must increase strictly, but t[1] = 0.2 is followed by; sort"),
    ("graded times that fall", lambda: run(t=graded([0.0, 0.2, 0.1])), "`t` must increase strictly, but t[1] = 0.2; sort"),
    ("one time", lambda: run(t=[0.0]), "`t` must be a list of at least two times, but has shape (1,); write"),
    ("NaN times", lambda: run(t=[0.0, NAN]), "`t` must be finite, but entry 1 is nan; clean"),
    ("a table of times", lambda: run(t=[[0.0, 1.0]]), "`t` must be a list of at least two times; has shape (1, 2); write"),
    # methods and steps
    ("no such method", lambda: run(method="rk5"), "`method` must be one of 'euler', 'heun', 'rk4', but is 'rk5'; choose"),
    ("a noisy method", lambda: run(method="euler_maruyama"), "`method` must be one of, but is 'euler_maruyama'; choose"),
    ("torchdiffeq's method", lambda: run(method="bosh3"), "`method` must be one of 'euler', but is 'bosh3'; choose"),
    (
        "a method that torchdiffeq has wrong",
        lambda: backprop(method="explicit_adams", dt=0.01),
        "`method` must be one of, but is 'explicit_adams'; choose",
    ),
    (
        "a method without a graph",
        lambda: backprop(method="scipy_solver", x0=graded(THETA)),
        "`method` must; 'scipy_solver';",
    ),
    ("no such gradient", lambda: run(gradient="exact"), "`gradient` must be one of 'discrete', but is 'exact'; choose"),
    ("gradient of nothing", lambda: run(gradient=None), "`gradient` must be one of 'discrete', but is None; choose"),
    ("a kick without velocity", lambda: run(method="semi_implicit_euler", dt=0.1), "`method` must not be; Kuramoto; use"),
    (
        "a kick backward",
        lambda: adjoint(system=InertialKuramoto(OMEGA), x0=PAIRS, method="semi_implicit_euler", dt=0.05),
        "`method` must be one that torchdiffeq can run, but is 'semi_implicit_euler'; use",
    ),
    ("tsit5 backward", lambda: adjoint(method="tsit5"), "`method` must be one that torchdiffeq can run; 'tsit5'; use"),
    ("a step for dopri5", lambda: adaptive(dt=0.1), "`dt` must be None for the adaptive method 'dopri5', but is 0.1; rtol"),
    ("a step for its dopri8", lambda: backprop(method="dopri8", dt=0.1), "`dt` must be None; 'dopri8', but is 0.1; rtol"),
    ("a step with a gradient", lambda: run(dt=graded(0.05)), "`dt` must not require gradients, but has; pass dt.detach()"),
    ("a tolerance of 0", lambda: adaptive(rtol=0.0), "`rtol` must be one positive number, but is 0.0; the default"),
    ("a negative tolerance", lambda: adaptive(atol=-1.0), "`atol` must be one positive number, but is -1.0; the default"),
    ("adjoint's tolerance", lambda: adjoint(method="dopri5", rtol=NAN), "`rtol` must be finite, but is nan; clean"),
    ("a tolerance in words", lambda: backprop(method="dopri5", rtol="x"), "`rtol` must hold numbers, but is 'x'; pass"),
    # options
    ("options of ours", lambda: run(options={"first_step": 0.1}), "`options` must be None for 'rk4'; first_step; torchdiffeq"),
    ("no such option", lambda: adjoint(method="dopri5", options={"foo": 1}), "`options` must be a dict; 'dopri5'; foo; dt"),
    ("a step as option", lambda: backprop(method="midpoint", dt=0.1, options={"step_size": 0.1}), "`options` must be; `dt`"),
    ("a number of options", lambda: adjoint(method="dopri5", options=3), "`options` must be a dict, but is 3; dt"),
    # drives
    ("a drive per node", lambda: run(drive=THETA), "`drive` must broadcast to shape (4, 2), but has shape (4,); give"),
    ("a NaN drive", lambda: run(drive=FORCE * NAN), "`drive` must be finite, but entry 0, 0 is nan; clean"),
    ("a NaN complex drive", lambda: amplitudes(drive=Z * NAN), "`drive` must be finite, but entry 0; nan; clean"),
    ("a drive in words", lambda: run(drive="a"), "`drive` must hold numbers, but is 'a'; pass an array"),
    ("a drive without t", lambda: run(drive=lambda: FORCE), "`drive` must be a function like f(t); are (); change"),
    ("a drive that shrinks", lambda: run(drive=later(FORCE, FORCE[:3])), "`drive(0.05)` must broadcast to shape (4, 2); give"),
    ("a drive that ends", lambda: run(drive=later(FORCE, FORCE * NAN)), "`drive(0.05)` must be finite, but; clean"),
    # delays
    ("no past", lambda: delayed(history=None), "`history` must be given for a delayed coupling, but is None; history=x0"),
    ("a past of others", lambda: delayed(history=THETA[:3]), "`history` must broadcast to shape (4,); (3,); give"),
    ("a useless past of others", lambda: run(history=THETA[:3]), "`history` must broadcast to shape (4,); (3,); give"),
    ("a past that began", lambda: delayed(history=lambda t: THETA / (t > -0.05)), "`history(-; must be finite; clean"),
    ("a delay below the step", lambda: delayed(0.01), "`tau` must be 0 or at least one step (dt = 0.05); 0.01; lower"),
    ("a negative delay", lambda: delayed(-0.1), "`tau` must be 0 or positive, but its smallest entry is -0.1; drop the sign"),
    ("delays down to 0", lambda: delayed(graded([0.0, 0.1, 0.2, 0.1])), "`tau` must be positive everywhere; detach()"),
    ("delays that are 0", lambda: delayed(graded([0.0] * N)), "`tau` must be positive everywhere, but is 0; tau.detach()"),
    ("delays in adaptive steps", lambda: delayed(method="dopri5"), "`method` must have fixed steps; 'dopri5'; use 'rk4'"),
    ("delays in tsit5", lambda: delayed(method="tsit5", gradient="backprop"), "`method` must have fixed steps; 'tsit5'; 'rk4'"),
    ("delays backward", lambda: delayed(gradient="adjoint"), "`gradient` be 'discrete' or 'backprop'; 'adjoint'; 'discrete'"),
    ("delays in its steps", lambda: delayed(method="rk4_38", dt=0.05, gradient="backprop"), "`method` must; 'rk4_38'; 'rk4'"),
    # modules
    ("a narrow module", lambda: module(lambda g: g[..., :1]), "`coupling` must return; (4, 2); returned (4, 1); maps"),
    ("a module of two", lambda: module(lambda g: (g, g)), "`coupling` must return; (4, 2); returned (; maps"),
    ("a module of numbers", lambda: module(lambda g: g.detach().numpy()), "`coupling` must return; returned array; maps"),
]  # fmt: skip

# Combinations whose gradient would be lost or wrong.
LOST = [
    ("t and adaptive steps", lambda: adaptive(t=graded(TIMES)), "`t` must not require a gradient; adaptive; detach()"),
    ("t and tsit5", lambda: run(method="tsit5", t=graded(TIMES), gradient="backprop"), "`t` must not; adaptive; detach()"),
    ("t and delays", lambda: delayed(t=graded(TIMES)), "`t` must not require a gradient with delays, but does; t.detach()"),
    ("t and the adjoint", lambda: adjoint(t=graded(TIMES)), "`t` must not require a gradient; 'adjoint'; t.detach()"),
    ("t and its adjoint", lambda: adjoint(t=graded(TIMES), method="dopri5"), "`t` must not; gradient 'adjoint'; t.detach()"),
    ("t and a moving drive", lambda: run(t=graded(TIMES), drive=lambda t: FORCE * t), "`t` must not; moves; detach()"),
    (
        "a drive that moves with a gradient, and the adjoint",
        lambda: adjoint(drive=lambda t: graded(FORCE)),
        "`drive` must not be a function of t here, but is; 'adjoint'; use gradient='discrete'",
    ),
    (
        "a drive that moves with a gradient only between saves, and the adjoint",
        lambda: adjoint(drive=lambda t: graded(FORCE) if 0.02 < t < 0.08 else FORCE),
        "`drive` must not be a function of t here, but is; 'adjoint'; use gradient='discrete'",
    ),
    (
        "a drive that moves, and steps that are differentiated",
        lambda: backprop(method="dopri5", drive=lambda t: FORCE * float(t)),
        "`drive` must not be a function of t here, but is; 'dopri5'; use gradient='discrete'",
    ),
    *(
        (
            f"a hidden tensor in {name}, {gradient}",
            lambda parts=parts, gradient=gradient: run(**parts, gradient=gradient),
            "`system` and `coupling` must hold their tensors as fields, but one; is hidden; make it a field",
        )
        for name, parts in {
            "a module": {"coupling": Hidden()},
            "a coupling": {"coupling": HiddenCoupling()},
            "differences": {"coupling": Diffusive(HiddenCoupling())},
            "delays": {"coupling": Delayed(HiddenCoupling(), 0.1), "history": THETA},
            "a law": {"system": HiddenSystem(OMEGA)},
        }.items()
        for gradient in ("discrete", "adjoint")
        if not (name == "delays" and gradient == "adjoint")
    ),
]  # fmt: skip


def assert_says(error: Exception, words: str):
    """The sentence contains the parts of `words` in their order, and ends with a repair."""
    pattern = ".*".join(re.escape(part) for part in re.split(r"[;,] ", words.rstrip(";")))
    assert re.search(pattern, str(error), re.DOTALL), str(error)
    assert str(error).rstrip().endswith("."), str(error)
    assert ";" in str(error), str(error)


@pytest.mark.parametrize(("name", "call", "words"), FIRST + LOST, ids=[row[0] for row in FIRST + LOST])
def test_a_wrong_call_is_answered_by_a_sentence(name, call, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert_says(caught.value, words)


EVERY = ("discrete", "adjoint", "backprop")
THEIRS = ("adjoint", "backprop")


@pytest.mark.parametrize(
    ("method", "gradient"), [*(("rk4", g) for g in EVERY), *(("midpoint", g) for g in THEIRS)], ids=str
)
@pytest.mark.parametrize("dt", [None, 0.0, -0.1, NAN, INF, "0.1", [0.1, 0.1]], ids=str)
def test_a_step_that_is_none_is_answered_by_a_sentence(method, gradient, dt):
    with pytest.raises((ValueError, TypeError), match=r"^`dt` must .*; .*"):
        run(method=method, dt=dt, gradient=gradient)


@pytest.mark.parametrize(
    ("method", "gradient"),
    [*(("dopri5", g) for g in EVERY), ("tsit5", "discrete"), ("tsit5", "backprop"), *(("bosh3", g) for g in THEIRS)],
    ids=str,
)
@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", [0.0, -1.0, NAN, INF, "x", None, [1e-3, 1e-3]], ids=str)
def test_a_tolerance_that_is_none_is_answered_by_a_sentence(method, gradient, name, value):
    with pytest.raises((ValueError, TypeError), match=rf"^`{name}` must .*; .*"):
        run(method=method, gradient=gradient, **{name: value})


def test_an_unknown_argument_is_an_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'noise'"):
        run(noise=0.1)


@pytest.mark.parametrize("name", ["omega", "K", "drive", "history", "tau", "t"])
def test_what_lies_on_two_devices_is_answered_by_a_sentence(name, elsewhere):
    at = {"omega": OMEGA, "K": K, "drive": FORCE, "history": THETA, "tau": THETA + 0.1, "t": graded(TIMES)}
    own = at | {name: at[name].detach().to(elsewhere).requires_grad_()}
    coupling = Delayed(own["K"], own["tau"]) if name in ("history", "tau") else own["K"]
    more = {"drive": own["drive"]} if name == "drive" else {"history": own["history"]}
    with pytest.raises(
        TypeError, match=rf"^`{name}` must have the dtype and device of `x0`, .* on cpu, .* on {elsewhere}; "
    ):
        run(Kuramoto(own["omega"]), coupling, t=own["t"] if name == "t" else TIMES, **more)


# Runs that leave the numbers


class LaterNaN(torch.nn.Module):
    """A module whose field stops being finite after some calls."""

    def __init__(self, calls: int):
        super().__init__()
        self.scale, self.left = torch.nn.Parameter(torch.ones((), dtype=DOUBLE)), calls

    def forward(self, g):
        self.left -= 1
        return self.scale * g * (1.0 if self.left > 0 else NAN)


@pytest.mark.parametrize("gradient", EVERY)
@pytest.mark.parametrize("calls", [0, 15])
def test_a_module_that_is_not_finite_is_answered_with_the_time(gradient, calls):
    with pytest.raises(FloatingPointError, match=r"^`(theta|gradient)` must .* t = 0.*; "):
        run(coupling=LaterNaN(calls), gradient=gradient)


@pytest.mark.parametrize("gradient", EVERY)
def test_amplitudes_that_fixed_steps_throw_out_are_answered_with_the_time(gradient):
    """|z| = 1e3 falls at the rate |z|², to which steps of 0.05 are blind."""
    with pytest.raises(FloatingPointError, match=r"^`(z|gradient)` must .* t = 0\.\d+.*; "):
        amplitudes(Z * 1e3, dt=0.05, gradient=gradient)


@pytest.mark.parametrize(
    ("method", "gradient"), [*(("dopri5", g) for g in EVERY), ("tsit5", "discrete"), ("tsit5", "backprop")], ids=str
)
def test_amplitudes_whose_cube_is_no_number_are_answered(method, gradient):
    with pytest.raises(FloatingPointError, match=r"^`.*` must .*; "):
        amplitudes(Z * 1e200, method=method, gradient=gradient)


@pytest.mark.parametrize("gradient", EVERY)
def test_tolerances_that_no_step_can_meet_are_answered(gradient):
    with pytest.raises((FloatingPointError, ValueError), match=r"^`.*` must .*; "):
        adaptive(rtol=1e-30, atol=1e-300, gradient=gradient)


@dataclass(frozen=True)
class Law(System):
    """dx/dt = f(x), as somebody writes it."""

    f: Any = None

    def __post_init__(self):
        pass

    def law(self, t, x, h):
        return self.f(x)


@pytest.mark.parametrize(
    "f",
    [lambda x: x[..., 1:], lambda x: None, lambda x: (x, x), lambda x: np.zeros(x.shape)],
    ids=["one node less", "nothing", "two", "an array"],
)
def test_a_law_that_returns_something_else_is_answered_by_a_sentence(f):
    with pytest.raises((ValueError, TypeError), match=r"^`Law.law` must return .*; "):
        run(Law(f), 0.0)


# Right calls that look wrong


def test_half_precision_is_a_precision():
    x = run(Kuramoto(OMEGA.bfloat16()), K.bfloat16(), THETA.bfloat16())
    assert x.dtype == torch.bfloat16


def test_a_history_is_checked_and_not_needed_without_delays():
    torch.testing.assert_close(run(history=THETA), run(), rtol=0, atol=0)
    torch.testing.assert_close(delayed(0.0, None), run(), rtol=0, atol=0)


def test_a_hidden_tensor_is_found_by_backpropagation():
    hidden = Hidden()
    run(coupling=hidden, gradient="backprop").sum().backward()
    assert hidden.weight[0].grad.abs().max() > 0
