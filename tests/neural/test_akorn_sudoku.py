"""Sudoku: boards from files and from nowhere, more steps than in the training, and what a task learns from."""

import numpy as np
import pytest
import torch

from neural.akorn import SudokuAKOrN, SudokuTransformer, read_boards, small_boards
from neural.akorn.boards import check_boards, legal
from neural.akorn.sudoku_data import read_archive, read_csv, read_satnet
from neural.akorn.sudoku_small import BOX, small_grids

SOLUTION = torch.tensor([[(3 * (i % 3) + i // 3 + j) % 9 + 1 for j in range(9)] for i in range(9)])


@pytest.fixture
def pair():
    """Ten boards of 9 × 9 with as many solutions, one of digits that are exchanged."""
    solutions = torch.stack([(SOLUTION + shift - 1) % 9 + 1 for shift in range(10)])
    shown = torch.rand(10, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.4
    return solutions * shown, solutions


def onehot(boards):
    return torch.nn.functional.one_hot(boards, 10)[..., 1:].float()


def text(boards):
    return ["".join(map(str, board.flatten().tolist())) for board in boards]


def network(L=1):
    options = {"ch": 8, "L": L, "box": BOX, "heads": 2, "generator": torch.Generator().manual_seed(0)}
    return SudokuAKOrN(**options).double()


def test_archives_are_read(pair, tmp_path):
    puzzles, solutions = (x.flatten(1).numpy().astype(np.uint8) for x in pair)
    np.savez(tmp_path / "sudoku_ood.npz", puzzles=puzzles, solutions=solutions)
    found = read_boards(tmp_path, "hard")
    assert torch.equal(found.puzzles, pair[0])
    assert torch.equal(found.solutions, pair[1])
    assert found.puzzles.dtype == torch.int64


def test_the_first_9000_boards_are_to_train_with(pair, tmp_path):
    puzzles, solutions = (x.flatten(1).repeat(1000, 1).numpy() for x in pair)
    np.savez(tmp_path / "sudoku_id.npz", puzzles=puzzles, solutions=solutions)
    train, test = (read_boards(tmp_path, part) for part in ("train", "test"))
    assert (len(train), len(test)) == (9000, 1000)
    assert torch.equal(test[:10].puzzles, pair[0])


def test_tensors_of_satnet_are_read(pair, tmp_path):
    for name, boards in zip(("features.pt", "labels.pt"), pair, strict=True):
        torch.save(onehot(boards), tmp_path / name)
    assert torch.equal(read_boards(tmp_path, "train").puzzles, pair[0])
    assert torch.equal(read_satnet(tmp_path / "features.pt").solutions, pair[1])


def test_csv_keeps_leading_blanks(pair, tmp_path):
    pair[0][0, 0] = 0
    rows = [",".join(row) for row in zip(*map(text, pair), strict=True)]
    (tmp_path / "test.csv").write_text("\n".join(rows) + "\n")
    found = read_boards(tmp_path, "hard")
    assert torch.equal(found.puzzles, pair[0])
    assert torch.equal(found.solutions, pair[1])


def test_digits_that_lost_their_zeros_are_named(pair, tmp_path):
    file = tmp_path / "test.csv"
    file.write_text(f"{text(pair[0])[0]},{text(pair[1])[0]}\n{text(pair[0])[1].lstrip('0')[1:]},{text(pair[1])[1]}")
    with pytest.raises(ValueError, match="must have two strings of 81 digits in a row, but row 2 of"):
        read_csv(file)


@pytest.mark.parametrize("part", ["train", "hard"])
def test_a_missing_file_says_where_it_was_looked_for_and_how_to_get_it(part, tmp_path):
    wanted = "sudoku_ood.npz or test.csv" if part == "hard" else "sudoku_id.npz or features.pt"
    with pytest.raises(FileNotFoundError, match=f"`folder` must have {wanted}, but {tmp_path}.*get the original files"):
        read_boards(tmp_path, part)


def test_half_of_the_tensors_is_not_enough(pair, tmp_path):
    torch.save(onehot(pair[0]), tmp_path / "features.pt")
    with pytest.raises(FileNotFoundError, match=r"beside labels\.pt, but there is no"):
        read_boards(tmp_path, "test")


def test_an_unknown_part_is_named(tmp_path):
    with pytest.raises(ValueError, match="`part` must be one of"):
        read_boards(tmp_path, "easy")


@pytest.mark.parametrize("wrong", ["rule", "given", "count"])
def test_a_file_whose_solutions_are_wrong_is_named(wrong, pair, tmp_path):
    puzzles, solutions = pair[0].clone(), pair[1].clone()
    if wrong == "rule":
        puzzles[3], solutions[3, 0, 0] = 0, solutions[3, 0, 1]
    elif wrong == "given":
        puzzles[3, 0, 0] = solutions[3, 0, 0] % 9 + 1
    else:
        solutions = solutions[:9]
    arrays = {"puzzles": puzzles.flatten(1).numpy(), "solutions": solutions.flatten(1).numpy()}
    np.savez(tmp_path / "boards.npz", **arrays)
    says = "a solution for every board" if wrong == "count" else r"board 3 of .* does not"
    with pytest.raises(ValueError, match=says):
        read_archive(tmp_path / "boards.npz")


def test_an_archive_of_something_else_is_named(tmp_path):
    np.savez(tmp_path / "boards.npz", boards=np.zeros((2, 81)))
    with pytest.raises(ValueError, match=r"`path` must have puzzles and solutions, but .* has boards"):
        read_archive(tmp_path / "boards.npz")


def test_there_are_288_boards_of_4_by_4():
    grids = small_grids()
    assert len(grids) == 288
    assert len(grids.unique(dim=0)) == 288
    assert legal(grids, BOX).all()


@pytest.mark.parametrize(("givens", "part"), [((6, 10), "train"), ((4, 5), "test")])
def test_small_boards_have_one_solution_each(givens, part):
    found = small_boards(200, givens, part)
    check_boards(found.puzzles, BOX)
    assert len(found.puzzles.unique(dim=0)) == 200
    counts = (found.puzzles > 0).flatten(1).sum(1)
    assert (counts.min(), counts.max()) == givens
    shown = found.puzzles[:, None]
    fits = ((small_grids() == shown) | (shown == 0)).flatten(2).all(2)  # all grids, tried one by one
    assert (fits.sum(1) == 1).all()
    assert torch.equal(small_grids()[fits.int().argmax(1)], found.solutions)


def test_solutions_of_the_test_are_not_in_the_training():
    train, test = (set(text(small_boards(3000, (6, 10), part).solutions)) for part in ("train", "test"))
    assert (len(train), len(test)) == (240, 48)
    assert not train & test


def test_small_boards_come_from_their_seed():
    one, again, other = (small_boards(50, (6, 8), seed=seed).puzzles for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((10, (3, 5)), r"`givens` must be two numbers from 4 to 15 in order, but are \(3, 5\)"),
        ((10, (8, 6)), "`givens` must be two numbers from 4 to 15 in order"),
        ((10, (6, 8), "hard"), "`part` must be one of"),
        ((100_000, (15, 15)), "`count` must not exceed the boards there are, but is 100000, and 3840 were found"),
    ],
)
def test_small_boards_that_cannot_be_had_are_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        small_boards(*arguments)


def test_more_steps_go_on_from_the_last_state():
    own, boards = network(), small_boards(3, (6, 8)).puzzles
    x0 = torch.randn(3, 4, 4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    E = torch.zeros(1, 3)
    for T, (logits, energies) in zip((2, 3, 7), own.extend(boards, (2, 3, 7), x0), strict=True):
        run = own.run(boards, x0, T=T, energies=True)
        torch.testing.assert_close(logits, run.output, rtol=1e-10, atol=1e-10)  # x is normalised once more
        E = torch.cat([E[:-1], energies])
        torch.testing.assert_close(E, run.energies[0], rtol=1e-10, atol=1e-10)


def test_more_steps_need_one_block_and_increasing_times():
    boards = small_boards(1, (6, 8)).puzzles
    with pytest.raises(ValueError, match="`L` must be 1 to go on from a state, but is 2"):
        next(network(L=2).extend(boards, [1, 2]))
    with pytest.raises(ValueError, match=r"`times` must increase from at least 1, but are \[2, 2\]"):
        next(network().extend(boards, [2, 2]))


def test_a_task_learns_all_cells_from_random_starts(tmp_path):
    pytest.importorskip("lightning")
    from neural.akorn.sudoku_training import SudokuTask

    some = small_boards(20, (6, 8))
    batch = (some.puzzles, some.solutions)
    task = SudokuTask("akorn", {"ch": 8, "T": 2, "box": BOX, "heads": 2}).double()
    torch.manual_seed(0)
    x0 = torch.randn(20, 8, 4, 4, dtype=torch.float64).movedim(1, -1)
    torch.manual_seed(0)
    loss = task.loss(batch)
    log_p = task.network(some.puzzles, x0).log_softmax(-1)
    expected = -log_p.gather(-1, some.solutions[..., None] - 1).mean()
    torch.testing.assert_close(loss, expected)
    assert set(task.scores(batch)) == {"val_loss", "val_solved"}
    assert 0 <= task.scores(batch)["val_solved"] <= 1


def test_a_task_of_another_network_is_named():
    pytest.importorskip("lightning", reason="training needs the extra `train`")
    from neural.akorn.sudoku_training import SudokuTask

    with pytest.raises(ValueError, match="`model` must be one of 'akorn', 'transformer', but is 'itrsa'"):
        SudokuTask("itrsa")


def test_a_task_may_draw_its_number_of_steps():
    pytest.importorskip("lightning")
    from neural.akorn.sudoku_training import SudokuTask

    task = SudokuTask("transformer", {"ch": 8, "T": 2, "box": BOX, "heads": 2}, steps=(1, 3))
    some, seen = small_boards(2, (6, 8)), []
    forward = task.network.forward
    task.network.forward = lambda boards, T: seen.append(T) or forward(boards, T=T)
    for seed in range(20):
        torch.manual_seed(seed)
        task.loss((some.puzzles, some.solutions))
    assert set(seen) == {1, 2, 3}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
@pytest.mark.parametrize("kind", [SudokuAKOrN, SudokuTransformer])
def test_boards_of_any_integers_are_read_alike(kind, dtype):
    network, boards = kind(8, heads=2, T=1, box=(2, 2)), torch.zeros(1, 4, 4, dtype=torch.long)
    boards[0, 0, 1] = 3
    start = (torch.ones(1, 4, 4, 8),) if kind is SudokuAKOrN else ()
    assert torch.equal(network(boards.to(dtype), *start), network(boards, *start))


@pytest.mark.parametrize("boards", [torch.zeros(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4).numpy()])
def test_boards_of_another_kind_are_named(boards):
    with pytest.raises(TypeError, match="`boards` must"):
        check_boards(boards, (2, 2))
