"""Annotation files changed in every way of the issue, at `prepare --check`, `prepare` and `evaluate`."""

import codecs
import json

import cv2
import numpy as np
import pytest

from data_pipeline.clips.table import ClipTable
from jmpose_jax.metrics import posetrack
from tests.commands import run
from tests.everything.judge import refused, right
from tests.everything.world import HEIGHT, VIDEOS, WIDTH, annotations, changed, write

FILE = f"annotations/val/{VIDEOS['val']}.json"


def permuted(content):
    """Another order of the joints, which `categories` names."""
    order = np.random.default_rng(1).permutation(17)
    content["categories"][0]["keypoints"] = [content["categories"][0]["keypoints"][k] for k in order]
    for entry in content["annotations"]:
        entry["keypoints"] = np.asarray(entry["keypoints"]).reshape(17, 3)[order].ravel().tolist()
        if entry.get("scores"):
            entry["scores"] = np.asarray(entry["scores"])[order].tolist()


def reversed_order(content):
    content["images"].reverse()
    content["annotations"].reverse()


def frame_id_alone(content):
    for image in content["images"]:
        image["frame_id"] = image.pop("id")


def head_box(content):
    for entry in content["annotations"]:
        entry["head_box"] = entry.pop("bbox_head")


def one_polygon(content):
    for image in content["images"]:
        for key in ("ignore_regions_x", "ignore_regions_y"):
            image[key] = image[key][0]


def without_category(content):
    del content["categories"]


def whole_floats(content):
    for image in content["images"]:
        image["id"] = float(image["id"])
    for entry in content["annotations"]:
        entry["image_id"], entry["track_id"] = float(entry["image_id"]), float(entry["track_id"])


# What says the same in another way.
SAME = {
    "joint order": permuted,
    "order of images and people": reversed_order,
    "frame_id in place of id": frame_id_alone,
    "head_box in place of bbox_head": head_box,
    "one polygon without the outer list": one_polygon,
    "no categories": without_category,
    "whole floats for integers": whole_floats,
    "byte-order mark": lambda content: codecs.BOM_UTF8 + json.dumps(content).encode(),
}


def setting(key, value, where="annotations", index=3):
    def change(content):
        content[where][index][key] = value

    return change


def within(key, value, where="annotations", place=4, index=3):
    def change(content):
        content[where][index][key][place] = value

    return change


def joint_name(value, place=5):
    def change(content):
        content["categories"][0]["keypoints"] = list(content["categories"][0]["keypoints"])
        content["categories"][0]["keypoints"][place] = value

    return change


def doubled_image(content):
    content["images"][1]["id"] = content["images"][1]["frame_id"] = content["images"][0]["id"]


NAN, INFINITE, HUGE = float("nan"), float("inf"), 10**400
# What no command may take.
REFUSED = {
    **{f"keypoint {v!r:.8}": within("keypoints", v) for v in (NAN, INFINITE, -INFINITE, HUGE, None, "x", [], True)},
    **{f"box {v!r:.8}": within("bbox", v, place=2) for v in (NAN, INFINITE, HUGE, None, "x", {})},
    **{f"head box {v!r:.8}": within("bbox_head", v, place=2) for v in (NAN, INFINITE, HUGE, None, "x")},
    **{f"polygon {v!r:.8}": within("ignore_regions_x", [v, 1, 2], "images", 0) for v in (NAN, INFINITE, "x", None)},
    "unknown joint name": joint_name("left_elbow_2", 7),
    "a joint named twice": joint_name("right_shoulder"),
    "joint names that are numbers": joint_name(7),
    "too few keypoints": lambda c: c["annotations"][3].update(keypoints=c["annotations"][3]["keypoints"][:-3]),
    "two images of one id": doubled_image,
    "an image that is not listed": setting("image_id", 5),
    "image_id a list": setting("image_id", [1]),
    "image_id NaN": setting("image_id", NAN),
    "polygon of two lengths": setting("ignore_regions_x", [[1.0, 2.0]], "images"),
    "file name leads out": setting("file_name", "../../etc/passwd", "images"),
    "a list": lambda content: [content],
    "images an object": lambda content: {**content, "images": {}},
    "a text": lambda content: "annotations",
    "cut off": lambda content: json.dumps(content).encode()[:-40],
    "not UTF-8": lambda content: json.dumps(content).encode().replace(b"images/", b"\xff\xfe\xfdges/", 1),
    "deeply nested": lambda content: b"[" * 100_000,
}


def source(world, tmp_path, change):
    folder = world.copy_of("posetrack", tmp_path)
    write(folder / FILE, changed(annotations("val"), change))
    return folder


def clips(folder):
    """What training would see of the val split, in an order of its own."""
    table = ClipTable.load(folder, "val")
    rows = zip(table.clips["image_id"], table.clips["keypoints"], table.clips["box"], table.clips["head_box"])
    return sorted((int(i), *np.round(np.concatenate([k.ravel(), b, h]), 3).tolist()) for i, k, b, h in rows)


@pytest.fixture(scope="session")
def reference(world, tmp_path_factory):
    """The clips of the unchanged source, and the AP of the predictions on it."""
    output = tmp_path_factory.mktemp("reference") / "out"
    ended = run("prepare", f"--source={world.posetrack}", f"--output={output}", "--split=val", "--processes=1")
    assert ended.status == 0, ended.err
    return clips(output), posetrack.evaluate(world.posetrack / "annotations/val", world.predictions)


def prepare(folder, output, *more):
    return run("prepare", f"--source={folder}", f"--output={output}", "--split=val", "--processes=1", *more)


def evaluate(world, truth, output):
    return run("evaluate", f"--ground_truth={truth}", f"--predictions={world.predictions}", f"--workdir={output}")


@pytest.mark.parametrize("name", SAME)
def test_the_same_said_otherwise_is_read_alike_everywhere(world, reference, tmp_path, name):
    folder = source(world, tmp_path, SAME[name])
    expected, scored = reference
    checked = prepare(folder, tmp_path / "none", "--check")
    assert checked.status == 0, checked.out
    right(prepare(folder, tmp_path / "out"), lambda: clips(tmp_path / "out") == expected)
    # The folder as it is, and what `prepare` made of it.
    for number, truth in enumerate((folder / "annotations/val", tmp_path / "out/annotations/val")):
        place = tmp_path / f"scores{number}"
        ended = evaluate(world, truth, place)
        assert ended.status == 0, ended.err
        assert json.loads((place / "evaluation.json").read_text())["ap"] == pytest.approx(scored.ap)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_everywhere_and_foretold(world, tmp_path, name):
    folder = source(world, tmp_path, REFUSED[name])
    checked = prepare(folder, tmp_path / "none", "--check")
    refused(checked)
    assert "no defect found" not in checked.out
    refused(prepare(folder, tmp_path / "out"), tmp_path / "out")
    refused(evaluate(world, folder / "annotations/val", tmp_path / "scores"), tmp_path / "scores")


# What one command could do without and another could not: foretold where it is refused.
FORETOLD = {
    "no head box": lambda c: [entry.pop("bbox_head") for entry in c["annotations"]] and None,
    "one track_id twice in a frame": setting("track_id", 0),
    "numeric strings as keypoints": lambda c: c["annotations"][3].update(
        keypoints=[str(v) for v in c["annotations"][3]["keypoints"]]
    ),
    "image_id a string": lambda c: c["annotations"][3].update(image_id=str(c["annotations"][3]["image_id"])),
    "track_id a string": setting("track_id", "person_a"),
    "scores NaN": setting("scores", [NAN] * 17),
    "no bbox": lambda c: [entry.pop("bbox") for entry in c["annotations"]] and None,
}


@pytest.mark.parametrize("name", FORETOLD)
def test_the_check_foretells_what_any_later_command_refuses(world, tmp_path, name):
    folder = source(world, tmp_path, FORETOLD[name])
    checked = prepare(folder, tmp_path / "none", "--check")
    made = prepare(folder, tmp_path / "out")
    later = [made]
    if made.status == 0:
        later.append(evaluate(world, tmp_path / "out/annotations/val", tmp_path / "scores"))
    else:
        refused(made, tmp_path / "out")
    later.append(evaluate(world, folder / "annotations/val", tmp_path / "scores2"))
    for ended in later[1:]:
        if ended.status:
            refused(ended)
    if any(ended.status for ended in later):
        assert "no defect found" not in checked.out
    if made.status:
        assert checked.status == 2


FOREIGN = {
    "a list": ("notes.json", "[]"),
    "a text": ("notes.json", "text"),
    "a folder": ("notes.json/inner.json", "{}"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_beside_the_annotations(world, tmp_path, name):
    folder = world.copy_of("posetrack", tmp_path)
    place, content = FOREIGN[name]
    write(folder / "annotations/val" / place, content)
    made = prepare(folder, tmp_path / "out")
    checked = prepare(folder, tmp_path / "none", "--check")
    assert (made.status, checked.status) in ((0, 0), (2, 2))
    if made.status:
        refused(made, tmp_path / "out")
        refused(checked)


def larger_in_json(content):
    for image in content["images"]:
        image["width"], image["height"] = 2 * WIDTH, 2 * HEIGHT


@pytest.mark.parametrize("dataset", ["posetrack18", "coco"])
@pytest.mark.parametrize("kind", ["size", "orientation"])
def test_sizes_that_contradict_the_image_are_not_passed_over(world, tmp_path, dataset, kind):
    folder = world.copy_of("posetrack" if dataset == "posetrack18" else "coco", tmp_path)
    file = next(folder.glob("annotations/person*.json" if dataset == "coco" else FILE))
    content = json.loads(file.read_text())
    if kind == "size":
        write(file, changed(content, larger_in_json))
    else:
        # The sensor's picture lies on its side, as phones store it, and the annotation is of the upright one.
        image = folder / ("train2017" if dataset == "coco" else "") / content["images"][0]["file_name"]
        pixels = cv2.rotate(cv2.imread(str(image)), cv2.ROTATE_90_COUNTERCLOCKWISE)
        data = cv2.imencode(".jpg", pixels)[1].tobytes()
        exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
        image.write_bytes(data[:2] + segment + data[2:])
    split = f"--split={'train' if dataset == 'coco' else 'val'}"
    arguments = (f"--dataset={dataset}", f"--source={folder}", split, "--processes=1")
    checked = run("prepare", "--check", *arguments)
    made = run("prepare", f"--output={tmp_path / 'out'}", *arguments)
    if kind == "size":
        refused(made, tmp_path / "out")
        refused(checked)
        assert str(2 * WIDTH) in checked.out and str(WIDTH) in checked.out
    else:
        assert made.status in (0, 2)
        if made.status == 0:  # then the upright picture is what the annotations are of
            table = ClipTable.load(tmp_path / "out", split.split("=")[1])
            assert table.frames["frame_size"][0].tolist() == [HEIGHT, WIDTH]
        else:
            refused(made, tmp_path / "out")
            refused(checked)
