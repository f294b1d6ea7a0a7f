"""Reading a box file of any form.

The form is known by the content, not by the file's ending. Boxes are x, y, width, height in pixels.

- "images": a JSON object with `images` and `annotations`: PoseTrack18, COCO, the `poses.json` of `jmpose predict`;
- "list": a JSON list of objects with `bbox`, `score` and `image_id`, `image_name` or `frame_id`: COCO results, mmpose,
  DCPose; or a JSON object as the next one with names of images as keys;
- "frames": a JSON object {"frame": [[x, y, width, height, score], …]}, frames from 0;
- "positions": a JSON list with one list of boxes for each frame of the video;
- "mot": lines "frame,id,x,y,w,h,score,…", frames from 1;
- "csv": a table with a header, that names the columns; boxes by corners or by centres are converted. Its columns may be
  parted by semicolons, with decimal commas.

`category_id` other than a person's is left out; a number in quotation marks is that number. Files of other units are
refused in `units`. Which frame of the video is meant is told in `numbering`.
"""

import json
import os
import pathlib

from jmpose_jax.boxes import json_forms, text_forms
from jmpose_jax.boxes.records import Content
from jmpose_jax.boxes.units import check_units
from jmpose_jax.checks import read_bytes, read_json
from jmpose_jax.errors import InputError

FORMS = (
    "PoseTrack18, COCO or poses.json (images, annotations with bbox); "
    "COCO results, mmpose or DCPose (list of image_id or image_name, bbox, score); "
    '{"FRAME": [[x, y, w, h, score], ...]} from frame 0; [[[x, y, w, h, score], ...], ...] one list a frame; '
    "MOT text (frame,id,x,y,w,h,score,... from frame 1); "
    "CSV with a header (frame or image_name, x, y, w, h or xmin, ymin, xmax, ymax, score, id)"
)


def read_boxes(path: str | os.PathLike) -> Content:
    """Read a box file.

    Args:
      path: the file.

    Returns:
      Its images and boxes, every value checked; nothing is left out yet.

    Raises:
      InputError: one line naming the file and the entry at fault, or the forms that are read.
    """
    path = pathlib.Path(path)
    data = read_bytes(path)
    try:
        text = data.decode(json.detect_encoding(data))  # UTF-16 too, which Excel writes
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no text in UTF-8 (byte {error.start}); forms that are read: {FORMS}") from error
    content = _read_json(path) if text.lstrip()[:1] in ("[", "{") else text_forms.read_text(path, text)
    if content is None:
        what = "the file is empty" if not text.strip() else "of no known form"
        raise InputError(f"{path}: {what}; forms that are read: {FORMS}")
    check_units(path, content)
    return content


def _read_json(path: pathlib.Path) -> Content:
    content = read_json(path, unique=True)
    if isinstance(content, dict) and "images" in content:
        return json_forms.read_images(path, content)
    if isinstance(content, dict) and "annolist" in content:
        raise InputError(
            f"{path}: PoseTrack17's annotations, which hold no boxes of people; forms that are read: {FORMS}"
        )
    if isinstance(content, dict):
        return json_forms.read_frames(path, content)
    if content and all(entry is None or isinstance(entry, list) for entry in content):
        return json_forms.read_positions(path, content)
    return json_forms.read_list(path, content)
