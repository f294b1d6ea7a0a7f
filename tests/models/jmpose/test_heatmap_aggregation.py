"""Aggregated heatmaps: the fixed average, the alignment along each joint's own motion, the learned part."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.models.jmpose.heatmap_aggregation import (
    HeatmapAggregation,
    Refinement,
    frame_weights,
    inverse_distances,
)
from jmpose_jax.ops.heatmaps import decode, encode

# A third of the compile time of the default, for numbers that are looked at once or twice.
QUICK = {"xla_backend_optimization_level": 0}

SIZE, JOINTS = (24, 20), 3
KEY = jnp.array([[48.0, 52.0], [24.0, 68.0], [56.0, 28.0]])
VELOCITY = jnp.array([[6.0, 2.0], [-5.0, 4.0], [0.0, -7.0]])  # crop pixels a frame, joint by joint


@functools.partial(jax.jit, static_argnames="hidden")
def _clip(hidden=False):
    """Exact Gaussians of moving joints in five frames, and flow that holds each joint's motion around it only."""
    frames, flows = [], []
    for t in range(-2, 3):
        keypoints = KEY + t * VELOCITY
        maps, _ = encode(keypoints, jnp.ones(JOINTS), heatmap_size=SIZE, sigma=1.5, mode="exact")
        frames.append(maps * (0.0 if t == 0 and hidden else 1.0))
        if t:
            y, x = jnp.meshgrid(4 * jnp.arange(SIZE[0]), 4 * jnp.arange(SIZE[1]), indexing="ij")
            distance = jnp.linalg.norm(jnp.stack([x, y], -1)[:, :, None] - keypoints, axis=-1)  # [h, w, K]
            near = jax.nn.one_hot(distance.argmin(-1), JOINTS) * (distance < 14)
            flows.append(jnp.einsum("hwk,kd->hwd", near, -t * VELOCITY))
    return jnp.stack(frames)[None], jnp.stack(flows)[None]


_decode = jax.jit(decode, static_argnums=(1, 2))


def _fixed(heatmaps, flow=None, **options):
    module = HeatmapAggregation("fixed", "none" if flow is None else "joint_flow", **options)
    return jax.jit(module.apply)({}, heatmaps, flow)


@pytest.mark.parametrize("delta", [1, 2, 4])
def test_frame_weights(delta):
    weights = frame_weights(delta)
    assert weights.shape == (2 * delta + 1,) and weights.argmax() == delta
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
    np.testing.assert_allclose(weights, weights[::-1])
    if delta == 2:
        np.testing.assert_allclose(weights, [0.1, 0.25, 0.3, 0.25, 0.1], rtol=1e-6)


def test_aligned_maps_land_on_the_key_frame():
    heatmaps, flow = _clip()
    aligned = _fixed(heatmaps, flow, aligned_share=1.0)
    coordinates, scores = _decode(aligned, "dark", 3)
    np.testing.assert_allclose(4 * coordinates[0], KEY, atol=0.3)
    assert (scores > 0.85).all()
    unaligned = _fixed(heatmaps)
    assert (_decode(unaligned)[1] < 0.75).all()


def test_a_joint_hidden_in_the_key_frame_is_carried_there_by_its_neighbours():
    heatmaps, flow = _clip(hidden=True)
    assert not heatmaps[0, 2].any()
    aligned = _fixed(heatmaps, flow, aligned_share=1.0)
    coordinates, scores = _decode(aligned, "dark", 3)
    np.testing.assert_allclose(4 * coordinates[0], KEY, atol=0.3)
    assert (scores > 0.6).all()


def test_flow_of_full_resolution_serves_as_well():
    heatmaps, flow = _clip()
    fine = jnp.repeat(jnp.repeat(flow, 4, 2), 4, 3)
    np.testing.assert_allclose(_fixed(heatmaps, fine), _fixed(heatmaps, flow), atol=1e-5)


@pytest.mark.parametrize(
    "alignment",
    [pytest.param("none", marks=pytest.mark.slow), pytest.param("joint_flow", marks=pytest.mark.slow), "joint_motion"],
)
def test_the_learned_part_starts_at_nothing_and_receives_gradients(alignment):
    heatmaps, flow = _clip()
    module = HeatmapAggregation("residual", alignment, features=4)
    variables = jax.jit(module.init, compiler_options=QUICK)(jax.random.key(0), heatmaps, flow)
    fixed = HeatmapAggregation("fixed", alignment)
    shared = {"params": {k: v for k, v in variables["params"].items() if k == "joint_motion"}}
    expected = jax.jit(fixed.apply)(shared, heatmaps, flow)
    np.testing.assert_allclose(jax.jit(module.apply)(variables, heatmaps, flow), expected, atol=1e-6)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def gradient(params, heatmaps, flow):
        def loss(params, heatmaps, flow):
            out, _ = module.apply(variables | {"params": params}, heatmaps, flow, train=True, mutable=["batch_stats"])
            return jnp.mean((out - 1) ** 2)

        return jax.grad(loss, argnums=(0, 1, 2))(params, heatmaps, flow)

    for maps in (heatmaps, jnp.zeros_like(heatmaps)):
        gradients = gradient(variables["params"], maps, flow)
        assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradients))
    last = gradient(variables["params"], heatmaps, flow)[0]
    assert last["refinement"]["change"]["kernel"].any() and last["weights"]["kernel"].any()
    if alignment == "joint_motion":
        assert last["joint_motion"]["choice"]["kernel"].any()


@pytest.mark.parametrize("method", ["rsb", "conv"])
def test_learned_forms_have_the_shape_of_one_frame(method):
    heatmaps, flow = _clip()
    module = HeatmapAggregation(method, "joint_flow")
    out, variables = jax.eval_shape(module.init_with_output, jax.random.key(0), heatmaps, flow)
    assert out.shape == (1, *SIZE, JOINTS) and variables["params"]


def test_inverse_distances_scale_the_supporting_maps():
    np.testing.assert_allclose(inverse_distances(2), [1 / 6, 1 / 3, 1 / 3, 1 / 6], rtol=1e-6)
    np.testing.assert_allclose(inverse_distances(1), [1 / 2, 1 / 2])  # DCPose's, of frames at equal distances
    maps = jax.random.normal(jax.random.key(0), (1, 5, 4, 4, 2))
    scaled = maps * jnp.array([1 / 6, 1 / 3, 1, 1 / 3, 1 / 6])[:, None, None, None]
    plain, weighted = HeatmapAggregation("rsb"), HeatmapAggregation("inverse_distance")
    variables = jax.jit(plain.init, compiler_options=QUICK)(jax.random.key(1), maps)
    found, expected = jax.jit(lambda v: (weighted.apply(v, maps), plain.apply(v, scaled)), compiler_options=QUICK)(
        variables
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_refinement_of_odd_sizes_keeps_their_shape_and_starts_as_identity():
    heatmaps = jax.random.uniform(jax.random.key(1), (2, 7, 5, JOINTS))
    out, _ = jax.jit(Refinement(features=4).init_with_output, compiler_options=QUICK)(jax.random.key(0), heatmaps)
    np.testing.assert_array_equal(out, heatmaps)


def test_faults_are_named():
    heatmaps, _ = _clip()
    for module, word in (
        (HeatmapAggregation("median"), "median"),
        (HeatmapAggregation("fixed", "optical"), "optical"),
        (HeatmapAggregation("fixed", "joint_flow"), "needs flow"),
    ):
        with pytest.raises(InputError, match=word):
            module.apply({}, heatmaps)
