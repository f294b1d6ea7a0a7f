"""Box files as boxes by frame of one video.

The forms are listed in `boxes.reader`, and in one line in `FORMS`; which frame an entry means is told in
`boxes.numbering`.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmpose_jax.boxes.numbering import frames_of
from jmpose_jax.boxes.reader import FORMS, read_boxes
from jmpose_jax.boxes.records import Image, Row
from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detections

__all__ = ["FORMS", "SCORE_THRESHOLD", "BoxFile", "boxes_from_file"]

SCORE_THRESHOLD = 0.2  # least score of a detection, as in the published PoseTrack configurations


@dataclasses.dataclass(frozen=True)
class BoxFile:
    """What a box file holds for a video.

    Attributes:
      detector: gives the boxes of a frame.
      images: by frame from 0, the entries of a file with `images`, whose ids and names the results keep; else empty.
      dropped: entries left out (another category, a low score, no area), by reason.
      notes: what else the user should know, one line each.
    """

    detector: BoxTable
    images: Mapping[int, dict[str, Any]]
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()


def boxes_from_file(
    path: str | pathlib.Path,
    video: str = "",
    threshold: float = SCORE_THRESHOLD,
    *,
    frames: int = 0,
    size: tuple[int, int] | None = None,
    first: int | None = None,
    exact: bool = True,
) -> BoxFile:
    """Read the boxes of a video; all that can be wrong with them is found here.

    Args:
      path: the file, of any form of `FORMS`.
      video: name of the video, to pick its entries where the file is of several.
      threshold: least score that is kept.
      frames: number of frames of the video, which may show what the file counts from; 0 where it is not known.
      size: width and height of the video, pixels; with them a box outside the image is refused.
      first: 0 or 1, what the file counts frames from, where it does not show that itself.
      exact: whether `frames` is what the video says of itself, and no estimate.

    Raises:
      InputError: one line naming the file and the entry at fault.
    """
    path = pathlib.Path(path)
    where = f"boxes {path}"
    try:
        content = read_boxes(path)
        found = frames_of(path, content, video, frames, first, exact)
    except InputError as error:
        raise InputError(f"boxes {error}") from error
    frame_of = found.by_image
    if size is not None:
        _check_sizes(where, [content.images[i] for i in frame_of], size)
    rows = [row for row in content.rows if row.image in frame_of]
    kept, dropped = _usable(rows, threshold)
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise InputError(f"{where}: holds no usable box" + (f" ({reasons} were left out)" if reasons else ""))
    ids, notes = _track_numbers(kept)
    by_frame: dict[int, list[int]] = {}
    for n, row in enumerate(kept):
        by_frame.setdefault(frame_of[row.image], []).append(n)
    table = {}
    for frame, members in by_frame.items():
        tracks = None if ids is None else ids[members]
        if tracks is not None and len(np.unique(tracks)) < len(tracks):
            raise InputError(f"{where}: a track_id occurs twice in frame {frame}; ids are unique within a frame")
        boxes = np.array([kept[n].box for n in members], np.float32)
        table[frame] = Detections(boxes, np.array([kept[n].score for n in members], np.float32), tracks)
    detector = BoxTable(table, str(path))
    if size is not None:
        image = np.broadcast_to(np.uint8(0), (size[1], size[0], 3))  # takes no memory
        for frame in detector.frames:
            detector(frame, image)
    images = {frame_of[i]: image.entry for i, image in enumerate(content.images) if image.entry and i in frame_of}
    return BoxFile(detector, dict(sorted(images.items())), dropped, (*notes, *found.notes))


def _check_sizes(where: str, images: list[Image], size: tuple[int, int]) -> None:
    other = next((image for image in images if image.size not in (None, size)), None)
    if other is not None:
        raise InputError(
            f"{where}: {other.place} is of an image of {other.size[0]}×{other.size[1]}, the video has "
            f"{size[0]}×{size[1]}; give boxes of this video, or scale boxes and sizes to it"
        )


def _usable(rows: list[Row], threshold: float) -> tuple[list[Row], dict[str, int]]:
    """The rows to keep, and the number of the others by reason."""
    dropped = {
        "of another category": 0,
        "around a crowd (iscrowd)": 0,
        f"with a score below {threshold}": 0,
        "without area": 0,
    }
    another, crowd, low, empty = dropped
    kept = []
    for row in rows:
        if not row.person:
            dropped[another] += 1
        elif row.crowd:
            dropped[crowd] += 1
        elif row.score < threshold:
            dropped[low] += 1
        elif min(row.box[2:]) <= 0:
            dropped[empty] += 1
        else:
            kept.append(row)
    return kept, {reason: count for reason, count in dropped.items() if count}


def _track_numbers(rows: list[Row]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Identities as numbers, int64 [N]; names, in the order of the alphabet, take the numbers that are free.

    None where not all boxes have one: identities of a part cannot be joined with identities of our own.
    """
    without = sum(row.track is None for row in rows)
    if without == len(rows):
        return None, ()
    if without:
        return None, (f"{without} of {len(rows)} boxes have no track id, so all are tracked anew",)
    numbers = {row.track for row in rows if isinstance(row.track, int)}
    names = sorted({row.track for row in rows if isinstance(row.track, str)})
    free = (n for n in itertools.count() if n not in numbers)
    code = {name: next(free) for name in names}
    shown = ", ".join(f"{name[:20]} is {code[name]}" for name in names[:4]) + (", …" if len(names) > 4 else "")
    notes = (f"track ids that are names became numbers: {shown}",) if names else ()
    return np.array([code.get(row.track, row.track) for row in rows], np.int64), notes
