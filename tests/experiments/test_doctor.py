"""The doctor's report."""

import jax

from experiments import doctor
from jmpose_jax.ops import deform_conv


def test_report():
    lines = dict(line.split("  ", 1) for line in doctor.report().splitlines())
    assert lines["jax"].strip() == jax.__version__
    for name in ("python", "flax", "cores", "memory", "device 0", "mp4 codecs", "DIS flow"):
        assert lines[name].strip()
    assert "runs" in lines["deformable convolution xla"]
    assert "mp4v" in lines["mp4 codecs"]


def test_default_implementation_is_one_of_them():
    before = dict(deform_conv.IMPLEMENTATIONS)
    assert doctor.default_implementation() in before
    assert before == deform_conv.IMPLEMENTATIONS


def test_a_kernel_that_fails_is_reported(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no such\nhardware")

    monkeypatch.setitem(deform_conv.IMPLEMENTATIONS, "broken", broken)
    rows = dict(doctor.deformable_convolution())
    assert rows["deformable convolution broken"] == "does not run here (no such hardware)"
