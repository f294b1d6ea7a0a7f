"""Joints by name from one order to another, and the ends of the head that COCO lacks."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.joint_orders import to_posetrack15
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.skeletons import POSETRACK15, SKELETONS


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_joints_keep_their_names(skeleton):
    source = SKELETONS[skeleton]
    rng = np.random.default_rng(0)
    keypoints, scores = rng.normal(size=(3, source.num_joints, 2)), rng.random((3, source.num_joints))
    points, confidences = to_posetrack15(keypoints, scores, skeleton)
    assert points.shape == (3, 15, 2) and confidences.shape == (3, 15)
    for k, joint in enumerate(POSETRACK15.joints):
        if joint in source.joints:
            np.testing.assert_array_equal(points[:, k], keypoints[:, source.index(joint)])
            np.testing.assert_array_equal(confidences[:, k], scores[:, source.index(joint)])


def test_ends_of_the_head_of_real_people(shared):
    source = SKELETONS["coco17"]
    errors = []
    for path in sorted((shared / "data/posetrack18/annotations/val").glob("*.json")):
        truth = read_sequence(path, ground_truth=True)
        needed = [POSETRACK15.index(j) for j in ("nose", "left_shoulder", "right_shoulder", "head_bottom", "head_top")]
        whole = truth.present[:, needed].all(axis=1)
        coco = np.zeros((whole.sum(), 17, 2))
        for k, joint in enumerate(POSETRACK15.joints):
            if joint in source.joints:
                coco[:, source.index(joint)] = truth.keypoints[whole, k]
        points, _ = to_posetrack15(coco, np.ones((len(coco), 17)), "coco17")
        distance = np.linalg.norm(points - truth.keypoints[whole], axis=-1) / truth.head_sizes[whole, None]
        errors.append(distance[:, needed[3:]])
    assert np.median(np.concatenate(errors), axis=0) == pytest.approx([0, 0], abs=0.5)  # of the head size


def test_faults():
    with pytest.raises(InputError, match="is not known"):
        to_posetrack15(np.zeros((1, 15, 2)), np.zeros((1, 15)), "mpii")
    with pytest.raises(InputError, match="has 15 joints, its skeleton coco17 has 17"):
        to_posetrack15(np.zeros((1, 15, 2)), np.zeros((1, 15)), "coco17")
