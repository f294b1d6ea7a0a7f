"""`jmpose predict SOURCE …`: the poses of the people in a video or pictures, drawn on it, as files, and as a page."""

import dataclasses
import itertools
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists, place_folder
from experiments.command.part import define_part
from experiments.command.refining import RefinedVideo, check_refine, refiner_of
from experiments.command.remarks import left_out, remarks
from experiments.command.result_files import RESULT_FILES, ResultFiles, define_result_files
from experiments.command.tracking import TrackingFlags, define_tracking
from experiments.run.few_steps import few_steps
from jmpose_jax.errors import InputError
from jmpose_jax.inference.between import MOST
from jmpose_jax.inference.box_files import FORMS, BoxFile, boxes_from_file
from jmpose_jax.inference.detectors import DETECTORS, Detector, make_detector
from jmpose_jax.inference.movenet import DETECTOR as MOVENET_WEIGHTS
from jmpose_jax.inference.movenet import (
    ESTIMATORS,
    MOVENET,
    MoveNetDetector,
    pose_predictor,
    weights,
)
from jmpose_jax.inference.pipeline import NothingDone, predict_video
from jmpose_jax.inference.predictor import Predictor, from_checkpoint
from jmpose_jax.inference.sources.source import Source, open_sources
from jmpose_jax.inference.tracking.tracker import TrackingOptions
from jmpose_jax.progress import ProgressBar
from jmpose_jax.refinement.filters import METHODS
from jmpose_jax.stopping import StopNotice
from jmpose_jax.weights.published import full_name, published


@dataclasses.dataclass(frozen=True)
class _Flags:
    """The flags; the functions read several of them at once."""

    video: flags.FlagHolder[str | None]
    checkpoint: flags.FlagHolder[str | None]
    model: flags.FlagHolder[str | None]
    output: flags.FlagHolder[str | None]
    boxes: flags.FlagHolder[str | None]
    boxes_from: flags.FlagHolder[str | None]
    detector: flags.FlagHolder[str]
    detect_every: flags.FlagHolder[int]
    estimate_every: flags.FlagHolder[int]
    pictures: flags.FlagHolder[str]
    max_frames: flags.FlagHolder[int | None]
    flip_test: flags.FlagHolder[bool | None]
    batch_size: flags.FlagHolder[int]
    refine: flags.FlagHolder[str | None]
    if_exists: flags.FlagHolder[str]
    part: Callable[[], Callable[[Source], Source]]
    results: Callable[[], ResultFiles]
    tracking: TrackingFlags

    def check(self, words: Sequence[str]) -> None:
        """Raises InputError for what contradicts itself, whatever the files hold."""
        if not words and not self.video.value:
            raise InputError("nothing to read is named: give a video, as in `jmpose predict my.mp4`, or --video")
        if self.checkpoint.value and self.model.value:
            raise InputError(
                f"--checkpoint={self.checkpoint.value} and --model={self.model.value} are both given; leave one of "
                "them out"
            )
        if self.flip_test.value and not self.checkpoint.value:
            raise InputError("--flip_test is of checkpoints; MoveNet runs without it")
        boxes, detector = self.boxes.value, self.detector.value
        if boxes and flags.FLAGS["detector"].present:
            raise InputError(
                f"--detector={detector} and --boxes={boxes} are both given, and boxes take a detector's place; leave "
                "one of them out"
            )
        if self.boxes_from.value is not None and not boxes:
            raise InputError("--boxes_from is of the frames in --boxes; give --boxes as well, or leave it out")
        if self.detect_every.value > 1 and (boxes or detector == "whole"):
            boxed = f"--boxes={boxes}" if boxes else "--detector=whole"
            raise InputError(
                f"--detect_every={self.detect_every.value} is of detectors, and {boxed} knows every frame's boxes"
            )
        if self.refine.value:
            check_refine(self.refine.value)
        self.tracking.check()


@dataclasses.dataclass(frozen=True)
class _Opened:
    """What is read and where results go, before anything is fetched or computed.

    Attributes:
      sources, folders: one folder a source.
      wanted: which files.
      step: of the checkpoint, None of MoveNet.
      detector: None is MoveNet's; file: the boxes', where they come from one.
      tracking: the rules of identities.
    """

    sources: Sequence[Source]
    folders: Sequence[pathlib.Path]
    wanted: ResultFiles
    step: Any
    detector: Detector | None
    file: BoxFile | None
    tracking: TrackingOptions


def main(argv: list[str] | None = None) -> None:
    asked = _define()

    def run(words: list[str]) -> None:
        asked.check(words)
        opened = _open(asked, words)
        # Orbax takes a signal that breaks into it for a damaged checkpoint: it is asked for from here on.
        with StopNotice("ending the files with the frames so far") as notice:
            predictor, detector = _networks(asked, opened)
            steadier = None
            if asked.refine.value:
                joints = predictor.skeleton.num_joints
                steadier = refiner_of(asked.refine.value, joints, asked.estimate_every.value)
            for source, folder in zip(opened.sources, opened.folders):
                refined = RefinedVideo(*steadier) if steadier else None
                _predict(asked, opened, predictor, detector, source, folder, refined, notice)

    launch(run, argv, words="SOURCE … ")


def _define() -> _Flags:
    video = flags.DEFINE_string(
        "video",
        None,
        "What is read, as SOURCE: a video file, a picture, a folder or a quoted pattern of pictures, a camera's number "
        "or a stream's URL.",
    )
    checkpoint = flags.DEFINE_string(
        "checkpoint",
        None,
        "Workdir of `jmpose train` or `jmpose quickstart`, output of `jmpose convert`, or one checkpoint's folder.",
    )
    model = flags.DEFINE_enum(
        "model",
        None,
        [*ESTIMATORS, *map(full_name, ESTIMATORS)],
        "MoveNet's size, in place of --checkpoint; thunder (surer) where neither is given.",
    )
    output = flags.DEFINE_string(
        "output",
        None,
        "Folder for overlay.mp4, report.html, poses.json, poses.csv; by default NAME_poses beside what is read. Of "
        "several sources, each has a folder in it.",
    )
    boxes = flags.DEFINE_string(
        "boxes", None, f"File of person boxes, used in place of a detector; x, y, w, h in pixels. Forms: {FORMS}."
    )
    boxes_from = flags.DEFINE_enum(
        "boxes_from", None, ["0", "1"], "Number of the first frame in --boxes, where the file does not show it."
    )
    detector = flags.DEFINE_string(
        "detector", MOVENET, f"Person detector: {', '.join((MOVENET, *DETECTORS))} (whole: one person fills the frame)."
    )
    detect_every = flags.DEFINE_integer(
        "detect_every",
        1,
        "Look for people on every n-th frame; between them their boxes lie on straight lines.",
        lower_bound=1,
    )
    estimate_every = flags.DEFINE_integer(
        "estimate_every",
        1,
        "Look for people and estimate their poses on every n-th frame and the last; between them poses lie on straight "
        "lines, or where --refine puts them.",
        lower_bound=1,
        upper_bound=MOST,
    )
    pictures = flags.DEFINE_enum(
        "pictures",
        "auto",
        ["auto", "video", "single"],
        "Whether several pictures are frames of one video; auto: if all are of one size and their names count up.",
    )
    max_frames = flags.DEFINE_integer(
        "max_frames", None, "Stop after so many frames that were read, wherever --start is.", lower_bound=1
    )
    flip_test = flags.DEFINE_bool(
        "flip_test", None, "Average with the mirrored clip; the checkpoint's config decides by default."
    )
    batch_size = flags.DEFINE_integer("batch_size", 8, "Persons estimated at once.", lower_bound=1)
    refine = flags.DEFINE_string(
        "refine",
        None,
        f"Make the poses steadier over time: {', '.join(METHODS)}, or the workdir of a training of hanet, deciwatch or "
        "smoothnet. `jmpose refine` on poses.json has more options.",
    )
    return _Flags(
        video,
        checkpoint,
        model,
        output,
        boxes,
        boxes_from,
        detector,
        detect_every,
        estimate_every,
        pictures,
        max_frames,
        flip_test,
        batch_size,
        refine,
        define_if_exists(),
        define_part(),
        define_result_files(),
        define_tracking(),
    )


def _open(asked: _Flags, words: Sequence[str]) -> _Opened:
    """Open what is read, and find the places of the results.

    Raises:
      InputError: a file is at fault, or does not fit the others, or there are results already.
    """
    wanted, cut, step = asked.results(), asked.part(), None
    if asked.checkpoint.value:
        from jmpose_jax.train.trained import find_checkpoint  # with Orbax, which MoveNet does without

        step = find_checkpoint(asked.checkpoint.value)
    detector = None if asked.detector.value == MOVENET else _detector(asked.detector.value)
    named = [*words, *([asked.video.value] if asked.video.value else [])]
    flag = "--video" if asked.video.value else "source"
    related = {"auto": None, "video": True, "single": False}[asked.pictures.value]
    sources = [cut(source) for source in open_sources(named, flag, related)]
    boxes = asked.boxes.value
    if boxes and len(sources) > 1:
        raise InputError(f"--boxes={boxes} is of one video, and {len(sources)} are named; give them one by one")
    _check_refined(asked.refine.value, sources, wanted.wanted.overlay)
    _check_sparse(asked.estimate_every.value, sources)
    file = _boxes(boxes, asked.boxes_from.value, sources[0]) if boxes else None
    detector = file.detector if file else detector
    tracking = asked.tracking.options(detector, not asked.checkpoint.value)
    inputs = [path for source in sources for path in source.inputs]
    inputs += filter(None, (boxes, asked.checkpoint.value))
    folders = _results_folders(sources, asked.output.value, asked.if_exists.value, inputs)
    return _Opened(sources, folders, wanted, step, detector, file, tracking)


def _boxes(boxes: str, first: str | None, source: Source) -> BoxFile:
    """The file of boxes; InputError where it is not of the source."""
    file = boxes_from_file(
        boxes,
        source.name,
        frames=source.announced_frames or source.expected_frames,
        size=source.size,
        first=None if first is None else int(first),
        exact=source.announced_frames > 0,
    )
    if source.announced_frames and file.detector.frames[0] >= source.announced_frames:
        raise InputError(
            f"--boxes={boxes}: its first box is on frame {file.detector.frames[0]}, the video has "
            f"{source.announced_frames} frames; frames are numbered from 0"
        )
    return file


def _networks(asked: _Flags, opened: _Opened) -> tuple[Predictor, Detector]:
    """The model and the detector; what is given is read before anything is fetched."""
    checkpoint, batch_size = asked.checkpoint.value, asked.batch_size.value
    if checkpoint:
        predictor = from_checkpoint(checkpoint, flip_test=asked.flip_test.value, batch_size=batch_size)
    names = [] if checkpoint else [full_name(asked.model.value or ESTIMATORS[0])]
    found = weights([*names, *([] if opened.detector else [MOVENET_WEIGHTS])], _say)
    if not checkpoint:
        predictor = pose_predictor(published(names[0]).variant, found[names[0]], batch_size)
    predictor.before_compiling = lambda: _say("compiling the model for its first batch")
    if opened.step and (few := few_steps(opened.step)):
        _say(few)
    detector = opened.detector or MoveNetDetector(found[MOVENET_WEIGHTS], threshold=opened.tracking.weakest)
    return predictor, detector


def _predict(
    asked: _Flags,
    opened: _Opened,
    predictor: Predictor,
    detector: Detector,
    source: Source,
    folder: pathlib.Path,
    refined: RefinedVideo | None,
    notice: StopNotice,
) -> None:
    """Predict one source, and print its last line.

    Raises:
      RunStopped: a signal came.
    """
    start, wanted, file = time.monotonic(), opened.wanted, opened.file
    total = min(filter(None, (source.expected_frames, asked.max_frames.value)), default=None)
    bar = ProgressBar(total, "predict" if len(opened.sources) == 1 else f"predict {source.name}")
    try:
        summary = predict_video(
            predictor,
            source,
            folder,
            detector,
            images=file.images if file else {},
            max_frames=asked.max_frames.value,
            results=wanted.wanted,
            box_source=asked.boxes.value or asked.detector.value,
            tracking=opened.tracking,
            detect_every=asked.detect_every.value,
            estimate_every=asked.estimate_every.value,
            refine=refined,
            report=lambda _: bar.update(),
            stop=notice.reached,
        )
    except NothingDone:
        raise notice.stopped("no frame was done, nothing is written") from None
    finally:
        bar.close()
    wanted.remove_earlier(folder, source)
    done = f"{folder}: {summary.frames} frames, {summary.persons} poses"
    done += f", {summary.tracks} tracks" if source.related else ""
    if asked.estimate_every.value > 1:
        done += f", {summary.estimated} frames estimated and {summary.frames - summary.estimated} between"
    done += refined.remark if refined else ""
    done += f" in {time.monotonic() - start:.1f} s{left_out(file, summary) if file else ''}"
    done += remarks(summary, source) + wanted.remark
    if notice.reached():
        so_far = "all frames are done" if summary.complete else "the files hold the frames so far"
        raise notice.stopped(f"{so_far}: {done}")
    print(done, flush=True)


def _detector(name: str) -> Detector:
    try:
        return make_detector(name)
    except InputError as fault:
        raise InputError(f"--{fault}") from None


def _check_refined(method: str | None, sources: Sequence[Source], overlay: bool) -> None:
    """Raises InputError for a source whose poses cannot be refined over time."""
    for source in sources if method else ():
        if not source.related:
            raise InputError(
                f"--refine={method}: {source.name} is no video, whose frames follow each other; leave --refine out, or "
                "give --pictures=video with several pictures of one"
            )
        if overlay and not source.inputs:
            raise InputError(
                f"--refine={method}: the overlay is drawn from a second reading, and {source.name} is read once; give "
                "--no_overlay, or record it first"
            )


def _check_sparse(every: int, sources: Sequence[Source]) -> None:
    """Raises InputError for a source whose frames have nothing between them."""
    for source in sources if every > 1 else ():
        if not source.related:
            raise InputError(
                f"--estimate_every={every}: {source.name} is no video, whose frames follow each other; leave it out, "
                "or give --pictures=video with several pictures of one"
            )


def _results_folders(
    sources: Sequence[Source], output: str | None, if_exists: str, inputs: Sequence[str | pathlib.Path]
) -> list[pathlib.Path]:
    """A folder for each source; of several, in the given one by their names."""
    places = [source.place for source in sources]
    if output:
        # NAME_poses names what it holds; in a folder of its own the name does.
        places = [pathlib.Path(output) / source.name for source in sources] if len(sources) > 1 else [output]
    # What is read comes first: an earlier result must not hide that it could not be made again.
    folders = [place_folder(place, RESULT_FILES, if_exists, inputs) for place in places]
    for a, b in itertools.combinations(range(len(folders)), 2):
        if folders[a] == folders[b]:
            raise InputError(
                f"{sources[a].name}: two sources would have their results in {folders[a]}; predict them one by one"
            )
    return folders


def _say(text: str) -> None:
    print(f"predict: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv)
