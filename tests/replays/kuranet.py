"""KuraNet, replayed: couplings, trajectories, whole runs, losses, gradients, trained networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchdiffeq
from torch import Tensor

import analysis
from neural.checkpoints import load_kuranet
from neural.kuranet import Horizon, KuraNet, Oscillators, Points, cohn, normalize_couplings, run
from neural.kuranet.model import before
from oscillators import Delayed, Dense, Kuramoto, integrate
from tests.replays.file import Golden, Output

KINDS = {"node": "softmax", "graph": "l2", "l1": "l1", "none": "none"}  # published name: ours
OFFSET = 1e-6  # that the published code adds to C_x
RECORDS = ("train_", "bd_")  # the training that made the weights; the two best dice of which `sbd` is the smaller
CIRCULAR = "sbd_of_circular_kmeans_k"
STIFF = 1e-8  # with a burn-in at h = 15, which amplifies rounding


def coupling(golden: Golden) -> dict[str, Any]:
    """Logits and couplings of given features, and what training mode leaves behind."""
    meta, x = golden.meta, golden.tensor("x")
    network = load_kuranet(golden.weights).train(meta["batchnorm_mode"] == "train")
    with torch.no_grad():
        Z = network(x)
    K = normalize_couplings(Z, KINDS[meta["normalize"]], meta["avg_deg"], meta["symmetric"])
    return {
        "logits": Z,
        "K": K,
        "K_l1_paper": normalize_couplings(Z, "l1"),
        "c_x": analysis.graph_autocorrelation(x, K) + OFFSET,
        "fan_in": K.mean(dim=0),
        "abs_in_degree": K.abs().sum(dim=1),
        "total": K.sum(),
        **_after(network),
    }


def trajectory(golden: Golden) -> dict[str, Any]:
    """Runs of given couplings, by several methods."""
    network, dt = Network(golden.inputs), golden.meta["h"]
    t = dt * np.arange(golden.meta["steps"] + 1)
    euler = network.run(t, method="euler", dt=dt)
    if "tau" in golden.inputs:
        return {"theta_euler": euler}
    exact = network.run(t[[0, -1]], method="dopri5", rtol=1e-12, atol=1e-13)[-1]
    return {
        "theta_euler": euler,
        "theta_rk4_classic": network.run(t, method="rk4", dt=dt),
        "theta_rk4_38": network.run(t, method="rk4_38", dt=dt, gradient="backprop"),
        "theta_midpoint": network.run(t, method="midpoint", dt=dt, gradient="backprop"),
        "theta_exact_last": Output(exact, 1e-8),  # the file's own error: SciPy's methods and ours agree to 1e-11
        "velocity_at_theta0": network.velocity(0.0, network.theta),
        "V_euler": analysis.circular_variance(euler),
    }


def whole_run(golden: Golden) -> dict[str, Any]:
    """From features to the loss and its gradient in training mode, as published."""
    meta, nodes = golden.meta, _nodes(golden)
    _known(meta, "model", "full", "xy")
    _known(meta, "K_index", "symmetric")
    _known(meta, "loss", "cluster" if isinstance(nodes, Points) else "circular_variance")
    model = KuraNet(
        load_kuranet(golden.weights), KINDS[meta["normalize"]], meta.get("avg_deg", 1.0), per_node=meta["model"] == "xy"
    )
    model.train()
    horizon = Horizon(meta["h"], meta["burn_in_points"], meta["grad_points"])
    K = model.couplings(nodes.x)
    K.retain_grad()
    acting = K / len(nodes) if model.per_node else K
    parts = run(acting, nodes, _start(golden), horizon)
    loss = nodes.loss(parts.window)
    loss.backward(retain_graph=True)
    tolerance = STIFF if horizon.burn_in and horizon.dt > 1 else 1e-9
    gradient = _weight_gradient(model)
    outputs = {
        "traj_raw": torch.cat([part for part in parts if len(part) > 1]),
        "loss": loss,
        "grad_K": K.grad,
        "grad_norm": torch.stack([g.norm() for g in gradient.values()]).norm(),
    }
    outputs = {name: Output(value, tolerance) for name, value in outputs.items()}
    outputs |= _gradients(golden, "grad", gradient, tolerance)
    if any(name.startswith("grad_contadj/") for name in golden.outputs):
        model.zero_grad()
        nodes.loss(_published_adjoint(acting, parts.window[0].detach(), horizon)).backward()
        outputs |= _gradients(golden, "grad_contadj", _weight_gradient(model), tolerance)
    return outputs | {"K": K, "c_x": analysis.graph_autocorrelation(nodes.x, K) + OFFSET, **_after(model.network)}


def losses(golden: Golden) -> dict[str, Any]:
    """Losses of given phases, and their gradients."""
    theta, labels, k = golden.tensor("phases"), golden.tensor("labels"), golden.meta["k"]
    groups = [theta[:, labels == group] for group in range(k)]
    psi = torch.stack([analysis.mean_phase(group) for group in groups], dim=-1)
    cluster, paper = (analysis.cluster_synchrony(theta, labels, k=k, normalize=n) for n in ("bound", "paper"))
    late = theta[3:].requires_grad_()
    late_cluster = analysis.cluster_synchrony(late, labels, k=k).mean()
    late_variance = analysis.circular_variance(late).mean()
    terms = [k * analysis.daido_moment(psi, g).abs() ** 2 / (2 * g**2) for g in range(1, k // 2 + 1)]
    return {
        "cluster_loss_per_time": cluster,
        "cluster_loss_rows3plus": late_cluster,
        "grad_cluster_rows3plus": torch.autograd.grad(late_cluster, late)[0],
        "group_variance": torch.stack([analysis.circular_variance(group) for group in groups], dim=-1),
        "group_angle": psi,
        "splay_terms": torch.stack(terms, dim=-1),
        "bound": 2 * paper[-1] / cluster[-1],
        "paper_eq5_unnormalised": paper,
        "circular_variance_per_time": analysis.circular_variance(theta),
        "circular_variance_rows3plus": late_variance,
        "grad_circular_variance_rows3plus": torch.autograd.grad(late_variance, late)[0],
        "cohn_per_time": cohn(theta, labels, k),
        "cluster_loss_with_one_empty_group": analysis.cluster_synchrony(theta, labels, k=k + 1),
    }


def autocorrelation(golden: Golden) -> dict[str, Any]:
    """C_x, fan-in and fan-out of given couplings and features."""
    outputs = {}
    for i in (name.removeprefix("K") for name in golden.inputs if name.startswith("K")):
        K, x = golden.tensor(f"K{i}"), golden.tensor(f"x{i}")
        c_x = analysis.graph_autocorrelation(x, K)
        outputs |= {f"c_x_{i}": c_x, f"c_x_with_offset_{i}": c_x + OFFSET}
        outputs |= {f"fan_in_{i}": K.mean(dim=0), f"fan_out_{i}": K.mean(dim=1)}
    return outputs


def segmentation(golden: Golden) -> dict[str, Any]:
    """Best dice of given labelings, and clusters of phases around the cut at 2π."""
    given = golden.inputs
    outputs = {
        f"sbd{i}": analysis.symmetric_best_dice(given[f"a{i}"], given[f"b{i}"])
        for i in (name.removeprefix("a") for name in given if name.startswith("a"))
    }
    for k in (name.removeprefix(CIRCULAR) for name in golden.outputs if name.startswith(CIRCULAR)):
        found = analysis.phase_clusters(given["phases_wrap"], int(k), rng=0)
        outputs[CIRCULAR + k] = analysis.symmetric_best_dice(found, given["labels_wrap"])
    return outputs


def adjoint(golden: Golden) -> dict[str, Any]:
    """Exact gradients of the steps taken."""
    dt, steps = golden.meta["h"], golden.meta["steps"]
    network = Network(golden.inputs, gradients=True)
    method = {"euler": "euler", "rk4": "rk4_38", "midpoint": "midpoint"}[golden.meta.get("solver", "euler")]
    gradient = "discrete" if method == "euler" else "backprop"
    theta = network.run(dt * np.arange(steps + 1), method=method, dt=dt, gradient=gradient)
    variance = analysis.circular_variance(theta[steps // 2 :]).mean()
    return network.gradients(theta, (golden.tensor("loss_weights") * theta.sin()).sum() + variance)


def continuous_adjoint(golden: Golden) -> dict[str, Any]:
    """Gradients of the exact flow."""
    network = Network(golden.inputs, gradients=True)
    theta = network.run(golden.inputs["t"], method="dopri5", rtol=1e-9, atol=1e-11, gradient="adjoint")
    found = network.gradients(theta, (golden.tensor("loss_weights") * theta.sin()).sum())
    return {name: Output(value, 1e-7) for name, value in found.items()}


def trained(golden: Golden) -> dict[str, Any]:
    """A trained network in single precision on new nodes: 1000 states and then 50 (oscillators), 1100 states (clusters)."""
    nodes = _nodes(golden)
    points = isinstance(nodes, Points)
    model = KuraNet(load_kuranet(golden.weights), "l2" if points else "softmax", per_node=points).eval()
    horizon = Horizon(15.0, 0, 1100) if points else Horizon(0.1, 1000, 50)
    with torch.no_grad():
        window = run(model(nodes.x), nodes, _start(golden), horizon).window
        K = model.couplings(nodes.x)
    near = 1e-3 if int(nodes.tau.max()) else 2e-4
    return {
        "K": Output(K, 1e-5),
        "theta_last": Output(window[-1], 1e-2, scale=1.0),
        "V_mean_last50": Output(analysis.circular_variance(window[-50:]).mean(), near, scale=1.0),
        "loss_first100": Output(nodes.loss(window[:100]), near, scale=1.0),
        "loss_last100": Output(nodes.loss(window[-100:]), near, scale=1.0),
    }


REPLAYS: dict[str, Callable[[Golden], dict[str, Any]]] = {
    "coupling_": coupling,
    "traj_": trajectory,
    "run_": whole_run,
    "loss_": losses,
    "graph_autocorrelation": autocorrelation,
    "sbd": segmentation,
    "adjoint_": adjoint,
    "adjoint_continuous": continuous_adjoint,
    "trained_": trained,
}


class Network:
    """Given couplings and phases as the library runs them. Without `omega` it is the XY model with its factor 1/n."""

    def __init__(self, given: dict[str, np.ndarray], gradients: bool = False):
        wanted = ("K", "omega", "b", "theta0", "history")
        self.leaves = {k: torch.from_numpy(given[k].copy()).requires_grad_(gradients) for k in wanted if k in given}
        self.tau = torch.from_numpy(given["tau"]) if "tau" in given else None
        past = self.leaves.get("history")
        self.theta = self.leaves["theta0"] if past is None else past[-1]
        K, zero = self.leaves["K"], torch.zeros_like(self.theta)
        self.coupling = Dense(K) if "omega" in given else Dense(K / len(K))
        self.system = Kuramoto(self.leaves.get("omega", 0.0))
        self.drive = torch.stack([-self.leaves.get("b", zero), zero], dim=-1)

    def run(self, t: np.ndarray, **options: Any) -> Tensor:
        coupling, history = self.coupling, None
        if self.tau is not None:
            dt = options["dt"]
            coupling = Delayed(coupling, self.tau.to(self.theta) * dt)
            history = before(self.leaves["history"], dt)
        return integrate(self.system, coupling, self.theta, t, drive=self.drive, history=history, **options)

    def velocity(self, t: float, theta: Tensor) -> Tensor:
        return self.system.law(t, theta, self.coupling.field(self.system.lift(theta)) + self.drive)

    def gradients(self, theta: Tensor, loss: Tensor) -> dict[str, Any]:
        loss.backward()
        return {"theta": theta, "loss": loss, **{f"grad_{name}": leaf.grad for name, leaf in self.leaves.items()}}


def _nodes(golden: Golden) -> Oscillators | Points:
    if "labels" in golden.inputs:
        return Points(golden.tensor("features"), golden.tensor("labels"), golden.meta["k"])
    return Oscillators(*(golden.tensor(name) for name in ("omega", "b", "tau")))


def _start(golden: Golden) -> Tensor:
    """Initial phases: given, or all 0."""
    if "theta0" in golden.inputs:
        return golden.tensor("theta0").double()
    return torch.zeros(len(golden.inputs["omega"]), dtype=torch.float64)


def _published_adjoint(K: Tensor, theta: Tensor, horizon: Horizon) -> Tensor:
    """States whose gradient is the published one of the XY model: Euler steps of the continuous adjoint."""
    system = Kuramoto(0.0)
    t = horizon.dt * torch.arange(horizon.window, dtype=theta.dtype)

    def velocity(t: Tensor, theta: Tensor) -> Tensor:
        return system.law(t, theta, Dense(K).field(system.lift(theta)))

    return torchdiffeq.odeint_adjoint(velocity, theta, t, method="euler", adjoint_params=(K,))


def _weight_gradient(model: KuraNet) -> dict[str, Tensor]:
    return {name: weight.grad.clone() for name, weight in model.network.named_parameters()}


def _gradients(golden: Golden, family: str, gradient: dict[str, Tensor], tolerance: float) -> dict[str, Output]:
    """Gradients are compared relative to the largest of all weights: some are 0 but for rounding."""
    largest = max(float(np.abs(v).max()) for name, v in golden.outputs.items() if name.startswith(f"{family}/"))
    return {f"{family}/{name}": Output(value, tolerance, largest) for name, value in gradient.items()}


def _after(network: torch.nn.Module) -> dict[str, Tensor]:
    return {f"after/{name}": value for name, value in network.named_buffers()}


def _known(meta: dict[str, Any], key: str, *values: str) -> None:
    if meta[key] not in values:
        raise ValueError(f"{key} is {meta[key]!r}, but only {' and '.join(values)} can be replayed here")
