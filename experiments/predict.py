"""`jmpose predict`: the poses of the people in a video, drawn on it and as JSON and CSV."""

import math
import pathlib
import sys
import time
from collections.abc import Iterable

from absl import flags

from data_pipeline.progress import ProgressBar
from experiments.few_steps import few_steps
from experiments.launch import launch, required
from experiments.outputs import define_if_exists
from jmpose_jax.errors import InputError
from jmpose_jax.files import check_inputs_kept, check_writable, place_results
from jmpose_jax.inference.box_files import FORMS, boxes_from_file
from jmpose_jax.inference.detectors import DETECTORS, make_detector
from jmpose_jax.inference.pipeline import NothingDone, Summary, predict_video
from jmpose_jax.inference.predictor import from_checkpoint
from jmpose_jax.inference.video import VideoReader, check_video_file
from jmpose_jax.stopping import StopNotice
from jmpose_jax.train.checkpoints import find_checkpoint

RESULTS = ("overlay.mp4", "poses.json", "poses.csv")


def main(argv: list[str] | None = None) -> None:
    video = flags.DEFINE_string("video", None, "Video file that FFmpeg reads, e.g. .mp4, .mkv, .avi.")
    checkpoint = flags.DEFINE_string(
        "checkpoint",
        None,
        "Workdir of `jmpose train` or `jmpose quickstart`, output of `jmpose convert`, or one checkpoint's folder.",
    )
    output = flags.DEFINE_string("output", None, f"Folder for {', '.join(RESULTS)}.")
    boxes = flags.DEFINE_string(
        "boxes", None, f"File of person boxes, used in place of a detector; x, y, w, h in pixels. Forms: {FORMS}."
    )
    boxes_from = flags.DEFINE_enum(
        "boxes_from", None, ["0", "1"], "Number of the first frame in --boxes, where the file does not show it."
    )
    detector = flags.DEFINE_string(
        "detector", "hog", f"Person detector: {', '.join(DETECTORS)} (whole: one person fills the frame)."
    )
    max_frames = flags.DEFINE_integer("max_frames", None, "Stop after so many frames.", lower_bound=1)
    flip_test = flags.DEFINE_bool(
        "flip_test", None, "Average with the mirrored clip; the checkpoint's config decides by default."
    )
    batch_size = flags.DEFINE_integer("batch_size", 8, "Persons estimated at once.", lower_bound=1)
    draw_threshold = flags.DEFINE_float("draw_threshold", 0.1, "Least score of a joint that is drawn.")
    if_exists = define_if_exists()

    def run() -> None:
        required(video, checkpoint, output)
        if boxes.value and flags.FLAGS["detector"].present:
            raise InputError(
                f"--detector={detector.value} and --boxes={boxes.value} are both given, and boxes take a detector's "
                "place; leave one of them out"
            )
        if boxes_from.value is not None and not boxes.value:
            raise InputError("--boxes_from is of the frames in --boxes; give --boxes as well, or leave it out")
        if not math.isfinite(draw_threshold.value):
            raise InputError(f"--draw_threshold={draw_threshold.value} is no number; give one from 0 to 1")
        _check_video(video.value)
        step = find_checkpoint(checkpoint.value)
        find = make_detector(detector.value)
        reader = VideoReader(video.value)
        images, dropped, notes = {}, {}, ()
        if boxes.value:
            first = None if boxes_from.value is None else int(boxes_from.value)
            file = boxes_from_file(
                boxes.value,
                reader.path.stem,
                frames=reader.expected_frames,
                size=reader.size,
                first=first,
                exact=reader.announced_frames > 0,
            )
            find, images, dropped, notes = file.detector, file.images, file.dropped, file.notes
            if reader.announced_frames and file.detector.frames[0] >= reader.announced_frames:
                raise InputError(
                    f"--boxes={boxes.value}: its first box is on frame {file.detector.frames[0]}, the video has "
                    f"{reader.announced_frames} frames; frames are numbered from 0"
                )
        # What is read comes first: an earlier result must not hide that it could not be made again.
        folder = _results_folder(output.value, if_exists.value, filter(None, (video.value, boxes.value)))
        total = reader.expected_frames or None
        if max_frames.value:
            total = min(total, max_frames.value) if total else max_frames.value
        # Orbax takes a signal that breaks into it for a damaged checkpoint: it is asked for from here on.
        with StopNotice("ending the files with the frames so far") as notice:
            predictor = from_checkpoint(checkpoint.value, flip_test=flip_test.value, batch_size=batch_size.value)
            predictor.before_compiling = lambda: _say("compiling the model for its first batch")
            if few := few_steps(step):
                _say(few)
            start = time.monotonic()
            bar = ProgressBar(total, "predict")
            try:
                summary = predict_video(
                    predictor,
                    video.value,
                    folder,
                    find,
                    images=images,
                    max_frames=max_frames.value,
                    draw_threshold=draw_threshold.value,
                    box_source=boxes.value or detector.value,
                    report=lambda _: bar.update(),
                    stop=notice.reached,
                )
            except NothingDone:
                raise notice.stopped("no frame was done, nothing is written") from None
            finally:
                bar.close()
            left_out = "".join(f"; {count} boxes {reason} left out" for reason, count in dropped.items())
            left_out += "".join(f"; {note}" for note in notes)
            if boxes.value and summary.complete:
                beyond = sum(frame >= summary.frames for frame in find.frames)
                end = "the last frame" if max_frames.value else "the video's end"
                left_out += f"; boxes of {beyond} frames beyond {end} left out" if beyond else ""
            done = f"{folder}: {summary.frames} frames, {summary.persons} poses, {summary.tracks} tracks"
            done += f" in {time.monotonic() - start:.1f} s{left_out}{_remarks(summary, reader)}"
            if notice.reached():
                so_far = "all frames are done" if summary.complete else "the files hold the frames so far"
                raise notice.stopped(f"{so_far}: {done}")
        print(done)

    launch(run, argv)


def _check_video(video: str) -> None:
    """Raises InputError where `--video` is no file that can be read, and names it as it was given."""
    path = pathlib.Path(video)
    try:
        check_video_file(path, "--video")
    except InputError as fault:
        # A path has one slash where a URL has two.
        raise InputError(str(fault).replace(str(path), video, 1)) from None


def _results_folder(output: str, if_exists: str, inputs: Iterable[str]) -> pathlib.Path:
    """Where the results go: a place that can be written to and in which nothing is lost."""
    inputs = list(inputs)
    check_writable(output)
    if if_exists != "number":
        check_inputs_kept(inputs, [pathlib.Path(output) / name for name in RESULTS])
    folder = place_results(output, RESULTS, if_exists)
    check_inputs_kept(inputs, [folder / name for name in RESULTS])
    return check_writable(folder)


def _remarks(summary: Summary, reader: VideoReader) -> str:
    """What the user should know of the video, as further parts of the last line."""
    text = ""
    if summary.lost:
        text += f"; the file is damaged: no picture, and no poses, in {_ranges(summary.lost)}"
    if summary.damaged:
        text += f"; decoded with faults: {_ranges(summary.damaged)}"
    if summary.surplus:
        text += (
            f"; the damaged file should hold {reader.expected_frames} frames, {summary.surplus} fewer than were found: "
            "numbers behind the damage may be too high"
        )
    if summary.missing:
        many = f"announces {reader.announced_frames}" if reader.announced_frames else "is damaged and should hold about"
        many += "" if reader.announced_frames else f" {reader.expected_frames}"
        text += f"; the file {many} frames, {summary.missing} of them could not be found in it"
        if summary.unsure is not None:
            text += f"; the numbers of frames from {summary.unsure} on may be too low"
    for frame, pictures in summary.jumps:
        text += (
            f"; the time stamps jump before frame {frame}: if frames are lost there (about {pictures}), the numbers of "
            "later ones are too low"
        )
    if summary.rescaled:
        sizes = sorted({size for _, size in summary.rescaled})
        text += (
            f"; the video changes its size: {_ranges([frame for frame, _ in summary.rescaled])} (in the file "
            f"{', '.join(f'{width}×{height}' for width, height in sizes)}) scaled to fit "
            f"{reader.size[0]}×{reader.size[1]}, which their poses refer to"
        )
    return text


def _ranges(frames: Iterable[int]) -> str:
    """`frame 6`, or `frames 6–8, 12`; of very many parts the first ones and the count."""
    numbers = sorted(frames)
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    shown = ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in parts[:10])
    more = f", … ({len(numbers)} in all)" if len(parts) > 10 else ""
    return f"frame{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _say(text: str) -> None:
    print(f"predict: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv)
