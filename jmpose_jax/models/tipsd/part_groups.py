"""Which joints make a part group of TIPSD (a reconstruction: the supplement names part groups, not their joints)."""

import re
from collections.abc import Mapping, Sequence

from jmpose_jax.errors import InputError
from jmpose_jax.nearest import nearest_key
from jmpose_jax.skeletons import SKELETONS

PartGroups = tuple[tuple[int, ...], ...]  # places of a group's joints, a tuple a group
LIMB = re.compile("(left|right)_(shoulder|elbow|wrist|hip|knee|ankle)")
ARM = ("shoulder", "elbow", "wrist")


def joint_names(skeleton: str, joints: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of a batch's joints.

    Args:
      skeleton: of `skeletons.SKELETONS`; not read where `joints` are given.
      joints: the names themselves, for a data set's own skeleton.
      count: joints of the batch.

    Raises:
      InputError: the skeleton is unknown, or has another number of joints.
    """
    if not joints and skeleton not in SKELETONS:
        raise InputError(
            f"model.skeleton={skeleton!r} is none of {', '.join(SKELETONS)}: give the names of its joints, in their "
            "order, as model.joints"
        )
    names = tuple(joints) or SKELETONS[skeleton].joints
    if len(names) != count:
        what = "model.joints names" if joints else f"model.skeleton={skeleton!r} has"
        raise InputError(f"{what} {len(names)} joints, the batch has {count}; give those of dataset.skeleton")
    return names


def default_groups(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Arms and legs by side, and the head: what belongs to no limb. PoseTrack's 15 joints make five groups of three."""
    groups: dict[str, tuple[str, ...]] = {}
    for name in names:
        limb = LIMB.fullmatch(name)
        group = f"{limb[1]}_{'arm' if limb[2] in ARM else 'leg'}" if limb else "head"
        groups[group] = (*groups.get(group, ()), name)
    return groups


def resolve_groups(groups: Mapping[str, Sequence[str]] | None, names: Sequence[str]) -> PartGroups:
    """The places of every group's joints, groups in the order of their names.

    Args:
      groups: name -> names of joints; None or empty takes `default_groups`.
      names: of the batch's joints.

    Raises:
      InputError: a group has no joint, has one twice, or one that the skeleton lacks.
    """
    found = []
    for group, joints in sorted((groups or default_groups(names)).items()):
        if not joints or len(set(joints)) < len(joints):
            raise InputError(f"model.part_groups.{group}={tuple(joints)}: give at least one joint, and each once")
        for joint in joints:
            if joint not in names:
                near = nearest_key(joint, names)
                hint = f"did you mean {near!r}?" if near else f"it has {', '.join(names)}"
                raise InputError(f"model.part_groups.{group}: the skeleton lacks the joint {joint!r}; {hint}")
        found.append(tuple(names.index(joint) for joint in joints))
    return tuple(found)
