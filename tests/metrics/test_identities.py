"""CLEAR MOT and IDF1 of whole persons: by hand, and as py-motmetrics counts."""

import numpy as np
import pytest

from jmpose_jax.metrics.identities import IdentityCounts, IdentityScore


def score(frames):
    """Frames are (true ids, predicted ids, distances)."""
    found = IdentityScore()
    for frame in frames:
        found.add(*frame)
    return found.counts()


def test_a_switch_a_miss_and_a_stranger():
    near = [[0.1, np.nan], [np.nan, 0.1]]
    counts = score([([1, 2], [7, 8], near), ([1, 2], [8, 7], near), ([1, 2], [8], [[0.1], [np.nan]]), ([], [9], [])])
    assert counts == IdentityCounts(objects=6, predictions=6, matches=5, switches=2, identified=3)
    assert (counts.misses, counts.false_positives) == (1, 1)
    assert counts.mota() == pytest.approx(100 * (1 - 4 / 6)) and counts.idf1() == pytest.approx(100 * 6 / 12)


def test_a_partner_is_kept_while_it_is_allowed():
    first = ([1], [7, 8], [[0.1, 0.5]])
    assert score([first, ([1], [7, 8], [[0.5, 0.1]])]).switches == 0
    assert score([first, ([1], [7, 8], [[np.nan, 0.1]])]).switches == 1
    assert score([first, ([], [], []), ([1], [8], [[0.1]])]).switches == 1  # the last partner is remembered


def test_nothing_at_all():
    empty = IdentityScore().counts()
    assert empty == IdentityCounts() and np.isnan(empty.mota()) and np.isnan(empty.idf1())
    assert score([([1], [], [])]).mota() == 0 == score([([1], [], [])]).idf1()


@pytest.mark.parametrize("seed", range(8))
def test_as_motmetrics(seed):
    motmetrics = pytest.importorskip("motmetrics")
    rng = np.random.default_rng(seed)
    ours, sums = IdentityCounts(), np.zeros(4, int)
    for _ in range(3):
        frames, accumulator = [], motmetrics.MOTAccumulator(auto_id=True)
        for _ in range(40):
            true = rng.permutation(5)[: rng.integers(0, 6)]
            found = rng.permutation(7)[: rng.integers(0, 8)]
            distance = rng.random((len(true), len(found)))
            distance[distance > 0.5] = np.nan
            frames.append((true, found, distance))
            accumulator.update(true.tolist(), found.tolist(), distance)
        names = ["num_switches", "num_misses", "num_false_positives", "idtp"]
        theirs = motmetrics.metrics.create().compute(accumulator, metrics=[*names, "mota", "idf1"])
        counts = score(frames)
        assert counts.mota() == pytest.approx(100 * theirs["mota"].iloc[0])
        assert counts.idf1() == pytest.approx(100 * theirs["idf1"].iloc[0])
        ours, sums = ours + counts, sums + np.array([theirs[name].iloc[0] for name in names], int)
    assert [ours.switches, ours.misses, ours.false_positives, ours.identified] == sums.tolist()
