"""Poses of a stream of frames: their order, identities and neighbours."""

import contextlib
import threading
import tracemalloc

import jax
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import Detections
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.streamed import estimate_poses
from jmpose_jax.inference.tracking.tracker import TrackingOptions
from tests.inference.walk import detect, frames, middle, place


def test_poses_and_identities_in_order(predictor):
    found = list(estimate_poses(frames(11), predictor, detect))
    assert [poses.index for poses in found] == list(range(11))
    for poses in found:
        x, y = place(poses.index)
        expected = [[110 - poses.index, 80]] * (poses.index % 4 > 0) + [[x + 10, y + 20]]
        np.testing.assert_allclose(poses.keypoints[:, 7], expected, atol=1e-3)
        np.testing.assert_allclose(poses.scores[:, 0], [0.5, 0.9][-len(expected) :])
        assert poses.track_ids[-1] == 0
        assert poses.image[y + 5, x + 5, 0] == 220  # the picture of the same frame
    assert {int(poses.track_ids[0]) for poses in found if poses.index % 4} == {1}


def test_pictures_that_do_not_follow_each_other_have_no_neighbours_and_identities_of_their_own():
    seen = []

    def watch(variables, batch):
        seen.append(np.asarray(batch.frames))
        return middle(variables, batch)

    estimator = Predictor(watch, {}, input_size=(64, 48), delta=2, flow_source="none", batch_size=4)
    with jax.disable_jit():
        found = list(estimate_poses(frames(7), estimator, detect, related=False))
    assert [poses.track_ids.tolist() for poses in found] == [[0], [1, 0], [1, 0], [1, 0], [0], [1, 0], [1, 0]]
    clips = np.concatenate(seen)
    assert (clips == clips[:, 2:3]).all()  # the picture itself five times


def test_given_identities_are_kept(predictor):
    def numbered(index, image):
        found = detect(index, image)
        return Detections(found.boxes, found.scores, np.array([9, 4])[-len(found) :])

    found = list(estimate_poses(frames(6), predictor, numbered, tracking=TrackingOptions(min_track_length=99)))
    assert [poses.track_ids.tolist() for poses in found] == [[4], [9, 4], [9, 4], [9, 4], [4], [9, 4]]
    assert all((poses.track_scores == 1).all() for poses in found)


def test_a_hidden_person_does_not_get_anothers_pose(predictor):
    def twice(index, image):
        x, y = place(index)
        boxes = np.array([[x - 1, y - 1, 22, 42], [x, y, 20, 40], [100, 60, 20, 40]], np.float32)
        return Detections(boxes, np.array([0.5, 0.9, 0.9], np.float32))

    def spread(variables, batch):
        """Joints all over the bright square, wherever the box is."""
        points, scores = middle(variables, batch)
        return points + np.stack([np.linspace(-9, 9, 15), np.linspace(-19, 19, 15)], -1), scores

    model = Predictor(spread, {}, input_size=(64, 48), delta=0, batch_size=4)
    for poses in estimate_poses(frames(3), model, twice):
        np.testing.assert_allclose(poses.boxes[:, 0], [place(poses.index)[0], 100])
        assert poses.track_ids.tolist() == [0, 1]


def test_people_are_looked_for_ahead_with_the_same_poses(predictor):
    """In a thread, which ends with the poses, whether they are read to the end or not."""

    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "ahead"]

    def faulty(index, image):
        if index == 8:
            raise InputError("box of frame 8 lies outside")
        assert threading.current_thread().name == "ahead"
        return detect(index, image)

    expected = list(estimate_poses(frames(8), predictor, detect))
    with contextlib.closing(estimate_poses(frames(8), predictor, faulty, look_ahead=3)) as found:
        poses = [next(found)]
        assert threads()
        poses += found
    assert not threads() and len(poses) == 8
    for a, b in zip(expected, poses):
        for name in ("index", "image", "boxes", "keypoints", "scores", "track_ids", "box_scores", "track_scores"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    found = estimate_poses(frames(99), predictor, faulty, look_ahead=3)
    next(found)
    found.close()
    assert not threads()
    with pytest.raises(InputError, match="frame 8"):
        list(estimate_poses(frames(99), predictor, faulty, look_ahead=3))
    assert not threads()


def test_memory_does_not_grow_with_the_video(predictor):
    def peak(count):
        tracemalloc.start()
        for _ in estimate_poses(frames(count), predictor, detect):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(20)  # whatever is allocated once
    short, long = peak(20), peak(200)
    assert long < 1.2 * short + 100_000
