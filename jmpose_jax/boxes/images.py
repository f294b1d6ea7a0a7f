"""The `images` of a result: those of the box file where it lists the frame, others in the same way."""

import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any


def frame_images(known: Mapping[int, dict[str, Any]], frames: Iterable[int], video: str) -> tuple[dict[str, Any], ...]:
    """One entry with `id` and `file_name` for each frame.

    An entry that is made up goes on as the known ones do, where all ids lie a constant apart from the frames and all
    names differ in their last digits alone; else it takes ids and names that occur nowhere.

    Args:
      known: entries of the box file by frame from 0, each with an `id`; may be empty.
      frames: the frames of the result, from 0.
      video: name of the video, for names that are made up.
    """
    gaps = {entry["id"] - frame for frame, entry in known.items()}
    shift = gaps.pop() if len(gaps) == 1 else max((entry["id"] for entry in known.values()), default=-1) + 1
    names = _Names(known, video)
    ids = {entry["id"] for entry in known.values()}
    images = []
    for frame in frames:
        entry = dict(known.get(frame, {}))
        if not entry:
            while frame + shift in ids or frame + shift < 0:  # a known shift gives each frame an id of its own
                shift = max(ids) + 1
            entry["id"] = frame + shift
        entry.setdefault("file_name", names(frame))
        images.append(entry)
    return tuple(images)


class _Names:
    """Names of frames in the pattern of those that are known."""

    def __init__(self, known: Mapping[int, dict[str, Any]], video: str):
        self._taken = {entry["file_name"] for entry in known.values() if "file_name" in entry}
        self._video = video
        self._pattern = self._find({f: entry["file_name"] for f, entry in known.items() if "file_name" in entry})

    @staticmethod
    def _find(names: Mapping[int, str]) -> tuple[str, str, int, int] | None:
        """What stands before and after the digits, their number, and what the first frame is called."""
        patterns = set()
        for frame, name in names.items():
            end = len(name) - len(pathlib.PurePosixPath(name).suffix)
            digits = re.search(r"([0-9]+)[^0-9]*$", name[:end])
            if not digits:
                return None
            patterns.add((name[: digits.start()], name[digits.end(1) :], len(digits[1]), int(digits[1]) - frame))
        return patterns.pop() if len(patterns) == 1 else None

    def __call__(self, frame: int) -> str:
        if self._pattern:
            before, after, width, first = self._pattern
            return f"{before}{frame + first:0{width}d}{after}"
        name = f"{self._video}/{frame:06d}.jpg"
        while name in self._taken:
            name = f"_{name}"
        return name
