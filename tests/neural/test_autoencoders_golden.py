"""The published layers, networks, contrasts and scores are met."""

from pathlib import Path

import pytest

from tests.golden import check

DATA = Path(__file__).parents[1] / "data" / "autoencoders"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.npz")), ids=lambda path: path.stem)
def test_the_published_numbers_are_met(path):
    met, line = check(path)
    assert met, line
