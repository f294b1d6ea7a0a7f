"""`jmpose evaluate`: what a trained model reaches, or prediction files: PoseTrack AP and MOTA; endpoint errors of RAFT.

A trained model: --workdir (with the config.json that `jmpose train` left there, or --config). Prediction files on a
prepared data set: the same and --predictions. Prediction files on a folder of ground truth: --ground_truth and
--predictions, no config; --workdir then only says where evaluation.json goes, and may be left out.
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from experiments.command import hosts
from experiments.command.given import required
from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists
from experiments.configuration.files import where_runs_are
from experiments.configuration.flag import define_config, required_config
from experiments.configuration.limits import check_sizes
from experiments.evaluation import poses
from experiments.evaluation.page import PAGE
from experiments.systems import evaluation_of
from jmpose_jax.errors import InputError
from jmpose_jax.train import distributed


def main(argv: list[str] | None = None) -> None:
    config = define_config("Config file of the model.", saved_in=("checkpoint", "workdir"), unless="ground_truth")
    workdir = flags.DEFINE_string("workdir", None, "Folder of the run; gets evaluation.json and predictions/.")
    checkpoint = flags.DEFINE_string("checkpoint", None, "Evaluate this checkpoint instead of the workdir's latest.")
    join = hosts.define_flags()
    predictions = flags.DEFINE_string("predictions", None, "Score these PoseTrack result files instead of a model.")
    truth = flags.DEFINE_string(
        "ground_truth",
        None,
        "Score --predictions against this folder of annotation files (PoseTrack17 or 18 form, e.g. a data set's "
        "annotations/val): no config and no prepared data set is needed. Without --workdir, scores are only printed.",
    )
    oks_nms = flags.DEFINE_float("oks_nms", None, "Keep one of poses that are more alike than this; off by default.")
    crowd = flags.DEFINE_float("crowd_index", None, "Score also the frames of at least this CrowdIndex, and list them.")
    body_model = flags.DEFINE_string(
        "body_model", None, "Your SMPL file as .npz: errors of a network of rotations are those of joints, in mm."
    )
    if_exists = define_if_exists(
        default="number",
        number="keep them under the next free number (evaluation-2.json), and give the new ones the fixed names",
    )

    def run() -> None:
        if truth.value is not None:
            required(truth, predictions)
            refuse(
                (config, checkpoint, oks_nms, body_model), "does not go with --ground_truth, which scores files alone"
            )
        else:
            required_config(config, workdir)
            check_sizes(config.value)
        if predictions.value is not None:
            refuse((oks_nms,), "is for the poses of a model; leave it out with --predictions")
        join()
        folder = None if not workdir.value else pathlib.Path(workdir.value)
        measured_by = poses if truth.value is not None else evaluation_of(config.value)
        given = {"predictions": predictions, "oks_nms": oks_nms, "crowd_index": crowd, "body_model": body_model}
        refuse(
            [flag for name, flag in given.items() if name not in measured_by.OPTIONS],
            f"is not for what is measured here: {measured_by.MEASURE.name}",
        )
        if truth.value is None and predictions.value is None:
            check_run(folder, checkpoint.value)
        options = {name: given[name].value for name in measured_by.OPTIONS}
        if truth.value is not None:
            options["ground_truth"] = truth.value
        with distributed.told_of_lost_host():
            result = measured_by.evaluate(
                config.value, folder, checkpoint.value, **options, if_exists=if_exists.value, quiet=False
            )
        if not result:
            return
        print(measured_by.table(result))
        if folder is not None:
            print(f"wrote {folder / poses.SCORES}, {PAGE}")

    def refuse(given: Sequence[flags.FlagHolder], why: str) -> None:
        for flag in given:
            if flag.value is not None:
                raise InputError(f"--{flag.name} {why}")

    launch(run, argv)


def check_run(folder: pathlib.Path, checkpoint: str | None) -> None:
    """Raises InputError that names the runs where a folder of several is given in place of one."""
    if checkpoint is None and not (folder / "checkpoints").is_dir() and (below := where_runs_are(folder)):
        raise InputError(f"--workdir={folder} is no run{below}, as --workdir")


if __name__ == "__main__":
    main(sys.argv)
