"""Schedules of the published trainings: an average of the weights, and a rate that rises."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MovingAverage:
    """Exponential average w̄ of weights w, which is evaluated in their place.

        w̄ <- d w̄ + (1 - d) w,    d = min(β, 1 - (1 + max(0, s - after))^(-2/3))    at step s = 0, every, 2 every, ...

    Until s = `after`, w̄ is a copy of w. Counts, as batch normalisation has them, are copied and not averaged.

    Args:
        beta, every, after: β and the numbers above; published for Sudoku 0.995, 10, 100.

    It is the `avg_fn` of `torch.optim.swa_utils.AveragedModel`, to be updated every `every` steps.
    Source: the package ema_pytorch, as the published code calls it.
    """

    beta: float = 0.995
    every: int = 10
    after: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise ValueError(f"`beta` must lie in [0, 1], but is {self.beta}; published: 0.99 to 0.998.")
        if self.every < 1 or self.after < 0:
            raise ValueError(
                f"`every` must be at least 1 and `after` at least 0, but are {self.every} and {self.after}; they are steps."
            )

    def __call__(self, mean: Tensor, value: Tensor, count: Tensor) -> Tensor:
        """w̄ after one more update.

        Args:
            mean, value: w̄ and w.
            count: earlier updates.
        """
        if not mean.is_floating_point():
            return value
        beyond = (self.every * count - self.after).clamp(min=0).double()
        d = (1 - (1 + beyond) ** (-2 / 3)).clamp(max=self.beta)
        return value + d * (mean - value)


def warmup(iteration: int, length: int) -> float:
    """Factor min(1, (k + 2)/length) of the rate at iteration k, for `torch.optim.lr_scheduler.LambdaLR`; 0: none.

    Note: k + 2 and not k + 1, as published.
    """
    return min(1.0, (iteration + 2) / length) if length else 1.0
