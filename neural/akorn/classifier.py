"""AKOrN for classification: blocks of shrinking resolution and growing width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from neural.akorn.channels import at_least_one, on_last
from neural.akorn.parts import Connection, NetworkRun, check_images, initialize, kuramoto_layer, per_layer, start
from neural.akorn.readout import Norm, full_readout


class ClassifierAKOrN(nn.Module):
    """Logits of images.

        c = conv(image), x = noise;  block l: c, x <- A_l c, A_l x (l >= 1);  x <- layer(x, c);  c <- readout(x)
        logits = W mean over cells of c

    Block l has 2^l ch channels; A_l halves the resolution for l = 1, 2 and acts on c and x alike.

    Args:
        ch, n: channels of the first block, and components of an oscillator.
        classes: number of logits.
        L, T: blocks, and steps of each (one number, or a list).
        J, ksizes: connectivity, "conv" or "attn" (one, or a list), and the kernels of "conv". Attention sees no positions.
        ro_ksize, ro_n, norm: kernel, components of the sums and normalisation ("bn", "gn", None) of the readouts.
        gamma: step; not trained.
        ensemble: number of initial states over which the logits are averaged.
        options: of `kuramoto_layer`: heads, omega, omega_init, omega_learned, omega_off, c_norm, tangent, step.
        generator: source of the weights.

    The defaults are the published run; the "mix" model is J=["conv", "conv", "attn"], T=[6, 4, 2].
    Source: Miyato et al. 2025, AKOrN.
    """

    def __init__(
        self,
        ch: int = 64,
        n: int = 2,
        classes: int = 10,
        L: int = 3,
        T: int | Sequence[int] = 3,
        *,
        J: Connection | Sequence[Connection] = "conv",
        ksizes: int | Sequence[int] = (9, 7, 5),
        ro_ksize: int = 3,
        ro_n: int = 2,
        norm: Norm | None = "bn",
        gamma: float = 1.0,
        ensemble: int = 1,
        generator: torch.Generator | None = None,
        **options: Any,
    ):
        super().__init__()
        at_least_one("ensemble", ensemble, "1 is a single start")
        self.T, self.ensemble = per_layer("T", T, L), ensemble
        self.gamma = nn.Parameter(torch.full((1,), gamma), requires_grad=False)
        self.conv0 = nn.Conv2d(3, ch, 3, padding=1, bias=False)
        settings: dict[str, Any] = {"omega": "global", "c_norm": "gn", "generator": generator} | options
        self.layers: Any = nn.ModuleList()
        for l, (kind, ksize) in enumerate(zip(per_layer("J", J, L), per_layer("ksizes", ksizes, L), strict=True)):
            width = ch * 2**l
            block = nn.ModuleDict()  # numbered as published; 1 and 4 are empty there
            if l > 0:
                A = nn.Conv2d(width // 2, width, ro_ksize, stride=2 if l < 3 else 1, padding=ro_ksize // 2)
                block["0"] = nn.ModuleList([A, A])  # of c and of x: one convolution, stored twice
            block["2"] = kuramoto_layer(kind, width, n, ksize=ksize, **settings)
            block["3"] = full_readout(width, ro_n, ro_ksize, norm)
            self.layers.append(block)
        self.out = nn.Linear(width, classes)
        initialize(self, generator)

    def forward(self, images: Tensor, x0: Tensor | None = None, **options: Any) -> Tensor:
        """Logits (B, classes), the mean over the ensemble; arguments as for `run`."""
        if self.ensemble > 1 and x0 is not None:
            raise ValueError(
                f"`x0` must be None for an ensemble of {self.ensemble}, but is given; call `run` for each."
            )
        return torch.stack([self.run(images, x0, **options).output for _ in range(self.ensemble)]).mean(0)

    def run(
        self,
        images: Tensor,
        x0: Tensor | None = None,
        *,
        T: int | Sequence[int] | None = None,
        generator: torch.Generator | None = None,
        states: bool = False,
        energies: bool = False,
        checkpoint: bool = False,
    ) -> NetworkRun:
        """See images once.

        Args:
            images: (B, 3, height, width) in [0, 1].
            x0: initial oscillators, (B, height, width, ch); None: normal numbers from `generator`.
            T: steps, if not those of the network.
            states, energies, checkpoint: see `KuramotoLayer.run`.
        """
        check_images(images)
        c = on_last(self.conv0, (2 * images - 1).movedim(1, -1))
        x = start(c, x0, generator)
        keep = {"states": states, "energies": energies, "checkpoint": checkpoint}
        runs = []
        steps = self.T if T is None else per_layer("T", T, len(self.T))
        for block, count in zip(self.layers, steps, strict=True):
            if "0" in block:
                c, x = (on_last(A, value) for A, value in zip(block["0"], (c, x), strict=True))
            run = block["2"].run(x, c, count, self.gamma, **keep)
            runs.append(run)
            x, c = run.x, block["3"](run.x)
        return NetworkRun.of(self.out(c.mean((1, 2))), c, x, runs)
