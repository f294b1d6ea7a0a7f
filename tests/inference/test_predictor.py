"""The predictor: padding, one compilation, way back to the image, flow, joint order."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.estimate import estimator, to_image
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17


def dot_frame(x, y, size=(160, 220)):
    frame = np.zeros((*size, 3), np.uint8)
    frame[y - 1 : y + 2, x - 1 : x + 2] = 255
    return frame


def brightest(variables, batch):
    """A model that finds the brightest cell of the key frame, for every joint."""
    frames = batch.frames[:, batch.frames.shape[1] // 2].astype(jnp.float32).mean(axis=-1)
    b, height, width = frames.shape
    cells = frames.reshape(b, height // 4, 4, width // 4, 4)[:, :, 0, :, 0] / 255
    return jnp.repeat(cells[..., None], 15, axis=-1)


def test_finds_the_dot_in_image_pixels():
    predictor = Predictor(estimator(brightest, decode="argmax"), {}, input_size=(128, 96), delta=1, batch_size=3)
    dots, boxes, crops, transforms = [(60, 50), (120, 90), (90, 70), (30, 100)], [], [], []
    for x, y in dots:
        box = np.array([x - 16.0, y - 21.0, 30, 40])
        crop, transform = predictor.crop((dot_frame(5, 5), dot_frame(x, y), dot_frame(5, 9)), box)
        boxes.append(box)
        crops.append(crop)
        transforms.append(transform)
    keypoints, scores = predictor.predict(crops, transforms, [1.0, 0.5, 0.25, 1.0])
    assert keypoints.shape == (4, 15, 2) and scores.shape == (4, 15)
    np.testing.assert_allclose(keypoints[:, 0], dots, atol=1.1)
    np.testing.assert_allclose(scores[:, 3], [1.0, 0.5, 0.25, 1.0], atol=0.02)
    nobody = predictor.predict([], [], [])
    assert nobody[0].shape == (0, 15, 2) and nobody[1].shape == (0, 15)


def test_one_compilation_whatever_the_number():
    traces = []

    def estimate(variables, batch):
        traces.append(batch.frames.shape)
        points = jnp.zeros((batch.frames.shape[0], 15, 2)) + variables["shift"]
        return to_image(points, batch.transform), batch.valid[:, None] * jnp.ones(15)

    predictor = Predictor(estimate, {"shift": jnp.float32(2)}, input_size=(64, 48), delta=0, batch_size=4)
    crop = np.zeros((1, 64, 48, 3), np.uint8)
    for count in (1, 3, 4, 9):
        keypoints, scores = predictor.predict([crop] * count, [np.eye(2, 3)] * count, [1.0] * count)
        np.testing.assert_allclose(keypoints, np.full((count, 15, 2), 2.0))
        assert (scores == 1).all()  # padding never comes out
    assert traces == [(4, 1, 64, 48, 3)]


def test_flow_goes_into_the_batch():
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 255, (20, 20)), np.ones((8, 8))).astype(np.uint8)[..., None].repeat(3, -1)
    frames = tuple(np.roll(base, 3 * i, axis=1) for i in range(3))
    predictor = Predictor(brightest, {}, input_size=(128, 96), delta=1, flow_source="dis", flow_stride=4, batch_size=2)
    crops, transform = predictor.crop(frames, np.array([40.0, 30, 60, 80]))
    batch = predictor.batch([crops], [transform], [1.0])
    assert batch.flow.shape == (2, 2, 32, 24, 2) and not batch.flow[1].any()
    magnification = 1 / transform[0, 0]
    np.testing.assert_allclose(np.median(batch.flow[0], axis=(1, 2))[:, 0], 3 * magnification, rtol=0.1)
    plain = Predictor(brightest, {}, input_size=(128, 96), delta=1, flow_source="none", batch_size=2)
    assert plain.batch([crops], [transform], [1.0]).flow is None


def test_posetrack17_models_give_the_15_joints():
    def estimate(variables, batch):
        row = jnp.arange(17.0)
        return jnp.tile(row[None, :, None], (batch.frames.shape[0], 1, 2)), jnp.tile(
            row / 17, (batch.frames.shape[0], 1)
        )

    predictor = Predictor(estimate, {}, input_size=(64, 48), delta=0, skeleton="posetrack17", batch_size=2)
    keypoints, _ = predictor.predict([np.zeros((1, 64, 48, 3), np.uint8)], [np.eye(2, 3)], [1.0])
    names = [POSETRACK17.joints[int(value)] for value in keypoints[0, :, 0]]
    assert tuple(names) == POSETRACK15.joints


@pytest.mark.parametrize(
    "options,message",
    [
        ({"skeleton": "mpii16"}, "skeleton 'mpii16' is not known"),
        ({"flow_source": "exact"}, "flow_source='exact'"),
        ({"flow_source": "dis", "flow_pairs": "all"}, "flow_pairs='all'"),
    ],
)
def test_faults(options, message):
    with pytest.raises(InputError, match=message):
        Predictor(brightest, {}, input_size=(64, 48), delta=1, **options)


def test_a_model_of_other_joints_is_refused():
    def estimate(variables, batch):
        return jnp.zeros((batch.frames.shape[0], 17, 2)), jnp.zeros((batch.frames.shape[0], 17))

    predictor = Predictor(estimate, {}, input_size=(64, 48), delta=0, batch_size=1)
    with pytest.raises(InputError, match="the model has 17 joints, its skeleton posetrack15 has 15"):
        predictor.predict([np.zeros((1, 64, 48, 3), np.uint8)], [np.eye(2, 3)], [1.0])
