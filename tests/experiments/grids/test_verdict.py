"""Which place of a table is best: what differs within noise is not."""

import math

import pytest

from experiments.evaluation.endpoint_error import MEASURE as FLOW
from experiments.evaluation.poses import MEASURE as POSES
from experiments.grids.verdict import in_words, judge, standard_error

AXES = {"loss.alpha": ["0", "1", "5"]}


def table(*rows):
    """One row a place: a figure, or one a seed."""
    seeds = ((row,) if isinstance(row, (int, float)) else row for row in rows)
    return {(label,): {str(i): v for i, v in enumerate(row)} for label, row in zip(AXES["loss.alpha"], seeds)}


def test_ties_have_no_best():
    verdict = judge(table(60.0, 60.001, 59.9995), POSES)
    assert verdict.best is None and len(verdict.leaders) == 3
    words = in_words(verdict, AXES, POSES)
    assert "no difference" in words and "0.00 %" in words and "0.50 %" in words and "best" not in words


def test_a_clear_best_is_named_with_the_noise_that_it_stands_above():
    verdict = judge(table(60.0, 62.0, 59.0), POSES)
    assert verdict.best == ("1",)
    assert "loss.alpha = 1" in in_words(verdict, AXES, POSES) and "62.0 %" in in_words(verdict, AXES, POSES)


def test_the_best_of_which_noise_parts_none_from_the_next_shares_its_place():
    verdict = judge(table(60.0, 60.1, 40.0), POSES)
    assert verdict.best is None and verdict.leaders == [("1",), ("0",)]
    assert "no difference between the 2 best" in in_words(verdict, AXES, POSES)


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        (((60.0, 61.0, 62.0), (61.5, 60.0, 62.5), (61.0, 62.0, 60.0)), None),  # each seed has another order
        (((60.0, 66.0, 54.0), (61.0, 67.1, 54.9), (59.0, 65.0, 53.1)), ("1",)),  # all seeds agree, though they differ
        (((60.0, 60.0, 60.0), (60.05, 60.05, 60.05), (59.0, 59.0, 59.0)), None),  # below what tables show
        (((60.0, 62.0), (58.0, 60.0), (63.0, 63.0)), ("5",)),
        (((60.0, 64.0), (61.0,), (58.0, 62.0)), None),  # no two seeds in common
    ],
)
def test_seeds_tell_the_noise(rows, best):
    assert judge(table(*rows), POSES).best == best


def test_the_error_is_that_of_a_difference_once_places_and_seeds_are_taken_off():
    # By hand: residuals of the two-way table are ±1/4, one degree of freedom.
    error, seeds = standard_error(table((60.0, 62.0), (61.0, 64.0)))
    assert (error, seeds) == (pytest.approx(math.sqrt(2 * 4 / 16 / 2)), 2)
    assert math.isnan(standard_error(table(60.0, 61.0))[0])


def test_of_endpoint_errors_the_least_is_best():
    assert judge(table(0.9, 0.5, 0.7), FLOW).best == ("1",)
    assert judge(table(0.501, 0.5, 0.7), FLOW).leaders == [("1",), ("0",)]
    assert "0.500 px" in in_words(judge(table(0.9, 0.5, 0.7), FLOW), AXES, FLOW)


def test_tables_with_one_figure_or_none():
    assert judge({("0",): {}, ("1",): {}}, POSES).best is None
    assert in_words(judge({("0",): {}}, POSES), AXES, POSES) == "no cell has a result yet"
    lonely = judge({("0",): {"": 50.0}, ("1",): {}}, POSES)
    assert lonely.best == ("0",) and in_words(lonely, AXES, POSES) == "the only result: loss.alpha = 0, mAP 50.0 %"
