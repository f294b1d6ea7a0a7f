"""Training from a config: metrics, going on in the same workdir, stages, and input at fault."""

import dataclasses
import json

import numpy as np
import pytest

from data_pipeline.clips.table import ClipTable
from experiments.evaluation.poses import evaluate
from experiments.train import train
from jmpose_jax.errors import InputError, NonFiniteLoss
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.writers import read_metrics


def losses_of(workdir):
    return {line["step"]: line["loss/total"] for line in read_metrics(workdir)}


def test_a_run_started_again_equals_one_never_stopped(small_backbone, tmp_path, capsys):
    train(small_backbone, tmp_path / "whole")
    said = capsys.readouterr().err.splitlines()
    assert "compiling" in said[0] and "6 done in" in said[-1]  # the first step's time foretells nothing
    whole = losses_of(tmp_path / "whole")
    assert sorted(whole) == [1, 2, 3, 4, 5, 6]

    import experiments.train as module

    original = module.train_loop

    def interrupted(*arguments):
        *others, hooks = arguments

        def stop_at_four(step, scalars):
            if step == 4:
                raise KeyboardInterrupt
            hooks.report(step, scalars)

        return original(*others, dataclasses.replace(hooks, report=stop_at_four))

    module.train_loop = interrupted
    try:
        with pytest.raises(KeyboardInterrupt):
            train(small_backbone, tmp_path / "parts", quiet=True)
    finally:
        module.train_loop = original
    assert sorted(losses_of(tmp_path / "parts")) == [1, 2, 3, 4]
    train(small_backbone, tmp_path / "parts", quiet=True)  # from the checkpoint of step 3
    assert losses_of(tmp_path / "parts") == whole
    for line in read_metrics(tmp_path / "parts"):
        assert {"learning_rate", "clips_per_second", "loss/heatmap", "gradient_norm"} <= line.keys()


@pytest.mark.slow  # CI's quickstart does it too
def test_a_longer_run_can_branch_off_an_earlier_step(small_backbone, tmp_path):
    small_backbone.train.keep_steps = (2,)
    train(small_backbone, tmp_path / "short", quiet=True)
    small_backbone.train.steps = 8
    state = train(small_backbone, tmp_path / "long", start_from=tmp_path / "short" / "checkpoints" / "2", quiet=True)
    assert int(state.step) == 8
    short, long = losses_of(tmp_path / "short"), losses_of(tmp_path / "long")
    assert sorted(long) == [3, 4, 5, 6, 7, 8]
    assert long[3] == short[3]  # the same batch, the same rate


@pytest.mark.slow
def test_stage_two_leaves_the_backbone_of_stage_one_alone(small_backbone, small_jmpose, tmp_path):
    stage1 = train(small_backbone, tmp_path / "backbone", quiet=True)
    small_jmpose.init.backbone = str(tmp_path / "backbone")
    stage2 = train(small_jmpose, tmp_path / "jmpose", quiet=True)
    for collection in ("params", "batch_stats"):
        ours, theirs = getattr(stage2, collection)["backbone"], getattr(stage1, collection)["backbone"]
        for a, b in zip(_leaves(ours), _leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)
    terms = set(read_metrics(tmp_path / "jmpose")[0])
    assert {"loss/heatmap", "loss/relevancy", "loss/complement", "loss/redundancy", "loss/predictor_fit"} <= terms

    config, model, variables = trained_models.load_model(tmp_path / "jmpose")
    assert config["model"]["name"] == "jmpose"
    assert json.loads((tmp_path / "jmpose" / "config.json").read_text())["train"]["steps"] == 6
    np.testing.assert_array_equal(
        _leaves(variables["params"]["heatmap_aggregation"])[0], _leaves(stage2.params["heatmap_aggregation"])[0]
    )


def _leaves(tree):
    import jax

    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def test_the_best_checkpoint_is_the_one_that_evaluation_scores_as_training_said(small_backbone, tmp_path):
    small_backbone.train.evaluate_every = 2
    small_backbone.train.ema_decay = 0.9
    small_backbone.eval.ema = True
    train(small_backbone, tmp_path, quiet=True)
    scores = {line["step"]: line["eval/ap"] for line in read_metrics(tmp_path) if "eval/ap" in line}
    assert sorted(scores) == [2, 4, 6]
    names = json.loads((tmp_path / "checkpoints.json").read_text())
    assert names["latest"] == {"step": 6}
    assert names["best"]["ap"] == max(scores.values()) == scores[names["best"]["step"]]
    small_backbone.eval.checkpoint = "best"
    assert evaluate(small_backbone, tmp_path, None, None)["mean"] == pytest.approx(names["best"]["ap"], abs=1e-6)
    small_backbone.eval.checkpoint = "first"
    with pytest.raises(InputError, match="config.eval.checkpoint='first' is unknown; use latest or best"):
        evaluate(small_backbone, tmp_path, None, None)
    small_backbone.train.ema_decay = 0.0
    with pytest.raises(InputError, match="config.eval.ema needs the moving average"):
        train(small_backbone, tmp_path / "other", quiet=True)


def test_the_clips_of_a_batch_whose_loss_is_not_finite_are_named(small_backbone, prepared, tmp_path):
    small_backbone.loss.weights.heatmap = 1e39  # infinite as float32
    with np.errstate(over="ignore"), pytest.raises(NonFiniteLoss, match="not finite at step 1: .*non_finite=skip"):
        train(small_backbone, tmp_path, quiet=True)
    written = json.loads((tmp_path / "non_finite" / "1.json").read_text())
    assert written["step"] == 1 and written["metrics"]["loss/total"] == "inf"
    table = ClipTable.load(prepared, "train")
    assert len(written["clips"]) == small_backbone.train.batch_size
    for clip in written["clips"]:
        assert clip["image_id"] == table.clips["image_id"][clip["clip"]]
        assert clip["video"] == table.videos[table.clips["video"][clip["clip"]]]
    assert not any(path.name.isdigit() for path in (tmp_path / "checkpoints").iterdir())


def test_input_at_fault_is_named(small_backbone, small_jmpose, trained, prepared, tmp_path):
    small_backbone.model.backbone.width = 6
    with pytest.raises(InputError, match="config.model.backbone.width: 4 -> 6; .* --allow_config_change"):
        train(small_backbone, trained, quiet=True)
    with pytest.raises(InputError, match="checkpoint .* is of another model"):
        train(small_backbone, trained, quiet=True, allow_config_change=True)

    small_jmpose.model.backbone.width = 6
    small_jmpose.init.backbone = str(trained)
    with pytest.raises(InputError, match="config.init.backbone=.* does not fit config.model"):
        train(small_jmpose, tmp_path / "jmpose", quiet=True)
    assert not (tmp_path / "jmpose").exists()

    small_jmpose.init.backbone = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere does not exist"):
        train(small_jmpose, tmp_path / "jmpose", quiet=True)

    small_backbone.dataset.root = str(tmp_path)
    with pytest.raises(InputError, match="is no output of `jmpose prepare`"):
        train(small_backbone, tmp_path / "other", quiet=True)

    small_backbone.dataset.root = str(prepared)
    small_backbone.model.num_stages = 3
    with pytest.raises(InputError, match="config.model.num_stages is no option"):
        train(small_backbone, tmp_path / "other", quiet=True)
