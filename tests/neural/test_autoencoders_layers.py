"""Layers of complex numbers and of vectors: their maps, gates, symmetries, and what happens at zero."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from neural.autoencoders import ComplexBlock, RotatingBlock, stable_angle
from neural.autoencoders.activations import from_complex, from_vectors, phase, to_complex, to_vectors
from neural.autoencoders.maps import SameConv2d, UpsampledConv2d, convolution

DOUBLE = {"dtype": torch.float64}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def normal(rng, *shape):
    return torch.randn(shape, generator=rng, **DOUBLE)


def complex_normal(rng, *shape):
    return torch.complex(normal(rng, *shape), normal(rng, *shape))


def bare(block):
    """Without a norm, in double precision."""
    block.norm = nn.Identity()
    return block.double()


def complex_layers(rng):
    return [
        (bare(ComplexBlock.dense(6, 5, generator=rng)), complex_normal(rng, 4, 6)),
        *(
            (bare(ComplexBlock.convolution(kind, 3, 4, 3, stride, generator=rng)), complex_normal(rng, 2, 3, 6, 8))
            for kind in ("same", "symmetric", "transposed", "nearest")
            for stride in (1, 2)
        ),
    ]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("repeats", [2, 3])
def test_a_map_of_repeated_pixels_is_a_convolution_of_the_large_map(kernel, repeats, rng):
    f, x = UpsampledConv2d(3, 4, kernel, repeats).double(), normal(rng, 2, 3, 5, 4)
    large = functional.interpolate(x, scale_factor=repeats, mode="nearest")
    same = SameConv2d(3, 4, kernel, bias=False).double()
    same.load_state_dict(f.state_dict())
    assert torch.allclose(f(x), same(large), atol=1e-13)  # sums of at most 75 products of order 1, in another order


@pytest.mark.parametrize(("n", "kernel", "stride"), [(8, 3, 2), (7, 3, 2), (6, 5, 2), (6, 4, 1), (5, 1, 2), (9, 3, 4)])
def test_same_padding_leaves_one_output_per_stride(n, kernel, stride, rng):
    f, x = convolution("same", 1, 1, kernel, stride), torch.ones(1, 1, n, n)
    assert f(x).shape[-2:] == (math.ceil(n / stride),) * 2


def test_same_padding_of_an_odd_number_is_below_and_right():
    f = convolution("same", 1, 1, 3, 2)
    nn.init.zeros_(f.weight)
    f.weight.data[0, 0, 0, 0] = (
        1.0  # the upper left entry sees pixel (2 i, 2 j), and the symmetric one pixel (2 i - 1, 2 j - 1)
    )
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert f(image)[0, 0].tolist() == [[0.0, 2.0], [8.0, 10.0]]
    symmetric = convolution("symmetric", 1, 1, 3, 2)
    symmetric.load_state_dict(f.state_dict())
    assert symmetric(image)[0, 0].tolist() == [[0.0, 0.0], [0.0, 5.0]]


def test_transposed_maps_multiply_the_size_by_the_stride(rng):
    for stride in (1, 2, 3):
        assert convolution("transposed", 2, 3, 3, stride)(torch.zeros(1, 2, 4, 5)).shape == (
            1,
            3,
            4 * stride,
            5 * stride,
        )


def test_an_unknown_map_is_an_error():
    with pytest.raises(
        ValueError, match="`kind` must be one of 'same', 'symmetric', 'transposed', 'nearest', but is 'valid'"
    ):
        convolution("valid", 1, 1)


@pytest.mark.parametrize(
    ("z", "angle"),
    [
        (0, math.pi / 2),
        (1, 1e-8),
        (-1, math.pi),
        (-1 - 9e-9j, math.pi),
        (1j, math.pi / 2),
        (-1j, -math.pi / 2),
        (1 - 1e-3j, -1e-3),
    ],
)
def test_the_stable_angle_has_no_small_imaginary_parts(z, angle):
    parts = torch.tensor([complex(z).real, complex(z).imag], **DOUBLE)
    assert float(stable_angle(parts)) == pytest.approx(angle, abs=2e-8)  # 1e-8 is put in place of smaller ones


def test_a_common_rotation_turns_phases_and_leaves_magnitudes(rng):
    a = 0.7
    for block, z in complex_layers(rng):
        before, after = (block(from_complex(x)) for x in (z, z * torch.exp(torch.tensor(1j * a))))
        assert torch.allclose(before[-1], after[-1], atol=1e-12)
        assert torch.allclose(to_complex(after), to_complex(before) * torch.exp(torch.tensor(1j * a)), atol=1e-12)


def test_inputs_of_one_phase_meet_an_ordinary_unit(rng):
    for block, z in complex_layers(rng):
        block.magnitude_bias.data.zero_()
        psi, chi = block.response(from_complex(z.abs() * torch.exp(torch.tensor(0.3j, dtype=torch.complex128))))
        assert torch.allclose(block.gate(psi, chi), chi.clamp_min(0), atol=1e-12)


def test_a_layer_is_its_equation(rng):
    block, z = complex_layers(rng)[0]
    block.phase_bias.data = normal(rng, 1, 5)
    W = block.map.weight
    psi = torch.complex(z.real @ W.T, z.imag @ W.T)
    r = torch.relu((psi.abs() + z.abs() @ W.T) / 2 + block.magnitude_bias)
    wanted = torch.polar(r, psi.angle() + block.phase_bias)
    found = block(from_complex(z))
    assert torch.allclose(to_complex(found), wanted, atol=1e-12)
    assert torch.allclose(found[-1], wanted.abs(), atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_rotating_layers_turn_with_their_input(n, rng):
    Q = torch.linalg.qr(normal(rng, n, n)).Q
    for block, x in (
        (RotatingBlock.dense(6, 5, n=n, generator=rng), normal(rng, 4, n, 6)),
        (RotatingBlock.convolution("symmetric", 2, 3, 3, 2, n=n, generator=rng), normal(rng, 4, n, 2, 6, 6)),
    ):
        bare(block).rotation_bias.data.zero_()
        turned = torch.einsum("mn,bn...->bm...", Q, x)
        found = to_vectors(block(from_vectors(turned)))
        assert torch.allclose(found, torch.einsum("mn,bn...->bm...", Q, to_vectors(block(from_vectors(x)))), atol=1e-12)


@pytest.mark.parametrize("biased", [False, True])
def test_a_rotating_layer_is_its_equation(biased, rng):
    block, x = bare(RotatingBlock.dense(6, 5, n=3, biased=biased, generator=rng)), normal(rng, 4, 3, 6)
    psi, chi = x @ block.map.weight.T, x.norm(dim=1) @ block.map.weight.T
    v = psi + block.rotation_bias
    r = torch.relu(((v if biased else psi).norm(dim=1) + chi) / 2)
    found = block(from_vectors(x))
    assert torch.allclose(to_vectors(found), r[:, None] * functional.normalize(v, dim=1), atol=1e-12)
    assert torch.allclose(found[-1], r, atol=1e-12)


@pytest.mark.parametrize("kind", [ComplexBlock, RotatingBlock])
def test_nothing_in_gives_finite_gradients(kind, rng):
    block = kind.dense(3, 2, generator=rng, **({"n": 2} if kind is RotatingBlock else {}))
    for bias in (name for name in dict(block.named_parameters()) if "bias" in name and "norm" not in name):
        nn.init.zeros_(block.get_parameter(bias))
    z = torch.zeros(3, 4, 3, requires_grad=True)
    out = block(z)
    out.sum().backward()
    assert torch.isfinite(out).all()
    assert torch.isfinite(z.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in block.parameters())


def test_gradients_are_those_of_the_function(rng):
    block, z = bare(ComplexBlock.dense(3, 2, generator=rng)), normal(rng, 2, 3, 3)
    block.magnitude_bias.data += 2.0  # all units alive
    z = torch.cat([z, z.norm(dim=0, keepdim=True)]).requires_grad_()
    assert torch.autograd.gradcheck(block, z)


def test_phases_are_zero_where_nothing_is():
    z = torch.tensor([[-0.0, -1.0], [-0.0, 0.0], [0.0, 1.0]])
    assert phase(z).tolist() == pytest.approx([0.0, math.pi])


def test_activations_are_what_they_were_made_of(rng):
    z, x = complex_normal(rng, 2, 3), normal(rng, 2, 5, 3)
    assert torch.equal(to_complex(from_complex(z)), z)
    assert torch.equal(to_vectors(from_vectors(x)), x)


def test_activations_of_another_kind_are_refused(rng):
    with pytest.raises(TypeError, match=r"`z` must be complex, but has dtype torch.float64; pass torch.polar"):
        from_complex(normal(rng, 2))
    with pytest.raises(ValueError, match="`z` must have 2 components, but has 4; vectors of more have no phase"):
        phase(normal(rng, 5, 2))


def test_weights_start_within_their_fan_in_and_phases_at_zero(rng):
    blocks = {27: ("same", 3, 8), 72: ("transposed", 3, 8), 45: ("nearest", 5, 8)}
    for fan_in, (kind, c_in, c_out) in blocks.items():
        block = ComplexBlock.convolution(kind, c_in, c_out, 3, 2, generator=rng)
        for values in (block.map.weight, block.magnitude_bias):
            assert values.abs().max() <= fan_in**-0.5
        assert block.map.weight.abs().max() > 0.9 * fan_in**-0.5  # of some hundred uniform numbers
        assert not block.phase_bias.any()


def test_a_generator_decides_all_weights():
    def drawn(seed):
        return RotatingBlock.dense(6, 5, n=3, generator=torch.Generator().manual_seed(seed)).state_dict()

    assert all(torch.equal(value, drawn(0)[name]) for name, value in drawn(0).items())
    assert not torch.equal(drawn(0)["map.weight"], drawn(1)["map.weight"])


def test_half_precision_has_lengths_and_angles_in_single(rng):
    block, z = ComplexBlock.convolution("nearest", 3, 4, 3, 2, generator=rng), complex_normal(rng, 2, 3, 5, 5)
    exact = block(from_complex(z.to(torch.complex64)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = block(from_complex(z.to(torch.complex64)))
        assert all(part.dtype == torch.float32 for part in block.response(from_complex(z.to(torch.complex64))))
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, atol=0.1)  # eight bits of mantissa, magnitudes of order 1 after the norm


def test_single_precision_is_near_double(rng):
    block, z = ComplexBlock.convolution("same", 3, 4, 3, 2, generator=rng), complex_normal(rng, 2, 3, 6, 6)
    single = block(from_complex(z.to(torch.complex64)))
    assert torch.allclose(block.double()(from_complex(z)), single.double(), atol=1e-4)
