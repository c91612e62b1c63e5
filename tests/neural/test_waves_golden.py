"""The published wave networks are met: states, outputs, gradients of the published weights, measures."""

from pathlib import Path

import pytest

from tests.golden import check

DATA = Path(__file__).parents[1] / "data" / "waves"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.npz")), ids=lambda path: path.stem)
def test_the_published_numbers_are_met(path):
    met, line = check(path)
    assert met, line
