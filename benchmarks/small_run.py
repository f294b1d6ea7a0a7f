"""A whole training that takes seconds: the image backbone, four channels wide, on a few rendered clips."""

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from configs import backbone
from data_pipeline.preparation.prepare import prepare as prepare_shards
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.dataset import generate

HRNET = {
    "width": 4,
    "stem_features": (8, 8),
    "stem_block": "basic",
    "stem_blocks": 1,
    "stage_modules": (1,),
    "blocks_per_branch": 1,
}


def prepare(folder: pathlib.Path) -> pathlib.Path:
    """Render and prepare the clips; returns the prepared folder."""
    scene = dataclasses.replace(SyntheticConfig(), num_frames=5)
    amounts = {"train": 4, "val": 2, "test": 3}
    generate(str(folder / "source"), num_videos=amounts, seed=3, config=scene, num_processes=1, progress=False)
    prepare_shards("synthetic", folder / "source", folder / "prepared", progress=False)
    return folder / "prepared"


def shrink(config: ConfigDict, root: str | os.PathLike) -> ConfigDict:
    """The config on small crops with a small network and few steps; it is changed in place and returned."""
    config.dataset.root = str(root)
    config.dataset.input_size = (64, 48)
    config.dataset.num_threads = 1
    config.model.backbone = ConfigDict(HRNET)
    config.train.batch_size = 4
    config.train.steps = 6
    config.train.log_every = 1
    config.train.save_every = 3
    config.optimizer.warmup_steps = 2
    config.optimizer.decay_steps = 2
    config.eval.batch_size = 4
    return config


def config(root: str | os.PathLike, **train: Any) -> ConfigDict:
    """The config of the run; further values go into `config.train`."""
    result = shrink(backbone.get_config("tiny"), root)
    result.train.update(train)
    return result


def command(root: pathlib.Path, workdir: pathlib.Path, num_workers: int = 0, **train: Any) -> list[str]:
    """`jmpose train` on the config of the run, whose file is written beside the workdir."""
    file = workdir.with_name(f"{workdir.name}_config.py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        "from benchmarks import small_run\n\n\n"
        f"def get_config():\n    config = small_run.config({str(root)!r}, **{train!r})\n"
        f"    config.dataset.num_workers = {num_workers}\n    return config\n"
    )
    return [sys.executable, "-m", "experiments.cli", "train", f"--config={file}", f"--workdir={workdir}"]


def train(root: str, workdir: str, member: tuple[str, int, int] | None = None, **values: Any) -> None:
    """Train as `jmpose train` does; the target of a process, of several where `member` says address, count, number."""
    from experiments.train import train as run

    with _joined(member):
        run(config(root, **values), workdir, quiet=True)


def evaluate(root: str, workdir: str, checkpoint: str, member: tuple[str, int, int] | None = None) -> None:
    """Evaluate as `jmpose evaluate` does; the target of a process, of several where `member` says so."""
    from experiments.evaluation.poses import evaluate as run

    with _joined(member):
        run(config(root), pathlib.Path(workdir), checkpoint, None)


@contextlib.contextmanager
def _joined(member: tuple[str, int, int] | None) -> Iterator[None]:
    import jax

    from jmpose_jax.train import distributed

    if member is None:
        yield
        return
    distributed.initialize(*member)
    yield
    jax.distributed.shutdown()  # processes of multiprocessing end without what JAX does at exit
