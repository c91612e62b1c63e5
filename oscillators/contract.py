"""The contract of a system, checked: law, lift, projection, kernels and tensors must tell the same story."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from oscillators.kernels import LAW, LIFT, PROJECT, TANGENT
from oscillators.problem import is_pointwise, kernel_is_current, members_of, to_rows
from oscillators.system import System, components, law_state

ULPS = 4  # how many units in the last place, of the largest value, two spellings of one formula may differ


def check_system(system: System, x0: Any = None) -> list[str]:
    """Check a system against the contract that simulators and gradients rely on.

    Args:
        system: a built-in system or the user's own.
        x0: a state to try it on, as for `simulate`; None: random ones of the size of its parameters.

    Returns:
        What was checked, one sentence each.

    Raises:
        ValueError, TypeError: the first promise that is not kept, with both values and where to look.
    """
    if not isinstance(system, System) or not dataclasses.is_dataclass(system):
        raise TypeError(f"`system` must be an instance of a frozen dataclass derived from System, but is {system!r}.")
    trial = _Trial(system, x0)
    done = [trial.lift(), trial.law(), trial.batch(), trial.project(), trial.tangent()]
    kernels = (
        ("lift_kernel", "lift", LIFT, lambda k: trial.run(k, (trial.x,), trial.g)),
        ("tangent_kernel", "lift", TANGENT, lambda k: trial.run(k, (trial.x, trial.dx), trial.dg)),
        ("kernel", "law", LAW, lambda k: trial.run_law(k)),
        ("project_kernel", "project", PROJECT, lambda k: trial.run_project(k)),
    )
    for kernel, law, signature, check in kernels:
        done.append(_check_kernel(system, kernel, law, signature, check))
    return [*done, trial.tensors(), _check_gradients(system, trial.x)]


class _Trial:
    """One state, field and time at which every spelling of the system is evaluated."""

    def __init__(self, system: System, x0: Any):
        self.system, self.axes = system, components(system)
        rng = np.random.default_rng(0)
        self.x = _state(system, rng) if x0 is None else law_state(system, x0)
        system.check_state(self.x)
        self.t = 0.7
        self.g = self._array("lift", system.lift(self.x))
        self.h = rng.normal(size=self.g.shape)
        self.dx = self._array("law", system.law(self.t, self.x, self.h))
        self.dg = self._array("tangent", system.tangent(self.x, self.dx))
        self.nodes = self.x.shape[: self.x.ndim - self.axes]

    def _array(self, name: str, value: Any) -> np.ndarray:
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            kind = getattr(value, "dtype", type(value).__name__)
            raise TypeError(f"`{name}` must return a real NumPy array for NumPy arguments, but returned {kind}.")
        if not np.isfinite(value).all():
            raise ValueError(f"`{name}` must be finite on an ordinary state, but returned {value}.")
        return value

    def lift(self) -> str:
        want = self.x.ndim + (self.axes == 0)
        if self.g.ndim != want or self.g.shape[:-1] != self.nodes:
            raise ValueError(f"`lift` must return shape (node, m) = ({self.nodes}, m), but returned {self.g.shape}.")
        return f"lift: {self.x.shape} -> {self.g.shape}"

    def law(self) -> str:
        x, h, before = self.x.copy(), self.h.copy(), copy.deepcopy(self.system)
        again = self.system.law(self.t, x, h)
        if self.dx.shape != self.x.shape:
            raise ValueError(f"`law` must return the shape of x, {self.x.shape}, but returned {self.dx.shape}.")
        if not (np.array_equal(x, self.x) and np.array_equal(h, self.h) and _same_fields(before, self.system)):
            raise ValueError("`law` must not change its arguments or the system, but did; return a new array.")
        if not np.array_equal(again, self.dx):
            raise ValueError(
                "`law` must return the same for the same arguments, but two calls differ; keep no state in it."
            )
        return "law: pure, same shape as the state"

    def batch(self) -> str:
        x, h = np.stack([self.x, self.x]), np.stack([self.h, self.h])
        _agree("`law` of two states at once", self.system.law(self.t, x, h)[1], "of one", self.dx)
        return "law: leading axes are a batch"

    def project(self) -> str:
        once = self._array("project", self.system.project(self.x + 0.01 * self.dx))
        if once.shape != self.x.shape:
            raise ValueError(f"`project` must return the shape of x, {self.x.shape}, but returned {once.shape}.")
        _agree("`project` applied twice", self.system.project(once), "applied once", once)
        return "project: idempotent"

    def tangent(self) -> str:
        e = 1e-5 / (1.0 + np.abs(self.dx).max())
        slope = (self.system.lift(self.x + e * self.dx) - self.system.lift(self.x - e * self.dx)) / (2 * e)
        gap, scale = np.abs(slope - self.dg).max(), 1.0 + np.abs(self.dg).max()
        if gap > 1e-4 * scale:
            raise ValueError(
                f"`tangent` must be the derivative of lift along dx, but is off by {gap:.2g}; check its signs."
            )
        return "tangent: derivative of lift"

    def rows(self, x: np.ndarray, axes: int) -> np.ndarray:
        return to_rows(x, self.nodes, axes)[0]

    def run(self, kernel: Any, inputs: tuple, want: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out = np.full_like(self.rows(want, 1), np.nan)
        kernel(*(self.rows(x, self.axes) for x in inputs), out)
        return out, self.rows(want, 1)

    def run_law(self, kernel: Any) -> tuple[np.ndarray, np.ndarray]:
        n = int(np.prod(self.nodes))
        params = [members_of(row, (), self.nodes).reshape(n) for row in self.system.params()]
        p = np.stack(params) if params else np.empty((0, n))
        pairs = ((self.x, self.axes), (self.g, 1), (self.h, 1), (self.dx, self.axes))
        rows = [*(self.rows(*pair) for pair in pairs), p]
        if is_pointwise(type(self.system)):  # then a second network may lie beside it, with the nodes in another order
            rows = [np.concatenate([row, row[:, ::-1]], axis=1) for row in rows]
        x, g, h, want, p = rows
        out = np.full_like(x, np.nan)
        kernel(self.t, x, g, h, p, np.require(self.system.table(), requirements=["C", "W"]), out)
        return out, want

    def run_project(self, kernel: Any) -> tuple[np.ndarray, np.ndarray]:
        x = self.x + 0.01 * self.dx
        rows = self.rows(x, self.axes)
        kernel(rows)
        return rows, self.rows(self.system.project(x), self.axes)

    def tensors(self) -> str:
        try:
            import torch
        except ImportError:
            return "tensors: not checked, torch is not installed"
        own = {f.name: _tensor(getattr(self.system, f.name)) for f in dataclasses.fields(self.system)}
        system = dataclasses.replace(self.system, **own)
        x, h = torch.tensor(self.x, requires_grad=True), torch.tensor(self.h)
        try:
            velocity = system.law(self.t, x, h)
        except (TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            return f"law on tensors: fails ({reason}); runs work, gradients need functions of oscillators.arrays.namespace(x)"
        _agree("`law` on tensors", velocity.detach().numpy(), "on NumPy arrays", self.dx)
        (slope,) = torch.autograd.grad(velocity.sum(), x, allow_unused=True)
        if slope is not None and not bool(torch.isfinite(slope).all()):
            raise ValueError(
                "`law` must have a finite gradient on an ordinary state, but autograd returned NaN or infinity."
            )
        return "law on tensors: same numbers, finite gradient"


def _check_kernel(system: System, kernel: str, law: str, signature: Any, check: Callable) -> str:
    if getattr(type(system), kernel) is None:
        return f"{kernel}: none, runs call {law} itself"
    if not kernel_is_current(type(system), kernel, law):
        return f"{kernel}: not used, because {law} was redefined below it"
    compiled = getattr(type(system), kernel)
    if not hasattr(compiled, "py_func"):
        raise TypeError(f"`{kernel}` must be decorated with a decorator of oscillators.kernels, but is {compiled!r}.")
    compiled.compile(signature)
    have, want = check(compiled)
    _agree(f"`{kernel}`", have, f"the {law} it spells", want)
    return f"{kernel}: equals {law} to {ULPS} ulp"


def _check_gradients(system: System, state: np.ndarray) -> str:
    """Hold the compiled vector-Jacobian products to autograd through the law, on two delayed and driven steps."""
    cls = type(system)
    spelled = (("law_vjp", "law"), ("lift_vjp", "lift"), ("tangent_vjp", "tangent"), ("project_vjp", "project"))
    if not all(kernel_is_current(cls, vjp, law) for vjp, law in (*spelled, ("kernel", "law"))):
        return "gradients: through tensors, not every part has a compiled derivative"
    import torch

    from oscillators.delayed import Delayed
    from oscillators.gradients import integrate

    def slopes(gradient: str) -> list[np.ndarray]:
        own = {f.name: _tensor(getattr(system, f.name)) for f in dataclasses.fields(system)}
        leaves = [v.requires_grad_() for v in own.values() if isinstance(v, torch.Tensor)]
        x = torch.tensor(state, requires_grad=True)
        x0 = torch.view_as_complex(x) if system.kind == "complex" else x
        past = Delayed(0.7, 0.15)  # between steps, so that the velocity of the lift counts
        options: dict[str, Any] = {"method": "heun", "dt": 0.1, "history": x0.detach(), "gradient": gradient}
        out = integrate(dataclasses.replace(system, **own), past, x0, [0.0, 0.4], **options)
        out = torch.view_as_real(out) if system.kind == "complex" else out
        weights = torch.linspace(-1.0, 2.0, out.numel(), dtype=out.dtype).reshape(out.shape)
        found = torch.autograd.grad((weights * out).sum(), [x, *leaves], allow_unused=True)
        return [np.zeros(1) if slope is None else slope.numpy() for slope in found]

    for have, want in zip(slopes("discrete"), slopes("backprop"), strict=True):
        gap, scale = np.abs(have - want).max(), max(1.0, np.abs(want).max())
        if not gap <= 1e-12 * scale:
            raise ValueError(
                f"`law_vjp`, `lift_vjp`, `tangent_vjp` and `project_vjp` must give the gradient of autograd, but one is off by "
                f"{gap:.2g}; compare them with the derivatives of the law term by term."
            )
    return "gradients: compiled derivatives equal autograd"


def _agree(what: str, have: np.ndarray, other: str, want: np.ndarray) -> None:
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    gap = np.abs(have - want)
    if not (gap <= ULPS * np.spacing(scale)).all():
        where = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(np.isnan(gap), np.inf, gap)), gap.shape))
        raise ValueError(
            f"{what} must equal {other}, but at {where} one is {have[where]:.17g} and the other {want[where]:.17g}; "
            "compare the two formulas term by term."
        )


def _same_fields(a: System, b: System) -> bool:
    pairs = ((getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return all(np.array_equal(np.asarray(u), np.asarray(v)) for u, v in pairs if u is not None)


def _tensor(value: Any) -> Any:
    import torch

    return torch.tensor(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _state(system: System, rng: np.random.Generator) -> np.ndarray:
    """A random state of the size of the system's parameters (5 nodes if they are all single numbers)."""
    shapes = [np.shape(row) for row in system.params() if np.ndim(row) and np.shape(row)[-1] > 1]
    nodes = max((shape[-1:] for shape in shapes), default=(5,))
    rotation = getattr(system, "rotation", None)
    n = 2 if system.kind in ("pair", "complex") else 3 if rotation is None else rotation.shape[-1]
    x = rng.normal(size=nodes if system.kind == "scalar" else (*nodes, n))
    return np.asarray(system.project(x))
