"""Box files: many forms to the same boxes, and one line for each fault."""

import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inference.box_files import boxes_from_file

BOXES = {0: [[10, 20, 30, 60, 0.9]], 2: [[12, 20, 30, 60, 0.8], [100, 5, 20, 50, 0.5]]}
IMAGE = np.zeros((200, 300, 3), np.uint8)


def by_frame():
    return {str(frame): boxes for frame, boxes in BOXES.items()}


def flat(**name):
    rows = []
    for frame, boxes in BOXES.items():
        for *box, score in boxes:
            row = {key: value(frame) for key, value in name.items()}
            rows.append({**row, "bbox": box, "score": score, "category_id": 1})
    return rows


def posetrack18():
    images = [{"id": 10128340000 + i, "file_name": f"images/val/012834_mpii_test/{i:06d}.jpg"} for i in range(4)]
    rows = flat(image_id=lambda frame: 10128340000 + frame)
    return {"images": images, "annotations": [{**row, "track_id": n} for n, row in enumerate(rows)]}


FORMS = {
    "by frame": by_frame,
    "image ids": lambda: flat(image_id=lambda frame: 10128340000 + frame),
    "frame numbers": lambda: flat(image_id=lambda frame: frame),
    "names of 2018": lambda: flat(image_name=lambda frame: f"images/val/012834_mpii_test/{frame:06d}.jpg"),
    "names of 2017": lambda: flat(image_name=lambda frame: f"images/bonn_5sec/000342_mpii/{frame + 1:08d}.jpg"),
    "posetrack18": posetrack18,
}


def write(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("form", FORMS)
def test_forms(tmp_path, form):
    file = boxes_from_file(write(tmp_path, FORMS[form]()), "some_video")
    assert file.detector.frames == (0, 2) and not file.dropped
    for frame, boxes in BOXES.items():
        found = file.detector(frame, IMAGE)
        np.testing.assert_allclose(found.boxes, np.array(boxes)[:, :4])
        expected = [box[4] for box in boxes]
        np.testing.assert_allclose(found.scores, expected)
        assert (found.track_ids is not None) == (form == "posetrack18")
    assert len(file.detector(1, IMAGE)) == 0
    assert len(file.images) == (4 if form == "posetrack18" else 0)


def test_the_video_is_picked_by_name(tmp_path):
    other = [{**row, "image_name": row["image_name"].replace("012834", "009473")} for row in FORMS["names of 2018"]()]
    path = write(tmp_path, [*other[:1], *FORMS["names of 2018"]()])
    assert boxes_from_file(path, "012834_mpii_test").detector.frames == (0, 2)
    assert boxes_from_file(path, "009473_mpii_test").detector.frames == (0,)
    with pytest.raises(InputError, match="holds 2 videos"):
        boxes_from_file(path, "bedroom")


def test_what_is_left_out_is_counted(tmp_path):
    rows = FORMS["frame numbers"]()
    rows += [{**rows[0], "score": 0.1}, {**rows[0], "category_id": 3}, {**rows[0], "bbox": [1, 1, 0, 5]}]
    file = boxes_from_file(write(tmp_path, rows))
    assert sum(file.dropped.values()) == 3 and len(file.dropped) == 3
    assert len(file.detector(0, IMAGE)) == 1


def test_real_detections(shared):
    path = shared / "data/posetrack18/annotations/test_posetrack18_human_detections.json"
    one = boxes_from_file(path, "012834_mpii_test")
    assert one.detector.frames == (0,)
    truth = shared / "data/posetrack18/annotations/val/012834_mpii_test.json"
    file = boxes_from_file(truth)
    found = file.detector(0, np.zeros((1080, 1920, 3), np.uint8))
    assert len(found) == 11 and found.track_ids is not None and len(file.images) == 1


FAULTS = {
    "truncated": ('[{"bbox": [1, 2', "not valid JSON"),
    "a number": ("3", "of no known form.*MOT"),
    "nothing": ("[]", "no usable box"),
    "all weak": ([{"image_id": 0, "bbox": [0, 0, 5, 5], "score": 0.01}], "1 with a score below 0.2"),
    "no frame": ([{"bbox": [0, 0, 5, 5], "score": 1}], r"\[0\]: neither 'image_name' nor 'image_id'"),
    "no box": ([{"image_id": 0, "score": 1}], r"\[0\]: key 'bbox'"),
    "no score": ([{"image_id": 0, "bbox": [0, 0, 5, 5]}], r"\[0\]: key 'score'"),
    "short box": ([{"image_id": 0, "bbox": [0, 0, 5], "score": 1}], r"\[0\]: 'bbox' has 3"),
    "text box": ([{"image_id": 0, "bbox": ["a", 0, 5, 5], "score": 1}], r"\[0\]: 'bbox'\[0\] must be a number"),
    "nan": ({"0": [[float("nan"), 0, 5, 5, 1]]}, r"box 0 of frame 0\[0\] must be a finite number"),
    "text id": ([{"image_id": "a", "bbox": [0, 0, 5, 5], "score": 1}], r"\[0\]: 'image_id' must be an integer"),
    "name without number": ([{"image_name": "a/b.jpg", "bbox": [0, 0, 5, 5], "score": 1}], "no frame number"),
    "frame key": ({"first": [[0, 0, 5, 5]]}, "'first' is no frame number"),
    "long box": ({"0": [[0, 0, 5, 5, 1, 1]]}, "box 0 of frame 0 has 6 numbers"),
    "absent image": ({"images": [{"id": 1}], "annotations": [{"image_id": 2, "bbox": [0, 0, 5, 5]}]}, "names image 2"),
    "image without id": ({"images": [{}], "annotations": []}, r"images\[0\]: key 'id'"),
    "track twice": (
        {"images": [{"id": 0}], "annotations": [{"image_id": 0, "bbox": [0, 0, 5, 5], "track_id": 4}] * 2},
        "track_id occurs twice in frame 0",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(tmp_path, name):
    content, message = FAULTS[name]
    with pytest.raises(InputError, match=message) as error:
        boxes_from_file(write(tmp_path, content))
    assert "boxes.json" in str(error.value) and "\n" not in str(error.value)


def test_absent_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        boxes_from_file(tmp_path / "none.json")


def test_all_boxes_are_checked_when_the_file_is_read(tmp_path):
    path = write(tmp_path, {"0": [[0, 0, 5, 5]], "7": [[400, 0, 5, 5]]})
    assert boxes_from_file(path).detector.frames == (0, 7)
    with pytest.raises(InputError, match="frame 7 lies outside the image of 300×200"):
        boxes_from_file(path, size=(300, 200))


def test_identities_that_are_names_become_numbers_whatever_the_order(tmp_path):
    def rows(*tracks):
        return [{"image_id": 0, "bbox": [n, 0, 5, 5], "score": 1, "track_id": t} for n, t in enumerate(tracks)]

    for tracks in (["b", "a", 1, "0"], ["a", "b", "1", 0]):
        file = boxes_from_file(write(tmp_path, rows(*tracks)))
        found = dict(zip(map(str, tracks), file.detector(0, IMAGE).track_ids))
        assert found == {"0": 0, "1": 1, "a": 2, "b": 3}
        assert "a is 2, b is 3" in file.notes[0]
    file = boxes_from_file(write(tmp_path, rows("a", None)))
    assert file.detector(0, IMAGE).track_ids is None and "1 of 2" in file.notes[0]
    with pytest.raises(InputError, match="twice in frame 0"):
        boxes_from_file(write(tmp_path, rows("7", 7)))


@pytest.mark.parametrize("order", [1, -1])
def test_images_are_given_by_frame(tmp_path, order):
    content = posetrack18()
    content["images"] = content["images"][::2][::order]
    file = boxes_from_file(write(tmp_path, content))
    assert {frame: image["id"] for frame, image in file.images.items()} == {0: 10128340000, 2: 10128340002}
    assert file.detector.frames == (0, 2)


def test_images_of_another_size_are_refused_with_both_sizes(tmp_path):
    content = posetrack18()
    content["images"][1].update(width=600, height=400)
    path = write(tmp_path, content)
    assert boxes_from_file(path).detector.frames == (0, 2)
    with pytest.raises(InputError, match=r"images\[1\] .*600×400.*300×200"):
        boxes_from_file(path, size=(300, 200))
    boxes_from_file(path, size=(600, 400))


def test_boxes_around_crowds_are_left_out_and_counted(tmp_path):
    rows = FORMS["frame numbers"]()
    file = boxes_from_file(write(tmp_path, [*rows, {**rows[0], "iscrowd": 1}]))
    assert len(file.detector(0, IMAGE)) == 1 and list(file.dropped.values()) == [1]


def test_what_the_numbering_noted_is_passed_on(tmp_path):
    file = boxes_from_file(write(tmp_path, FORMS["names of 2017"]()), "some_video", frames=9)
    assert any("from 1" in note for note in file.notes) and any("000342_mpii" in note for note in file.notes)


def test_ids_of_an_image_are_kept_where_a_frame_id_tells_the_frame(tmp_path):
    images = [{"id": n + 1, "frame_id": frame} for n, frame in enumerate((0, 2))]
    rows = [{"image_id": n + 1, "bbox": [1, 2, 30, 40]} for n in range(2)]
    file = boxes_from_file(write(tmp_path, {"images": images, "annotations": rows}), frames=9)
    assert {frame: image["id"] for frame, image in file.images.items()} == {0: 1, 2: 2}
