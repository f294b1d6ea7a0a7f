"""Which frame of the video each image of a box file is.

The number is that of the image's name, else that of its id (PoseTrack18's ids are video · 10⁴ + frame), never its place
in a list; a number that the file gives as the frame's counts before an id. Whether numbers count from 0 or from 1 is
what the file shows, the first of these that holds:

1. a number 0 is there: from 0;
2. names or ids as PoseTrack18 writes them: from 0;
3. the largest number is the number of frames of the video: from 1 (of {"frame": …} only where none is left out);
4. PoseTrack17's eight digits and MOT text: from 1; {"frame": …}: from 0, where the number of frames is known;
5. numbers from 1 to the number of frames less one: not shown, as the first frame may be without people;
6. names that start at 1, as ffmpeg writes them, and ids 1, 2, … without a gap: from 1;
7. names of six digits, as PoseTrack18 has them, and ids video · 10⁴ + frame, that do not start at 1: from 0.

Where none holds the file is refused, unless the caller says it.
"""

import dataclasses
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from jmpose_jax.boxes.naming import FRAMES_A_VIDEO, POSETRACK_ID, contradicts_scheme, posetrack_video, stem
from jmpose_jax.boxes.records import Content, Image
from jmpose_jax.errors import InputError

# Folders that are called after what is in them and not after a video.
_PLAIN_FOLDERS = ("images", "image", "img", "img1", "imgs", "frames", "frame", "jpg", "png")
FLAG = "--boxes_from"


@dataclasses.dataclass(frozen=True)
class _Numbered:
    """The number of one image, and where it was read.

    `video` is (what the file calls it, the folder, what stands around the digits), as much of it as is known.
    """

    index: int
    image: Image
    video: tuple[str, ...]
    number: int
    digits: str = ""


@dataclasses.dataclass(frozen=True)
class Frames:
    """Which frame each image is.

    Attributes:
      by_image: frame from 0 by index of the image; images of other videos are absent.
      first: what the file counts from, 0 or 1.
      notes: what the user should know of it, one line each.
    """

    by_image: dict[int, int]
    first: int = 0
    notes: tuple[str, ...] = ()


def frames_of(
    path: Any, content: Content, video: str = "", count: int = 0, first: int | None = None, exact: bool = True
) -> Frames:
    """The frame of each image of the video.

    Args:
      path: the file, for messages.
      content: what it holds.
      video: name of the video, to pick its images where the file is of several.
      count: number of frames of the video, 0 where it is not known.
      first: 0 or 1, what the file counts from; None lets it show that itself.
      exact: whether `count` is what the video says of itself, and no estimate.

    Raises:
      InputError: it cannot be told, or names, ids and numbers contradict each other.
    """
    if not content.images:
        return Frames({})
    if content.form == "positions":
        if count and abs(count - len(content.images)) > (0 if exact else 2):
            about = f"{'' if exact else 'about '}{count}"
            raise InputError(
                f"{path}: lists {len(content.images)} frames, the video has {about}, and which they are is not said; "
                'write {"FRAME": [[x, y, width, height, score], …]} with frames from 0'
            )
        return Frames({i: image.number for i, image in enumerate(content.images)})
    kind, found = _numbers(path, content, count)
    found, notes = _of_video(path, found, video)
    _check_agreement(path, found, kind)
    numbers = {entry.number for entry in found}
    base = _base(content.form, kind, found, numbers, count, exact) if first is None else first
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
    if base:
        notes = (*notes, "frames of the box file count from 1")
    return Frames({entry.index: frame for frame, entry in frames.items()}, base, notes)


def _numbers(path: Any, content: Content, count: int) -> tuple[str, list[_Numbered]]:
    """The number of every image, all from names, or all from numbers, or all from ids."""
    images = list(enumerate(content.images))
    for kind in ("name", "number", "identity"):
        given = [image for _, image in images if getattr(image, kind) is not None]
        if len(given) == len(images):
            break
        if given and kind != "identity":
            without = next(image for _, image in images if getattr(image, kind) is None)
            what = "name of its image" if kind == "name" else "number of its frame"
            raise InputError(f"{path}: {without.place} has no {what}, others have one; give it to all or to none")
    if kind == "name":
        return kind, [_of_name(path, i, image) for i, image in images]
    if kind == "number":
        return kind, [_Numbered(i, image, (image.video or "",), image.number) for i, image in images]
    identities = [image.identity for _, image in images]
    if _holds_videos(path, identities, count):
        return "scheme", [
            _Numbered(
                i,
                image,
                (image.video or "", f"{image.identity // FRAMES_A_VIDEO % 10**6:06d}"),
                image.identity % FRAMES_A_VIDEO,
            )
            for i, image in images
        ]
    return "identity", [_Numbered(i, image, (image.video or "",), image.identity) for i, image in images]


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
    text = stem(parts.name)
    digits = re.search(r"([0-9]+)[^0-9]*$", text)
    time = re.search(r"[0-9][.,:][0-9]+[^0-9]*$", text)
    if not digits or time or len(digits[1].lstrip("0")) > 9:
        what = "ends in no frame number" if not digits else "ends in a number that is no frame's"
        what = "looks like a time and not like a frame's number" if time else what
        raise InputError(f"{path}: {image.place} has the image name {image.name[:80]!r}, which {what}; correct it")
    around = text[: digits.start()], text[digits.end(1) :]
    return _Numbered(index, image, (image.video or "", parts.parent.name, *around), int(digits[1]), digits[1])


def _of_video(path: Any, found: list[_Numbered], video: str) -> tuple[list[_Numbered], tuple[str, ...]]:
    """The images of one video, and what should be said of its name.

    The name of a video is what the file calls it, that of the folder, or what stands before the digits.
    """
    videos = {entry.video for entry in found}
    labels = {
        key: [label for label in (*key[:2], *(part.strip("_-. ") for part in key[2:3])) if label] for key in videos
    }
    if len(videos) == 1:
        return found, _note_on_video(path, [name for name in found[0].video[:2] if name], video)
    chosen = {key for key in videos if video in labels[key]} if video else set()
    if len(chosen) != 1:
        chosen = {key for key in videos if any(_is_of(name, video) for name in labels[key])}
    if len(chosen) != 1:
        names = sorted({label for known in labels.values() for label in known[:1]})
        raise InputError(
            f"{path}: holds {len(videos)} videos ({', '.join(name[:40] for name in names[:3])}, …), not one of them "
            f"named {video!r}; cut out the entries of this video, or name the video file after it"
        )
    return [entry for entry in found if entry.video in chosen], ()


def _note_on_video(path: Any, names: list[str], video: str) -> tuple[str, ...]:
    """What to say where the one video of a file has another name; another one of PoseTrack's is refused."""
    names = [name for name in names if name.lower() not in _PLAIN_FOLDERS]
    if not video or not names or any(_is_of(name, video) for name in names):
        return ()
    ours = posetrack_video(video)
    for name in names if ours else ():
        theirs = name if re.fullmatch("[0-9]{6}", name) else posetrack_video(name)  # an image id gives the digits alone
        if theirs == ours:
            return ()
        if theirs:
            raise InputError(
                f"{path}: its boxes are of the video {name[:60]!r}, the video is {video!r}; give the boxes of this "
                "video, or correct the name of the file"
            )
    words = [name for name in names if not name.isdecimal()]  # a number in a table says little
    return tuple(f"the box file calls its video {name[:60]!r}" for name in words[:1])


def _is_of(name: str, video: str) -> bool:
    """Whether a name is the video's. An image id carries its number alone, a table may name the file."""
    return video in (name, stem(name)) or video.startswith(f"{name}_")


def _check_agreement(path: Any, found: list[_Numbered], kind: str) -> None:
    """Names, numbers and ids that number the frames must do so alike.

    Ids may be any numbers, also a count of the images in another order; those of PoseTrack's scheme tell the frame.
    """
    if kind in ("name", "number"):
        for entry in found:
            fault = contradicts_scheme(entry.image)
            if fault:
                raise InputError(f"{path}: {entry.image.place} {fault}")
    for other in {"name": ("identity", "number"), "number": ("identity",)}.get(kind, ()):
        both = [(entry, getattr(entry.image, other)) for entry in found if getattr(entry.image, other) is not None]
        if not both:
            continue
        gaps = {value - entry.number for entry, value in both}
        values = sorted(value for _, value in both)
        least = FRAMES_A_VIDEO if kind == "name" else POSETRACK_ID
        same_video = values[0] >= least and values[0] // FRAMES_A_VIDEO == values[-1] // FRAMES_A_VIDEO
        ordered = [value for _, value in sorted(both, key=lambda pair: pair[0].number)]
        counted = values[0] < POSETRACK_ID and ordered == list(
            range(values[0], values[0] + len(values))
        )  # the images, one after the other
        if len(gaps) > 1 and (other == "number" or (same_video and not counted)):
            gap = both[0][1] - both[0][0].number
            entry, value = next((pair for pair in both if pair[1] - pair[0].number != gap), both[0])
            named = f"name {entry.image.name[:80]!r}" if kind == "name" else f"frame's number {entry.number}"
            raise InputError(
                f"{path}: {entry.image.place} has the {named} and the number {value}, which "
                f"name different frames (in {both[0][0].image.place} they are {gap} apart); correct one of them"
            )


def _base(form: str, kind: str, found: list[_Numbered], numbers: set[int], count: int, exact: bool) -> int | None:
    """What the numbers count from; the rules of the module, in order."""
    least, most = min(numbers), max(numbers)
    identities = [entry.image.identity for entry in found]
    known = None not in identities
    posetrack = known and min(identities) >= POSETRACK_ID and {i % FRAMES_A_VIDEO for i in identities} == numbers
    if kind == "name":
        posetrack |= all(posetrack_video(entry.video[1]) and len(entry.digits) == 6 for entry in found)
    if least == 0 or posetrack:
        return 0
    gapless = len(numbers) > 1 and least == 1 and most == len(numbers)
    if count and most == count:
        return 1 if form != "frames" or gapless else None  # that form counts from 0 by what its users are told
    if form == "mot" or (kind == "name" and all(len(entry.digits) == 8 for entry in found)):
        return 1
    six = kind == "name" and all(len(entry.digits) == 6 and not any(entry.video[2:]) for entry in found)
    if form == "frames":
        return 0 if count and (exact or not gapless) else None
    if least == 1:
        if most == count - 1:
            return None  # the first frame is without people, or the last
        # the first image that is there is more likely the first frame than the second
        return 1 if kind == "name" or (kind != "scheme" and gapless) else None
    return 0 if six or kind == "scheme" else None


def _some(numbers: Iterable[int]) -> str:
    listed = sorted(numbers)
    return ", ".join(map(str, listed[:3])) + (", …" if len(listed) > 3 else "")
