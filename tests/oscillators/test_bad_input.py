"""Calls that cannot mean anything end in one sentence: `name` must condition, but is value; repair.

Every row of the tables: what is wrong, the call, the kind of error, and words that the sentence must contain in this
order (argument, condition, value, repair).
"""

import re
import subprocess
import sys
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
import xarray as xr

from oscillators import (
    Coupling,
    Delayed,
    Dense,
    Diffusive,
    Edges,
    InertialKuramoto,
    Kuramoto,
    MeanField,
    SimplicialKuramoto,
    SphereKuramoto,
    Stencil,
    StuartLandau,
    System,
    TopographicOscillators,
    Winfree,
    as_coupling,
    simulate,
)

N = 4
NAN, INF = np.nan, np.inf
TIMES = np.linspace(0.0, 0.2, 3)
THETA = np.linspace(0.0, 1.0, N)
PAIRS = np.stack([THETA, THETA], axis=-1)
Z = np.exp(1j * THETA)
VECTORS = np.eye(3)[[0, 1, 2, 0]]
OMEGA = np.linspace(-1.0, 1.0, N)
K = np.full((N, N), 0.1)
PHASES = Kuramoto(OMEGA)
ROTATION = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def run(system=PHASES, coupling=K, x0=THETA, t=TIMES, **arguments):
    """A call of simulate that is right except for what is given."""
    if not {"method", "dt"} & set(arguments):
        arguments["dt"] = 0.05
    return simulate(system, coupling, x0, t, **arguments)


def noisy(noise=0.1, **arguments):
    return run(method="euler_maruyama", dt=0.05, noise=noise, **arguments)


def adaptive(**arguments):
    return run(method="tsit5", **arguments)


def delayed(history=None, tau=0.1, **arguments):
    return run(coupling=Delayed(K, tau), history=history, **arguments)


def sphere(x0=VECTORS, rotation=None, **arguments):
    return run(SphereKuramoto(rotation), x0=x0, **arguments)


def path(node=N, **attributes):
    """A path graph whose first edge has attributes."""
    graph = nx.path_graph(node)
    graph.edges[0, 1].update(attributes)
    return graph


def learnable(value):
    return torch.tensor(value, requires_grad=True)


def zeros(*shape):
    return np.zeros(shape)


def later(good, bad):
    """A function of time that goes wrong after t = 0.04."""
    return lambda t: good if t < 0.04 else bad


def observed_later(states):
    """An observation whose shape depends on the state."""
    return states.mean(axis=-1) if (states == THETA).all() else states[..., :2]


SHUFFLED = nx.Graph([(2, 1), (1, 0), (0, 3)])

WRONG_KIND = [
    ("nothing", lambda: run(x0=None), "`x0` must hold numbers, but is None; pass an array"),
    ("a word", lambda: run(x0="abc"), "`x0` must hold numbers, but is 'abc'; pass an array"),
    ("words", lambda: run(x0=list("abcd")), "`x0` must hold numbers, but is ['a', 'b', 'c', 'd']; pass an array"),
    (
        "an array of objects",
        lambda: run(x0=THETA.astype(object)),
        "`x0` must hold numbers; dtype object; pass an array",
    ),
    ("a mapping", lambda: run(x0={"a": 1}), "`x0` must hold numbers, but is {'a': 1}; pass an array"),
    ("a function", lambda: run(x0=lambda: 1), "`x0` must hold numbers, but is <function; pass an array"),
    ("dates", lambda: run(x0=np.zeros(N, "M8[D]")), "`x0` must hold numbers; datetime64; pass an array"),
    ("a Dataset", lambda: run(x0=xr.Dataset()), "`x0` must hold numbers, but is <xarray.Data; pass an array"),
    ("a sparse matrix as state", lambda: run(x0=scipy.sparse.eye(2)), "`x0` must hold numbers; dtype object; pass"),
    (
        "integer phases",
        lambda: run(x0=np.arange(N)),
        "`x0` must be floating point, but has dtype int64; .astype(float)",
    ),
    ("boolean phases", lambda: run(x0=THETA > 0), "`x0` must be floating point, but has dtype bool; .astype(float)"),
    (
        "integer phases and velocities",
        lambda: run(InertialKuramoto(OMEGA), x0=np.zeros((N, 2), int)),
        "`x0` must be floating point, but has dtype int64; .astype(float)",
    ),
    (
        "an integer tensor of phases",
        lambda: run(x0=torch.arange(N)),
        "`x0` must be floating point; torch.int64; .double()",
    ),
    ("complex phases", lambda: run(x0=Z), "`x0` must be real, but has dtype complex128; its angle"),
    (
        "a complex tensor",
        lambda: run(x0=torch.tensor(Z)),
        "`x0` must be real, but has dtype torch.complex128; its angle",
    ),
    ("complex vectors", lambda: sphere(VECTORS * 1j), "`x0` must be real, but has dtype complex128; its real part"),
    (
        "complex positions",
        lambda: run(InertialKuramoto(0.0), x0=PAIRS * 1j),
        "`x0` must be real; complex128; real part",
    ),
    ("complex frequencies", lambda: Kuramoto(1j), "`omega` must be real, but has dtype complex128; pass its real part"),
    ("complex matrix", lambda: run(coupling=K * 1j), "`K` must be real, but has dtype complex128; pass its real part"),
    ("complex delays", lambda: Delayed(K, 1j), "`tau` must be real, but has dtype complex128; pass its real part"),
    ("complex times", lambda: run(t=[0, 1j]), "`t` must be real, but has dtype complex128; pass its real part"),
    ("complex dt", lambda: run(dt=1j), "`dt` must be real, but has dtype complex128; pass its real part"),
    ("complex noise", lambda: noisy(1j), "`noise` must be real, but has dtype complex128; pass its real part"),
    ("complex drive", lambda: run(drive=zeros(N, 2) * 1j), "`drive` must be real; complex128; pass its real part"),
    ("complex history", lambda: delayed(Z), "`history` must be real, but has dtype complex128; pass its real part"),
    (
        "complex sparse matrix",
        lambda: run(coupling=scipy.sparse.csr_array(K * 1j)),
        "`weight` must be real; complex128",
    ),
    ("no frequencies", lambda: Kuramoto(None), "`omega` must hold numbers, but is None; pass an array"),
    ("no lag", lambda: Kuramoto(OMEGA, alpha=None), "`alpha` must hold numbers, but is None; pass an array"),
    ("no mass", lambda: InertialKuramoto(0.0, mass=None), "`mass` must hold numbers, but is None; pass an array"),
    (
        "no damping",
        lambda: TopographicOscillators(1.0, None),
        "`epsilon` must hold numbers, but is None; pass an array",
    ),
    ("frequencies as objects", lambda: Kuramoto(OMEGA.astype(object)), "`omega` must hold numbers; dtype object; pass"),
    ("an integer tensor", lambda: Kuramoto(torch.arange(N)), "`omega` must be floating point; torch.int64; .double()"),
    ("matrix of objects", lambda: run(coupling=K.astype(object)), "`K` must hold numbers; dtype object; pass an array"),
    ("a list of couplings", lambda: run(coupling=[MeanField(1.0)]), "`K` must hold numbers, but is [MeanField; pass"),
    ("no strength", lambda: MeanField(None), "`strength` must hold numbers, but is None; pass an array"),
    (
        "coupling: none",
        lambda: run(coupling=None),
        "`coupling` must be a number, matrix, graph; but is None; MeanField(",
    ),
    ("coupling: a word", lambda: run(coupling="all"), "`coupling` must be a number, matrix; but is 'all'; MeanField("),
    ("coupling: a mapping", lambda: run(coupling={}), "`coupling` must be a number, matrix; but is {}; MeanField("),
    ("coupling: a class", lambda: run(coupling=MeanField), "`coupling` must be; but is <class; MeanField(2.0)"),
    ("coupling: a graph class", lambda: run(coupling=nx.Graph), "`coupling` must be; but is <class; MeanField(2.0)"),
    ("coupling: a function", lambda: run(coupling=lambda g: g), "`coupling` must be; but is <function; MeanField("),
    ("delayed nothing", lambda: Delayed(None, 0.1), "`coupling` must be a number; but is None; MeanField("),
    ("differences of nothing", lambda: Diffusive(None), "`coupling` must be a number; but is None; MeanField("),
    (
        "a system class",
        lambda: run(Kuramoto),
        "`system` must be a System; but is <class; simulate(system, coupling, x0, t)",
    ),
    ("no system", lambda: run(None), "`system` must be a System; but is None; simulate(system, coupling, x0, t)"),
    ("system: a word", lambda: run("kuramoto"), "`system` must be a System; but is 'kuramoto'; simulate(system"),
    (
        "x0 and system swapped",
        lambda: run(THETA, x0=PHASES),
        "`system` must be a System; but is array(; simulate(system",
    ),
    ("no delay", lambda: Delayed(K, None), "`tau` must hold numbers, but is None; pass an array"),
    (
        "delay as a function",
        lambda: Delayed(K, lambda t: 0.1),
        "`tau` must hold numbers, but is <function; pass an array",
    ),
    ("no kernel", lambda: Stencil(None), "`kernel` must hold numbers, but is None; pass an array"),
    ("triangles: a word", lambda: SimplicialKuramoto(0.0, 1.0, "a"), "`triangles` must hold numbers; pass an array"),
    ("no triadic strength", lambda: SimplicialKuramoto(0.0, None), "`triadic` must hold numbers, but is None; pass"),
    ("nodes: a float", lambda: Edges([0], [1], [1.0], 4.0), "`nodes` must be a whole number, but is 4.0; int(nodes)"),
    ("nodes: none", lambda: Edges([0], [1], [1.0], None), "`nodes` must be a whole number, but is None; int(nodes)"),
    (
        "senders: words",
        lambda: Edges(["a"], ["b"], [1.0], 2),
        "`source` must hold numbers, but is ['a']; pass an array",
    ),
    (
        "weight: a word",
        lambda: as_coupling(path(weight="1")),
        "`weight` must be a real number; but is '1' on (0, 1); float",
    ),
    (
        "weight: a list",
        lambda: as_coupling(path(weight=[1])),
        "`weight` must be a real number; but is [1] on (0, 1); float",
    ),
    (
        "weight: complex",
        lambda: as_coupling(path(weight=1j)),
        "`weight` must be a real number; but is 1j on (0, 1); float",
    ),
    ("no times", lambda: run(t=None), "`t` must hold numbers, but is None; pass an array"),
    ("times: a word", lambda: run(t="0:1"), "`t` must hold numbers, but is '0:1'; pass an array"),
    ("dt: a word", lambda: run(dt="0.1"), "`dt` must hold numbers, but is '0.1'; pass an array"),
    ("rtol: none", lambda: adaptive(rtol=None), "`rtol` must hold numbers, but is None; pass an array"),
    ("rtol: a word, unused", lambda: run(rtol="x"), "`rtol` must hold numbers, but is 'x'; pass an array"),
    ("noise: a word", lambda: noisy("a"), "`noise` must hold numbers, but is 'a'; pass an array"),
    ("noise: a function", lambda: noisy(lambda t: 0.1), "`noise` must hold numbers, but is <function; pass an array"),
    ("rng: a word", lambda: noisy(rng="a"), "`rng` must be a whole number or a numpy Generator, but is 'a'; rng=0"),
    ("rng: a float", lambda: noisy(rng=1.0), "`rng` must be a whole number or a numpy Generator, but is 1.0; rng=0"),
    ("rng: true", lambda: noisy(rng=True), "`rng` must be a whole number or a numpy Generator, but is True; rng=0"),
    (
        "rng: torch",
        lambda: noisy(rng=torch.Generator()),
        "`rng` must be a whole number or a; but is <torch; default_rng",
    ),
    ("rng: bad, unused", lambda: run(rng="a"), "`rng` must be a whole number or a numpy Generator, but is 'a'; rng=0"),
    ("drive: a word", lambda: run(drive="a"), "`drive` must hold numbers, but is 'a'; pass an array"),
    ("drive: objects", lambda: run(drive=zeros(N, 2).astype(object)), "`drive` must hold numbers; dtype object; pass"),
    ("drive returns nothing", lambda: run(drive=lambda t: None), "`drive(0)` must hold numbers, but is None; pass"),
    ("drive without t", lambda: run(drive=lambda: zeros(N, 2)), "`drive` must be a function like f(t); (); change"),
    ("history: a word", lambda: delayed("x"), "`history` must hold numbers, but is 'x'; pass an array"),
    ("history: bad, unused", lambda: run(history="x"), "`history` must hold numbers, but is 'x'; pass an array"),
    ("history: integers", lambda: delayed(np.arange(N)), "`history` must be floating point; int64; .astype(float)"),
    ("history without t", lambda: delayed(lambda: THETA), "`history` must be a function like f(t); (); change"),
    ("history returns nothing", lambda: delayed(lambda t: None), "`history(0)` must hold numbers, but is None; pass"),
    ("observe: a function", lambda: run(observe=np.mean), "`observe` must map names to functions; but is <; observe={"),
    ("observe: a list", lambda: run(observe=[np.mean]), "`observe` must map names to functions; but is [; observe={"),
    ("observe: a word", lambda: run(observe={"r": "mean"}), "`observe['r']` must be a function; but is 'mean'; itself"),
    (
        "observe: too many arguments",
        lambda: run(observe={"r": lambda a, b: a}),
        "`observe['r']` must be a function like f(theta); (a, b); change",
    ),
    (
        "observe: no argument",
        lambda: run(observe={"r": lambda: 1}),
        "`observe['r']` must be a function like f(theta); ()",
    ),
    (
        "observe: nothing",
        lambda: run(observe={"r": lambda x: None}),
        "`observe['r']` must return numbers; None; return an",
    ),
    (
        "observe: words",
        lambda: run(observe={"r": lambda x: np.full(x.shape, "a")}),
        "`observe['r']` must return numbers; '<U1'; return an array",
    ),
    (
        "x0 to be learned",
        lambda: run(x0=learnable(THETA)),
        "`x0` must not require gradients; requires_grad=True; .detach()",
    ),
    (
        "omega to be learned",
        lambda: run(Kuramoto(learnable(OMEGA))),
        "`omega` must not require gradients; omega.detach()",
    ),
    (
        "a parameter to be learned",
        lambda: run(Kuramoto(torch.nn.Parameter(torch.tensor(OMEGA)))),
        "`omega` must not require gradients; omega.detach()",
    ),
    ("K to be learned", lambda: run(coupling=learnable(K)), "`K` must not require gradients; K.detach()"),
    (
        "a number to be learned",
        lambda: run(coupling=learnable(1.0)),
        "`strength` must not require gradients; .detach()",
    ),
    (
        "weights to be learned",
        lambda: run(coupling=Edges([0], [1], learnable([1.0]), N)),
        "`weight` must not require gradients; weight.detach()",
    ),
    ("tau to be learned", lambda: delayed(THETA, learnable(0.1)), "`tau` must not require gradients; tau.detach()"),
    (
        "a kernel to be learned",
        lambda: run(coupling=Stencil(learnable([1.0, 0.0, 1.0]))),
        "`kernel` must not require gradients; kernel.detach()",
    ),
    ("rotation to be learned", lambda: sphere(rotation=learnable(ROTATION)), "`rotation` must not require gradients"),
    ("t to be learned", lambda: run(t=learnable(TIMES)), "`t` must not require gradients; t.detach()"),
    ("noise to be learned", lambda: noisy(learnable(0.1)), "`noise` must not require gradients; noise.detach()"),
    ("drive to be learned", lambda: run(drive=learnable(zeros(N, 2))), "`drive` must not require gradients; .detach()"),
    ("history to be learned", lambda: delayed(learnable(THETA)), "`history` must not require gradients; .detach()"),
    (
        "amplitudes to be learned",
        lambda: run(StuartLandau(1.0, 0.0), x0=learnable(Z)),
        "`x0` must not require gradients; x0.detach()",
    ),
    (
        "a sparse tensor",
        lambda: run(coupling=torch.tensor(K).to_sparse()),
        "`K` must be a dense tensor; torch.sparse_coo; K.to_dense()",
    ),
    (
        "a tensor without values",
        lambda: run(x0=torch.zeros(N, device="meta")),
        "`x0` must be a dense tensor; device meta",
    ),
]

NOT_FINITE = [
    ("x0", lambda: run(x0=[0.0, NAN, 0.0, 0.0]), "`x0` must be finite, but entry 1 is nan (1 of 4 are not); clean"),
    (
        "x0 infinite",
        lambda: run(x0=[0.0, INF, 0.0, INF]),
        "`x0` must be finite, but entry 1 is inf (2 of 4 are not); clean",
    ),
    (
        "x0 as a tensor",
        lambda: run(x0=torch.tensor(THETA * NAN)),
        "`x0` must be finite, but entry 0 is nan (4 of 4; clean",
    ),
    (
        "amplitudes",
        lambda: run(StuartLandau(1.0, 0.0), x0=Z * NAN),
        "`x0` must be finite, but entry 0 is (nan+nanj); clean",
    ),
    ("vectors", lambda: sphere(VECTORS * NAN), "`x0` must be finite, but entry 0, 0 is nan; clean"),
    ("omega", lambda: Kuramoto([0.0, NAN]), "`omega` must be finite, but entry 1 is nan; clean"),
    ("omega of Winfree", lambda: Winfree([0.0, INF]), "`omega` must be finite, but entry 1 is inf; clean"),
    ("omega as a tensor", lambda: Kuramoto(torch.tensor([INF])), "`omega` must be finite, but entry 0 is inf; clean"),
    ("alpha", lambda: Kuramoto(0.0, alpha=NAN), "`alpha` must be finite, but is nan; clean"),
    ("mass", lambda: InertialKuramoto(0.0, mass=INF), "`mass` must be finite, but is inf; clean"),
    ("growth", lambda: StuartLandau(NAN, 0.0), "`growth` must be finite, but is nan; clean"),
    ("gamma", lambda: TopographicOscillators(NAN, 1.0), "`gamma` must be finite, but is nan; clean"),
    ("triadic", lambda: SimplicialKuramoto(0.0, NAN), "`triadic` must be finite, but is nan; clean"),
    ("triangles", lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1, NAN]]), "`triangles` must be finite; entry 0, 2 is nan"),
    ("rotation", lambda: SphereKuramoto(ROTATION * NAN), "`rotation` must be finite, but entry 0, 0 is nan; clean"),
    ("K", lambda: run(coupling=K * NAN), "`K` must be finite, but entry 0, 0 is nan (16 of 16 are not); clean"),
    ("a strength", lambda: run(coupling=NAN), "`K` must be finite, but is nan; clean"),
    ("a sparse matrix", lambda: run(coupling=scipy.sparse.csr_array(K * NAN)), "`weight` must be finite; nan; clean"),
    ("weights", lambda: Edges([0], [1], [NAN], N), "`weight` must be finite, but entry 0 is nan; clean"),
    ("weights of a graph", lambda: as_coupling(path(weight=NAN)), "`weight` must be finite; is nan on (0, 1); clean"),
    ("delays of a graph", lambda: as_coupling(path(2, delay=INF)), "`delay` must be finite; is inf on (0, 1); clean"),
    ("a kernel", lambda: Stencil([NAN]), "`kernel` must be finite, but entry 0 is nan; clean"),
    ("tau", lambda: Delayed(K, NAN), "`tau` must be finite, but is nan; clean"),
    ("t", lambda: run(t=[0.0, NAN]), "`t` must be finite, but entry 1 is nan; clean"),
    ("t infinite", lambda: run(t=[0.0, INF]), "`t` must be finite, but entry 1 is inf; clean"),
    ("dt", lambda: run(dt=NAN), "`dt` must be finite, but is nan; clean"),
    ("dt infinite", lambda: run(dt=INF), "`dt` must be finite, but is inf; clean"),
    ("atol", lambda: adaptive(atol=NAN), "`atol` must be finite, but is nan; clean"),
    ("noise", lambda: noisy(NAN), "`noise` must be finite, but is nan; clean"),
    ("drive", lambda: run(drive=zeros(N, 2) * NAN), "`drive` must be finite, but entry 0, 0 is nan; clean"),
    (
        "drive at once",
        lambda: run(drive=lambda t: zeros(N, 2) * NAN),
        "`drive(0)` must be finite, but entry 0, 0 is nan",
    ),
    (
        "drive later",
        lambda: run(drive=later(zeros(N, 2), zeros(N, 2) * NAN)),
        "`drive(0.05)` must be finite, but entry 0, 0 is nan; clean",
    ),
    ("history", lambda: delayed(THETA * NAN), "`history` must be finite, but entry 0 is nan; clean"),
    (
        "history before the start",
        lambda: delayed(lambda t: THETA * (NAN if t < -0.01 else 1.0)),
        "`history(-; must be finite, but entry 0 is nan; clean",
    ),
]

WRONG_SHAPE = [
    (
        "ragged state",
        lambda: run(x0=[[1.0, 2.0], [1.0]]),
        "`x0` must be a rectangular array; [[1.0, 2.0], [1.0]]; length",
    ),
    (
        "ragged frequencies",
        lambda: Kuramoto([[1], [1, 2]]),
        "`omega` must be a rectangular array; [[1], [1, 2]]; one length",
    ),
    (
        "ragged matrix",
        lambda: run(coupling=[[1], [1, 2]]),
        "`K` must be a rectangular array; [[1], [1, 2]]; one length",
    ),
    ("0-d state", lambda: run(x0=1.0), "`x0` must have at least 1 axes; but has shape (); one entry per node"),
    (
        "too many phases",
        lambda: run(x0=zeros(5)),
        "`K` must couple the 5 nodes of `x0`, but couples 4; check the last axes",
    ),
    (
        "a column of phases",
        lambda: run(x0=zeros(N, 1)),
        "`K` must couple the 1 nodes of `x0`, but couples 4; check the last",
    ),
    (
        "too few vectors",
        lambda: sphere(VECTORS[:3]),
        "`K` must couple the 3 nodes of `x0`, but couples 4; check the last",
    ),
    (
        "no nodes",
        lambda: run(x0=zeros(0), coupling=1.0),
        "`x0` must have at least one node; but has shape (0,); nothing",
    ),
    ("no members", lambda: run(x0=zeros(0, N)), "`x0` must have at least one node and one run; shape (0, 4); nothing"),
    (
        "frequencies",
        lambda: run(Kuramoto(zeros(3))),
        "`omega` must broadcast to shape (4,); has shape (3,); array of that",
    ),
    (
        "no frequencies",
        lambda: run(Kuramoto([])),
        "`omega` must broadcast to shape (4,); has shape (0,); array of that",
    ),
    (
        "frequencies of an ensemble",
        lambda: run(Kuramoto(zeros(2, N))),
        "`omega` must broadcast to; has shape (2, 4); array",
    ),
    (
        "lags",
        lambda: run(Kuramoto(OMEGA, np.ones(3))),
        "`alpha` must broadcast to shape (4,); has shape (3,); array of that",
    ),
    (
        "masses",
        lambda: run(InertialKuramoto(OMEGA, mass=np.ones(3)), x0=PAIRS),
        "`mass` must broadcast to shape (4,); has shape (3,); array of that",
    ),
    (
        "triadic",
        lambda: run(SimplicialKuramoto(0.0, zeros(3))),
        "`triadic` must broadcast to shape (4,); (3,); array of",
    ),
    (
        "a matrix that is not square",
        lambda: run(coupling=zeros(N, 5)),
        "`K` must have shape (node, node); (4, 5); square",
    ),
    ("a row for a matrix", lambda: run(coupling=zeros(N)), "`K` must have shape (node, node); (4,); square matrix"),
    (
        "an empty matrix",
        lambda: Dense(zeros(0, 0)),
        "`K` must have shape; at least one node, but is (0, 0); square matrix",
    ),
    ("a large matrix", lambda: run(coupling=zeros(5, 5)), "`K` must couple the 4 nodes of `x0`, but couples 5; check"),
    (
        "matrices of no ensemble",
        lambda: run(coupling=zeros(2, N, N)),
        "`K` must have the leading axes of `x0`, (); (2,); each",
    ),
    (
        "matrices of another ensemble",
        lambda: run(coupling=zeros(3, N, N), x0=zeros(2, N)),
        "`K` must have the leading axes of `x0`, (2,); but has (3,); give each",
    ),
    ("strengths", lambda: run(coupling=MeanField(zeros(3))), "`strength` must broadcast to shape (4,); (3,); array of"),
    (
        "strengths of runs",
        lambda: run(coupling=MeanField(zeros(3, 1))),
        "`strength` must have the leading axes; (3,); each",
    ),
    ("sparse, not square", lambda: run(coupling=scipy.sparse.csr_array((3, 4))), "`K` must have shape; (3, 4); square"),
    ("sparse, a row", lambda: run(coupling=scipy.sparse.coo_array(np.ones(4))), "`K` must have shape; (4,); square"),
    (
        "sparse, too large",
        lambda: run(coupling=scipy.sparse.eye_array(5)),
        "`K` must couple the 4 nodes; couples 5; check",
    ),
    (
        "sparse, empty",
        lambda: run(coupling=scipy.sparse.csr_array((0, 0))),
        "`nodes` must be at least 1, but is 0; add",
    ),
    ("a larger graph", lambda: run(coupling=path(5)), "`K` must couple the 4 nodes of `x0`, but couples 5; check"),
    ("an empty graph", lambda: run(coupling=nx.Graph()), "`nodes` must be at least 1, but is 0; add nodes"),
    ("no nodes for links", lambda: Edges([], [], [], 0), "`nodes` must be at least 1, but is 0; add nodes"),
    (
        "a link from nowhere",
        lambda: Edges([0, 4], [1, 1], [1, 1], N),
        "`source` must list node numbers from 0 to 3; has 4",
    ),
    (
        "a negative node",
        lambda: Edges([0], [-1], [1], N),
        "`target` must list node numbers from 0 to 3, but has -1; from 0",
    ),
    (
        "half a node",
        lambda: Edges([0.5], [1], [1], N),
        "`source` must list node numbers from 0 to 3, but has 0.5; from 0",
    ),
    (
        "links as a table",
        lambda: Edges([[0]], [[1]], [[1.0]], N),
        "`source` must be a list; has shape (1, 1); one per link",
    ),
    (
        "lists of links",
        lambda: Edges([0], [1, 1], [1, 1], N),
        "`source`, `target` and `weight` must; (1,), (2,); np.full",
    ),
    ("one weight for all", lambda: Edges([0], [1], 1.0, N), "`weight` must have one entry per link; (); np.full(len"),
    (
        "weights of another ensemble",
        lambda: run(coupling=Edges([0], [1], zeros(3, 1), N)),
        "`weight` must have the leading axes of `x0`, (); (3,); give each",
    ),
    (
        "labels",
        lambda: Edges([0], [1], [1.0], N, {"node": ["a", "b"]}),
        "`node_coords['node']` must have shape (4,), but has (2,); one value per node",
    ),
    (
        "delays of links",
        lambda: Delayed(K, zeros(3, 3)),
        "`tau` must have shape (4, 4) (one per link), but has (3, 3); one",
    ),
    (
        "delays of a list of links",
        lambda: Delayed(Edges([0, 1], [1, 2], [1.0, 1.0], N), zeros(3)),
        "`tau` must have shape (2,) (one per link), but has (3,); one number",
    ),
    ("delays of senders", lambda: delayed(THETA, zeros(3) + 0.1), "`tau` must broadcast to shape (4,); has shape (3,)"),
    ("delays of members", lambda: delayed(THETA, zeros(2, N, N) + 0.1), "`tau` must broadcast to; has shape (2, 4, 4)"),
    (
        "delays of links of a mean field",
        lambda: run(coupling=Delayed(1.0, zeros(N, N) + 0.1), history=THETA),
        "`tau` must be one number or one per sender for MeanField; (4, 4); couple by Dense or Edges",
    ),
    ("an empty kernel", lambda: Stencil([]), "`kernel` must have shape (k,); but is (0,); one weight per neighbour"),
    ("a 0-d kernel", lambda: Stencil(1.0), "`kernel` must have shape (k,); but is (); one weight per neighbour"),
    (
        "a kernel of 5 axes",
        lambda: Stencil(zeros(1, 1, 1, 1, 1)),
        "`kernel` must have shape (k,); (1, 1, 1, 1, 1); weight",
    ),
    ("channels", lambda: Stencil(zeros(2, 3, 3)), "`kernel` must have shape (k,); (C, C, k); but is (2, 3, 3); weight"),
    (
        "a lattice smaller than its kernel",
        lambda: run(coupling=Stencil(zeros(5))),
        "`kernel` must not be larger; (5,) on (4,)",
    ),
    (
        "a line for a torus",
        lambda: run(coupling=Stencil(zeros(3, 3))),
        "`x0` must have at least 2 axes; shape (4,); one entry",
    ),
    (
        "channels of a state",
        lambda: run(Kuramoto(0.0), Stencil(zeros(2, 2, 3)), zeros(3, N)),
        "`kernel` must have as many channels as `x0`, 3, but has 2; (..., channel, lattice)",
    ),
    (
        "phases for vectors",
        lambda: sphere(THETA),
        "`x0` must have at least 2 axes; SphereKuramoto; has shape (4,); per node",
    ),
    ("n = 1", lambda: sphere(np.ones((N, 1))), "`x0` must have at least 2 components; shape (4, 1); np.stack([np.cos"),
    (
        "a number for a rotation",
        lambda: SphereKuramoto(1.0),
        "`rotation` must have shape (n, n); but is (); [[0, -omega]",
    ),
    (
        "rotation, not square",
        lambda: SphereKuramoto(zeros(3, 2)),
        "`rotation` must have shape (n, n); (3, 2); [[0, -omega]",
    ),
    (
        "rotation of n = 1",
        lambda: SphereKuramoto(zeros(1, 1)),
        "`rotation` must have; n >= 2, but is (1, 1); [[0, -omega]",
    ),
    (
        "rotation of other vectors",
        lambda: sphere(rotation=zeros(2, 2)),
        "`rotation` must broadcast to; (4, 3, 3); (2, 2)",
    ),
    (
        "rotation of other nodes",
        lambda: sphere(rotation=zeros(3, 3, 3)),
        "`rotation` must broadcast to; (4, 3, 3); (3, 3, 3)",
    ),
    ("no rotations", lambda: sphere(rotation=zeros(0, 3, 3)), "`rotation` must broadcast to; (4, 3, 3); (0, 3, 3)"),
    (
        "three of a pair",
        lambda: run(InertialKuramoto(0.0), x0=zeros(N, 3)),
        "`x0` must have shape (..., node, 2); (4, 3); np.stack",
    ),
    (
        "one of a pair",
        lambda: run(InertialKuramoto(0.0)),
        "`x0` must have shape (..., node, 2); (4,); np.stack([theta, v]",
    ),
    (
        "a pair along the first axis",
        lambda: run(TopographicOscillators(1.0, 1.0), x0=(THETA, THETA)),
        "`x0` must have shape (..., node, 2) with x and v; (2, 4); np.stack([x, v]",
    ),
    (
        "amplitudes as pairs",
        lambda: run(StuartLandau(1.0, 0.0), x0=PAIRS),
        "`K` must couple the 2 nodes; couples 4; check",
    ),
    (
        "triangles of two",
        lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1]]),
        "`triangles` must have shape (M, 3); (1, 2); a row",
    ),
    ("0-d times", lambda: run(t=1.0), "`t` must be a list of at least two times; but has shape (); np.linspace"),
    ("one time", lambda: run(t=[0.0]), "`t` must be a list of at least two times; but has shape (1,); np.linspace"),
    ("no times", lambda: run(t=[]), "`t` must be a list of at least two times; but has shape (0,); np.linspace"),
    ("times in a table", lambda: run(t=[[0.0, 1.0]]), "`t` must be a list of at least two times; (1, 2); np.linspace"),
    ("two steps", lambda: run(dt=[0.1, 0.1]), "`dt` must be one positive number, but is [0.1, 0.1]; use a step"),
    (
        "tolerances of nodes",
        lambda: adaptive(atol=zeros(N)),
        "`atol` must be one positive number, but is array; defaults",
    ),
    ("noise", lambda: noisy(zeros(3)), "`noise` must broadcast to shape (4,); has shape (3,); array of that shape"),
    (
        "noise of an ensemble",
        lambda: noisy(zeros(2, N)),
        "`noise` must broadcast to shape (4,); has shape (2, 4); array",
    ),
    (
        "noise of components",
        lambda: sphere(method="euler_maruyama", dt=0.05, noise=zeros(N, 3)),
        "`noise` must broadcast to shape (4,); has shape (4, 3); array of",
    ),
    ("drive of one number", lambda: run(drive=1.0), "`drive` must have the 2 components; one number; give all"),
    (
        "drive of nodes",
        lambda: run(drive=zeros(N)),
        "`drive` must broadcast to shape (4, 2); has shape (4,); array of that",
    ),
    (
        "drive of components",
        lambda: run(drive=zeros(N, 3)),
        "`drive` must broadcast to shape (4, 2); has shape (4, 3); array",
    ),
    (
        "drive, returned",
        lambda: run(drive=lambda t: zeros(3, 2)),
        "`drive(0)` must broadcast to shape (4, 2); (3, 2); array",
    ),
    (
        "drive, another shape later",
        lambda: run(drive=later(zeros(N, 2), zeros(3, 2))),
        "`drive(0.05)` must broadcast to shape (4, 2); (3, 2); array of that",
    ),
    (
        "drive, another shape later, adaptive",
        lambda: adaptive(drive=later(zeros(N, 2), zeros(3, 2))),
        "`drive(0.; must broadcast to shape (4, 2); (3, 2); array of that",
    ),
    (
        "complex drive",
        lambda: run(StuartLandau(1.0, 0.0), x0=Z, drive=np.ones(3) * 1j),
        "`drive` must broadcast to shape (4, 2); (3, 2); array of that",
    ),
    (
        "history",
        lambda: delayed(zeros(3)),
        "`history` must broadcast to shape (4,); has shape (3,); array of that shape",
    ),
    ("history of an ensemble", lambda: delayed(zeros(2, N)), "`history` must broadcast to; has shape (2, 4); array of"),
    (
        "history, returned",
        lambda: delayed(lambda t: zeros(3)),
        "`history(0)` must broadcast to shape (4,); (3,); array",
    ),
    (
        "history, another shape before",
        lambda: delayed(lambda t: zeros(N if t > -0.01 else 3)),
        "`history(-; must broadcast to shape (4,); has shape (3,)",
    ),
    (
        "history of other components",
        lambda: sphere(coupling=Delayed(K, 0.1), history=VECTORS[:, :2]),
        "`history` must broadcast to shape (4, 3); has shape (4, 2)",
    ),
    (
        "history without velocities",
        lambda: run(InertialKuramoto(0.0), Delayed(K, 0.1), PAIRS, history=THETA),
        "`history` must have shape (..., node, 2); but is (4,); np.stack([theta, v]",
    ),
    (
        "observe: a mean over everything",
        lambda: run(observe={"r": np.mean}),
        "`observe['r']` must keep the leading axes (times, runs) = (1, 1); returned shape (); axis=-1",
    ),
    (
        "observe: a sum over times",
        lambda: run(observe={"r": lambda x: x.sum(0)}),
        "`observe['r']` must keep the leading axes; returned shape (1, 4); axis=-1",
    ),
    (
        "observe: another shape later",
        lambda: run(observe={"r": observed_later}),
        "`observe['r']` must always return one shape; (2,) after (); pad it",
    ),
]

WRONG_VALUE = [
    (
        "masked entries",
        lambda: run(x0=np.ma.array(THETA, mask=[0, 1, 0, 0])),
        "`x0` must have no masked entries; 1; .filled(",
    ),
    (
        "masked weights",
        lambda: run(coupling=np.ma.array(K, mask=K > 0)),
        "`K` must have no masked entries; 16; K.filled(",
    ),
    (
        "vectors of length 2",
        lambda: sphere(2 * VECTORS),
        "`x0` must hold unit vectors; length 2; divide by np.linalg.norm(x0",
    ),
    (
        "vectors of length 0",
        lambda: sphere(0 * VECTORS),
        "`x0` must hold unit vectors; length 0; divide by np.linalg.norm",
    ),
    (
        "history off the sphere",
        lambda: sphere(coupling=Delayed(K, 0.1), history=2 * VECTORS),
        "`history` must hold unit vectors; length 2; divide by np.linalg.norm(history",
    ),
    (
        "a symmetric rotation",
        lambda: SphereKuramoto(np.eye(3)),
        "`rotation` must be antisymmetric; size 2; (R - R.T) / 2",
    ),
    (
        "no mass",
        lambda: InertialKuramoto(0.0, mass=0.0),
        "`mass` must be positive, but its smallest entry is 0; Kuramoto",
    ),
    ("negative mass", lambda: InertialKuramoto(0.0, mass=[1.0, -1.0]), "`mass` must be positive; is -1; use Kuramoto"),
    (
        "negative mass, tensor",
        lambda: InertialKuramoto(0.0, torch.tensor(-1.0)),
        "`mass` must be positive; is -1; Kuramoto",
    ),
    (
        "negative damping",
        lambda: InertialKuramoto(0.0, damping=-1.0),
        "`damping` must be 0 or positive; is -1; of your own",
    ),
    (
        "a corner twice",
        lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1, 1]]),
        "`triangles` must join three different nodes; [0, 1, 1]",
    ),
    (
        "a triangle twice",
        lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1, 2], [2, 1, 0]]),
        "`triangles` must name each triangle once; [0, 1, 2] 2 times; drop",
    ),
    (
        "a negative corner",
        lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1, -2]]),
        "`triangles` must hold node numbers; -2; from 0",
    ),
    (
        "half a corner",
        lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1, 1.5]]),
        "`triangles` must hold node numbers; 1.5; from 0",
    ),
    (
        "a huge corner",
        lambda: SimplicialKuramoto(0.0, 1.0, [[0, 1, 2**40]]),
        "`triangles` must hold node numbers; e+12; from",
    ),
    (
        "a corner outside",
        lambda: run(SimplicialKuramoto(0.0, 1.0, [[0, 1, 4]])),
        "`triangles` must name nodes 0 to 3, but names 4; from 0",
    ),
    (
        "an ambiguous node order",
        lambda: as_coupling(SHUFFLED),
        "`graph` must list its nodes 0 ... 3; [2, 1, 0, 3]; relabel",
    ),
    (
        "a delay missing",
        lambda: as_coupling(path(delay=0.1)),
        "`delay` must be set on every edge; None on (1, 2); set_edge",
    ),
    (
        "no weight",
        lambda: as_coupling(path(weight=None)),
        "`weight` must be a number; None on the edge (0, 1); set it",
    ),
    (
        "a negative delay",
        lambda: as_coupling(path(2, delay=-1.0)),
        "`delay` must be; not negative; -1.0 on (0, 1); clean",
    ),
    (
        "a negative tau",
        lambda: Delayed(K, -0.1),
        "`tau` must be 0 or positive, but its smallest entry is -0.1; drop the sign",
    ),
    (
        "tau below dt",
        lambda: delayed(THETA, 0.01),
        "`tau` must be 0 or at least one step (dt = 0.05); is 0.01; lower `dt`",
    ),
    ("no history", delayed, "`history` must be given; (longest tau 0.1), but is None; history=x0"),
    ("delays twice", lambda: Delayed(Delayed(K, 0.1), 0.1), "`coupling` must not be Delayed already, but is; drop"),
    (
        "a delayed difference",
        lambda: Delayed(Diffusive(K), 0.1),
        "`coupling` must not be Diffusive; Diffusive(Delayed(K, tau))",
    ),
    (
        "differences twice",
        lambda: Diffusive(Diffusive(K)),
        "`coupling` must not be Diffusive already, but is; Diffusive(K)",
    ),
    (
        "an unknown boundary",
        lambda: Stencil([1.0], "mirror"),
        "`boundary` must be one of 'periodic', 'zero'; 'mirror'; choose",
    ),
    ("no boundary", lambda: Stencil([1.0], None), "`boundary` must be one of 'periodic', 'zero', but is None; choose"),
    (
        "unsorted times",
        lambda: run(t=[0.0, 2.0, 1.0]),
        "`t` must increase strictly, but t[1] = 2; t[2] = 1; np.unique(t)",
    ),
    (
        "repeated times",
        lambda: run(t=[0.0, 1.0, 1.0]),
        "`t` must increase strictly, but t[1] = 1; t[2] = 1; np.unique(t)",
    ),
    ("backwards", lambda: run(t=[1.0, 0.0]), "`t` must increase strictly, but t[0] = 1; t[1] = 0; sort it"),
    ("no dt", lambda: run(dt=None), "`dt` must be given for the fixed-step method 'rk4', but is None; dt=0.01"),
    ("dt = 0", lambda: run(dt=0.0), "`dt` must be one positive number, but is 0.0; use a step"),
    ("negative dt", lambda: run(dt=-0.1), "`dt` must be one positive number, but is -0.1; use a step"),
    (
        "dt below the spacing of t",
        lambda: run(dt=1e-20),
        "`dt` must be at least the spacing; t = 0.2; is 1e-20; larger",
    ),
    (
        "dt for an adaptive method",
        lambda: adaptive(dt=0.1),
        "`dt` must be None; 'tsit5', but is 0.1; set rtol and atol",
    ),
    ("rtol = 0", lambda: adaptive(rtol=0), "`rtol` must be one positive number, but is 0; defaults"),
    ("negative atol, unused", lambda: run(atol=-1.0), "`atol` must be one positive number, but is -1.0; defaults"),
    (
        "an unknown method",
        lambda: run(method="rk45"),
        "`method` must be one of 'euler'; 'tsit5', but is 'rk45'; choose",
    ),
    ("no method", lambda: run(method=None), "`method` must be one of 'euler'; but is None; choose"),
    (
        "several methods",
        lambda: run(method=np.array(["rk4", "heun"])),
        "`method` must be one of 'euler'; array; choose",
    ),
    (
        "on_failure",
        lambda: run(on_failure="ignore"),
        "`on_failure` must be one of 'warn', 'raise', but is 'ignore'; choose",
    ),
    ("adaptive with noise", lambda: adaptive(noise=0.1), "`noise` must be None; 'tsit5', but is 0.1; stochastic_heun"),
    ("rk4 with noise", lambda: run(noise=0.1), "`method` must be one of euler_maruyama; `noise`, but is 'rk4'; choose"),
    ("no noise", lambda: noisy(None), "`noise` must be given for 'euler_maruyama', but is None; use 'euler'"),
    (
        "negative noise",
        lambda: noisy(-0.1),
        "`noise` must be 0 or positive, but its smallest entry is -0.1; absolute value",
    ),
    ("negative seed", lambda: noisy(rng=-1), "`rng` must be 0 or positive, but is -1; another seed"),
    (
        "adaptive with delay",
        lambda: run(coupling=Delayed(K, 0.1), history=THETA, method="dopri5"),
        "`method` must have fixed steps when `tau` > 0, but is 'dopri5'; use 'rk4'",
    ),
    (
        "adaptive with delayed differences",
        lambda: run(coupling=Diffusive(Delayed(K, 0.1)), history=THETA, method="tsit5"),
        "`method` must have fixed steps when `tau` > 0, but is 'tsit5'; use 'rk4'",
    ),
    (
        "semi-implicit of first order",
        lambda: run(method="semi_implicit_euler", dt=0.1),
        "`method` must not be 'semi_implicit_euler' for Kuramoto; second-order; use 'euler'",
    ),
    (
        "a reserved name",
        lambda: run(observe={"time": np.cos}),
        "`observe` must not use a name; time; but uses 'time'; another",
    ),
    (
        "a name that is a number",
        lambda: run(observe={1: np.cos}),
        "`observe` must not use a name that is no word; uses 1; another",
    ),
]


def sentence(call, kind):
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind  # a subclass would be some NumPy error
    return str(error.value)


def rows(table):
    return pytest.mark.parametrize(("call", "words"), [pytest.param(c, w, id=i) for i, c, w in table])


def check(message, words):
    assert re.match(r"`.+` must .+; .+[.]$", message), message
    pattern = ".*".join(re.escape(part.strip()) for part in words.split(";"))
    assert re.search(pattern, message), f"\n{message}\nlacks\n{words}"


@rows(WRONG_KIND)
def test_a_wrong_kind_is_a_type_error(call, words):
    check(sentence(call, TypeError), words)


@rows(NOT_FINITE)
def test_nan_and_infinity_are_found_at_the_border(call, words):
    check(sentence(call, ValueError), words)


@rows(WRONG_SHAPE)
def test_a_wrong_shape_is_named_with_the_right_one(call, words):
    check(sentence(call, ValueError), words)


@rows(WRONG_VALUE)
def test_a_wrong_value_is_named_with_its_repair(call, words):
    check(sentence(call, ValueError), words)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: run(tolerance=1e-6), "tolerance"),
        (lambda: Kuramoto(w=OMEGA), "w"),
        (lambda: MeanField(1.0, normalise=True), "normalise"),
        (lambda: simulate(PHASES, K, THETA, TIMES, "rk4"), "positional"),
    ],
)
def test_unknown_arguments_are_type_errors_of_python(call, word):
    assert word in sentence(call, TypeError)


# ---- what a user's own code returns


@dataclass(frozen=True)
class Own(System):
    """A system whose law, lift or projection does what `returns` says."""

    part: str
    returns: object

    def __post_init__(self):
        """Nothing to check: the fields are no parameters."""

    def params(self):
        return ()

    def law(self, t, x, h):
        return self.returns(x) if self.part == "law" else -x

    def lift(self, x):
        return self.returns(x) if self.part == "lift" else x[:, None]

    def project(self, x):
        return self.returns(x) if self.part == "project" else x


@pytest.mark.parametrize("part", ["law", "lift", "project"])
@pytest.mark.parametrize("method", [{"method": "heun", "dt": 0.1}, {"method": "dopri5"}])
@pytest.mark.parametrize(
    ("returns", "kind", "words"),
    [
        (lambda x: x[:-1], ValueError, "must return shape (4; but returned (3,)"),
        (lambda x: np.stack([x, x]), ValueError, "must return shape (4; but returned (2, 4)"),
        (lambda x: 1.0, ValueError, "must return shape (4; but returned ()"),
        (lambda x: None, TypeError, "must return real numbers of shape (4; but returned None"),
        (lambda x: "a", TypeError, "must return real numbers of shape (4; but returned 'a'"),
        (lambda x: x * 1j, TypeError, "must return real numbers of shape (4; but returned array"),
    ],
)
def test_the_users_method_that_returns_nonsense_is_named(part, method, returns, kind, words):
    system = Own(part, returns)
    check(sentence(lambda: run(system, **method), kind), f"`Own.{part}` {words}")


class Field(Coupling):
    def __init__(self, returns):
        self.field = returns


@pytest.mark.parametrize("wrap", [lambda c: c, Diffusive])
@pytest.mark.parametrize(
    ("returns", "kind", "words"),
    [
        (lambda g: g[:-1], ValueError, "must return shape (4, 2), but returned (3, 2)"),
        (lambda g: g[:, 0], ValueError, "must return shape (4, 2), but returned (4,)"),
        (lambda g: None, TypeError, "must return real numbers of shape (4, 2), but returned None"),
    ],
)
def test_the_users_coupling_that_returns_nonsense_is_named(wrap, returns, kind, words):
    check(sentence(lambda: run(coupling=wrap(Field(returns))), kind), f"`Field.field` {words}")


def test_a_delayed_coupling_has_no_field_of_one_moment():
    check(
        sentence(lambda: Delayed(K, 0.1).field(zeros(N, 2)), TypeError),
        "`coupling` must act at once, but is Delayed; run it with simulate",
    )


def test_a_law_or_field_that_is_missing_is_named():
    assert "`System` must define law(t, x, h)" in sentence(lambda: run(System()), TypeError)
    assert "`Coupling` must define field(g)" in sentence(lambda: run(coupling=Coupling()), TypeError)


def changed(x):
    x *= 0.0
    return x


@pytest.mark.parametrize(
    "call",
    [
        lambda: run(Own("law", changed)),
        lambda: run(coupling=Field(changed)),
        lambda: run(observe={"r": lambda x: changed(x).sum(axis=-1)}),
    ],
    ids=["law", "field", "observe"],
)
def test_user_code_cannot_change_the_run_through_its_arguments(call):
    assert "read-only" in sentence(call, ValueError)


class Boom(Exception):
    pass


def boom(*arguments):
    raise Boom


@pytest.mark.parametrize(
    "call",
    [
        lambda: run(drive=boom),
        lambda: delayed(boom),
        lambda: run(observe={"r": boom}),
        lambda: run(Own("law", boom)),
        lambda: run(Own("law", boom), x0=np.stack([THETA] * 3)),
        lambda: run(coupling=Field(boom)),
    ],
    ids=["drive", "history", "observe", "law", "law of an ensemble", "field"],
)
def test_errors_of_user_code_arrive_as_they_are(call):
    with pytest.raises(Boom):
        call()


def test_words_among_the_fields_of_a_users_system_are_kept_in_the_result():
    @dataclass(frozen=True)
    class Named(System):
        name: str

        def __post_init__(self):
            """The name is no number."""

        def params(self):
            return ()

        def law(self, t, x, h):
            return -x

    assert run(Named("decay")).attrs["name"] == "decay"


# ---- unusual input that means something


METHODS = ({"method": "rk4", "dt": 0.05}, {"method": "tsit5"})
PLAIN = [run(**how).theta.values for how in METHODS]


@pytest.mark.parametrize(
    "same",
    [
        lambda a: a.tolist(),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.frombuffer(a.tobytes()).reshape(a.shape),  # read-only
        lambda a: a.astype(">f8"),
        lambda a: a.astype(np.longdouble),
        lambda a: np.ma.array(a),
        torch.tensor,
        lambda a: torch.tensor(np.repeat(a, 2, axis=-1))[..., ::2],
        lambda a: torch.nn.Parameter(torch.tensor(a), requires_grad=False),
        lambda a: xr.DataArray(a),
        lambda a: (pd.Series if a.ndim == 1 else pd.DataFrame)(a),
    ],
    ids=[
        "list", "Fortran", "strided", "reversed", "read-only", "big-endian", "long double", "unmasked", "tensor",
        "strided tensor", "parameter", "DataArray", "pandas",
    ],
)  # fmt: skip
def test_every_kind_of_array_gives_the_same_numbers(same):
    for how, plain in zip(METHODS, PLAIN, strict=True):
        result = run(Kuramoto(same(OMEGA)), same(K), same(THETA), same(TIMES), **how)
        assert np.array_equal(result.theta.values, plain)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, torch.float32, torch.bfloat16])
def test_single_precision_is_computed_in_double(dtype):
    is_tensor = isinstance(dtype, torch.dtype)
    x0 = torch.tensor(THETA).to(dtype) if is_tensor else THETA.astype(dtype)
    wide = x0.double().numpy() if is_tensor else x0.astype(float)
    result = run(x0=x0)
    assert result.theta.dtype == np.float64
    assert np.array_equal(result.theta.values, run(x0=wide).theta.values)


def test_a_matrix_object_is_a_matrix_and_not_an_operator():
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(K)
    assert np.array_equal(run(coupling=matrix).theta.values, PLAIN[0])


def test_tensors_in_every_argument_are_converted():
    x = torch.tensor(VECTORS)
    coupling = Delayed(torch.tensor(K), torch.tensor(0.1))
    arguments = {"drive": torch.zeros(N, 3), "history": x}
    result = sphere(x, torch.tensor(ROTATION), coupling=coupling, **arguments)
    tau = float(torch.tensor(0.1))  # single precision
    same = sphere(VECTORS, ROTATION, coupling=Delayed(K, tau), drive=zeros(N, 3), history=VECTORS)
    assert np.array_equal(result.x.values, same.x.values)


def test_conjugated_tensors_are_read_as_they_print():
    system = StuartLandau(1.0, OMEGA)
    result = run(system, x0=torch.tensor(Z).conj())
    assert np.array_equal(result.z.values, run(system, x0=Z.conj()).z.values)


def test_whole_numbers_are_frequencies_weights_and_times():
    result = run(Kuramoto(np.arange(N)), np.ones((N, N), int), t=[0, 1])
    same = run(Kuramoto(np.arange(N) * 1.0), np.ones((N, N)), t=[0.0, 1.0])
    assert np.array_equal(result.theta.values, same.theta.values)


def test_whole_numbers_are_vectors_and_amplitudes():
    assert (sphere(np.eye(3, dtype=int)[[0, 1, 2, 0]]).x.values == sphere().x.values).all()
    assert (run(StuartLandau(1.0, 0.0), x0=np.ones(N, int)).status == 0).all()


def test_a_number_of_a_graph_may_be_any_real_number():
    for one in (1, 1.0, True, np.float32(1.0), np.int8(1)):
        assert np.array_equal(as_coupling(path(weight=one)).weight, np.ones(2 * (N - 1)))


def test_self_loops_and_negative_weights_are_links_like_others():
    graph = nx.Graph([(0, 1, {"weight": -2.0}), (1, 2), (2, 3), (3, 3)])
    matrix = nx.to_numpy_array(graph)
    assert matrix[3, 3] == 1.0
    g = np.random.default_rng(0).normal(size=(N, 2))
    # sums of four products of numbers of size 1: a few units in the last place
    assert np.allclose(as_coupling(graph).field(g), matrix @ g, rtol=0, atol=1e-15)
    assert (run(coupling=graph).status == 0).all()


def test_a_network_without_links_moves_freely():
    free = run(coupling=0.0).theta.values
    empty = (Edges([], [], [], N), nx.empty_graph(N), scipy.sparse.csr_array((N, N)), zeros(N, N))
    for coupling in empty:
        assert np.array_equal(run(coupling=coupling).theta.values, free)
        assert np.array_equal(
            run(coupling=coupling, method="tsit5").theta.values, run(coupling=0.0, method="tsit5").theta
        )


def test_delays_of_absent_links_do_not_matter():
    matrix = zeros(N, N)
    tau = np.full((N, N), 0.1)
    assert np.array_equal(
        run(coupling=Delayed(matrix, tau), history=THETA).theta.values, run(coupling=matrix).theta.values
    )
    matrix[0, 1], tau[0, 1] = 1.0, 0.0
    assert np.array_equal(
        run(coupling=Delayed(matrix, tau), history=THETA).theta.values, run(coupling=matrix).theta.values
    )


@pytest.mark.parametrize("none", [[], zeros(0, 3)])
def test_an_empty_list_of_triangles_is_no_triangle_and_not_all_of_them(none):
    system = SimplicialKuramoto(OMEGA, 5.0, none)
    x, h = THETA, zeros(N, 2)
    assert np.array_equal(system.law(0.0, x, h), OMEGA)
    # a step of N numbers of size 1
    assert np.allclose(run(system, 0.0).theta.values, run(Kuramoto(OMEGA), 0.0).theta.values, rtol=0, atol=1e-15)


def test_triangles_may_be_a_tensor():
    for triangles in (torch.tensor([[0, 1, 2]]), torch.tensor([[0.0, 1.0, 2.0]])):
        assert np.array_equal(SimplicialKuramoto(0.0, 1.0, triangles).triangles, [[0, 1, 2]])


def test_coordinates_of_nodes_may_be_plain_lists():
    result = run(coupling=Edges([0], [1], [1.0], N, {"node": list("abcd"), "height": [1, 2, 3, 4]}))
    assert result.node.values.tolist() == list("abcd")
    assert result.height.dims == ("node",)


def test_rotations_and_triangles_are_shared_by_an_ensemble_with_a_users_coupling():
    coupling = Field(lambda g: K @ g)
    for system, x0 in (
        (SphereKuramoto(ROTATION), np.stack([VECTORS, VECTORS[::-1]])),
        (SimplicialKuramoto(OMEGA, 1.0, [[0, 1, 2], [1, 2, 3]]), np.stack([THETA, THETA[::-1]])),
    ):
        both = run(system, coupling, x0)
        for member in range(2):
            alone = run(system, coupling, x0[member])
            assert np.array_equal(both[system.variables[0]].values[member], alone[system.variables[0]].values)


def test_one_oscillator_is_a_network():
    assert np.allclose(run(Kuramoto(1.0), 1.0, [0.0]).theta.values[:, 0], TIMES, rtol=0, atol=1e-15)  # θ = ωt


def test_checking_input_does_not_import_torch():
    code = "import sys, numpy as np, oscillators as o; o.simulate(o.Kuramoto(0.), 1., np.zeros(2), [0, 1], dt=1.); "
    subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=True)
