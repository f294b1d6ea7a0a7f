"""`jmpose predict SOURCE …`: the poses of the people in a video or pictures, drawn on it, as files, and as a page."""

import itertools
import pathlib
import sys
import time
from collections.abc import Iterable, Sequence

from absl import flags

from experiments.command.launch import launch
from experiments.command.outputs import define_if_exists, place_folder
from experiments.command.part import define_part
from experiments.command.refining import RefinedVideo, check_refine, refiner_of
from experiments.command.result_files import RESULT_FILES, define_result_files
from experiments.command.tracking import define_tracking
from experiments.run.few_steps import few_steps
from jmpose_jax.errors import InputError
from jmpose_jax.inference.between import MOST
from jmpose_jax.inference.box_files import FORMS, BoxFile, boxes_from_file
from jmpose_jax.inference.detectors import DETECTORS, Detector, make_detector
from jmpose_jax.inference.movenet import DETECTOR as MOVENET_WEIGHTS
from jmpose_jax.inference.movenet import ESTIMATORS, MOVENET, MoveNetDetector, pose_predictor, weights
from jmpose_jax.inference.pipeline import NothingDone, Summary, predict_video
from jmpose_jax.inference.predictor import from_checkpoint
from jmpose_jax.inference.sources.source import Source, open_sources
from jmpose_jax.progress import ProgressBar
from jmpose_jax.refinement.filters import METHODS
from jmpose_jax.stopping import StopNotice


def main(argv: list[str] | None = None) -> None:
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
        "model", None, ESTIMATORS, "MoveNet's size, in place of --checkpoint; thunder (surer) where neither is given."
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
    max_frames = flags.DEFINE_integer("max_frames", None, "Stop after so many frames.", lower_bound=1)
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
    part = define_part()
    results = define_result_files()
    tracking_flags = define_tracking()
    if_exists = define_if_exists()

    def run(words: list[str]) -> None:
        named = [*words, *([video.value] if video.value else [])]
        if not named:
            raise InputError("nothing to read is named: give a video, as in `jmpose predict my.mp4`, or --video")
        if checkpoint.value and model.value:
            raise InputError(
                f"--checkpoint={checkpoint.value} and --model={model.value} are both given; leave one of them out"
            )
        if flip_test.value and not checkpoint.value:
            raise InputError("--flip_test is of checkpoints; MoveNet runs without it")
        if boxes.value and flags.FLAGS["detector"].present:
            raise InputError(
                f"--detector={detector.value} and --boxes={boxes.value} are both given, and boxes take a detector's "
                "place; leave one of them out"
            )
        if boxes_from.value is not None and not boxes.value:
            raise InputError("--boxes_from is of the frames in --boxes; give --boxes as well, or leave it out")
        if detect_every.value > 1 and (boxes.value or detector.value == "whole"):
            boxed = f"--boxes={boxes.value}" if boxes.value else "--detector=whole"
            raise InputError(
                f"--detect_every={detect_every.value} is of detectors, and {boxed} knows every frame's boxes"
            )
        if refine.value:
            check_refine(refine.value)
        wanted = results()
        tracking_flags.check()
        cut = part()
        step = None
        if checkpoint.value:
            from jmpose_jax.train.trained import find_checkpoint  # with Orbax, which MoveNet does without

            step = find_checkpoint(checkpoint.value)
        find = None if detector.value == MOVENET else _detector(detector.value)
        flag = "--video" if video.value else "source"
        related = {"auto": None, "video": True, "single": False}[pictures.value]
        sources = [cut(source) for source in open_sources(named, flag, related)]
        if boxes.value and len(sources) > 1:
            raise InputError(
                f"--boxes={boxes.value} is of one video, and {len(sources)} are named; give them one by one"
            )
        _check_refined(refine.value, sources, wanted.options["overlay"])
        _check_sparse(estimate_every.value, sources)
        file = None
        if boxes.value:
            (source,) = sources
            file = boxes_from_file(
                boxes.value,
                source.name,
                frames=source.announced_frames or source.expected_frames,
                size=source.size,
                first=None if boxes_from.value is None else int(boxes_from.value),
                exact=source.announced_frames > 0,
            )
            find = file.detector
            if source.announced_frames and file.detector.frames[0] >= source.announced_frames:
                raise InputError(
                    f"--boxes={boxes.value}: its first box is on frame {file.detector.frames[0]}, the video has "
                    f"{source.announced_frames} frames; frames are numbered from 0"
                )
        tracking = tracking_flags.options(find, not checkpoint.value)
        inputs = [
            *(path for source in sources for path in source.inputs),
            *filter(None, (boxes.value, checkpoint.value)),
        ]
        folders = _results_folders(sources, output.value, if_exists.value, inputs)
        # Orbax takes a signal that breaks into it for a damaged checkpoint: it is asked for from here on.
        with StopNotice("ending the files with the frames so far") as notice:
            variant = None if checkpoint.value else model.value or ESTIMATORS[0]
            # What is given is read before anything is fetched.
            if not variant:
                predictor = from_checkpoint(checkpoint.value, flip_test=flip_test.value, batch_size=batch_size.value)
            names = [f"movenet_{variant}"] if variant else []
            found = weights([*names, *([] if find else [MOVENET_WEIGHTS])], _say)
            if variant:
                predictor = pose_predictor(variant, found[names[0]], batch_size.value)
            find = find or MoveNetDetector(found[MOVENET_WEIGHTS], threshold=tracking.weakest)
            steadier = None
            if refine.value:
                steadier = refiner_of(refine.value, predictor.skeleton.num_joints, estimate_every.value)
            predictor.before_compiling = lambda: _say("compiling the model for its first batch")
            if step and (few := few_steps(step)):
                _say(few)
            for source, folder in zip(sources, folders):
                start, refined = time.monotonic(), RefinedVideo(*steadier) if steadier else None
                total = min(filter(None, (source.expected_frames, max_frames.value)), default=None)
                bar = ProgressBar(total, "predict" if len(sources) == 1 else f"predict {source.name}")
                try:
                    summary = predict_video(
                        predictor,
                        source,
                        folder,
                        find,
                        images=file.images if file else {},
                        max_frames=max_frames.value,
                        **wanted.options,
                        box_source=boxes.value or detector.value,
                        tracking=tracking,
                        detect_every=detect_every.value,
                        estimate_every=estimate_every.value,
                        refine=refined,
                        report=lambda _, bar=bar: bar.update(),
                        stop=notice.reached,
                    )
                except NothingDone:
                    raise notice.stopped("no frame was done, nothing is written") from None
                finally:
                    bar.close()
                wanted.remove_earlier(folder, source)
                left_out = _left_out(file, summary) if file else ""
                done = f"{folder}: {summary.frames} frames, {summary.persons} poses"
                done += f", {summary.tracks} tracks" if source.related else ""
                if estimate_every.value > 1:
                    done += f", {summary.estimated} frames estimated and {summary.frames - summary.estimated} between"
                done += refined.remark if refined else ""
                done += f" in {time.monotonic() - start:.1f} s{left_out}{_remarks(summary, source)}{wanted.remark}"
                if notice.reached():
                    so_far = "all frames are done" if summary.complete else "the files hold the frames so far"
                    raise notice.stopped(f"{so_far}: {done}")
                print(done, flush=True)

    launch(run, argv, words="SOURCE … ")


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


def _left_out(file: BoxFile, summary: Summary) -> str:
    """Which boxes of a file have no pose, as further parts of the last line."""
    text = "".join(f"; {count} boxes {reason} left out" for reason, count in file.dropped.items())
    text += "".join(f"; {note}" for note in file.notes)
    if summary.complete and (beyond := len(set(file.detector.frames) - set(summary.numbers))):
        text += f"; boxes of {beyond} frames that were not read left out"
    return text


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


def _remarks(summary: Summary, reader: Source) -> str:
    """What the user should know of the source, as further parts of the last line."""
    text = reader.remark
    if summary.lost and not reader.pictures:
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
