"""Flow comes from the network or from the batch, for the pairs that the batch names; else it is asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.flow import paired_frames, read_flow
from jmpose_jax.records import ClipBatch


def batch_of(length=3, pairs="support_to_key", flow=None):
    empty = jax.tree.map(
        lambda spec: np.zeros(spec.shape, spec.dtype), ClipBatch.spec(2, delta=1, input_size=(8, 8), num_joints=3)
    )
    frames = np.random.default_rng(0).integers(0, 256, (2, length, 8, 8, 3)).astype(np.uint8)
    return empty.replace(frames=frames, flow_pairs=pairs, flow=flow)


@pytest.mark.parametrize(
    ("pairs", "expected"), [("support_to_key", ((0, 1), (2, 1))), ("consecutive", ((0, 1), (1, 2)))]
)
def test_a_network_gets_the_frames_as_they_are(pairs, expected):
    """RGB in 0..255, not what the pose branch normalises."""
    batch, given = batch_of(pairs=pairs), []

    def network(*images):
        given.extend(images)
        return jnp.stack([images[0][..., 0], images[1][..., 0]], -1)

    flow = read_flow(batch, network)
    assert given[0].dtype == jnp.float32 and given[0].shape == (4, 8, 8, 3) and given[0].max() > 250
    for i, pair in enumerate(expected):
        for side in (0, 1):
            np.testing.assert_array_equal(flow[:, i, ..., side], batch.frames[:, pair[side], ..., 0])
            np.testing.assert_array_equal(paired_frames(batch)[side][:, i], batch.frames[:, pair[side]])


def test_no_gradient_reaches_a_network():
    batch = batch_of()
    gradient = jax.grad(lambda scale: jnp.sum(read_flow(batch, lambda a, b: scale * a[..., :2])))(1.0)
    assert gradient == 0


def test_without_a_network_the_batchs_flow_is_read():
    flow = np.ones((2, 2, 4, 4, 2), np.float32)
    assert read_flow(batch_of(flow=flow)) is flow


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (batch_of(), "flow_source"),
        (batch_of(flow=np.ones((2, 4, 4, 4, 2))), "2, 4, 4, 4, 2"),
        (batch_of(flow=np.ones((2, 2, 4, 4))), "2, 2, 4, 4"),
        (batch_of(length=1), "has 1"),
        (batch_of(length=4), "has 4"),
        (batch_of(pairs="all"), "all"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(batch, words):
    with pytest.raises(InputError, match=words):
        read_flow(batch)
