"""Where the joints of a skeleton stand in a file that names the joints of its keypoints."""

from collections.abc import Sequence
from typing import Any

from jmpose_jax.checks import typed
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import Skeleton


def places(names: Any, skeleton: Skeleton, needed: Sequence[str], where: str) -> tuple[int, ...]:
    """The place of each joint of a skeleton among the names that a file gives to its joints.

    Args:
      names: the file's list, in the order of its keypoints.
      skeleton: whose joints are wanted.
      needed: those that must be there.
      where: file and place, the start of the message.

    Returns:
      For each joint of `skeleton` its place in `names`, -1 where the file does not have it.

    Raises:
      InputError: a name is unknown, occurs twice, or one that is needed lacks.
    """
    names = [typed(name, str, f"{where}[{i}]") for i, name in enumerate(typed(names, list, where))]
    form = skeleton.name.rstrip("0123456789")
    for i, name in enumerate(names):
        if name not in skeleton.joints:
            raise InputError(
                f"{where} names the joint {name!r}, which {form} does not have; use {', '.join(skeleton.joints)}"
            )
        if name in names[:i]:
            raise InputError(f"{where} names the joint {name!r} twice; correct the list")
    missing = next((joint for joint in needed if joint not in names), None)
    if missing is not None:
        raise InputError(f"{where} names no joint {missing!r}; {form} needs {', '.join(needed)}")
    return tuple(names.index(joint) if joint in names else -1 for joint in skeleton.joints)
