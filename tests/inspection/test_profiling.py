"""Traces of some steps: what the flag takes, what is written, what is refused."""

import pytest

from jmpose_jax.errors import InputError
from jmpose_jax.inspection.profiling import StepProfiler, parse_profile_steps


def test_steps_are_two_numbers_in_order():
    assert parse_profile_steps("10:15") == (10, 15)
    assert parse_profile_steps("3:3") == (3, 3)
    for text in ("10", "15:10", "0:4", "a:b", "1:2:3", ":4", "-1:2"):
        with pytest.raises(InputError, match=f"--profile_steps={text} is no FIRST:LAST"):
            parse_profile_steps(text)


def test_steps_must_lie_in_the_run(tmp_path):
    profiler = StepProfiler(tmp_path, 4, 6)
    profiler.check(3, 6)
    for done, total in ((4, 10), (0, 5), (8, 8)):
        with pytest.raises(InputError, match="--profile_steps=4:6: this run does steps"):
            profiler.check(done, total)


def test_a_trace_of_the_steps_lies_in_the_processs_folder(tiny_run, tmp_path, monkeypatch):
    import jax

    calls, start, stop = [], jax.profiler.start_trace, jax.profiler.stop_trace
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: (calls.append("start"), start(folder)))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: (calls.append("stop"), stop()))
    profiler = StepProfiler(tmp_path, 2, 3)
    tiny_run(workdir=tmp_path, steps=4, profiler=profiler)
    assert calls == ["start", "stop"]
    written = [p for p in profiler.folder.rglob("*") if p.is_file()]
    assert profiler.folder == tmp_path / "profile" / "process0"
    assert any(p.name.endswith(".xplane.pb") and p.stat().st_size > 1000 for p in written)


def test_a_run_that_ends_early_still_writes_its_trace(tmp_path):
    profiler = StepProfiler(tmp_path, 1, 100)
    profiler.before(1)
    profiler.close()
    profiler.close()
    assert any(p.is_file() for p in profiler.folder.rglob("*"))
