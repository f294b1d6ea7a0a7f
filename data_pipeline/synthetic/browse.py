"""Pictures of a written data set, to look at: frames with the joints coloured by why they are seen or not."""

import json
import pathlib

import cv2
import numpy as np

from data_pipeline.synthetic.visibility import Cause
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK17

# RGB; joints that are left out of the annotation appear nowhere.
CAUSE_COLOURS = {
    Cause.SEEN: (255, 255, 255),
    Cause.SELF_OCCLUDED: (255, 90, 255),
    Cause.HIDDEN: (255, 40, 40),
    Cause.OUT_OF_FRAME: (0, 0, 0),
}
_LIMB_COLOURS = ((70, 200, 90), (240, 200, 40), (60, 190, 240), (250, 130, 40))


def contact_sheet(folder: str, split: str, path: str, n: int = 24, columns: int = 4, plain: bool = False) -> None:
    """Draws labelled frames of different videos side by side.

    Args:
      folder: the data set, as `dataset.generate` wrote it.
      split: which split.
      path: PNG to write.
      n: how many frames.
      columns: frames in a row.
      plain: True leaves the skeletons out.

    Raises:
      InputError: the split has no annotation files.
    """
    files = sorted((pathlib.Path(folder) / "annotations" / split).glob("*.json"))
    if not files:
        raise InputError(f"{folder}: has no annotations/{split}/*.json; generate that split first")
    tiles = []
    for number in range(n):
        content = json.loads(files[number % len(files)].read_text())
        labelled = [image for image in content["images"] if image["is_labeled"]]
        image = labelled[(len(labelled) // 2 + number // len(files)) % len(labelled)]
        picture = cv2.imread(str(pathlib.Path(folder) / image["file_name"]))[..., ::-1].copy()
        if not plain:
            draw_annotations(picture, image, content["annotations"])
        tiles.append(picture)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    if not cv2.imwrite(path, np.vstack(rows)[..., ::-1]):
        raise InputError(f"{path}: cannot be written; give the path of a PNG in an existing folder")


def draw_annotations(picture: np.ndarray, image: dict, annotations: list[dict]) -> None:
    """Draws ignore regions, skeletons and joints of one image over an RGB picture, in place."""
    for xs, ys in zip(image["ignore_regions_x"], image["ignore_regions_y"]):
        cv2.polylines(picture, [np.array([xs, ys], np.int32).T], True, (160, 160, 160), 1)
    for annotation in annotations:
        if annotation["image_id"] != image["id"]:
            continue
        points = np.array(annotation["keypoints"], float).reshape(-1, 3)
        corners = [tuple(int(round(16 * v)) for v in point[:2]) for point in points]
        colour = _LIMB_COLOURS[annotation["track_id"] % len(_LIMB_COLOURS)]
        for a, b in POSETRACK17.limbs:
            if points[a, 2] and points[b, 2]:
                cv2.line(picture, corners[a], corners[b], colour, 1, cv2.LINE_AA, 4)
        for point, corner, cause in zip(points, corners, annotation["joint_cause"]):
            if point[2]:
                cv2.circle(picture, corner, 40, CAUSE_COLOURS[Cause[cause.upper()]], -1, cv2.LINE_AA, 4)
