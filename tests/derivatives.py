"""Derivatives of runs, three ways: `integrate`'s own, the graph of all steps, and finite differences of `simulate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from oscillators import Coupling, SphereKuramoto, System, integrate, simulate
from oscillators.arrays import namespace
from tests.problems import states

T = np.array([0.0, 0.13, 0.45, 0.8])  # with dt = 0.1: two, four and four steps
DT = 0.1
SAME = 1e-12  # two orders of summation, a few dozen operations deep
CLOSE = (
    1e-9  # finite differences: truncated at 1e-14, rounded at 1e-16 / 1e-3, each times a derivative or a state of 1e2
)


@dataclass(frozen=True)
class Network:
    """A run as a function of its real parameters.

    make: parameters by name, all NumPy arrays or all tensors -> arguments of a run by name. at: where to differentiate.
    """

    make: Callable[..., dict[str, Any]]
    at: dict[str, np.ndarray]


def network(system: System, coupling: Coupling, state: np.ndarray, field: np.ndarray | None = None) -> Network:
    """Every real parameter of a system and a coupling, the law-shaped state, and a constant drive if there is a field."""
    own = {"system": system, "coupling": coupling}
    at = {f"{owner}.{name}": v for owner, part in own.items() for name, v in parameters(part).items()}
    at |= {"state": state} if field is None else {"state": state, "drive": field}

    def make(state, drive=None, **at):
        parts = {owner: changed(part, at, f"{owner}.") for owner, part in own.items()}
        return parts | {"x0": public(system, state), "drive": drive}

    return Network(make, at)


def weights(nodes: int) -> np.ndarray:
    """A random matrix; it depends on its size only, not on what else was imported."""
    return np.random.default_rng(nodes).normal(size=(nodes, nodes))


def parameters(owner: Any) -> dict[str, np.ndarray]:
    """Every real parameter of a system or coupling, at any depth, by name."""
    found = {}
    for f in fields(owner):
        value = getattr(owner, f.name)
        if isinstance(value, Coupling):
            found |= {f"{f.name}.{name}": inner for name, inner in parameters(value).items()}
        elif np.asarray(value).dtype.kind == "f":
            found[f.name] = np.asarray(value)
    return found


def changed(owner: Any, at: dict[str, Any], prefix: str) -> Any:
    """The same with other parameters."""
    new = {}
    for f in fields(owner):
        if isinstance(getattr(owner, f.name), Coupling):
            new[f.name] = changed(getattr(owner, f.name), at, f"{prefix}{f.name}.")
        elif f"{prefix}{f.name}" in at:
            new[f.name] = at[f"{prefix}{f.name}"]
    if isinstance(owner, SphereKuramoto) and new:
        new["rotation"] = (new["rotation"] - new["rotation"].swapaxes(-1, -2)) / 2
    return replace(owner, **new)


def public(system: System, state: Any) -> Any:
    """A law-shaped state as it enters a run; unit vectors of any length are scaled first."""
    if system.kind == "complex":
        return state[..., 0] + 1j * state[..., 1]
    return system.project(state)


def without_kernels(system: System) -> System:
    """The same system as a user writes it: the law, no kernels. `integrate` steps it on tensors."""
    own = {f.name: getattr(system, f.name) for f in fields(system)}
    return type("LawOnly", (type(system),), {"kernel": None})(**own)


def tensors(
    at: dict[str, np.ndarray], dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> dict[str, torch.Tensor]:
    """Parameters that require gradients."""
    return {name: torch.tensor(v, dtype=dtype, device=device, requires_grad=True) for name, v in at.items()}


def simulated(net: Network, at: dict[str, np.ndarray], **options: Any) -> np.ndarray:
    """States without gradients; complex ones stay complex."""
    arguments = {"t": T} | net.make(**at) | options
    return states(arguments["system"], simulate(**arguments).transpose("time", ...))


def integrated(net: Network, at: dict[str, torch.Tensor], **options: Any) -> torch.Tensor:
    """States on tensors."""
    return integrate(**({"t": T} | net.make(**at) | options))


def loss(x: Any) -> Any:
    """A number to which every entry of the states, the saved start too, contributes."""
    xp = namespace(x)
    parts = [xp.real(x), xp.imag(x)] if xp.isdtype(x.dtype, "complex floating") else [x]
    scales = np.random.default_rng(1).normal(size=(len(parts), *x.shape))
    return sum(
        xp.sum(xp.asarray(w, dtype=p.dtype, device=p.device) * xp.sin(p)) for w, p in zip(scales, parts, strict=True)
    )


def gradients(net: Network, **options: Any) -> dict[str, np.ndarray]:
    """dL/d(each parameter) by `integrate`."""
    at = tensors(net.at)
    loss(integrated(net, at, **options)).backward()
    return {name: p.grad.numpy() for name, p in at.items()}


def direction(net: Network) -> dict[str, np.ndarray]:
    """A random change of all parameters: in proportion, so that none changes its sign; of absolute size where one is 0."""
    rng = np.random.default_rng(2)
    return {name: np.where(v == 0, 1.0, v) * rng.uniform(-1, 1, np.shape(v)) for name, v in net.at.items()}


def finite_difference(net: Network, h: float = 1e-3, **options: Any) -> float:
    """dL/dε of the parameters moved by ε times the direction: central differences of order 8."""
    way = direction(net)

    def at(shift: float) -> float:
        return float(loss(simulated(net, {name: v + shift * way[name] for name, v in net.at.items()}, **options)))

    terms = enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), start=1)
    return sum(w * (at(k * h) - at(-k * h)) for k, w in terms) / h


def along(net: Network, found: dict[str, np.ndarray]) -> float:
    """The derivative along the direction, from the gradients."""
    return sum(float(np.sum(found[name] * way)) for name, way in direction(net).items())


def assert_equal_gradients(have: dict[str, np.ndarray], want: dict[str, np.ndarray], rtol: float = SAME) -> None:
    """Each within a fraction of its largest entry (and of 1, for those that vanish)."""
    assert have.keys() == want.keys()
    for name in want:
        scale = max(1.0, np.abs(want[name]).max(initial=0.0))
        np.testing.assert_allclose(have[name], want[name], rtol=0, atol=rtol * scale, err_msg=name)


def assert_three_ways(net: Network, **options: Any) -> None:
    """The discrete adjoint = autograd through the same steps = finite differences."""
    exact, graph = gradients(net, **options), gradients(net, **options, gradient="backprop")
    assert_equal_gradients(exact, graph)
    assert max(np.abs(g).max(initial=0.0) for g in exact.values()) > 1e-3
    np.testing.assert_allclose(along(net, exact), finite_difference(net, **options), rtol=CLOSE, atol=CLOSE)
