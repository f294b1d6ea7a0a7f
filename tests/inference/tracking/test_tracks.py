"""One track: motion by its joints, and how sure its identity is."""

import numpy as np
import pytest

from jmpose_jax.inference.tracking.tracks import Track, displacement

BOX = np.array([10.0, 20, 30, 60])


def pose(x=0.0, y=0.0):
    return np.random.default_rng(0).uniform(0, 60, (15, 2)) + [x, y]


def test_a_half_hidden_box_does_not_move_its_person():
    sure, half = np.ones(15), np.array([10.0, 20, 15, 60])
    np.testing.assert_allclose(displacement(pose(), sure, BOX, pose(2, 1), sure, half), [2, 1])
    np.testing.assert_allclose(displacement(pose(), sure, BOX, pose(2, 1), sure * 0.1, half), [-7.5, 0])


def test_motion_goes_on_for_a_while():
    track = Track(0, BOX, pose(), np.ones(15))
    for step in range(1, 6):
        track.age += 1
        track.see(BOX + [4 * step, 0, 0, 0], pose(4 * step), np.ones(15), 1.0, 0.5)
    assert track.length == 6 and track.persons == 6 and track.evidence == pytest.approx(2.5)
    np.testing.assert_allclose(track.shift(), [0, 0])
    shifts = []
    for _ in range(60):
        track.age += 1
        shifts.append(track.shift()[0])
    assert shifts[0] == pytest.approx(4) and 4 < shifts[1] < 8 and shifts[-1] < 41


def test_unseen_frames_count_in_length_and_speed():
    track = Track(0, BOX, pose(), np.ones(15))
    track.age = 4
    track.see(BOX + [8, 0, 0, 0], pose(8), np.ones(15), 1.0, 0.5)
    assert track.length == 5 and track.age == 0
    np.testing.assert_allclose(track.velocity, [2, 0])


def test_confidence_remembers():
    track = Track(0, BOX, pose(), np.ones(15), confidence=0.9)
    found = []
    for sure in (0.2, 0.2, 0.9):
        track.age = 1
        track.see(BOX, pose(), np.ones(15), sure, 0.5)
        found.append(track.confidence)
    assert 0.9 > found[0] > found[1] < found[2] < 0.9
