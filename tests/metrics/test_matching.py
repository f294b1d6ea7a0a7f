"""The one-to-one assignment against a literal, person by person one."""

import dataclasses

import numpy as np
import pytest

from jmpose_jax.metrics.matching import match
from jmpose_jax.metrics.sequence import Sequence, align_frames, keep_frames


def random_sequence(rng, frames, most, head_size=np.nan):
    frame = np.repeat(np.arange(frames), rng.integers(0, most + 1, frames))
    count = len(frame)
    return Sequence(
        name="v",
        image_ids=np.arange(frames) * 10,
        labelled=np.ones(frames, bool),
        frame=frame,
        # A coarse grid, so that equal PCK values and exact threshold distances occur.
        keypoints=rng.integers(0, 5, (count, 15, 2)) * 5.0,
        present=rng.random((count, 15)) < 0.7,
        scores=rng.random((count, 15)),
        head_sizes=np.full(count, head_size),
        track_ids=np.arange(count),
        person_index=np.arange(count),
    )


def literal(predicted, truth):
    """person_of_prediction by loops."""
    result = np.full(predicted.num_persons, -1)
    for f in range(truth.num_frames):
        p, g = np.flatnonzero(predicted.frame == f), np.flatnonzero(truth.frame == f)
        if not len(p) or not len(g):
            continue
        pck = np.zeros((len(p), len(g)))
        for i, a in enumerate(p):
            for j, b in enumerate(g):
                both = predicted.present[a] & truth.present[b]
                near = np.linalg.norm(predicted.keypoints[a] - truth.keypoints[b], axis=1) <= 0.5 * truth.head_sizes[b]
                pck[i, j] = (both & near).sum() / max(truth.present[b].sum(), 1)
            pck[i, np.arange(len(g)) != np.argmax(pck[i])] = 0
        for j, b in enumerate(g):
            if pck[:, j].max() > 0:
                result[p[np.argmax(pck[:, j])]] = b
    return result


@pytest.mark.parametrize("seed", range(5))
def test_against_literal_assignment(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = random_sequence(rng, 30, 5, 10.0), random_sequence(rng, 30, 6)
    found = match(predicted, truth)
    expected = literal(predicted, truth)
    np.testing.assert_array_equal(found.person_of_prediction, expected)
    assigned = expected >= 0
    assert 10 < assigned.sum() < len(expected)
    assert len(np.unique(expected[assigned])) == assigned.sum()
    assert not found.correct[~assigned].any()
    both = predicted.present[assigned] & truth.present[expected[assigned]]
    assert not (found.correct[assigned] & ~both).any()


def test_no_predictions_at_all():
    truth = random_sequence(np.random.default_rng(0), 4, 3, 10.0)
    nobody = dataclasses.replace(random_sequence(np.random.default_rng(0), 4, 0), present=np.zeros((0, 15), bool))
    found = match(nobody, truth)
    assert found.correct.shape == (0, 15) and found.distance.shape == (0, 15)


def test_keep_and_align_frames():
    sequence = random_sequence(np.random.default_rng(1), 6, 3, 10.0)
    chosen = keep_frames(sequence, np.array([4, 1]))
    np.testing.assert_array_equal(chosen.image_ids, [40, 10])
    expected = np.concatenate([sequence.track_ids[sequence.frame == 4], sequence.track_ids[sequence.frame == 1]])
    np.testing.assert_array_equal(chosen.track_ids, expected)
    assert (np.diff(chosen.frame) >= 0).all()
    shuffled = keep_frames(sequence, np.random.default_rng(2).permutation(6))
    np.testing.assert_array_equal(align_frames(shuffled, sequence).track_ids, sequence.track_ids)
