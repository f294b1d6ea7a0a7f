"""`jmpose quickstart`: the whole road on the embedded data set, from rendering to a report with pictures.

Data → shards → image backbone → JM-Pose on it → the backbone trained on for as long → the comparison on the test
split → poses drawn on a video → `report.html`. Every part is what the other commands run; a stopped run goes on.
"""

import dataclasses
import functools
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from data_pipeline.synthetic.config import SyntheticConfig
from experiments.command.given import required
from experiments.command.launch import launch
from jmpose_jax import checks
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_writable, finite_or_none, write_json
from jmpose_jax.locks import locked

TRAIN_FRAMES = 5  # one complete window of δ = 2


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of everything; "full" takes about 15 minutes of two CPU cores.

    Attributes:
      videos: rendered videos by split.
      trunk_steps: steps of the backbone at full learning rate.
      decay_steps: steps over which its rate then falls to zero.
      jmpose_steps: steps of stage 2.
    """

    videos: dict[str, int]
    trunk_steps: int
    decay_steps: int
    jmpose_steps: int


SCALES = {
    "full": Scale({"train": 2000, "val": 60, "test": 300}, 2900, 900, 680),
    "smoke": Scale({"train": 24, "val": 4, "test": 8}, 20, 10, 10),
}


def run(workdir: str | os.PathLike, scale: str, seed: int, allow_config_change: bool = False) -> dict[str, Any]:
    """Go the whole road.

    Args:
      workdir: gets `data/`, `backbone/`, `jmpose/`, `backbone_equal_time/`, `prediction/`, `evaluation.json`,
        `report.html`, `report.md` and its pictures.
      scale: "full" or "smoke".
      seed: of data, initialisation and order.
      allow_config_change: go on with runs of the workdir though their configs, of an earlier version say, differ.

    Returns:
      What `evaluation.json` holds.

    Raises:
      InputError: the workdir holds a run of another scale or seed, or cannot be written to.
    """
    folder = check_writable(workdir, "--workdir")
    amount = SCALES[scale]
    _claim(folder, scale, seed)
    clock = Clock(folder / "timing.json")
    # Imported here, so that a wrong flag is answered at once and not after the machinery has loaded.
    from experiments import train
    from experiments.evaluation.comparison import compare, score
    from experiments.pictures import report

    training = functools.partial(train.train, allow_config_change=allow_config_change)

    clock.measure("render and prepare", lambda: _data(folder, amount, seed))
    backbone = _backbone_config(folder, amount, seed, amount.trunk_steps + amount.decay_steps)
    clock.measure("train the backbone", lambda: training(backbone, folder / "backbone"))
    jmpose = _jmpose_config(folder, amount, seed)
    clock.measure("train JM-Pose", lambda: training(jmpose, folder / "jmpose"))

    # The control gets the wall time of stage 2 as further steps at full rate, before the same decay.
    extra = equal_time_steps(clock.seconds["train the backbone"], clock.seconds["train JM-Pose"], amount)
    longer = _backbone_config(folder, amount, seed, amount.trunk_steps + extra + amount.decay_steps)
    trunk = folder / "backbone" / "checkpoints" / str(amount.trunk_steps)
    clock.measure("train the backbone on", lambda: training(longer, folder / "backbone_equal_time", start_from=trunk))

    def evaluate() -> None:
        estimates, table = compare(folder / "jmpose", "test", jmpose, folder / "backbone_equal_time")
        scores = score(estimates, table, folder / "data" / "prepared" / "annotations" / "test")
        for part in ("ap", "subsets"):  # a subset without joints has no AP
            scores[part] = {row: finite_or_none(values) for row, values in scores[part].items()}
        result = {
            "scale": scale,
            "seed": seed,
            "split": "test",
            "steps": {
                "backbone": amount.trunk_steps + amount.decay_steps,
                "jmpose": amount.jmpose_steps,
                "backbone, equal time": amount.trunk_steps + extra + amount.decay_steps,
            },
            **scores,
        }
        write_json(folder / "evaluation.json", result)

    clock.measure("evaluate on the test split", evaluate)
    clock.measure("draw", lambda: report.pictures(folder, jmpose))
    if not clock.measured and all((folder / name).is_file() for name in ("report.md", "report.html")):
        print("report: written before", flush=True)
        return report.read_result(folder)
    return report.write_report(folder, clock.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def equal_time_steps(backbone_seconds: float, jmpose_seconds: float, amount: Scale) -> int:
    """How many backbone steps fit into the time that stage 2 took, compilation of both counted."""
    per_step = backbone_seconds / (amount.trunk_steps + amount.decay_steps)
    return max(round(jmpose_seconds / per_step), 1)


class Clock:
    """Wall seconds of each part, kept over restarts.

    Attributes:
      seconds: of every part that is done.
      measured: the parts that were done now, not before.
    """

    def __init__(self, path: pathlib.Path):
        """Read what is done.

        Raises:
          InputError: the file is not what a clock leaves.
        """
        self._path = path
        self.measured: list[str] = []
        self.seconds: dict[str, float] = {}
        if os.path.lexists(path):
            try:
                content = checks.typed(checks.read_json(path), dict, str(path))
                self.seconds = {part: checks.field(content, part, float, str(path)) for part in content}
            except InputError as fault:
                raise InputError(f"{fault}; remove the file, and what is missing is made again") from None

    def measure(self, name: str, part: Callable[[], Any]) -> None:
        """Run a part unless it was finished before, and note its time."""
        if name in self.seconds:
            print(f"{name}: done before", flush=True)
            return
        print(f"{name} …", flush=True)
        start = time.monotonic()
        part()
        self.seconds[name] = round(time.monotonic() - start, 1)
        self.measured.append(name)
        write_json(self._path, self.seconds)
        print(f"{name}: {self.seconds[name]:.0f} s", flush=True)


def _claim(folder: pathlib.Path, scale: str, seed: int) -> None:
    """Note what the workdir is for; refuse one that is for something else."""
    path = folder / "quickstart.json"
    mine = {"scale": scale, "seed": seed}
    if not os.path.lexists(path):
        # A hidden file is the lock of this command, or of the system.
        foreign = sorted(name for name in (os.listdir(folder) if folder.is_dir() else ()) if not name.startswith("."))
        if foreign:
            raise InputError(
                f"--workdir {folder} holds something else ({foreign[0]}{', …' if foreign[1:] else ''}) and no "
                "quickstart.json; give a new or an empty folder"
            )
        write_json(path, mine)
        return
    try:
        theirs = checks.read_json(path)
        theirs = {key: checks.field(theirs, key, type(value), str(path)) for key, value in mine.items()}
    except InputError as fault:
        raise InputError(f"--workdir {folder} is of another program or damaged: {fault}; give another folder") from None
    if theirs != mine:
        raise InputError(
            f"--workdir {folder} holds a quickstart of scale {theirs['scale']} and seed {theirs['seed']}; give another "
            f"folder, or --scale={theirs['scale']} --seed={theirs['seed']}"
        )


def _data(folder: pathlib.Path, amount: Scale, seed: int) -> None:
    from data_pipeline.preparation.prepare import prepare
    from data_pipeline.synthetic.dataset import generate

    source = folder / "data" / "source"
    for videos, scene in videos_of(amount):
        generate(str(source), num_videos=videos, seed=seed, config=scene)
    # The frames were written a moment ago: their markers are checked, their compressed data need not be.
    prepare("synthetic", source, folder / "data" / "prepared", decoded=False)


def videos_of(amount: Scale) -> list[tuple[dict[str, int], SyntheticConfig]]:
    """What to render: short videos for training (more people in the same time), longer ones to evaluate on."""
    train = {name: n for name, n in amount.videos.items() if name == "train"}
    rest = {name: n for name, n in amount.videos.items() if name != "train"}
    return [(train, dataclasses.replace(SyntheticConfig(), num_frames=TRAIN_FRAMES)), (rest, SyntheticConfig())]


def _backbone_config(folder: pathlib.Path, amount: Scale, seed: int, steps: int) -> ConfigDict:
    from configs import backbone

    config = backbone.get_config("tiny")
    config.seed = seed
    config.dataset.root = str(folder / "data" / "prepared")
    config.train.steps = steps
    config.train.save_every = max(steps // 4, 1)
    config.train.keep_steps = (amount.trunk_steps,)
    config.train.log_every = max(steps // 60, 1)
    config.optimizer.decay_steps = amount.decay_steps
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, amount.trunk_steps // 4)
    return config


def _jmpose_config(folder: pathlib.Path, amount: Scale, seed: int) -> ConfigDict:
    from configs import jmpose

    config = jmpose.get_config("tiny")
    config.seed = seed
    config.dataset.root = str(folder / "data" / "prepared")
    config.init.backbone = str(folder / "backbone")
    config.train.steps = amount.jmpose_steps
    config.train.save_every = max(amount.jmpose_steps // 2, 1)
    config.train.log_every = max(amount.jmpose_steps // 40, 1)
    config.optimizer.warmup_steps = min(config.optimizer.warmup_steps, amount.jmpose_steps // 4)
    return config


def closing_words(folder: pathlib.Path, result: dict[str, Any]) -> str:
    """What the command says at its end: the figures with their caveat, the report, and what to do next."""
    from experiments.pictures import report

    ap = {row: result["ap"][row].get("Total") for row in ("JM-Pose", "backbone")}
    figures = ", ".join(f"{row} {'–' if value is None else f'{value:.1f}'}" for row, value in ap.items())
    lines = [f"mind: {text[0].lower()}{text[1:]}"] if (text := report.caveat(result)) else []
    lines.append(f"mAP on the {result['split']} split: {figures}")
    lines.append(f"done: open {folder / 'report.html'}")
    for what, line in report.next_commands(folder).items():
        lines += [f"{what}:", f"  {line}"]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    workdir = flags.DEFINE_string("workdir", None, "Folder for everything that the run makes.")
    scale = flags.DEFINE_enum("scale", "full", list(SCALES), "full: about 15 minutes on two cores; smoke: about two.")
    seed = flags.DEFINE_integer("seed", 0, "Seed of data, initialisation and order.", lower_bound=0)
    allow = flags.DEFINE_bool("allow_config_change", False, "Go on in a workdir that other configs began.")

    def command() -> None:
        required(workdir)
        if scale.value == "smoke":
            import jax

            # Its few steps cost less than what XLA spends on making them fast.
            jax.config.update("jax_disable_most_optimizations", True)
        check_writable(workdir.value, "--workdir")
        with locked(workdir.value):
            result = run(workdir.value, scale.value, seed.value, allow.value)
        print(closing_words(pathlib.Path(workdir.value), result))

    launch(command, argv)


if __name__ == "__main__":
    main(sys.argv)
