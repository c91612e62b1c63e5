"""What all tests share."""

import numpy as np
import pytest

from tests.elsewhere import second_device


@pytest.fixture
def elsewhere():
    """A device beside the processor, pretended where there is none."""
    with second_device() as name:
        yield name


@pytest.fixture(autouse=True)
def fresh_random_numbers(request):
    """A module's `rng` starts anew in every test, so that no result depends on which tests ran before, or where."""
    if isinstance(getattr(request.module, "rng", None), np.random.Generator):
        request.module.rng = np.random.default_rng(0)
