"""The step compiled without a data set: for the device at hand, for TPUs that are not there, and input at fault."""

import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from absl import flags
from ml_collections import ConfigDict

from configs import backbone
from experiments import train
from experiments.run import clips
from experiments.run import compile_only as module
from experiments.run.building import build
from experiments.run.compile_only import compile_only, table
from experiments.systems import built, model_of, objective_of
from jmpose_jax.errors import InputError
from jmpose_jax.ops.target import compiling_for, target_device
from jmpose_jax.train.sharding import state_sharding

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


def test_the_step_is_compiled_for_the_device_at_hand(shrink, tmp_path):
    config = shrink(backbone.get_config("tiny"), "no data")
    report = compile_only(config, tmp_path)
    assert json.loads((tmp_path / "compile_only.json").read_text())["memory_bytes"] == report["memory_bytes"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["compile_only.json"]
    assert report["devices"] == 1 and report["mesh"] == {"data": 1, "model": 1}
    # The state is donated, all of it but the step counter and the like lies where the old one lay.
    memory = report["memory_bytes"]
    assert 0.9 * memory["outputs"] < memory["aliased"] <= memory["arguments"]
    # XLA also counts what is no product; each convolution of the backward pass is there, and no loop is counted once.
    assert 0.5 < report["xla_cost_analysis"]["flops"] / report["flops"] < 2
    assert report["collectives"] == {}
    with pytest.raises(InputError, match=r"--workdir=.*compile_only.json: exists already.*--if_exists=number"):
        compile_only(config, tmp_path)
    text = table(report)
    assert "no collectives" in text and "memory a device" in text


def test_input_at_fault_is_one_line(shrink, tmp_path, monkeypatch):
    config = shrink(backbone.get_config("tiny"), "no data")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--topology=v5e:2x2 needs libtpu, .*pip install -e '.\[tpu\]'"):
        compile_only(config, tmp_path, "v5e:2x2")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)

    def unknown(**options):
        raise RuntimeError("INVALID_ARGUMENT: Your TPU topology name foo is invalid\nmore")

    monkeypatch.setattr(module.topologies, "get_topology_desc", unknown)
    with pytest.raises(
        InputError, match=r"--topology=foo cannot be compiled for .*name foo is invalid\); use e.g. v5e"
    ):
        compile_only(config, tmp_path, "foo")
    monkeypatch.setattr(module, "topology_devices", lambda name: jax.devices() * 3)
    with pytest.raises(InputError, match="batch_size=4 does not split over 3 devices"):
        compile_only(config, tmp_path, "v5e:1x3")
    assert not list(tmp_path.iterdir())


def test_a_workdir_that_cannot_be_written_to_is_refused_before_the_step_is_traced(shrink, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "build", lambda *_, **__: pytest.fail("traced"))
    config = shrink(backbone.get_config("tiny"), "no data")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "compile_only.json").mkdir(parents=True)
    for workdir in (tmp_path / "file", "/proc/none", tmp_path / "folder"):
        with pytest.raises(InputError, match="--workdir"):
            compile_only(config, workdir, if_exists="replace")


def test_a_step_that_does_not_fit_is_one_line():
    class Lowered:
        def compile(self):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory: used 20G of 16G hbm\nmore")

    with pytest.raises(
        InputError, match=r"does not fit .*used 20G of 16G hbm\); use a smaller config.train.batch_size"
    ):
        module._compile(Lowered())


def test_kernels_are_chosen_for_the_device_that_is_compiled_for():
    here = target_device()
    fake = type("Device", (), {"platform": "tpu", "device_kind": "TPU v5 lite"})()
    with compiling_for(fake):
        assert target_device() is fake
    assert target_device() == here


def test_rules_split_the_papers_backbone_and_its_moments_alike():
    config = backbone.get_config("w48")
    _, _, _, create = build(config, built(config), 1000)
    state = jax.eval_shape(create, clips.spec(config, 64))
    mesh = jax.sharding.AbstractMesh((64, 1), ("data", "model"))
    shardings = state_sharding(state, mesh, (("final_layer", "replicated"), ("kernel", "fsdp")))
    found = {
        jax.tree_util.keystr(p, simple=True, separator="/"): s.spec for p, s in jax.tree.leaves_with_path(shardings)
    }
    shapes = {jax.tree_util.keystr(p, simple=True, separator="/"): x.shape for p, x in jax.tree.leaves_with_path(state)}
    held = {name: shardings_of(found[name], shapes[name]) for name in shapes}
    for name, shape in shapes.items():
        split = "kernel" in name and "final_layer" not in name and any(n % 64 == 0 for n in shape)
        large = math.prod(shape) >= 2**14
        assert (held[name] == shape) != (split and large), name
    whole, part = (sum(_size(tree[name]) for name in tree) for tree in (shapes, held))
    assert part < 0.5 * whole
    for name in found:
        if name.startswith("params/"):
            moments = [s for other, s in found.items() if other.startswith("opt_state") and other.endswith(name[7:])]
            assert len(moments) == 2 and all(s == found[name] for s in moments)


def shardings_of(spec, shape):
    return tuple(n // 64 if i < len(spec) and spec[i] == "data" else n for i, n in enumerate(shape))


def _size(shape):
    return 4 * math.prod(shape)


def test_bfloat16_is_the_backbones_and_parameters_stay_float32(shrink):
    config = shrink(backbone.get_config("tiny"), "no data")
    assert "dtype" not in model_of(config).backbone
    config.train.compute_dtype = "bfloat16"
    _, _, step, create = build(config, built(config), 1000)
    batch = clips.spec(config, 4)
    state = jax.eval_shape(create, batch)
    weights = {name: 1.0 for name in objective_of(config).term_weights()}
    program, (after, metrics) = jax.make_jaxpr(step, return_shape=True)(state, batch, weights)
    assert "bf16" in str(program)
    assert {x.dtype for x in jax.tree.leaves((after.variables, metrics))} == {jnp.dtype("float32")}
    config.train.compute_dtype = "float16"
    with pytest.raises(InputError, match="compute_dtype='float16' is unknown; use one of float32, bfloat16"):
        model_of(config)
    config.train.compute_dtype = "bfloat16"
    config.model = ConfigDict({"name": "raft"})
    with pytest.raises(InputError, match="compute_dtype=bfloat16: model 'raft' has no backbone"):
        model_of(config)


@pytest.mark.parametrize(
    "given, message",
    [
        (["--topology=v5e:2x2"], "--topology goes with --compile_only: training runs on the devices that are there"),
        (["--profile_steps=15:10"], "--profile_steps=15:10 is no FIRST:LAST; give two steps"),
        (["--compile_only", "--config.train.compute_dtype=int8"], "config.train.compute_dtype='int8' is unknown"),
    ],
)
def test_flags_at_fault_are_one_line(given, message, tmp_path, monkeypatch, capsys):
    before = set(flags.FLAGS)
    arguments = [f"--config={REPOSITORY}/configs/backbone.py:tiny", f"--workdir={tmp_path / 'run'}", *given]
    monkeypatch.setattr(sys, "argv", ["jmpose", "train", *arguments])  # where config_flags looks for overrides
    try:
        with pytest.raises(SystemExit) as stop:
            train.main(["jmpose train", *arguments])
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)
    printed = capsys.readouterr().err
    assert stop.value.code == 2
    assert printed.startswith(f"jmpose train: {message}") and printed.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.tpu_aot
def test_the_very_step_compiles_for_tpus_that_are_not_there(tmp_path):
    """libtpu wants a process of its own, where nothing else has initialised it."""
    if importlib.util.find_spec("libtpu") is None:
        pytest.skip("libtpu is not installed: pip install -e '.[tpu]'")
    command = [sys.executable, "-c", "import sys; from experiments.cli import main; sys.argv[0] = 'jmpose'; main()"]
    command += ["train", "--config=configs/backbone.py:tiny", f"--workdir={tmp_path}", "--compile_only"]
    command += ["--config.model.backbone.stage_modules=(1,)", "--config.model.backbone.width=4"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}

    def run(*more):
        return subprocess.run(
            [*command, *more], env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=1200
        )

    refused = run("--topology=v5e:4x8")
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        "jmpose train: config.train.batch_size=16 does not split over 32 devices; use a multiple of 32"
    )
    assert run("--topology=v9:2x2").returncode == 2
    done = run("--topology=v5e:2x2")
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "compile_only.json").read_text())
    assert report["device_kind"] == "TPU v5 lite" and report["devices"] == 4
    assert 0 < report["memory_bytes"]["total"] < 2**30
    # The batch norms' sums forwards and backwards, and the gradients.
    assert report["collectives"]["all-reduce"]["count"] > 10
    assert "all-reduce" in done.stdout
