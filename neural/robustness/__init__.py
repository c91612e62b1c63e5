"""How well classifiers hold: attacks, common corruptions, and the augmentation against them."""

from neural.robustness.attacks import Attacked, auto_attack, fgsm, pgd, random_noise
from neural.robustness.augmix import augmix
from neural.robustness.corruptions import CORRUPTIONS, FIFTEEN, corrupt
from neural.robustness.evaluation import Verdict, judge

__all__ = [
    "CORRUPTIONS",
    "FIFTEEN",
    "Attacked",
    "Verdict",
    "augmix",
    "auto_attack",
    "corrupt",
    "fgsm",
    "judge",
    "pgd",
    "random_noise",
]
