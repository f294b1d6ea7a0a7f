"""What names and ids of images tell of the video and the frame."""

import pathlib
import re

from jmpose_jax.boxes.records import Image

FRAMES_A_VIDEO = 10_000
POSETRACK_ID = 10**10  # the least id of PoseTrack18: data set · 10¹⁰ + video · 10⁴ + frame
_POSETRACK_VIDEO = re.compile(r"(\d{6})_(bonn|mpii|mpiinew)(_\w+)?", re.ASCII)


def stem(name: str) -> str:
    """A file's name without its ending; what follows a point and starts with a digit is none."""
    return re.sub(r"\.[A-Za-z][A-Za-z0-9]*$", "", name)


def posetrack_video(name: str) -> str | None:
    """The six digits of a video that is named as PoseTrack names them, or None."""
    found = _POSETRACK_VIDEO.fullmatch(stem(name))
    return found and found[1]


def contradicts_scheme(image: Image) -> str | None:
    """What is wrong with an image whose id, of PoseTrack's scheme, and whose name tell different frames; else None."""
    if image.identity is None or image.identity < POSETRACK_ID or image.name is None:
        return None
    path = pathlib.PurePosixPath(image.name.replace("\\", "/"))
    video, frame = image.identity // FRAMES_A_VIDEO % 10**6, image.identity % FRAMES_A_VIDEO
    named = posetrack_video(path.parent.name)
    digits = re.search(r"([0-9]{1,9})[^0-9]*$", stem(path.name))
    other_video = named is not None and int(named) != video
    other_frame = digits is not None and abs(int(digits[1]) - frame) > 1
    if not other_video and not other_frame:
        return None
    return (
        f"has the name {image.name[:80]!r} and the id {image.identity}, which name different frames (by the id frame "
        f"{frame} of video {video:06d}); correct one of them"
    )
