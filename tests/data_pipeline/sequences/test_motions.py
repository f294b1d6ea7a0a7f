"""Motion files as true poses: anatomy, pace and place tell whether rotations were read the right way."""

import json

import numpy as np
import pytest

from data_pipeline.sequences import motions
from data_pipeline.sequences.motions import cmu_positions, picture, read_motions, turned
from data_pipeline.sequences.records import LSP14
from jmpose_jax.errors import InputError

AT = {name: place for place, name in enumerate(LSP14)}


def anatomy(poses):
    """Shares of frames that move to the front, and whose knees are before the line from hip to ankle; foot's slide."""
    front = np.cross(poses[:, AT["left_hip"]] - poses[:, AT["right_hip"]], [0.0, 1.0, 0.0])
    middle = (poses[:, AT["left_hip"]] + poses[:, AT["right_hip"]]) / 2
    forward = (np.sum(np.diff(middle, axis=0) * front[1:], axis=-1) > 0).mean()
    knees = sum(
        poses[:, AT[f"{side}_knee"]] - (poses[:, AT[f"{side}_hip"]] + poses[:, AT[f"{side}_ankle"]]) / 2
        for side in ("left", "right")
    )
    feet = np.linalg.norm(np.diff(poses[:, [AT["left_ankle"], AT["right_ankle"]]], axis=0), axis=-1)
    return forward, (np.sum(knees * front, axis=-1) > 0).mean(), np.median(feet.min(axis=1))


def test_cmu_walks(shared):
    data = read_motions(str(shared / "data/mocap_cmu"), "test")
    assert len(data.sequences) == 24 and int(data.lengths.sum()) == 3534 and data.joints == LSP14
    walks = [each.target for each in data.sequences if "walking" in each.name]
    for poses in walks[:4]:
        forward, knees, slide = anatomy(poses)
        assert forward > 0.95 and knees > 0.95 and slide < 0.012  # metres a frame
        thigh = np.linalg.norm(poses[:, AT["left_hip"]] - poses[:, AT["left_knee"]], axis=-1)
        assert thigh.mean() == pytest.approx(0.428, abs=0.003) and thigh.std() < 1e-4
        assert (poses[:, AT["head_top"], 1] - poses[:, AT["left_ankle"], 1]).min() > 1


def test_deepmimic_walks(shared):
    folder = str(shared / "data/mocap_deepmimic")
    splits = {split: read_motions(folder, split) for split in ("train", "test")}
    names = {split: {each.name for each in data.sequences} for split, data in splits.items()}
    assert len(names["train"]) == 15 and len(names["test"]) == 5 and not names["train"] & names["test"]
    walk = next(each.target for each in splits["train"].sequences if each.name == "walk")
    forward, knees, _ = anatomy(walk)
    assert forward > 0.95 and knees > 0.95
    with pytest.raises(InputError, match="splits train and test"):
        read_motions(folder, "val")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(motions, "MADE", {"train": 9, "val": 3, "test": 4})
    monkeypatch.setattr(motions, "MADE_FRAMES", 12)


def test_motions_are_made_and_others_in_each_split(few):
    data = read_motions("", "test")
    assert len(data.sequences) == 4 and set(data.lengths) == {12} and data.unit == "m" and data.roots == (2, 3)
    again = read_motions("", "test")
    np.testing.assert_array_equal(data.sequences[1].target, again.sequences[1].target)
    thighs = [
        {
            round(float(np.linalg.norm(each.target[0, 2] - each.target[0, 1])), 6)
            for each in read_motions("", s).sequences
        }
        for s in ("train", "val", "test")
    ]
    assert len(thighs[0] | thighs[1] | thighs[2]) == 16  # no body twice


def test_pictures_of_motions(few):
    data = read_motions("", "val", dimensions=2, views=2)
    assert len(data.sequences) == 6 and data.dimensions == 2 and data.unit == "px" and data.roots == ()
    for each in data.sequences:
        heads = each.target[:, AT["head_top"], 1].mean()
        assert heads < each.target[:, AT["left_ankle"], 1].mean()  # y points down
    poses = read_motions("", "val").sequences[0].target.astype(float)
    flat = picture(poses, np.random.default_rng(0))
    assert flat.shape == (12, 14, 2) and 100 < np.ptp(flat[..., 1]) < 400


def test_turns_keep_heights_and_lengths():
    poses = np.random.default_rng(0).normal(size=(3, 14, 3))
    np.testing.assert_allclose(turned(turned(poses, 0.7), -0.7), poses, atol=1e-12)
    np.testing.assert_allclose(turned(np.array([[1.0, 2.0, 0.0]]), np.pi / 2), [[0, 2, -1]], atol=1e-12)


def test_positions_of_a_chain():
    """Rotations of parents move their children, in rows: a quarter about z of the root takes x to -y."""
    parents = [-1] + list(range(37))
    offsets = np.zeros((38, 3))
    offsets[1] = (1, 0, 0)
    rows = np.zeros((1, 117))
    rows[0, :3], rows[0, 5] = (5, 6, 7), np.pi / 2
    place = cmu_positions(rows, parents, offsets)[0, motions.CMU_JOINTS.index(2)]
    np.testing.assert_allclose(place, [5, 5, 7], atol=1e-12)


def test_faults_are_one_line(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_motions(str(tmp_path / "none"), "train")
    with pytest.raises(InputError, match="split 'dev'"):
        read_motions("", "dev")
    with pytest.raises(InputError, match="dimensions=4"):
        read_motions("", "val", dimensions=4)
    (tmp_path / motions.CMU_FILE).write_bytes(b"PK")
    (tmp_path / motions.CMU_SKELETON).write_text(json.dumps({"parent": [-1], "offset": [[0, 0, 0]]}))
    with pytest.raises(InputError, match="cannot be read"):
        read_motions(str(tmp_path), "train")
    np.savez(tmp_path / motions.CMU_FILE, **{"train/a": np.full((4, 6), np.nan)})
    with pytest.raises(InputError, match="train/a must be finite"):
        read_motions(str(tmp_path), "train")
    with pytest.raises(InputError, match="no sequence of the split 'test'"):
        read_motions(str(tmp_path), "test")
