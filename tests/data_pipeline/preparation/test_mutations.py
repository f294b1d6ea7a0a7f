"""More than 2,000 annotation files changed at random: each gives a result or one clear line, none is half written."""

import copy
import json
import random

import cv2
import numpy as np
import pytest

from data_pipeline.preparation.prepare import prepare
from data_pipeline.sources.boxes import read_detections
from data_pipeline.sources.datasets import find_splits, read_split
from jmpose_jax.errors import InputError
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.skeletons import COCO17

VALUES = (None, True, -1, 0, 3, 10**30, 0.5, float("nan"), float("inf"), -1e300, "", "x", "../../etc/passwd", "\0", [],
          [[]], {}, {"a": 1}, [1, "2"], "9" * 400, [None] * 4)  # fmt: skip


def nodes(value, path=()):
    """The paths of everything inside a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield from nodes(child, (*path, key))


def mutate_content(content, rng):
    """Replace, remove, repeat or move one entry somewhere in the JSON value."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        # Deep lists of numbers are most of the nodes: a level is drawn first.
        paths = [p for p in nodes(content) if p]
        if not paths:
            return content
        depth = rng.choice(sorted({len(p) for p in paths}))
        *parents, last = rng.choice([p for p in paths if len(p) == depth])
        owner = content
        for key in parents:
            owner = owner[key]
        kind = rng.randrange(5)
        if kind < 2:
            owner[last] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 2:
            del owner[last]
        elif kind == 3 and isinstance(owner, list):
            owner.append(copy.deepcopy(owner[last]))
        else:
            owner[last] = [owner[last]]
    return content


def mutate(content, rng):
    """The bytes of a file: a changed value, or changed bytes."""
    if rng.random() < 0.7:
        return json.dumps(mutate_content(content, rng)).encode()
    data = bytearray(json.dumps(content).encode())
    kind = rng.randrange(4)
    if kind == 0:
        del data[rng.randrange(len(data)) :]
    elif kind == 1:
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        start = rng.randrange(len(data))
        del data[start : start + rng.randrange(1, 200)]
    else:
        start = rng.randrange(len(data))
        data[start:start] = rng.choice((b"[" * 5000, b'{"a":' * 3000, b"\xef\xbb\xbf", b"NaN", b"1e999", b"\0\0"))
    return bytes(data)


def one_line(error):
    text = str(error)
    assert len(text) > 20 and "\n" not in text and "Traceback" not in text, text
    return text


@pytest.fixture
def contents(tmp_path, helpers):
    """The sources and their sound contents: name -> (data set, folder, annotation file, content)."""
    found = {}
    posetrack = tmp_path / "posetrack18"
    path = helpers.write_video(posetrack, frames=3, labeled=(1,), people=2)
    found["posetrack18"] = "posetrack18", posetrack, path
    content = json.loads(path.read_text())
    old = tmp_path / "posetrack17"
    (old / "annotations" / "val").mkdir(parents=True)
    (old / "images").symlink_to(posetrack / "images")
    rows = []
    for image in content["images"]:
        people = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        rects = []
        for person in people:
            points = [
                {"id": [j], "x": [person["keypoints"][3 * j]], "y": [person["keypoints"][3 * j + 1]], "is_visible": [1]}
                for j in range(3)
            ]
            corners = {name: [value] for name, value in zip(("x1", "y1", "x2", "y2"), (40, 8, 52, 18))}
            rects.append({**corners, "track_id": [person["track_id"]], "annopoints": [{"point": points}]})
        regions = [{"point": [{"x": [0], "y": [0]}, {"x": [9], "y": [0]}, {"x": [9], "y": [9]}]}]
        name = {"image": [{"name": image["file_name"]}], "imgnum": [1], "is_labeled": [int(bool(people))]}
        rows.append({**name, "annorect": rects, "ignore_regions": regions})
    path17 = old / "annotations" / "val" / "000001_mpii_test.json"
    path17.write_text(json.dumps({"annolist": rows}))
    found["posetrack17"] = "posetrack17", old, path17
    coco = tmp_path / "coco"
    (coco / "annotations").mkdir(parents=True)
    (coco / "val2017").mkdir()
    cv2.imwrite(str(coco / "val2017" / "1.jpg"), np.zeros((64, 96, 3), np.uint8))
    person = {"id": 4, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 9.5, "bbox": [1, 2, 30, 40]}
    person["keypoints"] = [20, 30, 2] * 17
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    images = [{"id": 1, "file_name": "1.jpg"}]
    path_coco = coco / "annotations" / "person_keypoints_val2017.json"
    path_coco.write_text(json.dumps({"images": images, "annotations": [person], "categories": [category]}))
    found["coco"] = "coco", coco, path_coco
    return {name: (*entry, json.loads(entry[2].read_text())) for name, entry in found.items()}


@pytest.mark.parametrize("name", ["posetrack18", "posetrack17", "coco"])
def test_readers(contents, name):
    dataset, source, path, content = contents[name]
    rng, read, refused = random.Random(name), 0, 0
    for _ in range(700):
        path.write_bytes(mutate(content, rng))
        try:
            files = find_splits(source, dataset)["val"]
            videos = read_split(dataset, source, files, "val")
            assert all(np.isfinite(p.keypoints).all() for v in videos for f in v.frames for p in f.persons)
            read += 1
        except InputError as error:
            assert str(path.parent) in one_line(error)
            refused += 1
    assert read > 20 and refused > 200


def test_evaluator(contents):
    for name in ("posetrack18", "posetrack17"):
        _, _, path, content = contents[name]
        rng, refused = random.Random(name), 0
        for _ in range(300):
            path.write_bytes(mutate(content, rng))
            for ground_truth in (True, False):
                try:
                    read_sequence(path, ground_truth)
                except InputError as error:
                    assert str(path) in one_line(error)
                    refused += 1
        assert refused > 100


def test_detector_files(tmp_path):
    path = tmp_path / "boxes.json"
    entry = {"bbox": [1, 2, 30, 40], "score": 0.9, "category_id": 1}
    content = [entry | {"image_name": "images/val/000001_mpii_test/000001.jpg"}, entry | {"image_id": 10000010001}]
    rng, refused = random.Random(1), 0
    for _ in range(300):
        path.write_bytes(mutate(content, rng))
        try:
            read_detections(path)
        except InputError as error:
            assert str(path) in one_line(error)
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("name", ["posetrack18", "posetrack17", "coco"])
def test_nothing_is_written_half(contents, tmp_path, name):
    """`prepare` on changed files leaves a complete folder or none."""
    dataset, source, path, content = contents[name]
    rng, written = random.Random(name + "!"), 0
    output = tmp_path / "written" / "out"
    for _ in range(60):
        path.write_bytes(mutate(content, rng))
        try:
            summary = prepare(dataset, source, output, progress=False, num_shards=1)
            assert json.loads((output / "summary.json").read_text()) == summary
            written += 1
        except InputError as error:
            one_line(error)
        left = [p.name for p in output.parent.iterdir()] if output.parent.is_dir() else []
        assert left in ([], ["out"])
    assert written
