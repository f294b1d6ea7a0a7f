"""Small data sets in PoseTrack18 form, written to a temporary folder."""

import json
import pathlib
import types
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT = 96, 64


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A smooth random image, uint8 RGB: JPEG keeps it well, and interpolation of it is well behaved."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 7, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def person(image_id: int, index: int = 0, **changes: Any) -> dict[str, Any]:
    """One annotation: 15 joints on a grid (the ears are absent), in a box well inside the image."""
    keypoints = np.zeros((17, 3))
    keypoints[:, 0] = 30 + 2 * np.arange(17) + index
    keypoints[:, 1] = 20 + (3 * np.arange(17)) % 30
    keypoints[:, 2] = 1
    keypoints[3:5] = 0
    annotation = {
        "id": image_id * 100 + index,
        "image_id": image_id,
        "category_id": 1,
        "track_id": index,
        "bbox": [25.0, 10.0, 40.0, 50.0],
        "bbox_head": [40.0, 8.0, 12.0, 10.0],
        "keypoints": keypoints.ravel().tolist(),
        "scores": [],
    }
    return annotation | changes


def write_video(
    root: pathlib.Path,
    split: str = "val",
    name: str = "000001_mpii_test",
    frames: int = 7,
    labeled: tuple[int, ...] = (3,),
    people: int = 1,
    folder: str = "annotations",
) -> pathlib.Path:
    """A video's frames and annotation file; returns the file."""
    images, annotations = [], []
    (root / "images" / split / name).mkdir(parents=True)
    (root / folder / split).mkdir(parents=True, exist_ok=True)
    sequence = int(name.split("_")[0])
    for number in range(frames):
        file_name = f"images/{split}/{name}/{number:06d}.jpg"
        image_id = 10**10 + sequence * 10**4 + number
        cv2.imwrite(str(root / file_name), picture(100 * sequence + number)[..., ::-1])
        images.append(
            {
                "file_name": file_name,
                "id": image_id,
                "frame_id": image_id,
                "vid_id": name[:6],
                "nframes": frames,
                "is_labeled": number in labeled,
                "ignore_regions_x": [[0, 10, 10]],
                "ignore_regions_y": [[0, 0, 10]],
            }
        )
        if number in labeled:
            annotations += [person(image_id, i) for i in range(people)]
    path = root / folder / split / f"{name}.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return path


def edit(path: pathlib.Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an annotation file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """Two videos in val: seven frames with one person in frame 3, and five frames with two people in 0 and 4."""
    root = tmp_path / "source"
    write_video(root)
    write_video(root, name="000002_mpii_test", frames=5, labeled=(0, 4), people=2)
    return root


@pytest.fixture(scope="session")
def helpers() -> types.SimpleNamespace:
    """The functions of this file, for tests that write their own data sets."""
    return types.SimpleNamespace(
        picture=picture, person=person, write_video=write_video, edit=edit, width=WIDTH, height=HEIGHT
    )
