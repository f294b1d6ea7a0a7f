"""Removal of the joints that lie in a frame's ignore regions, from ground truth and predictions."""

import dataclasses

import numpy as np
import shapely

from jmpose_jax.metrics.sequence import Sequence, keep_persons


def inside(polygons: tuple[np.ndarray, ...], points: np.ndarray) -> np.ndarray:
    """Whether points lie strictly inside any of the polygons; a point on the border is outside.

    Args:
      polygons: float [V, 2] each, V >= 3.
      points: float [..., 2].

    Returns:
      bool [...].
    """
    result = np.zeros(points.shape[:-1], bool)
    for vertices in polygons:
        # Most joints are outside the polygon's bounding box, which is far cheaper to test.
        near = ((points > vertices.min(axis=0)) & (points < vertices.max(axis=0))).all(axis=-1) & ~result
        if near.any():
            polygon = shapely.Polygon(vertices)
            shapely.prepare(polygon)
            result[near] = shapely.contains_xy(polygon, points[near, 0], points[near, 1])
    return result


def remove_ignored(sequence: Sequence, regions: tuple[tuple[np.ndarray, ...], ...]) -> Sequence:
    """Remove the joints inside the regions of their frame, and the persons of such frames that keep no joint.

    Args:
      sequence: ground truth or predictions.
      regions: the polygons of each frame, those of the ground truth.
    """
    present = sequence.present.copy()
    keep = np.ones(sequence.num_persons, bool)
    starts = np.searchsorted(sequence.frame, np.arange(sequence.num_frames + 1))
    for frame, polygons in enumerate(regions):
        persons = slice(starts[frame], starts[frame + 1])
        if polygons and persons.start < persons.stop:
            present[persons] &= ~inside(polygons, sequence.keypoints[persons])
            keep[persons] = present[persons].any(axis=1)
    return keep_persons(dataclasses.replace(sequence, present=present), keep)
