"""A readout is the lengths of sums of oscillators in neighbourhoods of any size."""

import pytest
import torch

from neural.akorn import Readout


@pytest.mark.parametrize(
    ("ksize", "padding", "stride", "size"), [(1, 0, 1, 5), (1, 1, 1, 7), (1, 0, 2, 3), (3, None, 1, 5), (3, 0, 2, 2)]
)
def test_neighbourhoods_are_those_asked_for(ksize, padding, stride, size):
    rng = torch.Generator().manual_seed(0)
    readout, x = Readout(6, 3, 2, ksize, padding, stride), torch.randn(2, 5, 5, 6, generator=rng)
    m = readout(x)
    assert m.shape == (2, size, size, 3)
    beyond = ksize // 2 if padding is None else padding
    around = torch.nn.functional.pad(x, (0, 0, beyond, beyond, beyond, beyond))
    row, column = size - 1, size // 2
    seen = around[:, row * stride : row * stride + ksize, column * stride : column * stride + ksize]
    sums = torch.einsum("oihw,bhwi->bo", readout.invconv.weight, seen) + readout.invconv.bias
    torch.testing.assert_close(m[:, row, column], sums.unflatten(1, (3, 2)).norm(dim=-1) + readout.bias)
