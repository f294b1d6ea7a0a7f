"""Which frame of the video each image of a box file is.

The number is that of the image's name, else that of its id (PoseTrack18's ids are video · 10⁴ + frame), never its place
in a list. Whether numbers count from 0 or from 1 is what the file shows, the first of these that holds:

1. a number 0 is there: from 0;
2. names or ids as PoseTrack18 writes them: from 0;
3. the largest number is the number of frames of the video: from 1 (of {"frame": …} only where none is left out);
4. PoseTrack17's eight digits and MOT text: from 1; {"frame": …}: from 0;
5. names that start at 1, as ffmpeg writes them, and ids 1, 2, … without a gap: from 1;
6. names of six digits, as PoseTrack18 has them, and ids video · 10⁴ + frame, that do not start at 1: from 0.

Where none holds the file is refused, unless the caller says it.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from jmpose_jax.boxes.records import Content, Image
from jmpose_jax.errors import InputError

FRAMES_A_VIDEO = 10_000
POSETRACK_ID = 10**10  # the least id of PoseTrack18: data set · 10¹⁰ + video · 10⁴ + frame
_POSETRACK_VIDEO = re.compile(r"\d{6}_(bonn|mpii|mpiinew)(_\w+)?", re.ASCII)
FLAG = "--boxes_from"


@dataclasses.dataclass(frozen=True)
class _Numbered:
    """The number of one image, and where it was read; `video` is (folder, what stands around the digits)."""

    index: int
    image: Image
    video: tuple[str, ...]
    number: int
    digits: str = ""


def frames_of(path: Any, content: Content, video: str = "", count: int = 0, first: int | None = None) -> dict[int, int]:
    """The frame of each image of the video.

    Args:
      path: the file, for messages.
      content: what it holds.
      video: name of the video, to pick its images where the file is of several.
      count: number of frames of the video, 0 where it is not known.
      first: 0 or 1, what the file counts from; None lets it show that itself.

    Returns:
      Frame from 0 by index of the image; images of other videos are absent.

    Raises:
      InputError: it cannot be told, or names, ids and numbers contradict each other.
    """
    if not content.images:
        return {}
    if content.form == "positions":
        if count and count != len(content.images):
            raise InputError(
                f"{path}: lists {len(content.images)} frames, the video has {count}, and which they are is not said; "
                'write {"FRAME": [[x, y, width, height, score], …]} with frames from 0'
            )
        return {i: image.number for i, image in enumerate(content.images)}
    kind, found = _numbers(path, content, count)
    found = _of_video(path, found, video)
    if kind == "name":
        _check_agreement(path, found)
    numbers = {entry.number for entry in found}
    base = _base(content.form, kind, found, numbers, count) if first is None else first
    if base is None:
        raise InputError(
            f"{path}: its frames are numbered {_some(numbers)}; whether they count from 0 or from 1 is not shown; "
            f"give {FLAG}=0 or {FLAG}=1"
        )
    frames: dict[int, _Numbered] = {}
    for entry in found:
        if entry.number < base:
            raise InputError(f"{path}: {entry.image.place} has the number {entry.number}; {FLAG}=1 counts from 1")
        other = frames.setdefault(entry.number - base, entry)
        if other is not entry:
            raise InputError(
                f"{path}: {other.image.place} and {entry.image.place} are both frame {entry.number}; correct one"
            )
    return {entry.index: frame for frame, entry in frames.items()}


def _numbers(path: Any, content: Content, count: int) -> tuple[str, list[_Numbered]]:
    """The number of every image, all from names, or all from numbers, or all from ids."""
    images = list(enumerate(content.images))
    for kind in ("name", "number", "identity"):
        given = [image for _, image in images if getattr(image, kind) is not None]
        if len(given) == len(images):
            break
        if given and kind == "name":
            without = next(image for _, image in images if image.name is None)
            raise InputError(
                f"{path}: {without.place} has no name of its image, others have one; give it to all or to none"
            )
    if kind == "name":
        return kind, [_of_name(path, i, image) for i, image in images]
    if kind == "number":
        return kind, [_Numbered(i, image, (), image.number) for i, image in images]
    identities = [image.identity for _, image in images]
    if _holds_videos(path, identities, count):
        return "scheme", [
            _Numbered(i, image, (f"{image.identity // FRAMES_A_VIDEO % 10**6:06d}",), image.identity % FRAMES_A_VIDEO)
            for i, image in images
        ]
    return "identity", [_Numbered(i, image, (), image.identity) for i, image in images]


def _holds_videos(path: Any, identities: list[int], count: int) -> bool:
    """Whether ids are video · 10⁴ + frame, and not frame numbers."""
    low, high = min(identities), max(identities)
    if high < FRAMES_A_VIDEO or high < count:
        return False
    if low >= FRAMES_A_VIDEO:
        return True
    if high >= 100 * FRAMES_A_VIDEO:
        raise InputError(f"{path}: the image ids {low} and {high} do not number frames alike; correct one of them")
    return False


def _of_name(path: Any, index: int, image: Image) -> _Numbered:
    """The last digits of the image's name."""
    parts = pathlib.PurePosixPath(image.name.replace("\\", "/"))
    digits = re.search(r"([0-9]+)[^0-9]*$", parts.stem)
    if not digits or len(digits[1].lstrip("0")) > 9:
        what = "ends in no frame number" if not digits else "ends in a number that is no frame's"
        raise InputError(f"{path}: {image.place} has the image name {image.name[:80]!r}, which {what}; correct it")
    around = parts.stem[: digits.start()], parts.stem[digits.end(1) :]
    return _Numbered(index, image, (parts.parent.name, *around), int(digits[1]), digits[1])


def _of_video(path: Any, found: list[_Numbered], video: str) -> list[_Numbered]:
    """The images of one video; its name is that of the folder, or what stands before the digits."""
    videos = {entry.video for entry in found}
    if len(videos) < 2:
        return found
    labels = {key: [label for label in (key[0], *(part.strip("_-. ") for part in key[1:2])) if label] for key in videos}
    # An image id carries the number of the video alone, a name all of it.
    chosen = {key for key in videos if any(name == video or video.startswith(f"{name}_") for name in labels[key])}
    if len(chosen) != 1:
        names = sorted({label for known in labels.values() for label in known[:1]})
        raise InputError(
            f"{path}: holds {len(videos)} videos ({', '.join(name[:40] for name in names[:3])}, …), not one of them "
            f"named {video!r}; cut out the entries of this video, or name the video file after it"
        )
    return [entry for entry in found if entry.video in chosen]


def _check_agreement(path: Any, found: list[_Numbered]) -> None:
    """Names and ids that both number the frames must do so alike.

    Ids that lie a constant apart from the numbers of the names agree. Others may be a mere count of the images or of a
    data set; they contradict the names where they are of PoseTrack's form or are the same numbers in another order.
    """
    for kind in ("identity", "number"):
        both = [(entry, getattr(entry.image, kind)) for entry in found if getattr(entry.image, kind) is not None]
        if not both:
            continue
        gaps = {value - entry.number for entry, value in both}
        values, numbers = sorted(value for _, value in both), sorted(entry.number for entry, _ in both)
        if len(gaps) == 1:
            gap = gaps.pop() % FRAMES_A_VIDEO
            wrong = kind == "identity" and values[0] >= POSETRACK_ID and gap not in (0, 1, FRAMES_A_VIDEO - 1)
        else:
            same_video = values[0] >= FRAMES_A_VIDEO and values[0] // FRAMES_A_VIDEO == values[-1] // FRAMES_A_VIDEO
            apart = {a - b for a, b in zip(values, numbers)}
            wrong = kind == "number" or same_video or (len(apart) == 1 and apart <= {-1, 0, 1})
        if wrong:
            gap = both[0][1] - both[0][0].number
            entry, value = next((pair for pair in both if pair[1] - pair[0].number != gap), both[0])
            raise InputError(
                f"{path}: {entry.image.place} has the name {entry.image.name[:80]!r} and the number {value}, which "
                f"name different frames (in {both[0][0].image.place} they are {gap} apart); correct one of them"
            )


def _base(form: str, kind: str, found: list[_Numbered], numbers: set[int], count: int) -> int | None:
    """What the numbers count from; the rules of the module, in order."""
    least, most = min(numbers), max(numbers)
    identities = [entry.image.identity for entry in found]
    known = None not in identities
    posetrack = known and min(identities) >= POSETRACK_ID and {i % FRAMES_A_VIDEO for i in identities} == numbers
    if kind == "name":
        posetrack |= all(_POSETRACK_VIDEO.fullmatch(entry.video[0]) and len(entry.digits) == 6 for entry in found)
    if least == 0 or posetrack:
        return 0
    gapless = len(numbers) > 1 and least == 1 and most == len(numbers)
    if count and most == count:
        return 1 if form != "frames" or gapless else None  # that form counts from 0 by what its users are told
    if form == "mot" or (kind == "name" and all(len(entry.digits) == 8 for entry in found)):
        return 1
    six = kind == "name" and all(len(entry.digits) == 6 and not any(entry.video[1:]) for entry in found)
    if form == "frames":
        return 0
    if least == 1:  # the first image that is there is more likely the first frame than the second
        return 1 if kind == "name" or (kind != "scheme" and gapless) else None
    return 0 if six or kind == "scheme" else None


def _some(numbers: Iterable[int]) -> str:
    listed = sorted(numbers)
    return ", ".join(map(str, listed[:3])) + (", …" if len(listed) > 3 else "")
