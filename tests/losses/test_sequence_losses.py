"""Losses of pose sequences where frames are without labels, and who learns from whom."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.losses.sequences import DeciWatchObjective, HANetObjective, SmoothNetObjective
from jmpose_jax.records import SequenceBatch, SequenceOutput
from jmpose_jax.train.step import weighted_total

RNG = np.random.default_rng(0)
SHAPE = (3, 5, 8)
TARGET, FINAL, REFINED = (RNG.standard_normal(SHAPE).astype(np.float32) for _ in range(3))
SEEN = np.array([1, 0, 1, 0, 1], np.float32)
OBJECTIVES = [HANetObjective(), DeciWatchObjective(), SmoothNetObjective()]


def batch(target=TARGET, labelled=None, valid=None):
    labelled = np.ones(SHAPE[:2], np.float32) if labelled is None else labelled
    valid = np.ones(SHAPE[0], np.float32) if valid is None else valid
    return SequenceBatch(target, target, labelled, np.arange(SHAPE[0]), valid)


def total(objective, poses, refined, of):
    weights = {name: np.float32(value) for name, value in objective.term_weights().items()}
    return weighted_total(objective(SequenceOutput(poses, refined, SEEN), of), weights)[0]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_padding_and_frames_without_labels_say_nothing(objective):
    valid, labelled = np.array([1, 0, 1], np.float32), np.ones(SHAPE[:2], np.float32)
    labelled[0, 3:] = 0
    broken = TARGET.copy()
    broken[1], broken[0, 3:] = np.nan, np.inf
    of = batch(labelled=labelled, valid=valid)
    expected = total(objective, FINAL, REFINED, of)
    assert np.isfinite(expected)
    assert total(objective, FINAL, REFINED, batch(broken, labelled, valid)) == expected
    gradient = jax.grad(total, 1)(objective, jnp.asarray(FINAL), REFINED, batch(broken, labelled, valid))
    assert np.isfinite(gradient).all() and not gradient[1].any() and not gradient[0, 3:].any() and gradient[2].any()


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_the_truth_costs_nothing(objective):
    assert total(objective, TARGET, TARGET, batch()) == 0


def mutual_gradients(kind, final, refined):
    def term(final, refined):
        terms = HANetObjective(mutual=kind)(SequenceOutput(final, refined, SEEN), batch())
        return terms["mutual"][0]

    return jax.grad(term, (0, 1))(jnp.asarray(final), jnp.asarray(refined))


def test_the_worse_side_learns_from_the_better_coordinate_by_coordinate():
    final, refined = TARGET.copy(), TARGET.copy()
    final[..., :4] += 2.0  # the decoder is worse in these coordinates
    refined[..., :4] += 1.0
    final[..., 4:] += 1.0
    refined[..., 4:] += 2.0
    of_final, of_refined = mutual_gradients("better", final, refined)
    seen = SEEN > 0
    assert of_final[:, seen, :4].all() and not of_final[..., 4:].any() and not of_final[:, ~seen].any()
    assert of_refined[:, seen, 4:].all() and not of_refined[..., :4].any()
    both = mutual_gradients("symmetric", final, refined)
    assert all(side[:, seen].all() and not side[:, ~seen].any() for side in both)


def test_another_kind_is_named():
    with pytest.raises(InputError, match="symmetric, better"):
        mutual_gradients("paper", FINAL, REFINED)
