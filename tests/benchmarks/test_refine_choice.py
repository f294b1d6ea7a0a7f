"""Captured motions as joints, and the measure of a filter on them."""

import numpy as np

from benchmarks.refine_choice import measure, places
from jmpose_jax.refinement.filters import Gaussian


def test_bones_keep_their_length_and_turn():
    rows = np.zeros((2, 9))
    rows[1, 5] = np.pi / 2  # the root turns about the axis of view
    found = places(rows, [-1, 0], np.array([[0.0, 0, 0], [0, 2, 0]]))
    np.testing.assert_allclose(found[0], [[0, 0], [0, 2]], atol=1e-12)
    np.testing.assert_allclose(np.abs(found[1]), [[0, 0], [2, 0]], atol=1e-12)


def test_without_noise_and_filter_there_is_no_error():
    motion = [np.cumsum(np.random.default_rng(0).normal(size=(60, 4, 2)), axis=0)]
    assert measure(motion, None, 0.0, 0.0, 0.0, None) == (0.0, 0.0)
    still = [np.tile(motion[0][:1], (200, 1, 1))]
    error, jitter = measure(still, None, 0.01, 0.0, 0.0, None)
    assert 1.1 < error < 1.4  # a Rayleigh distribution's mean is 1.25 standard deviations
    smooth = measure(still, Gaussian(2.0), 0.01, 0.0, 0.0, None)
    assert smooth[0] < error / 1.8 and smooth[1] < jitter / 10
    with_wrong, rejected = (measure(still, Gaussian(2.0), 0.01, 0.0, 0.02, reject) for reject in (None, 3.0))
    assert smooth[0] < rejected[0] < with_wrong[0] - 0.3 and rejected[1] < with_wrong[1]
