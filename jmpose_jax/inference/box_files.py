"""Box files of several forms, as boxes by frame of one video.

Frames are numbered from 0. Accepted are: a PoseTrack18 file (`images`, `annotations` with `bbox`); a flat list of
detections with `bbox`, `score` and either `image_id` (mmpose) or `image_name` (DCPose and its descendants); and
`{"frame": [[x, y, width, height, score], …]}`.
"""

import dataclasses
import json
import pathlib
import re
from typing import Any

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.detectors import BoxTable, Detections

SCORE_THRESHOLD = 0.2  # least score of a detection, as in the published PoseTrack configurations
FRAMES_A_VIDEO = 10_000  # PoseTrack18 image ids are … + video · 10⁴ + frame
PERSON = 1


@dataclasses.dataclass(frozen=True)
class BoxFile:
    """What a box file holds for a video.

    Attributes:
      detector: gives the boxes of a frame.
      images: the `images` of a PoseTrack18 file, whose ids and names the results keep; else empty.
      dropped: entries left out (another category, a low score, no area), by reason.
    """

    detector: BoxTable
    images: tuple[dict[str, Any], ...]
    dropped: dict[str, int]


def boxes_from_file(path: str | pathlib.Path, video: str = "", threshold: float = SCORE_THRESHOLD) -> BoxFile:
    """Read the boxes of a video.

    Args:
      path: the JSON file.
      video: name of the video, to pick its entries where the file is of several.
      threshold: least score that is kept.

    Raises:
      InputError: one line naming the file and the entry at fault.
    """
    path = pathlib.Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"boxes {path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"boxes {path}: not valid JSON ({error}); is the file complete?") from error
    images: tuple[dict[str, Any], ...] = ()
    if isinstance(content, dict) and "images" in content:
        rows = _posetrack_rows(path, content)
        images = tuple(content["images"])
    elif isinstance(content, dict):
        rows = _frame_rows(path, content)
    elif isinstance(content, list):
        rows = _list_rows(path, content, video)
    else:
        raise InputError(f"boxes {path}: neither a list of detections nor an object by frame")
    return _table(path, rows, images, threshold)


@dataclasses.dataclass(frozen=True)
class _Row:
    place: str
    frame: int
    box: Any
    score: Any
    category: Any = PERSON
    track_id: int | None = None


def _posetrack_rows(path: pathlib.Path, content: dict) -> list[_Row]:
    frames = {}
    for i, image in enumerate(content["images"]):
        if not isinstance(image, dict) or "id" not in image:
            raise InputError(f"boxes {path}: images[{i}] has no id")
        frames[image["id"]] = i
    rows = []
    for i, entry in enumerate(content.get("annotations", [])):
        place = f"annotations[{i}]"
        image_id = _field(path, place, entry, "image_id")
        if image_id not in frames:
            raise InputError(f"boxes {path}: {place} names image {image_id}, which is not among images")
        track = entry.get("track_id")
        box = _field(path, place, entry, "bbox")
        rows.append(
            _Row(place, frames[image_id], box, entry.get("score", 1.0), entry.get("category_id", PERSON), track)
        )
    return rows


def _frame_rows(path: pathlib.Path, content: dict) -> list[_Row]:
    rows = []
    for key, boxes in content.items():
        if not key.isdigit() or not isinstance(boxes, list):
            raise InputError(
                f'boxes {path}: {key!r} is no frame number with a list; write {{"0": [[x, y, w, h, score]]}}'
            )
        for i, box in enumerate(boxes):
            if not isinstance(box, list) or len(box) not in (4, 5):
                raise InputError(f"boxes {path}: box {i} of frame {key} is not [x, y, width, height, score]")
            rows.append(_Row(f"box {i} of frame {key}", int(key), box[:4], box[4] if len(box) == 5 else 1.0))
    return rows


def _list_rows(path: pathlib.Path, content: list, video: str) -> list[_Row]:
    rows: dict[str, list[_Row]] = {}
    for i, entry in enumerate(content):
        place = f"entry {i}"
        if not isinstance(entry, dict) or not ("image_name" in entry or "image_id" in entry):
            raise InputError(f"boxes {path}: {place} has neither image_name nor image_id")
        if "image_name" in entry:
            name, frame = _frame_of_name(path, place, str(entry["image_name"]))
        else:
            image_id = entry["image_id"]
            if not isinstance(image_id, int) or image_id < 0:
                raise InputError(f"boxes {path}: {place} has image_id {image_id!r}; a number from 0 is needed")
            large = image_id >= 100 * FRAMES_A_VIDEO
            name = f"{image_id // FRAMES_A_VIDEO % 10**6:06d}" if large else ""
            frame = image_id % FRAMES_A_VIDEO if large else image_id
        box, score = _field(path, place, entry, "bbox"), _field(path, place, entry, "score")
        rows.setdefault(name, []).append(
            _Row(place, frame, box, score, entry.get("category_id", PERSON), entry.get("track_id"))
        )
    if len(rows) > 1:
        # An image id carries the number of the video alone, a name all of it.
        chosen = [name for name in rows if name and (name == video or video.startswith(f"{name}_"))]
        if len(chosen) != 1:
            raise InputError(
                f"boxes {path}: holds {len(rows)} videos ({', '.join(sorted(rows)[:3])}, …), none of them named "
                f"{video!r}; cut out the entries of this video, or name the video file after it"
            )
        return rows[chosen[0]]
    return next(iter(rows.values()), [])


def _frame_of_name(path: pathlib.Path, place: str, name: str) -> tuple[str, int]:
    """The video and the frame of an image's path; names of eight digits count from 1 (PoseTrack17), others from 0."""
    parts = pathlib.PurePosixPath(name.replace("\\", "/"))
    digits = re.search(r"(\d+)\D*$", parts.stem)
    if not digits:
        raise InputError(f"boxes {path}: {place} has image_name {name!r}, which ends in no frame number")
    return parts.parent.name, int(digits[1]) - (len(digits[1]) == 8)


def _field(path: pathlib.Path, place: str, entry: Any, key: str) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise InputError(f"boxes {path}: {place} has no {key}")
    return entry[key]


def _table(path: pathlib.Path, rows: list[_Row], images: tuple[dict[str, Any], ...], threshold: float) -> BoxFile:
    """Check the numbers and sort the rows by frame."""
    by_frame: dict[int, list[tuple[np.ndarray, float, int | None]]] = {}
    dropped = {"of another category": 0, f"with a score below {threshold}": 0, "without area": 0}
    another, low, empty = dropped
    for row in rows:
        try:
            box, score = np.array(row.box, np.float32).reshape(4), float(row.score)
        except (TypeError, ValueError):
            box, score = np.full(4, np.nan), np.nan
        if not (np.isfinite(box).all() and np.isfinite(score)):
            raise InputError(f"boxes {path}: {row.place} is not x, y, width, height and a score, all numbers")
        if row.category != PERSON:
            dropped[another] += 1
        elif score < threshold:
            dropped[low] += 1
        elif box[2] <= 0 or box[3] <= 0:
            dropped[empty] += 1
        else:
            by_frame.setdefault(row.frame, []).append((box, score, row.track_id))
    if not by_frame:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
        raise InputError(f"boxes {path}: holds no usable box" + (f" ({reasons} were left out)" if reasons else ""))
    table = {}
    for frame, found in by_frame.items():
        boxes, scores, tracks = zip(*found)
        ids = None if any(t is None for t in tracks) else np.array(tracks, np.int64)
        if ids is not None and len(np.unique(ids)) < len(ids):
            raise InputError(f"boxes {path}: a track_id occurs twice in frame {frame}; ids are unique within a frame")
        table[frame] = Detections(np.stack(boxes), np.array(scores, np.float32), ids)
    if any(d.track_ids is None for d in table.values()):
        # Ids of a part of the frames cannot be joined with ids of our own.
        table = {frame: dataclasses.replace(d, track_ids=None) for frame, d in table.items()}
    return BoxFile(BoxTable(table, str(path)), images, {k: v for k, v in dropped.items() if v})
