import numpy as np
import pytest

from data_pipeline.synthetic import rotations
from data_pipeline.synthetic.body import POINT, axis_angles_pose, forward_kinematics, random_body, rest_pose
from data_pipeline.synthetic.motions import LIMITS, MOTIONS, random_motion


@pytest.fixture
def body():
    return random_body(np.random.default_rng(0))


def angles(**changes):
    return {name: np.full(1, changes.get(name, 0.0)) for name in LIMITS}


def test_rotations_turn_the_next_axis_into_the_one_after():
    quarter = np.array(np.pi / 2)
    for axis in range(3):
        after = rotations.about(axis, quarter) @ np.eye(3)[(axis + 1) % 3]
        np.testing.assert_allclose(after, np.eye(3)[(axis + 2) % 3], atol=1e-12)


def test_quaternion_and_axis_angle_agree():
    angle = np.array([0.3, -1.2, 2.9])
    for axis in range(3):
        quaternion = np.zeros((3, 4))
        quaternion[:, 0], quaternion[:, 1 + axis] = np.cos(angle / 2), np.sin(angle / 2)
        np.testing.assert_allclose(rotations.from_quaternion(2 * quaternion), rotations.about(axis, angle), atol=1e-12)


def test_rest_pose_stands_upright_with_left_on_the_left(body):
    points = forward_kinematics(rest_pose(1), body)[0]
    assert points[POINT["left_hip"], 0] > 0 > points[POINT["right_hip"], 0]
    assert points[POINT["left_wrist"], 0] > 0 > points[POINT["right_wrist"], 0]
    heights = [points[POINT[name], 1] for name in ("head_top", "nose", "head_bottom", "left_shoulder", "left_hip")]
    assert heights == sorted(heights, reverse=True)
    assert points[POINT["nose"], 2] > points[POINT["head_top"], 2]


@pytest.mark.parametrize(
    ("angle", "joint", "axis", "sign"),
    [
        ("left_hip_flexion", "left_ankle", 2, 1),
        ("right_hip_flexion", "right_ankle", 2, 1),
        ("left_knee", "left_ankle", 2, -1),
        ("right_elbow", "right_wrist", 2, 1),
        ("left_shoulder_flexion", "left_wrist", 2, 1),
        ("left_shoulder_abduction", "left_wrist", 0, 1),
        ("right_shoulder_abduction", "right_wrist", 0, -1),
        ("right_hip_abduction", "right_ankle", 0, -1),
        ("bend", "head_top", 2, 1),
        ("yaw", "nose", 0, 1),
    ],
)
def test_a_positive_angle_moves_the_limb_as_documented(body, angle, joint, axis, sign):
    moved = forward_kinematics(axis_angles_pose(angles(**{angle: 0.6})), body)[0, POINT[joint], axis]
    rest = forward_kinematics(rest_pose(1), body)[0, POINT[joint], axis]
    assert sign * (moved - rest) > 0.03


@pytest.mark.parametrize("name", MOTIONS)
def test_motions_keep_the_joint_limits_and_the_limb_lengths(name, body):
    seconds = np.linspace(-2, 2, 81)
    for seed in range(5):
        motion = random_motion(name, np.random.default_rng(seed))
        for angle, values in motion.angles(seconds).items():
            low, high = LIMITS[angle]
            assert low <= values.min() and values.max() <= high, angle
        points = forward_kinematics(motion.pose(seconds), body)
        for a, b, length in (
            ("left_hip", "left_knee", body.thigh),
            ("right_knee", "right_ankle", body.shank),
            ("left_shoulder", "left_elbow", body.upper_arm),
            ("right_elbow", "right_wrist", body.forearm),
            ("head_bottom", "head_top", body.head),
        ):
            measured = np.linalg.norm(points[:, POINT[a]] - points[:, POINT[b]], axis=-1)
            np.testing.assert_allclose(measured, length, rtol=1e-9)


@pytest.mark.parametrize("name", MOTIONS)
def test_motions_are_smooth(name, body):
    step = 1e-3
    points = forward_kinematics(random_motion(name, np.random.default_rng(3)).pose(np.arange(0, 1, step)), body)
    assert np.linalg.norm(np.diff(points, axis=0), axis=-1).max() < 30 * step  # no limb is faster than 30 m/s


def test_a_walk_moves_the_legs_in_turn(body):
    motion = random_motion("walk", np.random.default_rng(1))
    values = motion.angles(np.linspace(0, 3, 200))
    assert np.corrcoef(values["left_hip_flexion"], values["right_hip_flexion"])[0, 1] < -0.9


def test_people_mostly_face_the_camera():
    turned = [np.cos(random_motion("walk", np.random.default_rng(i)).angles(np.zeros(1))["yaw"][0]) for i in range(300)]
    assert 0.68 < np.mean(np.array(turned) > 0) < 0.88
