"""The networks of AKOrN and their baselines."""

import pytest
import torch

from neural.akorn import (
    ClassifierAKOrN,
    ImageTransformer,
    ItrConv,
    ObjectAKOrN,
    ResNet18,
    SudokuAKOrN,
    SudokuTransformer,
    board_scores,
    check_boards,
    digits,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small_sudoku(**options):
    return SudokuAKOrN(16, 4, 1, 3, heads=2, generator=seeded(), **options)


def small_objects(**options):
    return ObjectAKOrN(16, 4, 2, 3, imsize=16, heads=2, generator=seeded(), **options)


def small_classifier(**options):
    return ClassifierAKOrN(8, 2, **{"T": 2, "ksizes": (3, 3, 3), "generator": seeded()} | options)


def images(batch=2, size=16):
    return torch.rand(batch, 3, size, size, generator=seeded(1))


def board(size=9, batch=2):
    boards = torch.zeros(batch, size, size, dtype=torch.long)
    boards[:, 0, 0], boards[:, 0, 1], boards[:, 1, -1] = 1, 2, 3
    return boards


NETWORKS = {
    "sudoku": (small_sudoku, board),
    "sudoku 4 x 4": (lambda **options: small_sudoku(box=(2, 2), **options), lambda: board(4)),
    "sudoku 6 x 6": (lambda **options: small_sudoku(box=(2, 3), **options), lambda: board(6)),
    "sudoku without attention": (lambda **options: small_sudoku(J="conv", **options), board),
    "sudoku, symmetric": (
        lambda **options: small_sudoku(box=(2, 2), J="dense", symmetric=True, **options),
        lambda: board(4),
    ),
    "objects": (small_objects, images),
    "objects, dense": (lambda **options: small_objects(J=["dense", "attn"], **options), images),
    "classifier": (small_classifier, images),
    "mixed classifier": (
        lambda **options: small_classifier(J=["conv", "conv", "attn"], T=[3, 2, 1], **options),
        images,
    ),
}
each = pytest.mark.parametrize(("build", "data"), NETWORKS.values(), ids=NETWORKS)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (lambda: SudokuAKOrN(), 2_982_412 - 512 * 81),  # without the published x0, which nothing reads
        (lambda: SudokuTransformer(), 2_155_017),
        (lambda: SudokuTransformer(blocks=8, T=1), 16_874_505),
        (lambda: ObjectAKOrN(128, imsize=32, c_norm=None), 278_401),
        (lambda: ObjectAKOrN(128, imsize=32, c_norm=None, J="conv", ksize=5), 613_889),
        (lambda: ImageTransformer(128, imsize=32), 278_912),
        (lambda: ObjectAKOrN(256, L=2, psize=8), 1_760_257),
        (lambda: ClassifierAKOrN(), 7_023_761),
        (lambda: ClassifierAKOrN(J=["conv", "conv", "attn"]), 5_648_273),
        (lambda: ResNet18(), 11_173_962),
    ],
)
def test_networks_have_the_published_number_of_parameters(network, count):
    with torch.device("meta"):
        assert sum(p.numel() for p in network().parameters()) == count


@each
def test_a_run_gives_states_and_energies_on_request(build, data):
    network = build().eval()
    run = network.run(data(), generator=seeded(), states=True, energies=True)
    assert len(run.states) == len(run.energies) == len(network.layers)
    for states, energies in zip(run.states, run.energies, strict=True):
        assert len(states) == len(energies)
        torch.testing.assert_close(states.norm(dim=-1), torch.ones(states.shape[:-1]))
    torch.testing.assert_close(run.states[-1][-1].flatten(-2), run.x)
    bare = network.run(data(), generator=seeded())
    assert bare.states == bare.energies == ()
    torch.testing.assert_close(bare.output, run.output)


@each
def test_randomness_comes_from_generators_only(build, data):
    before = torch.get_rng_state()
    network, twin = build().eval(), build().eval()
    torch.manual_seed(99)
    one = network(data(), generator=seeded(5))
    assert torch.equal(one, twin(data(), generator=seeded(5)))
    assert not torch.equal(one, network(data(), generator=seeded(6)))
    torch.set_rng_state(before)


@each
def test_a_given_start_is_used(build, data):
    network = build().eval()
    c = network.run(data(), generator=seeded()).c
    if isinstance(network, ClassifierAKOrN):
        c = torch.empty(2, 16, 16, 8)
    x0 = torch.randn(c.shape, generator=seeded(8))
    assert torch.equal(network(data(), x0), network(data(), x0))
    assert not torch.equal(network(data(), x0), network(data(), x0.flip(1)))
    with pytest.raises(ValueError, match="`x0` must have shape"):
        network(data(), x0[:, 1:])


@each
def test_every_parameter_learns(build, data):
    network = build(omega="pair")
    network.run(data(), generator=seeded(), energies=True).output.square().sum().backward()
    still = {name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())}
    assert not still


@each
def test_checkpoints_change_no_gradient(build, data):
    def gradient(checkpoint):
        network = build().double().eval()
        inputs = data()
        inputs = inputs.double() if inputs.is_floating_point() else inputs
        network(inputs, generator=seeded(2), checkpoint=checkpoint, T=4).square().sum().backward()
        return [p.grad for p in network.parameters() if p.grad is not None]

    torch.testing.assert_close(gradient(True), gradient(False))


@pytest.mark.parametrize("omega", ["global", "pair", "antisymmetric", None])
@pytest.mark.parametrize("positions", ["gta", "rope", "absolute", None])
def test_sudoku_has_all_frequencies_and_positions(omega, positions):
    network = small_sudoku(omega=omega, positions=positions)
    assert network(board(), generator=seeded()).shape == (2, 9, 9, 9)


def test_givens_start_at_their_digit_and_blanks_at_noise():
    network = small_sudoku().eval()
    x0 = torch.randn(2, 9, 9, 16, generator=seeded())
    start = network.run(board(), x0, states=True).states[0][0].flatten(-2)
    for column, digit in enumerate((1, 2)):
        given = torch.nn.functional.normalize(network.embedding.weight[digit].view(4, 4), dim=-1).flatten()
        torch.testing.assert_close(start[0, 0, column], given)
    torch.testing.assert_close(start[0, 5, 5], torch.nn.functional.normalize(x0[0, 5, 5].view(4, 4), dim=-1).flatten())


def test_noise_is_drawn_as_published():
    network = small_sudoku().eval()
    noise = torch.randn(2, 16, 9, 9, generator=seeded(42)).movedim(1, -1)
    assert torch.equal(network(board(), noise), network(board(), generator=seeded(42)))


def test_the_number_of_steps_may_change_after_training():
    network = small_sudoku()
    states = network.run(board(), generator=seeded(), T=9, states=True).states[0]
    assert len(states) == 10
    short = network.run(board(), generator=seeded(), T=4)
    torch.testing.assert_close(states[4].flatten(-2), short.x)


def test_frozen_numbers_stay_out_of_training():
    assert not small_objects().gamma.requires_grad
    assert small_sudoku().gamma.requires_grad
    frozen = small_sudoku(omega_learned=False)
    assert not frozen.layers[0][0].omg.omg_param.requires_grad


def test_two_blocks_halve_the_resolution_and_later_ones_keep_it():
    network = ClassifierAKOrN(4, 2, L=4, T=1, ksizes=1, ro_ksize=1, generator=seeded())
    states = network.run(images(), states=True).states
    assert [tuple(s.shape[2:]) for s in states] == [(16, 16, 2, 2), (8, 8, 4, 2), (4, 4, 8, 2), (4, 4, 16, 2)]


def test_an_ensemble_is_the_mean_over_starts():
    one, three = small_classifier().eval(), small_classifier(ensemble=3).eval()
    generator = seeded(4)
    want = torch.stack([one(images(), generator=generator) for _ in range(3)]).mean(0)
    torch.testing.assert_close(three(images(), generator=seeded(4)), want)


def test_images_of_another_size_are_resized_or_seen_on_their_own_grid():
    large = images(size=24)
    assert small_objects().run(large).c.shape == (2, 4, 4, 16)
    assert small_objects(rescale=False).run(large).c.shape == (2, 6, 6, 16)


@pytest.mark.parametrize("network", [ImageTransformer, ItrConv])
def test_baselines_on_images_step_and_embed(network):
    own = network(16, T=3, imsize=16, generator=seeded()).eval()
    seen = own.run(images(), states=True)
    assert seen.output.shape == (2, 16)
    assert seen.features.shape == (2, 4, 4, 16)
    assert seen.states[0].shape == (3, 2, 4, 4, 16)
    torch.testing.assert_close(own.run(images(), T=2, states=True).states[0], seen.states[0][:2])
    torch.testing.assert_close(own(images()), seen.output)


@pytest.mark.parametrize("positions", ["absolute", "gta"])
def test_transformers_see_boards_of_any_box(positions):
    own = SudokuTransformer(16, 2, T=2, box=(2, 3), positions=positions, generator=seeded())
    assert own(board(6)).shape == (2, 6, 6, 6)
    assert not torch.equal(own(board(6)), own(board(6), T=3))


def test_classifiers_of_images_have_as_many_logits_as_classes():
    assert ResNet18(7, 8, generator=seeded()).eval()(images(size=32)).shape == (2, 7)
    assert ImageTransformer(16, T=1, imsize=16, outputs=7, generator=seeded())(images()).shape == (2, 7)
    assert small_classifier(classes=7).eval()(images()).shape == (2, 7)


def test_scores_count_blank_cells_only():
    solution = torch.arange(4).view(1, 1, 4).expand(1, 4, 4) + 1
    boards = solution.clone()
    boards[0, 1, 1:] = 0
    logits = torch.nn.functional.one_hot(solution - 1, 4).float()
    logits[0, 0] = logits[0, 0].flip(-1)  # givens: of no account
    assert [value.tolist() for value in board_scores(logits, boards, solution)] == [[True], [3], [3]]
    logits[0, 1, 2] = -logits[0, 1, 2]
    assert [value.tolist() for value in board_scores(logits, boards, solution)] == [[False], [2], [3]]


def test_one_hot_boards_become_digits():
    onehot = torch.zeros(1, 2, 2, 4)
    onehot[0, 0, 1, 2] = 1
    assert digits(onehot).tolist() == [[[0, 3], [0, 0]]]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({(0, 3): 5, (8, 3): 5}, "no digit twice in a row, column or box, but board 1 has 5 in row 0, column 3"),
        ({(4, 0): 7, (4, 8): 7}, "board 1 has 7 in row 4, column 0"),
        ({(3, 3): 9, (5, 4): 9}, "board 1 has 9 in row 3, column 3"),
        ({(2, 2): 10}, r"digits from 0 \\(blank\\) to 9, but board 1 has 10 in row 2, column 2"),
        ({(2, 2): -1}, "board 1 has -1 in row 2, column 2"),
    ],
)
def test_illegal_givens_are_named(cells, message):
    boards = torch.zeros(2, 9, 9, dtype=torch.long)
    for (row, column), digit in cells.items():
        boards[1, row, column] = digit
    with pytest.raises(ValueError, match=message.replace("\\\\", "\\")):
        check_boards(boards, (3, 3))


def test_boxes_may_be_oblong():
    boards = torch.zeros(1, 6, 6, dtype=torch.long)
    boards[0, 0, 0] = boards[0, 2, 1] = 4  # two boxes of 2 x 3
    check_boards(boards, (2, 3))
    with pytest.raises(ValueError, match="no digit twice"):
        check_boards(boards, (3, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: small_sudoku()(board(4)), ValueError, r"shape \(B, 9, 9\) for boxes of 3 x 3, but is \(2, 4, 4\)"),
        (lambda: small_sudoku()(board().float()), TypeError, "`boards` must hold integers"),
        (lambda: small_sudoku()(board(), T=0), ValueError, "`T` must be an integer and at least 1"),
        (lambda: SudokuAKOrN(16, 4, 0), ValueError, "`L` must be an integer and at least 1, but is 0"),
        (lambda: ObjectAKOrN(16, 4, 0), ValueError, "`L` must be an integer and at least 1, but is 0"),
        (lambda: small_classifier(ensemble=0), ValueError, "`ensemble` must be an integer and at least 1"),
        (lambda: small_sudoku(head=3), TypeError, "head"),
        (lambda: small_objects()(images()[0]), ValueError, r"shape \(B, 3, height, width\)"),
        (lambda: small_objects()(images() * torch.nan), ValueError, "`images` must be finite"),
        (lambda: small_objects()((255 * images()).byte()), TypeError, "`images` must be floating point"),
        (lambda: small_objects(J=["attn"]), ValueError, "`J` must have one entry for each of the 2 layers"),
        (lambda: small_objects(psize=5), ValueError, "`imsize` must be a multiple of `psize`"),
        (lambda: small_objects(J="sparse"), ValueError, "`J` must be one of"),
        (lambda: small_objects(omega="all"), ValueError, "`omega` must be one of"),
        (
            lambda: small_classifier(ensemble=2)(images(), images()),
            ValueError,
            "`x0` must be None for an ensemble of 2",
        ),
        (lambda: ItrConv(16, 4), ValueError, "`ksize` must be odd"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
