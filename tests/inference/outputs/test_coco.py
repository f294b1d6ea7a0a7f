"""COCO results: its joints by name, and its own evaluator reads them."""

import dataclasses
import json

import numpy as np
import pytest

from jmpose_jax.inference.outputs.coco import to_coco, write_coco
from jmpose_jax.skeletons import COCO17, POSETRACK15


def test_entries(people):
    found = to_coco(people)
    assert [entry["image_id"] for entry in found] == [500, 500, 502, 503, 503]
    assert [entry["track_id"] for entry in found] == [7, 0, 0, 0, 7]
    for n, entry in enumerate(found):
        table = np.array(entry["keypoints"], np.float32).reshape(17, 3)
        np.testing.assert_array_equal(table[:, :2], people.keypoints[n])
        np.testing.assert_array_equal(table[:, 2], people.scores[n])
        assert entry["score"] == pytest.approx(people.scores[n].mean(), rel=1e-6) and entry["category_id"] == 1
        np.testing.assert_array_equal(np.array(entry["bbox"], np.float32), people.boxes[n])


def test_joints_that_the_model_lacks_are_zero(people):
    keypoints, scores = people.keypoints[:, :15], people.scores[:, :15]
    found = to_coco(dataclasses.replace(people, keypoints=keypoints, scores=scores, skeleton=POSETRACK15))
    table = np.array(found[1]["keypoints"], np.float32).reshape(17, 3)
    for k, joint in enumerate(COCO17.joints):
        if joint in POSETRACK15.joints:
            np.testing.assert_array_equal(table[k, :2], keypoints[1, POSETRACK15.index(joint)])
        else:
            np.testing.assert_array_equal(table[k], 0)
    assert found[1]["score"] == pytest.approx(scores[1].mean(), rel=1e-6)


def test_its_evaluator_gives_100_to_the_truth(people, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    write_coco(people, tmp_path / "results.json")
    truth = {
        "images": [{"id": image["id"]} for image in people.images],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
        "annotations": [
            {"id": n + 1, "image_id": int(people.image_id[n]), "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
             "area": 5000.0, "bbox": people.boxes[n].tolist(),
             "keypoints": np.c_[people.keypoints[n], np.full(17, 2)].ravel().tolist()}
            for n in range(5)
        ],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    official = coco.COCO(str(tmp_path / "truth.json"))
    run = evaluation.COCOeval(official, official.loadRes(str(tmp_path / "results.json")), "keypoints")
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert run.stats[0] == pytest.approx(1)
