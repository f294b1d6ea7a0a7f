"""From a video file to poses: boxes, crops, model, identities, overlay video, result files and page, in one pass.

Frames stream through: what is held is the window, the frames whose persons wait for a batch to fill, and a few that are
read ahead or wait to be drawn. A longer video needs no more memory but for the poses themselves.

One thread reads and decodes, one looks for people, one draws, encodes and writes, and the caller's estimates the poses;
each takes the frames in their order, so that the results are the same whichever is slow.
"""

import contextlib
import functools
import itertools
import pathlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from jmpose_jax import files
from jmpose_jax.boxes.images import frame_images
from jmpose_jax.inference.detectors import Detector
from jmpose_jax.inference.frame_poses import FramePoses
from jmpose_jax.inference.outputs.collector import Collector
from jmpose_jax.inference.outputs.formats import write_files
from jmpose_jax.inference.outputs.video_page import PAGE, write_page
from jmpose_jax.inference.overlap import Behind, ahead
from jmpose_jax.inference.overlay import Overlay
from jmpose_jax.inference.predictor import Predictor
from jmpose_jax.inference.redraw import draw_again, label_lost
from jmpose_jax.inference.results import OVERLAY, Results, Summary
from jmpose_jax.inference.seen import Seen
from jmpose_jax.inference.sources.pictures import PictureWriter
from jmpose_jax.inference.sources.source import Source
from jmpose_jax.inference.streamed import MAX_WAITING_FRAMES, estimate_poses
from jmpose_jax.inference.tracking.tracker import TrackingOptions
from jmpose_jax.inference.video.reader import VideoReader, VideoWriter
from jmpose_jax.records import Predictions

AHEAD = 4  # frames that are decoded and wait to be looked at, and as many that were and wait for their poses
HELD_BYTES = 128 << 20  # of frames that wait to be drawn, or two frames


class NothingDone(Exception):
    """`stop` said so before the first frame was done; nothing is left behind."""


def predict_video(
    predictor: Predictor,
    video: str | pathlib.Path | Source,
    output: str | pathlib.Path,
    detector: Detector,
    *,
    images: Mapping[int, dict[str, Any]] | None = None,
    max_frames: int | None = None,
    results: Results | None = None,
    box_source: str | None = None,
    tracking: TrackingOptions | None = None,
    detect_every: int = 1,
    estimate_every: int = 1,
    refine: Callable[[Predictions, float], Predictions] | None = None,
    report: Callable[[FramePoses], None] = lambda poses: None,
    stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Write `overlay.mp4`, `poses.json`, `poses.csv`, files of other forms and `report.html`, all of them or none.

    Of a source of pictures the overlay is `overlay.jpg`, or of several pictures a folder `overlay` of as many, and
    there is no page.

    A frame whose picture is lost in a damaged file has its number, its time in the overlay and no poses; for the frames
    around it, the picture before stands in for it. The overlay keeps the times of the video.

    Args:
      predictor: the model.
      video: a video file, or another source of frames.
      output: folder, made where it does not exist.
      detector: the boxes of each frame; asked in a thread of its own.
      images: by frame from 0, entries of a box file whose ids and names the results keep; those of other frames are
        made up.
      max_frames: stop after so many frames; None takes all.
      results: which files are written, and what the overlay shows; all, with boxes and identities, by default.
      box_source: where the boxes come from, kept in `poses.json`.
      tracking, detect_every, estimate_every: as for `estimate_poses`.
      refine: makes other poses of those of the whole video, given the frames a second. The overlay is then drawn from
        a second reading of the source, which cameras and streams do not allow.
      report: called after each frame, which may yet have to be drawn.
      stop: asked between frames, by two threads; where it says so, the files end with the frames so far, if there is
        one.

    Raises:
      InputError: an unreadable video or a box at fault; no result file is left behind then.
      NoSpace: the results find no room; nothing is left behind.
      NothingDone: `stop` said so before the first frame.
    """
    reader = VideoReader(video) if isinstance(video, str | pathlib.Path) else video
    results = results or Results()
    found, seen = Collector(predictor.skeleton), Seen(detector)
    drawing = Overlay(predictor.skeleton, results.draw, results.draw_threshold)
    with files.staged(output) as stage:
        writing = functools.partial(_writing, reader, stage, pathlib.Path(output) / OVERLAY)
        at_once = results.overlay and refine is None
        room = int(np.clip(HELD_BYTES // (3 * reader.size[0] * reader.size[1]), 2, MAX_WAITING_FRAMES))
        with (
            writing() if at_once else contextlib.nullcontext() as writer,
            Behind(room) as behind,
            contextlib.closing(ahead(itertools.islice(reader.frames(), max_frames), min(room, AHEAD))) as read,
            contextlib.closing(
                estimate_poses(
                    seen.pictures(read),
                    predictor,
                    seen.boxes,
                    stop,
                    tracking,
                    reader.name,
                    seen.numbers.__getitem__,
                    related=reader.related,
                    detect_every=detect_every,
                    estimate_every=estimate_every,
                    lost=seen.lost.__contains__,
                    look_ahead=max(min(room, AHEAD) // estimate_every, 1),
                )
            ) as estimated,
        ):
            for poses in estimated:
                frame, lost = seen.waiting.pop(poses.index), poses.index in seen.lost
                if lost:  # between two frames that are looked at, people go on
                    poses = poses.nobody()
                if writer is not None and not (lost and reader.pictures):
                    number = seen.numbers[poses.index] if lost else None
                    when = frame.name if reader.pictures else frame.time - seen.first
                    behind.do(functools.partial(_draw, drawing, poses, number, writer, when))
                found.add(poses, frame.time)
                report(poses)
            if not found.frames:
                raise NothingDone  # by a stop: a video without a frame is refused by its reader
        numbers = seen.numbers[: found.frames]
        listed = frame_images(images or seen.images(found.frames), numbers, reader.name)
        predictions = found.predictions(reader.name, listed, numbers, timed=reader.timed)
        if refine is not None:
            predictions = refine(predictions, float(reader.rate))
            if results.overlay:
                with writing() as writer:
                    draw_again(reader, predictions, drawing, writer)
        estimated_frames = [number for number, looked_at in zip(numbers, found.estimated) if looked_at]
        summary = seen.summary(reader, predictions, len(estimated_frames))
        told = {"lost_frames": summary.lost, "estimated_frames": estimated_frames if estimate_every > 1 else None}
        write_files(predictions, stage, results.formats, box_source=box_source, **told)
        if results.page and not reader.pictures:
            video_file = stage / OVERLAY if results.overlay else None
            write_page(predictions, stage / PAGE, video_file, size=reader.size, threshold=results.draw_threshold)
    return summary


def _draw(drawing: Overlay, poses: FramePoses, lost: int | None, writer: Any, when: Fraction | str) -> None:
    """Draw a frame's poses, or that frame number `lost` is none, and write it with its time or name."""
    drawn = drawing.draw(poses.image, poses.keypoints, poses.scores, poses.boxes, poses.track_ids)
    if lost is not None:
        label_lost(drawn, lost)
    writer.write(drawn, when)


def _writing(reader: Source, stage: pathlib.Path, place: pathlib.Path) -> contextlib.AbstractContextManager:
    """What the overlay is written by."""
    if reader.pictures:
        return contextlib.nullcontext(PictureWriter(stage, single=reader.expected_frames == 1))
    return VideoWriter(stage / OVERLAY, reader.rate, reader.size, reader.time_base, shown=place)
