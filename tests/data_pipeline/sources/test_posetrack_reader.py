"""Reading PoseTrack18 and PoseTrack21 folders, and what is said about faulty ones."""

import json

import numpy as np
import pytest

from data_pipeline.sources.annotations import box_of_keypoints
from data_pipeline.sources.posetrack import find_splits, read_file, read_split
from jmpose_jax.errors import InputError


def read(source, split="val", dataset="posetrack18"):
    return read_split(source, find_splits(source, dataset)[split], split)


def test_videos_frames_and_people(source):
    first, second = read(source)
    assert (first.name, second.name) == ("000001_mpii_test", "000002_mpii_test")
    assert [frame.number for frame in first.frames] == list(range(7))
    assert [frame.is_labeled for frame in first.frames] == [i == 3 for i in range(7)]
    assert [len(frame.persons) for frame in second.frames] == [2, 0, 0, 0, 2]
    frame = second.frames[4]
    assert frame.image_id == 10000020004 and frame.path.is_file()
    assert [p.track_id for p in frame.persons] == [0, 1]
    person = frame.persons[1]
    np.testing.assert_array_equal(person.keypoints[0], [31, 20, 1])
    np.testing.assert_array_equal(person.box, [25, 10, 40, 50])
    np.testing.assert_array_equal(person.head_box, [40, 8, 12, 10])
    assert person.annotated.sum() == 15 and not person.annotated[3:5].any()
    np.testing.assert_array_equal(frame.ignore_regions[0], [[0, 0], [10, 0], [10, 10]])


def test_official_files(shared):
    videos = read(shared / "data" / "posetrack18")
    assert [len(v.frames[0].persons) for v in videos] == [1, 2, 11]
    assert [len(v.frames[0].ignore_regions) for v in videos] == [9, 2, 4]
    assert videos[2].frames[0].image_id == 10128340000
    np.testing.assert_allclose(videos[2].frames[0].persons[0].keypoints[0], [401, 530, 1])


def test_merged_file_gives_the_same_videos(shared):
    folder = shared / "data" / "posetrack18"
    merged = read_file(folder, folder / "annotations" / "test_posetrack18_val.json")
    single = {video.name: video for video in read(folder)}
    assert {video.name for video in merged} == set(single)
    for video in merged:
        (frame,), (expected,) = video.frames, single[video.name].frames
        assert frame.image_id == expected.image_id and len(frame.persons) == len(expected.persons)
        for a, b in zip(frame.persons, expected.persons):
            np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_merged_file_is_found_where_there_is_no_folder(source):
    contents = [json.loads(p.read_text()) for p in sorted((source / "annotations" / "val").glob("*.json"))]
    for path in (source / "annotations" / "val").glob("*.json"):
        path.unlink()
    merged = {key: [entry for c in contents for entry in c[key]] for key in ("images", "annotations")}
    (source / "annotations" / "posetrack18_val.json").write_text(json.dumps(merged))
    first, second = read(source)
    assert (first.name, second.name) == ("000001_mpii_test", "000002_mpii_test")
    assert [len(frame.persons) for frame in second.frames] == [2, 0, 0, 0, 2]


def test_posetrack21_folder(tmp_path, helpers):
    helpers.write_video(tmp_path, folder="posetrack_data")
    (video,) = read(tmp_path, dataset="posetrack21")
    assert len(video.frames) == 7


def test_missing_box_is_made_of_the_keypoints(source, helpers):
    path = source / "annotations" / "val" / "000001_mpii_test.json"
    helpers.edit(path, lambda c: c["annotations"][0].pop("bbox"))
    (video,) = read_file(source, path)
    box = video.frames[3].persons[0].box
    # Joints span x 30..62 and y 20..47 on the test person; the box is 1.3 times as large about the same centre.
    points = video.frames[3].persons[0].keypoints
    points = points[points[:, 2] > 0, :2]
    np.testing.assert_allclose(box[2:], 1.3 * (points.max(0) - points.min(0)), rtol=1e-6)
    np.testing.assert_allclose(box[:2] + box[2:] / 2, (points.max(0) + points.min(0)) / 2, rtol=1e-6)


def test_official_boxes_follow_that_rule(shared):
    for video in read(shared / "data" / "posetrack18"):
        for person in video.frames[0].persons:
            np.testing.assert_allclose(box_of_keypoints(person.keypoints), person.box, atol=2e-3)


def test_test_split_may_lack_annotations(tmp_path, helpers):
    path = helpers.write_video(tmp_path, split="test", labeled=())
    helpers.edit(path, lambda c: c.pop("annotations"))
    (video,) = read(tmp_path, split="test")
    assert not any(frame.persons for frame in video.frames)
    with pytest.raises(InputError, match="'annotations' is missing"):
        read_file(tmp_path, path)


FAULTS = {
    "51": (lambda c: c["annotations"][0]["keypoints"].pop(), r"annotations\[0\]: 'keypoints' has 50 numbers, 51"),
    "text": (lambda c: c["annotations"][0]["keypoints"].__setitem__(7, "x"), r"'keypoints'\[7\] must be a number"),
    "nan": (lambda c: c["annotations"][0]["keypoints"].__setitem__(0, float("nan")), r"'keypoints'\[0\] must be"),
    "no keypoints": (lambda c: c["annotations"][0].pop("keypoints"), r"annotations\[0\]: key 'keypoints' is missing"),
    "box": (lambda c: c["annotations"][0].__setitem__("bbox", [1, 2, 3]), r"annotations\[0\]: 'bbox' has 3 numbers"),
    "image id": (lambda c: c["annotations"][0].__setitem__("image_id", 5), r"annotations\[0\] names image_id 5"),
    "file name": (lambda c: c["images"][2].pop("file_name"), r"images\[2\]: key 'file_name' is missing"),
    "images": (lambda c: c.pop("images"), "key 'images' is missing"),
    "no images": (lambda c: c.__setitem__("images", []), "'images' is empty"),
    "not an object": (lambda c: c["annotations"].__setitem__(0, 3), r"annotations\[0\]: expected an object"),
    "polygon": (lambda c: c["images"][0]["ignore_regions_x"][0].pop(), r"images\[0\]: 'ignore_regions_x' and"),
    "same id": (lambda c: c["images"][1].__setitem__("id", c["images"][0]["id"]), "two images have the id"),
    "same frame": (
        lambda c: c["images"][1].__setitem__("file_name", c["images"][0]["file_name"]),
        "are both images/val/000001_mpii_test/000000.jpg",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_name_file_and_place(source, helpers, fault):
    change, message = FAULTS[fault]
    path = source / "annotations" / "val" / "000001_mpii_test.json"
    helpers.edit(path, change)
    with pytest.raises(InputError, match=message) as caught:
        read(source)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "deep": lambda data: b"[" * 100000,
    "no text": lambda data: b"\xff\xfe",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_json(source, damage):
    path = source / "annotations" / "val" / "000002_mpii_test.json"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(InputError) as caught:
        read(source)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_folders_without_annotations(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_splits(tmp_path / "absent", "posetrack18")
    with pytest.raises(InputError, match="has no folder annotations/"):
        find_splits(tmp_path, "posetrack18")
    (tmp_path / "annotations" / "val").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no annotation files"):
        find_splits(tmp_path, "posetrack18")
