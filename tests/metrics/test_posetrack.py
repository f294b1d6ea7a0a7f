"""PoseTrack AP and MOTA against the official evaluator's numbers, and the faults of input files."""

import dataclasses
import json
import shutil
import zlib

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.metrics import posetrack
from jmpose_jax.metrics.reading import read_sequence
from jmpose_jax.metrics.sequence import from_predictions
from jmpose_jax.records import Predictions
from jmpose_jax.skeletons import JOINT_GROUPS

FORMS = [("gt", "pred"), ("gt17", "pred17"), ("gt", "pred17"), ("gt17", "pred"), ("gt", "pred_ties")]


def sorts_ties_as_reference() -> bool:
    # The official order of equal scores is that of NumPy's default sort, which differs between processors.
    probe = np.round(np.random.default_rng(0).random(105), 1)
    return zlib.crc32(np.argsort(probe).astype(np.int64).tobytes()) == 3965742980


@pytest.fixture(scope="module")
def folder(golden):
    return golden / "poseval"


@pytest.fixture(scope="module")
def expected(folder):
    return json.loads((folder / "expected_poseval.json").read_text())


def sequences(folder, name, ground_truth=False):
    return [read_sequence(path, ground_truth) for path in sorted((folder / name).glob("*.json"))]


@pytest.mark.parametrize("truth,predicted", FORMS)
def test_official_numbers(folder, expected, truth, predicted):
    if predicted == "pred_ties" and not sorts_ties_as_reference():
        pytest.skip("NumPy orders equal values differently on this processor, and so does the official evaluator")
    result = posetrack.evaluate(folder / truth, folder / predicted)
    official = expected["pred_ties" if predicted == "pred_ties" else "pred"]
    for ours, name in [
        (result.ap_per_joint, "ap"),
        (result.precision_per_joint, "precision"),
        (result.recall_per_joint, "recall"),
        (result.mota_per_joint, "mota"),
        (result.tracking.precision(), "mot_pre"),
        (result.tracking.recall(), "mot_rec"),
    ]:
        np.testing.assert_allclose(ours, official[name][:15], atol=1e-9, rtol=0, err_msg=name)
    table = official["table_ap_Head_Shou_Elb_Wri_Hip_Knee_Ankl_Total"]
    assert list(result.ap) == [*JOINT_GROUPS, "Total"] == list(result.mota)
    np.testing.assert_allclose(list(result.ap.values()), table, atol=1e-9, rtol=0)
    assert result.mota["Total"] == pytest.approx(official["mota"][15], abs=1e-9)
    assert (result.frames, result.sequences) == (official["n_frames"], 3)


def test_stable_ties_do_not_depend_on_the_processor(folder):
    result = posetrack.evaluate(folder / "gt", folder / "pred_ties", ties="stable")
    assert result.ap["Total"] == pytest.approx(53.067722, abs=1e-6)
    with pytest.raises(InputError, match="ties='random'"):
        posetrack.evaluate(folder / "gt", folder / "pred", ties="random")


def test_perfect_predictions_on_real_frames(shared, tmp_path):
    truth = shared / "data/posetrack18/annotations/val"
    for path in truth.glob("*.json"):
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            annotation["scores"] = [0.9] * 17
        (tmp_path / path.name).write_text(json.dumps(content))
    result = posetrack.evaluate(truth, tmp_path)
    np.testing.assert_allclose(result.ap_per_joint, 100)
    assert np.isnan(result.mota["Total"])  # one frame a video, and the last frame is never tracked
    joints_in_file = sum(
        sum(v > 0 for v in a["keypoints"][2::3])
        for p in truth.glob("*.json")
        for a in json.loads(p.read_text())["annotations"]
    )
    assert 0 < result.annotated_joints.sum() < joints_in_file  # the ignore regions hold some


def test_real_17_form_equals_18_form(shared):
    old = sequences(shared / "data", "posetrack17_format_sample", ground_truth=True)
    new = sequences(shared / "data/posetrack18/annotations", "val", ground_truth=True)
    for a, b in zip(old, new, strict=True):
        np.testing.assert_array_equal(a.present, b.present)
        np.testing.assert_allclose(a.keypoints[a.present], b.keypoints[b.present])
        np.testing.assert_allclose(a.head_sizes, b.head_sizes)
        assert len(a.ignore_regions[0]) == len(b.ignore_regions[0])


def test_unannotated_joints_count_as_false(folder):
    truth, predicted = sequences(folder, "gt", True), sequences(folder, "pred")
    full = posetrack.evaluate_sequences(truth, predicted)
    without_nose = [dataclasses.replace(t, present=t.present & (np.arange(15) != 13)) for t in truth]
    result = posetrack.evaluate_sequences(without_nose, predicted)
    assert np.isnan(result.ap_per_joint[13]) and np.isnan(result.recall_per_joint[13])
    others = np.arange(15) != 13
    assert result.ap["Head"] == pytest.approx(result.ap_per_joint[[14, 12]].mean())
    assert result.ap["Total"] == pytest.approx(result.ap_per_joint[others].mean())
    assert result.predicted_joints[13] == full.predicted_joints[13]


def self_predictions(truth):
    """Predictions made from ground-truth boxes: the annotated joints, moved off by two head sizes for odd joints."""
    off = np.where(np.arange(15) % 2, 2.0, 0.0)[None, :, None] * truth.head_sizes[:, None, None]
    return dataclasses.replace(
        truth,
        keypoints=truth.keypoints + off,
        present=np.ones_like(truth.present),
        scores=np.linspace(0.1, 0.9, truth.present.size).reshape(truth.present.shape),
        head_sizes=np.full(truth.num_persons, np.nan),
        ignore_regions=(),
    )


def test_restrict_leaves_the_subset(folder):
    truth = sequences(folder, "gt", True)
    predicted = [self_predictions(t) for t in truth]
    keep = {}
    for t in truth:
        for frame, person, present in zip(t.frame, t.person_index, t.present):
            if person < 2:
                keep[(int(t.image_ids[frame]), int(person))] = present & (np.arange(15) % 2 == 0)
    part = posetrack.evaluate_sequences(*posetrack.restrict(truth, predicted, keep))
    assert part.annotated_joints.sum() < sum(t.present.sum() for t in truth)
    np.testing.assert_array_equal(part.annotated_joints, part.predicted_joints)
    np.testing.assert_allclose(part.ap_per_joint[0::2], 100)  # correct joints, and no false one is left
    assert np.isnan(part.ap_per_joint[1::2]).all()
    assert part.frames == posetrack.evaluate_sequences(truth, predicted).frames
    with pytest.raises(InputError, match="person_index"):
        posetrack.restrict(truth, sequences(folder, "pred"), keep)


def test_in_memory_predictions_equal_files(folder):
    truth = sequences(folder, "gt", True)
    predicted = []
    for t in truth:
        p = self_predictions(t)
        images = tuple({"id": int(i), "file_name": f"{i}.jpg"} for i in t.image_ids)
        shuffled = np.random.default_rng(0).permutation(t.num_persons)
        record = Predictions(
            t.name,
            images,
            t.image_ids[t.frame][shuffled],
            p.keypoints[shuffled],
            p.scores[shuffled],
            np.zeros((t.num_persons, 4)),
            t.track_ids[shuffled],
        )
        predicted.append(from_predictions(record, t.person_index[shuffled]))
    ours = posetrack.evaluate_sequences(truth, predicted)
    reference = posetrack.evaluate_sequences(truth, [self_predictions(t) for t in truth])
    np.testing.assert_allclose(ours.ap_per_joint, reference.ap_per_joint)
    np.testing.assert_allclose(ours.mota_per_joint, reference.mota_per_joint)
    with pytest.raises(InputError, match="not among the images"):
        from_predictions(dataclasses.replace(record, images=record.images[1:]))


def test_frames_in_another_order_are_aligned(folder, tmp_path):
    for path in (folder / "pred").glob("*.json"):
        content = json.loads(path.read_text())
        content["images"].reverse()
        (tmp_path / path.name).write_text(json.dumps(content))
    ours, reference = (posetrack.evaluate(folder / "gt", p) for p in (tmp_path, folder / "pred"))
    np.testing.assert_allclose(ours.ap_per_joint, reference.ap_per_joint)


@pytest.fixture
def copied(folder, tmp_path):
    shutil.copytree(folder / "gt", tmp_path / "gt")
    shutil.copytree(folder / "pred", tmp_path / "pred")
    return tmp_path


def change(path, edit):
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


FIRST = "000342_mpii_test.json"


def drop_image(content):
    content["images"].pop()
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 10003420009]


def other_ids(content):
    for image in content["images"]:
        image["id"] += 5
    for annotation in content["annotations"]:
        annotation["image_id"] += 5


FAULTS = {
    "short keypoints": ("pred", lambda c: c["annotations"][0]["keypoints"].pop(), "'keypoints' has 50 numbers, 51"),
    "short scores": ("pred", lambda c: c["annotations"][0]["scores"].pop(), "'scores' has 16 numbers, 17"),
    "unknown image": ("pred", lambda c: c["annotations"][0].update(image_id=7), "names image_id 7"),
    "image twice": ("pred", lambda c: c["images"].append(c["images"][0]), "two images have the id"),
    "track twice": ("pred", lambda c: c["annotations"].append(c["annotations"][0]), "track_id occurs twice"),
    "missing frame": ("pred", drop_image, "9 images, the ground truth"),
    "other ids": ("pred", other_ids, "image ids of the ground truth are absent"),
    "no head box": ("gt", lambda c: c["annotations"][0].pop("bbox_head"), "no head box"),
    "no image id": ("pred", lambda c: c["annotations"][0].pop("image_id"), "key 'image_id' is missing"),
    "text coordinate": ("pred", lambda c: c["annotations"][0].update(keypoints=["a"] * 51), "must be a number"),
    "other joints": ("pred", lambda c: c["categories"][0].update(keypoints=["nose"]), "names no joint 'right_ankle'"),
    "another form": ("gt", lambda c: c.clear(), "neither PoseTrack17 form"),
    "nan": ("pred", lambda c: c["annotations"][0].update(keypoints=[float("nan")] * 51), "must be a finite number"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_files(copied, name):
    folder, edit, message = FAULTS[name]
    change(copied / folder / FIRST, edit)
    with pytest.raises(InputError, match=message) as error:
        posetrack.evaluate(copied / "gt", copied / "pred")
    assert FIRST in str(error.value) and "\n" not in str(error.value)


def test_faulty_folders(copied):
    with pytest.raises(InputError, match="no such folder"):
        posetrack.evaluate(copied / "nothing", copied / "pred")
    (copied / "empty").mkdir()
    with pytest.raises(InputError, match="holds no .json"):
        posetrack.evaluate(copied / "gt", copied / "empty")
    (copied / "pred" / FIRST).write_text('{"images": [')
    with pytest.raises(InputError, match="not valid JSON"):
        posetrack.evaluate(copied / "gt", copied / "pred")
    (copied / "pred" / FIRST).rename(copied / "pred" / "other.json")
    with pytest.raises(InputError, match=f"{FIRST} is absent"):
        posetrack.evaluate(copied / "gt", copied / "pred")


def test_no_overlap_is_a_fault_not_zero(copied):
    for path in (copied / "pred").glob("*.json"):
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(InputError, match="no file has the name"):
        posetrack.evaluate(copied / "gt", copied / "pred")
    for path in (copied / "pred").glob("*.json"):
        change(path, lambda c: c["annotations"].clear())
        path.rename(path.with_name(path.name[1:]))
    with pytest.raises(InputError, match="no predicted joint"):
        posetrack.evaluate(copied / "gt", copied / "pred")
    for path in (copied / "gt").glob("*.json"):
        change(path, lambda c: c["annotations"].clear())
    with pytest.raises(InputError, match="no annotated joint"):
        posetrack.evaluate(copied / "gt", copied / "pred")


def test_unused_prediction_files_are_reported(copied):
    shutil.copy(copied / "pred" / FIRST, copied / "pred" / "extra.json")
    assert posetrack.evaluate(copied / "gt", copied / "pred").unused_predictions == ("extra.json",)


FOREIGN = {
    "list.json": b"[1, 2]",
    "object.json": b'{"mean": 3}',
    "cut.json": b'{"images": [',
    "latin.json": b"\xff\xfe{}",
    "deep.json": b"[" * 100_000,
}


def test_foreign_files_among_predictions_are_left_out_and_named(copied, folder):
    for name, content in FOREIGN.items():
        (copied / "pred" / name).write_bytes(content)
    (copied / "pred" / "folder.json").mkdir()
    result = posetrack.evaluate(copied / "gt", copied / "pred")
    assert result.unused_predictions == tuple(sorted((*FOREIGN, "folder.json")))
    assert result.ap == posetrack.evaluate(folder / "gt", folder / "pred").ap


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", [*FOREIGN, "folder.json"])
def test_unreadable_files_are_refused_before_anything_is_scored(copied, monkeypatch, side, name):
    last = sorted((copied / side).glob("*.json"))[-1]
    last.unlink()
    last.write_bytes(FOREIGN[name]) if name in FOREIGN else last.mkdir()
    monkeypatch.setattr(posetrack, "match", None)  # nothing comes that far
    with pytest.raises(InputError) as error:
        posetrack.evaluate(copied / "gt", copied / "pred")
    assert str(last) in str(error.value) and "\n" not in str(error.value)


PLACES = {
    "keypoint": ("annotations", 0, "keypoints", 0),
    "visibility": ("annotations", 0, "keypoints", 2),
    "score": ("annotations", 0, "scores", 3),
    "box": ("annotations", 0, "bbox", 1),
    "head box": ("annotations", 0, "bbox_head", 2),
    "polygon": ("images", 0, "ignore_regions_x", 0, 0),
}


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400, "1e300"])
@pytest.mark.parametrize("side", ["gt", "pred"])
def test_what_is_not_finite_is_refused_where_it_enters(copied, side, token):
    path = copied / side / FIRST
    content = json.loads(path.read_text())
    person, image = content["annotations"][0], content["images"][0]
    person |= {"scores": [0.5] * 17, "bbox": [1, 2, 3, 4], "bbox_head": [1, 2, 3, 4]}
    image |= {"ignore_regions_x": [[0, 1, 1]], "ignore_regions_y": [[0, 0, 1]]}
    for place in PLACES.values():
        changed = json.loads(json.dumps(content))
        owner = changed
        for key in place[:-1]:
            owner = owner[key]
        owner[place[-1]] = "@"
        path.write_text(json.dumps(changed).replace('"@"', token))
        with pytest.raises(InputError, match=f"{FIRST}: {place[0]}.0.: '{place[2]}'.* must be a") as error:
            posetrack.evaluate(copied / "gt", copied / "pred")
        assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_in_memory_scores_must_be_finite():
    images = ({"id": 1, "file_name": "1.jpg"},)
    arrays = np.zeros((1, 15, 2)), np.full((1, 15), np.nan), np.zeros((1, 4)), np.zeros(1, np.int64)
    with pytest.raises(InputError, match="scores are not all finite"):
        from_predictions(Predictions("v", images, np.array([1]), *arrays))


def test_tracks_that_are_unknown_get_numbers_of_their_own(copied):
    def unknown(content):
        for number, annotation in enumerate(content["annotations"]):
            annotation["track_id"] = -1 if number % 2 else 0
            if number % 3 == 0:
                del annotation["track_id"]
        content["annotations"] = content["annotations"][:3]
        for annotation in content["annotations"]:
            annotation["image_id"] = content["images"][0]["id"]

    change(copied / "pred" / FIRST, unknown)
    assert sorted(read_sequence(copied / "pred" / FIRST).track_ids.tolist()) == [0, 1, 2]
