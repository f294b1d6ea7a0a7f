"""Cells trained as one program are the cells trained alone: states, metrics, what they share, devices."""

import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.ops.convolution import conv_general_dilated
from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.train import vectorized
from jmpose_jax.train.optimizers import Optimizer
from jmpose_jax.train.state import create_state
from jmpose_jax.train.step import make_train_step

FROZEN = ("trunk/",)


class Small(nn.Module):
    """A frozen trunk that normalises with running statistics, and a trained head that keeps its own."""

    @nn.compact
    def __call__(self, batch, train=False):
        options = dict(padding=((1, 1), (1, 1)), conv_general_dilated=conv_general_dilated)
        x = batch.frames[:, 0, ::4, ::4].astype(jnp.float32) / 255
        x = nn.Conv(4, (3, 3), name="trunk", **options)(x)
        x = jax.lax.stop_gradient(nn.BatchNorm(use_running_average=True, name="trunk_norm")(x))
        # A bias before a batch norm has no gradient but rounding, which Adam would blow up.
        x = nn.Conv(4, (3, 3), use_bias=False, name="body", **options)(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        maps = nn.Conv(2, (3, 3), name="head", **options)(nn.relu(x))
        return PoseOutput(heatmaps=maps, initial_heatmaps=maps[:, None])


def _batch(seed):
    rng = np.random.default_rng(seed)
    return ClipBatch(
        frames=rng.integers(0, 255, (4, 1, 16, 16, 3), np.uint8),
        keypoints=np.zeros((4, 2, 2), np.float32),
        joint_weights=np.ones((4, 2), np.float32),
        transform=np.zeros((4, 2, 3), np.float32),
        box_score=np.ones(4, np.float32),
        index=np.arange(4, dtype=np.int32),
        valid=np.ones(4, np.float32),
    )


def _loss(output, batch):
    error = jnp.square(output.heatmaps - 0.3)
    return {"near": (error.sum(), jnp.float32(error.size)), "small": (jnp.abs(output.heatmaps).sum(), jnp.float32(64))}


WEIGHTS = [{"near": 1.0, "small": s} for s in (0.0, 0.1, float("inf"))]


def make_parts():
    model, optimizer = Small(), Optimizer("adamw", weight_decay=0.01, frozen=FROZEN).create(lambda s: 0.05)
    state = create_state(model, optimizer, jax.random.key(0, impl="rbg"), _batch(0))
    step = make_train_step(model, optimizer, _loss)
    return state, step, vectorized.common_leaves(step, state, _batch(0), WEIGHTS[0], FROZEN)


@pytest.fixture(scope="module")
def parts():
    return make_parts()


def test_what_no_cell_changes_is_common(parts):
    state, _, common = parts
    paths = [jax.tree_util.keystr(p, simple=True, separator="/") for p, _ in jax.tree_util.tree_leaves_with_path(state)]
    expected = {
        "params/trunk/bias",
        "params/trunk/kernel",
        "batch_stats/trunk_norm/mean",
        "batch_stats/trunk_norm/var",
    }
    assert {path for path, shared in zip(paths, common) if shared} == expected


def train_cells(parts, count):
    """Metrics and states of the cells after four steps; `count` places, the last cell filling those too many."""
    state, step, common = parts
    mesh = vectorized.grid_mesh()
    cells = vectorized.spread(state, common, count, mesh)
    weights = vectorized.stack_weights(WEIGHTS, count, mesh)
    together = jax.jit(vectorized.make_cells_step(step, state, common, mesh), donate_argnums=0)
    program = together.lower(cells.own, cells.common, _batch(0), weights).compile()  # one, whatever follows
    history = []
    for i in range(4):
        own, metrics = program(cells.own, cells.common, _batch(i), weights)
        cells = cells.replace(own=own)
        history.append(metrics)
    return cells, history, program


@pytest.fixture(scope="module")
def trained(parts):
    return train_cells(parts, 4)


def test_a_cell_among_others_equals_the_cell_alone(parts, trained):
    state, step, common = parts
    cells, history, _ = trained
    alone = jax.jit(step)
    for place in (0, 1):
        mine = state
        for i in range(4):
            weights = {k: np.float32(v) for k, v in WEIGHTS[place].items()}
            mine, metrics = alone(mine, _batch(i), weights)
            for name, value in metrics.items():
                np.testing.assert_allclose(history[i][name][place], value, rtol=1e-4, err_msg=name)
        theirs = vectorized.cell_state(cells, place, state, common)
        for a, b in zip(jax.tree.leaves(theirs), jax.tree.leaves(mine), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    # A cell gone wrong takes no other with it; the place too many repeats the last cell.
    assert not np.isfinite(history[-1]["loss/total"][2]) and np.isfinite(history[-1]["loss/total"][:2]).all()


def test_vmap_of_accelerators_gives_what_cells_in_turns_give(parts, trained, monkeypatch):
    monkeypatch.setattr(vectorized, "_in_turns", lambda mesh: False)
    cells, history, _ = train_cells(parts, 4)
    for name in history[-1]:
        np.testing.assert_allclose(history[-1][name][:2], trained[1][-1][name][:2], rtol=1e-3, err_msg=name)
    for a, b in zip(cells.own, trained[0].own, strict=True):
        np.testing.assert_allclose(a[:2], b[:2], rtol=1e-2, atol=1e-4)


def test_outputs_of_all_cells_at_once(parts, trained):
    state, _, common = parts
    cells, _, _ = trained

    def heatmaps(state, batch):
        return Small().apply(state.variables, batch).heatmaps

    mesh = vectorized.grid_mesh()
    together = jax.jit(vectorized.over_cells(heatmaps, state, common, mesh))(cells, _batch(9))
    assert together.shape == (4, 4, 4, 4, 2)
    alone = jax.jit(heatmaps)(vectorized.cell_state(cells, 1, state, common), _batch(9))
    np.testing.assert_allclose(together[1], alone, rtol=1e-4, atol=1e-6)


def test_program_bytes_grow_with_the_cells(parts, trained):
    state, step, common = parts
    mesh = vectorized.grid_mesh()
    together = jax.jit(vectorized.make_cells_step(step, state, common, mesh), donate_argnums=0)
    cells = vectorized.spread(state, common, 8, mesh)
    weights = vectorized.stack_weights(WEIGHTS, 8, mesh)
    larger = vectorized.program_bytes(together.lower(cells.own, cells.common, _batch(0), weights).compile())
    four = vectorized.program_bytes(trained[2])
    assert 0 < four < larger < 2.2 * four


TWO_DEVICES = """
import jax, importlib.util, numpy as np
assert jax.device_count() == 2
spec = importlib.util.spec_from_file_location("t", {file!r})
t = importlib.util.module_from_spec(spec)
spec.loader.exec_module(t)
parts = t.make_parts()
cells, history, _ = t.train_cells(parts, 4)
kernel = cells.own[0]
assert len({{s.device for s in kernel.addressable_shards}}) == 2 and kernel.addressable_shards[0].data.shape[0] == 2
print(" ".join(repr(float(x)) for x in history[-1]["loss/near"][:2]))
"""


def test_cells_are_split_over_the_devices(trained):
    _, history, _ = trained
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    script = TWO_DEVICES.format(file=__file__)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    losses = [float(x) for x in run.stdout.split()]
    np.testing.assert_allclose(losses, history[-1]["loss/near"][:2], rtol=1e-4)
