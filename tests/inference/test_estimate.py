"""Flip test, decoding and the way back to the image, with models whose answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.inference.estimate import estimator, mirror, model_heatmaps, to_image
from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.skeletons import POSETRACK15


def batch(frames, flow=None, transform=None, score=0.5):
    count = len(frames)
    transform = np.eye(2, 3, dtype=np.float32) if transform is None else transform
    return ClipBatch(
        frames=jnp.asarray(frames),
        keypoints=jnp.zeros((count, 15, 2)),
        joint_weights=jnp.zeros((count, 15)),
        transform=jnp.tile(jnp.asarray(transform, jnp.float32), (count, 1, 1)),
        box_score=jnp.full(count, score),
        index=jnp.zeros(count, jnp.int32),
        valid=jnp.ones(count),
        flow=flow,
    )


class Painter:
    """A model that answers with the key frame's red channel: left joints with its left half, right ones with its right.

    It is equivariant to a mirror, sides exchanged, as a perfect network would be.
    """

    def apply(self, variables, clip):
        red = clip.frames[:, clip.frames.shape[1] // 2, ::4, ::4, 0].astype(jnp.float32) / 255
        sides = [joint.split("_")[0] for joint in POSETRACK15.joints]
        column = jnp.arange(red.shape[2])
        half = {"left": column < red.shape[2] // 2, "right": column >= red.shape[2] // 2}
        maps = [red * half.get(side, jnp.ones_like(column)) for side in sides]
        return PoseOutput(heatmaps=jnp.stack(maps, axis=-1), initial_heatmaps=red[:, None, ..., None])


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (2, 3, 32, 24, 3)).astype(np.uint8)


def test_mirror(frames):
    flow = np.random.default_rng(1).normal(size=(2, 2, 8, 6, 2)).astype(np.float32)
    seen = mirror(batch(frames, flow))
    np.testing.assert_array_equal(seen.frames[:, :, :, 0], frames[:, :, :, -1])
    np.testing.assert_allclose(seen.flow[..., 0, 0], -flow[..., -1, 0])
    np.testing.assert_allclose(seen.flow[..., 0, 1], flow[..., -1, 1])
    twice = mirror(seen)
    np.testing.assert_array_equal(twice.frames, frames)
    np.testing.assert_allclose(twice.flow, flow)
    assert mirror(batch(frames)).flow is None


def test_flip_test_exchanges_sides(frames):
    # A picture that is constant within cells of 4 pixels, so that reading every fourth pixel commutes with the mirror.
    blocks = frames[:, :, ::4, ::4].repeat(4, axis=2).repeat(4, axis=3)
    clip = batch(blocks)
    plain = model_heatmaps(Painter(), POSETRACK15)({}, clip)
    flipped = model_heatmaps(Painter(), POSETRACK15, flip_test=True, shift=False)({}, clip)
    np.testing.assert_allclose(flipped, plain, atol=1e-6)
    shifted = model_heatmaps(Painter(), POSETRACK15, flip_test=True, shift=True)({}, clip)
    np.testing.assert_allclose(shifted[:, :, 1:], (plain[:, :, 1:] + plain[:, :, :-1]) / 2, atol=1e-6)


def test_select(frames):
    chosen = model_heatmaps(Painter(), POSETRACK15, select=lambda output: output.initial_heatmaps[:, 0])
    assert chosen({}, batch(frames)).shape == (2, 8, 6, 1)


def test_estimator_gives_image_pixels_and_scores(frames):
    maps = np.zeros((2, 8, 6, 15), np.float32)
    maps[:, 3, 4] = 0.8
    transform = np.array([[2.0, 0, 10], [0, 2.0, -5]])
    keypoints, scores = estimator(lambda variables, clip: jnp.asarray(maps), decode="argmax")(
        {}, batch(frames, transform=transform)
    )
    np.testing.assert_allclose(keypoints, np.broadcast_to([2 * 16 + 10, 2 * 12 - 5], (2, 15, 2)))
    np.testing.assert_allclose(scores, 0.4, atol=1e-6)


def test_to_image_is_the_affine():
    rng = np.random.default_rng(0)
    points, transform = rng.normal(size=(3, 15, 2)), rng.normal(size=(3, 2, 3))
    expected = np.einsum("bij,bkj->bki", transform[:, :, :2], points) + transform[:, None, :, 2]
    ours = to_image(jnp.asarray(points, jnp.float32), jnp.asarray(transform, jnp.float32))
    np.testing.assert_allclose(ours, expected, atol=1e-5)
