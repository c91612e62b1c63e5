"""A network laid out for the loops: arrays (member, component, node), and the kernels that move them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from oscillators.callbacks import Callbacks, python_kernel
from oscillators.coupling import Compiled, Coupling, Diffusive, MeanField
from oscillators.delayed import Delayed
from oscillators.kernels import FIELD, LAW, LIFT, PROJECT, TANGENT, compiled
from oscillators.loops import Network
from oscillators.past import Past
from oscillators.system import System, components


@dataclass(frozen=True)
class Problem:
    """A network and its initial states, in the engine's layout (member, component, node)."""

    system: System
    coupling: Coupling
    nodes: tuple[int, ...]  # shape of the network
    lead: tuple[int, ...]  # leading axes of x0: the ensemble
    x0: np.ndarray  # (members, d, N)
    width: int  # components m of the lifted state
    kernels: tuple[Any, ...]
    network: Network
    drive: Callable[[float], np.ndarray] | None  # t -> (1 or members, m, N) if the drive moves
    past: Past | None
    callbacks: Callbacks | None

    @property
    def members(self) -> int:
        return len(self.x0)


def to_rows(x: np.ndarray, nodes: tuple[int, ...], axes: int) -> np.ndarray:
    """(..., *nodes[, d]) -> (members, d, N), contiguous."""
    n = int(np.prod(nodes))
    if axes == 0:
        return np.array(x, np.float64).reshape(-1, 1, n)
    return np.ascontiguousarray(np.moveaxis(np.asarray(x, np.float64).reshape(-1, n, x.shape[-1]), -1, -2))


def from_rows(rows: np.ndarray, nodes: tuple[int, ...], axes: int) -> np.ndarray:
    """(..., d, N) -> (..., *nodes[, d])."""
    if axes == 0:
        return rows.reshape(*rows.shape[:-2], *nodes)
    return np.moveaxis(rows, -2, -1).reshape(*rows.shape[:-2], *nodes, rows.shape[-2])


def members_of(value: Any, lead: tuple[int, ...], tail: tuple[int, ...]) -> np.ndarray:
    """Broadcast to (1, *tail), or (members, *tail) if the value differs between members."""
    value = np.asarray(value, np.float64)
    if value.ndim <= len(tail):
        return np.broadcast_to(value, tail)[None]
    return np.broadcast_to(value, (*lead, *tail)).reshape(-1, *tail)


def prepare(system: System, coupling: Coupling, x0: np.ndarray, drive: Any, history: Any, noise: Any) -> Problem:
    """Lay out a checked system, coupling and law-shaped state for the loops."""
    axes = components(system)
    cut = x0.ndim - len(coupling.node_dims) - axes
    lead, nodes = x0.shape[:cut], x0.shape[cut : x0.ndim - axes]
    n = int(np.prod(nodes))
    rows = to_rows(x0, nodes, axes)
    width = system.lift(x0[(0,) * cut]).shape[-1]

    inner, degree = coupling, np.empty((0, n))
    if isinstance(inner, Diffusive):
        inner = inner.coupling
        operator = inner.coupling if isinstance(inner, Delayed) else inner
        degree = to_rows(operator.field(np.ones((*nodes, 1))), nodes, 1)[:, 0]
    past = None
    if isinstance(inner, Delayed):
        past = Past.of(inner, system, nodes, lead, history) if bool((inner.tau > 0).any()) else None
        inner = inner.coupling
    spelled = inner.compiled(nodes)
    params = [members_of(row, lead, nodes).reshape(-1, n) for row in system.params()]
    count = max((len(row) for row in params), default=1)
    packed = np.stack([np.broadcast_to(row, (count, n)) for row in params], axis=1) if params else np.empty((1, 0, n))
    moving = drive if callable(drive) else None

    def drive_rows(value: Any) -> np.ndarray:
        value = members_of(value, lead, (*nodes, width))
        return to_rows(value, nodes, 1)

    constant = np.empty((0, 1, width, n)) if drive is None or moving else drive_rows(drive)[None]
    d = rows.shape[1]
    sigma = np.empty((0, d, n)) if noise is None else _sigma(system, noise, lead, nodes, d)
    empty = Compiled(None, np.empty(0, np.int64), np.empty(0, np.int32), np.empty((1, 0)))
    weights = spelled or empty
    arrays = (
        packed,
        np.asarray(system.table(), np.int32),
        weights.meta,
        weights.where,
        weights.weight,
        degree,
        constant,
        sigma,
    )
    network = Network._make([*(np.require(a, requirements=["C", "W"]) for a in arrays), n])
    kernels, callbacks = _kernels(system, inner, spelled, nodes, lead, past)
    return Problem(
        system, coupling, nodes, lead, rows, width, kernels, network,
        (lambda t: drive_rows(moving(t))) if moving else None, past, callbacks,
    )  # fmt: skip


def _sigma(system: System, noise: Any, lead: tuple[int, ...], nodes: tuple[int, ...], d: int) -> np.ndarray:
    """Noise strength of every component; that of a second-order system acts on its velocity."""
    sigma = members_of(noise, lead, nodes).reshape(-1, 1, int(np.prod(nodes)))
    sigma = np.repeat(sigma, d, axis=1)
    if system.kind == "pair":
        sigma[:, 0] = 0.0
    return sigma


def _kernels(system, coupling, spelled, nodes, lead, past):
    """The five kernels of a run, and the callbacks behind those that are not compiled."""
    cls = type(system)
    found = {
        "lift": system.lift_kernel if kernel_is_current(cls, "lift_kernel", "lift") else None,
        "tangent": system.tangent_kernel if kernel_is_current(cls, "tangent_kernel", "lift") else None,
        "law": system.kernel if kernel_is_current(cls, "kernel", "law") else None,
        "project": system.project_kernel if kernel_is_current(cls, "project_kernel", "project") else None,
        "field": spelled.kernel if spelled else None,
    }
    if past is None and found["tangent"] is None:
        found["tangent"] = System.tangent_kernel  # velocities of the lift are read by delayed couplings only
    if past is not None and len(past.starts):
        found["field"] = FIELD_NOT_USED  # links with delays of their own are summed by the history
    missing = [name for name, kernel in found.items() if kernel is None]
    kernels = []
    for (name, kernel), signature in zip(found.items(), (LIFT, TANGENT, LAW, PROJECT, FIELD), strict=True):
        kernels.append(python_kernel(name) if kernel is None else compiled(kernel, signature))
    return tuple(kernels), Callbacks(system, coupling, nodes, lead) if missing else None


FIELD_NOT_USED = MeanField.kernel


def kernel_is_current(cls: type, kernel: str, law: str) -> bool:
    """Whether a kernel was written with or after the law it spells: a subclass that changes only the law has no kernel."""
    order = [name for base in cls.__mro__ for name in (kernel, law) if name in vars(base)]
    return getattr(cls, kernel) is not None and order[0] == kernel


def is_pointwise(cls: type) -> bool:
    """Whether the kernel that a run uses is declared to treat every node by itself."""
    return getattr(cls, "pointwise", False) and kernel_is_current(cls, "pointwise", "kernel")
