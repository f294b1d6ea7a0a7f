"""DCPose: equal to the original at every stage that its golden file holds, and what our own form adds to it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.backbones import networks
from jmpose_jax.models.dcpose import DCPose, PoseCorrection
from jmpose_jax.records import ClipBatch
from jmpose_jax.weights import from_state_dict, to_state_dict

BACKBONE = {
    "width": 4,
    "stem_features": (4, 4),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}


def clips(frames, joints):
    count = frames.shape[0]
    empty = jnp.ones(count)
    return ClipBatch(
        frames=frames,
        keypoints=jnp.zeros((count, joints, 2)),
        joint_weights=jnp.ones((count, joints)),
        transform=jnp.zeros((count, 2, 3)),
        box_score=empty,
        index=jnp.arange(count),
        valid=empty,
    )


@pytest.mark.slow  # an HRNet-W48 on six frames
def test_equals_official(official, monkeypatch):
    case = official("dcpose_rsn")
    variables = from_state_dict("dcpose", case.state_dict)
    monkeypatch.setattr(networks, "normalize", lambda frames: frames)  # the golden's images are normalised
    distances = jnp.asarray(case.arrays["in_margin"], jnp.float32)
    monkeypatch.setattr(DCPose, "_neighbours", lambda self, batch, train: (batch.frames, distances))
    key, earlier, later = np.split(case.input("x"), 3, axis=-1)
    batch = clips(jnp.stack([earlier, key, later], 1), 17)
    model = DCPose(backbone={"width": 48})
    apply = jax.jit(functools.partial(model.apply, capture_intermediates=True, mutable=["intermediates"]))
    output, kept = apply(variables, batch)
    kept = kept["intermediates"]

    case.check("output_heatmaps", output.heatmaps)
    in_their_order = output.initial_heatmaps[:, jnp.array([1, 0, 2])]
    case.check("rough_heatmaps", jnp.concatenate(list(jnp.moveaxis(in_their_order, 1, 0))))
    for ours, theirs in (("difference", "prf"), ("merger", "ptm"), ("combined", "prf_ptm")):
        case.check(theirs, kept[ours]["__call__"][0])
    correction = kept["correction"]
    case.check("offsets_d3", correction["dilation3"]["offset_conv"]["__call__"][0])
    case.check("masks_d3", correction["dilation3"]["mask_conv"]["__call__"][0])
    for dilation in (3, 6, 9, 12, 15):
        case.check(f"warped_d{dilation}", correction[f"dilation{dilation}"]["__call__"][0])

    back = to_state_dict("dcpose", variables)
    assert set(back) == set(case.state_dict)
    counters = [key for key in back if key.endswith("num_batches_tracked")]
    assert all(np.array_equal(back[key], case.state_dict[key]) for key in back if key not in counters)


@pytest.fixture(scope="module")
def tiny(random_variables):
    """A small DCPose on clips of five frames."""
    options = {"difference_channels": 6, "combined_channels": 8, "kernel_init": "fan_in"}
    model = DCPose(backbone=BACKBONE, correction={"dilations": (1, 3)}, **options)
    frames = jax.random.randint(jax.random.key(0), (2, 5, 32, 32, 3), 0, 256).astype(jnp.uint8)
    batch = clips(frames, 3)
    return model, random_variables(model, batch), batch


def test_the_nearest_frames_are_read_and_training_draws_farther_ones(tiny):
    model, variables, batch = tiny
    run = jax.jit(lambda frames: model.apply(variables, batch.replace(frames=frames)))
    output = run(batch.frames)
    assert output.heatmaps.shape == (2, 8, 8, 3) and output.initial_heatmaps.shape == (2, 3, 8, 8, 3)
    outer = run(batch.frames.at[:, jnp.array([0, 4])].set(0))
    np.testing.assert_array_equal(outer.heatmaps, output.heatmaps)
    assert not np.allclose(run(batch.frames.at[:, 1].set(0)).heatmaps, output.heatmaps)

    numbered = batch.replace(frames=jnp.broadcast_to(jnp.arange(5)[None, :, None, None, None], (64, 5, 1, 1, 3)))
    draw = functools.partial(model.apply, variables, numbered, True, method=DCPose._neighbours)
    frames, distances = draw(rngs={"masking": jax.random.key(1)})
    assert set(np.unique(distances)) == {1, 2}
    np.testing.assert_array_equal(
        frames[:, :, 0, 0, 0], np.stack([2 - distances[:, 0], 0 * distances[:, 0] + 2, 2 + distances[:, 1]], 1)
    )
    assert len(np.unique(distances, axis=0)) == 4  # each side by itself


def test_the_correction_starts_where_the_merged_heatmaps_are():
    heatmaps, guide = jax.random.normal(jax.random.key(0), (1, 6, 5, 3)), jnp.ones((1, 6, 5, 4))
    correction = PoseCorrection(dilations=(1, 2), mask_activation="sigmoid")
    moved, _ = jax.jit(correction.init_with_output)(jax.random.key(1), heatmaps, guide)
    np.testing.assert_allclose(moved, heatmaps / 2, atol=1e-6)  # weights of one half, no offsets
    with pytest.raises(InputError, match="correction.dilations is empty"):
        jax.eval_shape(PoseCorrection(dilations=()).init, jax.random.key(1), heatmaps, guide)


def test_what_it_cannot_read_is_said(tiny):
    model, variables, batch = tiny
    for length in (1, 4):
        with pytest.raises(InputError, match=f"delta at least 1; the batch has {length}"):
            jax.eval_shape(model.apply, variables, batch.replace(frames=batch.frames[:, :length]))
    with pytest.raises(InputError, match="kernel_init='fanin': choose one of fan_in, lineage"):
        jax.eval_shape(model.clone(kernel_init="fanin").apply, variables, batch)
