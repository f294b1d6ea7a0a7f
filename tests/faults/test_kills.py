"""Kill -9 while a run starts, steps and saves; `python -m benchmarks.faults --kills 50` does it to a whole training."""

import json
import pathlib
import random
import runpy

import pytest

from benchmarks import faults, small_run

TINY = pathlib.Path(__file__).resolve().parents[1] / "tiny_run.py"
pytestmark = pytest.mark.faults


def tiny(context, workdir, **settings):
    settings = {"workdir": str(workdir), "steps": 60, "save_every": 10, "pause": 0.01, **settings}
    process = context.Process(target=runpy.run_path, args=(str(TINY), {"ARGUMENT": json.dumps(settings)}, "__main__"))
    process.start()
    return process


def test_a_run_killed_while_it_steps_and_inside_a_save_ends_as_one_never_killed(context, tmp_path):
    undisturbed = tiny(context, tmp_path / "undisturbed", save_every=60)
    undisturbed.join()
    expected = faults.logged_losses(tmp_path / "undisturbed")
    assert sorted(expected) == list(range(1, 61))
    moments = ["saving", "stepping"]
    found = faults.kill_and_resume(
        lambda workdir: tiny(context, workdir), tmp_path / "killed", expected, moments, random.Random(0)
    )
    assert found["faults"] == []
    assert found["resumed"] >= 2
    assert found["exact"] == found["kills"] == {"starting": 0, "stepping": 1, "saving": 1}


def test_a_life_whose_losses_differ_is_no_exact_resumption(context, tmp_path):
    expected = {step: {"loss/near": 0.0} for step in range(1, 5)}
    found = faults.kill_and_resume(
        lambda workdir: tiny(context, workdir, steps=4), tmp_path, expected, ["stepping"], random.Random(0)
    )
    assert "losses differ from step 1 on" in found["faults"][0]


@pytest.mark.slow
def test_a_whole_training_resumes_exactly_after_every_kill(context, prepared, tmp_path):
    def start(workdir, save_every=2):
        settings = {"steps": 60, "save_every": save_every}
        process = context.Process(target=small_run.train, args=(str(prepared), str(workdir)), kwargs=settings)
        process.start()
        return process

    start(tmp_path / "undisturbed", save_every=60).join()
    expected = faults.logged_losses(tmp_path / "undisturbed")
    found = faults.kill_and_resume(start, tmp_path / "killed", expected, list(faults.MOMENTS) * 2, random.Random(1))
    assert found["faults"] == []
    assert found["resumed"] >= 4
    assert found["exact"] == found["kills"] == dict.fromkeys(faults.MOMENTS, 2)
