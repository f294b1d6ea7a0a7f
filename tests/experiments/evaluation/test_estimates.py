"""Evaluation: files written, official AP of exact predictions, subsets, and the real PoseTrack18 sample."""

import json
import os
import pathlib
import shutil
import signal
import types

import numpy as np
import pytest

from configs import backbone
from data_pipeline.clips.table import ClipTable
from data_pipeline.preparation.prepare import prepare
from experiments.evaluation import scores
from experiments.evaluation.comparison import crop_motion, score, subsets, true_motion
from experiments.evaluation.estimates import Scorer, estimate_split, to_predictions
from experiments.evaluation.poses import evaluate
from experiments.train import train
from jmpose_jax.errors import InputError, Preempted
from jmpose_jax.inference.joint_orders import to_posetrack15
from jmpose_jax.metrics import posetrack
from jmpose_jax.skeletons import POSETRACK17_TO_15


def exact(table):
    """Estimates that put every joint where it is annotated; joints that are not annotated get low scores."""
    keypoints = table.clips["keypoints"][:, list(POSETRACK17_TO_15)]
    annotated = table.clips["annotated"][:, list(POSETRACK17_TO_15)]
    return keypoints, np.where(annotated, 0.9, 0.1).astype(np.float32)


def test_exact_estimates_score_near_100_and_wrong_ones_near_0(prepared):
    table = ClipTable.load(prepared, "test")
    scorer = Scorer(table, prepared / "annotations" / "test")
    keypoints, scores = exact(table)
    assert scorer.ap((keypoints, scores))["Total"] > 99.0
    assert scorer.ap((keypoints + 500, scores))["Total"] < 1.0


def test_a_subset_counts_its_joints_alone(prepared):
    table = ClipTable.load(prepared, "test")
    keypoints, scores = exact(table)
    parts = subsets(table)
    wrong = np.where(parts["seen"][..., None], keypoints, keypoints + 500)
    result = score({"backbone": (wrong, scores)}, table, prepared / "annotations" / "test")
    assert result["subsets"]["backbone"]["seen"] > 99.0
    assert result["subsets"]["backbone"]["all"] < 99.0
    annotated = table.clips["annotated"][:, list(POSETRACK17_TO_15)]
    assert result["joints"]["all"] == annotated.sum()
    assert sum(result["joints"][p] for p in ("seen", "hidden", "self-occluded")) <= annotated.sum()
    assert result["joints"]["slow"] + result["joints"]["fast"] == annotated.sum()


def test_true_motion_leads_from_every_frame_to_the_key_frame(prepared):
    table = ClipTable.load(prepared, "test")
    motion = true_motion(table, 2)
    assert motion.shape == (len(table), 5, 15, 2)
    assert not motion[:, 2].any()
    assert np.abs(motion[:, 0]).max() > np.abs(motion[:, 1]).max() > 0.1

    class Batch:
        index = np.array([0, 1])
        transform = np.array([[[2.0, 0, 5], [0, 2.0, 7]]] * 2, np.float32)  # crop pixels are two image pixels wide

    np.testing.assert_allclose(crop_motion(motion, Batch), motion[:2] / 2, rtol=1e-5, atol=1e-6)


def test_sigterm_breaks_an_evaluation_off_at_the_next_batch():
    seen = []

    def batches():
        for number in range(3):
            if number == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            yield types.SimpleNamespace(index=np.array([number]), valid=np.ones(1))

    def estimates(batch):
        seen.append(batch)
        return {"row": (np.zeros((1, 15, 2)), np.zeros((1, 15)))}

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match="during evaluation, nothing was written"):
        estimate_split(estimates, batches(), 3)
    assert len(seen) == 1
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_model_is_evaluated_into_files(small_backbone, trained, tmp_path):
    result = evaluate(small_backbone, trained, None, None)
    written = json.loads((trained / "evaluation.json").read_text())
    assert written["mean"] == result["mean"] and written["boxes"] == "ground_truth"
    assert set(written["ap"]) == {"Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "Total"}
    files = sorted(p.stem for p in (trained / "predictions").glob("*.json"))
    truth = sorted(p.stem for p in (pathlib.Path(small_backbone.dataset.root) / "annotations" / "val").glob("*.json"))
    assert files == truth
    contents = [json.loads(path.read_text()) for path in (trained / "predictions").glob("*.json")]
    assert {content["box_source"] for content in contents} == {"ground_truth"}
    again = evaluate(small_backbone, tmp_path / "again", None, str(trained / "predictions"), crowd_index=0.0)
    assert again["ap"] == result["ap"] == again["challenging"]["ap"]
    assert again["boxes"] == "ground_truth" and again["challenging"]["frames"] == again["frames"]
    for content, path in zip(contents, (trained / "predictions").glob("*.json")):
        del content["box_source"]
        path.write_text(json.dumps(content))
    assert evaluate(small_backbone, tmp_path / "again", None, str(trained / "predictions"))["boxes"] == "unknown"
    evaluate(small_backbone, trained, None, None, oks_nms=-1.0)  # everything is alike: one pose a frame
    for path in (trained / "predictions").glob("*.json"):
        ids = [a["image_id"] for a in json.loads(path.read_text())["annotations"]]
        assert len(set(ids)) == len(ids) > 0


def estimated(joints, skeleton, score=0.5):
    """What `estimate_split` makes of one clip whose joint k lies at (k, 2k)."""
    keypoints = np.arange(joints)[None, :, None] * np.array([1.0, 2.0])
    batch = types.SimpleNamespace(index=np.array([0]), valid=np.ones(1))
    function = {"row": (keypoints, np.full((1, joints), score))}
    return estimate_split(lambda _: function, [batch], 1, skeleton)["row"][0][0]


def test_joints_go_by_the_models_skeleton():
    """COCO's eyes are no ends of the head."""
    np.testing.assert_array_equal(estimated(17, "posetrack17")[:, 0], list(POSETRACK17_TO_15))
    np.testing.assert_array_equal(estimated(15, "posetrack15")[:, 0], np.arange(15))
    coco = estimated(17, "coco17")
    expected, _ = to_posetrack15(np.arange(17)[None, :, None] * np.array([1.0, 2.0]), np.ones((1, 17)), "coco17")
    np.testing.assert_array_equal(coco, expected[0])
    assert not np.isin(coco[[12, 14], 0], [1, 2]).any() and coco[13, 0] == 0  # neither eye; the nose
    for joints, skeleton in ((17, "posetrack15"), (15, "coco17"), (16, "posetrack17")):
        with pytest.raises(InputError, match=f"{joints} joints, its skeleton {skeleton}"):
            estimated(joints, skeleton)


def test_foreign_files_among_predictions_are_not_read(prepared, tmp_path):
    truth = prepared / "annotations" / "val"
    for path in truth.glob("*.json"):
        content = json.loads(path.read_text()) | {"box_source": "detector"}
        (tmp_path / path.name).write_text(json.dumps(content))
    (tmp_path / "all_results.json").write_text("[]")
    (tmp_path / "cut.json").write_text('{"images"')
    result = scores.measure(truth, tmp_path)
    assert result["boxes"] == "detector" and result["unused_predictions"] == ["all_results.json", "cut.json"]


def test_ground_truth_that_cannot_be_scored_is_refused_before_the_model_runs(small_backbone, prepared, tmp_path):
    shutil.copytree(prepared, tmp_path / "data")
    path = next((tmp_path / "data" / "annotations" / "val").glob("*.json"))
    content = json.loads(path.read_text())
    del content["annotations"][0]["bbox_head"]
    path.write_text(json.dumps(content))
    with small_backbone.unlocked():
        small_backbone.dataset.root = str(tmp_path / "data")
    with pytest.raises(InputError, match=f"{path.name}: annotations.0.: a person with joints has no head box"):
        evaluate(small_backbone, tmp_path / "no-checkpoint", None, None)


def test_what_is_missing_is_named(small_backbone, tmp_path):
    with pytest.raises(InputError, match="holds no checkpoint"):
        evaluate(small_backbone, tmp_path, None, None)
    with pytest.raises(InputError, match="no-such"):
        evaluate(small_backbone, tmp_path, None, str(tmp_path / "no-such"))


def test_the_official_posetrack18_sample_trains_and_evaluates(shared, shrink, tmp_path):
    source = shared / "data" / "posetrack18"
    prepare("posetrack18", source, tmp_path / "shards", splits=["val"], progress=False)
    config = shrink(backbone.get_config("tiny"), tmp_path / "shards")
    config.dataset.train_split = "val"
    config.train.steps = 3
    train(config, tmp_path / "run", quiet=True)
    result = evaluate(config, tmp_path / "run", None, None)
    assert result["sequences"] == 3 and result["frames"] == 3
    assert 0 <= result["mean"] <= 100
    images = json.loads(next((tmp_path / "shards" / "annotations" / "val").glob("*.json")).read_text())["images"]
    assert any(image.get("ignore_regions_x") for image in images)


def test_a_test_split_without_annotations_gets_its_predictions(prepared, tmp_path):
    """They go to the benchmark's server; there is nothing to score them against here."""
    shutil.copytree(prepared / "annotations" / "val", tmp_path / "test")
    table = ClipTable.load(prepared, "val")
    before = to_predictions(table, exact(table), tmp_path / "test")
    for path in (tmp_path / "test").glob("*.json"):
        content = json.loads(path.read_text())
        del content["annotations"]
        path.write_text(json.dumps(content))
    after = to_predictions(table, exact(table), tmp_path / "test")
    assert [p.images for p, _ in after] == [p.images for p, _ in before]
    assert len(posetrack.read_truth(tmp_path / "test", unannotated=True)) == len(after)
    with pytest.raises(InputError, match="'annotations' is missing"):
        posetrack.read_truth(tmp_path / "test")
