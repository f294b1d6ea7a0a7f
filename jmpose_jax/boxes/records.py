"""What a box file says, before it is known which frame is meant."""

import dataclasses
from typing import Any

from jmpose_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Image:
    """A frame as the file names it; at least one of name, identity and number is given.

    Attributes:
      place: where in the file, for messages.
      name: path of its image.
      identity: number from 0 that identifies it.
      number: what the file calls the frame's number.
      video: what the file calls its video, beside the name of the image.
      size: (width, height) that the file gives for it, pixels.
      entry: what a list of `images` says of it; else empty.
    """

    place: str
    name: str | None = None
    identity: int | None = None
    number: int | None = None
    video: str | None = None
    size: tuple[int, int] | None = None
    entry: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Row:
    """One box.

    Attributes:
      place: where in the file, for messages.
      image: index of its image.
      box: (x, y, width, height), pixels.
      score: the detector's.
      person: whether its category is that of people.
      track: identity, by number or by name, or None.
      crowd: whether it is around a crowd, not around one person.
    """

    place: str
    image: int
    box: tuple[float, float, float, float]
    score: float
    person: bool = True
    track: int | str | None = None
    crowd: bool = False


@dataclasses.dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
      form: "images", "list", "frames", "positions", "mot" or "csv"; see `reader`.
      images: the frames that it names.
      rows: its boxes, in the order of the file.
    """

    form: str
    images: tuple[Image, ...]
    rows: tuple[Row, ...]


class Builder:
    """Collects rows, and the images that they name once each."""

    def __init__(self, path: Any):
        """Start with nothing; `path` is the file's name for messages."""
        self.path = path
        self.images: list[Image] = []
        self.rows: list[Row] = []
        self._index: dict[Any, int] = {}

    def image(self, image: Image) -> int:
        """The index of an image. One name with two numbers, or one without a name beside others, is refused."""
        named = next(
            v for v in ((image.name, "name"), (image.identity, "id"), (image.number, "number")) if v[0] is not None
        )
        key = (*named, image.video)
        if key not in self._index:
            self._index[key] = len(self.images)
            self.images.append(image)
        known = self.images[self._index[key]]
        for kind in ("identity", "number", "size"):
            values = getattr(known, kind), getattr(image, kind)
            if None not in values and values[0] != values[1]:
                what = "size" if kind == "size" else "number"
                raise InputError(
                    f"{self.path}: {image.place} gives {key[0]!r} the {what} {values[1]}, "
                    f"{known.place} gives it {values[0]}; correct one of them"
                )
        return self._index[key]

    def content(self, form: str) -> Content:
        return Content(form, tuple(self.images), tuple(self.rows))
