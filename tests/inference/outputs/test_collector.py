"""From frames to one record."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from jmpose_jax.inference.outputs.collector import Collector
from jmpose_jax.skeletons import COCO17


def test_frames_with_and_without_people():
    collector = Collector(COCO17)
    rng = np.random.default_rng(0)
    for frame, count in enumerate((2, 0, 1)):
        poses = SimpleNamespace(
            boxes=rng.random((count, 4)),
            keypoints=rng.random((count, 17, 2)),
            scores=rng.random((count, 17)),
            track_ids=np.arange(count) + 3,
            box_scores=rng.random(count),
            track_scores=rng.random(count),
            estimated=frame != 2,
        )
        collector.add(poses, Fraction(frame, 8))
    found = collector.predictions("v", [{"id": 70 + i, "file_name": str(i)} for i in range(3)])
    assert found.image_id.tolist() == [70, 70, 72] and found.frame.tolist() == [0, 0, 2]
    assert found.track_id.tolist() == [3, 4, 3] and found.times.tolist() == [0, 0.125, 0.25]
    np.testing.assert_array_equal(found.keypoints[2], poses.keypoints[0])
    assert found.skeleton is COCO17 and collector.frames == 3
