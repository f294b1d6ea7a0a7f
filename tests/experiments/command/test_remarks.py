"""What the last line of `jmpose predict` says of a source."""

from types import SimpleNamespace

from experiments.command.remarks import remarks
from jmpose_jax.inference.results import Summary


def test_what_is_not_known_of_frame_numbers_is_said():
    reader = SimpleNamespace(announced_frames=60, expected_frames=60, remark="", pictures=False)
    summary = Summary(50, 0, 0, missing=8, unsure=17, jumps=((33, 2),))
    text = remarks(summary, reader)
    assert "8 of them" in text and "17" in text and "before frame 33" in text
    assert remarks(Summary(60, 0, 0), reader) == ""
