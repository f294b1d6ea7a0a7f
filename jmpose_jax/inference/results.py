"""What a prediction leaves: which files, what its overlay shows, and what the user is told of it."""

import dataclasses

from jmpose_jax.inference.overlay import DEFAULT_PARTS, DRAW_THRESHOLD

OVERLAY = "overlay.mp4"


@dataclasses.dataclass(frozen=True)
class Results:
    """The files wanted beside `poses.json` and `poses.csv`, which are always written.

    Attributes:
      overlay: whether to write `overlay.mp4`.
      draw: of `overlay.PARTS`, what it shows beside the poses.
      draw_threshold: least score of a joint that is drawn; all are written.
      formats: of `outputs.formats.FORMATS`, further files.
      page: whether to write `report.html`.
    """

    overlay: bool = True
    draw: tuple[str, ...] = DEFAULT_PARTS
    draw_threshold: float = DRAW_THRESHOLD
    formats: tuple[str, ...] = ()
    page: bool = True


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `predict_video` did.

    Attributes:
      frames, persons, tracks: how many there are in the results.
      lost: numbers of the frames that the damaged file holds no picture of; they have no poses.
      damaged: of those that were decoded with faults.
      rescaled: of those of another size than the first, with the (width, height) of each in the file.
      missing: how many frames the file announces or should hold, and that have no place in the results.
      surplus: how many more frames a damaged file gave than it announces or should hold.
      unsure: of a file with missing ones, the first frame whose number may be too low; None where that is not known.
      jumps: (frame, pictures) where time stamps leave out whole pictures before a frame, and nothing tells why.
      complete: whether all that was asked for was done, and not stopped.
      numbers: of the frames in the results, as their source counts them.
      estimated: how many of them a network saw.
    """

    frames: int
    persons: int
    tracks: int
    lost: tuple[int, ...] = ()
    damaged: tuple[int, ...] = ()
    rescaled: tuple[tuple[int, tuple[int, int]], ...] = ()
    missing: int = 0
    unsure: int | None = None
    jumps: tuple[tuple[int, int], ...] = ()
    surplus: int = 0
    complete: bool = True
    numbers: tuple[int, ...] = ()
    estimated: int = 0
