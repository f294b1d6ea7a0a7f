"""Weights changed in every way of the issue, at `convert`, and checkpoints at `predict` and `evaluate`."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.train.checkpoints import save_variables
from jmpose_jax.train.trained import load_variables
from jmpose_jax.weights import save_torch
from tests.commands import run
from tests.everything.judge import LONGEST, refused, right
from tests.everything.world import untrained, write

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "ema.", "state_dict.")


def convert(world, tmp_path, state_dict, *more, model="hrnet_w4"):
    save_torch(tmp_path / "weights.safetensors", state_dict)
    return run(
        "convert", f"--model={model}", f"--torch={tmp_path / 'weights.safetensors'}", f"--output={tmp_path / 'out'}",
        *more,
    )  # fmt: skip


@pytest.fixture(scope="session")
def reference(world, tmp_path_factory):
    """The variables of the weights under their own names."""
    folder = tmp_path_factory.mktemp("reference")
    assert convert(world, folder, world.state_dict).status == 0
    return load_variables(folder / "out")[1]


def same(found, expected):
    pairs = jax.tree.map(lambda a, b: bool((np.asarray(a) == np.asarray(b)).all()), found, expected)
    return all(jax.tree.leaves(pairs))


@pytest.mark.parametrize(
    ("prefix", "partial"),
    [
        *((prefix, False) for prefix in PREFIXES),
        ("module._orig_mod.", True),
        ("_orig_mod.module.", False),
        ("state_dict.module.model.backbone.", True),
        ("model.ema.", True),
    ],
)
def test_prefixes_alone_and_combined(world, reference, tmp_path, prefix, partial):
    named = {f"{prefix}{key}": value for key, value in world.state_dict.items()}
    ended = convert(world, tmp_path, named, *(["--partial"] if partial else []))
    right(ended, lambda: same(load_variables(tmp_path / "out")[1], reference))


@pytest.mark.parametrize(
    ("where", "value", "partial"),
    [
        ("weight", np.nan, False),
        ("weight", np.inf, True),
        ("running_var", np.nan, True),
        ("running_var", -np.inf, False),
        ("bias", np.inf, False),
        ("bias", -np.inf, True),
    ],
)
def test_weights_that_are_not_finite(world, tmp_path, where, value, partial):
    key = next(k for k in world.state_dict if k.endswith(where))
    broken = {k: v.copy() for k, v in world.state_dict.items()}
    broken[key].flat[0] = value
    ended = convert(world, tmp_path, broken, *(["--partial"] if partial else []))
    refused(ended, tmp_path / "out")
    assert key in ended.fault


OTHERS = {
    "no key of the model": lambda weights: {f"layer{n}.w": v for n, v in enumerate(weights.values())},
    "a few of its keys": lambda weights: dict(list(weights.items())[:3]),
    "another model": lambda weights: {f"{k}.fnet": v for k, v in list(weights.items())[::2]},
    "other shapes": lambda weights: {k: np.concatenate([v, v]) if v.ndim else v for k, v in weights.items()},
    "empty": lambda weights: {},
    "one scalar": lambda weights: {"epoch": np.zeros(())},
}


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_something_else(world, tmp_path, name, partial):
    ended = convert(world, tmp_path, OTHERS[name](world.state_dict), *(["--partial"] if partial else []))
    refused(ended, tmp_path / "out")
    assert "weights.safetensors" in ended.fault or "hrnet_w4" in ended.fault


def test_the_model_that_the_weights_look_like_is_named(world, tmp_path):
    ended = convert(world, tmp_path, world.state_dict, model="raft")
    refused(ended, tmp_path / "out")
    assert "hrnet" in ended.fault and len(ended.fault) < LONGEST


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"\x80\x02}q\x00.", b"text", b"[]"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_files_that_are_no_weights(tmp_path, ending, content):
    file = write(tmp_path / f"weights.{ending}", content)
    ended = run("convert", "--model=hrnet_w4", f"--torch={file}", f"--output={tmp_path / 'out'}")
    refused(ended, tmp_path / "out")
    assert str(file) in ended.fault


def broken(tmp_path, value):
    config, variables = untrained()
    leaves, structure = jax.tree.flatten(variables)
    leaves[1] = jnp.full_like(leaves[1], value)
    save_variables(tmp_path / "broken", jax.tree.unflatten(structure, leaves), config)
    return tmp_path / "broken"


def raft(tmp_path):
    save_variables(tmp_path / "raft", {"params": {"a": jnp.zeros(3)}}, {"model": {"name": "raft", "size": "small"}})
    return tmp_path / "raft"


def foreign(tmp_path):
    (tmp_path / "foreign" / "checkpoints" / "5").mkdir(parents=True)
    return tmp_path / "foreign"


def without_head(variables):
    backbone = {k: v for k, v in variables["params"]["backbone"].items() if k != "final_layer"}
    return {**variables, "params": {"backbone": backbone}}


def partly(tmp_path, change):
    config, variables = untrained()
    save_variables(tmp_path / "partly", change(variables), config)
    return tmp_path / "partly"


CHECKPOINTS = {
    "without its head": lambda world, path: partly(path, without_head),
    "without statistics": lambda world, path: partly(path, lambda variables: {**variables, "batch_stats": {}}),
    "of other shapes": lambda world, path: partly(path, lambda v: jax.tree.map(lambda x: jnp.stack([x, x]), v)),
    "NaN": lambda world, path: broken(path, np.nan),
    "infinite": lambda world, path: broken(path, np.inf),
    "a RAFT": lambda world, path: raft(path),
    "absent": lambda world, path: path / "none",
    "a file": lambda world, path: write(path / "file", "x"),
    "the video": lambda world, path: world.video,
    "an empty folder": lambda world, path: path,
    "a foreign folder": lambda world, path: foreign(path),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_that_predict_cannot_use(world, tmp_path, name):
    checkpoint = CHECKPOINTS[name](world, tmp_path)
    ended = run(
        "predict", f"--video={world.video}", f"--checkpoint={checkpoint}", "--detector=whole",
        f"--output={tmp_path / 'out'}",
    )  # fmt: skip
    refused(ended, tmp_path / "out")
    assert str(checkpoint) in ended.fault or "raft" in ended.fault.lower()


@pytest.mark.parametrize("part", ["metadata", "arrays"])
def test_a_damaged_checkpoint(world, tmp_path, part):
    folder = world.copy_of("checkpoint", tmp_path)
    files = [path for path in (folder / "checkpoints/0/variables").rglob("*") if path.is_file()]
    assert files
    for path in files:
        if part == "arrays":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if part == "metadata":
        for path in (folder / "checkpoints/0").glob("_CHECKPOINT*"):
            path.write_text(json.dumps([]))
    ended = run("predict", f"--video={world.video}", f"--checkpoint={folder}", f"--output={tmp_path / 'out'}")
    refused(ended, tmp_path / "out")
    shutil.rmtree(folder)
