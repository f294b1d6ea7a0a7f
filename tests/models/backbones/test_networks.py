"""What image networks see in clips: every frame by itself, features of the heatmaps' size, frozen or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones.networks import create_backbone, see_every_frame
from jmpose_jax.ops.images import normalize
from jmpose_jax.records import ClipBatch

HRNET = {
    "width": 4, "stem_features": (4, 4), "stem_block": "basic", "stem_blocks": 1, "stage_modules": (1,),
    "blocks_per_branch": 1,
}  # fmt: skip
BACKBONES = {"hrnet": HRNET, "simple_baseline": {"kind": "simple_baseline", "depth": 50}}


class Seeing(nn.Module):
    options: dict
    trainable: bool = True

    @nn.compact
    def __call__(self, batch, train=False):
        return see_every_frame(create_backbone(self.options, batch), batch.frames, train, self.trainable)


def batch_of(size):
    spec = ClipBatch.spec(2, delta=1, input_size=(size, size), num_joints=5)
    batch = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), spec)
    return batch.replace(frames=np.random.default_rng(0).integers(0, 256, spec.frames.shape).astype(np.uint8))


@pytest.mark.parametrize("name", BACKBONES)
def test_maps_of_every_frame(name):
    batch = batch_of(64)
    model = Seeing(BACKBONES[name])
    (heatmaps, stages), variables = jax.eval_shape(model.init_with_output, jax.random.key(0), batch)
    assert list(variables["params"]) == ["backbone"]
    assert heatmaps.shape == (2, 3, 16, 16, 5) and heatmaps.dtype == jnp.float32
    assert stages and all(stage.shape[:4] == (2, 3, 16, 16) for stage in stages)


def test_frames_are_seen_alone_and_stages_come_earliest_first(random_variables):
    batch = batch_of(32)
    model = Seeing(HRNET)
    variables = random_variables(model, batch)
    heatmaps, stages = jax.jit(model.apply)(variables, batch)
    network = create_backbone(HRNET, batch)
    inner = {key: tree["backbone"] for key, tree in variables.items()}
    images = normalize(batch.frames[:, 1])
    alone, features = jax.jit(lambda v, x: network.apply(v, x, return_features=True))(inner, images)
    np.testing.assert_allclose(heatmaps[:, 1], alone, atol=1e-5)
    np.testing.assert_allclose(stages[0][:, 1], features["transition1"][0], atol=1e-5)
    np.testing.assert_allclose(stages[1][:, 1], features["stage2"][0], atol=1e-5)


def test_a_frozen_network_gets_no_gradient_and_keeps_its_statistics(random_variables):
    batch = batch_of(32)
    variables = random_variables(Seeing(HRNET), batch)

    def run(params, trainable):
        model = Seeing(HRNET, trainable)
        output, updated = model.apply({**variables, "params": params}, batch, True, mutable=["batch_stats"])
        return jnp.sum(output[0]), updated["batch_stats"]

    for trainable in (True, False):
        of_both = jax.jit(jax.grad(run, has_aux=True), static_argnums=1)
        gradient, statistics = of_both(variables["params"], trainable)
        assert any(bool(leaf.any()) for leaf in jax.tree.leaves(gradient)) == trainable
        same = jax.tree.map(lambda a, b: bool((a == b).all()), statistics, variables["batch_stats"])
        assert all(jax.tree.leaves(same)) != trainable


def test_other_joints_than_the_batchs_are_named():
    with pytest.raises(InputError, match="num_joints=17, but the batch has 5"):
        create_backbone(HRNET | {"num_joints": 17}, batch_of(32))
