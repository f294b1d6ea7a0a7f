"""`jmpose config`: every key with value, type and meaning."""

import os
import subprocess
import sys

import pytest

from configs import backbone, gamma_grid, jmpose, jmpose_ablation, raft_synthetic
from experiments.config import listing
from experiments.configuration.changes import flatten
from experiments.configuration.comments import assigned, attributes, comment_of, comments, explained
from jmpose_jax.information import ESTIMATORS
from jmpose_jax.models.jmpose.heatmap_aggregation import ALIGNMENTS, METHODS
from jmpose_jax.models.jmpose.motion import MOTION_ENCODER
from jmpose_jax.models.jmpose.mutual_learning import GATES, MUTUAL_LEARNING
from jmpose_jax.ops.optical_flow import FLOW_PAIRS
from jmpose_jax.train.sharding import TACTICS

CONFIGS = {
    "backbone": backbone.get_config("tiny"),
    "w32": backbone.get_config("w32"),
    "jmpose": jmpose.get_config("tiny"),
    "raft in jmpose": jmpose.get_config("tiny_raft"),
    "paper": jmpose.get_config("paper"),
    "raft": raft_synthetic.get_config(),
    "ablation": jmpose_ablation.get_config("tiny_paper"),
    "gamma": gamma_grid.get_config(),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_key_of_every_config_has_a_comment(name):
    config = CONFIGS[name].to_dict()
    found = comments(config, None)
    assert [key for key, _ in flatten(config) if not comment_of(key, found)] == []


def test_a_line_has_key_value_type_and_meaning():
    config = backbone.get_config("tiny")
    config.train.steps = 17
    lines = listing(config.to_dict(), "configs/backbone.py:tiny").splitlines()
    assert len(lines) == len(flatten(config.to_dict()))
    (line,) = [line for line in lines if line.startswith("train.steps = ")]
    assert line.split("#")[0].strip() == "train.steps = 17" and "int; overrides epochs" in line


def test_comments_beside_and_above_assignments():
    text = """
# Of a.
# Two lines.
config.a = 1
config.b.c = 2  # of c
config.d = config.e = (1,
    2)  # of both

# not of f, for a line lies between

config.f = 3
config.g, other.h = 1, 2  # of g
config.b.c = 4  # later
config.weights[term] = 1  # no key
"""
    assert assigned(text) == {"a": "Of a. Two lines.", "b.c": "of c", "d": "of both", "e": "of both", "g": "of g"}


def test_attributes_of_a_docstring():
    text = "Head.\n\nAttributes:\n  a, b: of both,\n    on two lines.\n  c: of c.\n\nAfter: no attribute.\n"
    assert attributes(text) == {"a": "of both, on two lines.", "b": "of both, on two lines.", "c": "of c."}
    assert attributes("Head.") == {}


@pytest.mark.parametrize(
    "key, named",
    [
        ("model.mutual_learning.gate", GATES),
        ("model.heatmap_aggregation.method", METHODS),
        ("model.heatmap_aggregation.alignment", ALIGNMENTS),
        ("model.mutual_learning.kind", tuple(MUTUAL_LEARNING.kinds)),
        ("model.motion_encoder.kind", tuple(MOTION_ENCODER.kinds)),
        ("dataset.flow_pairs", FLOW_PAIRS),
        ("model.mutual_learning.qkv_kernel", ("side",)),
        ("model.context_aware_joint_learner.offset_groups", ("groups", "divide")),
        ("train.sharding", TACTICS),
        ("model.predictors.estimators.relevancy", ESTIMATORS),
        ("model.predictors.estimators.complement", ESTIMATORS),
        ("model.predictors.estimators.redundancy", ESTIMATORS),
    ],
)
def test_a_comment_names_what_a_key_may_be_and_needs_no_look_at_the_source(key, named):
    comment = comment_of(key, comments(CONFIGS["jmpose"].to_dict(), None))
    assert [name for name in named if name not in comment] == []
    assert "as in Joint" not in comment and "as in Deformable" not in comment and "Aggregation." not in comment


def test_no_comment_only_points_at_another_class():
    for config in CONFIGS.values():
        for key, text in comments(config.to_dict(), None).items():
            assert "as in JointMotionInteraction" not in text and "as in DeformableSampling" not in text, key
            assert not text.endswith("as in RAFT."), key


def test_pointers_are_followed():
    said = {
        "offset_groups": "as in DeformableSampling.",
        "x": "as in NoSuchClass.",
        "y": "as dilation in DeformableSampling; z.",
    }
    found = explained(said, type(None))
    assert found["offset_groups"].startswith("groups G") and found["x"] == said["x"]
    assert found["y"].startswith("spacing") and found["y"].endswith("; z.")


def test_the_command(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "experiments.cli", "config", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})

    done = run("--config=configs/backbone.py", "--config.train.steps=5")
    assert done.returncode == 0 and done.stderr == "" and "\ntrain.steps = 5 " in done.stdout
    failed = run("--config=configs/backbone.py", "--config.train.learning_rate=5")
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
    assert "--config.train.learning_rate" in failed.stderr and "'optimizer.learning_rate'" in failed.stderr
