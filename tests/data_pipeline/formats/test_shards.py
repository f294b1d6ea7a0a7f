"""Shards: the same bytes from any number of processes, taken up where a run stopped, in both forms."""

import hashlib
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipeline.clips import jpeg
from data_pipeline.clips.loader import make_loader
from data_pipeline.clips.options import ClipOptions
from data_pipeline.formats import schema, shards
from data_pipeline.formats.array_record import ArrayRecordSource
from data_pipeline.formats.tfrecord import TFRecordSource
from data_pipeline.preparation import workers
from data_pipeline.preparation.prepare import prepare
from jmpose_jax.errors import InputError, NoSpace


def run(source, output, **options):
    return prepare("posetrack18", source, output, progress=False, **options)


def digests(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def large(tmp_path, helpers):
    """70 frames, so that 64 shards are of one or two frames each."""
    helpers.write_video(tmp_path / "source", frames=70, labeled=tuple(range(0, 70, 3)))
    return tmp_path / "source"


@pytest.mark.parametrize("file_format", shards.FORMATS)
def test_64_shards_have_the_same_bytes_from_one_and_four_processes(large, tmp_path, file_format):
    for name, processes in (("one", 1), ("four", 4)):
        run(large, tmp_path / name, num_shards=64, num_processes=processes, file_format=file_format)
    one, four = digests(tmp_path / "one"), digests(tmp_path / "four")
    assert sum(f".{file_format}-" in name and "index" not in name for name in one) == 64
    assert one == four and sorted(p.name for p in tmp_path.iterdir()) == ["four", "one", "source"]


def stop_after(monkeypatch, frames, error):
    """Let the writing of shards end in an exception after some frames."""
    encode, calls = schema.encode_frame, []

    def encode_frame(*arguments):
        calls.append(arguments)
        if len(calls) > frames:
            raise error
        return encode(*arguments)

    monkeypatch.setattr(schema, "encode_frame", encode_frame)
    return calls


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_stopped_run_is_taken_up(source, tmp_path, monkeypatch, error):
    run(source, tmp_path / "expected", num_shards=5)
    with monkeypatch.context() as patch:
        stop_after(patch, 5, error)
        with pytest.raises(NoSpace if isinstance(error, OSError) else KeyboardInterrupt) as stopped:
            run(source, tmp_path / "out", num_shards=5)
    unfinished = tmp_path / "out.unfinished"
    assert not isinstance(error, OSError) or f"shards, 2, are kept in {unfinished}" in str(stopped.value)
    assert not (tmp_path / "out").exists() and len(list(unfinished.glob("*.done"))) == 2
    with monkeypatch.context() as patch:
        calls = stop_after(patch, 99, None)
        run(source, tmp_path / "out", num_shards=5)
    assert len(calls) == 6  # of 10 frames, four lay in the two complete shards
    assert digests(tmp_path / "out") == digests(tmp_path / "expected") and not unfinished.exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_without_a_complete_shard_keeps_nothing(source, tmp_path, processes):
    # The limit on a file's size, which the processes inherit, says the same as a full disk: EFBIG.
    code = f"""
import resource, signal
from data_pipeline.preparation.prepare import prepare
from jmpose_jax.errors import NoSpace
if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
    try:
        prepare("posetrack18", {str(source)!r}, {str(tmp_path / "out")!r}, num_shards=2,
            num_processes={processes}, progress=False)
    except NoSpace as error:
        print("no space:", error)
"""
    (tmp_path / "script.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.stdout.startswith("no space:") and "kept in" not in done.stdout, done.stderr
    assert not list(tmp_path.glob("out*"))


def test_what_another_source_or_setting_left_is_not_taken_up(source, tmp_path, monkeypatch, helpers):
    def stopped():
        with monkeypatch.context() as patch:
            stop_after(patch, 5, KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                run(source, tmp_path / "out", num_shards=5)

    stopped()
    run(source, tmp_path / "out", num_shards=4)
    run(source, tmp_path / "expected", num_shards=4)
    assert digests(tmp_path / "out") == digests(tmp_path / "expected")
    stopped()
    helpers.edit(source / "annotations" / "val" / "000001_mpii_test.json", lambda c: c["annotations"][0].update(id=5))
    run(source, tmp_path / "out", num_shards=5)
    run(source, tmp_path / "expected", num_shards=5)
    assert digests(tmp_path / "out") == digests(tmp_path / "expected")


def test_two_runs_do_not_write_one_folder(source, tmp_path, monkeypatch):
    def second(*_):
        with pytest.raises(InputError, match=r"out.unfinished: another run is writing it"):
            run(source, tmp_path / "out")
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "features_json", second)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out")


def test_fault_in_another_process_is_one_error(source, tmp_path):
    folder = source / "flow" / "val" / "000001_mpii_test"
    folder.mkdir(parents=True)
    (folder / "000003_000005.flo").write_bytes(b"PIEH")
    with pytest.raises(InputError, match=r"000003_000005.flo: is no .flo file"):
        run(source, tmp_path / "out", num_processes=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_workers_keep_the_order_of_tasks():
    assert workers.run(abs, [-3, 2, -1], 3, "", 2, progress=False) == [3, 2, 1]


def test_array_record_holds_the_same_records(source, tmp_path):
    run(source, tmp_path / "a", num_shards=3)
    run(source, tmp_path / "posetrack" / schema.VERSION, num_shards=3, file_format="array_record")
    folder = tmp_path / "posetrack" / schema.VERSION
    expected = TFRecordSource(sorted(tmp_path.glob("a/*.tfrecord-?????-of-?????")))
    found = ArrayRecordSource(sorted(folder.glob("*.array_record-*")))
    assert len(found) == len(expected) == 10
    assert [found[i] for i in range(10)] == [expected[i] for i in range(10)]
    for data in (
        tfds.data_source("posetrack", data_dir=tmp_path, split="val"),
        tfds.builder_from_directory(folder).as_data_source("val"),
    ):
        assert len(data) == 10
        for i in range(10):
            frame, rest = schema.decode_frame(expected[i])
            assert data[i]["image"]["id"] == frame.image_id and data[i]["video"].decode() == rest["video"]
            # TFDS may decode with Pillow, whose JPEG library may round differently.
            difference = data[i]["image"]["encoded"].astype(int) - jpeg.decode(rest["image/encoded"])
            assert np.abs(difference).max() <= 4
            people = np.asarray([p.keypoints for p in frame.persons], np.float32).reshape(-1, 17, 3)
            np.testing.assert_array_equal(data[i]["keypoints"], people)
    clips = ClipOptions(1, (64, 48))
    for ours, theirs in zip(make_loader(folder, "val", clips, 3), make_loader(tmp_path / "a", "val", clips, 3)):
        np.testing.assert_array_equal(ours.frames, theirs.frames)
        np.testing.assert_array_equal(ours.keypoints, theirs.keypoints)


def test_damaged_array_record_is_named(source, tmp_path):
    run(source, tmp_path / "out", num_shards=2, file_format="array_record")
    shard = sorted((tmp_path / "out").glob("*.array_record-*"))[1]
    data = bytearray(shard.read_bytes())
    whole = bytes(data)
    data[300] ^= 0x10  # the file is padded to blocks; its records lie at the beginning
    shard.write_bytes(data)
    with pytest.raises(InputError, match="posetrack-val.array_record-00001-of-00002: damaged"):
        list(make_loader(tmp_path / "out", "val", ClipOptions(2, (64, 48)), batch_size=5))
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="posetrack-val.array_record-00001-of-00002"):
        list(make_loader(tmp_path / "out", "val", ClipOptions(2, (64, 48)), batch_size=5))
    shard.unlink()
    with pytest.raises(InputError, match="missing: posetrack-val.array_record-00001-of-00002"):
        make_loader(tmp_path / "out", "val", ClipOptions(2, (64, 48)), batch_size=5)


def test_another_schema_version_is_named(source, tmp_path):
    run(source, tmp_path / "out")
    path = tmp_path / "out" / "dataset_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "0.9.0"}))
    with pytest.raises(InputError, match=r"dataset_info.json: its shards are of schema version 0\.9\.0"):
        make_loader(tmp_path / "out", "val", ClipOptions(2, (64, 48)), batch_size=2)


def test_damage_inside_the_compressed_data(source, tmp_path):
    path = source / "images" / "val" / "000001_mpii_test" / "000002.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8))
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xda") + 500
    data[start : start + 512] = bytes(512)
    path.write_bytes(data)
    assert jpeg.inspect(path)[0] is not None and "Corrupt JPEG data" in jpeg.damage(bytes(data))
    assert jpeg.damage(path.with_name("000003.jpg").read_bytes()) == ""
    counts = run(source, tmp_path / "out")["splits"]["val"]
    assert counts["skipped"] == {"frame damaged in its compressed data": 1}
    assert run(source, tmp_path / "out2", decoded=False)["splits"]["val"]["skipped"] == {}
