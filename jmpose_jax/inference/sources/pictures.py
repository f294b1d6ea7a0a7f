"""Pictures with poses on them, for sources whose frames are pictures."""

import itertools
import pathlib

import numpy as np
from PIL import Image

OVERLAY_PICTURE = "overlay.jpg"
OVERLAY_FOLDER = "overlay"
QUALITY = 92


class PictureWriter:
    """Writes `overlay.jpg`, or a folder `overlay` with a picture for each."""

    def __init__(self, folder: pathlib.Path, single: bool):
        """Args: folder: to write into; single: whether one picture is all there is."""
        self._folder, self._single = folder, single
        self._taken: set[str] = set()

    def write(self, image: np.ndarray, name: str) -> None:
        """Write uint8 RGB [H, W, 3] under the name of the picture it was drawn on; every name has one ending here."""
        path = self._folder / OVERLAY_PICTURE
        if not self._single:
            stem = pathlib.Path(name).stem
            # a.png and a.jpg, and pictures of several folders, may share one.
            others = (f"{stem}-{n}" for n in itertools.count(2))
            unique = next(name for name in itertools.chain([stem], others) if name not in self._taken)
            self._taken.add(unique)
            path = self._folder / OVERLAY_FOLDER / f"{unique}.jpg"
            path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, quality=QUALITY)
