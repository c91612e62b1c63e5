"""The published wave networks are met: states, outputs, gradients of the published weights, measures."""

from pathlib import Path

import pytest
import torch

from neural.waves import Orbit, OscillatorCell, network_from
from neural.waves.sheet import DrivenSheet
from neural.waves.stability import contraction, segment_length
from tests.golden import check
from tests.replays.file import Golden
from tests.replays.waves import local, published

DATA = Path(__file__).parents[1] / "data" / "waves"


@pytest.mark.parametrize("path", sorted(DATA.glob("*.npz")), ids=lambda path: path.stem)
def test_the_published_numbers_are_met(path):
    met, line = check(path)
    assert met, line


def undone_in_segments(own: OscillatorCell, drive: torch.Tensor, start: Orbit, orbit: Orbit) -> int:
    """Undo stretches of the published orbit, each to its own start; returns the steps of one stretch."""
    moments = [torch.cat([first[None], part]) for first, part in zip(start, orbit, strict=True)]
    K = int(min(segment_length(own, 1e-13, 2.2e-16), len(drive)))
    for end in range(len(drive), 0, -K):
        first = max(end - K, 0)
        found = own.undo(drive[first:end], Orbit(*(part[end] for part in moments)))
        for mine, part in zip(found, moments, strict=True):
            torch.testing.assert_close(mine, part[first], rtol=0, atol=1e-10)
    return K


def test_the_published_orbit_of_cornn_is_undone_in_segments():
    golden = Golden.read(DATA / "cornn_split.npz")
    network = network_from(golden.weights, **{name: golden.meta[name] for name in ("dt", "gamma", "epsilon")})
    with torch.no_grad():
        drive = network.drive(golden.tensor("x"))
    orbit = Orbit(*(torch.from_numpy(golden.outputs[name]) for name in ("hy", "hz")))
    assert contraction(network.cell) < 1
    zero = torch.zeros_like(drive[0])
    assert 1 < undone_in_segments(network.cell, drive, Orbit(zero, zero), orbit) < len(drive)


def test_the_published_orbit_of_a_sheet_is_undone_in_segments(monkeypatch):
    golden = Golden.read(DATA / "nwm_cell_2d.npz")
    lattice = (golden.meta["n_caps"], *golden.meta["cap_shape"])
    sheet = DrivenSheet(lattice, *(local(golden.meta, lattice) for _ in range(3))).double()
    weights = published.image_weights({f"rnn.{name}": torch.from_numpy(w) for name, w in golden.weights.items()})
    sheet.load_state_dict({name.removeprefix("sheet."): value for name, value in weights.items()})
    drives, run = [], sheet.cell.run
    monkeypatch.setattr(sheet.cell, "run", lambda drive, start: drives.append(drive) or run(drive, start))
    start = Orbit(*golden.tensor("h0").chunk(2, -1))
    with torch.no_grad():
        sheet.run(golden.tensor("drive"), start)
    orbit = Orbit(*torch.from_numpy(golden.outputs["state"]).chunk(2, -1))
    assert undone_in_segments(sheet.cell, drives[0], start, orbit) > 1
