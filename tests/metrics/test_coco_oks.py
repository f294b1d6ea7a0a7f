"""OKS AP by the official evaluator, and what is said about results that do not fit."""

import json

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.metrics import coco, keypoints
from jmpose_jax.metrics.jhmdb import jhmdb_pck
from jmpose_jax.metrics.oks_nms import oks_nms, oks_nms_by_image


def results(truth, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for annotation in truth["annotations"]:
        if annotation["num_keypoints"]:
            points = np.array(annotation["keypoints"], float).reshape(17, 3)
            points[:, :2] += rng.normal(0, noise, (17, 2)) if noise else 0
            entry = {"image_id": annotation["image_id"], "category_id": 1, "score": float(rng.random())}
            found.append(entry | {"keypoints": points.ravel().tolist()})
    return found


@pytest.mark.parametrize("backend", sorted(coco.BACKENDS))
def test_real_sample(shared, backend):
    pytest.importorskip(backend, reason="the extra `coco` is not installed")
    path = shared / "data" / "coco" / "test_coco.json"
    truth = json.loads(path.read_text())
    assert coco.oks_ap(path, results(truth), backend=backend)["AP"] == pytest.approx(1)
    noisy = coco.oks_ap(path, results(truth, 8), backend=backend)
    assert 0.1 < noisy["AP"] < noisy["AP50"] <= 1 and noisy["AR"] < 1
    again = coco.oks_ap(path, results(truth, 8), sigmas=keypoints.COCO17_SIGMAS, backend=backend)
    assert again == pytest.approx(noisy)


def test_backends_agree(shared):
    for backend in coco.BACKENDS:
        pytest.importorskip(backend, reason="the extra `coco` is not installed")
    path = shared / "data" / "coco" / "test_coco.json"
    for seed in range(5):
        found = results(json.loads(path.read_text()), 6, seed)
        a, b = (coco.oks_ap(path, found, backend=backend) for backend in coco.BACKENDS)
        np.testing.assert_allclose(list(a.values()), list(b.values()), atol=1e-9)


def test_faults(shared, tmp_path):
    if not any(_installed(backend) for backend in coco.BACKENDS):
        with pytest.raises(InputError, match="pip install"):
            coco.oks_ap("x.json", [])
        return
    path = shared / "data" / "coco" / "test_coco.json"
    found = results(json.loads(path.read_text()))
    with pytest.raises(InputError, match="no detection is of an image of"):
        coco.oks_ap(path, [entry | {"image_id": -1} for entry in found])
    with pytest.raises(InputError, match=r"detections: \[0\] has 48 keypoint numbers, not 51"):
        coco.oks_ap(path, [entry | {"keypoints": entry["keypoints"][:48]} for entry in found])
    with pytest.raises(InputError, match="is no COCO keypoint file"):
        (tmp_path / "list.json").write_text("[]")
        coco.oks_ap(tmp_path / "list.json", found)


def _installed(name):
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def test_backend_that_is_not_known():
    with pytest.raises(InputError, match="backend='mine' is not known"):
        coco.oks_ap("x.json", [], backend="mine")


def test_oks_nms_keeps_the_best_of_each_person():
    rng = np.random.default_rng(0)
    people = rng.uniform(0, 1000, (3, 15, 2))
    poses = np.concatenate([people, people + 1, people + 2])
    scores = np.array([0.1, 0.9, 0.5, 0.3, 0.2, 0.5, 0.2, 0.3, 0.4])
    sigmas, areas = keypoints.POSETRACK15_SIGMAS, np.full(9, 4e4)
    assert oks_nms(poses, scores, areas, sigmas, 0.9).tolist() == [1, 2, 3]  # of equal scores the earlier one
    assert oks_nms(poses, scores, areas, sigmas, 1.0).tolist() == list(range(9))
    images = np.repeat([5, 3, 4], 3)
    assert oks_nms_by_image(images, poses, scores, areas, sigmas).tolist() == list(range(9))
    assert len(oks_nms(poses[:0], scores[:0], areas[:0], sigmas)) == 0


def test_oks_nms_by_the_joints_that_count():
    person = np.random.default_rng(0).uniform(0, 1000, (15, 2))
    poses, valid = np.stack([person, person]), np.ones((2, 15), bool)
    poses[1, :12] += 400
    arguments = poses, np.array([0.5, 0.9]), np.full(2, 4e4), keypoints.POSETRACK15_SIGMAS, 0.9
    assert oks_nms(*arguments).tolist() == oks_nms(*arguments, valid).tolist() == [0, 1]
    valid[0, :12] = False
    assert oks_nms(*arguments, valid).tolist() == [1]


def test_jhmdb_of_official_functions(shared):
    folder = shared / "data/golden_kinematic"
    data, expected = np.load(folder / "inputs.npz"), json.loads((folder / "expected.json").read_text())
    corners = data["bbox_xyxy"].astype(float)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    for threshold, mean in expected["jhmdb_pck_mean"].items():
        found = jhmdb_pck([data["pred2d"]], [data["gt2d"]], [boxes], float(threshold))
        assert found["Mean"] == pytest.approx(100 * mean, abs=1e-4)
        per_joint = expected["jhmdb_pck_per_joint"][threshold]
        assert found["Sho"] == pytest.approx(50 * (per_joint[3] + per_joint[4]), abs=1e-4)


def test_jhmdb_sequences_weigh_alike():
    target = [np.zeros((1, 15, 2)), np.zeros((9, 15, 2))]
    boxes = [np.tile([0, 0, 10, 20.0], (len(t), 1)) for t in target]
    found = jhmdb_pck([target[0] + 100, target[1]], target, boxes)
    assert found["Mean"] == 50 and found["Head"] == 50
    for t in target:
        t[:, 5] = 3, 4
    moved = [t + [1.0, 0] for t in target]
    assert jhmdb_pck(moved, target, threshold=0.2, normalisation="torso")["Mean"] == 100
    assert jhmdb_pck(moved, target, threshold=0.19, normalisation="torso")["Mean"] == 0
    with pytest.raises(InputError, match="needs boxes"):
        jhmdb_pck(moved, target)
    with pytest.raises(InputError, match="no joint is visible"):
        jhmdb_pck(moved, target, boxes, visible=[np.zeros(t.shape[:2], bool) for t in target])
    with pytest.raises(InputError, match=r"sequence 0 has the shape \[1, 14, 2\]"):
        jhmdb_pck([target[0][:, :14]], [target[0][:, :14]], boxes[:1])
