"""Complex-valued autoencoders: contrast of phases and steps of training, beside the published formulation.

Contrast: value and gradient at the sizes of the publication. Theirs repeats addresses and features for all
pairs of positions, (B, C, N, N), and selects anchors and partners from them. Step: loss and gradients of CAE++ and CtCAE
without the optimiser. Theirs maps real part, imaginary part and magnitude of complex tensors one after the other, repeats
pixels before it convolves, and goes through angles. Both have the same weights and indices. Times are in
single precision; the error is the largest difference between the two in double precision, of the loss, relative, and of its
gradients, relative to their largest entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.timing import Row, interleaved
from neural.autoencoders import CAEPlusPlus, ComplexBlock, Contrast, CtCAE, Sample, spread_phases
from neural.autoencoders.ctcae import PUBLISHED
from neural.autoencoders.maps import UpsampledConv2d

ENCODER, DECODER = PUBLISHED[32]
MAPS = {  # the contrast, and the (B, C, H, W) that it sees
    "encoder": (ENCODER, (64, 256, 4, 4)),
    "decoder": (DECODER, (64, 3, 32, 32)),
    "decoder, 2 × 2 patches": (PUBLISHED[64][1], (8, 3, 64, 64)),  # of 64 images, pairs of positions would take 3 GB
}
REDUCED = {"channels": (16, 16, 32, 32, 32), "linear": 64}  # a network for a CPU
Case = tuple[Callable[[], Tensor], Callable[[], Tensor], list[Tensor]]  # our loss, theirs, what has gradients
NETWORKS = {"reduced": REDUCED, "published": {}}


def run(
    maps: dict[str, tuple[Contrast, tuple[int, int, int, int]]] = MAPS,
    networks: dict[str, dict[str, Any]] = NETWORKS,
    images: int = 16,
    seconds: float = 3.0,
    contrasts: dict[str, Contrast] | None = None,
) -> list[Row]:
    """Rows of every contrast and network (steps of so many images; contrasts: of CtCAE, if not the published ones)."""
    rows = [_contrast(name, *given, seconds) for name, given in maps.items()]
    for name, options in networks.items():
        plain = CAEPlusPlus(**options, generator=generator())
        contrasted = CtCAE(**options, **(contrasts or {}), generator=generator())
        rows.append(_step(f"CAE++, {name}", plain, images, seconds))
        rows.append(_step(f"CtCAE, {name}", contrasted, images, seconds))
    return rows


def _contrast(name: str, contrast: Contrast, shape: tuple[int, int, int, int], seconds: float) -> Row:
    def case(dtype: torch.dtype, images: int) -> Case:
        rng = generator()
        magnitude, phase = torch.rand(2, images, *shape[1:], generator=rng, dtype=dtype)
        phase = (6 * phase - 3).requires_grad_()
        sample = contrast.sample(contrast.tiles(shape[2:]), rng)
        return (
            lambda: contrast(magnitude, phase, sample),
            lambda: published_contrast(contrast, magnitude, phase, sample),
            [phase],
        )

    return _compare(f"contrast, {name}", shape, case, seconds)


def _step(name: str, network: CAEPlusPlus, images: int, seconds: float) -> Row:
    shape = (images, *network.image)
    options: dict[str, Any] = {}
    if isinstance(network, CtCAE):
        sides = {"encoder": network.map_shape[1:], "decoder": network.image[1:]}
        options["samples"] = {
            place: c.sample(c.tiles(sides[place]), generator()) for place, c in network.contrasts.items() if c
        }

    def case(dtype: torch.dtype, images: int) -> Case:
        awake(network.to(dtype))
        x = torch.rand(images, *network.image, generator=generator(), dtype=dtype)
        return (
            lambda: network.losses(x, **options)["total"],
            lambda: published_loss(network, x, **options),
            list(network.parameters()),
        )

    return _compare(f"step, {name}", shape, case, seconds)


def awake(network: CAEPlusPlus) -> None:
    """Units that are all active, of different phases: in a new network they are 0 but for rounding."""
    spread_phases(network, 1.0, generator=generator())
    for block in network.modules():
        if isinstance(block, ComplexBlock):
            nn.init.constant_(block.norm.bias, 6.0)  # type: ignore[arg-type]


def _compare(what: str, shape: Sequence[int], case: Callable[[torch.dtype, int], Case], seconds: float) -> Row:
    """Error for few images in double precision, and then the time of all."""

    def pulled(loss: Callable[[], Tensor], leaves: list[Tensor]) -> list[Tensor]:
        value = loss()
        return [value.detach(), *torch.autograd.grad(value, leaves)]

    ours, theirs, leaves = case(torch.float64, 2)
    mine, their = pulled(ours, leaves), pulled(theirs, leaves)
    largest = max(float(g.abs().max()) for g in their[1:])
    scales = [float(their[0]), *[largest] * len(leaves)]
    error = max(float((a - b).abs().max()) / scale for a, b, scale in zip(mine, their, scales, strict=True))
    ours, theirs, leaves = case(torch.float32, shape[0])
    fast, slow = interleaved(
        lambda: pulled(ours, leaves), lambda: pulled(theirs, leaves), seconds=seconds, rounds=(3, 21)
    )
    return Row(what, " × ".join(map(str, shape)), 1e3 * fast, "ms", "published", 1e3 * slow, error)


def published_contrast(contrast: Contrast, magnitude: Tensor, phase: Tensor, sample: Sample) -> Tensor:
    """The contrast by way of all pairs of positions."""
    address, feature = contrast.positions(magnitude, phase)  # (B, C, N)
    N = address.shape[-1]
    u = functional.normalize(address, dim=1)
    d = 1 - (u.unsqueeze(-1) * u.unsqueeze(-2)).sum(1)  # by way of (B, C, N, N)
    order = d[:, sample.anchors].argsort(-1)  # (B, anchor, N)
    pairs = feature.unsqueeze(-2).expand(-1, -1, N, N).contiguous()[:, :, sample.anchors]  # (B, C, anchor, N)
    partners = torch.cat([order[..., sample.positives], order[..., sample.negatives]], -1)
    chosen = pairs.gather(-1, partners.unsqueeze(1).expand(-1, pairs.shape[1], -1, -1))  # (B, C, anchor, k)
    f, g = functional.normalize(feature[:, :, sample.anchors], dim=1), functional.normalize(chosen, dim=1)
    logits = (f.unsqueeze(-1) * g).sum(1) / contrast.temperature
    target = torch.zeros_like(logits)
    target[..., : len(sample.positives)] = 1 / len(sample.positives)
    return functional.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))


def published_loss(network: CAEPlusPlus, images: Tensor, samples: dict[str, Sample] | None = None) -> Tensor:
    """Loss of CAE++ or CtCAE by complex tensors."""
    z = torch.polar(images, torch.zeros_like(images))
    for block in network.encoder.convolutions:
        z = published_block(block, z)
    ends = {"encoder": z}
    z = published_block(network.decoder.dense, published_block(network.encoder.dense, z.flatten(1)))
    z = z.unflatten(1, network.map_shape)
    for block in network.decoder.convolutions:
        z = published_block(block, z)
    ends["decoder"] = z
    loss = functional.mse_loss(z.abs(), images)
    for name, sample in (samples or {}).items():
        loss = loss + network.weight * published_contrast(
            network.contrasts[name], ends[name].abs(), ends[name].angle(), sample
        )
    return loss


def published_block(block: Any, z: Tensor) -> Tensor:
    """A layer by complex tensors, as the equations of the publication read."""
    f = block.map
    if isinstance(f, UpsampledConv2d):
        up = nn.Upsample(scale_factor=f.repeats)
        z = torch.complex(up(z.real), up(z.imag))
        f = SamePadded(f.weight)
    psi, chi = torch.complex(f(z.real), f(z.imag)), f(z.abs())
    m = 0.5 * psi.abs() + 0.5 * chi + block.magnitude_bias
    near = psi.imag.abs() < 1e-8
    phi = torch.atan2(torch.where(near, torch.full_like(psi.imag, 1e-8), psi.imag), psi.real) + block.phase_bias
    return torch.relu(block.norm(m)) * torch.exp(1j * phi)


class SamePadded:
    """Convolution of repeated pixels."""

    def __init__(self, weight: Tensor):
        self.weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, padding="same")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
