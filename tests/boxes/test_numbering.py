"""The frame is that of the name or of the id, from 0 or from 1 by what the file shows; contradictions are refused."""

import pytest

from jmpose_jax.boxes.numbering import frames_of
from jmpose_jax.boxes.records import Content, Image
from jmpose_jax.errors import InputError


def content(form="images", **columns):
    count = len(next(iter(columns.values())))
    return Content(
        form,
        tuple(Image(f"images[{i}]", **{key: values[i] for key, values in columns.items()}) for i in range(count)),
        (),
    )


def frames(form="images", video="", count=0, first=None, **columns):
    found = frames_of("boxes.json", content(form, **columns), video, count, first).by_image
    return [found.get(i) for i in range(len(found))]


def names(pattern, numbers):
    return [pattern.format(n) for n in numbers]


@pytest.mark.parametrize(
    ("pattern", "numbers", "count", "expected"),
    [
        ("v/{:06d}.jpg", [0, 1, 2], 3, [0, 1, 2]),
        ("v/{:06d}.jpg", [2, 0, 1], 0, [2, 0, 1]),
        ("v/{:06d}.jpg", [0, 4, 8], 12, [0, 4, 8]),
        ("v/{:06d}.jpg", [4, 8], 12, [4, 8]),
        ("v/{:06d}.jpg", [1, 2, 3], 3, [0, 1, 2]),  # ffmpeg -i … %06d.jpg
        ("frame_{:04d}.jpg", [1, 2, 3], 3, [0, 1, 2]),
        ("frame_{:04d}.jpg", [3, 2, 1], 0, [2, 1, 0]),
        ("frame_{:04d}.jpg", [1, 5, 9], 12, [0, 4, 8]),
        ("v/{:06d}.jpg", [1, 5, 9], 12, [0, 4, 8]),
        ("frame_{:04d}.jpg", [4, 8, 12], 12, [3, 7, 11]),
        ("frame_{:04d}.jpg", [0, 5, 9], 12, [0, 5, 9]),
        ("{}.png", [0, 10, 2], 0, [0, 10, 2]),
        ("a/b/img{}_crop.jpeg", [9, 10, 1], 0, [8, 9, 0]),
        ("C:\\v\\{:06d}.jpg", [0, 3], 0, [0, 3]),
        ("bonn/000342_mpii/{:08d}.jpg", [3, 1], 0, [2, 0]),
        ("bonn/000342_mpii/{:08d}.jpg", [7, 11], 40, [6, 10]),
        ("bonn/000342_mpii/{:08d}.jpg", [0, 4], 40, [0, 4]),
        ("val/012834_mpii_test/{:06d}.jpg", [1, 2, 3], 3, [1, 2, 3]),  # PoseTrack18 counts from 0 whatever is there
    ],
)
@pytest.mark.parametrize("form", ["images", "list", "csv"])
def test_names(form, pattern, numbers, count, expected):
    assert frames(form, count=count, name=names(pattern, numbers)) == expected


@pytest.mark.parametrize(
    ("form", "numbers", "count", "expected"),
    [
        ("list", [0, 2], 0, [0, 2]),
        ("list", [1, 2, 3], 0, [0, 1, 2]),
        ("list", [2, 5], 5, [1, 4]),
        ("images", [10000, 10004, 10008], 12, [0, 4, 8]),
        ("images", [10004, 10008], 12, [4, 8]),
        ("images", [10001, 10005], 12, None),
        ("list", [10003], 20000, None),  # a frame number or a video's id: a long video
        ("list", [0, 10003], 20000, [0, 10003]),
        ("list", [10128340001, 10128340002], 2, [1, 2]),
        ("list", [3, 7], 12, None),
        ("list", [1, 5], 12, None),
        ("list", [5, 10128340001], 12, None),
    ],
)
def test_ids(form, numbers, count, expected):
    if expected is None:
        with pytest.raises(InputError, match=r"boxes\.json"):
            frames(form, count=count, identity=numbers)
    else:
        assert frames(form, count=count, identity=numbers) == expected


@pytest.mark.parametrize(
    ("form", "numbers", "count", "expected"),
    [
        ("mot", [1, 3], 12, [0, 2]),
        ("mot", [5, 3], 12, [4, 2]),
        ("mot", [0, 3], 12, [0, 3]),
        ("frames", [3, 7], 12, [3, 7]),
        ("frames", [3, 12], 12, None),
        ("frames", [1, 2, 3], 3, [0, 1, 2]),
        ("csv", [0, 3], 12, [0, 3]),
        ("csv", [2, 1], 12, [1, 0]),
        ("csv", [3, 7], 12, None),
        ("positions", [0, 1], 2, [0, 1]),
        ("positions", [0, 1], 12, None),
    ],
)
def test_numbers(form, numbers, count, expected):
    if expected is None:
        with pytest.raises(InputError, match=r"boxes\.json"):
            frames(form, count=count, number=numbers)
    else:
        assert frames(form, count=count, number=numbers) == expected


def test_the_user_may_say_what_the_file_counts_from():
    for first in (0, 1):
        assert frames(name=names("f_{}.jpg", [3, 7]), first=first) == [3 - first, 7 - first]
    with pytest.raises(InputError, match=r"3, 7.*--boxes_from"):
        frames(name=names("f_{}.jpg", [3, 7]))
    with pytest.raises(InputError, match=r"images\[0\].*--boxes_from=1"):
        frames(name=names("f_{}.jpg", [0, 7]), first=1)


SIX = names("v/{:06d}.jpg", range(12))


@pytest.mark.parametrize(
    "identity",
    [
        range(12),
        range(1, 13),
        range(10000, 10012),
        range(10001, 10013),
        range(11, -1, -1),  # ids are any numbers, the names tell the frames
        range(12, 0, -1),
        range(301, 313),  # a count that goes on over the videos of a data set
        [785, 40083, 196141, 197388, 200421, 209222, 212573, 222455, 226111, 227187, 229948, 262682],  # COCO's
    ],
)
def test_ids_that_do_not_contradict_the_names(identity):
    assert frames(name=SIX, identity=list(identity), count=12) == list(range(12))
    assert frames(name=SIX[::4], identity=[1, 2, 3], count=12) == [0, 4, 8]


@pytest.mark.parametrize(
    "identity",
    [range(10011, 9999, -1), [*range(10000, 10011), 10012]],
)
def test_ids_that_contradict_the_names_are_refused(identity):
    with pytest.raises(InputError, match=r"boxes\.json: images\[\d+\] .*different frames"):
        frames(name=SIX, identity=list(identity), count=12)


def test_posetracks_ids_and_names_are_compared():
    with pytest.raises(InputError, match="different frames"):
        frames(name=SIX, identity=list(range(10128340005, 10128340017)))


@pytest.mark.parametrize(
    "wrong",
    [
        dict(name=["v/a.jpg"]),
        dict(name=["v/1596543210123.jpg"]),
        dict(name=["v/" + "9" * 5000 + ".jpg"]),
        dict(name=[""]),
        dict(name=["v/000000.jpg", "v/000000.png"]),
        dict(name=["v/000001.jpg", None], identity=[1, 2]),
        dict(name=["a/000001.jpg", "b/000001.jpg"]),
    ],
)
def test_names_that_tell_no_frame_are_refused(wrong):
    with pytest.raises(InputError, match=r"boxes\.json"):
        frames(**wrong)


@pytest.mark.parametrize(
    "listed",
    [
        ["a/000000.jpg", "b/000000.jpg", "b/000001.jpg"],
        ["x/a_000000.jpg", "x/b_000000.jpg", "x/b_000001.jpg"],
    ],
)
def test_the_images_of_the_video_are_picked(listed):
    assert frames_of("boxes.json", content(name=listed), "b").by_image == {1: 0, 2: 1}
    with pytest.raises(InputError, match="2 videos"):
        frames_of("boxes.json", content(name=listed), "c")


ELEVEN = list(range(1, 12))


@pytest.mark.parametrize(
    ("form", "given", "expected"),
    [
        ("list", {"identity": ELEVEN}, None),
        ("csv", {"number": ELEVEN}, None),
        ("images", {"name": names("v/{:06d}.jpg", ELEVEN)}, None),
        ("csv", {"name": names("frame_{:04d}.jpg", ELEVEN)}, None),
        ("csv", {"number": [1, 5, 11]}, None),
        ("mot", {"number": ELEVEN}, 1),  # from 1 by its definition
        ("frames", {"number": ELEVEN}, 0),  # from 0 by what its users are told
        ("list", {"name": names("bonn/000342_mpii/{:08d}.jpg", ELEVEN)}, 1),
        ("list", {"name": names("v/012834_mpii_test/{:06d}.jpg", ELEVEN)}, 0),
        ("list", {"identity": [10128340000 + n for n in ELEVEN]}, 0),
    ],
)
def test_one_less_than_the_frames_of_the_video_shows_nothing(form, given, expected):
    if expected is None:
        with pytest.raises(InputError, match="--boxes_from=0"):
            frames(form, count=12, **given)
        expected = 1
        assert frames(form, count=12, first=1, **given)[0] == 0
    else:
        assert frames(form, count=12, **given)[0] == 1 - expected


def test_what_the_file_counts_from_is_said_where_it_is_1():
    one = frames_of("b", content("csv", number=[1, 2, 3]), count=3)
    assert one.first == 1 and any("from 1" in note for note in one.notes)
    assert frames_of("b", content("csv", number=[0, 2]), count=3).notes == ()


def test_all_numbers_from_1_show_nothing_where_the_frames_are_estimated():
    with pytest.raises(InputError, match="--boxes_from"):
        frames_of("b", content("frames", number=[1, 2, 3]), count=9, exact=False)
    assert frames_of("b", content("frames", number=[3, 7]), count=12, exact=False).by_image == {0: 3, 1: 7}


@pytest.mark.parametrize("count", [0, 12])
def test_numbers_alone_tell_the_same_with_an_estimate_and_without(count):
    with pytest.raises(InputError, match="--boxes_from"):
        frames("frames", count=count, number=[1, 12])
    with pytest.raises(InputError, match="--boxes_from"):
        frames_of("b", content("frames", number=[1, 12]), count=count, exact=False)


def test_a_list_a_frame_agrees_with_an_estimate_nearly():
    listed = content("positions", number=list(range(12)))
    assert len(frames_of("b", listed, count=13, exact=False).by_image) == 12
    with pytest.raises(InputError, match="about 20"):
        frames_of("b", listed, count=20, exact=False)


def test_the_frames_number_counts_before_the_id_and_must_agree_with_the_name():
    assert frames(identity=[1, 2, 3], number=[0, 4, 8], count=12) == [0, 4, 8]
    assert frames(identity=[20001, 20002, 20003], number=[0, 4, 8], count=12) == [0, 4, 8]
    assert frames(identity=[1, 2], number=[1, 5], name=["v/000000.jpg", "v/000004.jpg"]) == [0, 4]
    for name in (["v/000000.jpg", "v/000001.jpg"], ["v/000004.jpg", "v/000000.jpg"]):
        with pytest.raises(InputError, match="different frames"):
            frames(identity=[1, 2], number=[0, 4], name=name)
    with pytest.raises(InputError, match="different frames"):
        frames(identity=[10128340000, 10128340001], number=[0, 4], count=12)
    with pytest.raises(InputError, match="number of its frame"):
        frames(identity=[1, 2], number=[0, None])


@pytest.mark.parametrize("name", ["0.040.jpg", "v/frame_0.040.png", "00:01.jpg", "1.5s"])
def test_times_are_no_frame_numbers(name):
    with pytest.raises(InputError, match="time"):
        frames(name=["v/000000.jpg", name])
    assert frames(name=["video.0001.jpg", "video.0000.jpg"]) == [1, 0]


@pytest.mark.parametrize("given", ["number", "identity", "name"])
def test_the_videos_of_a_table_are_kept_apart(given):
    values = ["a0.jpg", "a1.jpg"] * 2 if given == "name" else [0, 1] * 2
    listed = content("csv", video=["base", "base", "other.mp4", "other.mp4"], **{given: values})
    assert frames_of("b", listed, "base").by_image == {0: 0, 1: 1}
    assert frames_of("b", listed, "other").by_image == {2: 0, 3: 1}
    with pytest.raises(InputError, match="2 videos"):
        frames_of("b", listed, "third")


@pytest.mark.parametrize(
    "given",
    [
        {"name": ["val/100002_mpii_test/000000.jpg"]},
        {"identity": [11000020000]},
        {"number": [0], "video": ["100002_mpii_test"]},
    ],
)
def test_boxes_of_another_video_of_posetrack_are_refused(given):
    listed = content(**given)
    with pytest.raises(InputError, match="100002.*100001_mpii_test"):
        frames_of("b", listed, "100001_mpii_test")
    for video in ("100002_mpii_test", "", "my"):
        assert frames_of("b", listed, video).by_image == {0: 0}


def test_another_name_of_the_video_is_said():
    assert "'walk'" in frames_of("b", content(name=["walk/000000.jpg"]), "run").notes[0]
    for name, video in (
        ("walk/000000.jpg", "walk"),
        ("images/000000.jpg", "run"),
        ("000342_mpii/00.jpg", "000342_mpii_a"),
    ):
        assert frames_of("b", content(name=[name]), video).notes == ()
