"""The guards and options of the loop on a training of a second: what must be found is, the rest does not change."""

import json
import os
import signal

import jax
import numpy as np
import pytest

from jmpose_jax.errors import InputError, InputStalled, Interrupted, NonFiniteLoss, NoSpace, Preempted
from jmpose_jax.train import checkpoints
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.preemption import PreemptionNotice
from jmpose_jax.train.step import make_train_step
from jmpose_jax.train.writers import read_metrics


@pytest.fixture(scope="module")
def whole(tiny_run, tmp_path_factory):
    """Losses and last state of a run that nothing disturbed."""
    losses, state, found = tiny_run(workdir=tmp_path_factory.mktemp("whole"), steps=9)
    assert sorted(losses) == list(range(1, 10)) and not found
    return losses, state


def steps_in(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())


@pytest.mark.parametrize(
    "file",
    ["optimizer/d/*", "variables/manifest.ocdbt", "_CHECKPOINT_METADATA"],
    ids=["arrays", "index", "metadata"],
)
def test_a_damaged_newest_checkpoint_is_set_aside_and_the_one_before_goes_on(tiny_run, whole, tmp_path, caplog, file):
    tiny_run(workdir=tmp_path, steps=9)
    assert steps_in(tmp_path) == [6, 9]
    for path in (tmp_path / "checkpoints" / "9").glob(file):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    losses, _, _ = tiny_run(workdir=tmp_path, steps=9)
    assert losses == whole[0]
    assert steps_in(tmp_path) == [6, 9]
    assert (tmp_path / "damaged_checkpoints" / "9").is_dir()
    assert "is damaged" in caplog.text


def test_sigterm_saves_the_step_under_way_and_the_run_goes_on_exactly(tiny_run, whole, tmp_path, monkeypatch):
    original = checkpoints.save
    sent = []

    def save(manager, state, *rest):
        original(manager, state, *rest)
        if int(state.step) == 3 and not sent:  # inside a save
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    monkeypatch.setattr(checkpoints, "save", save)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match="saved at step 4"):
        tiny_run(workdir=tmp_path, steps=9)
    assert signal.getsignal(signal.SIGTERM) == before
    assert 4 in steps_in(tmp_path)
    losses, state, _ = tiny_run(workdir=tmp_path, steps=9)
    assert losses == whole[0]
    jax.tree.map(np.testing.assert_array_equal, state.params, whole[1].params)


def test_ctrl_c_saves_the_step_under_way_and_names_the_checkpoint(tiny_run, whole, tmp_path, monkeypatch):
    original = checkpoints.save
    sent = []

    def save(manager, state, *rest):
        original(manager, state, *rest)
        if int(state.step) == 3 and not sent:
            sent.extend(os.kill(os.getpid(), signal.SIGINT) for _ in range(3))

    monkeypatch.setattr(checkpoints, "save", save)
    with pytest.raises(Interrupted, match="saved at step 4"):
        tiny_run(workdir=tmp_path, steps=9)
    assert json.loads((tmp_path / "checkpoints.json").read_text()) == {"latest": {"step": 4}}
    losses, _, _ = tiny_run(workdir=tmp_path, steps=9)
    assert losses == whole[0]


def test_a_loss_that_is_not_finite_stops_the_run_before_it_is_saved(tiny_run, tmp_path):
    with pytest.raises(NonFiniteLoss, match="at step 5"):
        tiny_run(workdir=tmp_path, steps=9, bad_step=5, log_every=100)
    assert steps_in(tmp_path) == [3]


def test_or_is_skipped_counted_and_its_clips_named(tiny_run, tmp_path):
    losses, state, found = tiny_run(workdir=tmp_path, steps=6, bad_step=5, skip=True)
    assert found == {5: list(range(500, 508))}
    assert int(state.step) == 6
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state.params, state.batch_stats, state.opt_state)))
    assert np.isnan(losses[5]) and np.isfinite(losses[6])


def test_an_input_that_has_stopped_ends_the_run(tiny_run, tmp_path):
    with pytest.raises(InputStalled, match=r"no batch for 0.3 s after step 3"):
        tiny_run(workdir=tmp_path, steps=9, stall=4, stall_seconds=0.3)


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(tiny_run, tmp_path, monkeypatch):
    original = checkpoints.ocp.training.Checkpointer.save_checkpointables_async

    def full(self, step, *rest, **options):
        if step >= 6:
            raise OSError(28, "No space left on device")
        return original(self, step, *rest, **options)

    monkeypatch.setattr(checkpoints.ocp.training.Checkpointer, "save_checkpointables_async", full)
    with pytest.raises(NoSpace, match="no space left .*; step 3 is whole; free space and start the same command"):
        tiny_run(workdir=tmp_path, steps=9)
    assert steps_in(tmp_path) == [3]


def test_the_best_checkpoint_stays_beside_the_latest_and_both_are_named(tiny_run, tmp_path):
    scores = {2: 10.0, 4: 30.0, 6: float("nan"), 8: 20.0}
    losses, _, _ = tiny_run(workdir=tmp_path, steps=9, evaluate_every=2, scores=scores, ema=0.5)
    assert steps_in(tmp_path) == [4, 8, 9]
    names = json.loads((tmp_path / "checkpoints.json").read_text())
    assert names == {"latest": {"step": 9}, "best": {"step": 4, "ap": 30.0}}
    lines = {line["step"]: line.get("eval/ap") for line in read_metrics(tmp_path)}
    assert lines[4] == 30.0 and lines[5] is None
    assert trained_models.find_checkpoint(tmp_path, best=True).name == "4"
    _, plain = trained_models.load_variables(tmp_path, best=True)
    _, averaged = trained_models.load_variables(tmp_path, best=True, ema=True)
    assert not np.array_equal(plain["params"]["head"]["kernel"], averaged["params"]["head"]["kernel"])
    np.testing.assert_array_equal(plain["batch_stats"]["norm"]["mean"], averaged["batch_stats"]["norm"]["mean"])
    # What stands there is another's to write: it is refused in words, and a training writes it anew.
    for content in (b"\xff\xfe", b"[1]", b'{"best": 4}', b'{"best": {"step": "4"}}', b'{"best": {}}'):
        (tmp_path / "checkpoints.json").write_bytes(content)
        with pytest.raises(InputError, match=r"checkpoints\.json|names no best"):
            trained_models.find_checkpoint(tmp_path, best=True)
    (tmp_path / "checkpoints.json").write_bytes(b"\xff\xfe")
    with checkpoints.checkpointer(tmp_path, keep=2) as manager:
        checkpoints.write_names(manager)
    assert json.loads((tmp_path / "checkpoints.json").read_text()) == names


def test_without_an_evaluation_there_is_no_best_and_without_an_average_no_average(tiny_run, tmp_path):
    tiny_run(workdir=tmp_path, steps=3)
    with pytest.raises(InputError, match="names no best checkpoint; train with evaluate_every"):
        trained_models.load_variables(tmp_path, best=True)
    with pytest.raises(InputError, match="has no moving average; train with ema_decay"):
        trained_models.load_variables(tmp_path, ema=True)


def test_sigterm_during_an_evaluation_saves_its_step(tiny_run, whole, tmp_path):
    def evaluate(state):
        with PreemptionNotice() as notice:
            os.kill(os.getpid(), signal.SIGTERM)
            assert notice.reached()
            raise Preempted("during evaluation")

    with pytest.raises(Preempted, match="saved at step 4"):
        tiny_run(workdir=tmp_path, steps=9, evaluate_every=4, evaluate=evaluate)
    losses, _, _ = tiny_run(workdir=tmp_path, steps=9)
    assert losses == whole[0]


def test_sigterm_in_the_last_batch_of_an_evaluation_is_not_lost(tiny_run, tmp_path):
    def evaluate(state):
        with PreemptionNotice() as notice:
            assert not notice.reached()  # the last time that it asks
            os.kill(os.getpid(), signal.SIGTERM)
        return {"ap": 1.0}

    with pytest.raises(Preempted, match="saved at step 4"):
        tiny_run(workdir=tmp_path, steps=9, evaluate_every=4, evaluate=evaluate)


def test_sigterm_during_the_last_save_does_not_break_it_off(tiny_run, tmp_path, monkeypatch):
    save, wait, saving, sent = checkpoints.save, checkpoints.wait, [], []

    def noted(manager, state, *rest):
        save(manager, state, *rest)
        saving.append(int(state.step))

    def interrupted(manager):
        if saving[-1:] == [9] and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        wait(manager)

    monkeypatch.setattr(checkpoints, "save", noted)
    monkeypatch.setattr(checkpoints, "wait", interrupted)
    heard = []  # whether the save was whole when the signal left the loop
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(9 in steps_in(tmp_path)))
    try:
        _, state, _ = tiny_run(workdir=tmp_path, steps=9)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sent and int(state.step) == 9 and heard == [True]


def test_sigterm_during_compilation_is_heard_after_the_first_step(tiny_run, tmp_path, monkeypatch):
    def make(*arguments, **options):
        inner = make_train_step(*arguments, **options)

        def traced(*arguments):
            os.kill(os.getpid(), signal.SIGTERM)  # while the step is traced, before XLA compiles it
            return inner(*arguments)

        return traced

    monkeypatch.setattr("jmpose_jax.train.step.make_train_step", make)
    with pytest.raises(Preempted, match="saved at step 1"):
        tiny_run(workdir=tmp_path, steps=9)


def test_accumulation_averages_remat_changes_nothing_and_the_average_lags(tiny_run, whole, tmp_path):
    remat, _, _ = tiny_run(workdir=tmp_path / "remat", steps=3, remat=True)
    for step, loss in remat.items():
        assert loss == pytest.approx(whole[0][step], rel=1e-5)
    parts, state, _ = tiny_run(workdir=tmp_path / "parts", steps=3, accumulate=2, ema=0.5)
    # Equal parts: only the batch norms, which see half a batch, make a difference.
    assert parts[1] == pytest.approx(whole[0][1], rel=0.1)
    assert parts[1] != whole[0][1]
    again, restored, _ = tiny_run(workdir=tmp_path / "parts", steps=3, accumulate=2, ema=0.5)
    jax.tree.map(np.testing.assert_array_equal, restored.ema, state.ema)
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), state.ema, state.params)
    assert max(jax.tree.leaves(moved)) > 1e-3
