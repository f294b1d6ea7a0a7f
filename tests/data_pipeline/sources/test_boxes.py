"""Boxes clipped to the image, and detectors' files in both published forms."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.sources.boxes import clip_box, frame_key, match_detections, other_size, read_detections
from jmpose_jax.errors import InputError

COORDINATE = st.floats(-200, 200, allow_nan=False)


@given(st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE))
def test_clipped_box_is_the_part_inside(box):
    clipped = clip_box(np.asarray(box), 96, 64)
    x, y, w, h = box
    corner, end = np.maximum([x, y], 0), np.minimum([x + w, y + h], [96, 64])
    if w <= 0 or h <= 0 or np.any(end <= corner) or np.max(end - corner) < 1:
        assert clipped is None
    else:
        np.testing.assert_allclose(clipped[:2], corner, rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(clipped[:2] + clipped[2:], end, atol=1e-4)


def test_official_detections(shared):
    file = shared / "data" / "posetrack18" / "annotations" / "test_posetrack18_human_detections.json"
    everything = read_detections(file, threshold=0.0)
    assert len(everything) == 278
    kept = read_detections(file)
    assert 0 < len(kept) < 278 and min(d.score for d in kept) >= 0.2
    assert {d.image_id for d in kept} == {10128340000, 10034180000, 10094730000}


def write(path, entries):
    path.write_text(json.dumps(entries))
    return path


def test_paths_or_ids(tmp_path):
    entry = {"bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
    file = write(
        tmp_path / "boxes.json",
        [
            {**entry, "image_name": "images/val/000002_mpii_test/000004.jpg", "nframes": 5, "frame_id": 4},
            {**entry, "image_id": 7},
            {**entry, "image_id": 7, "category_id": 2},
            {**entry, "image_id": 7, "score": 0.1},
            {**entry, "image_id": 7, "bbox": [1, 2, 0, 4]},
            {**entry, "image_id": 8},
        ],
    )
    detections = read_detections(file)
    assert len(detections) == 3
    matched, unmatched = match_detections(detections, ["a/b/1.jpg", "val/000002_mpii_test/000004.jpg"], [7, 3])
    assert [(frame, d.image_id) for frame, d in matched] == [(0, 7), (1, None)] and unmatched == 1


def test_the_forms_that_name_images_are_read_as_predict_reads_them(tmp_path):
    entry = {"bbox": [1, 2, 3, 4], "score": 0.5, "category_id": "1", "image_id": "7"}
    as_list = read_detections(write(tmp_path / "list.json", [entry]))
    listed = {"images": [{"id": 7, "file_name": "v/000007.jpg"}], "annotations": [entry]}
    as_images = read_detections(write(tmp_path / "images.json", listed))
    (tmp_path / "boxes.csv").write_text("image_name,xmin,ymin,xmax,ymax,score\nv/000007.jpg,1,2,4,6,0.5\n")
    as_table = read_detections(tmp_path / "boxes.csv")
    assert as_list[0].image_id == 7 and as_images[0].image_name == as_table[0].image_name == "v/000007.jpg"
    for found in (as_list, as_images, as_table):
        assert len(found) == 1 and found[0].score == 0.5
        np.testing.assert_array_equal(found[0].box, [1, 2, 3, 4])


def test_frame_key_takes_folder_and_image():
    assert frame_key("images/val/000002_mpii_test/000004.jpg") == frame_key("000002_mpii_test/000004.jpg")
    assert frame_key("a\\b\\1.jpg") == "b/1.jpg"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "tells no image of the data set"),
        ({"0": [[1, 2, 3, 4, 1]]}, "tells no image of the data set"),
        ([[[1, 2, 3, 4, 1]]], "tells no image of the data set"),
        ([{"bbox": [1, 2, 3, 4], "score": 1, "image_id": [1]}], r"\[0\]: 'image_id'"),
        ([{"bbox": [1, 2, 3, float("nan")], "score": 1, "image_id": 1}], r"\[0\]: 'bbox'\[3\]"),
        ([{"bbox": [1, 2, 3], "score": 1, "image_id": 1}], r"\[0\]: 'bbox' has 3 numbers"),
        ([{"bbox": [1, 2, 3, 4], "image_id": 1}], r"\[0\]: key 'score' is missing"),
        ([{"bbox": [1, 2, 3, 4], "score": 1}], r"\[0\]: neither 'image_name' nor 'image_id'"),
    ],
)
def test_faults_name_file_and_entry(tmp_path, content, message):
    file = write(tmp_path / "boxes.json", content)
    with pytest.raises(InputError, match=message) as caught:
        read_detections(file)
    assert str(file) in str(caught.value)


def test_images_of_another_size_are_found(tmp_path):
    (tmp_path / "b.csv").write_text("image_name,x,y,w,h,image_width,image_height\nv/1.jpg,1,2,3,4,640,480\n")
    matched, _ = match_detections(read_detections(tmp_path / "b.csv"), ["v/0.jpg", "v/1.jpg"], [0, 1])
    assert other_size(matched, [(1, 1), (480, 640)]) is other_size(matched, [None, None]) is None
    assert "640×480" in other_size(matched, [None, (240, 320)]) and "320×240" in other_size(matched, [None, (240, 320)])


def test_crowds_and_contradictions(tmp_path):
    entry = {"bbox": [1, 2, 3, 4], "score": 0.5}
    assert (
        len(read_detections(write(tmp_path / "b.json", [entry | {"image_id": 1, "iscrowd": n} for n in (0, 1)]))) == 1
    )
    wrong = entry | {"image_name": "val/100002_mpii_test/000000.jpg", "image_id": 11000010000}
    with pytest.raises(InputError, match="different frames"):
        read_detections(write(tmp_path / "b.json", [wrong]))
