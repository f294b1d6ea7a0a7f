"""Every form gives the same table; every damage gives the right table or one line, never another exception."""

import json
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jmpose_jax.boxes.reader import FORMS as LISTED
from jmpose_jax.boxes.reader import read_boxes
from jmpose_jax.errors import InputError
from jmpose_jax.inference.box_files import boxes_from_file
from tests.boxes.forms import FORMS, VIDEO, WITHOUT_TRACKS

COUNT = 12
IMAGE = np.zeros((400, 600, 3), np.uint8)
QUIET = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])

whole_boxes = st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(2, 90), st.integers(1, 90)).map(list)
scores = st.integers(20, 100).map(lambda percent: percent / 100)


@st.composite
def tables(draw):
    """Boxes, scores and tracks by frame, in the order of the frames."""
    frames = sorted(draw(st.sets(st.integers(0, COUNT - 1), min_size=1)))
    table = {}
    for frame in frames:
        found = draw(st.lists(st.tuples(whole_boxes, scores), min_size=1, max_size=3))
        table[frame] = [(box, score, track) for track, (box, score) in enumerate(found)]
    return table


def read(tmp_path, text, **known):
    path = tmp_path / "boxes"
    path.write_text(text, encoding="utf-8")
    return boxes_from_file(path, VIDEO, frames=COUNT, size=(600, 400), **known)


def assert_table(file, table, tracks=True):
    assert file.detector.frames == tuple(sorted(table))
    for frame, found in table.items():
        got = file.detector(frame, IMAGE)
        order = np.lexsort(got.boxes.T)
        expected = np.array([box for box, _, _ in found], np.float32)
        other = np.lexsort(expected.T)
        np.testing.assert_allclose(got.boxes[order], expected[other], rtol=1e-5)
        np.testing.assert_allclose(sorted(got.scores), sorted(score for _, score, _ in found), rtol=1e-5)
        if tracks:
            assert sorted(got.track_ids) == sorted(track for *_, track in found)


@pytest.mark.parametrize("name", FORMS)
@QUIET
@given(table=tables())
def test_every_form_written_and_read_back_gives_the_same_table(tmp_path, name, table):
    assert_table(read(tmp_path, FORMS[name](table, COUNT)), table, name not in WITHOUT_TRACKS)


@pytest.mark.parametrize("name", FORMS)
@QUIET
@given(table=tables(), seed=st.integers(0, 999))
def test_the_order_of_the_file_is_of_no_matter(tmp_path, name, table, seed):
    text, shuffle = FORMS[name](table, COUNT), random.Random(seed).shuffle
    if name == "by_position":
        return  # the place is the frame there
    if text[0] not in "[{":
        head, *lines = text.splitlines() if name != "mot" else ["", *text.splitlines()]
        shuffle(lines)
        text = "\n".join([head, *lines])
    else:
        content = json.loads(text)
        if isinstance(content, dict) and "images" not in content:
            items = list(content.items())
            shuffle(items)
            content = dict(items)
        for part in [content] if isinstance(content, list) else [v for v in content.values() if isinstance(v, list)]:
            shuffle(part)
        text = json.dumps(content)
    assert_table(read(tmp_path, text), table, name not in WITHOUT_TRACKS)


@pytest.mark.parametrize("name", [name for name in FORMS if "images" in FORMS[name]({}, 2)])
@QUIET
@given(table=tables(), step=st.integers(2, 5))
def test_a_sparse_list_of_images_keeps_its_frames(tmp_path, name, table, step):
    table = {frame - frame % step: found for frame, found in table.items()}
    content = json.loads(FORMS[name](table, COUNT))
    content["images"] = content["images"][::step]
    # Of every second frame, 1 … 11 of a video of 12 may count from 0 as well.
    first = 1 if name == "ffmpeg_images" else None
    assert_table(read(tmp_path, json.dumps(content), first=first), table)


def as_text(value):
    if isinstance(value, dict):
        return {key: as_text(v) if key != "images" else value[key] for key, v in value.items()}
    if isinstance(value, list):
        return [as_text(v) for v in value]
    return str(value) if isinstance(value, (int, float)) else value


@pytest.mark.parametrize("name", FORMS)
@QUIET
@given(table=tables())
def test_numbers_may_be_text(tmp_path, name, table):
    text = FORMS[name](table, COUNT)
    if text[0] in "[{":
        assert_table(read(tmp_path, json.dumps(as_text(json.loads(text)))), table, name not in WITHOUT_TRACKS)


WRONG = [float("nan"), float("inf"), -1e400, True, None, [], {}, [1], "x", "", -5, 1.5, 10**30, "nan", 2**63]


def places(value, here=()):
    """The paths of all values in a JSON content."""
    yield here
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*here, key))


@pytest.mark.parametrize("name", [name for name in FORMS if FORMS[name]({}, 2)[0] in "[{"])
@QUIET
@given(table=tables(), data=st.data())
def test_any_value_replaced_by_another_gives_a_finite_table_or_one_line(tmp_path, name, table, data):
    content = json.loads(FORMS[name](table, COUNT))
    path = data.draw(st.sampled_from(list(places(content))))
    wrong = data.draw(st.sampled_from(WRONG))
    if not path:
        content = wrong
    else:
        node = content
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = wrong
    assert_table_or_line(tmp_path, json.dumps(content))


@pytest.mark.parametrize("name", FORMS)
@QUIET
@given(table=tables(), data=st.data())
def test_a_file_cut_off_or_garbled_gives_a_finite_table_or_one_line(tmp_path, name, table, data):
    text = FORMS[name](table, COUNT)
    at = data.draw(st.integers(0, len(text)))
    assert_table_or_line(tmp_path, text[:at] + data.draw(st.sampled_from(["", "nan", "\0", ",", '"', "\n", "é"])))
    wrong = data.draw(st.sampled_from(["nan", "inf", "x", "", '"', "1e999", "-", "\0"]))
    assert_table_or_line(tmp_path, text[:at] + wrong + text[at + len(wrong) :])


def assert_table_or_line(tmp_path, text):
    try:
        file = read(tmp_path, text)
    except InputError as error:
        assert "boxes" in str(error) and "\n" not in str(error) and len(str(error)) < 900
        return
    for frame in file.detector.frames:
        found = file.detector(frame, IMAGE)
        assert frame >= 0 and np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()
    ids = [entry["id"] for entry in file.images.values()]
    assert all(isinstance(i, int) for i in ids) and len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "content",
    [b"", b" \n", b"3", b"null", b"hello\n", b"1,2,3\n", b"\x89PNG\r\n\x1a\n", b"\xff\xfe[\0]", b"a,b,c\n1,2,3\n"],
)
def test_other_files_are_refused_with_the_forms_that_are_read(tmp_path, content):
    path = tmp_path / "boxes.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"boxes\.json.*MOT.*CSV"):
        read_boxes(path)


def test_a_byte_order_mark_says_nothing(tmp_path):
    for text in ('{"0": [[1, 2, 3, 4, 0.5]]}', "frame,x,y,w,h\n0,1,2,3,4\n"):
        (tmp_path / "boxes").write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert len(read_boxes(tmp_path / "boxes").rows) == 1


def test_a_folder_and_an_absent_file_are_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.json", tmp_path / "nul\0.json"):
        with pytest.raises(InputError, match="cannot be read|no such file"):
            read_boxes(path)


def test_the_list_of_forms_fits_into_a_help_text():
    assert (
        all(word in LISTED for word in ("PoseTrack18", "COCO", "mmpose", "DCPose", "MOT", "CSV")) and len(LISTED) < 500
    )


def test_utf_16_and_doubled_keys(tmp_path):
    path = tmp_path / "boxes"
    for text in ('{"0": [[1, 2, 3, 4, 0.5]]}', "frame,x,y,w,h\n0,1,2,3,4\n"):
        path.write_bytes(text.encode("utf-16"))
        assert len(read_boxes(path).rows) == 1
    for text in (
        '{"0": [[1, 2, 3, 4]], "0": [[5, 6, 7, 8]]}',
        '[{"image_id": 0, "image_id": 1, "bbox": [1, 2, 3, 4]}]',
    ):
        path.write_text(text)
        with pytest.raises(InputError, match="boxes.*twice"):
            read_boxes(path)


def test_units_are_checked(tmp_path):
    (tmp_path / "boxes.csv").write_text("frame,x,y,w,h\n0,0.1,0.2,0.3,0.4\n")
    with pytest.raises(InputError, match=r"boxes\.csv.*pixels"):
        read_boxes(tmp_path / "boxes.csv")
