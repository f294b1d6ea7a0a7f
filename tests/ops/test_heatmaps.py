"""Heatmap targets, decoding and flip averaging against the lineage's own numbers."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.ops import heatmaps
from jmpose_jax.skeletons import POSETRACK17


def _golden(shared, name):
    path = shared / "golden" / "public"
    with np.load(path / f"{name}.npz") as z:
        return {k: z[k] for k in z.files}, json.loads((path / f"{name}.json").read_text())["outputs"]


def _nhwc(maps):
    return jnp.moveaxis(jnp.asarray(maps), 1, -1)


def test_official_targets(shared):
    z, meta = _golden(shared, "post_target")
    encode = jax.jit(lambda k, w: heatmaps.encode(k, w, heatmap_size=(96, 72), sigma=3))
    targets, weights = encode(z["in_joints"][..., :2].astype(np.float32), z["in_joints_vis"][..., 0].astype(np.float32))
    np.testing.assert_array_equal(weights, z["target_weight"][..., 0])
    np.testing.assert_allclose(np.moveaxis(targets, -1, 1)[:10], z["target"], atol=meta["target"]["tol_abs"])
    np.testing.assert_allclose(targets.sum((1, 2)), z["target_sum"], atol=meta["target_sum"]["tol_abs"])
    np.testing.assert_array_equal(jnp.argmax(targets.reshape(50, -1, 17), 1), z["target_argmax"])


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_exact_targets_decode_to_their_keypoints(sigma):
    keypoints = np.random.default_rng(0).uniform(32, 90, (3, 5, 2)).astype(np.float32)

    @jax.jit
    def round_trip(keypoints):
        options = dict(heatmap_size=(32, 32), sigma=sigma)
        exact, _ = heatmaps.encode(keypoints, jnp.ones((3, 5)), mode="exact", **options)
        official, _ = heatmaps.encode(keypoints, jnp.ones((3, 5)), **options)
        return heatmaps.decode(exact, "dark", 3)[0], *heatmaps.decode(official)

    coordinates, rounded, scores = round_trip(keypoints)
    np.testing.assert_allclose(4 * coordinates, keypoints, atol=0.05)
    np.testing.assert_array_equal(rounded, np.trunc(keypoints / 4 + 0.5))
    np.testing.assert_array_equal(scores, 1.0)


def test_unlabelled_and_outside_joints_have_no_target():
    keypoints = jnp.array([[40.0, 40.0], [40.0, 40.0], [-200.0, 40.0], [40.0, 900.0]])
    for mode in ("official", "exact"):
        targets, weights = heatmaps.encode(
            keypoints, jnp.array([1.0, 0, 1, 1]), heatmap_size=(32, 24), sigma=2, mode=mode
        )
        np.testing.assert_array_equal(weights, [1, 0, 0, 0])
        assert targets[..., 0].max() == 1
        assert targets[..., 1:3].max() == 0


def _final_predictions(coordinates, center, scale):
    """The plain inverse crop affine of the lineage: heatmap pixel to image, scale in units of 200 px, no rotation."""
    pixels = 200.0 * scale[:, None, :1] / 36
    return center[:, None] + (coordinates - np.array([18.0, 24.0])) * pixels


def test_decoding_equals_the_lineage(shared):
    z, meta = _golden(shared, "post_decode")
    hm = _nhwc(z["in_hm"])
    coordinates, scores = jax.jit(heatmaps.decode)(hm)
    np.testing.assert_array_equal(coordinates, z["max_preds"])
    np.testing.assert_array_equal(scores, z["maxvals"][..., 0])
    dark, scores = jax.jit(lambda h: heatmaps.decode(h, "dark"))(hm)
    np.testing.assert_allclose(dark, z["dark_coords"], atol=meta["dark_coords"]["tol_abs"])
    np.testing.assert_array_equal(scores, z["maxvals"][..., 0])
    np.testing.assert_allclose(
        _final_predictions(dark, z["in_center"], z["in_scale"]), z["dark_preds"], atol=meta["dark_preds"]["tol_abs"]
    )
    quarter, _ = jax.jit(lambda h: heatmaps.decode(h, "quarter_offset"))(hm)
    np.testing.assert_allclose(
        _final_predictions(quarter, z["in_center"], z["in_scale"]),
        z["quarter_preds"],
        atol=meta["quarter_preds"]["tol_abs"],
    )
    np.testing.assert_allclose(
        jnp.moveaxis(heatmaps.blur(hm[:6]), -1, 1), z["blurred"], atol=meta["blurred"]["tol_abs"]
    )
    np.testing.assert_allclose(heatmaps.gaussian_kernel(11), z["gauss_kernel11"][:, 0], atol=1e-12)


def test_flip_average_equals_the_lineage(shared):
    z, meta = _golden(shared, "post_decode")
    plain, mirrored = _nhwc(z["in_fl_in"]), _nhwc(z["in_fl_in_flipped"])
    permutation = POSETRACK17.flip_permutation
    back = heatmaps.flip_back(mirrored, permutation)
    stride = [slice(None, None, s) for s in meta["flip_back"].get("strides", [1] * 4)]
    np.testing.assert_array_equal(np.moveaxis(back, -1, 1)[tuple(stride)], z["flip_back"])
    average = heatmaps.flip_average(plain, mirrored, permutation)
    np.testing.assert_allclose(np.moveaxis(average, -1, 1), z["flip_avg"], atol=meta["flip_avg"]["tol_abs"])
    unshifted = heatmaps.flip_average(plain, mirrored, permutation, shift=False)
    np.testing.assert_allclose(unshifted, 0.5 * (plain + back), atol=1e-6)


@pytest.mark.parametrize("method", ["argmax", "quarter_offset", "dark"])
def test_decode_takes_any_leading_axes(method):
    hm = np.random.default_rng(1).uniform(size=(2, 3, 12, 10, 4)).astype(np.float32)
    decode = jax.jit(heatmaps.decode, static_argnums=1)
    coordinates, scores = decode(hm, method)
    one, score = decode(hm[1, 2], method)
    np.testing.assert_allclose(coordinates[1, 2], one, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(scores[1, 2], score)


def test_faults_are_named():
    hm = jnp.zeros((4, 4, 2))
    with pytest.raises(InputError, match="parabola"):
        heatmaps.decode(hm, "parabola")
    with pytest.raises(InputError, match="5 x 5"):
        heatmaps.decode(hm, "dark")
    with pytest.raises(InputError, match="blur_kernel"):
        heatmaps.decode(jnp.zeros((9, 9, 2)), "dark", 4)
    with pytest.raises(InputError, match="gauss"):
        heatmaps.encode(jnp.zeros((1, 2)), jnp.ones(1), heatmap_size=(4, 4), mode="gauss")
