"""The doctor's report."""

import os

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


def test_encoders_that_write_past_python_are_silent(monkeypatch, capfd):
    """x265 and SVT-AV1 write to the descriptor; what comes after them is heard again."""

    def codecs():
        os.write(2, b"x265 [info]: HEVC encoder\n")
        return {"mp4v": True}

    monkeypatch.setattr(doctor, "mp4_codecs", codecs)
    assert dict(doctor.video())["mp4 codecs"] == "mp4v"
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_the_default_comes_with_its_reason(monkeypatch):
    rows = dict(doctor.deformable_convolution())
    assert rows["deformable convolution, by default"] == "xla: no kernel is made for cpu"
    assert "does not run here" in rows["deformable convolution tpu"]
    assert not any("interpret" in name for name in rows)
    monkeypatch.setenv("JMPOSE_DEFORM_CONV", "gpu")
    rows = dict(doctor.deformable_convolution())
    assert rows["deformable convolution, by default"] == "gpu: set by JMPOSE_DEFORM_CONV"


def test_a_kernel_that_fails_is_reported(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no such\nhardware")

    monkeypatch.setitem(deform_conv.IMPLEMENTATIONS, "broken", broken)
    rows = dict(doctor.deformable_convolution())
    assert rows["deformable convolution broken"] == "does not run here (no such hardware)"
