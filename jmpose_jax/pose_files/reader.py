"""Reading a file of poses of any form, which is known by the content, and writing it again with other poses.

| form | content |
|---|---|
| annotations | JSON with `images` and `annotations` that have keypoints: PoseTrack18, our `poses.json` |
| results | a JSON list with `image_id` and `keypoints`: COCO's results |
| tidy | CSV with a row a joint: our `poses.csv` |
| sleap | SLEAP's analysis CSV |
| dlc_csv, dlc_h5 | DeepLabCut's table, of one animal or several |
| npz | arrays, see `arrays` |
"""

import csv
import io
import os
import pathlib
from collections.abc import Callable, Sequence

from jmpose_jax.checks import read_bytes, read_json
from jmpose_jax.errors import InputError
from jmpose_jax.pose_files import arrays, deeplabcut, json_forms, tables
from jmpose_jax.pose_files.records import PoseFile, Track

FORMS = (
    "PoseTrack18 or poses.json (images, annotations with keypoints); COCO results (list of image_id, keypoints); "
    "poses.csv (frame, joint, x, y, …); SLEAP's analysis CSV; DeepLabCut's CSV or .h5; .npz with 'poses' [T, K, D] or "
    "'rotations' [T, J, 6]"
)
WRITERS: dict[str, Callable[[PoseFile, Sequence[Track], str | os.PathLike], None]] = {
    "annotations": json_forms.write_json_form,
    "results": json_forms.write_json_form,
    "tidy": tables.write_tidy,
    "sleap": tables.write_sleap,
    "dlc_csv": deeplabcut.write_dlc_csv,
    "dlc_h5": deeplabcut.write_dlc_h5,
    "npz": arrays.write_arrays,
}


def read_poses(path: str | os.PathLike) -> PoseFile:
    """Read a file of poses.

    Args:
      path: the file.

    Returns:
      Its tracks; frames that stand out of order are sorted, and persons of one identity are one track.

    Raises:
      InputError: one line naming the file and the entry at fault, or the forms that are read.
    """
    path = pathlib.Path(path)
    data = read_bytes(path)
    if data.startswith(b"\x89HDF"):
        return deeplabcut.read_dlc_h5(path)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY")):
        return arrays.read_arrays(path)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: of no known form; forms that are read: {FORMS}") from error
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(path)
    return _read_table(path, text)


def write_poses(file: PoseFile, tracks: Sequence[Track], path: str | os.PathLike) -> None:
    """Write a file as it was read, with other poses.

    Args:
      file: as `read_poses` gave it.
      tracks: in place of `file.tracks`, each with all of its frames, and others between them.
      path: of the new file; written atomically.
    """
    WRITERS[file.form](file, tracks, path)


def _read_json(path: pathlib.Path) -> PoseFile:
    content = read_json(path)
    if isinstance(content, dict) and "images" in content:
        return json_forms.read_annotations(path, content)
    if isinstance(content, list) and content and all(isinstance(e, dict) and "keypoints" in e for e in content[:1]):
        return json_forms.read_results(path, content)
    what = "holds nothing" if not content else "PoseTrack17's form" if "annolist" in content else "of no known form"
    raise InputError(f"{path}: {what}; forms that are read: {FORMS}")


def _read_table(path: pathlib.Path, text: str) -> PoseFile:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise InputError(f"{path}: no CSV ({error}); is the file complete?") from error
    if rows and deeplabcut.is_dlc(rows):
        return deeplabcut.read_dlc_csv(path, rows)
    if rows and tables.is_tidy(rows[0]):
        return tables.read_tidy(path, rows)
    if rows and tables.is_sleap(rows[0]):
        return tables.read_sleap(path, rows)
    what = "of no known form" if rows else "the file is empty"
    raise InputError(f"{path}: {what}; forms that are read: {FORMS}")
