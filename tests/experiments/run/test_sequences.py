"""Sequences as a kind of data, from a config."""

import jax
import numpy as np
import pytest

from configs import hanet
from data_pipeline.sequences import motions
from experiments.run import sequences
from jmpose_jax.errors import InputError
from tests.data_pipeline.sequences.layouts import write


@pytest.fixture
def config(monkeypatch):
    """Few motions that we make."""
    monkeypatch.setattr(motions, "MADE", {"train": 4, "val": 2, "test": 3})
    monkeypatch.setattr(motions, "MADE_FRAMES", 30)
    sequences._read.cache_clear()
    yield hanet.get_config("embedded_3d")
    sequences._read.cache_clear()


def test_the_batch_has_the_shapes_of_the_spec(config):
    for batch in (next(sequences.train(config)), next(sequences.evaluate(config))):
        spec = sequences.spec(config, len(batch.index))
        assert jax.tree.map(lambda x: (x.shape, x.dtype), batch) == jax.tree.map(lambda x: (x.shape, x.dtype), spec)


def test_windows_in_words(config):
    loader = sequences.evaluate(config)
    found = sequences.describe(loader.table, [0, len(loader.table) - 1])
    assert found[0]["first_frame"] == 0 and found[1]["first_frame"] == 9 and found[0]["frames"] == 21
    assert sequences.about(config) == "one window of 21 frames, 14 joints in 3 dimensions"


def test_noise_is_the_config_s(config):
    config.dataset.noise.jitter, config.dataset.noise.factor = 0.5, 2.0
    assert sequences.noise(config).jitter == 1.0
    config.dataset.noise.memory = 1.5
    with pytest.raises(InputError, match="config.dataset.noise.memory=1.5"):
        sequences.noise(config)
    config.dataset.source = "aist"
    assert sequences.noise(config) is None


def test_identity_is_of_the_poses(config):
    one = sequences.identity(config)
    assert one == sequences.identity(config) and one["clips"] == 4
    config.dataset.train_split = "val"
    assert sequences.identity(config)["sha256"] != one["sha256"]


@pytest.mark.parametrize(
    ("key", "value", "culprit"),
    [
        ("joints", 15, "config.dataset.joints=15"),
        ("source", "kinect", "config.dataset.source='kinect'"),
        ("tail", "half", "tail='half'"),
        ("coordinates", "image", "config.dataset.coordinates='image'"),
        ("step", 99, "config.dataset.step=99"),
        ("root", "/none/such", "no such folder"),
    ],
)
def test_faults_name_the_key(config, key, value, culprit):
    config.dataset[key] = value
    with pytest.raises(InputError, match=culprit):
        sequences.evaluate(config)


def test_files_of_an_estimator(tmp_path):
    write(tmp_path, "jhmdb", "test", (14, 6))
    config = hanet.get_config("jhmdb,official")
    config.dataset.root, config.dataset.estimates = str(tmp_path), "est"
    split = sequences.evaluated(config)
    assert len(split) == 2
    window = split.window(0)
    np.testing.assert_allclose(window.target[0], split.data.sequences[0].target[0] / [320, 240], rtol=1e-5)
