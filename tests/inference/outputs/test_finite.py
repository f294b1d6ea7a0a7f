"""What is not finite is named, and numbers keep every digit."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs.finite import check_predictions, numbers


@pytest.mark.parametrize("what,culprit", [("boxes", "box"), ("keypoints", "joints"), ("scores", "scores")])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_person_is_named(people, what, culprit, value):
    check_predictions(people)
    getattr(people, what)[4, ..., -1] = value
    with pytest.raises(InputError, match=f"video v: {culprit} of person 1 in frame 3 are not finite"):
        check_predictions(people)


def test_numbers_are_exact_and_short():
    values = np.random.default_rng(0).uniform(-2000, 2000, 500).astype(np.float32)
    np.testing.assert_array_equal(np.float32(numbers(values)), values)
    assert numbers(np.float32([0.1])) == [0.1]
