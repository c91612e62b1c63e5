"""How `akorn_objects` trains: the published recipes, and narrow networks with few steps for one core of a processor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from neural.akorn import MovingAverage
from neural.akorn.stimulus import StimulusNorm

Network = tuple[str, dict[str, Any]]  # its kind and its options, as `ObjectTask` takes them

PUBLISHED = {  # FG-ARI and MBO by task, network and grid: of the paper; of the repository
    ("tetrominoes", "AKOrN attn", 1): (("86.19", "55.06"), ("88.6 ± 1.7", "56.4 ± 0.9")),
    ("tetrominoes", "AKOrN attn", 4): (("92.72", "56.40"), ("93.1 ± 0.3", "56.3 ± 0.0")),
    ("tetrominoes", "AKOrN conv", 1): (("75.37", "53.88"), ("76.4 ± 0.8", "51.9 ± 1.5")),
    ("tetrominoes", "ItrSA", 1): (("86.81", "51.74"), ("85.8 ± 0.8", "54.9 ± 3.4")),
    ("tetrominoes", "ItrConv", 1): (("55.56", "48.82"), ("59.0 ± 2.9", "51.6 ± 2.2")),
    ("dsprites", "AKOrN attn", 1): (("79.98", "65.57"), ("78.3 ± 1.3", "63.0 ± 1.8")),
    ("dsprites", "AKOrN attn", 4): (("88.57", "62.81"), ("87.1 ± 1.0", "60.2 ± 1.9")),
    ("dsprites", "AKOrN conv", 1): (("73.35", "56.80"), ("63.8 ± 7.7", "50.7 ± 4.7")),
    ("dsprites", "ItrSA", 1): (("69.42", "64.67"), ("68.1 ± 1.4", "63.0 ± 1.2")),
    ("dsprites", "ItrConv", 1): (("20.46", "31.25"), ("29.1 ± 6.2", "38.5 ± 5.2")),
    ("clevr", "AKOrN attn", 1): (("90.93", "43.55"), ("91.0 ± 0.5", "45.5 ± 1.4")),
    ("clevr", "AKOrN attn", 4): (("93.64", "43.76"), ("94.6 ± 0.7", "44.7 ± 0.7")),
    ("clevr", "AKOrN conv", 1): (("65.08", "47.03"), ("59.0 ± 4.3", "44.4 ± 2.0")),
    ("clevr", "ItrSA", 1): (("80.15", "36.76"), ("82.5 ± 1.7", "39.4 ± 1.9")),
    ("clevr", "ItrConv", 1): (("56.41", "33.98"), ("49.3 ± 5.1", "29.7 ± 3.0")),
    ("clevrtex", "AKOrN attn", 1): (("75.79", "54.94"), ("75.6 ± 0.2", "55.0 ± 0.0")),
    ("clevrtex", "AKOrN attn, L = 2", 1): (("81.50", "54.08"), ("80.5 ± 1.5", "54.9 ± 0.6")),
    ("clevrtex", "AKOrN attn, L = 2", 4): (("87.28", "55.40"), ("87.7 ± 1.0", "55.3 ± 2.1")),
    ("clevrtex", "ItrSA", 1): (("66.07", "43.41"), ("65.7 ± 0.3", "44.6 ± 0.9")),
    ("clevrtex", "ItrSA, L = 2", 1): (("75.33", "48.44"), ("76.3 ± 0.4", "48.5 ± 0.1")),
}


def networks(
    ch: int = 128,
    imsize: int = 32,
    psize: int = 4,
    ksize: int = 5,
    T: int = 8,
    c_norm: StimulusNorm | None = None,
) -> dict[str, Network]:
    """AKOrN and its baselines for one set of scenes, with as many channels and steps."""
    patches = {"ch": ch, "T": T, "imsize": imsize, "psize": psize}
    akorn = patches | {"c_norm": c_norm, "omega_off": "identity"}  # without Ω, as published
    return {
        "AKOrN attn": ("akorn", akorn),
        "ItrSA": ("itrsa", patches | {"positions": "gta"}),
        "AKOrN conv": ("akorn", akorn | {"J": "conv", "ksize": ksize}),
        "ItrConv": ("itrconv", patches | {"ksize": ksize}),
    }


def textured() -> dict[str, Network]:
    """The networks for CLEVRTex."""
    attention = networks(256, 128, 8, c_norm="gn")
    akorn, itrsa = attention["AKOrN attn"][1], attention["ItrSA"][1]
    return {
        "AKOrN attn": ("akorn", akorn),
        "AKOrN attn, L = 2": ("akorn", akorn | {"L": 2}),
        "ItrSA": ("itrsa", itrsa),
        "ItrSA, L = 2": ("itrsa", itrsa | {"blocks": 2}),
    }


def quick() -> dict[str, Network]:
    """Width 64 and two steps, or four with attention; the stimulus is normalised, with which AKOrN learns faster."""
    two, four = (networks(64, T=T, c_norm="gn") for T in (2, 4))
    attention = ("AKOrN attn", "ItrSA")
    return {name: two[name] for name in attention} | {f"{name}, T = 4": four[name] for name in attention} | two


@dataclass(frozen=True)
class Recipe:
    """How the networks of one set of scenes are trained and tested.

    Args:
        networks: by name, "AKOrN attn" and "ItrSA" among them.
        steps, batch, lr: of the training. scale: least area of its crops.
        images: to train with, where they are drawn; tested: to test with.
        clusters: into which the patches of a scene are cut; ground and objects.
        ema: of the weights.
    """

    networks: dict[str, Network]
    steps: int
    clusters: int
    batch: int = 256
    lr: float = 1e-3
    scale: float = 0.08
    images: int = 60_000
    tested: int = 320
    ema: MovingAverage = MovingAverage(0.998, 10, 200)  # noqa: RUF009


@dataclass(frozen=True)
class Preset:
    """Recipes by task; `finest`: the finest grid, in parts of a patch; `T`: numbers of steps that are drawn."""

    recipes: dict[str, Recipe]
    finest: int = 4
    T: tuple[int, ...] = field(default=(1, 2, 4, 8, 16, 32))


PRESETS = {
    "cpu": Preset(
        {"tetrominoes": Recipe(quick(), 1200, 4, batch=32, lr=2e-3, images=20_000, ema=MovingAverage(0.99, 10, 200))}
    ),
    "paper": Preset(
        {
            "tetrominoes": Recipe(networks(), 50 * 234, 4),
            "dsprites": Recipe(networks(imsize=64, ksize=7), 50 * 234, 7),
            "clevr": Recipe(networks(256, 128, 8, 7), 300 * 195, 11),
            "clevrtex": Recipe(textured(), 500 * 156, 11, tested=5000),
        }
    ),
    "small": Preset(
        {
            "tetrominoes": Recipe(networks(16, T=2), 2, 4, batch=4, images=8, tested=8),
            "dsprites": Recipe(networks(16, 64, 16, T=2), 2, 7, batch=4, images=8, tested=8),
        },
        finest=2,
        T=(1, 2, 3),
    ),
}
