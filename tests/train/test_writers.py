"""The metrics file over restarts."""

import json
import math
import pathlib
import struct

import pytest
from tensorboardX import record_writer
from tensorboardX.proto import event_pb2

from jmpose_jax.errors import InputError, NoSpace
from jmpose_jax.train.writers import MetricsWriter, read_metrics


def test_a_restarted_run_writes_every_step_once(tmp_path):
    writer = MetricsWriter(tmp_path)
    for step in (10, 20, 30):
        writer.write(step, {"loss/total": step})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "loss')  # killed in the middle of a line

    writer = MetricsWriter(tmp_path, first_step=20)
    writer.write(30, {"loss/total": 0.5})
    writer.close()
    assert [(m["step"], m["loss/total"]) for m in read_metrics(tmp_path)] == [(10, 10.0), (20, 20.0), (30, 0.5)]
    assert list((tmp_path / "tensorboard").iterdir())


def test_no_file_is_no_metrics(tmp_path):
    assert read_metrics(tmp_path) == []


def test_what_is_not_finite_is_null_in_the_file_and_nan_when_read(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss/total": NaN}\n')  # of an earlier version
    writer = MetricsWriter(tmp_path, first_step=1)
    writer.write(2, {"loss/total": math.inf, "eval/ap": math.nan, "learning_rate": 0.5})
    writer.close()

    def refuse(constant):
        raise AssertionError(constant)

    lines = [json.loads(x, parse_constant=refuse) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == {"step": 1, "loss/total": None}
    assert lines[1] == {"step": 2, "loss/total": None, "eval/ap": None, "learning_rate": 0.5}
    first, second = read_metrics(tmp_path)
    assert math.isnan(first["loss/total"]) and math.isnan(second["eval/ap"]) and second["learning_rate"] == 0.5


@pytest.mark.parametrize(
    "foreign", [b"[1, 2]", b"\xff\xfe", b'"text"', b'{"step": "one"}', b'{"step": null}', b"[" * 9999]
)
def test_lines_that_are_no_metrics_are_put_aside_and_counted(tmp_path, capsys, foreign):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + foreign + b'\n{"step": 2}\n')
    MetricsWriter(tmp_path, first_step=2).close()
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    assert (tmp_path / "metrics.unreadable").read_bytes() == foreign + b"\n"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(path) in said and "1 of 3 lines" in said


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(InputError, match="metrics.jsonl"):
        MetricsWriter(tmp_path)


def read_events(data):
    while data:
        (size,) = struct.unpack_from("Q", data)
        yield event_pb2.Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]


def test_tensorboard_gets_every_number_and_is_told_where_a_run_began_again(tmp_path):
    for first in (0, 2):
        writer = MetricsWriter(tmp_path, first_step=first)
        writer.write(first + 1, {"loss/total": 0.5, "eval/ap": math.inf})
        writer.close()
        for file in (tmp_path / "tensorboard").iterdir():
            file.rename(tmp_path / f"events_{first}")
        events = list(read_events((tmp_path / f"events_{first}").read_bytes()))
        assert events[0].file_version == "brain.Event:2"
        assert (events[1].step, events[1].session_log.status) == (first + 1, event_pb2.SessionLog.START)
        written = {event.summary.value[0].tag: event.summary.value[0].simple_value for event in events[2:]}
        assert written == {"loss/total": 0.5, "eval/ap": math.inf} and {e.step for e in events[2:]} == {first + 1}


def test_a_disk_that_is_full_for_tensorboard_alone_ends_the_run_and_hangs_nothing(tmp_path, monkeypatch):
    full = pathlib.Path("/dev/full")
    monkeypatch.setattr(record_writer, "open_file", lambda path: full.open("wb", buffering=64))
    with pytest.raises(NoSpace, match="no space left to write .*metrics.jsonl"):
        writer = MetricsWriter(tmp_path)
        for step in range(1, 100):
            writer.write(step, {"loss/total": 0.5})
