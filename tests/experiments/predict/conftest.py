"""A checkpoint and a video, made once for all tests of `jmpose predict` in a process."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.inference.video.reader import VideoWriter
from jmpose_jax.models.registry import create_model
from jmpose_jax.records import ClipBatch
from jmpose_jax.train.checkpoints import save_variables
from tests.experiments.predict.command import fresh

BACKBONE = {
    "width": 8, "stem_features": (8, 8), "stem_block": "basic", "stem_blocks": 1,
    "stage_modules": (1,), "blocks_per_branch": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """An image backbone with random variables, saved as training saves it."""
    folder = tmp_path_factory.mktemp("run")
    config = {
        "model": {"name": "image", "backbone": BACKBONE},
        "dataset": {"delta": 0, "input_size": (64, 48), "skeleton": "posetrack15", "flow_source": "none"},
        "eval": {"flip_test": False, "decode": "dark", "blur_kernel": 5},
    }
    model = create_model(config["model"])
    batch = ClipBatch(
        frames=np.zeros((1, 1, 64, 48, 3), np.uint8),
        keypoints=np.zeros((1, 15, 2), np.float32),
        joint_weights=np.zeros((1, 15), np.float32),
        transform=np.eye(2, 3, dtype=np.float32)[None],
        box_score=np.ones(1, np.float32),
        index=np.zeros(1, np.int32),
        valid=np.ones(1, np.float32),
    )
    # Random values in place of the initialiser's, which would have to be compiled.
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)
    variables = jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.01, 0.2, leaf.shape), leaf.dtype), shapes)
    save_variables(folder, variables, config)
    return folder


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, 15, (128, 96)) as writer:
        for _ in range(6):
            writer.write(rng.integers(0, 255, (96, 128, 3)).astype(np.uint8))
    return path


@pytest.fixture(autouse=True)
def fresh_flags():
    yield
    fresh()
