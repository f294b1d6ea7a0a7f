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


def images_of(*images, **more):
    rows = [{**BOX, "image_id": image["id"]} for image in images]
    return read_images("boxes.json", {"images": list(images), "annotations": rows, **more})


@pytest.mark.parametrize("name", ["Person", "pedestrian", "PEOPLE", "human"])
def test_people_have_many_names(name):
    content = images_of({"id": 0}, categories=[{"id": 1, "name": "dog"}, {"id": 3, "name": name}])
    assert content.rows[0].person
    rows = [{**BOX, "image_id": 0, "category_id": c} for c in (1, 3)]
    named = {
        "images": [{"id": 0}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "dog"}, {"id": 3, "name": name}],
    }
    assert [row.person for row in read_images("b", named).rows] == [False, True]


def test_categories_without_people_are_refused_by_their_names():
    for categories in ([{"id": 1, "name": "dog"}], [{"id": 1, "name": "car"}, {"id": 2, "name": "dog"}]):
        with pytest.raises(InputError, match=r"^boxes\.json: .*dog"):
            images_of({"id": 0}, categories=categories)
    assert images_of({"id": 0}, categories=[]).rows[0].person
    assert images_of({"id": 0}, categories=[{"id": 1}]).rows[0].person  # no name at all


def test_a_category_in_words_is_judged_wherever_it_stands():
    rows = [{**BOX, "image_id": 0, key: name} for key in ("category_name", "label") for name in ("dog", "Person")]
    assert [row.person for row in read_list("b", rows).rows] == [False, True] * 2


def test_a_crowd_is_marked():
    rows = [{**BOX, "image_id": 0, "iscrowd": value} for value in (0, 1, "1", None)]
    assert [row.crowd for row in read_list("b", rows).rows] == [False, True, True, False]


@pytest.mark.parametrize("key", ["frame_id", "frame", "frame_index"])
def test_the_frames_number_stands_beside_the_id(key):
    content = images_of(*({"id": n + 1, key: frame} for n, frame in enumerate((0, 4, 8))))
    assert [image.number for image in content.images] == [0, 4, 8]
    listed = read_list("b", [{**BOX, "image_id": n + 1, key: frame} for n, frame in enumerate((0, 4, 8))])
    assert [image.number for image in listed.images] == [0, 4, 8]


def test_a_frame_id_that_repeats_the_id_is_no_number():
    ids = [10128340000, 10128340001]
    assert [image.number for image in images_of(*({"id": i, "frame_id": i} for i in ids)).images] == [None, None]
    # Equal by chance in one image alone.
    content = images_of({"id": 1, "frame_id": 1}, {"id": 2, "frame_id": 4})
    assert [image.number for image in content.images] == [1, 4]
    with pytest.raises(InputError, match=r"images\[0\] .*differ"):
        images_of({"id": 1, "frame_id": 1, "frame": 2})


@pytest.mark.parametrize(
    ("naming", "expected"),
    [
        ({"file_name": "v/000003.jpg"}, ("v/000003.jpg", None, None)),
        ({"image_id": "000003.jpg"}, ("000003.jpg", None, None)),
        ({"frame": 3}, (None, None, 3)),
        ({"frame_id": "3"}, (None, None, 3)),
        ({"frame_id": 10128340003}, (None, 10128340003, None)),
    ],
)
def test_a_list_may_name_its_frames_in_many_ways(naming, expected):
    image = read_list("b", [{**BOX, **naming}]).images[0]
    assert (image.name, image.identity, image.number) == expected


def test_videos_are_kept_apart():
    content = images_of(
        {"id": 1, "video_id": 1, "frame_id": 0},
        {"id": 2, "video_id": 2, "frame_id": 0},
        videos=[{"id": 1, "name": "base"}],
    )
    assert [image.video for image in content.images] == ["base", "2"]


def test_keys_may_be_names_of_images():
    boxes = [[1, 2, 30, 40]]
    for keys in (["000000.jpg", "000004.jpg"], ["frame_0", "frame_4"]):
        content = read_frames("b", dict.fromkeys(keys, boxes))
        assert [image.name for image in content.images] == keys and content.form == "list"
    for key in ("-1", "1.5", "1e3", "1 000", "0:01"):
        with pytest.raises(InputError, match="no frame number"):
            read_frames("b", {key: boxes})
    for keys in (("0", "00"), ("0", " 0")):
        with pytest.raises(InputError, match="twice"):
            read_frames("b", dict.fromkeys(keys, boxes))


def test_the_digits_of_a_video_are_kept():
    assert images_of({"id": 1, "vid_id": "012834"}).images[0].video == "012834"
    assert images_of({"id": 1, "video_id": 4}, videos={"any": "thing"}).images[0].video == "4"
