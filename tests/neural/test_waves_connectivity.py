"""Maps between oscillators: one map in four spellings, and what a kernel does to waves."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from neural.waves import AllToAll, Local, OneWay, Sparse, Untied
from neural.waves.connectivity import Connectivity
from oscillators import Stencil
from tests.neural.waves import MAPS, N, normal, seeded

ROUND_OFF = 1e-13  # sums of some dozens of products of order one


@pytest.mark.parametrize("name", MAPS)
def test_a_map_is_its_matrix_its_links_and_the_coupling_of_the_core(name):
    act, x = seeded(name), normal(5, N)
    h = act(x)
    torch.testing.assert_close(h, x @ act.matrix().T, atol=ROUND_OFF, rtol=0)
    if not isinstance(act, AllToAll):  # which has no links
        torch.testing.assert_close(h, Connectivity.forward(act, x), atol=ROUND_OFF, rtol=0)
    coupling = act.coupling()
    lattice = act.lattice[act.lattice[0] == 1 :] if isinstance(coupling, Stencil) else (N,)
    field = coupling.field(x.view(5, *lattice, 1)).view(5, N)
    torch.testing.assert_close(h, field, atol=ROUND_OFF, rtol=0)


@pytest.mark.parametrize("name", MAPS)
def test_the_norm_is_a_bound_and_exact_for_kernels_that_do_not_mix(name):
    act = seeded(name)
    exact = float(torch.linalg.matrix_norm(act.matrix().detach(), 2))
    assert act.norm() >= exact - ROUND_OFF
    if name in ("all to all", "rings", "rings, separate", "torus", "torus, rows", "one way"):
        assert act.norm() == pytest.approx(exact, abs=ROUND_OFF)


@pytest.mark.parametrize("name", ["rings", "torus", "rings, separate", "one way"])
def test_the_symbol_is_what_the_kernel_does_to_a_wave(name):
    act = seeded(name)
    symbol = act.symbol().expand(act.lattice[0], 1, *act.lattice[1:])[:, 0].detach().numpy()
    space = act.lattice[1:]
    for index in np.ndindex(*space):
        k = [2 * np.pi * i / n for i, n in zip(index, space, strict=True)]
        wave = np.exp(1j * sum(a * x for a, x in zip(k, np.indices(space), strict=True)))
        wave = np.broadcast_to(wave, act.lattice).reshape(1, -1)
        h = act.matrix().detach().numpy() @ wave[0]
        expected = symbol[(slice(None), *index)].reshape(-1, *(1,) * len(space)) * wave.reshape(act.lattice)
        np.testing.assert_allclose(h.reshape(act.lattice), expected, atol=ROUND_OFF)


def test_activity_moves_to_the_lower_index_one_way():
    x = torch.zeros(6)
    x[0] = 1.0
    assert OneWay((1, 6))(x).tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("name", ["rings", "untied, mixed"])
def test_a_bias_belongs_to_the_channel_or_to_the_site(name):
    kind, sharing = (Local, "separate") if name == "rings" else (Untied, "mixed")
    act = kind((3, 4), 3, sharing, bias=True)
    assert act.offset().shape == (12,)
    assert act.bias.shape == ((3,) if kind is Local else (3, 4))
    assert torch.equal(act.offset().view(3, 4)[1, 2], act.bias[1] if kind is Local else act.bias[1, 2])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Local((1, 4), 5), r"`size` must not exceed the lattice \(4,\), but is \(5,\)"),
        (lambda: Local((1, 4), 2), "`size` must be odd"),
        (lambda: Local((1, 4, 4), (3,)), "`size` must be odd along each axis"),
        (lambda: Local((4,)), "`lattice` must be"),
        (lambda: Local((1, 4), 3, "everywhere"), "`sharing` must be one of"),
        (lambda: OneWay((1, 4, 4)), r"`lattice` must be \(C, length\)"),
    ],
)
def test_kernels_that_do_not_fit_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_torch_counts_the_weights():
    assert sum(p.numel() for p in AllToAll(5, bias=True).parameters()) == 30
    assert sum(p.numel() for p in Local((2, 4, 4), 3, "mixed").parameters()) == 36


def test_only_graphs_are_sparse():
    with pytest.raises(TypeError, match="`graph` must be a graph, a sparse matrix or Edges, but is Dense"):
        Sparse(np.eye(3))
    matrix = sp.csr_array(np.diag([2.0, 3.0], 1))
    assert Sparse(matrix)(torch.ones(3)).tolist() == [2, 3, 0]
