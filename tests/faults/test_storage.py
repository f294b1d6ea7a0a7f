"""Storage that fails under a run: shards damaged or deleted while it trains, a disk that fills up while it saves."""

import functools
import json
import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import pytest

from benchmarks import small_run
from benchmarks.faults import logged_losses
from experiments import train as module
from experiments.run import clips
from jmpose_jax.errors import InputError
from jmpose_jax.train import trained as trained_models

TINY = pathlib.Path(__file__).resolve().parents[1] / "tiny_run.py"
pytestmark = pytest.mark.faults


@pytest.fixture
def root(prepared, tmp_path, monkeypatch):
    """A data set to damage, whose frames are read anew each time: these few would all stay in memory."""
    monkeypatch.setattr(clips, "Reading", functools.partial(clips.Reading, cache_mib=0))
    return shutil.copytree(prepared, tmp_path / "prepared")


def train(root, workdir, monkeypatch, at_step=0, happens=lambda: None):
    """Train twelve steps; something happens after one of them."""

    def report(bar, step, scalars):
        if step == at_step:
            happens()

    monkeypatch.setattr(module, "_report", report)
    return module.train(small_run.config(root, steps=40), workdir, quiet=True)


@pytest.mark.slow
def test_a_shard_whose_bits_flip_is_named_and_the_run_goes_on_when_it_is_back(root, tmp_path, monkeypatch):
    (shard,) = root.glob("posetrack-train.tfrecord-00000-of-?????")
    whole = shard.read_bytes()
    train(root, tmp_path / "undisturbed", monkeypatch)

    def flip():
        damaged = bytearray(whole)
        damaged[100::1000] = bytes(b ^ 1 for b in damaged[100::1000])  # a bit of every record
        with shard.open("r+b") as file:  # in place: the run has the file open
            file.write(damaged)

    with pytest.raises(InputError, match=rf"{shard.name}: damaged record at byte \d+"):
        train(root, tmp_path / "run", monkeypatch, 4, flip)
    assert trained_models.find_checkpoint(tmp_path / "run").name in {str(step) for step in range(3, 40, 3)}
    shard.write_bytes(whole)
    train(root, tmp_path / "run", monkeypatch)
    assert logged_losses(tmp_path / "run") == logged_losses(tmp_path / "undisturbed")

    # A shard that is deleted stays readable for the run that has it open; the next start names it.
    def delete():
        shard.unlink()

    train(root, tmp_path / "deleted", monkeypatch, 4, delete)
    assert logged_losses(tmp_path / "deleted") == logged_losses(tmp_path / "undisturbed")
    with pytest.raises(InputError, match="the shards of split 'train' are incomplete"):
        train(root, tmp_path / "deleted", monkeypatch)


def tiny(context, workdir, log, **settings):
    """Run tests/tiny_run.py to its end: status and what it printed to standard error."""
    settings = {"workdir": str(workdir), "steps": 9, "width": 512, "stderr": str(log), **settings}
    process = context.Process(target=runpy.run_path, args=(str(TINY), {"ARGUMENT": json.dumps(settings)}, "__main__"))
    process.start()
    process.join()
    return process.exitcode, log.read_text()


def test_a_file_that_may_not_grow_leaves_the_checkpoint_before_and_one_line(context, tmp_path):
    status, said = tiny(context, tmp_path / "run", tmp_path / "log", full_at=4)
    assert status == 73, said
    (line,) = [line for line in said.splitlines() if line.startswith("jmpose tiny_run")]
    assert "no space left to save a checkpoint" in line and "step 3 is whole" in line
    assert "Traceback" not in said
    status, said = tiny(context, tmp_path / "run", tmp_path / "log")
    assert status == 0, said
    assert tiny(context, tmp_path / "undisturbed", tmp_path / "log")[0] == 0
    assert logged_losses(tmp_path / "run") == logged_losses(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.parametrize("kibibytes", [580, 600, 750, 900])
def test_a_disk_that_is_full(tmp_path, kibibytes):
    settings = json.dumps({"workdir": str(tmp_path / "disk" / "run"), "steps": 200, "width": 512})
    (tmp_path / "disk").mkdir()
    mounted = f"mount -t tmpfs -o size={kibibytes}k tmpfs {tmp_path / 'disk'} && "
    if subprocess.run(["unshare", "-rm", "sh", "-c", mounted + "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted + f"{sys.executable} {TINY} '{settings}'"],
        capture_output=True,
        text=True,
        timeout=300,
        # The script's own folder has an `experiments` too: the tests of that room.
        env=os.environ | {"PYTHONPATH": str(TINY.parents[1])},
    )
    assert run.returncode == 73, run.stderr
    assert "o space left" in run.stderr.splitlines()[-1] and "Traceback" not in run.stderr
