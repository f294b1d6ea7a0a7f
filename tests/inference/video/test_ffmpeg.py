"""FFmpeg's words are kept from standard error, and put into one line."""

import av
import av.logging
import pytest

from jmpose_jax.inference.video.ffmpeg import complaints, reason


def test_complaints_are_collected(tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("no video")
    before = av.logging.get_level()
    with pytest.raises(av.FFmpegError) as fault, complaints() as said:
        av.open(str(tmp_path / "text.mp4"))
    assert said and av.logging.get_level() == before
    assert capfd.readouterr().err == ""
    assert reason(fault.value) == "Invalid data found when processing input"


def test_reasons():
    assert reason(OSError(28, "No space left on device", "/tmp/x")) == "No space left on device"
    assert reason(ValueError("two\nlines")) == "two lines"
    assert reason(ValueError()) == "ValueError"
