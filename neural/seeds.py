"""Seeds of many independent streams of random numbers."""

from __future__ import annotations

import numpy as np


def seed_of(*numbers: int) -> int:
    """One seed from several numbers, for example of a training and of a step in it; other numbers, another stream."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
