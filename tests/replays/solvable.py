"""The exactly solvable complex network, replayed: flow and modes, designed inputs, segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis import order_parameter
from neural.waves import segmentation, solvable
from oscillators import Kuramoto, simulate
from tests.replays.file import Golden, Output

PHASE = 1e-7  # rad, after some hundred steps


def kuramoto(golden: Golden) -> dict[str, Any]:
    """Kuramoto by Euler steps, the normalised flow, the exact linear one, modes."""
    meta, given = golden.meta, golden.inputs
    A, omega, hetero, theta0, t = (given[name] for name in ("A", "omega", "omega_hetero", "theta0", "t"))
    every, dt = meta["stored_every"], meta["dt"]
    K, start = solvable.complex_coupling(A, meta["eps"], meta["phi"]), np.exp(1j * theta0)
    euler = simulate(
        Kuramoto(omega, meta["phi"]), meta["eps"] * A, theta0, t[::every], method="euler", dt=dt * (1 + 1e-9)
    ).theta.values
    own, modes = golden.outputs, solvable.modes(K)
    normalised = _steps(start, dt, K, omega, len(t) // every, every)
    split = _steps(start, dt, K, hetero, len(t) // every, every, split=True)
    return {
        "K": K,
        "eigvec": modes.vectors,
        "eigval": modes.rates,
        "theta_euler": _near(euler, own["theta_euler"]),
        "theta_normalised": _near(np.angle(normalised), own["theta_normalised"]),
        "x_exact": solvable.evolve(start, t[::every], K, omega),
        "x_exact_hetero": solvable.evolve(start, t[::every], K, hetero),
        "theta_split_hetero": _near(np.angle(split), own["theta_split_hetero"]),
        "modes": modes.contributions(normalised),
        "order_parameter_euler": order_parameter(euler),
        "order_parameter_normalised": order_parameter(np.angle(normalised)),
    }


def _steps(x: Any, dt: float, K: Any, omega: Any, times: int, every: int, split: bool = False) -> np.ndarray:
    states = [x]
    for _ in range(times):
        states.append(solvable.kuramoto_step(states[-1], dt, K, omega, steps=every, split=split))
    return np.stack(states)


def _near(phase: np.ndarray, golden: np.ndarray) -> Output:
    """The phase within π of the golden one: turns do not count."""
    return Output(golden + np.angle(np.exp(1j * (phase - golden))), 1e-10, 1.0)


def design(golden: Golden) -> dict[str, Any]:
    """Initial states that reach a target, the way there, and two of them at once."""
    meta, given = golden.meta, golden.inputs
    A = solvable.power_law_ring(meta["N"], meta["alpha"])
    K, omega, T = solvable.complex_coupling(A, meta["eps"], meta["phi"]), 2 * np.pi * meta["f_hz"], meta["T"]
    x0, a, b = (solvable.design_input(given[name], T, K, omega) for name in ("x_target", "target_a", "target_b"))
    x = solvable.evolve(x0, given["t"], K, omega)
    groups = np.angle(x).reshape(len(x), meta["groups"], -1)
    cluster = np.angle(solvable.evolve(np.stack([a, b, a + b]), T, K, omega))[:, slice(*meta["cluster"])]
    return {
        "A": A,
        "K_first_row": K[0],
        "eigval": solvable.modes(K).rates,
        "x0": x0,
        "x": x,
        "group_order": order_parameter(groups),
        "x0_a": a,
        "x0_b": b,
        "cluster_order_abc": order_parameter(cluster),
    }


def segments(golden: Golden) -> dict[str, Any]:
    """Two layers of waves on an image, whose pixels the file counts down the columns."""
    meta, image = golden.meta, golden.inputs["image"]
    far, near = (segmentation.Layer(*pair) for pair in zip(golden.inputs["alpha"], golden.inputs["sigma"], strict=True))
    x0 = golden.inputs["x0"].reshape(image.shape, order="F")
    end, last = meta["nt"]
    first = segmentation.propagate(x0, image, far, end - 1)
    mask = segmentation.foreground(first.x[-1])
    second = segmentation.propagate(x0, image, near, last - end, mask)
    x = np.stack([_columns(state) for state in (x0, *first.x, *second.x)])
    scale = np.concatenate([[0.0], first.log_scale, second.log_scale])
    steps, inside = golden.outputs["steps"], _columns(mask)
    starts = np.arange(end, last - meta["window"] + 1, meta["step"])
    window = x[starts[-1] - 1 : starts[-1] + meta["window"]][:, inside]
    rho = segmentation.similarity(window)
    with np.errstate(divide="ignore"):
        amplitude = np.where(x[steps] == 0, 0.0, np.log(np.abs(x[steps])) + scale[steps, None])
    values, axes = np.linalg.eigvalsh(rho), segmentation.projection(golden.outputs["rho_last"])
    turning = segmentation.matrix(image.shape, near)[np.ix_(mask.ravel(), mask.ravel())] + np.diag(1j * image[mask])
    return {
        "K1_row0": segmentation.matrix(image.shape, far)[0],
        "K2_row0": segmentation.matrix(image.shape, near)[0],
        "steps": steps,
        "window_starts_1based": starts,
        "background": ~inside,
        "phase": Output(_near(np.angle(x[steps]).T, golden.outputs["phase"]).value, PHASE, 1.0),
        "log_amplitude": amplitude.T,
        "rho_last": Output(rho, 1e-6, 1.0),
        "rho_eigvals": Output(values[np.argsort(-np.abs(values))], 1e-6),
        "projection": Output(axes * np.sign((axes * golden.outputs["projection"]).sum(0)), 1e-6),
        "leading_abs_eig_layer2": np.sort(np.abs(np.linalg.eigvals(turning)))[::-1][:10],
    }


def _columns(x: np.ndarray) -> np.ndarray:
    return x.ravel(order="F")


REPLAYS = {"cvnn_kuramoto": kuramoto, "cvnn_design": design, "cvnn_segmentation": segments}
