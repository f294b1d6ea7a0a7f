"""Frames of ground truth and predictions, in any order and form, are those of the same image, in the order of time."""

import json
import shutil

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.crowd import choose_frames

FIRST = "000342_mpii_test.json"


@pytest.fixture
def folder(golden, tmp_path):
    """Ground truth and predictions in both forms."""
    for name in ("gt", "pred", "gt17", "pred17"):
        shutil.copytree(golden / "poseval" / name, tmp_path / name)
    return tmp_path


def change(folder, edit):
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))


def listed(content):
    return content["annolist"] if "annolist" in content else content["images"]


def backwards(content):
    listed(content).reverse()


def rename(change_of):
    def edit(content):
        for row in listed(content):
            if "annolist" in content:
                row["image"][0]["name"] = change_of(row["image"][0]["name"])
            else:
                row["file_name"] = change_of(row["file_name"])

    return edit


def nameless(content):
    for row in listed(content):
        row.pop("image" if "annolist" in content else "file_name")


def scores(folder, truth, predicted):
    result = posetrack.evaluate(folder / truth, folder / predicted)
    return result.ap["Total"], result.mota["Total"]


PAIRS = [("gt", "pred"), ("gt17", "pred17"), ("gt", "pred17"), ("gt17", "pred")]


@pytest.mark.parametrize("reversed_side", ["truth", "predictions", "both"])
@pytest.mark.parametrize(("truth", "predicted"), PAIRS)
def test_the_order_of_the_list_says_nothing(folder, truth, predicted, reversed_side):
    expected = scores(folder, truth, predicted)
    for side, name in (("truth", truth), ("predictions", predicted)):
        if reversed_side in (side, "both"):
            change(folder / name, backwards)
    assert scores(folder, truth, predicted) == expected


@pytest.mark.parametrize(("truth", "predicted"), PAIRS)
def test_folders_and_endings_of_names_may_differ(folder, truth, predicted):
    expected = scores(folder, truth, predicted)
    change(folder / predicted, backwards)
    change(folder / predicted, rename(lambda name: "frames/" + name.rsplit("/", 1)[1].replace(".jpg", ".png")))
    assert scores(folder, truth, predicted) == expected


def test_frames_without_names_go_by_position_where_that_is_clear(folder):
    expected = scores(folder, "gt17", "pred17")
    change(folder / "pred17", nameless)
    assert scores(folder, "gt17", "pred17") == expected
    change(folder / "gt17", backwards)
    with pytest.raises(InputError, match=f"pred17/{FIRST}: names no images"):
        scores(folder, "gt17", "pred17")
    change(folder / "pred", nameless)  # ids are enough
    assert scores(folder, "gt", "pred") == expected


def test_some_without_names_are_refused(folder):
    change(folder / "pred17", lambda content: content["annolist"][2].pop("image"))
    with pytest.raises(InputError, match=f"pred17/{FIRST}: entry 2 names no image"):
        scores(folder, "gt17", "pred17")


@pytest.mark.parametrize(("truth", "predicted"), PAIRS[1:])
def test_frames_that_either_side_lacks_are_named(folder, truth, predicted):
    change(folder / predicted, rename(lambda name: name.replace("000003", "000033")))
    with pytest.raises(InputError, match=f"{predicted}/{FIRST}.*000003.jpg.*000033.jpg"):
        scores(folder, truth, predicted)


def test_ids_that_either_side_lacks_are_named(folder):
    def other(content):
        for entry in (*content["images"], *content["annotations"]):
            key = "id" if "file_name" in entry else "image_id"
            entry[key] += 90 if entry[key] % 10 == 3 else 0

    change(folder / "pred", other)
    with pytest.raises(InputError, match=f"pred/{FIRST}.*10003420003.*10003420093"):
        scores(folder, "gt", "pred")


def test_ids_and_names_that_contradict_each_other_are_refused(folder):
    def swap(content):
        a, b = content["images"][:2]
        a["file_name"], b["file_name"] = b["file_name"], a["file_name"]

    change(folder / "pred", swap)
    with pytest.raises(InputError, match=f"pred/{FIRST}.*10003420000.*000001.jpg"):
        scores(folder, "gt", "pred")


def test_crowded_frames_do_not_depend_on_the_order_of_the_list(folder):
    def boxed(content):
        for annotation in content["annotations"]:
            x, y = annotation["keypoints"][::3], annotation["keypoints"][1::3]
            annotation["bbox"] = [min(x), min(y), max(x) - min(x), max(y) - min(y)]

    change(folder / "gt", boxed)
    expected = choose_frames(folder / "gt", 0.01)
    change(folder / "gt", backwards)
    assert choose_frames(folder / "gt", 0.01) == expected


def test_names_that_are_one_frame_off_the_ids_are_refused(folder):
    change(folder / "pred", rename(lambda name: name[:-10] + f"{int(name[-10:-4]) + 1:06d}.jpg"))
    with pytest.raises(InputError, match="its image of id .* correct the ids or the file names"):
        posetrack.evaluate(folder / "gt", folder / "pred")
