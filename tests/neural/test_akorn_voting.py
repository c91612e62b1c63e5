"""Votes do not depend on how they are counted, and believe the copy with the lowest criterion."""

import numpy as np
import pytest
import torch

from neural.akorn import SudokuAKOrN, board_scores, broken_rules, small_boards, vote
from neural.akorn.boards import filled, legal
from neural.akorn.parts import NetworkRun
from neural.akorn.sudoku_small import BOX
from neural.akorn.voting import CRITERIA, Votes, _starts, against_copies, concordance, criteria_table

SOME = small_boards(5, (6, 10))
BY = ("sum", "last", "confidence", broken_rules(BOX))


@pytest.fixture(scope="module")
def network():
    options = {"ch": 8, "T": 3, "box": BOX, "heads": 2, "generator": torch.Generator().manual_seed(0)}
    return SudokuAKOrN(**options).double().eval()


class Guesser:
    """Stands for a network: solves the boards in the copies whose number is in `right`, at a low energy if `honest`."""

    box, ch = BOX, 1
    gamma = torch.ones(1)

    def __init__(self, right, honest=True):
        self.right, self.honest, self.runs = torch.tensor(right), honest, 0
        pairs = torch.cartesian_prod(torch.arange(6), torch.arange(5))
        self.copies, self.starts = pairs[:, 0], _starts(self, SOME.puzzles, pairs, 0)  # which tell a copy

    def run(self, boards, x0, T=None, energies=True):
        self.runs += len(x0)
        copy = self.copies[[(self.starts == x).flatten(1).all(1).nonzero().item() for x in x0]]
        good = torch.isin(copy, self.right)
        solutions = torch.stack([SOME.solutions[(SOME.puzzles == board).flatten(1).all(1)][0] for board in boards])
        answers = torch.where(good[:, None, None] & (boards == 0), solutions, 1)  # givens are none of its business
        logits = torch.nn.functional.one_hot(answers - 1, 4).float()
        E = torch.where(good == self.honest, -1.0, 0.0) + 1e-3 * copy  # of two that are alike, the earlier one
        return NetworkRun(logits, x0, x0, (), (E.expand(3, -1),))


def test_the_size_of_a_chunk_changes_nothing(network):
    one, *others = (vote(network, SOME.puzzles, 4, by=BY, chunk=chunk) for chunk in (1, 3, 7, 100))
    for other in others:
        for mine, theirs in zip(one, other, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12, equal_nan=True)  # rounding


def test_more_copies_leave_the_first_ones_as_they_are(network):
    few, many = (vote(network, SOME.puzzles, K) for K in (2, 5))
    torch.testing.assert_close(few.criteria, many.criteria[..., :2])
    assert not torch.equal(vote(network, SOME.puzzles, 2, seed=1).criteria, few.criteria)


def test_copies_and_boards_have_starts_of_their_own(network):
    same = SOME.puzzles[:1].expand(3, -1, -1)
    criteria = vote(network, same, 3).criteria
    assert len(criteria.unique()) == 9


@pytest.mark.parametrize("by", CRITERIA)
def test_the_copy_with_the_lowest_criterion_is_believed(network, by):
    votes = vote(network, SOME.puzzles, 6, by=by)
    chosen = votes.criteria[0].argmin(1)
    assert len(chosen.unique()) > 1  # not always the first
    answers = votes.answers[torch.arange(len(chosen)), chosen]
    assert torch.equal(votes.logits.argmax(-1) + 1, answers)


def test_criteria_are_the_energies_before_the_last_state(network):
    votes = vote(network, SOME.puzzles, 1, by=("sum", "last", "confidence"), T=5)
    pairs = torch.cartesian_prod(torch.arange(1), torch.arange(5))
    run = network.run(SOME.puzzles, _starts(network, SOME.puzzles, pairs, 0), T=5, energies=True)
    E = run.energies[-1]
    assert E.shape == (6, 5)
    sure = run.output.softmax(-1).amax(-1).mean((1, 2))
    torch.testing.assert_close(votes.criteria[..., 0], torch.stack([E[:5].sum(0), E[4], 1 - sure]))
    torch.testing.assert_close(votes.mean, run.output)


def test_the_mean_is_over_all_copies(network):
    first, both = (vote(network, SOME.puzzles, K) for K in (1, 2))
    second = 2 * both.mean - first.mean
    assert torch.equal(second.argmax(-1) + 1, both.answers[:, 1].long())


def test_a_board_whose_best_copy_is_legal_gets_no_more_copies():
    guesser = Guesser(right=[2])
    votes = vote(guesser, SOME.puzzles, 6, until_legal=True, chunk=5)
    assert votes.criteria[0].isnan().sum(1).tolist() == [3] * 5
    assert board_scores(votes.logits, SOME.puzzles, SOME.solutions).solved.all()
    assert guesser.runs == 15  # nothing ran that does not count
    assert (votes.answers[:, 3:] == 0).all()
    assert torch.allclose(votes.mean.sum(-1), torch.ones(()))  # of three copies, not of six


def test_copies_that_ran_in_vain_do_not_count():
    one, large = (vote(Guesser(right=[2]), SOME.puzzles, 6, until_legal=True, chunk=chunk) for chunk in (1, 100))
    for mine, theirs in zip(one, large, strict=True):
        torch.testing.assert_close(mine, theirs, equal_nan=True)


def test_a_legal_copy_that_is_not_the_best_does_not_end_the_vote():
    votes = vote(Guesser(right=[2], honest=False), SOME.puzzles, 6, until_legal=True)
    assert not votes.criteria.isnan().any()
    assert not board_scores(votes.logits, SOME.puzzles, SOME.solutions).solved.any()


def test_the_rules_of_sudoku_find_the_right_copy():
    votes = vote(Guesser(right=[4], honest=False), SOME.puzzles, 6, by=broken_rules(BOX))
    assert board_scores(votes.logits, SOME.puzzles, SOME.solutions).solved.all()
    assert (votes.criteria[0].argmin(1) == 4).all()


def test_accuracy_is_known_for_every_number_of_copies():
    votes = vote(Guesser(right=[2]), SOME.puzzles, 4, by=("sum", broken_rules(BOX)))
    assert against_copies(votes, SOME.puzzles, SOME.solutions).tolist() == [[0, 0, 1, 1]] * 2
    stopped = vote(Guesser(right=[2]), SOME.puzzles, 4, until_legal=True)
    assert against_copies(stopped, SOME.puzzles, SOME.solutions).tolist() == [[0, 0, 1, 1]]


def test_concordance_counts_pairs_of_a_right_and_a_wrong_copy_of_one_board():
    """Two boards: of the first, copies 0 and 1 are right; of the second, copy 1 is, and copy 3 was not needed."""
    boards, solutions = SOME.puzzles[:2], SOME.solutions[:2]
    answers = solutions[:, None].repeat(1, 4, 1, 1)
    for board, copy in ((0, 2), (0, 3), (1, 0), (1, 2), (1, 3)):
        answers[board, copy] = 5 - answers[board, copy]
    criteria = torch.tensor([[[1.0, 4.0, 2.0, 4.0], [3.0, 1.0, 0.0, torch.nan]]]).repeat(2, 1, 1)
    criteria[1] *= -1
    votes = Votes(torch.empty(0), torch.empty(0), criteria, answers)
    found = concordance(votes, boards, solutions)
    torch.testing.assert_close(found, torch.tensor([3.5, 2.5]) / 6)  # 1 < 2, 1 < 4, 4 > 2, 4 = 4; 1 < 3, 1 > 0
    single = votes._replace(answers=answers[:, :1], criteria=criteria[..., :1])
    assert concordance(single, boards, solutions).isnan().all()


def test_criteria_and_correctness_of_all_copies_are_labelled():
    votes = vote(Guesser(right=[2]), SOME.puzzles, 4)
    table = criteria_table(votes, SOME.puzzles, SOME.solutions)
    assert dict(table.sizes) == {"board": 5, "copy": 4}
    assert table.solved.values.tolist() == [[False, False, True, False]] * 5
    np.testing.assert_array_equal(table.criterion, votes.criteria[0])


def test_filled_boards_are_judged_by_the_rules():
    logits = torch.nn.functional.one_hot(SOME.solutions - 1, 4).float()
    assert legal(filled(logits, SOME.puzzles), BOX).all()
    wrong = filled(logits.roll(1, -1), SOME.puzzles)
    assert torch.equal(wrong[SOME.puzzles > 0], SOME.puzzles[SOME.puzzles > 0])
    assert not legal(wrong, BOX).any()
    assert not legal(SOME.puzzles, BOX).any()  # not complete


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"K": 0}, "`K` and `chunk` must be at least 1, but are 0 and 1024"),
        ({"K": 2, "chunk": 0}, "`K` and `chunk` must be at least 1, but are 2 and 0"),
        ({"K": 2, "by": "votes"}, "`by` must be one of"),
        ({"K": 2, "T": 0}, "`T` must be an integer and at least 1"),
        ({"K": 2, "by": []}, "`by` must name a criterion"),
    ],
)
def test_a_vote_that_cannot_be_held_is_named(network, arguments, says):
    with pytest.raises(ValueError, match=says):
        vote(network, SOME.puzzles, **arguments)


def test_a_criterion_that_is_not_finite_is_named(network):
    with pytest.raises(FloatingPointError, match="`by` must be finite, but is nan"):
        vote(network, SOME.puzzles, 2, by=lambda run, boards: run.energies[-1][-1] * torch.nan)
