"""Box files of every form, changed in every way of the issue, at `predict --boxes`."""

import codecs
import json

import numpy as np
import pytest

from jmpose_jax.skeletons import POSETRACK15
from tests.commands import run
from tests.everything.judge import refused, right, right_or_refused
from tests.everything.world import FRAMES, changed, write

NAN, INFINITE = float("nan"), float("inf")


def box(frame):
    """The box of a frame: of a place of its own, so that a shift by one frame shows."""
    return [5.0 + 4 * frame, 4.0, 30.0, 50.0]


def flat(frames=range(FRAMES), first=0):
    return [{"image_id": f + first, "bbox": box(f), "score": 0.9, "category_id": 1} for f in frames]


def named(frames=range(FRAMES), first=0, digits=6):
    return [
        {"image_name": f"clip/{f + first:0{digits}d}.jpg", "bbox": box(f), "score": 0.9, "category_id": 1}
        for f in frames
    ]


def posetrack18(frames=range(FRAMES), first=0, digits=6, base=10_000):
    images = [{"id": base + f + first, "file_name": f"clip/{f + first:0{digits}d}.jpg"} for f in frames]
    people = [
        {"id": n, "image_id": image["id"], "bbox": box(f), "track_id": 0, "category_id": 1, "score": 0.9}
        for n, (f, image) in enumerate(zip(frames, images))
    ]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}


def mot():
    return "".join(f"{f + 1},1,{','.join(map(str, box(f)))},0.9,-1,-1,-1\n" for f in range(FRAMES))


def table():
    lines = ["frame,x,y,width,height,score"]
    lines += [",".join(map(str, [f, *box(f), 0.9])) for f in range(FRAMES)]
    return "\n".join(lines) + "\n"


def by_frame():
    return {str(f): [[*box(f), 0.9]] for f in range(FRAMES)}


def lists():
    return [[[*box(f), 0.9]] for f in range(FRAMES)]


def shuffled(content):
    rows = content["images"] if isinstance(content, dict) else content
    np.random.default_rng(0).shuffle(rows)


EVERY = dict.fromkeys(range(FRAMES))
SPARSE = (0, 2, 4)
# name -> (file's ending, content, frames that have a box)
READ = {
    "flat": ("json", flat(), EVERY),
    "flat, another order": ("json", flat()[::-1], EVERY),
    "flat, every second frame": ("json", flat(SPARSE), SPARSE),
    "flat, byte-order mark": ("json", codecs.BOM_UTF8 + json.dumps(flat()).encode(), EVERY),
    "flat, whole floats": ("json", [e | {"image_id": float(e["image_id"])} for e in flat()], EVERY),
    "names": ("json", named(), EVERY),
    "names, another order": ("json", named()[::-1], EVERY),
    "names, every second frame": ("json", named(SPARSE), SPARSE),
    "names from 1": ("json", named(first=1), EVERY),
    "names of eight digits from 1": ("json", named(first=1, digits=8), EVERY),
    "PoseTrack18": ("json", posetrack18(), EVERY),
    "PoseTrack18, another order": ("json", changed(posetrack18(), shuffled), EVERY),
    "PoseTrack18, every second frame": ("json", posetrack18(SPARSE), SPARSE),
    "PoseTrack18 from 1": ("json", posetrack18(first=1), EVERY),
    "by frame": ("json", by_frame(), EVERY),
    "by frame, another order": ("json", dict(reversed(by_frame().items())), EVERY),
    "lists": ("json", lists(), EVERY),
    "MOT": ("txt", mot(), EVERY),
    "CSV": ("csv", table(), EVERY),
}


def every(key, value):
    def change(content):
        for entry in content["annotations"] if isinstance(content, dict) else content:
            entry[key] = value(entry[key]) if callable(value) else value

    return change


def one(key, value, index=2):
    def change(content):
        (content["annotations"] if isinstance(content, dict) else content)[index][key] = value

    return change


REFUSED = {
    **{f"flat, box {v!r}": changed(flat(), one("bbox", [v, 1, 2, 3])) for v in (NAN, INFINITE, "x", None, [], {})},
    **{f"flat, score {v!r}": changed(flat(), one("score", v)) for v in (NAN, INFINITE, "x", [], {})},
    **{f"flat, image_id {v!r}": changed(flat(), one("image_id", v)) for v in (NAN, -1, [1], {}, 1.5, True, "x", None)},
    **{f"flat, track_id {v!r}": changed(flat(), one("track_id", v)) for v in (NAN, [1], {}, 1.5)},
    "box of three numbers": changed(flat(), one("bbox", [1, 2, 3])),
    "image that is not listed": changed(posetrack18(), one("image_id", 77)),
    "two images of one id": changed(posetrack18(), lambda c: c["images"][1].update(id=c["images"][0]["id"])),
    "two images of one frame": changed(
        posetrack18(), lambda c: c["images"][1].update(file_name=c["images"][0]["file_name"])
    ),
    "by frame, box NaN": {"0": [[NAN, 1, 2, 3, 0.9]]},
    "by frame, a word": {"first": [[1, 2, 3, 4]]},
    "by frame, no list": {"0": 7},
    "a number": 7,
    "empty list": [],
    "empty object": {},
    "empty file": b"",
    "cut off": json.dumps(flat()).encode()[:-20],
    "not text": b"\x89PNG\r\n\x1a\n\0\0\0",
    "deeply nested": b"[" * 100_000,
    "images an object": {"images": {}, "annotations": []},
    "images of texts": {"images": ["a"], "annotations": []},
    "annotations an object": changed(posetrack18(), lambda c: c.update(annotations={"a": 1})),
    "annotations of lists": changed(posetrack18(), lambda c: c.update(annotations=[[1]])),
    "MOT with a word": "1,1,5,4,thirty,50,0.9,-1,-1,-1\n",
    "MOT with NaN": "1,1,nan,4,30,50,0.9,-1,-1,-1\n",
    "CSV without a frame": "x,y,width,height\n1,2,3,4\n",
    "beyond the video": flat(range(40, 44)),
    "outside the image": [{"image_id": 3, "bbox": [5000, 1, 2, 3], "score": 0.9}],
}  # fmt: skip
EITHER = {
    "ids are numeric strings": changed(flat(), every("image_id", str)),
    "category a string": changed(flat(), every("category_id", "1")),
    "score a string": changed(flat(), every("score", "0.9")),
    "box of strings": changed(flat(), every("bbox", lambda b: [str(v) for v in b])),
    "tracks are texts": changed([e | {"track_id": "person_a"} for e in flat()], lambda c: None),
    "tracks are numeric strings": [e | {"track_id": "7"} for e in flat()],
    "PoseTrack18 ids are strings": changed(
        posetrack18(),
        lambda c: (
            [i.update(id=f"frame_{n}") for n, i in enumerate(c["images"])]
            and [a.update(image_id=f"frame_{n}") for n, a in enumerate(c["annotations"])]
            and None
        ),
    ),
    "PoseTrack18 from 1, every second frame": posetrack18(SPARSE, first=1),
    "ids and names contradict": changed(
        posetrack18(), lambda c: [i.update(id=10_000 + FRAMES - n) for n, i in enumerate(c["images"])] and None
    ),
}


def predict(world, tmp_path, file, *more):
    return run(
        "predict",
        f"--video={world.video}",
        f"--checkpoint={world.checkpoint}",
        f"--boxes={file}",
        f"--output={tmp_path / 'out'}",
        *more,
    )


def boxes_of(output):
    """Frame number -> boxes, of the written results: poses.csv counts frames from 0."""
    content = json.loads((output / "poses.json").read_text(), parse_constant=pytest.fail)
    lines = (output / "poses.csv").read_text().splitlines()[1:]
    frames = [int(line.split(",")[0]) for line in lines[:: len(POSETRACK15.joints)]]
    assert len(content["images"]) == len({image["id"] for image in content["images"]}) == FRAMES
    found = {}
    for frame, entry in zip(frames, content["annotations"], strict=True):
        found.setdefault(frame, []).append(entry["bbox"])
        assert content["images"][frame]["id"] == entry["image_id"]
    return found


def expected(frames):
    return {f: [box(f)] for f in frames}


@pytest.mark.parametrize("name", READ)
def test_every_form_lands_on_the_frames_that_it_names(world, tmp_path, name):
    ending, content, frames = READ[name]
    file = write(tmp_path / f"boxes.{ending}", content)
    ended = predict(world, tmp_path, file)
    right(ended, lambda: boxes_of(tmp_path / "out") == expected(frames))


@pytest.mark.parametrize("name", REFUSED)
def test_what_names_no_box_is_refused_before_the_first_frame(world, tmp_path, name):
    content = REFUSED[name]
    file = write(tmp_path / ("boxes.txt" if name.startswith(("MOT", "CSV")) else "boxes.json"), content)
    ended = predict(world, tmp_path, file)
    refused(ended, tmp_path / "out")
    assert "boxes" in ended.fault


@pytest.mark.parametrize("name", EITHER)
def test_either_the_right_frames_or_a_refusal(world, tmp_path, name):
    file = write(tmp_path / "boxes.json", EITHER[name])
    frames = SPARSE if "second" in name else EVERY
    right_or_refused(
        predict(world, tmp_path, file), lambda: boxes_of(tmp_path / "out") == expected(frames), tmp_path / "out"
    )


@pytest.mark.parametrize("place", ["absent", "folder"])
def test_no_box_file(world, tmp_path, place):
    if place == "folder":
        (tmp_path / "boxes.json").mkdir()
    refused(predict(world, tmp_path, tmp_path / "boxes.json"), tmp_path / "out")


def detector_file(world):
    """Boxes for the val split, by the names of its images."""
    video = sorted((world.posetrack / "annotations/val").glob("*.json"))[0]
    images = json.loads(video.read_text())["images"]
    return [
        {"image_name": image["file_name"], "bbox": box(f), "score": 0.9, "category_id": 1}
        for f, image in enumerate(images)
    ]


@pytest.mark.parametrize("value", [NAN, INFINITE, "x", [], {}, None, True])
@pytest.mark.parametrize("key", ["score", "bbox", "image_name"])
@pytest.mark.parametrize("check", [False, True])
def test_prepare_refuses_the_same_boxes_and_its_check_foretells_it(world, tmp_path, key, value, check):
    wrong = value if key != "bbox" else [1, 2, value, 4]
    if key == "image_name" and value == "x":
        pytest.skip("a name is a text")
    file = write(tmp_path / "boxes.json", changed(detector_file(world), one(key, wrong)))
    arguments = [f"--source={world.posetrack}", "--split=val", f"--boxes={file}", "--processes=1"]
    ended = run("prepare", *arguments, *(["--check"] if check else [f"--output={tmp_path / 'out'}"]))
    refused(ended, tmp_path / "out")
