"""What the check, `prepare` and the metrics say of one folder: the same joints, or a refusal that the check foretells.

More than 200 changes of a small PoseTrack18 folder: forms that mean the same, alone and combined, and faults.
"""

import copy
import itertools
import json
import random

import numpy as np
import pytest

from data_pipeline.clips.table import ClipTable
from data_pipeline.preparation.prepare import prepare
from data_pipeline.preparation.source_check import check, consequence
from jmpose_jax.errors import InputError
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.posetrack.entries import head_size
from jmpose_jax.skeletons import COCO17, POSETRACK15, POSETRACK17, POSETRACK17_TO_15

MARK = b"\xef\xbb\xbf"
ORDERS = {
    "official": POSETRACK17.joints,
    "reversed": POSETRACK17.joints[::-1],
    "fifteen": POSETRACK15.joints,
    "shuffled": tuple(random.Random(0).sample(POSETRACK17.joints, 17)),
}


def in_order(content, names):
    content["categories"] = [{"id": 1, "name": "person", "keypoints": list(names)}]
    slots = [POSETRACK17.index(name) for name in names]
    for person in content["annotations"]:
        person["keypoints"] = np.reshape(person["keypoints"], (17, 3))[slots].ravel().tolist()
        for key in ("joint_cause", "scores"):
            person[key] = [person[key][slot] for slot in slots]


def frame_id_alone(content):
    for image in content["images"]:
        image["frame_id"] = image.pop("id")


def head_box(content):
    for person in content["annotations"]:
        person["head_box"] = person.pop("bbox_head")


def bare_polygon(content):
    for image in content["images"]:
        for key in ("ignore_regions_x", "ignore_regions_y"):
            image[key] = image[key][0]


def whole_floats(content):
    for image in content["images"]:
        image["id"] = float(image["id"])
    for person in content["annotations"]:
        person.update(image_id=float(person["image_id"]), track_id=float(person["track_id"]))


SAME = {f.__name__: f for f in (whole_floats, frame_id_alone, head_box, bare_polygon)}


def put(*path):
    """A change that sets one value: the place, then the value."""
    *parents, last, value = path

    def change(content):
        owner = content
        for key in parents:
            owner = owner[key]
        owner[last] = value

    return change


def drop(*path):
    def change(content):
        owner = content
        for key in path[:-1]:
            owner = owner[key]
        del owner[path[-1]]

    return change


def named(*names):
    return put("categories", [{"id": 1, "name": "person", "keypoints": list(names)}])


PERSON, IMAGE = ("annotations", 0), ("images", 1)
NUMBERS = [(*PERSON, "keypoints", 0), (*PERSON, "keypoints", 2), (*PERSON, "bbox", 2), (*PERSON, "bbox_head", 3),
           (*PERSON, "scores", 0), (*IMAGE, "ignore_regions_x", 0, 1), (*PERSON, "image_id"), (*PERSON, "track_id"),
           (*PERSON, "id"), (*PERSON, "category_id"), (*IMAGE, "id"), (*IMAGE, "width")]  # fmt: skip
WRONG = {"text": "12", "nan": float("nan"), "infinite": float("-inf"), "huge": 10**400, "huge float": 1e300,
         "null": None, "list": [1], "true": True}  # fmt: skip
MISSING = [(*PERSON, key) for key in ("keypoints", "bbox", "bbox_head", "image_id", "track_id", "id", "scores")]
MISSING += [(*IMAGE, key) for key in ("id", "file_name", "is_labeled", "ignore_regions_x", "nframes")]
MISSING += [("images",), ("annotations",), ("categories",)]

OTHERS = {
    "coco's joints": named(*COCO17.joints),
    "a joint twice": named("nose", *POSETRACK17.joints[:-1]),
    "fourteen joints": named(*POSETRACK15.joints[:-1]),
    "an unknown joint": named("neck", *POSETRACK17.joints[1:]),
    "names are numbers": named(*range(17)),
    "no names": put("categories", [{"id": 1, "name": "person"}]),
    "categories is text": put("categories", "person"),
    "two persons' categories": put("categories", [{"id": 1, "name": "person"}, {"id": 2, "name": "person"}]),
    "another category": put("categories", [{"id": 2, "name": "dog"}, {"id": 1, "name": "person"}]),
    "person of another category": lambda c: (OTHERS["another category"](c), c["annotations"][0].update(category_id=2)),
    "two images of one id": lambda c: c["images"][0].update(id=c["images"][1]["id"]),
    "two images of one name": lambda c: c["images"][0].update(file_name=c["images"][1]["file_name"]),
    "unknown image": put(*PERSON, "image_id", 3),
    "a track twice": put(*PERSON, "track_id", 1),
    "no tracks": lambda c: [person.pop("track_id") for person in c["annotations"]],
    "tracks unknown": lambda c: [person.update(track_id=-1) for person in c["annotations"]],
    "head without extent": put(*PERSON, "bbox_head", [5, 5, 0, 0]),
    "head of zeros": put(*PERSON, "bbox_head", [0, 0, 0, 0]),
    "head of no height": put(*PERSON, "bbox_head", [5, 5, 3, 0]),
    "empty head": put(*PERSON, "bbox_head", []),
    "empty box": put(*PERSON, "bbox", []),
    "head of three": put(*PERSON, "bbox_head", [1, 2, 3]),
    "heads differ": put(*PERSON, "head_box", [1, 2, 3, 4]),
    "heads agree": lambda c: c["annotations"][0].update(head_box=list(c["annotations"][0]["bbox_head"])),
    "short keypoints": drop(*PERSON, "keypoints", 50),
    "long keypoints": lambda c: c["annotations"][0]["keypoints"].extend([1, 1, 1]),
    "short scores": put(*PERSON, "scores", [0.5] * 16),
    "scores of truth": put(*PERSON, "scores", [0.5] * 17),
    "no joints": put(*PERSON, "keypoints", [0] * 51),
    "no joints and no head": lambda c: c["annotations"][0].update(keypoints=[0] * 51, bbox_head=None),
    "a visible joint at the origin": lambda c: c["annotations"][0].update(keypoints=[0, 0, 1] * 17, bbox_head=None),
    "polygons of two lengths": put(*IMAGE, "ignore_regions_x", [[0, 10]]),
    "one polygon too many": put(*IMAGE, "ignore_regions_x", [[0, 10, 10], [1, 2, 3]]),
    "polygon of two points": lambda c: c["images"][1].update(ignore_regions_x=[[0, 9]], ignore_regions_y=[[0, 9]]),
    "mixed polygon": put(*IMAGE, "ignore_regions_x", [[0, 10, 10], 3]),
    "polygons are null": lambda c: c["images"][1].update(ignore_regions_x=None, ignore_regions_y=None),
    "file name is a number": put(*IMAGE, "file_name", 7),
    "file name leads out": put(*IMAGE, "file_name", "../../etc/passwd"),
    "flag is text": put(*IMAGE, "is_labeled", "yes"),
    "extra keys": lambda c: (c.update(info={"x": float("nan")}), c["annotations"][0].update(area=float("nan"))),
    "speeds of nan": put(*PERSON, "joint_speed", [float("nan")] * 17),
    "a number for a person": put(*PERSON, 3),
    "a number for an image": put(*IMAGE, 3),
    "no images": put("images", []),
    "annotations is an object": put("annotations", {}),
    "other frames": put(*IMAGE, "nframes", 12),
    "another size": lambda c: c["images"][1].update(width=192, height=128),
    "a negative size": lambda c: c["images"][1].update(width=-1, height=64),
    "the other form": lambda c: (c.clear(), c.update(annolist=[{"image": [{"name": "a/1.jpg"}]}])),
    "another form": lambda c: (c.clear(), c.update(videos=[])),
}
# Of frames, of the data set's name, of columns for analysis: the evaluator need not know.
PREPARE_ALONE = ("another size", "the other form", "speeds of nan")
TEXTS = {
    "empty": b"",
    "cut": b'{"images": [',
    "no utf-8": b"\xff\xfe{}",
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "a number": b"3",
    "two marks": MARK + MARK + b"{}",
}


def cases(content):
    """Name -> bytes of a changed file, and whether it means the same as the unchanged one."""
    found = {}
    flags = list(itertools.product((False, True), repeat=len(SAME)))
    for (order, names), chosen in itertools.product(ORDERS.items(), flags):
        changed = copy.deepcopy(content)
        in_order(changed, names)
        for change in itertools.compress(SAME.values(), chosen):
            change(changed)
        label = " ".join([order, *itertools.compress(SAME, chosen)])
        mark = MARK if sum(chosen) % 2 else b""
        found[label] = mark + json.dumps(changed).encode(), True
    faults = {f"{place} is {wrong}": put(*place, value) for place in NUMBERS for wrong, value in WRONG.items()}
    faults |= {f"{place} is missing": drop(*place) for place in MISSING} | OTHERS
    for label, change in faults.items():
        changed = copy.deepcopy(content)
        change(changed)
        found[label] = json.dumps(changed).encode(), False
    return found | {label: (text, False) for label, text in TEXTS.items()}


@pytest.fixture
def folder(tmp_path, helpers):
    path = helpers.write_video(tmp_path / "source", frames=3, labeled=(1,), people=2)

    def change(content):
        content["categories"] = [{"id": 1, "name": "person", "keypoints": list(POSETRACK17.joints)}]
        for image in content["images"]:
            image.update(width=helpers.width, height=helpers.height)
        for n, person in enumerate(content["annotations"]):
            person["scores"] = [0.01 * joint + n for joint in range(17)]
            person["joint_cause"] = [f"{n} {joint}" for joint in POSETRACK17.joints]

    helpers.edit(path, change)
    return tmp_path / "source", path


def outcome(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return None


def not_json(token):
    raise AssertionError(f"{token} is written")


def assert_same_people(table, truth):
    """The joints, head boxes and order of the clip table are those that the evaluator scores."""
    rows = truth.present.any(axis=1) & (truth.keypoints != 0).any(axis=(1, 2))
    slots = list(POSETRACK17_TO_15)
    np.testing.assert_array_equal(table.clips["keypoints"][:, slots], truth.keypoints[rows].astype(np.float32))
    sizes = [head_size(box) for box in table.clips["head_box"]]
    np.testing.assert_allclose(sizes, truth.head_sizes[rows], rtol=1e-6)


def test_all_readers_agree(folder, tmp_path):
    source, path = folder
    content = json.loads(path.read_text())
    original = read_sequence(path, ground_truth=True)
    accepted = refused = 0
    for n, (label, (data, same)) in enumerate(cases(content).items()):
        path.write_bytes(data)
        findings = check("posetrack18", source, progress=False, decoded=False, max_delta=0)
        names = findings.defects.get("val", {})
        later = any("evaluate refuses" in consequence(name) for name in names)
        output = tmp_path / f"out{n}"
        summary = outcome(prepare, "posetrack18", source, output, progress=False, decoded=False, num_shards=1)
        truth = outcome(read_sequence, path, ground_truth=True)
        assert (summary is None) == (findings.fatal > 0), f"{label}: {findings.describe()}"
        if label not in PREPARE_ALONE:
            assert (truth is None) == (findings.fatal > 0 or later), f"{label}: {findings.describe()}"
        assert output.exists() == (summary is not None), label
        if same:
            assert summary and truth, label
        if summary is None:
            refused += 1
            continue
        accepted += 1
        copied = output / "annotations" / "val" / path.name
        again = outcome(read_sequence, copied, ground_truth=True)
        assert (again is None) == (truth is None), label
        json.loads(copied.read_text(), parse_constant=not_json)
        if truth is None:
            continue
        table = ClipTable.load(output, "val")
        assert_same_people(table, truth)
        for one, other in [(truth, again)] + ([(truth, original)] if same else []):
            for name in (
                "image_ids",
                "frame",
                "keypoints",
                "present",
                "head_sizes",
                "track_ids",
                "person_index",
            ):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=f"{label}: {name}")
            for regions, others in zip(one.ignore_regions, other.ignore_regions, strict=True):
                for region, polygon in zip(regions, others, strict=True):
                    np.testing.assert_array_equal(region, polygon)
        if same:
            np.testing.assert_array_equal(truth.scores, original.scores, err_msg=label)
            causes = table.clips["joint_cause"]
            names = np.array(POSETRACK15.joints)
            assert (causes[1][list(POSETRACK17_TO_15)] == np.char.add("1 ", names)).all(), label
            marks = data.startswith(MARK) or not label.startswith("official") or "alone" in label or "box" in label
            assert bool(summary["splits"]["val"]["noted"]) == (marks or "bare" in label), label
    print(f"{accepted} accepted alike, {refused} refused alike")
    assert accepted >= 90 and refused >= 100
