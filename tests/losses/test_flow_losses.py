"""The sequence loss and the endpoint error against NumPy, and which pixels count."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.losses.flow import FlowObjective, average_cells, endpoint_error, known_flow, sequence_loss
from jmpose_jax.records import ClipBatch, FlowOutput


def numpy_sequence_loss(flow, target, known, gamma):
    """Teed and Deng, Eq. 7, iteration by iteration in float64; mean over both components of the known pixels."""
    total = 0.0
    for i, estimate in enumerate(flow, start=1):
        values = np.abs(np.float64(estimate) - target)[known > 0]
        total += gamma ** (len(flow) - i) * values.mean()
    return total


@pytest.mark.parametrize("seed, gamma", [(0, 0.8), (1, 0.8), (2, 0.5)])
def test_sequence_loss_by_numpy(seed, gamma):
    rng = np.random.default_rng(seed)
    flow, target = rng.normal(0, 3, (5, 2, 3, 8, 6, 2)), rng.normal(0, 3, (2, 3, 8, 6, 2))
    known = (rng.random((2, 3, 8, 6)) < 0.7).astype(np.float32)
    total, count = sequence_loss(*(jnp.asarray(a, jnp.float32) for a in (flow, target, known)), gamma)
    np.testing.assert_allclose(total / count, numpy_sequence_loss(flow, target, known, gamma), rtol=1e-5)


def clips(rng, batch=2, stride=2):
    frames = rng.integers(1, 256, (batch, 3, 8, 12, 3), dtype=np.uint8)
    flow = rng.normal(0, 2, (batch, 2, 8 // stride, 12 // stride, 2)).astype(np.float32)
    zeros = np.zeros((batch, 1), np.float32)
    return ClipBatch(frames, np.zeros((batch, 1, 2)), zeros, np.zeros((batch, 2, 3)), zeros[:, 0], zeros[:, 0],
                     np.ones(batch, np.float32), flow)  # fmt: skip


def test_pixels_without_a_flow_do_not_count():
    rng = np.random.default_rng(3)
    batch = clips(rng)
    batch.frames[0, 0, :, :3] = 0  # outside the image
    batch.frames[1, 2] = batch.frames[1, 1]  # a frame that stands in for its missing neighbour
    first, second = batch.frames[:, :2], batch.frames[:, 1:]
    known = np.asarray(known_flow(first, second, 2))
    assert known.shape == (2, 2, 4, 6)
    assert not known[0, 0, :, :2].any() and known[0, 0, :, 2:].all()  # half a cell outside is outside
    assert known[0, 1].all() and known[1, 0].all() and not known[1, 1].any()

    flow = rng.normal(0, 2, (3, 2, 2, 8, 12, 2)).astype(np.float32)
    terms = FlowObjective()(FlowOutput(flow, first, second), batch)
    cells = flow.reshape(3, 2, 2, 4, 2, 6, 2, 2).mean((4, 6))
    np.testing.assert_allclose(average_cells(jnp.asarray(flow), 2), cells, atol=1e-6)
    total, count = terms["sequence"]
    np.testing.assert_allclose(total / count, numpy_sequence_loss(cells, batch.flow, known, 0.8), rtol=1e-5)
    total, count = terms["endpoint_error"]
    distance = np.sqrt(((cells[-1] - batch.flow) ** 2).sum(-1))
    np.testing.assert_allclose(total / count, distance[known > 0].mean(), rtol=1e-5)
    np.testing.assert_allclose(endpoint_error(cells[-1], batch.flow), distance, rtol=1e-5)

    unknown = FlowObjective()(FlowOutput(flow.copy(), first, second), batch.replace(valid=np.array([1.0, 0.0])))
    assert float(unknown["endpoint_error"][1]) == known[0].sum()


def test_a_batch_without_flow_is_refused():
    batch = clips(np.random.default_rng(4)).replace(flow=None)
    with pytest.raises(InputError, match="flow_source to exact"):
        FlowObjective()(FlowOutput(jnp.zeros((1, 2, 2, 8, 12, 2)), batch.frames[:, :2], batch.frames[:, 1:]), batch)
