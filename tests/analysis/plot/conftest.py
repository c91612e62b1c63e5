"""Pictures are drawn off the screen and thrown away."""

import matplotlib
import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def off_screen():
    matplotlib.use("Agg")
    yield
    plt.close("all")
