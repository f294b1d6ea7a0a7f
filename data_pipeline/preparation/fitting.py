"""Annotations against the pixels of their image: the size that both state, and the EXIF tag that turns the image."""

import dataclasses

import numpy as np

from data_pipeline.clips.jpeg import turned_size
from data_pipeline.sources.annotations import Frame, Person

SIZE_MISMATCH = ("refuse", "scale", "ignore")
ORIENTATION = ("auto", "stored", "upright")
SHAPE_TOLERANCE = 0.02  # of the ratio of the two scales: sizes are rounded to pixels
OUTSIDE = 1.1  # joints may lie a little outside their image, not further than this times its size
# Names of the findings; `source_check.CONSEQUENCES` says what is done about each.
OTHER_SIZE = "frame of another size than its annotations state"
UNSETTLED = "frame with an EXIF orientation that its annotations do not settle"
TURNED = "EXIF orientation: frame turned upright"
AS_STORED = "EXIF orientation: frame taken as stored"
SCALED = "size: annotations scaled to the frame's"
IGNORED = "size: difference between annotations and frame ignored"
# Values of the embedded data set in pixels; its own sizes always agree.
PIXEL_EXTRAS = ("joint_speed", "joint_motion", "box_height")


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A frame and the (height, width) of its pixels as they will be stored.

    Attributes:
      frame: with annotations of these pixels.
      size: (height, width).
      fault: name of what does not fit, "" where all does.
      notes: names of what was done.
      facts: both sides of the difference, for messages.
    """

    frame: Frame
    size: tuple[int, int]
    fault: str = ""
    notes: tuple[str, ...] = ()
    facts: str = ""


def fit(
    frame: Frame, stored: tuple[int, int], orientation: int, size_mismatch: str = "refuse", turn: str = "auto"
) -> Fitted:
    """Bring a frame's annotations and pixels together.

    Args:
      frame: as it was read.
      stored: (height, width) of the pixels in the file.
      orientation: of its EXIF tag, 1 to 8.
      size_mismatch: what becomes of annotations of another size: "refuse", "scale" them, or "ignore" the difference.
        Not scaled is what has another shape, or joints outside the size that it states.
      turn: the pixels that the annotations mean: "stored", as the file holds them; "upright", as its tag turns them;
        "auto", whichever has the size that the annotations state, a fault where that does not tell.

    Returns:
      The frame to store, and what was found.
    """
    facts = f"annotated {_size(frame.stated_size)}, the file has {_size(stored)}"
    if orientation != 1:
        facts += f", turned by its EXIF orientation {orientation} {_size(turned_size(stored, orientation))}"
    facts += " (width × height)"
    applied = _settled(frame.stated_size, stored, orientation, turn)
    if applied is None:
        return Fitted(frame, stored, UNSETTLED, facts=facts)
    notes = () if orientation == 1 else (AS_STORED if applied == 1 else TURNED,)
    size = turned_size(stored, applied)
    frame = dataclasses.replace(frame, turn=applied)
    if frame.stated_size is None or frame.stated_size == size:
        return Fitted(frame, size, notes=notes, facts=facts)
    if size_mismatch == "ignore":
        return Fitted(frame, size, notes=(*notes, IGNORED), facts=facts)
    scale = np.array(size[::-1]) / np.array(frame.stated_size[::-1])
    reach = _reach(frame)
    if (reach > OUTSIDE * np.array(frame.stated_size[::-1])).any():
        # The stated size is the wrong fact then: scaling would move joints that are right.
        facts += f"; annotated joints reach to {reach[0]:.0f} × {reach[1]:.0f}, beyond the annotated size"
        return Fitted(frame, size, OTHER_SIZE, notes, facts)
    if size_mismatch == "refuse" or abs(scale[0] / scale[1] - 1) > SHAPE_TOLERANCE:
        return Fitted(frame, size, OTHER_SIZE, notes, facts)
    return Fitted(_scaled(frame, scale, size), size, notes=(*notes, SCALED), facts=facts)


def _settled(stated: tuple[int, int] | None, stored: tuple[int, int], orientation: int, turn: str) -> int | None:
    """The orientation to apply; None where nothing tells which pixels the annotations mean."""
    if orientation == 1 or turn != "auto":
        return orientation if turn == "upright" else 1
    upright = turned_size(stored, orientation)
    if stated is None or upright == stored:
        return None
    if stated in (stored, upright):
        return orientation if stated == upright else 1
    if stated[0] == stated[1]:
        return None
    return orientation if (stated[0] > stated[1]) == (upright[0] > upright[1]) else 1


def _reach(frame: Frame) -> np.ndarray:
    """float64 [2]: the largest x and y of the annotated joints."""
    points = [person.keypoints[person.annotated, :2] for person in frame.persons]
    return np.concatenate([*points, np.zeros((1, 2))]).max(axis=0)


def _scaled(frame: Frame, scale: np.ndarray, size: tuple[int, int]) -> Frame:
    people = tuple(_scaled_person(person, scale) for person in frame.persons)
    regions = tuple(region * scale for region in frame.ignore_regions)
    return dataclasses.replace(frame, persons=people, ignore_regions=regions, stated_size=size)


def _scaled_person(person: Person, scale: np.ndarray) -> Person:
    extras = {key: value for key, value in person.extras.items() if key not in PIXEL_EXTRAS}
    if "area" in extras:
        extras["area"] *= float(scale.prod())
    return dataclasses.replace(
        person,
        keypoints=person.keypoints * [*scale, 1],
        box=person.box * np.tile(scale, 2),
        head_box=person.head_box * np.tile(scale, 2),
        extras=extras,
    )


def _size(size: tuple[int, int] | None) -> str:
    return "without a size" if size is None else f"{size[1]} × {size[0]}"
