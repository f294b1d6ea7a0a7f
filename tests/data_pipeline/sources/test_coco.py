"""COCO person keypoints: what is read, what is said about faults, and that clips of them feed the loader."""

import json
import shutil

import cv2
import numpy as np
import pytest

from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions
from data_pipeline.preparation.prepare import prepare
from data_pipeline.sources.coco import FRAME_SPACING
from data_pipeline.sources.datasets import find_splits, read_split
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import COCO17, POSETRACK15


def annotation(image_id, number, **changes):
    keypoints = np.stack([20 + np.arange(17), 10 + np.arange(17), np.full(17, 2)], axis=1)
    keypoints[1] = 5, 5, 0  # not labelled, although a position is given
    content = {"id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "bbox": [10, 5, 40, 40]}
    return content | {"area": 900.5, "num_keypoints": 16, "keypoints": keypoints.ravel().tolist()} | changes


@pytest.fixture
def coco(tmp_path, helpers):
    """Three images with neighbouring ids; people in two, a crowd in one."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    images = []
    for identity in (9, 7, 8):
        name = f"{identity:012d}.jpg"
        cv2.imwrite(str(root / "val2017" / name), helpers.picture(identity)[..., ::-1])
        images.append({"id": identity, "file_name": name, "width": helpers.width, "height": helpers.height})
    people = [
        annotation(8, 1),
        annotation(7, 2),
        annotation(7, 3, num_keypoints=0, keypoints=[0] * 51),
        annotation(8, 4, iscrowd=1, bbox=[0, 0, 10, 20], keypoints=[0] * 51),
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}]
    path = root / "annotations" / "person_keypoints_val2017.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))
    return root


def test_images_people_and_crowds(coco):
    (video,) = read_split("coco", coco, find_splits(coco, "coco")["val"], "val")
    assert [f.image_id for f in video.frames] == [7, 8, 9]
    assert [f.number for f in video.frames] == [0, FRAME_SPACING, 2 * FRAME_SPACING]
    assert [len(f.persons) for f in video.frames] == [2, 1, 0] and all(f.path.is_file() for f in video.frames)
    person = video.frames[1].persons[0]
    assert person.annotated.tolist() == [i != 1 for i in range(17)] and person.extras == {"area": 900.5}
    np.testing.assert_array_equal(video.frames[1].ignore_regions[0], [[0, 0], [10, 0], [10, 20], [0, 20]])


def test_clips_have_no_neighbours_and_joints_by_name(coco, tmp_path):
    summary = prepare("coco", coco, tmp_path / "out", progress=False)
    counts = summary["splits"]["val"]
    assert counts["clips"] == 2 and counts["frames_stored"] == 2 and counts["frames_not_needed"] == 1
    assert counts["skipped"] == {"person without annotated joints": 1}
    whole, scored = (
        next(make_loader(tmp_path / "out", "val", ClipOptions(2, (64, 48), skeleton), batch_size=2))
        for skeleton in ("coco17", "posetrack15")
    )
    assert all((whole.frames[:, 0] == whole.frames[:, t]).all() for t in range(5))
    for place, joint in enumerate(POSETRACK15.joints):
        if joint in COCO17.joints:
            np.testing.assert_array_equal(scored.keypoints[:, place], whole.keypoints[:, COCO17.index(joint)])
            np.testing.assert_array_equal(scored.joint_weights[:, place], whole.joint_weights[:, COCO17.index(joint)])
        else:
            assert joint in ("head_bottom", "head_top") and not scored.joint_weights[:, place].any()
    assert whole.joint_weights[:, 1].sum() == 0 and whole.joint_weights.sum() == 32


def test_real_sample(shared, tmp_path):
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    shutil.copytree(shared / "data" / "coco", root / "val2017", ignore=shutil.ignore_patterns("*.json"))
    shutil.copy(shared / "data" / "coco" / "test_coco.json", root / "annotations" / "person_keypoints_val2017.json")
    counts = prepare("coco", root, tmp_path / "out", progress=False)["splits"]["val"]
    assert (counts["frames_stored"], counts["persons"], counts["clips"]) == (4, 14, 12)
    boxes = shared / "data" / "coco" / "test_coco_det_AP_H_56.json"
    loader = make_loader(tmp_path / "out", "val", ClipOptions(0, (64, 48), boxes=boxes), batch_size=4)
    assert len(loader.table) == sum(entry["score"] >= 0.2 for entry in json.loads(boxes.read_text()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["categories"].clear(), "'categories' has no person"),
        (lambda c: c["categories"][0]["keypoints"].pop(), "names no joint 'right_ankle'"),
        (lambda c: c["images"].append(c["images"][0]), r"images\[3\]: the id 9 is that of another image too"),
        (lambda c: c["annotations"][2].update(image_id=1), "names image_id 1, which is not in 'images'"),
        (lambda c: c["annotations"][1].update(bbox=[1, 2]), r"annotations\[1\]: 'bbox' has 2 numbers"),
        (lambda c: c["annotations"][0]["keypoints"].pop(), r"annotations\[0\]: 'keypoints' has 50 numbers"),
        (lambda c: c["images"].clear(), "'images' has 0 entries"),
    ],
)
def test_faults(coco, helpers, change, message):
    helpers.edit(coco / "annotations" / "person_keypoints_val2017.json", change)
    with pytest.raises(InputError, match=message):
        read_split("coco", coco, find_splits(coco, "coco")["val"], "val")


def test_two_years_are_not_mixed(coco):
    file = coco / "annotations" / "person_keypoints_val2017.json"
    shutil.copy(file, file.with_name("person_keypoints_val2014.json"))
    assert find_splits(coco, "coco")["val"] == [file]  # the one with images
    (coco / "val2014").mkdir()
    with pytest.raises(InputError, match="leave one year's file"):
        find_splits(coco, "coco")


@pytest.mark.parametrize(
    ("category", "ids", "message"),
    [
        (5, {}, "annotations.0.: category_id 1 is not in 'categories'"),
        (1, {0: 77}, "annotations.0.: category_id 77 is not in 'categories'"),
        (1, {0: 2, 1: 2, 2: 2, 3: 2}, "no annotation has the category_id of person, 1; theirs are .2."),
    ],
)
def test_categories_that_do_not_fit_are_named(coco, tmp_path, category, ids, message):
    path = coco / "annotations" / "person_keypoints_val2017.json"
    content = json.loads(path.read_text())
    content["categories"][0]["id"] = category
    content["categories"].append({"id": 2, "name": "dog"})
    for i, identity in ids.items():
        content["annotations"][i]["category_id"] = identity
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"person_keypoints_val2017.json.*{message}"):
        prepare("coco", coco, tmp_path / "out", progress=False)
