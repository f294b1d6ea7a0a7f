"""One call for all readers."""

import pytest

from data_pipeline.sequences.sources import SOURCES, SourceOptions, read_sequences
from jmpose_jax.errors import InputError
from tests.data_pipeline.sequences.layouts import SIZES, write


@pytest.mark.parametrize("name", SIZES)
def test_the_reader_of_a_name(tmp_path, name):
    write(tmp_path, name)
    data = read_sequences(SourceOptions(name, str(tmp_path), "est"), "train")
    assert len(data.sequences) == 2 and name in SOURCES


def test_no_such_source():
    with pytest.raises(InputError, match="source='kinect'.*motions, posetrack, jhmdb"):
        read_sequences(SourceOptions("kinect"), "train")
