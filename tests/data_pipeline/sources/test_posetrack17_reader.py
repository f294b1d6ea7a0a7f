"""The annolist form of PoseTrack17, against the same ground truth in the form of PoseTrack18."""

import json

import numpy as np
import pytest

from data_pipeline.preparation.prepare import prepare
from data_pipeline.sources import posetrack, posetrack17
from jmpose_jax.errors import InputError

ENTRY = {
    "image": [{"name": "images/bonn_5sec/000342_mpii/00000001.jpg"}],
    "imgnum": [1],
    "is_labeled": [1],
    "ignore_regions": [{"point": [{"x": [1], "y": [2]}, {"x": [3], "y": [4]}, {"x": [5], "y": [9]}]}],
    "annorect": [
        {
            "x1": [625], "y1": [94], "x2": [681], "y2": [178], "track_id": [4],
            "annopoints": [{"point": [
                {"id": [0], "x": [394], "y": [173], "is_visible": [0]},
                {"id": [14], "x": [400.5], "y": [100]},
            ]}],
        },
        {"annopoints": []},
    ],
}  # fmt: skip


def write(folder, entries):
    path = folder / "000342_mpii.json"
    path.write_text(json.dumps({"annolist": entries}))
    return path


def entry(**changes):
    return json.loads(json.dumps(ENTRY)) | changes


def test_one_entry(tmp_path):
    second = entry(image=[{"name": "images/bonn_5sec/000342_mpii/00000002.jpg"}], annorect=[], is_labeled=[])
    video = posetrack17.read_file(tmp_path, write(tmp_path, [entry(), second]))
    assert video.name == "000342_mpii" and [f.number for f in video.frames] == [1, 2]
    assert [f.is_labeled for f in video.frames] == [True, False]
    assert [f.image_id for f in video.frames] == [10003420001, 10003420002]
    person, empty = video.frames[0].persons
    np.testing.assert_array_equal(person.keypoints[16], [394, 173, 0])  # right ankle
    np.testing.assert_array_equal(person.keypoints[2], [400.5, 100, 1])  # head top
    assert person.annotated.sum() == 2 and person.track_id == 4
    np.testing.assert_array_equal(person.head_box, [625, 94, 56, 84])
    assert not empty.annotated.any() and empty.track_id == -1 and not empty.head_box.any()
    np.testing.assert_array_equal(video.frames[0].ignore_regions[0], [[1, 2], [3, 4], [5, 9]])


def test_equals_the_posetrack18_form(shared):
    files = sorted((shared / "data" / "posetrack17_format_sample").glob("*.json"))
    videos = posetrack17.read_split(shared, files, "val")
    folder = shared / "data" / "posetrack18"
    expected = posetrack.read_split(folder, posetrack.find_splits(folder, "posetrack18")["val"], "val")
    assert [v.name for v in videos] == [v.name for v in expected]
    for video, other in zip(videos, expected):
        (frame,), (reference,) = video.frames, other.frames
        assert frame.image_id == reference.image_id and frame.is_labeled
        for a, b in zip(frame.ignore_regions, reference.ignore_regions):
            np.testing.assert_array_equal(a, b)
        assert len(frame.persons) == len(reference.persons)
        for a, b in zip(frame.persons, reference.persons):
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-4)
            np.testing.assert_array_equal(a.head_box, b.head_box)
            np.testing.assert_allclose(a.box, b.box, atol=2e-3)
            assert a.track_id == b.track_id


def test_prepared_annotations_are_of_posetrack18_form(tmp_path, helpers):
    helpers.write_video(tmp_path / "images18")
    names = [f"images/val/000001_mpii_test/{i:06d}.jpg" for i in range(3)]
    entries = [
        entry(image=[{"name": name}], annorect=ENTRY["annorect"] if i == 1 else []) for i, name in enumerate(names)
    ]
    for rect in entries[1]["annorect"][:1]:
        rect["annopoints"][0]["point"] = [{"id": [j], "x": [20 + j], "y": [10 + 2 * j]} for j in range(15)]
    (tmp_path / "images18" / "annotations" / "val" / "000001_mpii_test.json").unlink()
    write(tmp_path / "images18" / "annotations" / "val", entries)
    summary = prepare("posetrack17", tmp_path / "images18", tmp_path / "out", progress=False)
    assert summary["splits"]["val"]["clips"] == 1
    assert summary["splits"]["val"]["skipped"] == {"person without annotated joints": 1}
    (video,) = posetrack.read_file(tmp_path, tmp_path / "out" / "annotations" / "val" / "000342_mpii.json")
    assert video.frames[1].persons[0].track_id == 4 and video.frames[1].is_labeled
    assert video.frames[1].persons[0].annotated.sum() == 15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": []}, r"annolist\[0\]: 'image' is empty"),
        ({"image": [{}]}, r"annolist\[0\]: 'image': key 'name' is missing"),
        ({"annorect": 3}, r"annolist\[0\]: 'annorect' must be a list"),
        ({"annorect": [{"annopoints": [{"point": [{"id": [15], "x": [1], "y": [1]}]}]}]}, "joint id 15 is not one of"),
        ({"annorect": [{"annopoints": [{"point": [{"id": [3], "y": [1]}]}]}]}, r"point\[0\]: key 'x' is missing"),
        ({"annorect": [{"track_id": ["a"]}]}, r"annorect\[0\]: 'track_id' must be an integer"),
    ],
)
def test_faults_name_file_and_place(tmp_path, changes, message):
    path = write(tmp_path, [entry(**changes)])
    with pytest.raises(InputError, match=message) as caught:
        posetrack17.read_file(tmp_path, path)
    assert str(path) in str(caught.value)


def test_ids_of_folders_named_otherwise():
    assert posetrack17.image_id("images/mpii_5sec/02276_mpii_relpath_5sec_trimmed/00000003.jpg", 3, 0) == 10022760003
    assert posetrack17.image_id("images/bonn/000001_bonn/00000003.jpg", 3, 0) == 20000010003
    assert posetrack17.image_id("images/mine/jumping/00000003.jpg", 3, 7) == 90000070003
