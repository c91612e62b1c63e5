"""AKOrN for object discovery: patches of an image as oscillators, trained so that two views of it agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from neural.akorn.channels import on_last
from neural.akorn.parts import Connection, NetworkRun, check_images, initialize, kuramoto_layer, per_layer, start
from neural.akorn.positions import grid_coordinates, waves
from neural.akorn.readout import Readout


class ObjectAKOrN(nn.Module):
    """Features of patches, and an embedding of the image.

        c = patches, x = noise;  L times: x <- layer(x, c), c <- readout(x);  z = W₂ ReLU(W₁ max over patches of c)

    Args:
        ch, n: channels of a patch, and components of an oscillator.
        L, T: blocks, and steps of each (one number, or a list).
        imsize, psize: pixels along a side of the image, and of a patch.
        J, ksize: connectivity, "attn", "conv" or "dense" (one, or a list), and the kernel of "conv".
        positions: "gta" or "rope" (in attention; a convolution has none), "absolute" (tables added to c and x), or None.
        gamma: step; not trained.
        readout: whether c is read out of x by a `Readout`, or is x itself.
        map_x: whether x passes a linear map from block to block.
        maxpool: maximum or mean over patches.
        rescale: whether images of another size are resized (bilinear), or run on their own grid.
        options: of `kuramoto_layer`: heads, omega, omega_init, omega_learned, omega_off, c_norm, tangent, step.
        generator: source of the weights.

    Parameters bear the published names. For published weights without ω pass omega_off="identity".
    Source: Miyato et al. 2025, AKOrN.
    """

    def __init__(
        self,
        ch: int = 256,
        n: int = 4,
        L: int = 1,
        T: int | Sequence[int] = 8,
        *,
        imsize: int = 128,
        psize: int = 4,
        J: Connection | Sequence[Connection] = "attn",
        ksize: int = 1,
        positions: Literal["gta", "rope", "absolute"] | None = "gta",
        gamma: float = 1.0,
        readout: bool = True,
        map_x: bool = False,
        maxpool: bool = True,
        rescale: bool = True,
        generator: torch.Generator | None = None,
        **options: Any,
    ):
        super().__init__()
        if imsize % psize:
            raise ValueError(
                f"`imsize` must be a multiple of `psize`, but is {imsize} with psize = {psize}; pad or crop."
            )
        self.T, self.imsize, self.psize = per_layer("T", T, L), imsize, psize
        self.maxpool, self.rescale = maxpool, rescale
        self.absolute = positions == "absolute"
        self.gamma = nn.Parameter(torch.full((1,), gamma), requires_grad=False)
        grid = (imsize // psize, imsize // psize)
        if positions == "absolute":
            table = waves(grid_coordinates(grid), ch).T.unflatten(1, grid).to(self.gamma.dtype)
            self.pemb_x, self.pemb_c = nn.Parameter(table.clone()), nn.Parameter(table.clone())
        self.patchfy = nn.Sequential(nn.Identity(), nn.Conv2d(3, ch, psize, stride=psize))
        where: dict[str, Any] = {"positions": None if self.absolute else positions, "at": grid}
        settings: dict[str, Any] = {"c_norm": "gn", "ksize": ksize, "generator": generator} | options
        self.layers: Any = nn.ModuleList(
            nn.ModuleList(
                [
                    kuramoto_layer(kind, ch, n, **settings | (where if kind != "conv" else {})),
                    Readout(ch, ch, n) if readout else nn.Identity(),
                    nn.Conv2d(ch, ch, 1) if map_x and l < L - 1 else nn.Identity(),
                ]
            )
            for l, kind in enumerate(per_layer("J", J, L))
        )
        head = nn.Linear(ch, 4 * ch), nn.ReLU(), nn.Linear(4 * ch, ch)
        self.out = nn.Sequential(nn.Identity(), nn.Identity(), nn.Identity(), *head)
        initialize(self, generator)

    def forward(self, images: Tensor, x0: Tensor | None = None, **options: Any) -> Tensor:
        """Embedding z of images, (B, ch); arguments as for `run`."""
        return self.run(images, x0, **options).output

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
        """See images: the features to cluster are `c` of what it returns.

        Args:
            images: (B, 3, height, width) in [0, 1].
            x0: initial oscillators, (B, height/psize, width/psize, ch); None: normal numbers from `generator`.
            T: steps, if not those of the network.
            states, energies, checkpoint: see `KuramotoLayer.run`.
        """
        check_images(images)
        c = self.patches(images)
        x = start(c, x0, generator)
        if self.absolute:
            c, x = c + self.pemb_c.movedim(0, -1), x + self.pemb_x.movedim(0, -1)
        keep = {"states": states, "energies": energies, "checkpoint": checkpoint}
        runs = []
        steps = self.T if T is None else per_layer("T", T, len(self.T))
        for (layer, readout, onward), count in zip(self.layers, steps, strict=True):
            run = layer.run(x, c, count, self.gamma, **keep)
            runs.append(run)
            c, x = readout(run.x), on_last(onward, run.x)
        pooled = c.amax((1, 2)) if self.maxpool else c.mean((1, 2))
        return NetworkRun.of(self.out(pooled), c, x, runs)

    def patches(self, images: Tensor) -> Tensor:
        """Stimulus of images, (B, height/psize, width/psize, ch)."""
        if self.rescale and images.shape[-2:] != (self.imsize, self.imsize):
            images = functional.interpolate(images, (self.imsize, self.imsize), mode="bilinear", align_corners=False)
        return on_last(self.patchfy[1], (2 * images - 1).movedim(1, -1))
