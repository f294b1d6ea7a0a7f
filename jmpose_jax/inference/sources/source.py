"""What is read, by the words that a user gives for it."""

import glob
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Protocol

from jmpose_jax.errors import InputError
from jmpose_jax.inference.results import OVERLAY
from jmpose_jax.inference.sources.images import PICTURES, Images, natural_order
from jmpose_jax.inference.sources.live import Camera, Stream
from jmpose_jax.inference.sources.pictures import OVERLAY_FOLDER, OVERLAY_PICTURE
from jmpose_jax.inference.video.reader import Frame, VideoReader


class Source(Protocol):
    """Frames in the order of time, and what is known of them.

    `VideoReader` is one, and says what the numbers mean that a damaged file leaves in doubt.

    Attributes:
      name: of the results.
      place: the folder for results where the user names none.
      inputs: files that are read, which no result may replace.
      related: whether the frames follow each other in time; pictures that do not are estimated each by itself.
      pictures: whether the frames are pictures with names of their own, and so are those with poses on them.
      timed: whether times are known.
      rate, time_base: frames a second, and the unit of times in seconds.
      size: (width, height) of the first frame.
      announced_frames, expected_frames: how many the source says that it has, and an estimate; 0 where not known.
      missing, surplus, unsure, jumps: see `VideoReader`.
      remark: after all frames were read, what else the user should know, "" or "; …".
    """

    name: str
    place: pathlib.Path
    inputs: tuple[pathlib.Path, ...]
    related: bool
    pictures: bool
    timed: bool
    rate: Fraction
    time_base: Fraction
    size: tuple[int, int]
    announced_frames: int
    expected_frames: int
    missing: int
    surplus: int
    unsure: int | None
    jumps: list[tuple[int, int]]
    remark: str

    def frames(self) -> Iterator[Frame]:
        """The frames, once."""


def open_sources(words: Sequence[str], flag: str = "--video", related: bool | None = None) -> list[Source]:
    """Open what a user named, in order.

    A word is a video file, a picture, a folder or a pattern of pictures (a pattern of videos is as many sources), the
    number of a camera or a URL. Pictures that stand side by side among the words are one source: a shell turns *.jpg
    into them.

    Args:
      words: as given, at least one.
      flag: what stands before a word in messages.
      related: whether pictures that make one source are frames of one video; None judges by names and sizes.

    Raises:
      InputError: a word is nothing that can be read; it says what it is, and what to give.
    """
    sources: list[Source] = []
    pictures: list[pathlib.Path] = []

    def end_pictures() -> None:
        if pictures:
            sources.append(Images.of_files(list(pictures), related))
            pictures.clear()

    for word in words:
        if os.path.isfile(word) and pathlib.Path(word).suffix.lower() in PICTURES:
            pictures.append(pathlib.Path(word))
            continue
        end_pictures()
        sources += _opened(word, flag, related)
    end_pictures()
    return sources


def _opened(word: str, flag: str, related: bool | None) -> list[Source]:
    if not word.strip():
        raise InputError(f"{flag} {word!r}: is no name; give a video, a picture, a folder, a camera's number or a URL")
    path = pathlib.Path(word)
    if os.path.isdir(path):
        return [Images.of_folder(path, flag, related)]
    if not os.path.lexists(path):
        if re.fullmatch(r"[0-9]{1,3}", word):
            return [Camera(int(word))]
        if re.match(r"[a-z][a-z0-9+.-]*://", word, re.IGNORECASE):
            return [Stream(word)]
        if glob.has_magic(word):
            return _matching(word, flag, related)
    # Of all else the reader of videos says what it is.
    try:
        return [VideoReader(path, flag)]
    except InputError as fault:
        raise InputError(str(fault).replace(str(path), word, 1)) from None


def _matching(pattern: str, flag: str, related: bool | None) -> list[Source]:
    files = [pathlib.Path(found) for found in glob.glob(pattern, recursive=True)]
    files = natural_order(file for file in files if file.is_file())
    if not files:
        raise InputError(f"{flag} {pattern}: no file matches this pattern")
    # A second run with '**/*.jpg' means the pictures again; who asks for overlays alone gets them.
    earlier = {file for file in files if _is_overlay(file)}
    unread = ""
    if 0 < len(earlier) < len(files):
        files = [file for file in files if file not in earlier]
        unread = f"; overlays of earlier results are not read: {len(earlier)}"
    found = [file for file in files if file.suffix.lower() in PICTURES]
    if found and len(found) < len(files):
        other = next(file for file in files if file not in found)
        raise InputError(f"{flag} {pattern}: matches pictures and other files ({other.name}); narrow the pattern")
    if not found:
        videos = [VideoReader(file, flag) for file in files]
        videos[0].remark = unread
        return videos
    images = Images.of_files(found, related)
    images.unread = unread
    return [images]


def _is_overlay(file: pathlib.Path) -> bool:
    """Whether the file is the overlay of a prediction: it is named so, and the poses lie beside it."""
    folder = file.parent.parent if file.parent.name == OVERLAY_FOLDER else file.parent
    named = folder != file.parent or file.name in (OVERLAY, OVERLAY_PICTURE)
    return named and (folder / "poses.json").is_file() and (folder / "poses.csv").is_file()
