"""Part groups: five of three joints by default, and what does not fit a skeleton is refused in one line."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.tipsd.part_groups import default_groups, joint_names, resolve_groups
from jmpose_jax.skeletons import COCO17, POSETRACK15


def test_posetracks_joints_make_five_groups_of_three():
    groups = default_groups(POSETRACK15.joints)
    assert {name: len(joints) for name, joints in groups.items()} == dict.fromkeys(
        ("head", "left_arm", "left_leg", "right_arm", "right_leg"), 3
    )
    places = resolve_groups({}, POSETRACK15.joints)
    assert sorted(sum(places, ())) == list(range(15)) and set(places[0]) == {12, 13, 14}
    assert len(default_groups(COCO17.joints)["head"]) == 5


def test_groups_are_in_the_order_of_their_names_whatever_a_config_gives():
    assert resolve_groups({"b": ("x",), "a": ("z", "y")}, ("x", "y", "z")) == ((2, 1), (0,))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"ears": ("left_ear",)}, "part_groups.ears: the skeleton lacks the joint 'left_ear'"),
        ({"arm": ("left_elbo",)}, "did you mean 'left_elbow'"),
        ({"arm": ()}, "part_groups.arm=.*at least one joint"),
        ({"arm": ("nose", "nose")}, "each once"),
    ],
)
def test_a_group_that_does_not_fit_is_refused(groups, message):
    with pytest.raises(InputError, match=message) as fault:
        resolve_groups(groups, POSETRACK15.joints)
    assert "\n" not in str(fault.value)


def test_joints_are_those_of_the_batch():
    assert joint_names("own", ("a", "b"), 2) == ("a", "b")
    for arguments, message in [
        (("own", (), 2), "model.skeleton='own' is none of"),
        (("coco17", (), 15), "model.skeleton='coco17' has 17 joints, the batch has 15"),
        (("own", ("a",), 2), "model.joints names 1 joints, the batch has 2"),
    ]:
        with pytest.raises(InputError, match=message):
            joint_names(*arguments)
