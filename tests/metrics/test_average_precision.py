"""Area under the precision envelope on curves that can be done by hand."""

import numpy as np
import pytest

from jmpose_jax.metrics.average_precision import area_under_envelope, precision_recall


def test_by_hand():
    scores, correct = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False])
    precision, recall = precision_recall(scores, correct, 4)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2])
    np.testing.assert_allclose(recall, [1 / 4, 1 / 4, 1 / 2, 1 / 2])
    assert area_under_envelope(precision, recall) == pytest.approx(1 / 4 + 1 / 4 * 2 / 3)


def test_order_of_the_input_is_of_no_consequence():
    rng = np.random.default_rng(0)
    scores, correct = rng.permutation(200) / 200, rng.random(200) < 0.5
    order = rng.permutation(200)
    areas = [area_under_envelope(*precision_recall(scores[o], correct[o], 150)) for o in (np.arange(200), order)]
    assert areas[0] == areas[1]


def test_ties():
    scores, correct = np.zeros(3), np.array([False, False, True])
    precision, _ = precision_recall(scores, correct, 1, ties="stable")
    np.testing.assert_allclose(precision, [1, 1 / 2, 1 / 3])  # the later entry comes first


def test_nothing_predicted():
    assert area_under_envelope(*precision_recall(np.zeros(0), np.zeros(0, bool), 5)) == 0
