"""The figures of `jmpose predict`: what is compared, and what the table says."""

import sys
import textwrap

import numpy as np
import pytest

from benchmarks import predict_speed
from benchmarks.predict_speed import Recorded, in_turns, peer, ratios, table, timed, video_files
from jmpose_jax.inference.video.writer import VideoWriter


def turn(find, estimate, whole, peers=None):
    def seconds(value):
        return {"seconds": value, "cpu": 2 * value}

    row = {"find": seconds(find), "estimate": seconds(estimate), "whole": seconds(whole)}
    if peers:
        row |= {"peer_find": seconds(peers[0]), "peer_estimate": seconds(peers[1])}
    return row


RESULT = {
    "size": [960, 540],
    "frames": 50,
    "people": 100,
    "rounds": [turn(2, 6, 10, (1, 2)), turn(4, 12, 20, (1, 4)), turn(3, 9, 16, (3, 4))],
    "start": [{"seconds": 7.5, "cpu": 6.1}, {"seconds": 5.94, "cpu": 6.3}],
    "memory": [(n, 500 + n / 10) for n in range(100, 2001, 100)],
    "video_files": {"decode, PyAV": {"seconds": 100.4, "cpu": 150.6}},
    "load_average": 3.14,
    "machine": {"cores": 2},
}


def test_ratios_are_the_medians_of_the_turns():
    found = ratios(RESULT["rounds"])
    assert found["share_seconds"] == found["share_cpu"] == pytest.approx(0.8)
    assert found["find_over_peer_seconds"] == 2 and found["estimate_over_peer_cpu"] == 3
    assert set(ratios([turn(1, 1, 4)])) == {"share_seconds", "share_cpu"}


def test_the_table_says_what_was_measured():
    text = table(RESULT | {"ratios": ratios(RESULT["rounds"])})
    assert "| 960×540, 2.0 people a frame, 2 cores, load 3.1 | by the clock | processor's time |" in text
    assert "looked for on every frame) | 3.1 |  |" in text
    assert "allow | 0.80 | 0.80 |" in text and "| thunder, ms a person | 90 | 180 |" in text
    assert "thunder over BlazePose full under LiteRT | 3.0 | 3.0 |" in text
    assert "compiled, s | 5.9 | 6.1 |" in text
    assert "after 500 frames, MB | 550 |" in text and "after 2000 frames, MB | 700 |" in text
    assert "| decode, PyAV, frames a second | 100 | 151 |" in text


def test_a_program_notes_its_inputs():
    program = Recorded(lambda variables, inputs: variables + inputs)
    assert program(1, 2) == 3 and program(1, 5) == 6 and program.calls == [2, 5]


def test_work_is_timed():
    found = timed(lambda: sum(range(200_000)))
    assert 0 < found["cpu"] < 10 and 0 < found["seconds"] < 10


class Counted:
    """Networks of no work that note what ran."""

    def __init__(self):
        self.ran = []
        self.images = [np.full((1, 8, 8, 3), 50, np.uint8)]

    def find(self):
        self.ran.append("find")

    def estimate(self):
        self.ran.append("estimate")

    def end_to_end(self):
        self.ran.append("whole")

    def crops(self):
        return np.zeros((2, 8, 8, 3), np.uint8)


def test_what_is_compared_runs_in_turns():
    networks = Counted()
    rows = in_turns(networks, 2, lambda: [{"seconds": 1.0, "cpu": 2.0}, {"seconds": 3.0, "cpu": 4.0}])
    assert networks.ran == ["find", "estimate", "whole", "find", "estimate"] * 2
    assert len(rows) == 2 and rows[0]["peer_find"]["cpu"] == 2.0 and rows[1]["peer_estimate"]["seconds"] == 3.0
    assert "peer_find" not in in_turns(networks, 1, None)[0]


def test_a_peer_is_asked_in_a_process_of_its_own(tmp_path, monkeypatch):
    script = tmp_path / "benchmarks" / "tflite_peer.py"
    script.parent.mkdir()
    script.write_text(
        textwrap.dedent("""
        import json, sys
        import numpy as np
        inputs = np.load(sys.argv[1])
        shapes = [inputs[name].shape for name in sys.argv[3::2]]
        print(json.dumps({"words": sys.argv[2:], "shapes": shapes}), flush=True)
        for n, _ in enumerate(sys.stdin):
            print(json.dumps([n]), flush=True)
        """)
    )
    monkeypatch.setattr(predict_speed, "REPOSITORY", tmp_path)
    with peer(sys.executable, tmp_path, Counted()) as ask:
        assert ask.versions["shapes"] == [[1, 224, 224, 3], [2, 256, 256, 3]]
        assert ask.versions["words"][1::2] == ["frames", "crops"]
        assert (ask(), ask()) == ([0], [1])


def test_video_files_are_read_and_written_by_both(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10, (64, 48)) as writer:
        for value in range(5):
            writer.write(np.full((48, 64, 3), 40 * value, np.uint8))
    found = video_files(tmp_path / "a.mp4", 4, 1)
    assert len(found) == 5 and all(rate > 0 for rates in found.values() for rate in rates.values())
