"""`jmpose predict`: the poses of the people in a video, drawn on it and as JSON and CSV."""

import sys
import time

from absl import flags

from data_pipeline.progress import ProgressBar
from experiments.launch import launch
from jmpose_jax.errors import InputError
from jmpose_jax.inference.box_files import FORMS, boxes_from_file
from jmpose_jax.inference.detectors import DETECTORS, make_detector
from jmpose_jax.inference.pipeline import predict_video
from jmpose_jax.inference.predictor import from_checkpoint
from jmpose_jax.inference.video import VideoReader


def main(argv: list[str] | None = None) -> None:
    video = flags.DEFINE_string("video", None, "Video file that OpenCV reads.")
    checkpoint = flags.DEFINE_string(
        "checkpoint", None, "Workdir of `jmpose train`, output of `jmpose convert`, or one checkpoint's folder."
    )
    output = flags.DEFINE_string("output", None, "Folder for overlay.mp4, poses.json and poses.csv.")
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

    def run() -> None:
        for flag in (video, checkpoint, output):
            if not flag.value:
                raise InputError(f"--{flag.name} is missing; give it, as in --{flag.name}=PATH")
        reader = VideoReader(video.value)
        images, dropped, notes = {}, {}, ()
        if boxes.value:
            first = None if boxes_from.value is None else int(boxes_from.value)
            file = boxes_from_file(
                boxes.value, reader.path.stem, frames=reader.announced_frames, size=reader.size, first=first
            )
            find, images, dropped, notes = file.detector, file.images, file.dropped, file.notes
            if reader.announced_frames and file.detector.frames[0] >= reader.announced_frames:
                raise InputError(
                    f"--boxes={boxes.value}: its first box is on frame {file.detector.frames[0]}, the video has "
                    f"{reader.announced_frames} frames; frames are numbered from 0"
                )
        else:
            find = make_detector(detector.value)
        predictor = from_checkpoint(checkpoint.value, flip_test=flip_test.value, batch_size=batch_size.value)
        total = reader.announced_frames or None
        if max_frames.value:
            total = min(total, max_frames.value) if total else max_frames.value
        start = time.monotonic()
        bar = ProgressBar(total, "predict")
        summary = predict_video(
            predictor,
            video.value,
            output.value,
            find,
            images=images,
            max_frames=max_frames.value,
            draw_threshold=draw_threshold.value,
            box_source=boxes.value or detector.value,
            report=lambda _: bar.update(),
        )
        bar.close()
        left_out = "".join(f"; {count} boxes {reason} left out" for reason, count in dropped.items())
        left_out += "".join(f"; {note}" for note in notes)
        if not max_frames.value and boxes.value:
            beyond = sum(frame >= summary.frames for frame in find.frames)
            left_out += f"; boxes of {beyond} frames beyond the video's end left out" if beyond else ""
        if not max_frames.value and summary.frames < reader.announced_frames:
            left_out += f"; the file announces {reader.announced_frames} frames, the rest could not be decoded"
        print(
            f"{output.value}: {summary.frames} frames, {summary.persons} poses, {summary.tracks} tracks "
            f"in {time.monotonic() - start:.1f} s{left_out}"
        )

    launch(run, argv)


if __name__ == "__main__":
    main(sys.argv)
