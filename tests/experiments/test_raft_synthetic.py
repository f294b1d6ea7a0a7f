"""RAFT from nothing on exact flow: trained, scored beside DIS and zero flow, and handed to JM-Pose."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from configs import jmpose, raft_synthetic
from data_pipeline.preparation.prepare import prepare
from data_pipeline.synthetic.config import SyntheticConfig
from data_pipeline.synthetic.dataset import generate
from experiments import grid
from experiments.evaluation.endpoint_error import evaluate, table
from experiments.grids import engines
from experiments.grids import report as grid_report
from experiments.run import clips
from experiments.run.building import initialised
from experiments.train import train
from jmpose_jax.errors import InputError
from jmpose_jax.models.raft.clip_flow import ClipFlow
from jmpose_jax.models.registry import create_model
from jmpose_jax.train.checkpoints import save_variables
from jmpose_jax.train.state import TrainState
from jmpose_jax.train.trained import load_model
from jmpose_jax.train.writers import read_metrics
from jmpose_jax.weights import published_model
from jmpose_jax.weights.models import abstract_variables


@pytest.fixture(scope="module")
def with_flow(tmp_path_factory):
    """A few rendered videos with their exact flow."""
    folder = tmp_path_factory.mktemp("flow")
    scene = dataclasses.replace(SyntheticConfig(), num_frames=5)
    generate(
        str(folder / "source"),
        num_videos={"train": 3, "val": 2},
        seed=5,
        config=scene,
        num_processes=1,
        flow=True,
        progress=False,
    )
    prepare("synthetic", folder / "source", folder / "prepared", progress=False)
    return folder / "prepared"


@pytest.fixture
def config(with_flow):
    config = raft_synthetic.get_config("small")
    config.dataset.root = str(with_flow)
    config.dataset.input_size = (48, 40)
    config.dataset.num_threads = 1
    config.model.iterations = 2
    config.train.steps = 3
    config.train.log_every = 1
    config.optimizer.warmup_steps = 1
    config.optimizer.decay_steps = 2
    config.eval.batch_size = 2
    return config


@pytest.mark.slow
def test_trained_and_scored(config, tmp_path):
    train(config, tmp_path / "raft", quiet=True)
    lines = read_metrics(tmp_path / "raft")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(np.isfinite(line["loss/sequence"]) and line["loss/endpoint_error"] > 0 for line in lines)
    assert lines[0]["loss/total"] == pytest.approx(lines[0]["loss/sequence"])  # the error is only watched

    result = evaluate(config, tmp_path / "raft", tmp_path / "raft")
    assert json.loads((tmp_path / "raft" / "evaluation.json").read_text()) == result
    assert result["pixels"]["all"] == result["pixels"]["1 frame"] + result["pixels"]["2 frames"] > 0
    check_against_numpy(config, result)
    assert table(result).count("\n") == 3


@pytest.mark.slow
def test_cells_of_a_grid_are_scored_by_endpoint_error(config, tmp_path):
    found = grid.plan(config, {"loss.gamma": (0.8, 0.9)}, tmp_path, checked=True)
    status = engines.run_cell(tmp_path, 1)
    assert status["status"] == "done" and status["endpoint_error"]["all"] > 0
    report = grid_report.write_report(tmp_path, found)
    assert report["best"] == {"loss.gamma": "0.9"} and report["value"] == status["endpoint_error"]["all"]


@pytest.mark.slow
def test_cells_trained_together_are_scored_as_a_cell_alone(config, tmp_path):
    axes = {"loss.weights.sequence": (1.0, 0.5)}
    found = grid.plan(config, axes, tmp_path / "together", checked=True)
    grid.run_grid(found, tmp_path / "together", vectorize=True)
    together = [engines.read_status(tmp_path / "together", cell) for cell in found.cells]
    assert [status["status"] for status in together] == ["done", "done"] and together[0]["vectorized"]
    found = grid.plan(config, axes, tmp_path / "alone", checked=True)
    alone = engines.run_cell(tmp_path / "alone", 1)
    assert together[1]["endpoint_error"].keys() == alone["endpoint_error"].keys()
    assert together[1]["endpoint_error"]["all"] == pytest.approx(alone["endpoint_error"]["all"], rel=1e-3)


def saved_raft(folder):
    """A checkpoint of a RAFT-small, as training and `jmpose convert` leave it; its params."""
    rng = np.random.default_rng(0)
    abstract = abstract_variables(published_model("raft_small"))
    params = jax.tree.map(lambda leaf: 0.05 * rng.standard_normal(leaf.shape, np.float32), abstract["params"])
    save_variables(folder, {"params": params, "batch_stats": {}}, {"model": {"name": "raft", "size": "small"}})
    return params


@pytest.fixture
def pose(shrink, prepared):
    """JM-Pose with a RAFT-small inside, small."""
    pose = shrink(jmpose.get_config("tiny_raft"), prepared)
    pose.dataset.input_size = (48, 32)
    pose.model.channels, pose.model.flow_network.iterations = 4, 1
    return pose


def empty_state(pose):
    """Zeros for every variable of the model; nothing is compiled."""
    model = create_model(pose.model)
    empty = jax.eval_shape(lambda batch: model.init(jax.random.key(0), batch), clips.spec(pose))
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), empty)
    return TrainState(step=0, params=empty["params"], batch_stats=empty["batch_stats"], opt_state=())


def test_a_raft_of_ones_own_becomes_the_flow_of_jmpose(pose, tmp_path):
    pose.model.context_aware_joint_learner.kind = "projection"  # less to trace
    pose.model.mutual_learning.kind = "none"
    del pose.model.predictors
    pose.model.predictors = None
    params = saved_raft(tmp_path / "raft")
    pose.init.flow_network = str(tmp_path / "raft")
    start = initialised(empty_state(pose), pose)
    for ours, theirs in zip(*(jax.tree.leaves(t) for t in (start.params["flow_network"], params)), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    pose.model.flow_network.size = "basic"
    with pytest.raises(InputError, match="a model 'raft' of size small. does not fit config.model.flow_network"):
        initialised(empty_state(pose), pose)
    pose.init.flow_network = ""
    with pytest.raises(InputError, match="config.init.flow_network is empty"):
        train(pose, tmp_path / "jmpose", quiet=True)
    assert not (tmp_path / "jmpose").exists()


@pytest.mark.slow
def test_jmpose_trains_on_the_flow_of_a_raft_and_leaves_it_as_it_is(pose, tmp_path):
    params = saved_raft(tmp_path / "raft")
    pose.init.flow_network = str(tmp_path / "raft")
    pose.train.steps = 2
    state = train(pose, tmp_path / "jmpose", quiet=True)
    for ours, theirs in zip(*(jax.tree.leaves(t) for t in (state.params["flow_network"], params)), strict=True):
        np.testing.assert_array_equal(ours, theirs)  # weight decay leaves it alone too
    _, model, variables = load_model(tmp_path / "jmpose")
    batch = next(clips.evaluate(pose))
    flow = jax.jit(lambda v, b: model.apply(v, b).features["flow"])(variables, batch)
    assert flow.shape == (4, 4, 48, 32, 2) and np.any(flow)


def check_against_numpy(config, result):
    """Zero flow's and DIS's errors once more, pixel by pixel from the loader's batches."""
    cv2 = pytest.importorskip("cv2")
    zero, dis = [], []
    loader = clips.evaluate(config)
    for batch in loader:
        assert jax.tree.map(np.shape, batch) == jax.tree.map(lambda x: x.shape, clips.spec(config, 2))
        for clip, flow, valid in zip(batch.frames, batch.flow, batch.valid):
            for start, target in zip((0, 1, 3, 4), flow):
                if not valid or np.array_equal(clip[start], clip[2]):
                    continue
                inside = clip[start].max(-1) > 0
                zero.append(np.hypot(target[..., 0], target[..., 1])[inside])
                gray = [cv2.cvtColor(clip[i], cv2.COLOR_RGB2GRAY) for i in (start, 2)]
                found = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(*gray, None)
                dis.append(np.linalg.norm(found - target, axis=-1)[inside])
    loader.close()
    errors = result["endpoint_error"]
    assert errors["zero"]["all"] == pytest.approx(np.concatenate(zero).mean(), rel=1e-4)
    assert errors["dis"]["all"] == pytest.approx(np.concatenate(dis).mean(), rel=1e-4)
    assert errors["network"]["all"] > 0


def test_input_at_fault_is_named(config, small_backbone, tmp_path):
    config.model.size = "large"
    with pytest.raises(InputError, match="RAFT size='large': choose one of basic, small"):
        train(config, tmp_path / "raft", quiet=True)
    config.model.size = "small"
    config.dataset.flow_source = "none"
    with pytest.raises(InputError, match="set flow_source to exact"):
        train(config, tmp_path / "raft", quiet=True)
    with pytest.raises(InputError, match="flow_source='none': endpoint errors need exact"):
        evaluate(config, tmp_path, tmp_path / "raft")
    config.dataset.flow_source = "exact"
    config.dataset.delta = 0
    with pytest.raises(InputError, match="3, 5, … frames are needed, the batch has 1"):
        train(config, tmp_path / "raft", quiet=True)
    with pytest.raises(ValueError, match="has no variant 'tiny'"):
        raft_synthetic.get_config("tiny")


def test_converted_weights_load_as_a_model(tmp_path):
    params = saved_raft(tmp_path / "raft")
    _, model, loaded = load_model(tmp_path / "raft")
    assert isinstance(model, ClipFlow) and model.size == "small"
    assert jax.tree.map(np.shape, loaded["params"]) == jax.tree.map(np.shape, params)


def test_the_published_sizes(config):
    basic = raft_synthetic.get_config("basic")
    assert (basic.model.size, basic.dataset.input_size, basic.train.steps) == ("basic", (384, 288), 100_000)
    assert basic.optimizer.warmup_steps + basic.optimizer.decay_steps == basic.train.steps
