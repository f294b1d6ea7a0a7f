"""Networks behind the interface of the filters: windows, coordinates, gaps, checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax import systems
from jmpose_jax.errors import InputError
from jmpose_jax.models.sequences.smoothnet import SmoothNet
from jmpose_jax.refinement import network
from jmpose_jax.refinement.coordinates import Coordinates
from jmpose_jax.refinement.network import NetworkRefiner, from_checkpoint
from jmpose_jax.refinement.sequence import refine_sequence
from jmpose_jax.train.checkpoints import save_variables

MODULES = {
    "smoothnet": "jmpose_jax.models.sequences.smoothnet:SmoothNet",
    "deciwatch": "jmpose_jax.models.sequences.deciwatch:DeciWatch",
}
PERSON, IMAGE = Coordinates("person"), Coordinates("image", size=(640, 480))
TINY = {"window": 8, "hidden": 8, "residual_hidden": 4, "blocks": 1}


def way(frames, joints=3, dimensions=2):
    return np.random.default_rng(0).normal(size=(frames, joints, dimensions)) * 20 + 300


@pytest.mark.parametrize("frames", (3, 8, 100, 200))
@pytest.mark.parametrize("coordinates", (PERSON, Coordinates("root", (0, 2)), IMAGE))
def test_a_network_that_changes_nothing_changes_nothing(frames, coordinates):
    poses = way(frames)
    refiner = NetworkRefiner("same", lambda given: given, 8, 3, coordinates)
    found = refine_sequence(poses, np.ones(poses.shape[:2], bool), None, refiner).poses
    np.testing.assert_allclose(found, poses, rtol=1e-5)


def test_windows_are_averaged_and_coordinates_are_the_networks():
    seen = []

    def apply(given):
        seen.append(given.copy())
        return given + np.arange(len(given))[:, None, None]  # window i says i more

    poses = way(10)
    found = NetworkRefiner("count", apply, 8, 2, IMAGE)(poses, np.ones((10, 3), bool))
    np.testing.assert_allclose(seen[0][0].reshape(8, 3, 2), poses[:8] / [640, 480], rtol=1e-6)
    np.testing.assert_allclose(seen[0][1].reshape(8, 3, 2), poses[2:] / [640, 480], rtol=1e-6)
    more = (found - poses) / [640, 480]
    np.testing.assert_allclose(more[[0, 5, 9]], np.array([0, 0.5, 1])[:, None, None] * np.ones((3, 3, 2)), atol=1e-5)


def test_the_network_never_reads_a_missing_joint():
    def apply(given):
        assert np.isfinite(given).all() and np.abs(given).max() < 1e3
        return given

    poses = way(20)
    valid = np.ones((20, 3), bool)
    valid[4:15, 1] = valid[:, 2] = False
    poses[~valid] = 1e8
    found = refine_sequence(poses, valid, None, NetworkRefiner("same", apply, 8, 3, PERSON)).poses
    assert np.isnan(found[~valid]).all()
    np.testing.assert_allclose(found[valid], poses[valid], rtol=1e-5)


def checkpoint(folder, model, variables, dataset=None):
    save_variables(folder, variables, {"model": model, "dataset": dataset or {}})
    return folder


def test_a_checkpoint_refines_as_its_network(tmp_path):
    model = SmoothNet(**TINY)
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 6)))
    variables = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.3, leaf.shape), leaf.dtype), shapes)
    checkpoint(tmp_path, {"name": "smoothnet", **TINY}, variables, {"coordinates": "image", "size": [640, 480]})
    refiner = from_checkpoint(tmp_path, 3, 2)
    assert (refiner.name, refiner.window, refiner.step) == ("smoothnet", 8, 4)
    poses = way(8)
    expected = model.apply(variables, jnp.asarray((poses / [640, 480]).reshape(1, 8, 6), jnp.float32)).poses
    found = refine_sequence(poses, np.ones((8, 3), bool), None, refiner).poses
    np.testing.assert_allclose(found, np.asarray(expected).reshape(8, 3, 2) * [640, 480], rtol=1e-4)


@pytest.mark.parametrize(
    "joints, dataset, culprit",
    [
        (5, {}, "6 coordinates"),
        (3, {"joints": 2, "dimensions": 3}, "trained for 2 joints in 3 dimensions, these poses have 3 in 2"),
        (3, {"window": 10}, "window=10"),
        (3, {"coordinates": "world"}, "world"),
        (3, {"coordinates": "image"}, "size=None"),
        (3, {"coordinates": "root", "roots": [7]}, "roots"),
    ],
)
def test_another_kind_of_poses_is_refused(tmp_path, monkeypatch, joints, dataset, culprit):
    model = {"name": "deciwatch", "channels": 6, "interval": 5}
    loaded = ({"model": model, "dataset": dataset}, systems.system("deciwatch").module(channels=6, interval=5), {})
    monkeypatch.setattr(network, "load_model", lambda path: loaded)
    with pytest.raises(InputError, match=culprit):
        from_checkpoint(tmp_path, joints, 2)
    if not dataset:
        assert from_checkpoint(tmp_path, 3, 2).window == 11


def test_a_pose_estimator_is_no_refiner(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "load_model", lambda path: ({"model": {"name": "image"}}, None, {}))
    with pytest.raises(InputError, match="refines no poses"):
        from_checkpoint(tmp_path, 3, 2)
