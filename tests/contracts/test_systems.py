"""What every system promises, whoever wrote it."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from oscillators import check_system
from oscillators.kernels import LAW, LIFT, PROJECT, TANGENT, law_kernel
from oscillators.problem import members_of, to_rows
from oscillators.system import System, components
from tests.contracts.members import SYSTEMS, N, SystemMember, names, tensors

# Two spellings of one formula round differently, each operation by half a unit: 4 units in the last place of the largest
# number that enters or leaves.
ULPS = 4


@pytest.fixture(params=SYSTEMS, ids=names(SYSTEMS))
def member(request) -> SystemMember:
    return request.param


def agree(have, want, *terms):
    scale = max(1.0, *(np.abs(np.asarray(a)).max(initial=0.0) for a in (want, *terms)))
    np.testing.assert_allclose(have, want, rtol=0, atol=ULPS * np.spacing(scale))


def rows(x, axes):
    return to_rows(x, (N,), axes)[0]


def compiled(kernel, signature):
    kernel.compile(signature)
    return kernel


def law_by_kernel(system: System, t, x, h):
    """The kernel's velocity, in the law's shape."""
    params = [members_of(row, (), (N,)).reshape(N) for row in system.params()]
    p = np.stack(params) if params else np.empty((0, N))
    xr = rows(x, components(system))
    out = np.full_like(xr, np.nan)
    table = np.require(system.table(), requirements=["C", "W"])
    compiled(system.kernel, LAW)(t, xr, rows(system.lift(x), 1), rows(h, 1), p, table, out)
    return out.T.reshape(x.shape)


def test_the_kernel_spells_the_law(member):
    x, h = member.state, member.field()
    agree(law_by_kernel(member.system, 0.7, x, h), member.system.law(0.7, x, h), h)


def test_the_law_on_tensors_gives_the_same_numbers(member):
    x, h = member.state, member.field()
    velocity = tensors(member.system).law(0.7, torch.tensor(x), torch.tensor(h))
    assert velocity.dtype == torch.float64
    agree(velocity.numpy(), member.system.law(0.7, x, h), h)


def mixed(system: System, dtype=torch.float64) -> System:
    """The system as somebody writes it who passes tensors where there is one number per node, and numbers elsewhere."""
    own = {f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    own = {k: torch.tensor(v, dtype=dtype) if np.ndim(v) and v.dtype.kind == "f" else v for k, v in own.items()}
    return dataclasses.replace(system, **own)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_plain_numbers_and_tensors_mix(member, dtype):
    x, h = torch.tensor(member.state, dtype=dtype, requires_grad=True), torch.tensor(member.field(), dtype=dtype)
    velocity = mixed(member.system, dtype).law(0.7, x, h)
    assert velocity.dtype == dtype
    assert velocity.requires_grad
    want = tensors(member.system, dtype).law(0.7, x, h)
    torch.testing.assert_close(velocity, want, rtol=0, atol=16 * torch.finfo(dtype).eps)  # numbers up to 10


def test_a_float32_tensor_stays_float32(member):
    system = tensors(member.system, torch.float32)
    x, h = torch.tensor(member.state, dtype=torch.float32), torch.tensor(member.field(), dtype=torch.float32)
    results = {
        "law": system.law(0.7, x, h),
        "lift": system.lift(x),
        "project": system.project(x),
        "tangent": system.tangent(x, system.law(0.7, x, h)),
    }
    assert {name: value.dtype for name, value in results.items()} == dict.fromkeys(results, torch.float32)


def test_the_lift_kernel_spells_the_lift(member):
    want = member.system.lift(member.state)
    out = np.full_like(rows(want, 1), np.nan)
    compiled(member.system.lift_kernel, LIFT)(rows(member.state, components(member.system)), out)
    agree(out.T, want)


def test_the_lift_on_tensors_gives_the_same_numbers(member):
    lifted = tensors(member.system).lift(torch.tensor(member.state))
    agree(lifted.numpy(), member.system.lift(member.state))


def test_the_tangent_kernel_spells_the_tangent(member):
    system, x = member.system, member.state
    dx = system.law(0.0, x, member.field())
    want = system.tangent(x, dx)
    out = np.full_like(rows(want, 1), np.nan)
    compiled(system.tangent_kernel, TANGENT)(rows(x, components(system)), rows(dx, components(system)), out)
    agree(out.T, want)


def test_the_tangent_is_the_derivative_of_the_lift(member):
    system, x = member.system, member.state
    dx = system.law(0.0, x, member.field())
    e = 1e-5
    slope = (system.lift(x + e * dx) - system.lift(x - e * dx)) / (2 * e)
    # Central differences: e² |dx|³ / 6 from the third derivative, 1e-16 / e from rounding.
    bound = e**2 * np.abs(dx).max() ** 3 + 1e-10
    np.testing.assert_allclose(system.tangent(x, dx), slope, rtol=0, atol=bound)


def test_the_projection_kernel_spells_the_projection(member):
    off = member.state + 0.1 * member.system.law(0.0, member.state, member.field())
    out = rows(off, components(member.system))
    compiled(member.system.project_kernel, PROJECT)(out)
    agree(out.T.reshape(off.shape), member.system.project(off))


def test_the_projection_is_idempotent_and_lands_on_the_manifold(member):
    system = member.system
    once = system.project(member.state + 0.1 * system.law(0.0, member.state, member.field()))
    agree(system.project(once), once)
    system.check_state(once)
    if system.kind == "vector":
        agree(np.linalg.norm(once, axis=-1), np.ones(N))


def test_calls_change_nothing_and_repeat_themselves(member):
    system, x, h = member.system, member.state, member.field()
    before = copy.deepcopy((system, x, h))
    dx = system.law(0.7, x, h)
    for call in (
        lambda: system.law(0.7, x, h),
        lambda: system.lift(x),
        lambda: system.project(x),
        lambda: system.tangent(x, dx),
    ):
        np.testing.assert_array_equal(call(), call())
    np.testing.assert_array_equal(x, before[1])
    np.testing.assert_array_equal(h, before[2])
    for f in dataclasses.fields(system):
        np.testing.assert_equal(getattr(system, f.name), getattr(before[0], f.name))


def test_leading_axes_are_a_batch(member):
    system = member.system
    x = np.stack([member.state, system.project(0.7 * member.state + 0.1)])
    h = np.stack([member.field(3), member.field(4)])
    together = system.law(0.0, x, h)
    for one, (x1, h1) in enumerate(zip(x, h, strict=True)):
        agree(together[one], system.law(0.0, x1, h1), h1)


def test_gradients_on_tensors_are_finite_and_right(member):
    system = tensors(member.system)
    x = torch.tensor(member.state, requires_grad=True)
    h = torch.tensor(member.field(), requires_grad=True)
    # gradcheck compares with central differences of step 1e-6: truncation 1e-12, rounding 1e-10.
    assert torch.autograd.gradcheck(lambda x, h: system.law(0.7, x, h), (x, h), atol=1e-7, rtol=1e-6)


# Differences of a rotation would leave the antisymmetric matrices.
PLAIN = [m for m in SYSTEMS if not hasattr(m.system, "rotation")]


@pytest.mark.parametrize("member", PLAIN, ids=names(PLAIN))
def test_gradients_reach_every_parameter(member):
    system = tensors(member.system)
    own = {f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    own = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in own.items() if v is not None and k != "triangles"}
    x, h = torch.tensor(member.state), torch.tensor(member.field())

    def law(*values):
        return dataclasses.replace(system, **dict(zip(own, values, strict=True))).law(0.7, x, h)

    assert torch.autograd.gradcheck(law, [v.requires_grad_() for v in own.values()], atol=1e-7, rtol=1e-6)


def plane_rotation(n, angle):
    """A rotation in every coordinate plane of n dimensions in turn (for n = 2: by the angle)."""
    Q = np.eye(n)
    for a in range(n - 1):
        G = np.eye(n)
        G[a : a + 2, a : a + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        Q = Q @ G
    return Q


def turned(member: SystemMember, angle: float):
    """State, field and velocity as somebody sees them who has turned by the angle."""
    system, x, h = member.system, member.state, member.field()
    Q = plane_rotation(h.shape[-1], angle)
    v = system.law(0.0, x, h)
    if system.kind in ("scalar", "pair"):
        return x + (angle if system.kind == "scalar" else np.array([angle, 0.0])), h @ Q.T, v
    return x @ Q.T, h @ Q.T, v @ Q.T


@pytest.mark.parametrize("angle", [0.3, 2.0])
def test_a_common_rotation_commutes_with_the_law_where_declared(member, angle):
    x, h, v = turned(member, angle)
    gap = np.abs(member.system.law(0.0, x, h) - v).max()
    # 2θ_j - θ_k - θ_i and n - 1 planes in turn: some ten roundings of numbers up to 10.
    bound = 1e-13
    assert gap < bound if member.turns else gap > 1e-3  # those that do not turn differ visibly


def permuted(system: System, order: np.ndarray) -> System:
    """The same oscillators, numbered another way: new node i is old node order[i]."""
    changed = {}
    for f in dataclasses.fields(system):
        value = getattr(system, f.name)
        if f.name == "triangles" and value is not None:
            changed[f.name] = np.argsort(order)[value]
        elif np.shape(value)[:1] == (N,):
            changed[f.name] = value[order]
    return dataclasses.replace(system, **changed)


def test_numbering_the_nodes_another_way_changes_nothing(member):
    order = np.random.default_rng(1).permutation(N)
    x, h = member.state, member.field()
    again = permuted(member.system, order)
    want = member.system.law(0.0, x, h)[order]
    agree(again.law(0.0, x[order], h[order]), want, h)
    agree(law_by_kernel(again, 0.0, x[order], h[order]), want, h)


def test_check_system_agrees(member):
    assert len(check_system(member.system, member.x0)) == 11
    check_system(member.system)


@dataclasses.dataclass(frozen=True)
class Ring(System):
    """Nodes that answer to the field of the node before them, and a kernel declared to treat every node by itself."""

    omega: np.ndarray

    def law(self, t, x, h):
        return self.omega + np.roll(h[..., 0], 1, axis=-1)

    pointwise = True

    @staticmethod
    @law_kernel
    def kernel(t, x, g, h, p, table, out):
        for i in range(x.shape[1]):
            out[0, i] = p[0, i] + h[0, i - 1]


def test_check_system_refuses_a_kernel_that_is_not_pointwise_though_declared():
    with pytest.raises(ValueError, match="`kernel` must equal the law it spells"):
        check_system(Ring(np.zeros(N)))
