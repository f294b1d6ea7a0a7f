"""Finding, reading and refusing checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from jmpose_jax.errors import InputError
from jmpose_jax.train import checkpoints
from jmpose_jax.train import trained as trained_models
from jmpose_jax.train.state import TrainState

CONFIG = {"model": {"name": "image", "backbone": {"width": 4}}, "flags": {"on": True, "rate": 0.5, "sizes": [1, 2]}}


@pytest.fixture
def saved(tmp_path):
    variables = {"params": {"layer": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}}, "batch_stats": {}}
    checkpoints.save_variables(tmp_path / "run", variables, CONFIG)
    return tmp_path / "run", variables


def test_variables_and_config_come_back_from_any_of_the_three_places(saved):
    workdir, variables = saved
    for path in (workdir, workdir / "checkpoints", workdir / "checkpoints" / "0"):
        config, found = trained_models.load_variables(path)
        assert config == CONFIG
        jax.tree.map(np.testing.assert_array_equal, found["params"], variables["params"])


def test_the_latest_step_is_taken(saved):
    workdir, variables = saved
    with checkpoints.checkpointer(workdir, keep=2) as manager:
        manager.save_checkpointables(12, {"variables": variables}, custom_metadata={"config": {"step": 12}})
    assert trained_models.find_checkpoint(workdir).name == "12"
    assert trained_models.load_variables(workdir)[0] == {"step": 12}
    assert trained_models.load_variables(workdir / "checkpoints" / "0")[0] == CONFIG


def test_what_is_no_checkpoint_is_refused_in_one_line(saved, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        trained_models.load_variables(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no checkpoint"):
        trained_models.load_variables(tmp_path / "empty")

    nameless = tmp_path / "nameless" / "checkpoints"
    with ocp.training.Checkpointer(nameless) as manager:
        manager.save_checkpointables(0, {"variables": saved[1]})
    with pytest.raises(InputError, match="does not say what model"):
        trained_models.load_variables(tmp_path / "nameless")

    for file in (saved[0] / "checkpoints" / "0" / "variables").rglob("*"):
        if file.is_file() and "METADATA" not in file.name:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        trained_models.load_variables(saved[0])


def test_saves_in_quick_succession_each_hold_their_own_step(tmp_path):
    """Steps that end faster than a save takes: every checkpoint must hold the state it was given, not a neighbour's."""
    increase = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
    state = TrainState(jnp.int32(0), {"a": jnp.zeros((300, 300))}, {}, {"moment": jnp.zeros(3)})
    with checkpoints.checkpointer(tmp_path, keep=10) as manager:
        for step in range(1, 7):
            state = increase(state)
            checkpoints.save(manager, state, {"position": step}, CONFIG)
    for step in range(1, 7):
        _, variables = trained_models.load_variables(tmp_path / "checkpoints" / str(step))
        np.testing.assert_array_equal(variables["params"]["a"], step)
