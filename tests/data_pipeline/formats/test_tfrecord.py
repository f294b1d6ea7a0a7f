"""TFRecord framing, index, random access, and damage."""

import pickle
import struct

import grain
import numpy as np
import pytest

from data_pipeline.formats import tfrecord
from data_pipeline.formats.tfrecord import TFRecordSource, load_index, masked_crc32c, scan, write_shard
from jmpose_jax.errors import InputError

RECORDS = [bytes([i]) * (i * 37 % 101) for i in range(20)]  # one of them is empty


@pytest.fixture
def shards(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b", tmp_path / "empty"]
    for path, records in zip(paths, (RECORDS[:13], RECORDS[13:], [])):
        write_shard(path, records)
    return paths


def test_checksum_of_the_published_vector():
    # RFC 3720 B.4: the crc32c of 32 zero bytes is 8A9136AA.
    crc = 0x8A9136AA
    assert masked_crc32c(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_records_by_number(shards):
    source = TFRecordSource(shards)
    assert len(source) == len(RECORDS)
    assert [source[i] for i in reversed(range(20))] == RECORDS[::-1]
    assert source[np.int64(3)] == RECORDS[3]


def test_grain_reads_the_same_framing(shards):
    assert list(grain.experimental.TFRecordIterDataset(str(shards[0]))) == RECORDS[:13]


def test_index_is_that_of_the_headers(shards):
    for path in shards:
        np.testing.assert_array_equal(load_index(path), scan(path))
        path.with_name(path.name + ".index.npy").unlink()
        np.testing.assert_array_equal(load_index(path), scan(path))


def test_pickled_source_opens_its_own_files(shards):
    source = TFRecordSource(shards)
    assert source[0] == RECORDS[0]
    copy = pickle.loads(pickle.dumps(source))
    source.close()
    assert copy[5] == RECORDS[5] and source[5] == RECORDS[5]
    assert repr(copy) == repr(source)
    copy.close()
    source.close()


def test_flipped_bit_is_named_by_file_and_offset(shards):
    offset, length = (int(v) for v in load_index(shards[0])[7])
    data = bytearray(shards[0].read_bytes())
    data[offset + length // 2] ^= 0x10
    shards[0].write_bytes(data)
    source = TFRecordSource(shards)
    assert source[6] == RECORDS[6] and source[8] == RECORDS[8]
    with pytest.raises(InputError, match=rf"{shards[0]}: damaged record at byte {offset}"):
        source[7]


def test_flipped_bit_in_a_checksum(shards):
    offset, length = (int(v) for v in load_index(shards[0])[2])
    data = bytearray(shards[0].read_bytes())
    data[offset + length] ^= 1
    shards[0].write_bytes(data)
    with pytest.raises(InputError, match="damaged record"):
        TFRecordSource(shards)[2]


@pytest.mark.parametrize("with_index", [True, False])
def test_cut_off_shard(shards, with_index):
    shards[1].write_bytes(shards[1].read_bytes()[:-3])
    if not with_index:
        shards[1].with_name("b.index.npy").unlink()
    with pytest.raises(InputError, match=rf"{shards[1]}: .*cut off"):
        TFRecordSource(shards)


def test_damaged_header_without_index(shards):
    data = bytearray(shards[0].read_bytes())
    data[0:8] = struct.pack("<Q", 2**60)
    shards[0].write_bytes(data)
    shards[0].with_name("a.index.npy").unlink()
    with pytest.raises(InputError, match="damaged record header at byte 0"):
        TFRecordSource(shards)


def test_damaged_index(shards):
    shards[0].with_name("a.index.npy").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="damaged index"):
        TFRecordSource(shards)


def test_missing_shard(tmp_path):
    with pytest.raises(InputError, match="shard is missing"):
        TFRecordSource([tmp_path / "absent"])


def test_failed_writing_leaves_nothing(tmp_path):
    def records():
        yield b"one"
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_shard(tmp_path / "a", records())
    assert list(tmp_path.iterdir()) == []


def test_header_and_footer_sizes():
    assert len(tfrecord.frame_record(b"abc")) == tfrecord.HEADER_BYTES + 3 + tfrecord.FOOTER_BYTES
