"""Seen frames, and what lies between them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmpose_jax.errors import InputError
from jmpose_jax.models.sequences import sampling


@given(interval=st.integers(1, 6), parts=st.integers(0, 5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20, derandomize=True)
def test_between_seen_frames_lie_straight_lines(interval, parts, seed):
    length = interval * parts + 1
    poses = np.random.default_rng(seed).standard_normal((2, length, 3)).astype(np.float32)
    found = np.asarray(sampling.interpolate(poses, interval))
    seen = np.flatnonzero(sampling.seen_frames(length, interval))
    for row, column in np.ndindex(2, 3):
        expected = np.interp(np.arange(length), seen, poses[row, seen, column])
        np.testing.assert_allclose(found[row, :, column], expected, atol=1e-6)


@pytest.mark.parametrize(("length", "interval"), [(10, 5), (0, 5), (5, 0)])
def test_the_last_frame_must_be_seen(length, interval):
    with pytest.raises(InputError, match="frames"):
        sampling.seen_frames(length, interval)


def test_no_frame_looks_at_itself_or_at_an_unseen_one():
    seen = sampling.seen_frames(7, 3)
    allowed = sampling.own_frame_hidden(seen)
    assert not allowed.diagonal().any() and not allowed[:, ~seen].any()
    assert allowed.sum(1).tolist() == [2, 3, 3, 2, 3, 3, 2]
