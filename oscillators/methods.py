"""Integration methods as tables of numbers; the loops that use them are in `oscillators.loops`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from oscillators.kernels import F1, F2, types


class Tableau(NamedTuple):
    """An explicit Runge-Kutta method.

    Stage s: k_s = f(t + c_s dt, x + dt Σ_j a_sj k_j);  step: x + dt Σ_s b_s k_s;  error estimate: dt Σ_s e_s k_s;
    inside a step, at the fraction p of it: x + dt Σ_s (Σ_q d_sq p^(q+1)) k_s. Fixed-step methods have no e and d.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    e: np.ndarray
    d: np.ndarray


TABLEAU = types.NamedTuple([F2, F1, F1, F1, F2], Tableau)


def _tableau(a, b, e=(), d=((),)) -> Tableau:
    stages = len(b)
    square = np.zeros((stages, stages))
    for s, row in enumerate(a, start=1):
        square[s, : len(row)] = row
    # The nodes c are the row sums of a, so they cannot disagree with them.
    return Tableau(square, np.array(b, float), square.sum(axis=1), np.array(e, float), np.array(d, float))


EULER = _tableau([], [1.0])
HEUN = _tableau([[1.0]], [0.5, 0.5])  # the explicit trapezoidal rule; others call midpoint or Ralston's rule Heun
RK4 = _tableau([[0.5], [0.0, 0.5], [0.0, 0.0, 1.0]], [1 / 6, 1 / 3, 1 / 3, 1 / 6])  # the classical rule, not 3/8

# Dormand and Prince 1980, order 5(4); interpolant of order 4: Shampine 1986.
_DOPRI5_B = [35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0]
DOPRI5 = _tableau(
    [
        [1 / 5],
        [3 / 40, 9 / 40],
        [44 / 45, -56 / 15, 32 / 9],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
        _DOPRI5_B[:6],
    ],
    _DOPRI5_B,
    [71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40],
    [
        [1.0, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432],
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799],
        [0.0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072],
        [0.0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632],
        [0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844],
        [0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423],
    ],
)

# Tsitouras 2011, order 5(4) with its own interpolant of order 4.
_TSIT5_B = [
    0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774, 0.0,
]  # fmt: skip


def _factored(scale: float, *factors: tuple[float, ...]) -> list[float]:
    """Coefficients of p, p², p³, p⁴ of a product of polynomials given by ascending coefficients."""
    product = np.array([scale])
    for factor in factors:
        product = np.convolve(product, factor)
    return list(np.pad(product, (0, 5 - len(product)))[1:])


TSIT5 = _tableau(
    [
        [0.161],
        [-0.008480655492356989, 0.335480655492357],
        [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
        [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
        [5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383],
        _TSIT5_B[:6],
    ],
    _TSIT5_B,
    [
        -0.00178001105222577714, -0.0008164344596567469, 0.007880878010261995, -0.1447110071732629,
        0.5823571654525552, -0.45808210592918697, 1 / 66,
    ],
    [
        _factored(-1.0530884977290216, (0, 1), (-1.3299890189751412, 1), (0.7139816917074209, -1.4364028541716351, 1)),
        _factored(0.1017, (0, 0, 1), (1.2949852507374631, -2.1966568338249754, 1)),
        _factored(2.490627285651252793, (0, 0, 1), (1.57803468208092486, -2.38535645472061657, 1)),
        _factored(-16.54810288924490272, (0, 0, 1), (-1.21712927295533244, 1), (-0.61620406037800089, 1)),
        _factored(47.37952196281928122, (0, 0, 1), (-1.203071208372362603, 1), (-0.658047292653547382, 1)),
        _factored(-34.87065786149660974, (0, 0, 1), (-1.2, 1), (-2 / 3, 1)),
        _factored(2.5, (0, 0, 1), (-1.0, 1), (-0.6, 1)),
    ],
)  # fmt: skip

FIXED = {
    "euler": EULER,
    "heun": HEUN,
    "rk4": RK4,
    "semi_implicit_euler": EULER,  # v first, then x with the new v: symplectic for conservative second-order systems
    "euler_maruyama": EULER,
    "stochastic_heun": HEUN,
}
ADAPTIVE = {"dopri5": DOPRI5, "tsit5": TSIT5}
STOCHASTIC = ("euler_maruyama", "stochastic_heun")
