"""A whole training that takes seconds: the image backbone, four channels wide, on a few rendered clips."""

import dataclasses
import os
import pathlib
from typing import Any

from ml_collections import ConfigDict

HRNET = {
    "width": 4,
    "num_joints": 15,
    "stem_features": (8, 8),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}


def prepare(folder: pathlib.Path, videos: int = 4) -> pathlib.Path:
    """Render and prepare the clips; returns the prepared folder."""
    from data_pipeline.prepare import prepare as prepare_shards
    from data_pipeline.synthetic.config import SyntheticConfig
    from data_pipeline.synthetic.dataset import generate

    scene = dataclasses.replace(SyntheticConfig(), num_frames=5)
    amounts = {"train": videos, "val": 1, "test": 1}
    generate(str(folder / "source"), num_videos=amounts, seed=3, config=scene, num_processes=1, progress=False)
    prepare_shards("synthetic", folder / "source", folder / "prepared", progress=False)
    return folder / "prepared"


def config(root: str | os.PathLike, **train: Any) -> ConfigDict:
    """The config of the run; further values go into `config.train`."""
    from configs import backbone

    result = backbone.get_config("tiny")
    result.dataset.root = str(root)
    result.dataset.input_size = (64, 48)
    result.dataset.num_threads = 1
    result.model.backbone = ConfigDict(HRNET)
    result.train.batch_size = 4
    result.train.log_every = 1
    result.optimizer.warmup_steps = 2
    result.optimizer.decay_steps = 2
    result.eval.batch_size = 4
    result.train.update(train)
    return result


def train(root: str, workdir: str, **values: Any) -> None:
    """Train as `jmpose train` does; the target of a process."""
    from experiments.train import train as run

    run(config(root, **values), workdir, quiet=True)
