"""FFmpeg's words are kept from standard error, and put into one line."""

import threading
import time

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


def heard_in_threads(first, second):
    """What each of two threads heard that listen at the same time; the arguments of `complaints`."""
    heard, both = {}, threading.Barrier(2, timeout=10)

    def listen(name, arguments):
        with complaints(**arguments) as said:
            both.wait()
            av.logging.log(av.logging.ERROR, name, f"by {name}")
            both.wait()
        heard[name] = [text for _, _, text in said]

    found = [threading.Thread(target=listen, args=one) for one in (("reader", first), ("writer", second))]
    for thread in found:
        thread.start()
    for thread in found:
        thread.join(10)
    return heard


def test_a_reader_and_a_writer_hear_each_its_own():
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    for _ in range(20):
        assert heard_in_threads({}, {"own_thread": True}) == {"reader": ["by reader"], "writer": ["by writer"]}
        assert heard_in_threads({"up_to": av.logging.WARNING}, {"own_thread": True})["reader"] == ["by reader"]
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before


def test_a_reader_hears_ffmpegs_own_threads():
    with complaints() as said:
        speaking = threading.Thread(target=lambda: av.logging.log(av.logging.ERROR, "decoder", "a slice is lost"))
        speaking.start()
        speaking.join()
    assert [text for _, _, text in said] == ["a slice is lost"]


def test_two_readers_wait_for_each_other():
    inside = []

    def listen(name):
        with complaints() as said:
            inside.append(name)
            time.sleep(0.02)
            av.logging.log(av.logging.ERROR, name, name)
            inside.append(name)
        assert [text for _, _, text in said] == [name]

    found = [threading.Thread(target=listen, args=(name,)) for name in "abc"]
    for thread in found:
        thread.start()
    for thread in found:
        thread.join(10)
    assert inside[::2] == inside[1::2] and sorted(inside[::2]) == ["a", "b", "c"]


def test_a_fault_is_heard_twice_though_it_was_said_before():
    for _ in range(2):
        with complaints() as said:
            av.logging.log(av.logging.ERROR, "decoder", "again")
        assert len(said) == 1


def test_the_level_that_another_thread_wants_lasts_as_long_as_it_listens():
    with complaints(av.logging.WARNING, own_thread=True):
        with complaints(av.logging.ERROR, own_thread=True):
            assert av.logging.get_level() == av.logging.WARNING
        assert av.logging.get_level() == av.logging.WARNING and not av.logging.get_skip_repeated()
