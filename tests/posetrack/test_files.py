"""The reader of PoseTrack files: the same entries from both forms, what is odd, and what predictions may."""

import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.posetrack.entries import head_size
from jmpose_jax.posetrack.files import FRAME_ID, HEAD_BOX, MARK, ORDER, POLYGON, read_file
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17, POSETRACK17_TO_15


def content18(names=POSETRACK17.joints):
    """One image, one person: joint k of POSETRACK17 at (k + 1, 2k + 2) with the score k / 100."""
    slots = [POSETRACK17.index(name) for name in names]
    keypoints = [[k + 1, 2 * k + 2, 1] for k in slots]
    person = {"image_id": 7, "id": 700, "track_id": 3, "bbox": [1, 2, 3, 4], "bbox_head": [5, 6, 3, 4]}
    person |= {"keypoints": sum(keypoints, []), "scores": [k / 100 for k in slots]}
    person |= {"joint_cause": [f"c{k}" for k in slots], "joint_motion": [[[k, k] for k in slots]] * 2}
    image = {"id": 7, "file_name": "images/val/1/1.jpg", "width": 40, "height": 30}
    image |= {"ignore_regions_x": [[1, 2, 3]], "ignore_regions_y": [[4, 5, 7]]}
    return {"images": [image], "annotations": [person], "categories": [{"id": 1, "keypoints": list(names)}]}


def content17():
    points = [{"id": [j], "x": [k + 1], "y": [2 * k + 2], "score": [k / 100]} for j, k in enumerate(POSETRACK17_TO_15)]
    rect = {"x1": [5], "y1": [6], "x2": [8], "y2": [10], "track_id": [3], "annopoints": [{"point": points}]}
    regions = [{"point": [{"x": [x], "y": [y]} for x, y in ((1, 4), (2, 5), (3, 7))]}]
    image = {"image": [{"name": "images/val/1/1.jpg"}], "ignore_regions": regions}
    return {"annolist": [image | {"annorect": [rect, {"annopoints": []}]}]}


def read(tmp_path, content, mark=b"", **options):
    path = tmp_path / "1.json"
    path.write_bytes(mark + json.dumps(content).encode())
    return read_file(path, **options)


@pytest.mark.parametrize("names", [POSETRACK17.joints, POSETRACK17.joints[::-1], POSETRACK15.joints])
def test_joints_scores_and_lists_per_joint_go_by_their_names(tmp_path, names):
    file = read(tmp_path, content18(names))
    (person,), (image,) = file.people, file.images
    slots = list(POSETRACK17_TO_15)
    np.testing.assert_array_equal(person.keypoints[slots, 0], np.array(slots) + 1)
    np.testing.assert_array_equal(person.scores[slots], np.array(slots) / 100)
    assert person.present[slots].all() and person.present.sum() == len(names)
    assert [person.raw["joint_cause"][k] for k in slots] == [f"c{k}" for k in slots]
    assert [person.raw["joint_motion"][1][k] for k in slots] == [[k, k] for k in slots]
    assert (person.raw["joint_cause"][3] == "none") == (len(names) == 15)
    assert file.oddities == (() if names == POSETRACK17.joints else (ORDER,))
    assert image.size == (30, 40) and head_size(person.head_box) == pytest.approx(3)
    np.testing.assert_array_equal(image.ignore_regions[0], [[1, 4], [2, 5], [3, 7]])


def test_both_forms_give_the_same_entries(tmp_path):
    new, old = read(tmp_path, content18(POSETRACK15.joints)), read(tmp_path, content17())
    assert (new.form, old.form) == ("posetrack18", "posetrack17")
    (a,), (b, empty) = new.people, old.people
    for name in ("keypoints", "present", "scores", "head_box"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.track_id == b.track_id == 3 and new.images[0].file_name == old.images[0].file_name
    np.testing.assert_array_equal(new.images[0].ignore_regions[0], old.images[0].ignore_regions[0])
    assert empty.listed is False and empty.head_box is None and empty.track_id is None and b.listed


def test_oddities_are_named(tmp_path):
    content = content18()
    image, person = content["images"][0], content["annotations"][0]
    image["frame_id"] = image.pop("id")
    person["head_box"] = person.pop("bbox_head")
    for key in ("ignore_regions_x", "ignore_regions_y"):
        image[key] = image[key][0]
    odd, usual = read(tmp_path, content, b"\xef\xbb\xbf"), read(tmp_path, content18())
    assert odd.oddities == (MARK, FRAME_ID, HEAD_BOX, POLYGON) and usual.oddities == ()
    assert odd.images[0].image_id == usual.images[0].image_id
    np.testing.assert_array_equal(odd.people[0].head_box, usual.people[0].head_box)
    np.testing.assert_array_equal(odd.images[0].ignore_regions[0], usual.images[0].ignore_regions[0])


def test_predictions_may_name_images_as_they_like(tmp_path):
    for name in (None, "/home/me/1.jpg"):
        content = content18()
        content["images"][0]["file_name"] = name
        assert read(tmp_path, content, predictions=True).images[0].file_name == name
        with pytest.raises(InputError, match="'file_name'"):
            read(tmp_path, content)


def test_a_head_without_extent_is_none():
    assert np.isnan(head_size(None)) and np.isnan(head_size(np.array([3.0, 4, 0, 0])))
    assert head_size(np.array([0.0, 0, 30, 40])) == pytest.approx(30)


@pytest.mark.parametrize("key", ["width", "height"])
def test_half_a_size_is_refused(tmp_path, key):
    content = content18()
    del content["images"][0][key]
    with pytest.raises(InputError, match=f"1.json: images.0.: .*'{key}'"):
        read(tmp_path, content)


@pytest.mark.parametrize("form", ["18", "17"])
def test_absent_joints_at_minus_one_are_refused_in_annotations(tmp_path, form):
    content = content18() if form == "18" else content17()
    if form == "18":
        content["annotations"][0]["keypoints"][:3] = [-1, -1, 0]
    else:
        point = content["annolist"][0]["annorect"][0]["annopoints"][0]["point"][0]
        point |= {"x": [-1], "y": [-1], "is_visible": [0]}
    with pytest.raises(InputError, match="1.json: anno.*0.*lies at .-1, -1."):
        read(tmp_path, content)
    assert read(tmp_path, content, predictions=True).people[0].present.sum() >= 15  # scored, and told of


def test_whether_joints_are_named_is_known(tmp_path):
    content = content18()
    assert not read(tmp_path, content).unnamed_joints
    for categories in ([], [{"id": 1}]):
        assert read(tmp_path, content | {"categories": categories}).unnamed_joints
    del content["categories"]
    assert read(tmp_path, content).unnamed_joints and not read(tmp_path, content17()).unnamed_joints


def test_names_of_predicted_frames_are_read_in_both_forms(tmp_path):
    content = content17()
    content["annolist"].append({"image": [], "annorect": []})
    assert [i.file_name for i in read(tmp_path, content, predictions=True).images] == ["images/val/1/1.jpg", None]
