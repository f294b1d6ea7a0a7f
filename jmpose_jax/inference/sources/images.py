"""Pictures as a source: frames of a video, or each by itself."""

import contextlib
import itertools
import os
import pathlib
import re
import statistics
import warnings
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jmpose_jax.errors import InputError
from jmpose_jax.inference.video.reader import RESULTS, Frame

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg")
RATE = Fraction(25)  # of what is drawn where pictures have no times
FAULTS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, UnidentifiedImageError)
FEW = 5  # broken pictures that are named
WIDEST = 60  # frames from one picture of a video to the next, at most


class Images:
    """Pictures in the order of their names, each in its own size, upright by its EXIF orientation.

    They are taken for frames of one video where all are of one size and their names differ in a number alone, which
    rises in steps of one length (a few may be missing); else each is estimated by itself. One that cannot be read has
    its number, no poses, and is named at the end.

    Attributes: see `sources.source.Source`.
    """

    pictures, timed = True, False
    missing, surplus, unsure = 0, 0, None
    rate, time_base = RATE, 1 / RATE

    def __init__(self, files: list[pathlib.Path], name: str, place: pathlib.Path, related: bool | None = None):
        """Look at the pictures' heads.

        Args:
          files: at least one, in order.
          name: of the results.
          place: for the results by default.
          related: whether they are frames of one video; None judges by their names and sizes.

        Raises:
          InputError: none of them can be read.
        """
        self.name, self.place, self.inputs = name, place, tuple(files)
        self.jumps: list[tuple[int, int]] = []
        self.announced_frames = self.expected_frames = len(files)
        self._broken: dict[int, str] = {}
        self._left: list[str] = []
        heads = [_size(file) for file in files]
        known = [size for size in heads if size is not None]
        first = next((found for found in map(_read, files) if isinstance(found, np.ndarray)), None)
        if first is None:
            raise InputError(
                f"{files[0]}: {_read(files[0])}; give a picture that can be read"
                + (f" (nor can any of the other {len(files) - 1})" if len(files) > 1 else "")
            )
        self.size = (first.shape[1], first.shape[0])
        judged = len(set(known)) == 1 and _numbered(files)
        self.related = len(files) > 1 and (judged if related is None else related)

    @classmethod
    def of_files(cls, files: list[pathlib.Path], related: bool | None = None) -> "Images":
        """Pictures by name; of several, the results are called after their folder."""
        files = natural_order(files)
        if len(files) == 1:
            (file,) = files
            return cls(files, file.stem, file.with_name(file.stem + RESULTS), related)
        folder = files[0].parent
        return cls(files, _name(folder), folder.absolute() / (_name(folder) + RESULTS), related)

    @classmethod
    def of_folder(cls, folder: pathlib.Path, flag: str = "--video", related: bool | None = None) -> "Images":
        """The pictures in a folder, not in those within it.

        Raises:
          InputError: it cannot be read, or holds none.
        """
        try:
            entries = list(folder.iterdir())
        except OSError as error:
            raise InputError(f"{flag} {folder}: cannot be read ({error.strerror})") from error
        files = natural_order(e for e in entries if e.suffix.lower() in PICTURES and not e.name.startswith("."))
        if not files:
            other = ", ".join(sorted({e.suffix or e.name for e in entries})[:4])
            raise InputError(
                f"{flag} {folder}: this folder holds no pictures ({', '.join(PICTURES)})"
                + (f", but {other}; give the videos in it by name" if entries else "; it is empty")
            )
        absolute = folder.absolute()
        found = cls(files, _name(folder), absolute.with_name(_name(folder) + RESULTS), related)
        found._left = [entry.name for entry in natural_order(entries) if entry.suffix.lower() in VIDEOS]
        return found

    @property
    def remark(self) -> str:
        """Which pictures could not be read, and which videos lie beside them."""
        left = f"; videos in the folder are not read: {', '.join(self._left[:FEW])}" if self._left else ""
        if not self._broken:
            return left
        named = [f"{' '.join(self.inputs[n].name.split())} ({why})" for n, why in sorted(self._broken.items())]
        more = f", … ({len(named)} in all)" if len(named) > FEW else ""
        return f"; cannot be read, and has no poses: {', '.join(named[:FEW])}{more}{left}"

    def frames(self) -> Iterator[Frame]:
        """The pictures in order; of one that cannot be read, that before it, or black."""
        image = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        for number, file in enumerate(self.inputs):
            found = _read(file)
            if isinstance(found, str):
                self._broken[number] = found
                yield Frame(image, number / RATE, lost=True, number=number, name=file.name)
                continue
            image = found
            yield Frame(image, number / RATE, number=number, name=file.name)


def natural_order(files: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Files by name, numbers in it by their value: 2 before 10."""

    def key(path: pathlib.Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"([0-9]+)", str(path))
        return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]

    return sorted(files, key=key)


def _name(folder: pathlib.Path) -> str:
    return folder.absolute().resolve().name or "pictures"


def _numbered(files: list[pathlib.Path]) -> bool:
    """Whether the names differ in one number alone, the last in each, and it rises as a video's frames do.

    Data sets name unrelated pictures by numbers too: those lie at no regular distance.
    """
    patterns, numbers = set(), []
    for file in files:
        found = re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", file.stem, re.DOTALL)
        if not found:
            return False
        patterns.add((file.parent, found[1], found[3], file.suffix))
        numbers.append(int(found[2]))
    if len(patterns) > 1:
        return False
    steps = [b - a for a, b in itertools.pairwise(sorted(numbers))]
    usual = statistics.mode(steps) if steps else 1
    return 0 < usual <= WIDEST and all(step % usual == 0 for step in steps) and sum(steps) <= 2 * usual * len(steps)


def _size(file: pathlib.Path) -> tuple[int, int] | None:
    """(width, height) of the upright picture, by its head; None where that cannot be read."""
    try:
        with _quiet(), Image.open(file) as image:
            width, height = image.size
            # Of TIFF, Pillow turns the size by itself.
            turned = image.format != "TIFF" and image.getexif().get(0x0112, 1) >= 5
            return (height, width) if turned else (width, height)
    except FAULTS:
        return None


def _eight_bits(gray: np.ndarray) -> np.ndarray:
    """Grey levels as bytes: of 0..1, of 0..255 or of 16 bits, by the largest of them."""
    largest = np.nanmax(gray, initial=0)
    scale = 255 if largest <= 1 else 1 if largest <= 255 else 1 / 257
    return np.nan_to_num(gray * scale).clip(0, 255).round().astype(np.uint8)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Pillow warns of (large pictures, odd palettes) is no matter of the user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(file: pathlib.Path) -> np.ndarray | str:
    """The picture as uint8 RGB, upright; or why it cannot be read."""
    try:
        if not os.path.getsize(file):
            return "it is empty"
        with _quiet(), Image.open(file) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode in ("F", "I") or image.mode.startswith("I;16"):  # more than 8 bits a pixel
                image = Image.fromarray(_eight_bits(np.asarray(image, np.float64)))
            return np.ascontiguousarray(image.convert("RGB"))
    except FAULTS as error:
        said = " ".join(str(error).replace(str(file), "").split())[:80].strip(" :'\"")
        return said or type(error).__name__
