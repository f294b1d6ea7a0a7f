"""Arrays: shapes, padding, types that stay, and pickles that are refused."""

import numpy as np
import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.npz import write_npz
from jmpose_jax.pose_files.reader import read_poses, write_poses
from jmpose_jax.refinement.filters import Gaussian
from jmpose_jax.refinement.sequence import DEFAULTS, Options
from jmpose_jax.refinement.tracks import refine_tracks


def test_padding_and_masks_and_types(tmp_path):
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(2, 8, 4, 3)).astype(np.float16)
    valid = np.ones((2, 8, 4), bool)
    valid[0, 3, 1] = False
    np.savez(tmp_path / "a.npz", joints_3d=poses, valid=valid, lengths=[8, 5], other=np.arange(3))
    file = read_poses(tmp_path / "a.npz")
    assert [len(track.frames) for track in file.tracks] == [8, 5] and file.dimensions == 3
    assert not file.tracks[0].valid[3, 1] and file.fps is None
    tracks, _ = refine_tracks(file.tracks, None, Gaussian())
    write_poses(file, tracks, tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as out:
        assert out["joints_3d"].dtype == np.float16 and out["other"].tolist() == [0, 1, 2]
        np.testing.assert_array_equal(out["joints_3d"][1, 5:], poses[1, 5:])
        np.testing.assert_allclose(out["joints_3d"][0], tracks[0].poses, rtol=1e-3, atol=1e-3)
        assert out["valid"].all()


def test_one_sequence_of_whole_numbers(tmp_path):
    np.savez(tmp_path / "a.npz", poses=16777217 + np.arange(40).reshape(5, 4, 2))
    file = read_poses(tmp_path / "a.npz")
    assert file.joints == ("joint_0", "joint_1", "joint_2", "joint_3")
    write_poses(file, file.tracks, tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as out:
        assert out["poses"].dtype == np.float64 and out["poses"].shape == (5, 4, 2)
        assert out["poses"].ravel().tolist() == list(range(16777217, 16777257))


@pytest.mark.parametrize("key", ("rotations", "pose"))
def test_rotations_stay_rotations(tmp_path, key):
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    way = np.cumsum(0.05 * rng.normal(size=(12, 4, 3)), axis=0)
    turns = Rotation.from_rotvec(way.reshape(-1, 3)).as_matrix().reshape(12, 4, 3, 3)
    array = way.reshape(12, 12).copy() if key == "pose" else turns[..., :2].reshape(12, 4, 6).copy()
    array[5, :3] = np.nan  # a gap
    np.savez(tmp_path / "a.npz", **{key: array.astype(np.float32)})
    file = read_poses(tmp_path / "a.npz")
    assert file.dimensions == 6 and len(file.joints) == 4 and not file.tracks[0].valid[5, 0]
    tracks, _ = refine_tracks(file.tracks, None, Gaussian(1.0))
    write_poses(file, tracks, tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as out:
        found = out[key]
    assert found.shape == array.shape and found.dtype == np.float32
    if key == "rotations":
        columns = found.reshape(12, 4, 3, 2)
        np.testing.assert_allclose(np.swapaxes(columns, 2, 3) @ columns, np.tile(np.eye(2), (12, 4, 1, 1)), atol=1e-5)
        near = columns - turns[..., :2]
    else:
        near = found - way.reshape(12, 12)
    assert 0 < np.abs(near).max() < 0.15


def written(tmp_path, options=DEFAULTS, **arrays):
    """What is written of arrays, refined."""
    np.savez(tmp_path / "a.npz", **arrays)
    file = read_poses(tmp_path / "a.npz")
    write_poses(file, refine_tracks(file.tracks, None, Gaussian(), options)[0], tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as out:
        return dict(out)


def test_rotations_that_are_not_refined_keep_their_numbers(tmp_path):
    rng = np.random.default_rng(0)
    one = np.array([[4.0, 0, 0, 0, 9, 0.1]])
    assert np.array_equal(written(tmp_path, pose=one)["pose"], one)
    several = 3 * rng.normal(size=(10, 6))
    assert np.array_equal(written(tmp_path, pose=several, valid=np.zeros((10, 2), bool))["pose"], several)
    assert np.array_equal(written(tmp_path, Options(max_move=0.0), pose=several)["pose"], several)
    six = rng.normal(size=(2, 8, 2, 6))
    found = written(tmp_path, rotations=six, lengths=np.array([1, 8]))["rotations"]
    assert np.array_equal(found[0], six[0]) and not np.allclose(found[1], six[1])


def test_a_spin_goes_on_over_half_a_turn(tmp_path):
    angles = np.linspace(2.5, 3.8 + 4 * np.pi, 200)
    spin = np.stack([0 * angles, angles, 0 * angles], axis=1)
    broken = spin.copy()
    broken[40:43] = np.nan
    found = written(tmp_path, pose=broken)["pose"]
    np.testing.assert_allclose(found, spin, atol=0.02)


@pytest.mark.parametrize("kind", (float, np.uint8, bool))
def test_flags_of_any_type(tmp_path, kind):
    valid = np.ones((9, 2), kind)
    valid[4, 0] = 0
    found = written(tmp_path, poses=np.arange(36.0).reshape(9, 2, 2), valid=valid)
    assert found["valid"].dtype == kind and (found["valid"] == 1).all()


def test_arrays_of_any_name_are_kept(tmp_path):
    write_npz(tmp_path / "a.npz", {"poses": ZEROS, "file": np.arange(3), "allow_pickle": np.arange(4)})
    file = read_poses(tmp_path / "a.npz")
    write_poses(file, file.tracks, tmp_path / "b.npz")
    with np.load(tmp_path / "b.npz") as out:
        assert sorted(out) == ["allow_pickle", "file", "poses"] and out["allow_pickle"].tolist() == [0, 1, 2, 3]


class Hostile:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (open, (str(self.place), "w"))


def test_objects_are_refused_and_not_run(tmp_path):
    np.savez(tmp_path / "a.npz", poses=np.array([Hostile(tmp_path / "was_run")], object))
    with pytest.raises(InputError, match="pickle"):
        read_poses(tmp_path / "a.npz")
    assert not (tmp_path / "was_run").exists()


ZEROS = np.zeros((5, 4, 2))


@pytest.mark.parametrize(
    "arrays, culprit",
    [
        ({"a": ZEROS}, "needs one of the arrays"),
        ({"poses": ZEROS, "keypoints": ZEROS}, "needs one of the arrays"),
        ({"pose": np.zeros((5, 70))}, r"pose is \[5, 70\]"),
        ({"rotations": ZEROS}, "with D 6"),
        ({"poses": ZEROS[0]}, r"\[4, 2\]"),
        ({"poses": np.zeros((5, 4, 7))}, r"\[5, 4, 7\]"),
        ({"poses": np.zeros((0, 4, 2))}, r"\[0, 4, 2\]"),
        ({"poses": ZEROS.astype(str)}, "expected numbers"),
        ({"poses": ZEROS, "valid": np.ones((5, 3))}, "valid"),
        ({"poses": ZEROS, "scores": np.full((5, 4), "a")}, "scores"),
        ({"poses": ZEROS, "lengths": [9]}, "lengths"),
        ({"poses": ZEROS[None], "lengths": ["5"]}, "lengths"),
        ({"poses": ZEROS[None], "lengths": [4.5]}, "lengths"),
        ({"poses": ZEROS[None], "lengths": [5j]}, "lengths"),
        ({"poses": ZEROS, "valid": np.full((5, 4), np.nan)}, "valid"),
        ({"poses": ZEROS, "fps": 0.0}, "fps"),
        ({"poses": ZEROS, "fps": [25, 30]}, "fps"),
        ({"poses": ZEROS, "joints": ["a", "b"]}, "joints"),
    ],
)
def test_faults(tmp_path, arrays, culprit):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=culprit):
        read_poses(tmp_path / "a.npz")


def test_damaged_files(tmp_path):
    np.savez(tmp_path / "a.npz", poses=ZEROS)
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    np.save(tmp_path / "one.npy", ZEROS)
    for name in ("cut.npz", "one.npy"):
        with pytest.raises(InputError, match=name):
            read_poses(tmp_path / name)
