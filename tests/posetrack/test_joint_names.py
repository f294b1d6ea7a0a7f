"""Joints by the names that a file gives them."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.joint_names import places
from jmpose_jax.skeletons import COCO17, POSETRACK15, POSETRACK17


def test_places_are_those_of_the_names():
    names = list(POSETRACK17.joints[::-1])
    assert places(names, POSETRACK17, POSETRACK15.joints, "f") == tuple(range(16, -1, -1))
    fifteen = places(list(POSETRACK15.joints), POSETRACK17, POSETRACK15.joints, "f")
    assert [fifteen[POSETRACK17.index(joint)] for joint in POSETRACK15.joints] == list(range(15))
    assert [POSETRACK17.joints[i] for i, place in enumerate(fifteen) if place < 0] == ["left_ear", "right_ear"]


@pytest.mark.parametrize(
    ("names", "culprit"),
    [
        (COCO17.joints, "'left_eye', which posetrack does not have"),
        (("nose", *POSETRACK17.joints), "'nose' twice"),
        (POSETRACK15.joints[1:], "no joint 'right_ankle'"),
        ((1, 2), r"\[0\] must be a string"),
    ],
)
def test_faults_name_the_joint(names, culprit):
    with pytest.raises(InputError, match=f"^f.*{culprit}"):
        places(list(names), POSETRACK17, POSETRACK15.joints, "f")
