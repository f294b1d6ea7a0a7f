"""The JSON forms: categories by their names, ids joined by value, faults by their place."""

import pytest

from jmpose_jax.boxes.json_forms import read_frames, read_images, read_list, read_positions
from jmpose_jax.errors import InputError

BOX = {"bbox": [1, 2, 3, 4], "score": 0.5}


def test_ids_are_joined_whatever_their_spelling():
    listed = {"images": [{"id": "7", "file_name": "7.jpg"}], "annotations": [{**BOX, "image_id": 7.0}]}
    content = read_images("b", listed)
    assert content.images[0].entry == {"id": 7, "file_name": "7.jpg"} and content.rows[0].image == 0
    by_frame_id = read_images("b", {"images": [{"frame_id": 7}], "annotations": [{**BOX, "image_id": "7"}]})
    assert by_frame_id.images[0].entry["id"] == 7


def test_people_are_the_category_called_person():
    categories = [{"id": 1, "name": "car"}, {"id": "3", "name": "person"}]
    rows = [{**BOX, "image_id": 0, "category_id": c} for c in (1, 3, "3")]
    content = read_images("b", {"images": [{"id": 0}], "annotations": rows, "categories": categories})
    assert [row.person for row in content.rows] == [False, True, True]
    alone = read_list("b", [{**BOX, "image_id": 0, "category_id": c} for c in (1, "1", "person", 3, "car")])
    assert [row.person for row in alone.rows] == [True, True, True, False, False]


def test_a_list_a_frame_may_have_gaps():
    content = read_positions("b", [None, [], [[1, 2, 3, 4], [5, 6, 7, 8, 0.5]]])
    assert [image.number for image in content.images] == [0, 1, 2]
    assert [(row.image, row.score) for row in content.rows] == [(2, 1.0), (2, 0.5)]


@pytest.mark.parametrize(
    ("read", "content", "place"),
    [
        (read_images, {"images": {}}, "'images'"),
        (read_images, {"images": [3]}, r"images\[0\]"),
        (read_images, {"images": [{"id": "frame_0"}]}, r"images\[0\]: 'id'"),
        (read_images, {"images": [{"id": [0]}]}, r"images\[0\]: 'id'"),
        (read_images, {"images": [{"id": 3}, {"id": 3}]}, r"images\[1\] .*images\[0\]"),
        (read_images, {"images": [{"id": 3, "file_name": 3}]}, r"images\[0\]: 'file_name'"),
        (read_images, {"images": [{"id": 3}], "annotations": {}}, "'annotations'"),
        (read_images, {"images": [{"id": 3}], "annotations": [{**BOX, "image_id": [3]}]}, r"annotations\[0\]"),
        (read_images, {"images": [{"id": 3}], "annotations": [{**BOX, "image_id": 4}]}, r"annotations\[0\]"),
        (read_images, {"images": [{"id": 3}], "annotations": [{"image_id": 3}]}, r"annotations\[0\]: key 'bbox'"),
        (read_images, {"images": [], "categories": [1]}, r"categories\[0\]"),
        (read_list, [{**BOX, "image_id": 1, "track_id": [1]}], r"\[0\]: 'track_id'"),
        (read_list, [{**BOX, "image_id": 1, "category_id": [1]}], r"\[0\]: 'category_id'"),
        (read_list, [{**BOX, "image_name": "a1.jpg", "image_id": i} for i in (1, 2)], r"\[1\] .*a1"),
        (read_list, [None], r"\[0\]"),
        (read_frames, {"²": []}, "'²'"),
        (read_frames, {"1" * 5000: []}, "'1111"),
        (read_frames, {"0": [[1, 2, 3]]}, "box 0 of frame 0"),
        (read_frames, {"0": [3]}, "box 0 of frame 0"),
        (read_positions, [[[1, 2, 3, 4, 5, 6]]], r"box 0 of \[0\]"),
        (read_positions, [[1, 2, 3, 4, 0.5], [1, 2, 3, 4, 0.5]], "says nothing of frames"),
        (read_positions, [[{}]], r"box 0 of \[0\]"),
    ],
)
def test_faults_name_the_place(read, content, place):
    with pytest.raises(InputError, match=f"^boxes.json.*{place}"):
        read("boxes.json", content)
