"""PCK of Sub-JHMDB: per joint and sequence, then the plain mean, so that sequences weigh alike at any length."""

from collections.abc import Sequence

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.metrics.keypoints import box_size, pck, torso_size

NORMALISATIONS = ("box", "torso")
# neck, belly, face, shoulders, hips, elbows, knees, wrists, ankles; the right one first.
GROUPS = {"Head": (2,), "Sho": (3, 4), "Elb": (7, 8), "Wri": (11, 12), "Hip": (5, 6), "Knee": (9, 10), "Ank": (13, 14)}
LEFT_SHOULDER, RIGHT_HIP = 4, 5


def jhmdb_pck(
    predicted: Sequence[np.ndarray],
    target: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray] | None = None,
    threshold: float = 0.2,
    normalisation: str = "box",
    visible: Sequence[np.ndarray] | None = None,
) -> dict[str, float]:
    """PCK of body parts in percent and "Mean", the mean over all 15 joints and all sequences.

    Args:
      predicted, target: one float [T, 15, 2] a sequence, pixels.
      boxes: one float [T, 4] a sequence, (x, y, width, height); for the normalisation by the box's longer side.
      threshold: of the unit, inclusive.
      normalisation: "box", or "torso", left shoulder to right hip of the target.
      visible: one bool [T, 15] a sequence; None counts every joint, as the published tables of the lineage do.

    Raises:
      InputError: for sequences that do not fit together, or none.
    """
    if normalisation not in NORMALISATIONS:
        raise InputError(f"normalisation={normalisation!r} is not known; use one of {', '.join(NORMALISATIONS)}")
    if normalisation == "box" and boxes is None:
        raise InputError("jhmdb_pck: normalisation=box needs boxes")
    lengths = {len(column) for column in (predicted, target, boxes, visible) if column is not None}
    if len(lengths) != 1 or not len(predicted):
        raise InputError(f"jhmdb_pck: the lists of sequences have the lengths {sorted(lengths)}; one and the same > 0")
    rows = []
    for i, (found, truth) in enumerate(zip(predicted, target)):
        if np.ndim(truth) != 3 or np.shape(truth)[1:] != (15, 2):
            raise InputError(f"jhmdb_pck: sequence {i} has the shape {list(np.shape(truth))}, [T, 15, 2] is needed")
        size = box_size(boxes[i]) if normalisation == "box" else torso_size(truth, LEFT_SHOULDER, RIGHT_HIP)
        rows.append(pck(found, truth, size, threshold, None if visible is None else visible[i]))
    table = 100 * np.stack(rows)
    if np.isnan(table).all():
        raise InputError("jhmdb_pck: no joint is visible")
    groups = {name: _mean(table[:, list(joints)]) for name, joints in GROUPS.items()}
    return groups | {"Mean": _mean(table)}


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
