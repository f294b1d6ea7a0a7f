"""Predicted tracks beside the ground truth: matched by place, gaps and unlabelled frames as NaN."""

import json

import numpy as np
import pytest

from data_pipeline.sequences.posetrack import read_posetrack
from jmpose_jax.errors import InputError
from jmpose_jax.skeletons import POSETRACK15, POSETRACK17, POSETRACK17_TO_15

NAME = "000001_mpii_test"
CATEGORIES = [{"id": 1, "name": "person", "keypoints": list(POSETRACK17.joints), "skeleton": []}]


def images(count):
    first = 10000010000
    return [
        {"id": first + i, "frame_id": first + i, "file_name": f"images/val/{NAME}/{i:06d}.jpg", "vid_id": "000001",
         "nframes": count, "is_labeled": True, "ignore_regions_x": [], "ignore_regions_y": []}
        for i in range(count)
    ]  # fmt: skip


def person(image, index, track, joints, scores=None, missing=()):
    values = np.concatenate([joints, np.ones((17, 1))], axis=1)
    values[[3, 4, *missing]] = 0
    x, y = joints.min(axis=0)
    width, height = np.ptp(joints, axis=0)
    return {
        "id": 100 * image + index, "image_id": image, "track_id": track, "category_id": 1,
        "keypoints": values.reshape(-1).tolist(), "scores": [] if scores is None else [scores] * 17,
        "bbox": [x, y, width, height], "bbox_head": [x, y, width / 5, height / 5],
    }  # fmt: skip


@pytest.fixture
def video(tmp_path):
    """Two people in five frames, the truth of frame 3 without labels; predictions 2 pixels off, their names changed."""
    rng = np.random.default_rng(0)
    poses = [rng.uniform(20, 120, (17, 2)), rng.uniform(220, 320, (17, 2))]
    frames = images(5)
    truth, found = [], []
    for i, frame in enumerate(frames):
        for index, pose in enumerate(poses):
            if i != 3:
                truth.append(person(frame["id"], index, index, pose + i, missing=(9,) if i == 1 else ()))
            if (i, index) != (2, 0):  # a gap of the first track
                track = index if i < 4 else 1 - index  # identities change at the end
                found.append(person(frame["id"], index, 10 + track, pose + i + 2, 0.9))
    save(tmp_path / "data/annotations/val", frames, truth)
    save(tmp_path / "found/val", frames, found)
    return tmp_path, poses


def save(folder, frames, people, name=NAME):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"images": frames, "annotations": people, "categories": CATEGORIES}
    (folder / f"{name}.json").write_text(json.dumps(content))


def read(folder, **changed):
    given = {"root": str(folder / "data"), "estimates": str(folder / "found"), "split": "val"} | changed
    return read_posetrack(**given)


def test_tracks_beside_the_truth(video):
    folder, poses = video
    data = read(folder)
    assert data.joints == POSETRACK15.joints and data.unit == "px" and [len(each) for each in data.sequences] == [5, 5]
    first = data.sequences[0]
    order = list(POSETRACK17_TO_15)
    assert np.isnan(first.poses[2]).all() and np.isnan(first.target[3]).all()
    np.testing.assert_allclose(first.poses[0], poses[0][order] + 2, atol=1e-3)
    np.testing.assert_allclose(first.target[0], poses[0][order], atol=1e-3)
    wrist = POSETRACK15.joints.index("left_wrist")
    assert np.isnan(first.target[1, wrist]).all() and np.isfinite(first.target[1]).sum() == 28
    # The track is of the other person in the last frame, and so is its truth.
    np.testing.assert_allclose(first.target[4], poses[1][order] + 4, atol=1e-3)
    assert first.scale[0] == pytest.approx(np.ptp(poses[0], axis=0).max()) and np.isnan(first.scale[3])


def test_the_folder_of_a_split_itself(video):
    folder, _ = video
    assert len(read(folder, estimates=str(folder / "found/val")).sequences) == 2


def test_what_is_left_out_is_counted(video):
    folder, poses = video
    frames = images(5)
    save(folder / "data/annotations/val", frames, [person(frames[0]["id"], 0, 0, poses[0])], "000002_mpii_test")
    far = [person(frame["id"], 0, 7, poses[0] + 900, 0.9) for frame in frames[:3]]
    near = [person(frames[0]["id"], 1, 8, poses[0], 0.9)]
    save(folder / "data/annotations/val", frames, [person(f["id"], 0, 0, poses[0]) for f in frames], "000003_mpii_test")
    save(folder / "found/val", frames, far + near, "000003_mpii_test")
    skipped = read(folder).skipped
    assert skipped["videos without predictions"] == 1 and skipped["tracks of under 3 frames"] == 1
    assert skipped["poses matched to nobody"] >= 3


def test_faults_are_one_line(video):
    folder, poses = video
    with pytest.raises(InputError, match="annotations/test"):
        read(folder, split="test")
    with pytest.raises(InputError, match="estimates is empty"):
        read(folder, estimates="")
    frames = images(5)
    save(folder / "found/val", frames, [person(frames[0]["id"], i, 3, poses[0], 0.9) for i in range(2)])
    with pytest.raises(InputError, match="track_id 3 stands twice"):
        read(folder)
    other = [{**frame, "id": frame["id"] + 7, "frame_id": frame["id"] + 7} for frame in frames]
    save(folder / "found/val", other, [])
    with pytest.raises(InputError, match="is not in"):
        read(folder)
