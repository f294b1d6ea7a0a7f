"""Which joints stand still."""

import numpy as np

from benchmarks.refine_clips import parts, still
from jmpose_jax.pose_files.records import Track


def test_still_joints_and_the_circle_of_their_places():
    poses = np.zeros((20, 3, 2))
    poses[:, 1] = [0, 100]  # the size is about 100
    poses[::2, 0, 0] = 1.0
    poses[:, 2, 0] = 10 * np.arange(20)  # walks
    poses[5, 1] = np.nan
    stands, middle, farthest = still(poses, 2)
    assert stands[2:18, 0].all() and not stands[:2].any() and not stands[:, 2].any()
    assert not stands[3:8, 1].any() and stands[10, 1] and farthest[10, 1] == 0
    np.testing.assert_allclose(middle[4, 0], [0.6, 0])
    np.testing.assert_allclose(farthest[4, 0], 0.6)


def test_parts_end_where_somebody_is_away_and_weak_joints_are_missing():
    scores = np.ones((4, 2))
    scores[1, 1] = 0.1
    track = Track("a", np.array([0, 1, 5, 6]), np.ones((4, 2, 2)), scores, np.arange(4))
    first, second = parts(track)
    assert len(first) == len(second) == 2 and np.isnan(first[1, 1]).all() and np.isfinite(second).all()
