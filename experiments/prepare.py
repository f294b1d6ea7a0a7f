"""`jmpose prepare`: annotations and frames to TFRecord shards.

Example: jmpose prepare --dataset posetrack18 --source ~/posetrack18 --output ~/posetrack18-shards
"""

import json
import pathlib

from absl import flags

from data_pipeline import workers
from data_pipeline.datasets import DATASETS
from data_pipeline.prepare import prepare
from data_pipeline.shards import FORMATS
from data_pipeline.source_check import check
from experiments.launch import launch
from jmpose_jax.errors import InputError

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_enum("dataset", "posetrack18", DATASETS, "Form of the source folder.")
    flags.DEFINE_string("source", None, "Folder with images/ and annotations/; synthetic renders its own without it.")
    flags.DEFINE_string("output", None, "Folder to write; it appears when it is complete.")
    flags.DEFINE_list("split", None, "Splits, separated by commas; by default all that the source has.")
    flags.DEFINE_string("boxes", None, "Detector boxes (JSON) to keep beside the annotated ones.")
    flags.DEFINE_float("box_threshold", 0.2, "Least detector score that is kept.")
    flags.DEFINE_bool("flow", False, "Render the synthetic data set with its exact optical flow.")
    flags.DEFINE_integer("shards", 8, "Shards a split.", lower_bound=1)
    flags.DEFINE_integer("max_delta", 2, "Furthest neighbour frame that training may ask for.", lower_bound=0)
    flags.DEFINE_boolean("check", False, "Only explain the source's defects, and what training does about each.")
    flags.DEFINE_enum("format", "tfrecord", FORMATS, "Form of the shards.")
    flags.DEFINE_integer("processes", None, "Processes that work at the same time; by default one a core.", 1)
    flags.DEFINE_boolean("decode", True, "Decode every image once, to find damage inside; without it markers alone.")


def run() -> None:
    if FLAGS.check:
        _check()
        return
    if FLAGS.output is None:
        raise InputError("--output is needed: the folder to write")
    summary = prepare(
        FLAGS.dataset,
        FLAGS.source,
        FLAGS.output,
        splits=FLAGS.split,
        boxes=FLAGS.boxes,
        flow=FLAGS.flow,
        num_shards=FLAGS.shards,
        max_delta=FLAGS.max_delta,
        box_threshold=FLAGS.box_threshold,
        file_format=FLAGS.format,
        num_processes=FLAGS.processes or workers.usable_cores(),
        decoded=FLAGS.decode,
    )
    print(describe(summary))
    print(f"wrote {FLAGS.output}")


def _check() -> None:
    if FLAGS.source is None:
        raise InputError("--source is needed: the folder to check")
    findings = check(
        FLAGS.dataset,
        pathlib.Path(FLAGS.source),
        splits=FLAGS.split,
        boxes=pathlib.Path(FLAGS.boxes) if FLAGS.boxes else None,
        box_threshold=FLAGS.box_threshold,
        max_delta=FLAGS.max_delta,
        decoded=FLAGS.decode,
        num_processes=FLAGS.processes or workers.usable_cores(),
    )
    print(findings.describe())
    if findings.fatal:
        raise InputError(f"{FLAGS.source}: {findings.fatal} defects would stop the preparation; they are listed above")


def describe(summary: dict) -> str:
    """The summary for a reader: a line of counts a split, then a line for each reason that something was skipped."""
    lines = []
    for split, content in summary["splits"].items():
        counts = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in content.items() if _is_count(value))
        lines.append(f"{split}: {counts}")
        for reason, count in content["skipped"].items():
            lines.append(f"{split}: skipped {count} × {reason}, e.g. {content['skipped_examples'][reason][0]}")
    return "\n".join(lines) if lines else json.dumps(summary)


def _is_count(value: object) -> bool:
    return isinstance(value, int)


def main(argv: list[str] | None = None) -> None:
    define_flags()
    launch(run, argv)


if __name__ == "__main__":
    main()
