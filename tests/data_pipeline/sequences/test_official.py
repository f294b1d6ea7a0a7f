"""The .npz files of DeciWatch's data sets: joints, boxes, sizes, rotations, and videos in both splits."""

import numpy as np
import pytest

from data_pipeline.sequences.official import H36M17, JHMDB15, LAYOUTS, OF_17, read_official, video_of
from data_pipeline.sequences.records import LSP14
from jmpose_jax.body_model.rotations import from_axis_angle, to_six
from jmpose_jax.errors import InputError
from tests.data_pipeline.sequences.layouts import write


def test_jhmdb(tmp_path):
    truth, found = write(tmp_path, "jhmdb")
    data = read_official(LAYOUTS["jhmdb"], str(tmp_path), "est", "train")
    assert data.joints == JHMDB15 and data.unit == "px" and data.lengths.tolist() == [12, 7]
    first = data.sequences[0]
    np.testing.assert_allclose(first.target, truth[0].reshape(12, 15, 2), rtol=1e-6)
    np.testing.assert_allclose(first.poses, found[0].reshape(12, 15, 2), rtol=1e-6)
    assert first.scale.tolist() == [90] * 12 and first.size == (320, 240)


@pytest.mark.parametrize("name", ["h36m", "pw3d", "aist"])
def test_in_space(tmp_path, name):
    truth, _ = write(tmp_path, name)
    data = read_official(LAYOUTS[name], str(tmp_path), "est", "train")
    joints = truth[1].reshape(7, -1, 3)
    np.testing.assert_allclose(data.sequences[1].target, joints[:, OF_17] if name == "pw3d" else joints, rtol=1e-6)
    assert len(data.joints) == {"h36m": 17, "pw3d": 14, "aist": 14}[name]
    assert data.roots == ((0,) if name == "h36m" else (2, 3)) and data.unit == "m"


def test_the_14_of_17_are_the_14_by_name():
    assert [H36M17[place].replace("neck", "head_bottom") for place in OF_17] == list(LSP14)


def test_rotations(tmp_path):
    write(tmp_path, "pw3d")
    truth = np.load(tmp_path / "groundtruth_poses/pw3d/pw3d_gt_train.npz", allow_pickle=True)["pose"]
    data = read_official(LAYOUTS["pw3d"], str(tmp_path), "est", "train", representation="rotations")
    poses = data.sequences[0].target
    assert poses.shape == (12, 24, 6) and data.unit == "6d"
    # As everywhere else: `jmpose refine --checkpoint` gives a network what it was trained on.
    matrices = from_axis_angle(truth[0].astype(np.float32).reshape(12, 24, 3))
    np.testing.assert_allclose(poses, to_six(matrices), atol=1e-5)


def test_videos_in_both_splits(tmp_path):
    write(tmp_path, "jhmdb", "train", (8, 9, 10), videos=["a/one", "a/two", "a/three"])
    write(tmp_path, "jhmdb", "test", (8, 5), videos=["a/two", "a/four"], seed=1)
    published = read_official(LAYOUTS["jhmdb"], str(tmp_path), "est", "train")
    clean = read_official(LAYOUTS["jhmdb"], str(tmp_path), "est", "train", overlap="clean")
    assert len(published.sequences) == 3 and clean.lengths.tolist() == [8, 10]
    assert sum(clean.skipped.values()) == 1
    assert len(read_official(LAYOUTS["jhmdb"], str(tmp_path), "est", "test", overlap="clean").sequences) == 2
    assert video_of(np.array(["s/v/1.png"])) == "s/v" and video_of(b"x") == "x"


def test_faults_are_one_line(tmp_path):
    layout, root = LAYOUTS["h36m"], str(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_official(layout, root, "est", "train")
    with pytest.raises(InputError, match="no such folder"):
        read_official(layout, root + "/none", "est", "train")
    with pytest.raises(InputError, match="needs root"):
        read_official(layout, "", "est", "train")
    with pytest.raises(InputError, match="overlap='some'"):
        read_official(layout, root, "est", "train", overlap="some")
    write(tmp_path, "aist")
    (tmp_path / "groundtruth_poses/aist").rename(tmp_path / "groundtruth_poses/h36m")
    (tmp_path / "detected_poses/aist").rename(tmp_path / "detected_poses/h36m")
    for path in tmp_path.rglob("aist_*.npz"):
        path.rename(path.with_name(path.name.replace("aist", "h36m")))
    with pytest.raises(InputError, match="another joint count") as fault:
        read_official(layout, root, "est", "train")
    assert "sequence 0" in str(fault.value) and "\n" not in str(fault.value)
    _, found = write(tmp_path, "h36m")
    write(tmp_path, "h36m", estimator="other", lengths=(12, 6))
    truth = tmp_path / "groundtruth_poses/h36m/h36m_gt_train.npz"
    write(tmp_path, "h36m")
    assert truth.is_file() and len(found) == 2
    with pytest.raises(InputError, match="sequence 1: .*estimated poses are"):
        read_official(layout, root, "other", "train")
    write(tmp_path, "h36m", estimator="other", lengths=(12,))
    write(tmp_path, "h36m")
    with pytest.raises(InputError, match="1 sequences, .* has 2"):
        read_official(layout, root, "other", "train")
