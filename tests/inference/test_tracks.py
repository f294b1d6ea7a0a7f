"""Identities: overlap, poses where boxes do not decide, short memory."""

import numpy as np
import pytest

from jmpose_jax.inference.tracking import Tracks, box_iou, greedy_assignment, update_tracks


def test_iou():
    a = np.array([[0, 0, 10, 10], [20, 20, 5, 5]])
    b = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_iou(a, b), [[1, 1 / 3, 0], [0, 0, 0]])


def test_greedy_takes_the_best_first():
    similarity = np.array([[0.9, 0.8], [0.85, 0.2], [0.7, 0.1]])
    assert greedy_assignment(similarity, 0.15) == [(0, 0), (1, 1)]
    assert greedy_assignment(similarity, 0.3) == [(0, 0)]
    assert greedy_assignment(np.zeros((0, 3)), 0.3) == []


def boxes(*lefts):
    return np.array([[left, 0, 40, 80] for left in lefts], float)


def test_identities_follow_moving_boxes():
    tracks, ids = update_tracks(Tracks.empty(), boxes(0, 100))
    np.testing.assert_array_equal(ids, [0, 1])
    for step in range(1, 6):
        tracks, ids = update_tracks(tracks, boxes(100 + 8 * step, 8 * step))
        np.testing.assert_array_equal(ids, [1, 0])
    tracks, ids = update_tracks(tracks, boxes(300, 48))
    np.testing.assert_array_equal(ids, [2, 0])


def test_memory():
    for absent, expected in ((3, 0), (4, 1)):
        tracks, _ = update_tracks(Tracks.empty(), boxes(0), memory=3)
        for _ in range(absent):
            tracks, ids = update_tracks(tracks, boxes(), memory=3)
            assert len(ids) == 0
        tracks, ids = update_tracks(tracks, boxes(4), memory=3)
        assert ids[0] == expected


def test_poses_decide_between_like_boxes():
    rng = np.random.default_rng(0)
    poses = rng.uniform(0, 80, (2, 15, 2))
    tracks, _ = update_tracks(Tracks.empty(), boxes(0, 4), poses)
    _, ids = update_tracks(tracks, boxes(2, 2), poses[::-1])
    np.testing.assert_array_equal(ids, [1, 0])


def test_memory_keeps_poses_apart_from_boxes():
    poses = np.random.default_rng(0).uniform(0, 80, (2, 15, 2))
    tracks, _ = update_tracks(Tracks.empty(), boxes(0, 100), poses)
    tracks, ids = update_tracks(tracks, boxes(100), poses[1:])
    assert ids[0] == 1
    assert tracks.keypoints.shape == (2, 15, 2)
    tracks, ids = update_tracks(tracks, boxes(), np.zeros((0, 15, 2)))
    assert len(ids) == 0 and tracks.ids.tolist() == [1, 0]
    with pytest.raises(ValueError):
        update_tracks(tracks, np.zeros((1, 3)))
