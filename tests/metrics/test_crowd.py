"""CrowdIndex against the official values, and the subset of crowded frames."""

import collections
import json
import shutil

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.crowd import choose_frames, crowd_index, write_subset


def test_by_hand():
    points = np.array([[[0, 0], [4, 4]], [[4, 5], [20, 20]], [[1, 1], [2, 2]]], float)
    labelled = np.array([[1, 1], [1, 1], [0, 0]], bool)
    boxes = np.array([[0, 0, 10, 10], [4, 4, 16, 16], [0, 0, 30, 30]], float)
    assert crowd_index(points, labelled, boxes) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert crowd_index(points[:1], labelled[:1], boxes[:1]) == 0 == crowd_index(points[2:], labelled[2:], boxes[2:])


def test_official_values(shared):
    """The released annotations were edited after the index was computed: 1,514 of 2,000 images can agree."""
    content = json.loads((shared / "data" / "crowdpose_val.json").read_text())
    people = collections.defaultdict(list)
    for annotation in content["annotations"]:
        if not annotation["iscrowd"]:
            people[annotation["image_id"]].append(annotation)
    equal, differences = 0, []
    for image in content["images"]:
        keypoints = np.array([a["keypoints"] for a in people[image["id"]]], float).reshape(-1, 14, 3)
        boxes = np.array([a["bbox"] for a in people[image["id"]]], float).reshape(-1, 4)
        found = crowd_index(keypoints[..., :2], keypoints[..., 2] > 0, boxes)
        differences.append(abs(found - image["crowdIndex"]))
        equal += differences[-1] < 0.0051  # the official values have two decimals
    assert len(content["images"]) == 2000 and equal == 1514
    assert np.median(differences) < 0.0051


@pytest.fixture
def truth(golden, tmp_path):
    """The golden ground truth with boxes of twice the keypoints' extent."""
    folder = tmp_path / "truth"
    folder.mkdir()
    source = next(p for p in sorted((golden / "poseval").rglob("*")) if p.is_dir() and p.name.startswith("gt"))
    for path in sorted(source.glob("*.json")):
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            points = np.array(annotation["keypoints"], float).reshape(-1, 3)
            points = points[points.any(axis=1), :2]
            low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.zeros(2))
            annotation["bbox"] = [*(low - (high - low) / 2).tolist(), *(2 * (high - low)).tolist()]
        (folder / path.name).write_text(json.dumps(content))
    return folder


def test_subset_is_that_of_the_chosen_frames(truth, tmp_path):
    everything = choose_frames(truth, 0.0)
    threshold = sorted(frame.crowd_index for frame in everything)[len(everything) // 2]
    chosen = write_subset(truth, tmp_path / "subset", threshold)
    assert 0 < len(chosen) < len(everything)
    listing = json.loads((tmp_path / "subset" / "frames.json").read_text())
    assert [f["image_id"] for f in listing["frames"]] == [f.image_id for f in chosen]
    assert min(f["crowd_index"] for f in listing["frames"]) >= threshold == listing["crowd_index_at_least"]
    result = posetrack.evaluate(tmp_path / "subset" / "annotations", truth)
    assert result.frames == len(chosen)
    with pytest.raises(InputError, match="no frame has a CrowdIndex of 99"):
        write_subset(truth, tmp_path / "other", 99)
    assert not (tmp_path / "other").exists()


def test_faults(truth, tmp_path):
    with pytest.raises(InputError, match=r"absent: no such folder"):
        choose_frames(tmp_path / "absent", 0.1)
    path = sorted(shutil.copytree(truth, tmp_path / "copy").glob("*.json"))[0]
    content = json.loads(path.read_text())
    del content["annotations"][0]["bbox"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"annotations\[0\] has no 'bbox' of 4 numbers"):
        choose_frames(tmp_path / "copy", 0.1)


def test_frames_of_one_id_in_two_videos_are_two_frames(tmp_path):
    """Of two videos that number their images alike, the crowded frame of one alone is kept."""
    (tmp_path / "truth").mkdir()
    for name, apart in (("a", 2), ("b", 500)):
        people = []
        for person in range(2):
            keypoints = [[apart * person + 10 + k, 10 + k, 1] for k in range(17)]
            box = [apart * person + 5, 5, 40, 40]
            people.append({"image_id": 1, "track_id": person, "bbox": box, "bbox_head": [0, 0, 5, 5]})
            people[-1]["keypoints"] = sum(keypoints, [])
        content = {"images": [{"id": 1, "file_name": f"{name}/1.jpg"}], "annotations": people}
        (tmp_path / "truth" / f"{name}.json").write_text(json.dumps(content))
    chosen = write_subset(tmp_path / "truth", tmp_path / "out", 0.2)
    assert [(frame.video, frame.file_name) for frame in chosen] == [("a", "a/1.jpg")]
    left = [len(json.loads((tmp_path / "out/annotations" / f"{n}.json").read_text())["annotations"]) for n in "ab"]
    assert left == [2, 0]
