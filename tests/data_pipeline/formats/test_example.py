"""tf.train.Example without TensorFlow, against TFDS's own copy of the message."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2

from data_pipeline.formats.example import decode, encode

VALUES = st.one_of(
    st.binary(max_size=50),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5).map(lambda v: np.asarray(v, np.int64)),
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5).map(lambda v: np.asarray(v, np.float32)),
)


@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=5))
def test_round_trip(features):
    decoded = decode(encode(features))
    assert decoded.keys() == features.keys()
    for name, value in features.items():
        if isinstance(value, bytes):
            assert decoded[name] == value
        else:
            np.testing.assert_array_equal(decoded[name], value)
            assert decoded[name].dtype == value.dtype


def test_the_published_message_reads_ours_and_the_other_way_round():
    data = encode({"image/encoded": b"\x00\xff", "text": "ä", "n": 3, "flag": True, "x": np.eye(2, dtype=np.float64)})
    message = tf_example_pb2.Example.FromString(data)
    feature = message.features.feature
    assert feature["image/encoded"].bytes_list.value[0] == b"\x00\xff"
    assert feature["text"].bytes_list.value[0].decode() == "ä"
    assert list(feature["n"].int64_list.value) == [3] and list(feature["flag"].int64_list.value) == [1]
    assert list(feature["x"].float_list.value) == [1, 0, 0, 1]
    np.testing.assert_array_equal(decode(message.SerializeToString())["x"], [1, 0, 0, 1])


def test_equal_features_give_equal_bytes():
    assert encode({"a": 1, "b": b"x"}) == encode({"b": b"x", "a": 1})


def test_empty_lists_are_kept_as_empty_arrays():
    decoded = decode(encode({"x": np.zeros((0, 2), np.float32), "n": np.zeros(0, np.int64)}))
    assert all(len(decoded.get(name, ())) == 0 for name in ("x", "n"))


def test_refusals():
    with pytest.raises(TypeError, match="feature 'c'"):
        encode({"c": np.asarray([1j])})
    with pytest.raises(ValueError, match="not a tf.train.Example"):
        decode(b"\xff\xff\xff")
