"""Batches: shapes, order, padding, the same clips whatever the workers and processes, exact resumption, damage."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from data_pipeline.clips import jpeg
from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions, FlowOptions, Reading, Share
from data_pipeline.clips.source import without
from data_pipeline.clips.table import ClipTable
from data_pipeline.preparation.prepare import prepare
from jmpose_jax.errors import InputError
from jmpose_jax.ops.geometry import apply_affine, box_affine, warp
from jmpose_jax.skeletons import POSETRACK17_TO_15

FIELDS = ("frames", "keypoints", "joint_weights", "transform", "box_score", "index", "valid")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, helpers):
    """Two videos, 5 clips in val; one video of 3 frames with 7 people in train."""
    root = tmp_path_factory.mktemp("loader")
    helpers.write_video(root / "source")
    helpers.write_video(root / "source", name="000002_mpii_test", frames=5, labeled=(0, 4), people=2)
    helpers.write_video(root / "source", split="train", name="000003_mpii_train", frames=3, labeled=(0, 1, 2), people=7)
    prepare("posetrack18", root / "source", root / "out", num_shards=2, progress=False)
    return root / "out"


def records_of(settings):
    """Flat settings as the records that `make_loader` takes."""
    named = {name.removeprefix("flow_"): settings.pop(name) for name in list(settings) if name.startswith("flow_")}
    found = {"flow": FlowOptions(**named)}
    for name, made in (("clips", ClipOptions), ("reading", Reading), ("share", Share)):
        fields = [field.name for field in dataclasses.fields(made) if field.name in settings]
        found[name] = made(**{field: settings.pop(field) for field in fields})
    return found | settings


def loader(folder, split="val", **options):
    settings = {"delta": 2, "input_size": (64, 48), "batch_size": 2, "num_threads": 2}
    return make_loader(folder, split, **records_of(settings | options))


def take(batches, count):
    return [next(batches) for _ in range(count)]


def assert_equal(a, b):
    for name in (*FIELDS, "flow"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_evaluation_goes_through_the_table_and_pads(folder):
    batches = list(loader(folder))
    assert len(batches) == len(loader(folder)) == 3
    assert np.concatenate([b.index for b in batches]).tolist() == [0, 1, 2, 3, 4, 4]
    assert np.concatenate([b.valid for b in batches]).tolist() == [1, 1, 1, 1, 1, 0]
    assert batches[-1].joint_weights[1].sum() == 0 and batches[-1].joint_weights[0].sum() > 0


def test_fields(folder):
    batch = next(loader(folder, batch_size=3))
    expected = {
        "frames": (np.uint8, (3, 5, 64, 48, 3)),
        "keypoints": (np.float32, (3, 15, 2)),
        "joint_weights": (np.float32, (3, 15)),
        "transform": (np.float32, (3, 2, 3)),
        "box_score": (np.float32, (3,)),
        "index": (np.int32, (3,)),
        "valid": (np.float32, (3,)),
    }
    for name, (dtype, shape) in expected.items():
        value = getattr(batch, name)
        assert isinstance(value, np.ndarray) and (value.dtype, value.shape) == (dtype, shape), name
    assert batch.flow is None


def test_crops_are_those_of_the_source(folder):
    """Frame by frame against the source images, cropped by the box's affine."""
    table = ClipTable.load(folder, "val")
    records, offsets = table.windows(2)
    source = folder.parent / "source"
    (batch,) = list(loader(folder, batch_size=5))
    for row in range(5):
        affine = box_affine(table.clips["box"][row], (48, 64))
        for t, record in enumerate(records[row]):
            image = jpeg.decode((source / str(table.frames["frame_file_name"][record])).read_bytes())
            np.testing.assert_array_equal(batch.frames[row, t], warp(image, affine, (48, 64)))
        # The transform leads back to the image.
        points = apply_affine(batch.transform[row], batch.keypoints[row])
        expected = table.clips["keypoints"][row][list(POSETRACK17_TO_15)]
        np.testing.assert_allclose(points, expected, atol=1e-3)
    assert not np.array_equal(batch.frames[0, 1], batch.frames[0, 2])


def test_joint_orders(folder):
    fifteen, seventeen = next(loader(folder)), next(loader(folder, skeleton="posetrack17"))
    np.testing.assert_array_equal(fifteen.keypoints, seventeen.keypoints[:, list(POSETRACK17_TO_15)])
    assert seventeen.joint_weights[:, 3:5].sum() == 0


def test_training_epochs_hold_every_clip_once_in_changing_order(folder):
    batches = loader(folder, "train", train=True, delta=0, batch_size=7, seed=1)
    assert len(batches) == 3
    epochs = [np.concatenate([b.index for b in take(batches, 3)]).tolist() for _ in range(3)]
    assert all(sorted(epoch) == list(range(21)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != sorted(epochs[0])


def test_batch_larger_than_the_split(folder):
    batches = loader(folder, train=True, delta=0, batch_size=8)
    assert len(batches) == 1
    assert sorted(np.concatenate([b.index for b in take(batches, 5)])) == sorted(list(range(5)) * 8)
    assert list(loader(folder, train=True, delta=0, batch_size=8, repeat=False)) == []


@pytest.mark.parametrize("cache_mib", [0, 1000])
def test_cache_changes_nothing(folder, cache_mib):
    for a, b in zip(loader(folder, cache_mib=cache_mib), loader(folder)):
        assert_equal(a, b)


def test_augmentation_differs_by_epoch_and_seed_only(folder):
    def transforms(seed):
        batches = loader(folder, "train", train=True, delta=0, batch_size=7, seed=seed, augment={})
        found = {}
        for batch in take(batches, 6):
            for index, transform in zip(batch.index, batch.transform):
                found.setdefault(int(index), []).append(transform)
        return found

    first, again, other = transforms(1), transforms(1), transforms(2)
    for index, values in first.items():
        np.testing.assert_array_equal(values, again[index])
        assert not np.allclose(values[0], values[1]) and not np.allclose(values[0], other[index][0])


def test_threads_and_workers_change_nothing(folder):
    options = dict(train=True, augment={}, seed=5, batch_size=4, flow_source="dis", flow_pairs="support_to_key")
    expected = take(loader(folder, "train", **options, num_threads=1), 4)
    assert expected[0].flow.shape == (4, 4, 16, 12, 2)
    for other in ({"num_threads": 4}, {"num_workers": 2}):
        batches = loader(folder, "train", **options, **other)
        for a, b in zip(take(batches, 4), expected):
            assert_equal(a, b)
        batches.close()


@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_resumption_is_exact_also_with_another_number_of_workers(folder, num_workers):
    options = dict(train=True, augment={}, seed=5, batch_size=4)
    batches = loader(folder, "train", **options)
    take(batches, 3)
    state = json.loads(json.dumps(batches.get_state()))
    expected = take(batches, 3)
    assert len(json.dumps(state)) < 200
    resumed = loader(folder, "train", **options, num_workers=num_workers)
    next(resumed)  # it may have been used before
    resumed.set_state(state)
    for a, b in zip(take(resumed, 3), expected):
        assert_equal(a, b)
    resumed.close()


def test_state_of_another_run_is_refused(folder):
    state = loader(folder, "train", train=True, seed=5).get_state()
    with pytest.raises(InputError, match="saved with seed=5, this run has 6"):
        loader(folder, "train", train=True, seed=6).set_state(state)
    with pytest.raises(InputError, match="saved with clips=21, this run has 5"):
        loader(folder, "val", train=True, seed=5).set_state(state)


def test_processes_share_the_global_batch(folder):
    options = dict(train=True, augment={}, seed=2)
    whole = take(loader(folder, "train", batch_size=4, **options), 3)
    parts = [loader(folder, "train", batch_size=2, index=i, count=2, **options) for i in range(2)]
    for batch in whole:
        halves = [next(part) for part in parts]
        assert sorted(np.concatenate([h.index for h in halves])) == sorted(batch.index)
        for half in halves:
            for i, index in enumerate(half.index):
                place = batch.index.tolist().index(index)
                np.testing.assert_array_equal(half.frames[i], batch.frames[place])
    assert parts[0].get_state() == parts[1].get_state()


def test_evaluation_over_processes_sees_every_clip(folder):
    parts = [list(loader(folder, index=i, count=2)) for i in range(2)]
    assert len(parts[0]) == len(parts[1]) == 2
    seen = [int(i) for part in parts for b in part for i, valid in zip(b.index, b.valid) if valid]
    assert sorted(seen) == [0, 1, 2, 3, 4]


def test_detector_boxes(folder, tmp_path):
    box = {"bbox": [20, 10, 30, 40], "category_id": 1}
    entries = [
        {**box, "image_name": "images/val/000002_mpii_test/000004.jpg", "score": 0.6},
        {**box, "image_name": "images/val/000001_mpii_test/000003.jpg", "score": 0.7},
        {**box, "image_name": "images/val/000001_mpii_test/000003.jpg", "score": 0.1},
    ]
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(entries))
    batches = loader(folder, boxes=file)
    batch = next(batches)
    np.testing.assert_allclose(batch.box_score, [0.7, 0.6])
    assert batch.joint_weights.sum() == 0 and len(batches) == 1
    assert batches.table.clips["image_id"].tolist() == [10000010003, 10000020004]
    with pytest.raises(InputError, match="training needs boxes=ground_truth"):
        loader(folder, boxes=file, train=True)
    with pytest.raises(InputError, match="boxes-val.json: no such file"):
        loader(folder, boxes="detections")


def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_damaged_record_is_named(folder, tmp_path, num_workers):
    copy = copied(folder, tmp_path)
    shard = sorted(copy.glob("posetrack-val.tfrecord-*-of-00002"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    with pytest.raises(InputError, match="posetrack-val.tfrecord-00000-of-00002: damaged record at byte"):
        list(loader(copy, num_workers=num_workers))


def damage(copy, records):
    """Flip a bit in the JPEG of some records of val."""
    shards = sorted(copy.glob("posetrack-val.tfrecord-*-of-00002"))
    places = [(shard, offset) for shard in shards for offset, _ in np.load(f"{shard}.index.npy")]
    for record in records:
        shard, offset = places[record]
        data = bytearray(shard.read_bytes())
        data[offset + 300] ^= 0x01
        shard.write_bytes(data)


@pytest.mark.parametrize("num_workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_damaged_records_are_skipped_and_counted(folder, tmp_path, caplog, num_workers):
    copy = copied(folder, tmp_path)
    damage(copy, [1, 5])  # the frame before the key frame of clip 0, and the key frame of clips 1 and 2
    options = dict(train=True, delta=2, batch_size=5, damaged="skip", num_workers=num_workers)
    with caplog.at_level("ERROR", logger="absl"):
        batches = loader(copy, **options)
        batch = next(batches)
    whole = next(loader(folder, train=True, delta=2, batch_size=5))
    np.testing.assert_array_equal(batch.index, whole.index)
    assert {int(i): float(v) for i, v in zip(batch.index, batch.valid)} == {0: 1, 1: 0, 2: 0, 3: 1, 4: 1}
    for i, row in enumerate(batch.index):
        if row == 0:
            np.testing.assert_array_equal(batch.frames[i, 0], whole.frames[i, 0])  # t-2 stays
            np.testing.assert_array_equal(batch.frames[i, 1], whole.frames[i, 2])  # the key frame for t-1
            np.testing.assert_array_equal(batch.frames[i, 2:], whole.frames[i, 2:])
        elif row < 3:
            assert not batch.joint_weights[i].any() and not batch.frames[i].any()
        else:
            np.testing.assert_array_equal(batch.frames[i], whole.frames[i])
    assert batches.damaged_clips == batches.damaged_reads == 3
    if not num_workers:
        said = [record.getMessage() for record in caplog.records if "damaged record at byte" in record.getMessage()]
        assert len(said) == 2 and "posetrack-val.tfrecord-00000-of-00002: damaged record at byte" in said[0] + said[1]
    with pytest.raises(InputError, match="evaluation counts every clip"):
        loader(copy, damaged="skip")
    batches.close()


def test_windows_without_some_frames_are_those_of_the_table():
    assert without([-2, -1, 0, 1, 2], [False, True, True, False, True]) == [-1, 0, 0, 2, 2]
    assert without([-2, -1, 0, 1, 2], [True, False, True, True, False]) == [-2, 0, 0, 1, 1]
    assert without([-2, -1, 0, 1, 2], [False, False, True, False, False]) == [0, 0, 0, 0, 0]


@pytest.mark.slow
def test_order_and_state_for_any_workers_and_hosts(folder):
    options = dict(train=True, augment={}, seed=3)
    expected = take(loader(folder, "train", batch_size=4, **options), 4)
    state = None
    for workers in (0, 1, 4):
        whole = loader(folder, "train", batch_size=4, num_workers=workers, **options)
        for a, b in zip(take(whole, 4), expected):
            assert_equal(a, b)
        hosts = [
            loader(folder, "train", batch_size=2, num_workers=workers, index=i, count=2, **options) for i in range(2)
        ]
        for batch in expected:
            parts = [next(host) for host in hosts]
            together = {int(i): f for part in parts for i, f in zip(part.index, part.frames)}
            assert sorted(together) == sorted(batch.index)
            for i, index in enumerate(batch.index):
                np.testing.assert_array_equal(together[int(index)], batch.frames[i])
        for iterator in (whole, *hosts):
            state = state or iterator.get_state()
            assert iterator.get_state() == state
            iterator.close()


def test_incomplete_folder(folder, tmp_path):
    copy = copied(folder, tmp_path)
    shards = sorted(copy.glob("posetrack-val.tfrecord-*-of-00002"))
    shards[0].unlink()
    with pytest.raises(
        InputError, match=r"shards of split 'val' are incomplete \(1 found; missing: posetrack-val.tfrecord-00000"
    ):
        loader(copy)
    shards[1].unlink()
    with pytest.raises(InputError, match=r"incomplete \(0 found"):
        loader(copy)
    with pytest.raises(InputError, match="no prepared split 'test'; it has train, val"):
        loader(copy, "test")


def test_an_empty_split_names_the_cause(folder, tmp_path):
    """The clips are there; a setting leaves them out."""
    with pytest.raises(InputError, match=r"complete_windows=True leaves out all 21 clips of split 'train'.*delta=2"):
        loader(folder, "train", train=True, complete_windows=True)
    assert len(loader(folder, "train", train=True, complete_windows=True, delta=1).table) == 7
    with pytest.raises(InputError, match="absent: does not exist"):
        loader(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: is a file, not a folder"):
        loader(tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skeleton": "mpii16"}, "skeleton='mpii16' is not known"),
        ({"flow_source": "farneback"}, "flow_source='farneback' is not known; use one of none, dis"),
        ({"flow_source": "dis", "flow_pairs": "all"}, "flow_pairs='all' is not known"),
        ({"flow_source": "dis", "flow_stride": 5}, "flow_stride=5 does not divide the input size 64×48"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"train": True, "augment": {"mirror": 1}}, "augment.mirror is not known"),
    ],
)
def test_settings_at_fault(folder, options, message):
    with pytest.raises(InputError, match=message):
        loader(folder, **options)
