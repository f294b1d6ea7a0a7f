"""MOTA counts on hand-made sequences, and against a plain per-frame implementation on random ones."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from jmpose_jax.metrics.matching import match
from jmpose_jax.metrics.sequence import Sequence
from jmpose_jax.metrics.tracking import count_tracking


def sequence(frames, head_size=np.nan):
    """frames: for each frame a list of (track id, x, present joints)."""
    rows = [(f, *person) for f, people in enumerate(frames) for person in people]
    count = len(rows)
    present = np.zeros((count, 15), bool)
    keypoints = np.zeros((count, 15, 2))
    for n, (_, _, x, joints) in enumerate(rows):
        present[n, list(joints)] = True
        keypoints[n, :, 0] = x
    return Sequence(
        name="v",
        image_ids=np.arange(len(frames)),
        labelled=np.ones(len(frames), bool),
        frame=np.array([r[0] for r in rows], np.int64),
        keypoints=keypoints,
        present=present,
        scores=np.ones((count, 15)),
        head_sizes=np.full(count, head_size),
        track_ids=np.array([r[1] for r in rows], np.int64),
        person_index=np.arange(count),
    )


def counts(truth_frames, predicted_frames):
    truth, predicted = sequence(truth_frames, 10.0), sequence(predicted_frames)
    return count_tracking(predicted, truth, match(predicted, truth))


ONE = (0,)
END = [(0, 0.0, ONE)]  # the last frame is not counted


def test_perfect_track_and_the_dropped_last_frame():
    frames = [[(0, 0.0, ONE)], [(0, 3.0, ONE)], [(0, 5.0, ONE)]]
    result = counts(frames, [*frames[:2], [(7, 300.0, ONE)]])
    assert (result.objects[0], result.detections[0], result.switches[0]) == (2, 2, 0)
    assert result.mota()[0] == 100 and np.isnan(result.mota()[1])


def test_switch_miss_and_false_positive():
    truth = [[(0, 0.0, ONE)]] * 4 + [END]
    predicted = [[(5, 0.0, ONE)], [(6, 1.0, ONE)], [(6, 100.0, ONE)], [(5, 0.0, ONE), (6, 1.0, ONE)], END]
    result = counts(truth, predicted)
    assert result.switches[0] == 1  # 5 -> 6; in the fourth frame 6 is kept although 5 is nearer
    assert (result.misses[0], result.false_positives[0], result.objects[0]) == (1, 2, 4)
    assert result.mota()[0] == pytest.approx(100 * (1 - 4 / 4))


def test_threshold_is_inclusive():
    truth = [[(0, 0.0, ONE)], END]
    assert counts(truth, [[(0, 5.0, ONE)], END]).detections[0] == 1
    assert counts(truth, [[(0, 5.001, ONE)], END]).detections[0] == 0


def test_frame_without_predictions_counts_one_of_each():
    truth = [[(0, 0.0, ONE), (1, 50.0, ONE)], END]
    result = counts(truth, [[], END])
    for value in (result.objects, result.misses, result.false_positives):
        np.testing.assert_array_equal(value, np.ones(15))


def test_two_persons_that_had_the_same_partner():
    # 9 belonged to person 0, then to person 1; when both could have it, the person listed first keeps it.
    truth = [[(0, 0.0, ONE)], [(1, 0.0, ONE)], [(0, 0.0, ONE), (1, 1.0, ONE)], END]
    predicted = [[(9, 0.0, ONE)], [(9, 0.0, ONE)], [(9, 1.0, ONE), (8, 2.0, ONE)], END]
    result = counts(truth, predicted)
    assert (result.detections[0], result.switches[0]) == (4, 1)


def plain_counts(truth, predicted):
    """One joint after the other, frame after frame, with a full assignment each time."""
    totals = np.zeros((4, 15), int)  # objects, misses, switches, false positives
    for joint in range(15):
        partner = {}
        for f in range(truth.num_frames - 1):
            g_all, p_all = np.flatnonzero(truth.frame == f), np.flatnonzero(predicted.frame == f)
            if not len(g_all) or not len(p_all):
                totals[[0, 1, 3], joint] += 1
                continue
            g, p = g_all[truth.present[g_all, joint]], p_all[predicted.present[p_all, joint]]
            distance = np.full((len(g), len(p)), np.nan)
            for i, a in enumerate(g):
                for j, b in enumerate(p):
                    d = np.linalg.norm(truth.keypoints[a, joint] - predicted.keypoints[b, joint]) / truth.head_sizes[a]
                    distance[i, j] = d if d <= 0.5 else np.nan
            done_g, done_p, hits = set(), set(), 0
            for i, a in enumerate(g):
                for j, b in enumerate(p):
                    same = partner.get(truth.track_ids[a]) == predicted.track_ids[b]
                    if same and j not in done_p and i not in done_g and np.isfinite(distance[i, j]):
                        done_g.add(i)
                        done_p.add(j)
                        hits += 1
            distance[list(done_g)] = np.nan
            distance[:, list(done_p)] = np.nan
            for i, j in zip(*linear_sum_assignment(np.where(np.isnan(distance), 1e4, distance))):
                if np.isfinite(distance[i, j]):
                    hits += 1
                    identity, found = truth.track_ids[g[i]], predicted.track_ids[p[j]]
                    totals[2, joint] += partner.get(identity, found) != found
                    partner[identity] = found
            totals[0, joint] += len(g)
            totals[1, joint] += len(g) - hits
            totals[3, joint] += len(p) - hits
    return totals


@pytest.mark.parametrize("seed", range(4))
def test_against_plain_implementation(seed):
    rng = np.random.default_rng(seed)

    def people(spread):
        ids = rng.permutation(6)[: rng.integers(0, 5)]
        return [(int(i), 3.0 * i + rng.normal(0, spread), np.flatnonzero(rng.random(15) < 0.8)) for i in ids]

    truth = sequence([people(1.0) for _ in range(12)], 10.0)
    predicted = sequence([people(4.0) for _ in range(12)])
    result = count_tracking(predicted, truth, match(predicted, truth))
    expected = plain_counts(truth, predicted)
    assert expected[2].sum() > 0
    for ours, theirs in zip((result.objects, result.misses, result.switches, result.false_positives), expected):
        np.testing.assert_array_equal(ours, theirs)
