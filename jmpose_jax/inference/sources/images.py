"""Pictures as a source: frames of a video, or each by itself."""

import itertools
import pathlib
import re
import statistics
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from jmpose_jax.errors import InputError
from jmpose_jax.inference.sources.picture_file import PICTURES, Picture, picture_size, read_picture
from jmpose_jax.inference.video.reader import RESULTS, Frame

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg")
RATE = Fraction(25)  # of what is drawn where pictures have no times
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
        self._transparent: set[int] = set()
        self._left: list[str] = []
        self.unread = ""  # what a pattern matched beside them, as a part of the remark
        heads = [picture_size(file) for file in files]
        known = [size for size in heads if size is not None]
        first = next((found.image for found in map(read_picture, files) if isinstance(found, Picture)), None)
        if first is None:
            raise InputError(
                f"{files[0]}: {read_picture(files[0])}; give a picture that can be read"
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
        return cls(files, _name(folder), _absolute(folder) / (_name(folder) + RESULTS), related)

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
        found = cls(files, _name(folder), _absolute(folder).parent / (_name(folder) + RESULTS), related)
        found._left = [entry.name for entry in natural_order(entries) if entry.suffix.lower() in VIDEOS]
        return found

    @property
    def remark(self) -> str:
        """Which pictures could not be read, what was transparent, and what lies beside them unread."""
        left = f"; transparent, and read on white: {len(self._transparent)}" if self._transparent else ""
        left += f"; videos in the folder are not read: {', '.join(self._left[:FEW])}" if self._left else ""
        left += self.unread
        if not self._broken:
            return left
        named = [f"{' '.join(self.inputs[n].name.split())} ({why})" for n, why in sorted(self._broken.items())]
        more = f", … ({len(named)} in all)" if len(named) > FEW else ""
        return f"; cannot be read, and has no poses: {', '.join(named[:FEW])}{more}{left}"

    def frames(self) -> Iterator[Frame]:
        """The pictures in order; of one that cannot be read, that before it, or black."""
        image = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        for number, file in enumerate(self.inputs):
            found = read_picture(file)
            if isinstance(found, str):
                self._broken[number] = found
                yield Frame(image, number / RATE, lost=True, number=number, name=file.name)
                continue
            image = found.image
            if found.transparent:
                self._transparent.add(number)
            yield Frame(image, number / RATE, number=number, name=file.name)


def natural_order(files: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Files by name, numbers in it by their value: 2 before 10."""

    def key(path: pathlib.Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"([0-9]+)", str(path))
        return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]

    return sorted(files, key=key)


def _name(folder: pathlib.Path) -> str:
    return folder.absolute().resolve().name or "pictures"


def _absolute(folder: pathlib.Path) -> pathlib.Path:
    """With a name of its own at the end, which ".." is not."""
    return folder.resolve() if ".." in folder.parts else folder.absolute()


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
