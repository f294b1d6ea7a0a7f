"""Stretches, and filters block by block."""

import functools

import numpy as np
import pytest

from jmpose_jax.refinement.filters import Gaussian, SavitzkyGolay
from jmpose_jax.refinement.runs import in_blocks, runs, window_starts


def test_every_valid_joint_is_in_one_stretch():
    valid = np.random.default_rng(0).random((50, 6)) < 0.7
    valid[:, 4] = valid[:, 2]
    seen = np.zeros(valid.shape, int)
    for frames, joints in runs(valid):
        assert valid[frames][:, joints].all()
        assert frames.start == 0 or not valid[frames.start - 1, joints].any()
        assert frames.stop == 50 or not valid[frames.stop, joints].any()
        assert (2 in joints) == (4 in joints)
        seen[frames, joints] += 1
    np.testing.assert_array_equal(seen, valid)
    assert not list(runs(np.zeros((5, 2), bool)))


@pytest.mark.parametrize("method", (SavitzkyGolay(9, 2), Gaussian(1.0)))
def test_blocks_give_the_whole(method, monkeypatch):
    poses = np.random.default_rng(1).normal(size=(203, 3, 2))
    whole = method(poses, np.ones((203, 3), bool))
    in_parts = functools.partial(in_blocks, block=37)
    monkeypatch.setattr("jmpose_jax.refinement.filters.in_blocks", in_parts)
    np.testing.assert_allclose(method(poses, np.ones((203, 3), bool)), whole, atol=1e-12)


def test_no_block_is_longer_than_asked():
    lengths, poses = [], np.random.default_rng(0).normal(size=(110, 2, 2))
    result = np.zeros_like(poses)
    joints = np.array([1])
    in_blocks(poses, result, slice(5, 105), joints, 3, lambda part: lengths.append(len(part)) or part, block=10)
    assert max(lengths) <= 16 and len(lengths) == 10
    np.testing.assert_array_equal(result[5:105, 1], poses[5:105, 1])
    assert not result[:, 0].any() and not result[:5].any() and not result[105:].any()


def test_every_frame_is_in_a_window():
    assert window_starts(8, 8, 3) == [0]
    assert window_starts(20, 8, 5) == [0, 5, 10, 12]
    assert window_starts(18, 8, 5) == [0, 5, 10]
