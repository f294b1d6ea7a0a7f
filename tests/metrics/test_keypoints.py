"""PCK and OKS: official numbers and known values."""

import dataclasses
import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.metrics import keypoints
from jmpose_jax.skeletons import COCO17, POSETRACK15, POSETRACK17


def test_pck_of_official_functions(shared):
    folder = shared / "data/golden_kinematic"
    data, expected = np.load(folder / "inputs.npz"), json.loads((folder / "expected.json").read_text())
    corners = data["bbox_xyxy"].astype(float)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    for threshold, values in expected["jhmdb_pck_per_joint"].items():
        ours = keypoints.pck(data["pred2d"], data["gt2d"], keypoints.box_size(boxes), float(threshold))
        np.testing.assert_allclose(ours, values, atol=1e-6)
        assert ours.mean() == pytest.approx(expected["jhmdb_pck_mean"][threshold], abs=1e-6)


def test_pck_is_inclusive_and_masked():
    target = np.zeros((2, 3, 2))
    predicted = np.array([[[5, 0], [5.01, 0], [0, 0]], [[0, 5], [0, 0], [9, 9]]], float)
    valid = np.array([[1, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(keypoints.pck(predicted, target, np.full(2, 10.0), 0.5, valid), [1, 0, np.nan])
    with pytest.raises(InputError, match="size"):
        keypoints.pck(predicted, target, np.ones(3))


def test_sizes():
    np.testing.assert_allclose(keypoints.head_size(np.array([[0, 0, 30, 40.0]])), [30])
    np.testing.assert_allclose(keypoints.torso_size(np.array([[[0, 0], [3, 4.0]]]), 0, 1), [5])


def test_oks():
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 100, (15, 2))
    sigmas = keypoints.POSETRACK15_SIGMAS
    assert keypoints.oks(target, target, np.array(900.0), sigmas) == pytest.approx(1)
    # One joint off by its own scale 2σ√area: exp(-1/2).
    moved = target.copy()
    moved[0, 0] += 2 * sigmas[0] * 30
    valid = np.arange(15) == 0
    assert keypoints.oks(moved, target, np.array(900.0), sigmas, valid) == pytest.approx(np.exp(-0.5))
    assert keypoints.oks(moved, target, np.array(900.0), sigmas, np.zeros(15)) == 0
    table = keypoints.oks(
        np.stack([target, moved])[:, None], np.stack([target] * 3)[None], np.full((1, 3), 900.0), sigmas
    )
    assert table.shape == (2, 3) and (table[0] > table[1]).all()


def test_sigmas_belong_to_the_same_joints():
    for joint, sigma in zip(POSETRACK15.joints, keypoints.POSETRACK15_SIGMAS):
        if joint in COCO17.joints:
            assert keypoints.COCO17_SIGMAS[COCO17.index(joint)] == sigma
    for sigmas, skeleton in ((keypoints.COCO17_SIGMAS, COCO17), (keypoints.POSETRACK15_SIGMAS, POSETRACK15)):
        np.testing.assert_array_equal(sigmas, sigmas[skeleton.flip_permutation])


def test_sigmas_of_every_skeleton():
    np.testing.assert_array_equal(keypoints.joint_sigmas(POSETRACK15), keypoints.POSETRACK15_SIGMAS)
    np.testing.assert_array_equal(keypoints.joint_sigmas(COCO17), keypoints.COCO17_SIGMAS)
    assert keypoints.joint_sigmas(POSETRACK17)[3] == 0.035  # an ear
    with pytest.raises(InputError, match="tail"):
        keypoints.joint_sigmas(dataclasses.replace(COCO17, joints=("nose", "tail")))
