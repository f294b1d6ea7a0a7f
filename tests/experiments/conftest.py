"""A prepared data set and configs small enough that a whole run takes seconds."""

import dataclasses

import pytest
from ml_collections import ConfigDict

from configs import backbone, jmpose
from data_pipeline.prepare import prepare
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.dataset import generate

SMALL_HRNET = {
    "width": 4,
    "num_joints": 15,
    "stem_features": (8, 8),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A few rendered videos as shards."""
    folder = tmp_path_factory.mktemp("embedded")
    scene = dataclasses.replace(SyntheticConfig(), num_frames=5)
    videos = {"train": 4, "val": 2, "test": 3}
    generate(str(folder / "source"), num_videos=videos, seed=3, config=scene, num_processes=1, progress=False)
    prepare("synthetic", folder / "source", folder / "prepared", progress=False)
    return folder / "prepared"


def _shrink(config: ConfigDict, root) -> ConfigDict:
    """The config on small crops with a small network and few steps."""
    config.dataset.root = str(root)
    config.dataset.input_size = (64, 48)
    config.dataset.num_threads = 1
    config.model.backbone = ConfigDict(SMALL_HRNET)
    config.train.batch_size = 4
    config.train.steps = 6
    config.train.log_every = 1
    config.train.save_every = 3
    config.optimizer.warmup_steps = 2
    config.optimizer.decay_steps = 2
    config.eval.batch_size = 4
    return config


@pytest.fixture
def shrink():
    """Function of a config and a data set's folder that makes both small."""
    return _shrink


@pytest.fixture
def small_backbone(prepared) -> ConfigDict:
    return _shrink(backbone.get_config("tiny"), prepared)


@pytest.fixture
def small_jmpose(prepared) -> ConfigDict:
    config = _shrink(jmpose.get_config("tiny"), prepared)
    config.model.update({"channels": 4, "num_layers": 1, "offset_groups": 2})
    return config
