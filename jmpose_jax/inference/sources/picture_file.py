"""One picture of any kind as uint8 RGB, upright, or why it cannot be read."""

import contextlib
import ctypes
import dataclasses
import functools
import os
import pathlib
import re
import warnings
from collections.abc import Iterator

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FAULTS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, UnidentifiedImageError)
GROUND = (255, 255, 255)  # what shows through a transparent picture


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that was read.

    Attributes:
      image: uint8 RGB [H, W, 3], upright.
      transparent: whether some of it was, and white took its place.
    """

    image: np.ndarray
    transparent: bool = False


def picture_size(file: pathlib.Path) -> tuple[int, int] | None:
    """(width, height) of the upright picture, by its head; None where that cannot be read."""
    try:
        with _opened(file) as image:
            width, height = image.size
            # Of TIFF, Pillow turns the size by itself.
            turned = image.format != "TIFF" and image.getexif().get(0x0112, 1) >= 5
            return (height, width) if turned else (width, height)
    except FAULTS:
        return None


def read_picture(file: pathlib.Path) -> Picture | str:
    """The picture; or why it cannot be read."""
    try:
        if not os.path.getsize(file):
            return "it is empty"
        with _opened(file) as image:
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode in ("F", "I") or image.mode.startswith("I;16"):  # more than 8 bits a pixel
                image = Image.fromarray(_eight_bits(np.asarray(image, np.float64)))
            transparent = False
            if image.has_transparency_data:
                image = image.convert("RGBA")
                transparent = image.getextrema()[3][0] < 255
            if transparent:
                image = Image.alpha_composite(Image.new("RGBA", image.size, GROUND), image)
            return Picture(np.ascontiguousarray(image.convert("RGB")), transparent)
    except FAULTS as error:
        # The name stands in the message, or Python's words for the open file.
        text = re.sub(r"<_io\.[^>]*>", "", str(error)).replace(str(file), "")
        return " ".join(text.split())[:80].strip(" :'\"") or type(error).__name__


@contextlib.contextmanager
def _opened(file: pathlib.Path) -> Iterator[Image.Image]:
    """The picture, unread. What Pillow warns of (large pictures, odd palettes) is no matter of the user's."""
    if file.suffix.lower() in (".tif", ".tiff"):
        _silence_libtiff()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # By its name Pillow maps a TIFF into memory, and takes the turned size for that of the rows.
        with file.open("rb") as data, Image.open(data) as image:
            yield image


@functools.cache
def _silence_libtiff() -> None:
    """Damage is told in our line: the libtiff of Pillow's wheel says no more of it on standard error."""
    libraries = pathlib.Path(PIL.__file__).parent.with_name("pillow.libs")
    for library in libraries.glob("libtiff*.so*"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(os.fspath(library)).TIFFSetErrorHandler(None)


def _eight_bits(gray: np.ndarray) -> np.ndarray:
    """Grey levels as bytes: of 0..1, of 0..255 or of 16 bits, by the largest of them."""
    largest = np.nanmax(gray, initial=0)
    scale = 255 if largest <= 1 else 1 if largest <= 255 else 1 / 257
    return np.nan_to_num(gray * scale).clip(0, 255).round().astype(np.uint8)
