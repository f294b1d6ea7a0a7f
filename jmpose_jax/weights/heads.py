"""From COCO's joints to PoseTrack's in the head of a pose network."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import COCO17, POSETRACK15, POSETRACK17, POSETRACK17_TO_15

# Slot i of the 17 takes the head of COCO joint i, as PoseWarper and DCPose do: nose and everything from the ears down
# are the same joints; the heads of the eyes are the start for head_bottom and head_top.
ROWS = {
    COCO17.name: tuple(range(COCO17.num_joints)),
    POSETRACK17.name: tuple(range(POSETRACK17.num_joints)),
    POSETRACK15.name: POSETRACK17_TO_15,
}


def remap_head(variables: Mapping[str, Any], skeleton: str) -> dict[str, Any]:
    """Give a network with a COCO-17 head the joints of another skeleton.

    Fine-tune afterwards: head_bottom and head_top start from the eyes.

    Args:
      variables: {"params": …, "batch_stats": …} of HRNet or SimpleBaseline with 17 heatmaps.
      skeleton: "posetrack15", "posetrack17" or "coco17".

    Returns:
      The variables with the rows of the final layer chosen anew.

    Raises:
      InputError: an unknown skeleton, or a head that has not 17 heatmaps.
    """
    if skeleton not in ROWS:
        raise InputError(f"head={skeleton!r}: choose one of {', '.join(ROWS)}")
    head = variables["params"].get("final_layer")
    if head is None or head["kernel"].shape[-1] != COCO17.num_joints:
        found = "none" if head is None else f"one of {head['kernel'].shape[-1]} heatmaps"
        raise InputError(f"head={skeleton!r} needs a head of 17 heatmaps to start from; the model has {found}")
    rows = np.asarray(ROWS[skeleton])
    chosen = {name: np.asarray(value)[..., rows] for name, value in head.items()}
    return {**variables, "params": {**variables["params"], "final_layer": chosen}}
