"""Identities: who goes on, who begins, who ends."""

import itertools

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.tracking.tracker import Tracker, TrackingOptions, best_pairs
from jmpose_jax.skeletons import COCO17, POSETRACK15, Skeleton

BODY = np.random.default_rng(0).uniform(0, 1, (17, 2)) * [40, 80]


def people(*lefts, joints=15, score=0.9, box_scores=None, size=1.0):
    """Arguments of `update`: boxes and bodies of 40×80 at some places."""
    count = len(lefts)
    boxes = np.array([[left, 0, 40 * size, 80 * size] for left in lefts], float).reshape(count, 4)
    poses = boxes[:, None, :2] + size * BODY[None, :joints]
    return boxes, np.full(count, 0.9) if box_scores is None else np.array(box_scores), poses, np.full(
        (count, joints), score
    )  # fmt: skip


def ids_of(tracker, *frames):
    return [tracker.update(*frame)[0].tolist() for frame in frames]


@pytest.mark.parametrize("skeleton", [POSETRACK15, COCO17])
def test_identities_follow_whatever_the_order(skeleton):
    tracker = Tracker(skeleton=skeleton)
    joints = skeleton.num_joints
    assert ids_of(tracker, people(0, 100, joints=joints)) == [[0, 1]]
    for step in range(1, 6):
        assert ids_of(tracker, people(100 + 8 * step, 8 * step, joints=joints)) == [[1, 0]]
    assert ids_of(tracker, people(300, 48, joints=joints)) == [[2, 0]]


def test_an_unknown_joint_is_refused():
    with pytest.raises(InputError, match="tail"):
        Tracker(skeleton=Skeleton("dog", ("nose", "tail"), (), (), ()))


def test_the_assignment_is_optimal_not_greedy():
    likeness = np.array([[0.9, 0.8], [0.85, 0.2]])
    assert best_pairs(likeness, 0.1) == [(0, 1), (1, 0)]  # greedy: (0, 0) and (1, 1)
    assert best_pairs(likeness, 0.82) in ([(0, 0)], [(1, 0)])
    assert best_pairs(likeness, 0.95) == best_pairs(np.zeros((0, 3)), 0.1) == []


@pytest.mark.parametrize("seed", range(5))
def test_no_other_assignment_has_more_likeness(seed):
    likeness = np.random.default_rng(seed).random((4, 5))
    found = sum(likeness[pair] for pair in best_pairs(likeness, 0.3))
    allowed = np.where(likeness >= 0.3, likeness, 0)
    most = max(sum(allowed[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(5), 4))
    assert found == pytest.approx(most)


def test_two_who_cross_keep_their_identities():
    tracker = Tracker()
    found = ids_of(tracker, *(people(8 * t, 150 - 8 * t) for t in range(20)))
    assert found == [[0, 1]] * 20


def test_poses_decide_between_like_boxes():
    rng = np.random.default_rng(1)
    boxes, scores = np.array([[0, 0, 40, 80], [4, 0, 40, 80]], float), np.ones(2)
    poses = rng.uniform(0, 80, (2, 15, 2))
    tracker = Tracker()
    tracker.update(boxes, scores, poses, np.ones((2, 15)))
    middle = np.array([[2, 0, 40, 80]] * 2, float)
    assert tracker.update(middle, scores, poses[::-1], np.ones((2, 15)))[0].tolist() == [1, 0]


def test_memory_bridges_an_occlusion_where_motion_leads():
    options = TrackingOptions(memory=6)
    for absent, expected in ((6, 0), (7, 1)):
        tracker = Tracker(options)
        ids_of(tracker, *(people(5 * t) for t in range(5)))
        assert ids_of(tracker, *[people()] * absent) == [[]] * absent
        assert ids_of(tracker, people(20 + 4 * absent)) == [[expected]]


def test_weak_boxes_go_on_with_tracks_and_begin_none():
    tracker = Tracker(TrackingOptions(min_box_score=0.3))
    assert ids_of(tracker, people(0, 200, box_scores=[0.3, 0.29])) == [[0, -1]]
    assert ids_of(tracker, people(2, 200, box_scores=[0.11, 0.2])) == [[0, -1]]
    assert ids_of(tracker, people(4, box_scores=[0.09])) == [[-1]]  # below a third of 0.3
    assert ids_of(tracker, people(4, box_scores=[0.2])) == [[0]]


def test_a_hidden_person_goes_on_by_its_box():
    for hidden, expected in ((True, [0, 1]), (False, [0, 2])):
        tracker = Tracker(TrackingOptions(memory=4))
        tracker.update(*people(0, 60))
        for step in range(1, 8):
            boxes, box_scores, poses, scores = people(0, 60 + 4 * step)
            poses[1] = poses[0]  # the pose of the other
            if hidden:
                assert tracker.update(boxes, box_scores, poses, scores, np.array([False, True]))[0].tolist() == [0, 1]
            else:
                tracker.update(*(part[:1] for part in (boxes, box_scores, poses, scores)))
        assert ids_of(tracker, people(0, 60 + 32)) == [expected]


def test_a_hidden_person_begins_no_track():
    tracker = Tracker()
    assert tracker.update(*people(0, 300), np.array([False, True]))[0].tolist() == [0, -1]


def test_a_sure_person_comes_before_a_weak_one():
    tracker = Tracker(TrackingOptions(min_box_score=0.3))
    tracker.update(*people(0))
    assert ids_of(tracker, people(0, 6, box_scores=[0.2, 0.8])) == [[-1, 0]]


def test_any_score_begins_a_track_by_default():
    assert ids_of(Tracker(), people(0, 100, 200, box_scores=[-3.0, 0.0, 70.0])) == [[2, 1, 0]]
    assert Tracker().update(*people(0, box_scores=[70.0]))[1] == 1  # the confidence stays one


def test_things_with_poses_of_low_scores_get_no_track():
    options = TrackingOptions(min_box_score=0.15, min_person_score=0.1, min_track_length=5)
    tracker = Tracker(options)
    assert ids_of(tracker, people(0, box_scores=[0.4], score=0.2)) == [[-1]]
    # One frame is enough to begin, and not enough to last.
    ids_of(tracker, people(0, box_scores=[0.4], score=0.3), *[people(0, box_scores=[0.4], score=0.15)] * 4)
    assert tracker.lasting == {0: False}
    assert ids_of(tracker, people(0, box_scores=[0.4], score=0.15)) == [[-1]]


def test_most_people():
    tracker = Tracker(TrackingOptions(max_people=2))
    assert ids_of(tracker, people(0, 200, 400, box_scores=[0.5, 0.9, 0.8])) == [[-1, 0, 1]]
    assert ids_of(tracker, people(0, 200, 400)) == [[-1, 0, 1]]


def test_who_comes_back_is_who_was_lost_where_the_number_is_known():
    for most, expected in ((1, 0), (None, 1)):
        tracker = Tracker(TrackingOptions(max_people=most))
        ids_of(tracker, *[people(0)] * 3, people(), people())
        assert ids_of(tracker, people(70)) == [[expected]]
    tracker = Tracker(TrackingOptions(max_people=1, patience=3))
    ids_of(tracker, *[people(0)] * 3, people())
    assert ids_of(tracker, people(500), people(40, size=0.3)) == [[-1], [-1]]  # too far, too small
    assert ids_of(tracker, people(500), people(0)) == [[1], [-1]]  # lost for too long to keep out others


def test_confidence_falls_where_two_are_alike():
    alone, beside = Tracker(), Tracker()
    for _ in range(10):
        (sure,) = alone.update(*people(0))[1]
        unsure = beside.update(*people(0, 10))[1]
    assert 0.9 <= sure <= 1 and (unsure > 0).all() and (unsure < sure - 0.1).all()


def test_no_joints_leave_boxes_to_tell():
    tracker = Tracker()
    found = [tracker.update(*people(5 * t, 200, score=0.0))[0].tolist() for t in range(5)]
    assert found == [[0, 1]] * 5


@pytest.mark.parametrize(
    "values", [{"min_box_score": float("nan")}, {"min_person_score": float("inf")}, {"max_people": 0},
               {"min_track_length": 0}]
)  # fmt: skip
def test_options_that_are_none(values):
    with pytest.raises(InputError, match=next(iter(values))):
        TrackingOptions(**values)
