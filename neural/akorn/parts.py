"""What the networks are made of: layers by the names of their options, starts, and weights from a generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from neural.akorn.attention import Attention, Positions
from neural.akorn.channels import at_least_one
from neural.akorn.connectivity import Connectivity, Convolution, DenseMap
from neural.akorn.frequency import Kind, natural_frequency
from neural.akorn.layer import KuramotoLayer, Run
from oscillators import checks

Connection = Literal["attn", "conv", "dense"]
BYTES = 8.0  # no image in [0, 1] comes here, with all that is added to it; one of bytes does


class NetworkRun(NamedTuple):
    """What a network did.

    Args:
        output: what the network returns when it is called.
        c: last stimulus, (B, *grid, ch): the features.
        x: last state, (B, *grid, ch).
        states: of each block, x_0, ..., x_T as unit vectors (T + 1, B, *grid, oscillator, n); empty unless asked for.
        energies: of the same states, (T + 1, B); empty unless asked for.
    """

    output: Tensor
    c: Tensor
    x: Tensor
    states: tuple[Tensor, ...]
    energies: tuple[Tensor, ...]

    @staticmethod
    def of(output: Tensor, c: Tensor, x: Tensor, runs: Sequence[Run]) -> NetworkRun:
        """The runs of all layers together."""
        states = tuple(run.states for run in runs if run.states is not None)
        return NetworkRun(output, c, x, states, tuple(run.energies for run in runs if run.energies is not None))


def kuramoto_layer(
    J: Connection,
    ch: int,
    n: int,
    *,
    ksize: int = 3,
    symmetric: bool = False,
    heads: int = 8,
    positions: Positions | None = None,
    at: Sequence[int] | Tensor | None = None,
    omega: Kind | None = None,
    omega_init: float = 1.0,
    omega_learned: bool = True,
    generator: torch.Generator | None = None,
    **options: Any,
) -> KuramotoLayer:
    """A `KuramotoLayer` from names: J by "conv" (`ksize`), "dense" (`at`) or "attn" (`heads`, `positions`, `at`), Ω by `omega`.

    Args:
        symmetric: whether "conv" or "dense" act alike both ways.
        omega: "global", "pair", "antisymmetric" (see `neural.akorn.frequency`), or None.
        options: of `KuramotoLayer`: omega_off, c_norm, tangent, step.
    """
    connectivity = _connectivity(J, ch, ksize, symmetric, heads, positions, at)
    frequency = natural_frequency(omega, ch, n, omega_init, omega_learned, generator)
    return KuramotoLayer(connectivity, ch, n, omega=frequency, **options)


def _connectivity(
    J: Connection,
    ch: int,
    ksize: int,
    symmetric: bool,
    heads: int,
    positions: Positions | None,
    at: Sequence[int] | Tensor | None,
) -> Connectivity:
    checks.one_of("J", J, ("attn", "conv", "dense"))
    if J == "conv":
        return Convolution(ch, ksize, symmetric=symmetric)
    if J == "dense":
        if at is None or isinstance(at, Tensor):
            raise ValueError(
                f"`at` must be the size of the grid for J='dense', but is {checks.shown(at)}; pass (9, 9)."
            )
        return DenseMap(ch, at, symmetric)
    if symmetric:
        raise ValueError("`symmetric` must be False for J='attn', but is True; take 'conv' or 'dense'.")
    return Attention(ch, heads, positions, at)


def per_layer(name: str, value: Any, L: int) -> list[Any]:
    """One value for each layer: the same for all, or a list of L."""
    at_least_one("L", L, "a network has blocks")
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [value] * L
    if len(value) != L:
        raise ValueError(
            f"`{name}` must have one entry for each of the {L} layers, but is {list(value)}; add or drop some."
        )
    return list(value)


def start(c: Tensor, x0: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """Initial oscillators in the shape of c, (B, *grid, ch): those given, or normal numbers from a generator.

    They are drawn in the order (B, ch, *grid) on the generator's device, as the published code draws them.

    Raises: ValueError, TypeError: unless x0 has the shape and dtype of c and is finite.
    """
    if x0 is None:
        device = c.device if generator is None else generator.device
        shape = c.movedim(-1, 1).shape
        noise = torch.randn(shape, generator=generator, device=device, dtype=c.dtype)
        return noise.to(c.device).movedim(1, -1).contiguous()
    if x0.shape != c.shape:
        raise ValueError(
            f"`x0` must have shape {tuple(c.shape)}, but is {tuple(x0.shape)}; the channels are the last axis."
        )
    if not torch.compiler.is_compiling():
        checks.real_array("x0", x0)
    if x0.dtype != c.dtype and not torch.is_autocast_enabled(c.device.type):
        raise TypeError(f"`x0` must have the network's dtype {c.dtype}, but has {x0.dtype}; pass x0.to({c.dtype}).")
    return x0


def check_images(images: Tensor) -> None:
    """Raise unless images are floating-point numbers of shape (B, 3, height, width), and no bytes.

    They should lie in [0, 1]; what interpolation, noise or an attack adds is let through.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"`images` must have shape (B, 3, height, width), but is {tuple(images.shape)}; permute the axes."
        )
    if not (images.is_floating_point() or images.is_complex()):
        raise TypeError(f"`images` must be floating point in [0, 1], but has dtype {images.dtype}; divide by 255.")
    if torch.compiler.is_compiling():
        return
    checks.real_array("images", images)
    if (images.abs() > BYTES).any():
        low, high = (float(end) for end in images.detach().aminmax())
        raise ValueError(f"`images` must lie in [0, 1], but reach from {low:g} to {high:g}; divide bytes by 255.")


def initialize(network: nn.Module, generator: torch.Generator | None) -> None:
    """Draw all weights from a generator as torch draws them by default; without one they stay as torch drew them.

    Embeddings are normal; other weights and their biases uniform in ±1/√fan_in. Norms and rotations keep their values.
    """
    if generator is None:
        return
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, generator=generator)
        elif isinstance(weight, Tensor) and weight.ndim >= 2:
            bound = weight[0].numel() ** -0.5
            for values in (weight, bias):
                if isinstance(values, Tensor):
                    nn.init.uniform_(values, -bound, bound, generator=generator)
