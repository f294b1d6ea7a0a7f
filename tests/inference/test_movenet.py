"""MoveNet on images: boxes and joints come back in the image's pixels; on real people it finds what is annotated."""

import json
import os

import cv2
import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference import movenet
from jmpose_jax.inference.movenet import DETECTOR, MoveNetDetector, pose_predictor
from jmpose_jax.inference.tracking.likeness import box_iou
from jmpose_jax.models.movenet.decoding import People
from jmpose_jax.weights import published


def people_at(boxes, centers, size):
    count = len(boxes)
    return People(
        keypoints=np.zeros((1, count, 17, 2), np.float32),
        scores=np.zeros((1, count, 17), np.float32),  # of joints
        boxes=np.asarray(boxes, np.float32)[None],
        centers=np.asarray(centers, np.float32)[None],
        person_scores=np.ones((1, count), np.float32),
    )


@pytest.mark.parametrize("shape", [(240, 320), (720, 480), (64, 1024)])
def test_boxes_come_back_in_the_images_pixels(monkeypatch, shape):
    """The network sees a copy of the image; a box of the copy's middle is one of the image's middle."""
    height, width = shape
    zoom = 512 / max(shape)
    copy = np.array([round(width * zoom), round(height * zoom)])
    seen = []

    def decoded(heads, count):
        boxes = [[*copy / 4, *copy / 2], [*copy / 4 + 1, *copy / 2], [0, 0, 2 * copy[0], 5], [5, 5, 9, 9]]
        return people_at(boxes, [0.9, 0.8, 0.5, 0.1], shape)

    class Seen:
        def apply(self, variables, images):
            seen.append(images.shape)
            return {}

    monkeypatch.setattr(movenet, "MoveNet", lambda variant: Seen())
    monkeypatch.setattr(movenet, "decode_several", decoded)
    found = MoveNetDetector({})(0, np.zeros((*shape, 3), np.uint8))
    assert all(n % 32 == 0 for n in seen[0][1:3]) and 512 <= max(seen[0][1:3]) < 544
    # The second is the first one again, the fourth too weak; the third ends where the image does.
    assert len(found) == 2
    np.testing.assert_allclose(found.boxes[0], [width / 4, height / 4, width / 2, height / 2], atol=1.5 / zoom)
    assert found.boxes[1, 2] == pytest.approx(width) and found.track_ids is None
    np.testing.assert_allclose(found.scores, [0.9, 0.5])


def test_nobody_is_an_empty_list(monkeypatch):
    monkeypatch.setattr(movenet, "decode_several", lambda heads, count: people_at([[0, 0, 9, 9]], [0.1], (64, 64)))
    monkeypatch.setattr(movenet, "MoveNet", lambda variant: type("Model", (), {"apply": lambda self, v, x: {}})())
    assert len(MoveNetDetector({})(0, np.zeros((64, 64, 3), np.uint8))) == 0


def test_joints_come_back_in_the_images_pixels(monkeypatch):
    """A joint in the middle of the crop is in the middle of the box."""
    middle = np.full((2, 17, 2), 96.0, np.float32) - 0.5

    monkeypatch.setattr(movenet, "decode_one", lambda heads: (middle, np.full((2, 17), 0.7, np.float32)))
    monkeypatch.setattr(movenet, "MoveNet", lambda variant: type("Model", (), {"apply": lambda self, v, x: {}})())
    predictor = pose_predictor("lightning", {}, batch_size=2)
    frame = np.zeros((200, 300, 3), np.uint8)
    crop, transform = predictor.crop((frame,), np.array([100, 40, 60, 90], np.float32))
    assert crop.shape == (1, 192, 192, 3)
    keypoints, scores = predictor.predict([crop], [transform], [0.2])
    np.testing.assert_allclose(keypoints[0, 0], [130, 85], atol=1)
    np.testing.assert_allclose(scores, 0.7)  # its own, whatever the box's
    with pytest.raises(InputError, match="'multipose' is not known; use one of thunder, lightning"):
        pose_predictor("multipose", {})


@pytest.mark.fetches
def test_people_of_real_images_are_found(shared, tmp_path_factory, monkeypatch):
    """The four COCO images: boxes of the annotated people at IoU 0.5, and the joints on their boxes."""
    home = os.environ.get("JMPOSE_TEST_HOME") or str(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("JMPOSE_HOME", home)
    try:
        found = movenet.weights([DETECTOR, "movenet_thunder"], print)
    except InputError as fault:
        if published.is_whole(DETECTOR):
            raise
        pytest.skip(str(fault))
    detector, predictor = MoveNetDetector(found[DETECTOR]), pose_predictor("thunder", found["movenet_thunder"])
    folder = shared / "data" / "coco"
    truth = json.loads((folder / "test_coco.json").read_text())
    matched = people = 0
    right = total = 0
    for image in truth["images"]:
        path = next(folder.rglob(image["file_name"].split("/")[-1]))
        frame = cv2.imread(str(path))[..., ::-1]
        annotated = [a for a in truth["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        boxes = np.array([a["bbox"] for a in annotated], np.float32)
        ours = detector(0, frame).boxes
        overlaps = box_iou(boxes, ours)
        people += len(boxes)
        matched += int((overlaps.max(1, initial=0) >= 0.5).sum())
        cut = [predictor.crop((frame,), box) for box in boxes]
        keypoints, _ = predictor.predict([c for c, _ in cut], [t for _, t in cut], [1.0] * len(cut))
        joints = np.array([a["keypoints"] for a in annotated], np.float32).reshape(-1, 17, 3)
        known = joints[..., 2] > 0
        distance = np.linalg.norm(keypoints - joints[..., :2], axis=-1)
        right += int((distance < 0.1 * boxes[:, 2:].max(1)[:, None])[known].sum())
        total += int(known.sum())
    print(f"people found {matched} of {people}; joints within a tenth of the long side {right} of {total}")
    assert (matched, people) == (14, 14)
    assert right / total > 0.8
