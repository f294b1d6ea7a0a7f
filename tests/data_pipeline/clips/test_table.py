"""Windows of clips at the ends of videos and around missing frames; detections as clips."""

import numpy as np
import pytest

from data_pipeline.clips.table import CLIP_COLUMNS, FRAME_COLUMNS, ClipTable
from data_pipeline.sources.boxes import Detection
from jmpose_jax.errors import InputError


def table_of(numbers, keys, video=None):
    """A table over frames with these numbers, one clip for each of the `keys` (places in `numbers`)."""
    m, n = len(numbers), len(keys)
    video = np.zeros(m, np.int32) if video is None else np.asarray(video, np.int32)
    clips = {name: np.zeros((n, 4), np.float32) for name in CLIP_COLUMNS}
    clips["key_record"] = np.asarray(keys, np.int64)
    clips["keypoints"] = np.zeros((n, 17, 2), np.float32)
    clips["video"] = video[clips["key_record"]]
    frames = {
        "frame_video": video,
        "frame_number": np.asarray(numbers, np.int64),
        "frame_image_id": np.arange(m) + 1000,
        "frame_file_name": np.asarray([f"images/val/{v:06d}_x_test/{i:06d}.jpg" for v, i in zip(video, numbers)]),
        "frame_is_labeled": np.ones(m, bool),
        "frame_size": np.full((m, 2), 10, np.int32),
    }
    return ClipTable(clips, frames, tuple(f"{v:06d}_x_test" for v in range(video.max() + 1)))


@pytest.mark.parametrize(
    ("numbers", "key", "offsets"),
    [
        ([5, 6, 7, 8, 9], 7, [-2, -1, 0, 1, 2]),
        ([6, 7, 8, 9], 7, [-1, 0, 0, 1, 2]),  # only t-1: the list is [t-1, t]
        ([7, 8, 9], 7, [0, 0, 0, 1, 2]),
        ([5, 6, 7, 8], 7, [-2, -1, 0, 1, 1]),  # only t+1: it is repeated
        ([5, 6, 7], 7, [-2, -1, 0, 0, 0]),
        ([7], 7, [0, 0, 0, 0, 0]),
        ([5, 7, 9], 7, [-2, 0, 0, 2, 2]),  # the next frames are damaged or absent
    ],
)
def test_windows(numbers, key, offsets):
    records, found = table_of(numbers, [numbers.index(key)]).windows(2)
    assert found.tolist() == [offsets]
    assert [numbers[r] for r in records[0]] == [key + d for d in offsets]


def test_windows_do_not_cross_videos():
    table = table_of([0, 1, 2, 0, 1, 2], [2, 3], video=[0, 0, 0, 1, 1, 1])
    records, offsets = table.windows(2)
    assert offsets.tolist() == [[-2, -1, 0, 0, 0], [0, 0, 0, 1, 2]]
    assert records.tolist() == [[0, 1, 2, 2, 2], [3, 3, 3, 4, 5]]


@pytest.mark.parametrize("delta", [0, 1, 3])
def test_windows_of_any_delta(delta):
    records, offsets = table_of(range(20), [9]).windows(delta)
    assert offsets.tolist() == [list(range(-delta, delta + 1))]
    assert records.tolist() == [list(range(9 - delta, 10 + delta))]


def test_detections_become_clips():
    table = table_of([0, 1, 2], [1])
    table.frames["frame_is_labeled"][2] = False
    box = np.asarray([1, 2, 3, 4], np.float32)
    detections = [
        Detection(box, 0.9, "val/000000_x_test/000001.jpg", None),
        Detection(box, 0.8, None, 1000),
        Detection(box, 0.7, None, 1002),  # not labelled
        Detection(box, 0.7, "val/000009_x_test/000001.jpg", None),  # of another split
    ]
    detected = table.with_detections(detections, "boxes.json")
    assert detected.clips["key_record"].tolist() == [0, 1]
    np.testing.assert_allclose(detected.clips["box_score"], [0.8, 0.9])
    assert detected.clips["person_index"].tolist() == [-1, -1]
    assert set(CLIP_COLUMNS) == set(detected.clips)
    with pytest.raises(InputError, match="boxes.json: none of its 1 boxes"):
        table.with_detections(detections[3:], "boxes.json")


def test_save_and_load(tmp_path):
    table = table_of([0, 1], [1])
    table.clips["joint_cause"] = np.asarray([["seen"] * 17])
    table.save(tmp_path, "val")
    loaded = ClipTable.load(tmp_path, "val")
    assert loaded.videos == table.videos and len(loaded) == 1
    for name in (*CLIP_COLUMNS, "joint_cause"):
        np.testing.assert_array_equal(loaded.clips[name], table.clips[name])
    for name in FRAME_COLUMNS:
        np.testing.assert_array_equal(loaded.frames[name], table.frames[name])


def test_load_faults(tmp_path):
    with pytest.raises(InputError, match="run `jmpose prepare`"):
        ClipTable.load(tmp_path, "val")
    table_of([0], [0]).save(tmp_path, "val")
    with pytest.raises(InputError, match="no prepared split 'train'; it has val"):
        ClipTable.load(tmp_path, "train")
    path = ClipTable.path(tmp_path, "val")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged clip table"):
        ClipTable.load(tmp_path, "val")
    np.savez(path, key_record=np.zeros(1))
    with pytest.raises(InputError, match="columns .*box.* are missing"):
        ClipTable.load(tmp_path, "val")
