"""`jmpose prepare`: annotations and frames to TFRecord shards.

Example: jmpose prepare --dataset posetrack18 --source ~/posetrack18 --output ~/posetrack18-shards
"""

import json
import pathlib

from absl import flags

from data_pipeline.formats.shards import FORMATS
from data_pipeline.preparation import workers
from data_pipeline.preparation.fitting import ORIENTATION, SIZE_MISMATCH
from data_pipeline.preparation.prepare import prepare
from data_pipeline.preparation.source_check import check
from data_pipeline.preparation.staging import SUMMARY
from data_pipeline.sources.datasets import DATASETS
from experiments.command.given import required
from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists
from jmpose_jax.errors import InputError
from jmpose_jax.files import place_results

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
    flags.DEFINE_enum(
        "size_mismatch",
        "refuse",
        list(SIZE_MISMATCH),
        "Annotations that state another size than the image has: refuse; scale them to it; ignore the difference.",
    )
    flags.DEFINE_enum(
        "orientation",
        "auto",
        list(ORIENTATION),
        "Which pixels annotations mean where an image has an EXIF orientation: as they are stored; turned upright (the "
        "image is then encoded anew); auto: those of the annotated size, refused where that does not tell.",
    )
    define_if_exists()
    flags.DEFINE_boolean("decode", True, "Decode every image once, to find damage inside; without it markers alone.")


def run() -> None:
    if FLAGS.check:
        _check()
        return
    needed = ["output"] if FLAGS.dataset == "synthetic" else ["source", "output"]
    required(*(FLAGS[name] for name in needed))
    output = place_results(FLAGS.output, (SUMMARY,), FLAGS.if_exists)
    summary = prepare(
        FLAGS.dataset,
        FLAGS.source,
        output,
        splits=FLAGS.split,
        boxes=FLAGS.boxes,
        flow=FLAGS.flow,
        num_shards=FLAGS.shards,
        max_delta=FLAGS.max_delta,
        box_threshold=FLAGS.box_threshold,
        file_format=FLAGS.format,
        num_processes=FLAGS.processes or workers.usable_cores(),
        decoded=FLAGS.decode,
        size_mismatch=FLAGS.size_mismatch,
        orientation=FLAGS.orientation,
    )
    print(describe(summary))
    print(f"wrote {output}")


def _check() -> None:
    required(FLAGS["source"])
    findings = check(
        FLAGS.dataset,
        pathlib.Path(FLAGS.source),
        splits=FLAGS.split,
        boxes=pathlib.Path(FLAGS.boxes) if FLAGS.boxes else None,
        box_threshold=FLAGS.box_threshold,
        max_delta=FLAGS.max_delta,
        decoded=FLAGS.decode,
        num_processes=FLAGS.processes or workers.usable_cores(),
        size_mismatch=FLAGS.size_mismatch,
        orientation=FLAGS.orientation,
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
        for finding, count in content["noted"].items():
            lines.append(f"{split}: noted {count} × {finding}, e.g. {content['noted_examples'][finding][0]}")
    return "\n".join(lines) if lines else json.dumps(summary)


def _is_count(value: object) -> bool:
    return isinstance(value, int)


def main(argv: list[str] | None = None) -> None:
    define_flags()
    launch(run, argv)


if __name__ == "__main__":
    main()
