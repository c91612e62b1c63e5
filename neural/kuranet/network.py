"""The coupling function: a network that reads the features of two oscillators and says how strongly they couple.

    Z_rc = w · φ(BN₂(W φ(BN₁(V [x_r, x_c] + v)) + c)),    φ(p) = max(p, 0.01 p)

The first Linear is a sum of a term of the row and a term of the column, and so are the mean and the variance that BN₁
takes over all pairs; `neural.kuranet.pairs` does the rest.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from neural.kuranet.pairs import pair_logits
from oscillators import checks

Init = Literal["default", "xavier"]


class CouplingNetwork(nn.Module):
    """Logits Z_rc of all ordered pairs (r, c) of nodes, r = c included.

    In training mode both normalisations use the statistics of the pairs at hand and update their running ones as
    `torch.nn.BatchNorm1d` does; in evaluation mode Z_rc depends on x_r and x_c only.

    Args:
        features: length m of a node's feature vector.
        hidden: width H of both hidden layers.
        init: "default" (weights and biases of a Linear uniform in ±1/√fan_in) or "xavier" (weights normal with
            variance 0.5² · 2/(fan_in + fan_out), biases as before).
        generator: source of the initial weights.

    Note: parameters bear the names of the published state dict (`layers.0.weight`, ...), so that its weights load.
    Source: Ricci et al. 2021, KuraNet.
    """

    def __init__(
        self, features: int, hidden: int = 128, init: Init = "default", *, generator: torch.Generator | None = None
    ):
        super().__init__()
        checks.one_of("init", init, ("default", "xavier"))
        skip = nn.utils.skip_init  # the layers' own initialisation would draw from torch's global generator
        self.layers = nn.Sequential(
            skip(nn.Linear, 2 * features, hidden),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(),
            skip(nn.Linear, hidden, hidden),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(),
            skip(nn.Linear, hidden, 1, bias=False),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                _draw(layer, init, generator)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Logits Z_rc of the pairs [x_r, y_c]: (..., n, m), (..., k, m) -> (..., n, k); y = x unless given.

        Leading axes are networks; in training mode the statistics are those of all their pairs together.
        """
        self._check_features("x", x)
        leading = x.shape[:-2]
        if y is None:
            y = x
        else:
            self._check_features("y", y)
            if y.shape[:-2] != leading:
                raise ValueError(
                    f"`y` must have the leading axes {tuple(leading)} of `x`, but has shape {tuple(y.shape)}; expand it."
                )
        A, B = self._ends(x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:]))
        Z = self._trained(A, B) if self.training else self._fixed(A, B)
        return Z.view(*leading, *Z.shape[-2:])

    @property
    def _parts(self) -> tuple[Any, ...]:
        """The layers that have parameters: Linear, BatchNorm, Linear, BatchNorm, Linear."""
        V, first, _, W, second, _, w = self.layers
        return V, first, W, second, w

    def _ends(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """A and B of the first Linear, split between the nodes of a pair: V [x_r, y_c] + v = A_r + B_c."""
        V = self._parts[0]
        left, right = V.weight.chunk(2, dim=1)
        return x @ left.T, y @ right.T + V.bias

    def _trained(self, A: Tensor, B: Tensor) -> Tensor:
        """Logits normalised by the statistics of their own pairs."""
        _, first, W, second, w = self._parts
        pairs = A.shape[0] * A.shape[1] * B.shape[1]
        if pairs < 2:
            raise ValueError(
                "`x` must make at least two pairs in training mode, but is one node; use eval(), or more nodes."
            )
        mean, var = _pair_moments(A, B)
        scale = first.weight * (var + first.eps).rsqrt()
        beta = second.bias + 0 * W.bias  # the normalisation removes it: its gradient is 0, not absent
        a, b = scale * A, scale * (B - mean) + first.bias
        Z, mean2, var2 = pair_logits(a, b, W.weight, second.weight, beta, w.weight[0], second.eps)
        _track(first, mean, var, pairs)
        _track(second, mean2 + W.bias, var2, pairs)
        return Z

    def _fixed(self, A: Tensor, B: Tensor) -> Tensor:
        """Logits normalised by running statistics: both normalisations are factors and terms of their Linear."""
        _, first, W, second, w = self._parts
        scale, shift = _folded(first)
        scale2, shift2 = _folded(second)
        Z, _, _ = pair_logits(scale * A, scale * B + shift, W.weight, scale2, scale2 * W.bias + shift2, w.weight[0])
        return Z

    def _check_features(self, name: str, x: Tensor) -> None:
        V = self._parts[0].weight
        m = V.shape[1] // 2
        if not isinstance(x, Tensor):
            raise TypeError(f"`{name}` must be a tensor, but is {checks.shown(x)}; write torch.as_tensor({name}).")
        if x.ndim < 2 or x.shape[-1] != m or 0 in x.shape:
            raise ValueError(
                f"`{name}` must have shape (..., node, {m}) with at least one node, but is {tuple(x.shape)}; give every "
                f"node its {m} features on the last axis."
            )
        if x.dtype != V.dtype or x.device != V.device:
            raise TypeError(
                f"`{name}` must have the dtype and device of the network, {V.dtype} on {V.device}, but has {x.dtype} on "
                f"{x.device}; write {name}.to(network.layers[0].weight), or move the network."
            )
        checks.real_array(name, x)


def _folded(norm: Any) -> tuple[Tensor, Tensor]:
    """Factor and term of a normalisation by running statistics."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - scale * norm.running_mean


def _pair_moments(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of A_r + B_c over all pairs of all networks: (batch, n, H), (batch, k, H) -> (H,)."""
    a, b = A.mean(1, keepdim=True), B.mean(1, keepdim=True)
    mean = (a + b).mean(0, keepdim=True)
    var = ((A - a) ** 2).mean((0, 1)) + ((B - b) ** 2).mean((0, 1)) + ((a + b - mean) ** 2).mean((0, 1))
    return mean[0, 0], var


@torch.no_grad()
def _track(norm: Any, mean: Tensor, var: Tensor, pairs: int) -> None:
    """Running statistics after a batch, as `torch.nn.BatchNorm1d` keeps them (with the unbiased variance)."""
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(var * (pairs / (pairs - 1)), norm.momentum)
    norm.num_batches_tracked += 1


def _draw(layer: nn.Linear, init: Init, generator: torch.Generator | None) -> None:
    fan_out, fan_in = layer.weight.shape
    bound = fan_in**-0.5
    if init == "xavier":
        nn.init.normal_(layer.weight, std=0.5 * (2 / (fan_in + fan_out)) ** 0.5, generator=generator)
    else:
        nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None:
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
