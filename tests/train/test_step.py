"""One step: the weighted total, batch statistics, and the loss going down."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmpose_jax.records import ClipBatch, PoseOutput
from jmpose_jax.train.optimizers import Optimizer
from jmpose_jax.train.state import check_same_structure, create_state, replace_subtree
from jmpose_jax.train.step import make_train_step, weighted_total


class Small(nn.Module):
    """A model of the common signature, small enough to compile in a second."""

    normalize: bool = True

    @nn.compact
    def __call__(self, batch, train=False):
        x = batch.frames[:, 0, ::4, ::4].astype(jnp.float32) / 255
        x = nn.Conv(4, (3, 3), padding=((1, 1), (1, 1)), name="body")(x)
        if self.normalize:
            x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        maps = nn.Conv(2, (1, 1), name="head")(x)
        return PoseOutput(heatmaps=maps, initial_heatmaps=maps[:, None])


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return ClipBatch(
        frames=rng.integers(0, 255, (4, 1, 16, 16, 3), np.uint8),
        keypoints=np.zeros((4, 2, 2), np.float32),
        joint_weights=np.ones((4, 2), np.float32),
        transform=np.zeros((4, 2, 3), np.float32),
        box_score=np.ones(4, np.float32),
        index=np.arange(4, dtype=np.int32),
        valid=np.ones(4, np.float32),
    )


def loss(output, batch):
    error = jnp.square(output.heatmaps - 0.3)
    return {"near": (error.sum(), jnp.float32(error.size)), "other": (jnp.abs(output.heatmaps).sum(), jnp.float32(1))}


def test_weighted_total_takes_means_and_needs_every_weight():
    terms = {"a": (jnp.float32(6), jnp.float32(3)), "b": (jnp.float32(5), jnp.float32(0))}
    total, means = weighted_total(terms, {"a": jnp.float32(10), "b": jnp.float32(1)})
    assert float(total) == 25.0
    assert float(means["b"]) == 5.0  # an empty count divides by one, not by zero
    with pytest.raises(KeyError):
        weighted_total(terms, {"a": jnp.float32(1)})


def test_step_trains_and_weights_are_arguments_not_constants(batch):
    model, optimizer = Small(), Optimizer("adam").create(lambda step: 0.05)
    state = create_state(model, optimizer, jax.random.key(0), batch)
    traces = 0

    def counted(*arguments):
        nonlocal traces
        traces += 1
        return make_train_step(model, optimizer, loss)(*arguments)

    step = jax.jit(counted)
    history = []
    for i in range(30):
        state, metrics = step(state, batch, {"near": np.float32(1.0), "other": np.float32(0.0 if i else 1e-9)})
        history.append(float(metrics["loss/near"]))
    assert traces == 1
    assert int(state.step) == 30
    assert history[-1] < 0.3 * history[0]
    assert np.any(np.asarray(state.batch_stats["norm"]["mean"]) != 0)


def test_a_batch_in_parts_is_the_whole_batch_where_nothing_normalises_over_it(batch):
    model, optimizer = Small(normalize=False), Optimizer("adamw", weight_decay=0.01).create(lambda step: 0.05)
    start = create_state(model, optimizer, jax.random.key(0), batch)
    weights = {"near": np.float32(1.0), "other": np.float32(0.0)}
    whole, expected = jax.jit(make_train_step(model, optimizer, loss))(start, batch, weights)
    parts, found = jax.jit(make_train_step(model, optimizer, loss, accumulate=4))(start, batch, weights)
    for name in ("loss/near", "loss/total", "gradient_norm"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), parts.params, whole.params)


def test_the_average_moves_by_one_minus_its_decay(batch):
    model, optimizer = Small(), Optimizer("adam").create(lambda step: 0.05)
    state = create_state(model, optimizer, jax.random.key(0), batch)
    state = state.replace(ema=jax.tree.map(jnp.copy, state.params))
    step = jax.jit(make_train_step(model, optimizer, loss, ema_decay=0.9))
    expected = state.params
    for _ in range(3):
        state, _ = step(state, batch, {"near": np.float32(1.0), "other": np.float32(0.0)})
        expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, expected, state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), state.ema, expected)


def test_replace_subtree_takes_a_submodule_and_names_what_does_not_fit(batch):
    model, optimizer = Small(), Optimizer("adam").create(lambda step: 0.05)
    state = create_state(model, optimizer, jax.random.key(0), batch)
    other = create_state(model, optimizer, jax.random.key(1), batch)
    replaced = replace_subtree(state, {"params": other.params["body"]}, "body")
    np.testing.assert_array_equal(replaced.params["body"]["kernel"], other.params["body"]["kernel"])
    np.testing.assert_array_equal(replaced.params["head"]["kernel"], state.params["head"]["kernel"])
    with pytest.raises(ValueError, match=r"params/body: 1 missing \(e.g. bias\)"):
        replace_subtree(state, {"params": {"kernel": other.params["body"]["kernel"]}}, "body")


def test_check_same_structure_names_shapes():
    with pytest.raises(ValueError, match=r"x: 1 of another shape \(e.g. a/b\)"):
        check_same_structure({"a": {"b": np.zeros(2)}}, {"a": {"b": np.zeros(3)}}, "x")


class Dropped(nn.Module):
    """A model whose output is what its dropout leaves of ones, times a parameter."""

    @nn.compact
    def __call__(self, batch, train=False):
        scale = self.param("scale", nn.initializers.ones, ())
        kept = nn.Dropout(0.5, deterministic=not train)(jnp.ones((len(batch.index), 64)))
        masked = kept * jax.random.bernoulli(self.make_rng("masking"), 0.5, kept.shape) if train else kept
        return PoseOutput(heatmaps=masked * scale, initial_heatmaps=masked[:, None])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_a_model_draws_depends_on_the_seed_and_the_step_alone(batch, accumulate):
    model, optimizer = Dropped(), Optimizer("adam").create(lambda step: 0.0)
    state = create_state(model, optimizer, jax.random.key(0), batch)
    weights = {"near": np.float32(1.0), "other": np.float32(1.0)}

    def losses_of(seed, state):
        step = jax.jit(make_train_step(model, optimizer, loss, seed=seed, accumulate=accumulate))
        found = []
        for _ in range(3):
            state, metrics = step(state, batch, weights)
            found.append(float(metrics["loss/other"]))
        return found

    first = losses_of(0, state)
    assert len(set(first)) == 3  # another draw at every step
    assert losses_of(0, state) == first and losses_of(1, state) != first
    assert losses_of(0, state.replace(step=state.step + 1))[:2] == first[1:]  # a run that goes on draws the same
