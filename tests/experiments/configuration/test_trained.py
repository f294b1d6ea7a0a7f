"""A config that is not that of the checkpoint is refused by its keys; what only looks different is not."""

import copy

import pytest
from ml_collections import ConfigDict

from configs import backbone, gamma_grid, jmpose, raft_synthetic, tipsd
from experiments.configuration.trained import check_eval, check_kind, check_trained
from experiments.run.building import plain
from jmpose_jax.errors import InputError


def saved_of(config):
    """What a training of the config leaves in its checkpoint."""
    return plain(config)


def with_values(config, values):
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.update_from_flattened_dict(values)
    return config


def refused(config, saved):
    with pytest.raises(InputError) as fault:
        check_trained(config, saved, "runs/x")
    assert "runs/x" in str(fault.value) and "\n" not in str(fault.value)
    return str(fault.value)


@pytest.mark.parametrize(
    "config",
    [backbone.get_config("tiny"), backbone.get_config("w48"), jmpose.get_config("tiny"), jmpose.get_config("paper"),
     jmpose.get_config("tiny_raft"), gamma_grid.get_config("terms")],
)  # fmt: skip
def test_a_runs_own_config_fits(config):
    saved = saved_of(config)
    check_trained(config, saved, "c")
    check_trained(ConfigDict(copy.deepcopy(saved)), saved, "c")  # the config.json of its workdir


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("model.heatmap_aggregation.method", "foo", ('"foo"', '"residual"')),
        ("model.backbone.width", 8, ("8", "16")),
        ("dataset.delta", 1, ("1", "2")),
        ("dataset.skeleton", "coco17", ('"coco17"', '"posetrack15"')),
        ("dataset.flow_source", "none", ('"none"', '"dis or exact"')),
        ("dataset.flow_pairs", "consecutive", ('"consecutive"', '"support_to_key"')),
    ],
)
def test_what_differs_is_named_with_both_values(key, value, shown):
    config = jmpose.get_config("tiny")
    said = refused(with_values(config, {key: value}), saved_of(config))
    assert f"config.{key} is {shown[0]}, its own {shown[1]}" in said


def test_what_a_model_reads_as_well_is_no_difference():
    config = jmpose.get_config("tiny")
    saved = saved_of(config)
    check_trained(with_values(config, {"dataset.flow_source": "exact", "dataset.input_size": (64, 48)}), saved, "c")


def test_an_option_that_the_checkpoint_never_had_is_named():
    config = backbone.get_config("tiny")
    saved = saved_of(config)
    config.model.depth = 3
    assert "config.model.depth is 3" in refused(config, saved)


def test_three_keys_are_named_and_the_others_counted():
    config = jmpose.get_config("tiny")
    values = {
        "model.kernel_init": "lineage",
        "model.channels": 4,
        "model.mutual_learning.num_layers": 2,
        "model.fusion.num_blocks": 2,
        "dataset.delta": 1,
    }
    said = refused(with_values(config, values), saved_of(config))
    assert said.count("its own") == 3 and "2 more" in said


def test_options_of_another_kind_are_no_difference():
    config = jmpose.get_config("tiny")
    check_trained(with_values(config, {"model.motion_encoder.offset_groups": 4}), saved_of(config), "c")
    other = {"model.motion_encoder.kind": "feature_difference", "model.motion_encoder.offset_groups": 4}
    saved = saved_of(with_values(config, other))
    check_trained(with_values(config, other), saved, "c")
    assert "offset_groups is 2, its own 4" in refused(
        with_values(config, other | {"model.motion_encoder.offset_groups": 2}), saved
    )


def test_the_pairs_of_a_flow_that_the_model_computes_are_compared():
    config = jmpose.get_config("tiny_raft")
    other = with_values(config, {"dataset.flow_pairs": "consecutive"})
    assert "config.dataset.flow_pairs" in refused(other, saved_of(config))


def test_what_has_no_part_in_the_model_may_differ():
    config = jmpose.get_config("tiny")
    other = with_values(
        config,
        {"dataset.root": "elsewhere", "dataset.eval_split": "test", "loss.alpha": 3.0, "train.batch_size": 1,
         "eval.decode": "argmax"},
    )  # fmt: skip
    check_trained(other, saved_of(config), "c")
    still = with_values(backbone.get_config("tiny"), {"dataset.flow_pairs": "key_to_support"})  # it reads no flow
    check_trained(still, saved_of(backbone.get_config("tiny")), "c")


def test_what_an_evaluation_may_choose_is_no_difference():
    saved = saved_of(tipsd.get_config())
    check_trained(with_values(tipsd.get_config(), {"model.interim_at_test": "blend"}), saved, "c")
    assert "model.interim" in refused(with_values(tipsd.get_config(), {"model.interim": "blend"}), saved)


def test_what_an_old_checkpoint_lacks_had_its_default():
    config = jmpose.get_config("tiny")
    saved = saved_of(config)
    del saved["dataset"]["skeleton"], saved["model"]["context_aware_joint_learner"]["kind"]
    check_trained(config, saved, "c")
    other = with_values(config, {"model.context_aware_joint_learner.kind": "projection"})
    assert 'context_aware_joint_learner.kind is "projection", its own "deformable"' in refused(other, saved)
    del saved["dataset"]["delta"]  # 0
    assert "config.dataset.delta is 2, its own 0" in refused(config, saved)


def test_a_converted_checkpoint_knows_its_joints_alone():
    model = {"name": "image", "backbone": {"kind": "hrnet", "width": 48, "num_joints": 15}}
    saved = {"model": model, "source": {"model": "hrnet_w48", "head": "posetrack15"}}
    config = backbone.get_config("w48")
    check_trained(with_values(config, {"dataset.input_size": (256, 192)}), saved, "c")
    assert "config.dataset.skeleton" in refused(with_values(config, {"dataset.skeleton": "coco17"}), saved)
    saved["source"]["head"] = "the file's 15 joints"
    check_trained(config, saved, "c")


@pytest.mark.parametrize("other", [backbone.get_config("tiny"), raft_synthetic.get_config("small")])
def test_another_kind_of_model_is_said_to_be_one(other):
    with pytest.raises(InputError, match=f"run is of a jmpose, the config of a {other.model.name}"):
        check_kind(other, saved_of(jmpose.get_config("tiny")), "c")


@pytest.mark.parametrize(
    ("key", "value"),
    [("decode", "foo"), ("checkpoint", "last"), ("batch_size", 0), ("blur_kernel", 4), ("blur_kernel", -1)],
)
def test_settings_that_nothing_can_be_evaluated_with(key, value):
    config = backbone.get_config("tiny")
    check_eval(config)
    config.eval[key] = value
    with pytest.raises(InputError, match=f"config.eval.{key}={value!r}"):
        check_eval(config)
