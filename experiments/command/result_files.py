"""The flags of `jmpose predict` that say which files it leaves, and what the overlay shows."""

import dataclasses
import math
import pathlib
import shutil
from collections.abc import Callable

from absl import flags

from jmpose_jax.errors import InputError
from jmpose_jax.inference.outputs.formats import ALL_FILES, FORMATS, check_formats, files_of, missing_extra
from jmpose_jax.inference.outputs.video_page import PAGE
from jmpose_jax.inference.overlay import DEFAULT_PARTS, DRAW_THRESHOLD, PARTS, check_parts
from jmpose_jax.inference.results import OVERLAY, Results
from jmpose_jax.inference.sources.pictures import OVERLAY_FOLDER, OVERLAY_PICTURE
from jmpose_jax.inference.sources.source import Source

OVERLAYS = (OVERLAY, OVERLAY_PICTURE, OVERLAY_FOLDER)
RESULT_FILES = (*OVERLAYS, PAGE, *ALL_FILES)  # all that a run may leave


@dataclasses.dataclass(frozen=True)
class ResultFiles:
    """What the flags say, checked.

    Attributes:
      wanted: for `pipeline.predict_video`.
      names: of the files that it will leave, but for the overlay.
      remark: what stands at the end of the last line, on a file that cannot be made here.
    """

    wanted: Results
    names: tuple[str, ...]
    remark: str

    def remove_earlier(self, folder: pathlib.Path, source: Source) -> None:
        """Take away the files of an earlier run that this one, which replaced it, has not made."""
        made = {name for name in self.names if not (source.pictures and name == PAGE)}
        if self.wanted.overlay:
            of_pictures = OVERLAY_PICTURE if source.expected_frames == 1 else OVERLAY_FOLDER
            made.add(of_pictures if source.pictures else OVERLAY)
        for name in set(RESULT_FILES) - made:
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def define_result_files() -> Callable[[], ResultFiles]:
    """Define the flags.

    Returns:
      A function that reads them once they are parsed; it raises InputError for a value at fault.
    """
    overlay = flags.DEFINE_bool("overlay", True, f"Write {OVERLAY}, the video with the poses on it.")
    no_overlay = flags.DEFINE_bool("no_overlay", False, "As --overlay=false.")
    draw = flags.DEFINE_list(
        "draw", list(DEFAULT_PARTS), f"What {OVERLAY} shows beside the poses: some of {', '.join(PARTS)}, or none."
    )
    threshold = flags.DEFINE_float(
        "draw_threshold", DRAW_THRESHOLD, "Least score of a joint that is drawn; all are written."
    )
    formats = flags.DEFINE_list(
        "formats", [], f"Further files: some of {', '.join(FORMATS)}; see docs/outputs.md for each."
    )
    report = flags.DEFINE_bool("report", True, f"Write {PAGE}: player, tracks, confidence and jitter over time.")

    def read() -> ResultFiles:
        if not math.isfinite(threshold.value):
            raise InputError(f"--draw_threshold={threshold.value} is no number; give one from 0 to 1")
        if no_overlay.value and flags.FLAGS["overlay"].present and overlay.value:
            raise InputError("--overlay and --no_overlay are both given; leave one of them out")
        drawn = overlay.value and not no_overlay.value
        chosen = check_formats(formats.value)
        wanted = Results(drawn, check_parts(draw.value), threshold.value, chosen, report.value)
        names = (*([PAGE] if report.value else []), *files_of(chosen))
        missing = missing_extra(chosen)
        return ResultFiles(wanted, names, f"; {missing}" if missing else "")

    return read
