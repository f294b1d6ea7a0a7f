import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.hrnet import HRNet
from jmpose_jax.models.image_baseline import ImageBaseline
from jmpose_jax.ops.images import denormalize, normalize
from jmpose_jax.records import ClipBatch

BACKBONE = dict(
    width=8, num_joints=15, stem_features=(8, 8), stem_block="basic", stem_blocks=1, stage_modules=(1,),
    blocks_per_branch=1,
)  # fmt: skip


@pytest.fixture
def batch():
    frames = jax.random.randint(jax.random.key(0), (2, 5, 32, 24, 3), 0, 256).astype(jnp.uint8)
    zeros = jnp.zeros((2, 15))
    return ClipBatch(
        frames=frames,
        keypoints=jnp.zeros((2, 15, 2)),
        joint_weights=zeros,
        transform=jnp.zeros((2, 2, 3)),
        box_score=zeros[:, 0],
        index=jnp.zeros(2, jnp.int32),
        valid=zeros[:, 0],
    )


def test_estimates_the_key_frame_from_its_bytes(batch, random_variables):
    model = ImageBaseline(BACKBONE)
    variables = random_variables(model, batch)
    run = jax.jit(model.apply)
    output = run(variables, batch)
    inner = {name: tree["backbone"] for name, tree in variables.items()}
    expected = jax.jit(HRNet(**BACKBONE).apply)(inner, normalize(batch.frames[:, 2]))
    np.testing.assert_allclose(output.heatmaps, expected, atol=1e-5)
    np.testing.assert_array_equal(output.initial_heatmaps, output.heatmaps[:, None])
    others = batch.replace(frames=batch.frames.at[:, jnp.array([0, 1, 3, 4])].set(0))
    np.testing.assert_array_equal(run(variables, others).heatmaps, output.heatmaps)
    changed = batch.replace(frames=batch.frames.at[:, 2].set(0))
    assert not np.allclose(run(variables, changed).heatmaps, output.heatmaps)


def test_training_mode_updates_statistics(batch, random_variables):
    model = ImageBaseline(BACKBONE)
    variables = random_variables(model, batch)
    _, updated = jax.jit(lambda v: model.apply(v, batch, True, mutable=["batch_stats"]))(variables)
    before = variables["batch_stats"]["backbone"]["conv1"]["bn"]["norm"]["mean"]
    assert not np.allclose(before, updated["batch_stats"]["backbone"]["conv1"]["bn"]["norm"]["mean"])


def test_simple_baseline_as_the_network(batch):
    model = ImageBaseline(dict(kind="simple_baseline", depth=50))
    images = batch.replace(frames=jnp.zeros((2, 3, 64, 32, 3), jnp.uint8))
    output = jax.eval_shape(lambda key: model.init_with_output(key, images)[0], jax.random.key(0))
    assert output.heatmaps.shape == (2, 16, 8, 15)


def test_unknown_network_is_named(batch):
    with pytest.raises(InputError, match="hrnet, simple_baseline"):
        ImageBaseline(BACKBONE | {"kind": "vgg"}).init(jax.random.key(0), batch)


def test_another_number_of_joints_than_the_batchs_is_named(batch):
    with pytest.raises(InputError, match="backbone.num_joints=17, but the batch has 15"):
        ImageBaseline(BACKBONE | {"num_joints": 17}).init(jax.random.key(0), batch)


def test_normalisation_is_that_of_imagenet_and_has_an_inverse():
    pixels = jnp.asarray([[[0, 0, 0], [255, 255, 255], [124, 116, 104]]], jnp.uint8)
    values = normalize(pixels)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values[0, 0], [-2.1179, -2.0357, -1.8044], atol=1e-3)
    np.testing.assert_allclose(values[0, 1], [2.2489, 2.4286, 2.64], atol=1e-3)
    np.testing.assert_allclose(denormalize(values), pixels, atol=1e-3)
